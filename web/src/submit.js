// The form that submits a job. The daemon alone judges a spec: its refusals
// are shown at the fields that they name.

import { api, ApiError, curlLine } from './api.js';
import { fill, h, setText } from './dom.js';
import { bytes, count, duration, known, many } from './format.js';

/** @type {{pointer: string, label: string, kind: 'text' | 'number' | 'choice', hint?: string, initial?: string, choices?: string[]}[]} */
const FIELDS = [
  { pointer: '/name', label: 'Name', kind: 'text', hint: 'for people' },
  { pointer: '/dataset', label: 'Data set', kind: 'choice' },
  { pointer: '/space', label: 'Space', kind: 'choice' },
  { pointer: '/supernet', label: 'Supernet', kind: 'choice', hint: 'weights to search as they are' },
  { pointer: '/strategy', label: 'Strategy', kind: 'choice',
    choices: ['sparsenas', 'ofa', 'compofa', 'bignas', 'alphanet', 'attentivenas', 'spos', 'fairnas'] },
  { pointer: '/epochs', label: 'Epochs', kind: 'number', hint: 'empty: the default' },
  { pointer: '/train/workers', label: 'Workers', kind: 'number', hint: 'empty: all cores' },
  { pointer: '/seed', label: 'Seed', kind: 'number', hint: 'empty: the default' },
];

/** @param {Map<string, HTMLInputElement | HTMLSelectElement>} inputs */
function specOf(inputs) {
  /** @type {Record<string, any>} */
  const spec = {};
  for (const field of FIELDS) {
    const text = inputs.get(field.pointer)?.value.trim() ?? '';
    if (text === '') continue;
    // What is no number goes as text: the daemon says what is wrong with it.
    const value = field.kind === 'number' && text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
    const [, first, second] = field.pointer.split('/');
    if (second) (spec[first] ??= {})[second] = value;
    else spec[first] = value;
  }
  return spec;
}

/** What a space is, in a line. @param {import('./types').Space | undefined} space */
function aboutSpace(space) {
  if (!space) return '';
  const { resolutions: r, smallest, largest } = space;
  const sizes = r.length > 3 ? `${r[0]}\u2013${r[r.length - 1]} px (${r.length})` : `${r.join(', ')} px`;
  return [`${space.family} family`, `${many(space.architectures)} architectures`, sizes,
    `${count(smallest.macs)}\u2013${count(largest.macs)} MACs`].join(' \u00b7 ');
}

/** The same of weights. @param {import('./types').Supernet | undefined} net */
function aboutSupernet(net) {
  if (!net) return '';
  return [`space ${net.space}`, net.job ? `left by job ${net.job}` : 'imported',
    net.dataset ? `trained on ${net.dataset}` : '', known(net.step) && net.step > 0 ? `step ${net.step}` : '',
    `${net.classes} classes, ${net.channels} channel${net.channels === 1 ? '' : 's'}`]
    .filter((t) => t !== '').join(' \u00b7 ');
}

