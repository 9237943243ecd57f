// The list of jobs.

import { fill, h } from './dom.js';
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

/** @param {import('./types').Job} job */
function row(job) {
  const fraction = job.state === 'succeeded' ? 1 : (job.progress?.fraction ?? 0);
  const bar = h('i', {});
  bar.style.width = `${100 * fraction}%`;
  return h('li', {}, h('a', { class: `job ${job.state}`, href: `#/jobs/${encodeURIComponent(job.id)}`,
    'aria-current': state.detail?.id === job.id ? 'page' : undefined },
  h('span', { class: 'name' }, job.name || job.id),
  h('span', { class: 'best' }, percent(job.best_accuracy)),
  h('span', { class: 'sub' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), subtitle(job)),
  h('span', { class: 'bar', role: 'progressbar', 'aria-label': 'progress', 'aria-valuemin': '0',
    'aria-valuemax': '100', 'aria-valuenow': String(Math.round(100 * fraction)) }, bar)));
}

/** @param {HTMLElement} element */
export function jobsList(element) {
  const list = h('ol', {});
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
    // Rows are made anew: keep the focus where it was.
    const focused = document.activeElement instanceof HTMLAnchorElement && list.contains(document.activeElement)
      ? document.activeElement.hash : null;
    fill(list, ...jobs.map(row));
    if (focused) for (const a of list.querySelectorAll('a')) if (a.hash === focused) a.focus();
  }

  watch('jobs', draw);
  draw();
}
