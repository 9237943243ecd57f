// The loss and the accuracy over the epochs.

import { align, chart } from './charts.js';
import { empty, fill, h, panel, setText } from './dom.js';
import { fixed, percent } from './format.js';
import { state, watch } from './store.js';

const CURVES = [
  { name: 'loss', title: 'Loss', text: (/** @type {number} */ v) => fixed(v, 2) },
  { name: 'accuracy', title: 'Accuracy', text: (/** @type {number} */ v) => percent(v, 0) },
];

export function curvesPanel() {
  const charts = CURVES.map(({ name, title, text }) => {
    const last = h('output', { class: 'last' });
    const plot = chart({ name: `${title} by epoch`, x: 'epoch', yText: text, height: 230,
      curves: [{ label: title, kind: 'line', colour: 'accent' }] });
    const note = h('div', {});
    const element = h('figure', {}, h('figcaption', {}, title, last), note, plot.element);
    const draw = () => {
      const points = state.detail?.series[name] ?? [];
      const none = points.length === 0;
      fill(note, none && empty(state.detail?.status === 'loading' ? 'Loading\u2026' : 'Nothing measured yet.'));
      plot.element.hidden = none;
      setText(last, none ? '' : name === 'loss' ? fixed(points[points.length - 1].value, 3)
        : percent(points[points.length - 1].value, 2));
      if (!none) plot.set(align([points.map((p) => ({ x: p.epoch ?? p.step, y: p.value }))]));
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
