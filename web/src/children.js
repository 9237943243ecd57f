// What comes after a search: buttons that have one architecture trained
// further, or alone from scratch; what such a job counted before and after; and
// the list of a job's own.

import { api, ApiError } from './api.js';
import { empty, fill, h, panel, setText } from './dom.js';
import { known, percent } from './format.js';
import { chosenJob, jobsInOrder, watch } from './store.js';

/** @typedef {'finetune' | 'scratch'} Kind */

/** @type {Record<Kind, {button: string, title: string, text: string}>} */
const WORDS = {
  finetune: { button: 'Fine-tune', title: 'Fine-tune this architecture?',
    text: 'A new job trains it further from the weights that it has here, and measures it before and after.' },
  scratch: { button: 'From scratch', title: 'Train this architecture from scratch?',
    text: 'A new job trains it alone from new weights: what inheriting them is worth shows beside it.' },
};

/** Asks how long, then submits. @param {Kind} kind @param {string} id @param {string} arch */
function ask(kind, id, arch) {
  const words = WORDS[kind];
  const epochs = h('input', { id: 'after-epochs', type: 'number', min: '0', step: 'any', value: '2', required: true,
    'aria-describedby': 'after-note' });
  const note = h('p', { id: 'after-note', class: 'note' }, 'passes over the training images');
  const dialog = h('dialog', { 'aria-labelledby': 'after-title', onclose: () => dialog.remove() },
    h('h2', { id: 'after-title' }, words.title), h('p', { class: 'arch' }, h('code', {}, arch)), h('p', {}, words.text),
    h('form', { noValidate: true, onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      try {
        // What is no number goes as text: the daemon says what is wrong with it.
        const asked = epochs.value.trim();
        const job = await api.after(id, arch, kind, asked !== '' && known(Number(asked)) ? Number(asked) : asked);
        dialog.close();
        location.hash = `#/jobs/${encodeURIComponent(job.id)}`;
      } catch (error) {
        const problem = error instanceof ApiError ? error.problem : null;
        const own = problem?.errors.find((e) => e.pointer === '/epochs');
        setText(note, own?.detail ?? /** @type {Error} */ (error).message);
        epochs.setAttribute('aria-invalid', 'true');
        epochs.focus();
      }
    } },
    h('div', { class: 'field' }, h('label', { for: 'after-epochs' }, 'Epochs'), epochs, note),
    h('div', { class: 'buttons' },
      h('button', { type: 'button', onclick: () => dialog.close() }, 'Not now'),
      h('button', { type: 'submit', class: 'primary' }, words.button))));
  document.body.append(dialog);
  dialog.showModal();
  epochs.select();
}

/** The two buttons of an architecture. @param {string} id @param {string} arch */
export function afterButtons(id, arch) {
  return /** @type {Kind[]} */ (['finetune', 'scratch']).map((kind) => h('button', { type: 'button', class: 'small',
    'aria-label': `${WORDS[kind].button}: ${arch}`, onclick: () => ask(kind, id, arch) }, WORDS[kind].button));
}

/** @param {string} name @param {import('./types').Proportion | null | undefined} part */
function cell(name, part) {
  return h('div', {}, h('dt', {}, name), h('dd', {}, percent(part?.value, 2),
    part?.ci && h('small', {}, ` ${percent(part.ci[0])} to ${percent(part.ci[1])}`)));
}

/** What a job of one architecture counted. */
export function resultsPanel() {
  const body = h('div', {});
  let shown = '';

  function draw() {
    const job = chosenJob();
    const key = JSON.stringify([job?.before, job?.after, job?.architecture, job?.parent]);
    if (!job || key === shown) return;
    shown = key;
    fill(body, h('p', { class: 'arch' }, h('code', {}, job.architecture ?? '')),
      job.parent && h('p', {}, 'of ', h('a', { href: `#/jobs/${encodeURIComponent(job.parent)}` }, 'the job that found it')),
      ...[job.before, job.after].map((part, i) => part && h('dl', { class: 'numbers now', 'aria-label': i ? 'after' : 'before' },
        cell(`${i ? 'after' : 'before'}, test`, part.test), cell(`${i ? 'after' : 'before'}, hold-out`, part.holdout))),
      !job.before && !job.after && empty('Nothing is measured yet.'));
  }

  const stop = watch('job', draw);
  draw();
  return { element: panel('Before and after', null, body), free: stop };
}

/** The jobs that came of this one. @param {string} id */
export function childrenPanel(id) {
  const body = h('tbody', {});
  const table = h('div', { class: 'scroll' }, h('table', { class: 'targets' },
    h('thead', {}, h('tr', {}, ...['job', 'state', 'hold-out', 'architecture'].map((t) => h('th', { scope: 'col' }, t)))), body));
  const element = panel('What came of it', null, table);
  let shown = '';

  function draw() {
    const list = jobsInOrder().filter((j) => j.parent === id);
    const key = JSON.stringify(list.map((j) => [j.id, j.name, j.state, j.best_accuracy]));
    element.hidden = list.length === 0;
    if (key === shown) return;
    shown = key;
    fill(body, ...list.map((j) => h('tr', {},
      h('th', { scope: 'row' }, h('a', { href: `#/jobs/${encodeURIComponent(j.id)}` }, j.name || j.id)),
      h('td', {}, j.state), h('td', {}, percent(j.best_accuracy, 2)), h('td', {}, h('code', {}, j.architecture ?? '')))));
  }

  const stop = watch('jobs', draw);
  draw();
  return { element, free: stop };
}
