// The dashboard: which view the address names, and the stream that feeds them.

import 'uplot/dist/uPlot.min.css';
import './app.css';
import { api } from './api.js';
import { fill, h, setText } from './dom.js';
import { openEvents } from './events.js';
import { jobView } from './job.js';
import { jobsList } from './jobs.js';
import { changed, choose, jobsInOrder, loadDetail, loadJobs, state, take, watch } from './store.js';
import { submitView } from './submit.js';

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const link = /** @type {HTMLElement} */ (document.getElementById('link'));
const machine = /** @type {HTMLElement} */ (document.getElementById('machine'));

/** @type {{element: HTMLElement, free: () => void} | null} */
let view = null;
let route = '';

/** @param {{element: HTMLElement, free: () => void}} next */
function show(next) {
  view?.free();
  view = next;
  fill(main, next.element);
}

/** Without an address the newest job is shown. */
function go() {
  const wanted = location.hash.replace(/^#\/?/, '');
  const newest = jobsInOrder()[0];
  const now = wanted || (newest ? `jobs/${encodeURIComponent(newest.id)}` : '');
  if (now === route && view) return;
  route = now;
  if (now === 'new') {
    choose(null);
    show(submitView((id) => (location.hash = `#/jobs/${encodeURIComponent(id)}`)));
  } else if (now.startsWith('jobs/')) {
    const id = decodeURIComponent(now.slice(5));
    choose(id);
    show(jobView(id));
  } else {
    document.title = 'sparsenas';
    show({ element: h('div', { class: 'welcome' },
      h('h2', {}, state.jobsStatus === 'loading' ? 'Loading\u2026' : 'No job yet'),
      state.jobsStatus === 'ready' && h('p', {}, 'A job trains one supernet on your images and answers which of its architectures are the best within a latency on this machine. ',
        h('a', { href: '#/new' }, 'Submit the first.'))), free() {} });
    route = state.jobsStatus;
  }
}

const WORDS = { connecting: 'connecting', live: 'live', lost: 'connection lost, trying again' };

function drawLink() {
  link.className = `link ${state.link}`;
  setText(/** @type {Element} */ (link.querySelector('.text')), WORDS[state.link]);
}

jobsList(/** @type {HTMLElement} */ (document.getElementById('jobs')));
watch('link', drawLink);
watch('jobs', () => {
  if (!location.hash || location.hash === '#/') go();
});
addEventListener('hashchange', () => {
  go();
  main.focus();
});
go();
loadJobs();
openEvents({
  link(now) {
    state.link = now;
    changed('link');
  },
  fresh() {
    loadJobs();
    loadDetail();
  },
  event: take,
});
api.version().then(
  (v) => setText(machine, [v.version, v.runtime].filter(Boolean).join(' \u00b7 ')),
  () => setText(machine, ''));
