// uPlot in the page's colours: one place that knows its options, that follows
// the width of the panel and the change between light and dark.

import uPlot from 'uplot';

/** @typedef {{ label: string, kind: 'line' | 'dots' | 'rings' | 'steps', colour: string, width?: number, size?: number }} Curve */

const FONT = '11px system-ui, sans-serif';

/** A colour of the style sheet. @param {string} name */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** @param {Curve} curve @returns {uPlot.Series} */
function seriesOf(curve) {
  const stroke = () => colour(curve.colour);
  const size = curve.size ?? 5;
  if (curve.kind === 'line')
    return { label: curve.label, stroke, width: curve.width ?? 1.5, points: { show: false }, spanGaps: true };
  if (curve.kind === 'steps')
    return { label: curve.label, stroke, width: 1.5, spanGaps: true,
      paths: uPlot.paths.stepped?.({ align: 1 }), points: { show: true, size, fill: stroke, width: 0 } };
  const fill = curve.kind === 'dots' ? stroke : 'transparent';
  return { label: curve.label, stroke, paths: () => null,
    points: { show: true, size, width: curve.kind === 'dots' ? 0 : 1, fill } };
}

/**
 * @param {string} label
 * @param {(v: number) => string} [text]
 * @returns {uPlot.Axis}
 */
function axis(label, text) {
  return {
    label, labelSize: 16, labelFont: FONT, labelGap: 2, font: FONT, gap: 4, size: label ? 30 : 34,
    stroke: () => colour('ink-2'), ticks: { show: false },
    grid: { stroke: () => colour('grid'), width: 1 },
    ...(text ? { values: (_, ticks) => ticks.map((t) => (t === null ? '' : text(t))) } : {}),
  };
}

/**
 * @param {object} what
 * @param {string} what.name for a screen reader
 * @param {string} what.x label of the x axis
 * @param {Curve[]} what.curves
 * @param {(v: number) => string} [what.xText]
 * @param {(v: number) => string} [what.yText]
 * @param {number} [what.height]
 * @param {(u: uPlot) => void} [what.under] draws below the curves
 * @param {(u: uPlot) => void} [what.over] draws above them
 * @param {(u: uPlot, lo: number, hi: number) => [number, number]} [what.yRange]
 */
export function chart(what) {
  const element = document.createElement('div');
  element.className = 'chart';
  element.setAttribute('role', 'img');
  element.setAttribute('aria-label', what.name);
  const height = what.height ?? 190;
  /** @type {uPlot.Options} */
  const options = {
    width: 300, height, legend: { show: false }, padding: [8, 10, 0, 0],
    cursor: { points: { show: false }, drag: { x: false, y: false }, x: false, y: false },
    scales: {
      x: { time: false, range: (_, lo, hi) => padded(lo, hi, 0.03) },
      y: { range: (u, lo, hi) => (what.yRange ?? ((_, a, b) => padded(a, b, 0.08)))(u, lo, hi) },
    },
    axes: [axis(what.x, what.xText), { ...axis('', what.yText), size: 46 }],
    series: [{}, ...what.curves.map(seriesOf)],
    hooks: {
      drawAxes: [(u) => what.under?.(u)],
      draw: [(u) => what.over?.(u)],
    },
  };
  const plot = new uPlot(options, [[], ...what.curves.map(() => [])], element);
  const sizes = new ResizeObserver(() => {
    const width = Math.floor(element.clientWidth);
    if (width > 0 && width !== plot.width) plot.setSize({ width, height });
  });
  sizes.observe(element);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const redraw = () => plot.redraw(false, true);
  dark.addEventListener('change', redraw);
  return {
    element, plot,
    /** @param {uPlot.AlignedData} data */
    set: (data) => plot.setData(data),
    free() {
      sizes.disconnect();
      dark.removeEventListener('change', redraw);
      plot.destroy();
    },
  };
}

/**
 * A range with room at both ends, also for one value and for none.
 * @param {number} lo @param {number} hi @param {number} share
 * @returns {[number, number]}
 */
export function padded(lo, hi, share) {
  if (lo === null || hi === null || !Number.isFinite(lo)) return [0, 1];
  const room = hi > lo ? (hi - lo) * share : Math.abs(hi) * 0.1 || 0.5;
  return [lo - room, hi + room];
}

/**
 * Sets of points as columns over one sorted x, as uPlot wants them.
 * @param {{x: number, y: number}[][]} sets
 * @returns {uPlot.AlignedData}
 */
export function align(sets) {
  const all = sets.flatMap((set, i) => set.map((p) => ({ x: p.x, y: p.y, i })))
    .sort((a, b) => a.x - b.x);
  const columns = sets.map((_, i) => all.map((p) => (p.i === i ? p.y : null)));
  return [all.map((p) => p.x), ...columns];
}

/**
 * Tells which point is nearest to the pointer, within 24 pixels.
 * @template {{x: number, y: number}} P
 * @param {uPlot} plot
 * @param {() => P[]} points
 * @param {(point: P | null, left: number, top: number) => void} tell
 */
export function onNearest(plot, points, tell) {
  /** @param {PointerEvent} event */
  const find = (event) => {
    const box = plot.over.getBoundingClientRect();
    const left = event.clientX - box.left;
    const top = event.clientY - box.top;
    let best = null;
    let least = 24 * 24;
    for (const point of points()) {
      const dx = plot.valToPos(point.x, 'x') - left;
      const dy = plot.valToPos(point.y, 'y') - top;
      if (dx * dx + dy * dy < least) {
        least = dx * dx + dy * dy;
        best = point;
      }
    }
    tell(best, best ? plot.valToPos(best.x, 'x') : 0, best ? plot.valToPos(best.y, 'y') : 0);
  };
  plot.over.addEventListener('pointermove', find);
  plot.over.addEventListener('pointerdown', find);
  plot.over.addEventListener('pointerleave', () => tell(null, 0, 0));
}
