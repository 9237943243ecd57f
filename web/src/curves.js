// The loss and the accuracy over the epochs.

import { chart } from './charts.js';
import { empty, fill, h, panel, setText } from './dom.js';
import { fixed, percent, percentTick } from './format.js';
import { state, watch } from './store.js';

const CURVES = [
  { name: 'loss', title: 'Loss', text: (/** @type {number} */ v) => fixed(v, 2) },
  { name: 'accuracy', title: 'Accuracy', text: percentTick },
];

/** Points that the moving mean looks back over, as a share of all. */
const WINDOW = 1 / 25;

/**
 * The mean of the last points at each point: single batches are noisy.
 * @param {number[]} values
 */
function smooth(values) {
  const size = Math.max(1, Math.round(values.length * WINDOW));
  let sum = 0;
  return values.map((v, i) => {
    sum += v - (i >= size ? values[i - size] : 0);
    return sum / Math.min(i + 1, size);
  });
}

export function curvesPanel() {
  const charts = CURVES.map(({ name, title, text }) => {
    const last = h('output', { class: 'last' });
    const plot = chart({ name: `${title} by epoch`, x: 'epoch', yText: text, height: 230,
      curves: [{ label: `${title} of a batch`, kind: 'line', colour: 'accent-soft', width: 1 },
        { label: title, kind: 'line', colour: 'accent', width: 1.75 }] });
    const note = h('div', {});
    const element = h('figure', {}, h('figcaption', {}, title, last), note, plot.element);
    const draw = () => {
      const points = state.detail?.series[name] ?? [];
      const none = points.length === 0;
      fill(note, none && empty(state.detail?.status === 'loading' ? 'Loading\u2026' : 'Nothing measured yet.'));
      plot.element.hidden = none;
      const now = smooth(points.map((p) => p.value)).pop();
      setText(last, none ? '' : name === 'loss' ? fixed(now, 3) : percent(now, 1));
      if (!none) plot.set(/** @type {any} */ ([points.map((p) => p.epoch ?? p.step),
        points.map((p) => p.value), smooth(points.map((p) => p.value))]));
    };
    return { element, draw, free: plot.free };
  });
  const stop = watch('series', () => charts.forEach((c) => c.draw()));
  charts.forEach((c) => c.draw());
  return {
    element: panel('Training', null, h('div', { class: 'pair' }, ...charts.map((c) => c.element))),
    free() {
      stop();
      charts.forEach((c) => c.free());
    },
  };
}
