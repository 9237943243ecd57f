// The early filter: how well the predictor ranks, in words and numbers, and
// each probe's measured accuracy against what was predicted out of fold.

import { align, chart, colour } from './charts.js';
import { empty, fill, h, panel } from './dom.js';
import { count, fixed, percent, percentTick } from './format.js';
import { state, watch } from './store.js';

/** @param {import('./types').Predictor} p */
function numbers(p) {
  const lo = p.tau_ci?.[0];
  const hi = p.tau_ci?.[1];
  return h('dl', { class: 'numbers' },
    h('div', {}, h('dt', {}, 'Kendall \u03c4'),
      h('dd', {}, fixed(p.tau), h('small', {}, ` 90\u202f%: ${fixed(lo)} to ${fixed(hi)}`))),
    h('div', {}, h('dt', {}, 'Spearman'), h('dd', {}, fixed(p.spearman))),
    h('div', {}, h('dt', {}, 'mean error'), h('dd', {}, percent(p.mae))),
    h('div', {}, h('dt', {}, 'reliability'), h('dd', {}, fixed(p.reliability))),
    h('div', {}, h('dt', {}, 'probes'), h('dd', {}, p.n ?? '\u2013')));
}

/** @param {import('./types').Subspace} s */
function kept(s) {
  const bands = s.bands ?? [];
  const most = Math.max(...bands.map((b) => b.kept), 1);
  return h('div', { class: 'kept' },
    h('p', {}, 'Kept ', h('b', {}, s.size.toLocaleString('en')), ' of ', h('b', {}, s.scored.toLocaleString('en')), ' scored',
      s.space_size ? `, from a space of ${count(s.space_size)}` : '', '.'),
    bands.length > 0 && h('ul', { class: 'bands', 'aria-label': 'kept, by band of MACs' }, ...bands.map((b) => {
      const bar = h('i', {});
      bar.style.width = `${(100 * b.kept) / most}%`;
      return h('li', {}, h('span', {}, `${count(b.macs_lo)} \u2013 ${count(b.macs_hi)}`),
        h('span', { class: 'bar' }, bar), h('span', {}, `${b.kept} of ${count(b.scored)}`));
    })));
}

export function predictorPanel() {
  const body = h('div', {});
  const plot = chart({ name: 'Measured against predicted accuracy of the probes', x: 'predicted',
    xText: percentTick, yText: percentTick, height: 220,
    curves: [{ label: 'probe', kind: 'dots', colour: 'accent', size: 4.5 }],
    under(u) {
      // where a perfect predictor would put them
      const lo = Math.max(u.scales.x.min ?? 0, u.scales.y.min ?? 0);
      const hi = Math.min(u.scales.x.max ?? 1, u.scales.y.max ?? 1);
      if (hi <= lo) return;
      u.ctx.save();
      u.ctx.strokeStyle = colour('ink-3');
      u.ctx.setLineDash([4, 4]);
      u.ctx.beginPath();
      u.ctx.moveTo(u.valToPos(lo, 'x', true), u.valToPos(lo, 'y', true));
      u.ctx.lineTo(u.valToPos(hi, 'x', true), u.valToPos(hi, 'y', true));
      u.ctx.stroke();
      u.ctx.restore();
    } });

  function draw() {
    const all = state.detail?.predictors ?? [];
    const early = all.filter((p) => p.stage === 'early');
    const last = early[early.length - 1] ?? all[all.length - 1];
    if (!last) {
      fill(body, empty(state.detail?.status === 'loading' ? 'Loading\u2026'
        : 'No predictor yet: it is fitted after the probes.'));
      return;
    }
    const points = last.points ?? [];
    plot.element.hidden = points.length === 0;
    const subspace = state.detail?.subspace;
    fill(body,
      h('p', { class: `verdict ${last.used ? 'used' : 'unused'}` },
        h('b', {}, last.used ? 'Filter used.' : 'Filter not used.'), ' ', last.verdict ?? ''),
      state.detail?.outcome && h('p', {}, h('b', {}, 'Early against final:'), ' ', state.detail.outcome.verdict),
      h('div', { class: 'split' }, h('div', {}, numbers(last), subspace && kept(subspace)), plot.element));
    plot.set(align([points.map((p) => ({ x: p.predicted, y: p.measured }))]));
  }

  const stop = watch('predictor', draw);
  draw();
  return {
    element: panel('Early filter', null, body),
    free() {
      stop();
      plot.free();
    },
  };
}