/** @param {(id: string) => void} done */
export function submitView(done) {
  /** @type {Map<string, HTMLInputElement | HTMLSelectElement>} */
  const inputs = new Map();
  /** @type {Map<string, HTMLElement>} */
  const complaints = new Map();
  /** @type {Map<string, HTMLElement>} */
  const about = new Map();
  /** @type {{spaces: import('./types').Space[], supernets: import('./types').Supernet[]}} */
  const there = { spaces: [], supernets: [] };
  const general = h('div', { class: 'problem', role: 'alert', hidden: true });
  const forecast = h('div', { 'aria-live': 'polite' });
  const line = h('code', { tabIndex: 0 });

  const rows = FIELDS.map((field) => {
    const id = `field${field.pointer.replaceAll('/', '-')}`;
    const told = { id, 'aria-describedby': `${id}-note ${id}-about`, autocomplete: 'off', oninput: show };
    const input = field.kind === 'choice'
      ? h('select', told, ...(field.choices ?? []).map((c) => h('option', {}, c)))
      : h('input', { ...told, type: 'text', inputMode: field.kind === 'number' ? 'decimal' : 'text' });
    const note = h('p', { id: `${id}-note`, class: 'note' }, field.hint ?? '');
    const what = h('p', { id: `${id}-about`, class: 'about', 'aria-live': 'polite' });
    inputs.set(field.pointer, input);
    complaints.set(field.pointer, note);
    about.set(field.pointer, what);
    return h('div', { class: 'field' }, h('label', { for: id }, field.label), input, note, what);
  });

  /** A supernet brings its space with it. */
  function explain() {
    const net = there.supernets.find((s) => s.name === inputs.get('/supernet')?.value);
    const spaces = inputs.get('/space');
    if (net && spaces) spaces.value = net.space;
    if (spaces) spaces.disabled = net !== undefined;
    const put = (/** @type {string} */ pointer, /** @type {string} */ text) => {
      const where = about.get(pointer);
      if (where) setText(where, text);
    };
    put('/space', aboutSpace(there.spaces.find((s) => s.name === spaces?.value)));
    put('/supernet', aboutSupernet(net));
  }

  function show() {
    explain();
    setText(line, `${curlLine('/api/v1/jobs')} -d '${JSON.stringify(specOf(inputs))}'`);
  }

  function clear() {
    general.hidden = true;
    for (const field of FIELDS) {
      inputs.get(field.pointer)?.removeAttribute('aria-invalid');
      const note = complaints.get(field.pointer);
      if (note) setText(note, field.hint ?? '');
    }
  }

  /** @param {unknown} error */
  function refuse(error) {
    const problem = error instanceof ApiError ? error.problem : null;
    const rest = [];
    for (const { pointer, detail } of problem?.errors ?? []) {
      const note = complaints.get(pointer);
      if (!note) {
        rest.push(`${pointer}: ${detail}`);
        continue;
      }
      setText(note, detail);
      inputs.get(pointer)?.setAttribute('aria-invalid', 'true');
    }
    if (rest.length > 0 || !problem?.errors.length) {
      general.hidden = false;
      fill(general, ...[/** @type {Error} */ (error).message, ...rest].map((t) => h('p', {}, t)));
    }
    const first = FIELDS.find((f) => inputs.get(f.pointer)?.hasAttribute('aria-invalid'));
    if (first) inputs.get(first.pointer)?.focus();
  }

  /** @param {boolean} dry */
  async function send(dry) {
    clear();
    fill(forecast);
    try {
      const reply = await api.submit(specOf(inputs), dry);
      if (!dry) return done(reply.id);
      const f = reply.forecast ?? {};
      fill(forecast, h('dl', { class: 'numbers' },
        h('div', {}, h('dt', {}, 'time'), h('dd', {}, duration(f.seconds))),
        h('div', {}, h('dt', {}, 'memory'), h('dd', {}, bytes(f.memory_bytes))),
        h('div', {}, h('dt', {}, 'disk'), h('dd', {}, bytes(f.disk_bytes))),
        h('div', {}, h('dt', {}, 'images'), h('dd', {}, count(f.images))),
        h('div', {}, h('dt', {}, 'MACs'), h('dd', {}, count(f.macs)))));
    } catch (error) {
      refuse(error);
    }
  }

  async function choices() {
    try {
      const [datasets, spaces, supernets] = await Promise.all([api.datasets(), api.spaces(), api.supernets()]);
      Object.assign(there, { spaces, supernets });
      const put = (/** @type {string} */ pointer, /** @type {any[]} */ items) =>
        inputs.get(pointer)?.replaceChildren(...items.map((i) => h('option',
          { value: i.name, disabled: i.available === false }, i.name, i.available === false ? ' (not there)' : '')));
      put('/dataset', datasets);
      put('/space', spaces);
      put('/supernet', supernets);
      inputs.get('/supernet')?.prepend(h('option', { value: '', selected: true }, 'none: train'));
      show();
    } catch (error) {
      refuse(error);
    }
  }

  const form = h('form', { class: 'submit', noValidate: true, onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    send(false);
  } }, ...rows, general,
  h('div', { class: 'buttons' },
    h('button', { type: 'submit', class: 'primary' }, 'Submit'),
    h('button', { type: 'button', onclick: () => send(true) }, 'Forecast')),
  forecast, h('div', { class: 'command' }, line));
  choices();
  show();
  document.title = 'New job \u2013 sparsenas';
  return {
    element: h('div', {}, h('header', { class: 'head' }, h('div', {}, h('h2', {}, 'New job'),
      h('p', { class: 'facts' }, 'Everything but the data set has a default; the full spec is in the API guide.'))),
    h('section', { class: 'panel' }, form)),
    free() {},
  };
}
