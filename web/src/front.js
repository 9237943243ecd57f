// The Pareto front: accuracy against a cost, with the cloud that it dominates.
// The same architectures stand below as a table, with links to their models.

import { modelPath } from './api.js';
import { align, chart, onNearest } from './charts.js';
import { empty, fill, h, panel } from './dom.js';
import { count, known, ms, percent, percentTick } from './format.js';
import { state, watch } from './store.js';

/** @typedef {import('./types').Evaluation} Evaluation */
/** @typedef {{x: number, y: number, e: Evaluation, kind: string}} Dot */

/** @type {{ name: string, title: string, of: (e: Evaluation) => number | null | undefined, text: (v: number) => string }[]} */
const COSTS = [
  { name: 'latency_ms', title: 'latency, ms', of: latencyOf, text: (v) => String(Number(v.toPrecision(6))) },
  { name: 'macs', title: 'MACs', of: (e) => e.macs, text: (v) => count(v) },
];

/** What is measured counts more than what is predicted. @param {Evaluation} e */
export function latencyOf(e) {
  return e.latency_ms?.measured ?? e.latency_ms?.predicted;
}

/** The items of the chosen job's front. @param {string} cost */
export function frontItems(cost) {
  return state.detail?.fronts[cost]?.items ?? [];
}

/** @param {typeof COSTS[number]} cost */
function dotsOf(cost) {
  const front = frontItems(cost.name);
  const onFront = new Set(front.map((e) => e.arch));
  /** @type {{early: Dot[], final: Dot[], front: Dot[]}} */
  const dots = { early: [], final: [], front: [] };
  const add = (/** @type {'early' | 'final' | 'front'} */ kind, /** @type {Evaluation} */ e) => {
    const x = cost.of(e);
    if (known(x) && known(e.accuracy)) dots[kind].push({ x, y: e.accuracy, e, kind });
  };
  for (const e of state.detail?.evaluations.values() ?? []) {
    if (e.split !== 'holdout') continue;
    if (e.stage === 'early') add('early', e);
    else if (!onFront.has(e.arch)) add('final', e);
  }
  for (const e of front) add('front', e);
  return dots;
}

const WORDS = { early: 'early evaluation', final: 'dominated', front: 'on the front' };

/** @param {string} id @param {Evaluation} e @param {keyof typeof WORDS} kind */
function tip(id, e, kind) {
  return [
    h('code', {}, e.arch),
    h('span', {}, `${percent(e.accuracy, 2)} \u00b7 ${ms(latencyOf(e))} \u00b7 ${count(e.macs)} MACs`),
    h('span', { class: 'quiet' }, `${WORDS[kind]}, step ${e.step}`),
    h('a', { href: modelPath(id, e.arch, 'model.onnx'), download: '' }, 'ONNX model'),
  ];
}

/** @param {string} id @param {Evaluation[]} items */
function table(id, items) {
  return h('details', { class: 'front-table' },
    h('summary', {}, `The ${items.length} architectures of the front`),
    h('div', { class: 'scroll' }, h('table', {},
      h('thead', {}, h('tr', {}, ...['architecture', 'accuracy', 'latency', 'MACs', 'params', 'models']
        .map((t) => h('th', { scope: 'col' }, t)))),
      h('tbody', {}, ...items.map((e) => h('tr', {},
        h('th', { scope: 'row' }, h('code', {}, e.arch)),
        h('td', {}, percent(e.accuracy, 2)), h('td', {}, ms(latencyOf(e))),
        h('td', {}, count(e.macs)), h('td', {}, count(e.params)),
        h('td', {}, h('a', { href: modelPath(id, e.arch, 'model.onnx'), download: '', 'aria-label': `ONNX of ${e.arch}` }, 'ONNX'),
          ' ', h('a', { href: modelPath(id, e.arch, 'weights.safetensors'), download: '', 'aria-label': `safetensors of ${e.arch}` }, 'weights'))))))));
}

/** @param {string} id */
export function frontPanel(id) {
  let cost = COSTS[0];
  const body = h('div', {});
  const note = h('div', {});
  const rows = h('div', {});
  const hover = h('div', { class: 'tip', hidden: true });
  const choice = h('select', { 'aria-label': 'cost', onchange() {
    cost = COSTS[choice.selectedIndex];
    make();
  } }, ...COSTS.map((c) => h('option', {}, c.title)));
  /** @type {ReturnType<typeof chart> | null} */
  let plot = null;
  /** @type {Dot[]} */
  let dots = [];
  let listed = '';
  /** Whether the early ones are shown, once the reader has said so. @type {boolean | null} */
  let early = null;
  const toggle = h('button', { type: 'button', class: 'k ring', 'aria-pressed': 'true', onclick() {
    early = toggle.getAttribute('aria-pressed') !== 'true';
    draw();
  } }, 'early');

  function make() {
    plot?.free();
    plot = chart({ name: `Accuracy against ${cost.title}; the table below has the front`,
      x: cost.title, xText: cost.text, yText: percentTick, height: 340,
      curves: [
        { label: 'early', kind: 'rings', colour: 'ink-3', size: 5 },
        { label: 'dominated', kind: 'dots', colour: 'ink-3', size: 5 },
        { label: 'front', kind: 'steps', colour: 'accent', size: 7 }] });
    onNearest(plot.plot, () => dots, (dot, left, top) => {
      if (!dot) return; // it stays, so that its link can be reached
      fill(hover, ...tip(id, dot.e, /** @type {keyof typeof WORDS} */ (dot.kind)));
      hover.hidden = false;
      const width = plot?.plot.over.clientWidth ?? 0;
      hover.classList.toggle('left', left > width / 2);
      hover.style.left = `${left}px`;
      hover.style.top = `${top}px`;
    });
    plot.plot.over.append(hover);
    body.addEventListener('pointerleave', () => (hover.hidden = true));
    hover.hidden = true;
    fill(body, plot.element);
    draw();
  }

  function draw() {
    const sets = dotsOf(cost);
    // Early accuracies lie far below: once there are better ones they would
    // press the front flat, so they are then shown only on demand.
    const withEarly = early ?? ![...sets.final, ...sets.front].some((d) => d.e.stage !== 'early');
    toggle.setAttribute('aria-pressed', String(withEarly));
    if (!withEarly) sets.early = [];
    dots = [...sets.early, ...sets.final, ...sets.front];
    const none = dots.length === 0;
    fill(note, none && empty(state.detail?.status === 'loading' ? 'Loading\u2026'
      : 'No architecture has been evaluated yet: the first come with the probes.'));
    body.hidden = none;
    if (!none) plot?.set(align([sets.early, sets.final, sets.front]));
    const items = frontItems(cost.name);
    const key = cost.name + JSON.stringify(items.map((e) => [e.arch, e.step]));
    if (key !== listed) fill(rows, items.length > 0 && table(id, items));
    listed = key;
  }

  const stop = watch('evaluations front', draw);
  make();
  const legend = h('p', { class: 'legend' }, toggle, h('span', { class: 'k full' }, 'dominated'),
    h('span', { class: 'k hot' }, 'front'));
  return {
    element: panel('Front', h('span', { class: 'aside' }, legend, choice), note, body, rows),
    free() {
      stop();
      plot?.free();
    },
  };
}
