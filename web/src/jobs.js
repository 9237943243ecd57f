// The list of jobs.

import { fill, h, setText } from './dom.js';
import { duration, percent } from './format.js';
import { hasEnded, jobsInOrder, loadJobs, state, watch } from './store.js';

/** @param {import('./types').Job} job */
function subtitle(job) {
  if (job.state === 'running') {
    const phase = (job.progress?.phase ?? job.phase)?.name ?? 'starting';
    const eta = job.progress?.eta_s;
    return eta ? `${phase}, ${duration(eta)} to go` : phase;
  }
  if (hasEnded(job) && job.started && job.ended) return `${job.state} after ${duration(job.ended - job.started)}`;
  return job.paused_by === 'disk' ? 'paused: disk full' : job.state;
}

/** A row that stays while its job changes: a click needs its element to be there
 * from the press to the release. @param {string} id */
function makeRow(id) {
  const name = h('span', { class: 'name' });
  const best = h('span', { class: 'best' });
  const text = h('span', {});
  const bar = h('i', {});
  const progress = h('span', { class: 'bar', role: 'progressbar', 'aria-label': 'progress', 'aria-valuemin': '0',
    'aria-valuemax': '100' }, bar);
  const link = h('a', { href: `#/jobs/${encodeURIComponent(id)}` }, name, best,
    h('span', { class: 'sub' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), text), progress);
  return {
    element: h('li', {}, link),
    /** @param {import('./types').Job} job */
    draw(job) {
      const fraction = job.state === 'succeeded' ? 1 : (job.progress?.fraction ?? 0);
      link.className = `job ${job.state}`;
      if (state.detail?.id === id) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
      setText(name, job.name || id);
      setText(best, percent(job.best_accuracy));
      setText(text, subtitle(job));
      bar.style.width = `${100 * fraction}%`;
      progress.setAttribute('aria-valuenow', String(Math.round(100 * fraction)));
    },
  };
}

/** @param {HTMLElement} element */
export function jobsList(element) {
  const list = h('ol', {});
  /** @type {Map<string, ReturnType<typeof makeRow>>} */
  const rows = new Map();
  const note = h('div', {});
  element.append(
    h('header', {}, h('h2', {}, 'Jobs'), h('a', { class: 'button', href: '#/new' }, 'New job')), note, list);

  function draw() {
    const jobs = jobsInOrder();
    if (state.jobsStatus === 'loading') fill(note, h('p', { class: 'empty' }, 'Loading\u2026'));
    else if (state.jobsStatus === 'failed')
      fill(note, h('p', { class: 'problem', role: 'alert' }, state.jobsError?.message ?? '', ' ',
        h('button', { type: 'button', class: 'small', onclick: loadJobs }, 'Try again')));
    else fill(note, jobs.length === 0 && h('p', { class: 'empty' }, 'No job yet. Submit one here or with curl.'));
    const known = new Set(jobs.map((job) => job.id));
    for (const id of rows.keys()) if (!known.has(id)) rows.delete(id);
    const elements = jobs.map((job) => {
      const row = rows.get(job.id) ?? makeRow(job.id);
      rows.set(job.id, row);
      row.draw(job);
      return row.element;
    });
    if (elements.length === list.children.length && elements.every((e, i) => e === list.children[i])) return;
    // Moving an element takes the focus from it.
    const focused = document.activeElement;
    fill(list, ...elements);
    if (focused instanceof HTMLAnchorElement && list.contains(focused)) focused.focus();
  }

  watch('jobs', draw);
  draw();
}
