// Where a job is: its phases on a line, each as long as it took, the progress
// of the running one, and what every phase has cost.

import { fill, h, panel } from './dom.js';
import { count, duration, fixed, known, percent } from './format.js';
import { chosenJob, hasEnded, watch } from './store.js';

const KINDS = ['prepare', 'warmup', 'probe', 'fit', 'filter', 'train', 'evaluate', 'search'];

/** @param {import('./types').Job} job */
function segments(job) {
  const cost = job.cost ?? {};
  const now = hasEnded(job) ? undefined : (job.progress?.phase ?? job.phase)?.kind;
  const seen = KINDS.filter((k) => cost[k] || k === now);
  const most = Math.max(...seen.map((k) => cost[k]?.wall_s ?? 0), 1e-9);
  return h('ol', { class: 'phases', 'aria-label': 'phases' }, ...KINDS.map((kind) => {
    const wall = cost[kind]?.wall_s;
    const item = h('li', { class: kind === now ? 'now' : wall ? 'done' : 'ahead',
      'aria-current': kind === now ? 'step' : undefined },
    h('span', {}, kind), h('small', {}, wall ? duration(wall) : kind === now ? 'now' : '\u00a0'));
    // Short phases stay legible: a tenth of the longest at least.
    item.style.flexGrow = String(Math.max((wall ?? 0) / most, 0.1));
    if (kind === now) item.style.setProperty('--done', `${100 * (job.progress?.phase_fraction ?? 0)}%`);
    return item;
  }));
}

/** @param {import('./types').Job} job */
function costs(job) {
  const cost = Object.entries(job.cost ?? {});
  if (cost.length === 0) return null;
  return h('details', {}, h('summary', {}, 'Cost by phase'),
    h('div', { class: 'scroll' }, h('table', {},
      h('thead', {}, h('tr', {}, ...['phase', 'wall', 'CPU', 'images', 'MACs']
        .map((t) => h('th', { scope: 'col' }, t)))),
      h('tbody', {}, ...cost.map(([kind, c]) => h('tr', { class: kind === 'total' ? 'total' : undefined },
        h('th', { scope: 'row' }, kind), h('td', {}, duration(c.wall_s)), h('td', {}, duration(c.cpu_s)),
        h('td', {}, count(c.images)), h('td', {}, count(c.macs))))))));
}

export function timelinePanel() {
  const line = h('div', {});
  const live = h('dl', { class: 'numbers now' });
  const more = h('div', {});
  let listed = '';

  function draw() {
    const job = chosenJob();
    if (!job) return;
    const p = job.progress ?? {};
    const over = hasEnded(job);
    fill(line, segments(job));
    fill(live,
      h('div', {}, h('dt', {}, 'done'), h('dd', {}, percent(job.state === 'succeeded' ? 1 : p.fraction))),
      !over && h('div', {}, h('dt', {}, 'to go'), h('dd', {}, duration(p.eta_s))),
      !over && h('div', {}, h('dt', {}, 'images/s'), h('dd', {}, count(p.images_per_s))),
      h('div', {}, h('dt', {}, 'epoch'), h('dd', {}, known(p.epoch) ? fixed(p.epoch, 1) : '\u2013',
        job.epochs ? h('small', {}, ` of ${job.epochs}`) : null)),
      h('div', {}, h('dt', {}, 'step'), h('dd', {}, known(p.step) ? p.step.toLocaleString('en') : '\u2013')),
      h('div', {}, h('dt', {}, 'best accuracy'), h('dd', {}, percent(job.best_accuracy, 2))));
    const key = JSON.stringify(job.cost ?? null);
    if (key !== listed) {
      const open = more.querySelector('details')?.open ?? false;
      fill(more, costs(job));
      const details = more.querySelector('details');
      if (details) details.open = open;
    }
    listed = key;
  }

  const stop = watch('job', draw);
  draw();
  return { element: panel('Progress', null, line, live, more), free: stop };
}
