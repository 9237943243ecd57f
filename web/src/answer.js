// The question that a job exists for: which is the best architecture within a
// latency? A slider over the front's range; the answer is the daemon's own.

import { api, bestPath, curlLine, modelPath } from './api.js';
import { afterButtons } from './children.js';
import { empty, fill, h, panel, setText } from './dom.js';
import { count, bytes, known, ms, percent } from './format.js';
import { frontItems, latencyOf } from './front.js';
import { chosenJob, state, watch } from './store.js';

const WAIT_MS = 120;

/** @param {[number, number] | null | undefined} ci @param {(v: number) => string} text */
function interval(ci, text) {
  return ci ? h('small', {}, ` ${text(ci[0])} to ${text(ci[1])}`) : null;
}

/** @param {string} line */
function command(line) {
  const button = h('button', { type: 'button', class: 'small', onclick: async () => {
    try {
      await navigator.clipboard.writeText(line);
      setText(button, 'Copied');
    } catch {
      setText(button, 'Select it by hand');
    }
    setTimeout(() => setText(button, 'Copy'), 1500);
  } }, 'Copy');
  return h('div', { class: 'command' }, h('code', { tabIndex: 0 }, line), button);
}

/** @param {string} id @param {import('./types').Best} best @param {string} asked */
function answer(id, best, asked) {
  const onnx = modelPath(id, best.arch, 'model.onnx');
  return [
    h('p', { class: 'arch' }, h('code', {}, best.arch)),
    h('dl', { class: 'numbers' },
      h('div', {}, h('dt', {}, best.split === 'test' ? 'accuracy, test' : 'accuracy, hold-out'),
        h('dd', {}, percent(best.accuracy, 2), interval(best.ci, (v) => percent(v)))),
      best.test_accuracy && h('div', {}, h('dt', {}, 'accuracy, test'),
        h('dd', {}, percent(best.test_accuracy.value, 2),
          interval(best.test_accuracy.ci, (v) => percent(v)))),
      h('div', {}, h('dt', {}, 'latency'), h('dd', {}, ms(latencyOf(best)),
        known(best.latency_ms?.measured) ? interval(best.latency_ms?.ci, (v) => ms(v))
          : h('small', {}, ' predicted'))),
      h('div', {}, h('dt', {}, 'MACs'), h('dd', {}, count(best.macs))),
      h('div', {}, h('dt', {}, 'parameters'), h('dd', {}, count(best.params))),
      known(best.peak_memory) && h('div', {}, h('dt', {}, 'memory'), h('dd', {}, bytes(best.peak_memory)))),
    h('p', { class: 'links' }, h('a', { href: onnx, download: '' }, 'ONNX'),
      h('a', { href: modelPath(id, best.arch, 'weights.safetensors'), download: '' }, 'safetensors'),
      ...(chosenJob()?.architecture ? [] : afterButtons(id, best.arch))),
    command(curlLine(bestPath(id, asked))),
    command(curlLine(onnx, 'model.onnx')),
  ];
}

/** What the search answered for the job's own targets. @param {import('./types').Answer[]} answers */
function targets(answers) {
  return h('div', { class: 'scroll' }, h('table', { class: 'targets' },
    h('caption', {}, 'Answers to the job\u2019s targets'),
    h('thead', {}, h('tr', {}, ...['within', 'test accuracy', 'latency', 'MACs', 'architecture']
      .map((t) => h('th', { scope: 'col' }, t)))),
    h('tbody', {}, ...answers.map((a) => h('tr', {},
      h('th', { scope: 'row' }, a.cost === 'macs' ? `${count(a.macs)} MACs` : ms(a.latency_ms)),
      h('td', {}, percent(a.test_accuracy?.value, 2)),
      h('td', {}, ms(a.best && latencyOf(a.best))),
      h('td', {}, count(a.best?.macs)),
      h('td', {}, h('code', {}, a.found ? a.best.arch : `none; nearest: ${a.best?.arch ?? ''}`)))))));
}

/** @param {string} id */
export function answerPanel(id) {
  const slider = h('input', { type: 'range', step: 'any', id: 'within', oninput: () => {
    moved = true;
    ask();
  } });
  const value = h('output', { for: 'within' });
  const control = h('label', { class: 'slider', for: 'within' }, 'best within', slider, value);
  const reply = h('div', { 'aria-live': 'polite' });
  const given = h('div', {});
  const note = h('div', {});
  let moved = false;
  let asked = '';
  let version = '';
  let listed = '';
  /** @type {number | undefined} */
  let timer;

  // At most one question every WAIT_MS, about what is wanted by then.
  function ask() {
    setText(value, ms(Number(slider.value)));
    timer ??= setTimeout(async () => {
      timer = undefined;
      const text = Number(slider.value).toFixed(4);
      const now = `${text} ${version}`;
      if (now === asked) return;
      asked = now;
      try {
        const found = await api.best(id, Number(text));
        if (asked !== now) return;
        const best = found.items?.[0];
        fill(reply, ...(best ? answer(id, best, text)
          : [empty(`No architecture is that fast${found.nearest?.arch ? `; the nearest is ${found.nearest.arch}, ${ms(latencyOf(found.nearest))}` : ''}.`)]));
      } catch (error) {
        asked = '';
        fill(reply, h('p', { class: 'problem' }, /** @type {Error} */ (error).message));
      }
    }, WAIT_MS);
  }

  function draw() {
    const job = chosenJob();
    const key = JSON.stringify(job?.answers ?? []);
    if (key !== listed) fill(given, job?.answers && job.answers.length > 0 && targets(job.answers));
    listed = key;
    const front = frontItems('latency_ms');
    const costs = front.map(latencyOf).filter(known);
    const none = costs.length === 0;
    fill(note, none && empty(state.detail?.status === 'loading' ? 'Loading\u2026'
      : 'No front yet: the answer can be asked for once architectures have been evaluated.'));
    control.hidden = none;
    reply.hidden = none;
    if (none) return;
    const lo = Math.min(...costs);
    const hi = Math.max(...costs);
    const room = (hi - lo) * 0.1 || hi * 0.1;
    version = JSON.stringify(front.map((e) => [e.arch, e.step]));
    slider.min = String(Math.max(lo - room, 0));
    slider.max = String(hi + room);
    if (!moved) slider.value = String((lo + hi) / 2);
    ask();
  }

  const stop = watch('front job', draw);
  draw();
  return {
    element: panel('Best answer', null, note, control, reply, given),
    free() {
      clearTimeout(timer);
      stop();
    },
  };
}
