// One job: its title, its controls and its panels.

import { answerPanel } from './answer.js';
import { api } from './api.js';
import { childrenPanel, resultsPanel } from './children.js';
import { curvesPanel } from './curves.js';
import { fill, h, setText } from './dom.js';
import { when } from './format.js';
import { frontPanel } from './front.js';
import { logPanel } from './log.js';
import { predictorPanel } from './predictor.js';
import { chosenJob, hasEnded, loadDetail, loadJob, state, watch } from './store.js';
import { timelinePanel } from './timeline.js';

/** Which controls a state admits. @type {Record<string, string[]>} */
const CONTROLS = {
  queued: ['pause', 'cancel'], running: ['pause', 'cancel'], stopping: ['cancel'],
  paused: ['resume', 'cancel'], succeeded: [], failed: [], cancelled: [],
};
const LABELS = { pause: 'Pause', resume: 'Resume', cancel: 'Cancel\u2026' };

/** Asks before a job is lost. @param {string} name @returns {Promise<boolean>} */
function confirmCancel(name) {
  return new Promise((done) => {
    const dialog = h('dialog', { 'aria-labelledby': 'sure', onclose: () => {
      dialog.remove();
      done(dialog.returnValue === 'yes');
    } },
    h('h2', { id: 'sure' }, `Cancel \u201c${name}\u201d?`),
    h('p', {}, 'It stops for good. What it has measured so far stays.'),
    h('div', { class: 'buttons' },
      h('button', { type: 'button', onclick: () => dialog.close('no') }, 'Keep it running'),
      h('button', { type: 'button', class: 'danger', onclick: () => dialog.close('yes') }, 'Cancel the job')));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** @param {string} id */
export function jobView(id) {
  const title = h('h2', {});
  const badge = h('span', { class: 'state' });
  const facts = h('p', { class: 'facts' });
  const buttons = h('div', { class: 'buttons' });
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  const reason = h('p', { class: 'reason', hidden: true });
  const head = h('header', { class: 'head' }, h('div', {}, h('div', { class: 'line' }, title, badge), facts), buttons);
  const body = h('div', { class: 'panels' });
  const element = h('div', {}, head, problem, reason, body);
  /** @type {{element: HTMLElement, free: () => void}[]} */
  let panels = [];
  let shown = '';
  let status = '';

  /** @param {string} text */
  function complain(text) {
    problem.hidden = text === '';
    setText(problem, text);
  }

  /** @param {string} action */
  async function control(action) {
    const job = chosenJob();
    if (!job) return;
    if (action === 'cancel' && !(await confirmCancel(job.name || job.id))) return;
    complain('');
    try {
      await api.control(id, action);
    } catch (error) {
      complain(/** @type {Error} */ (error).message);
    }
    loadJob(id);
  }

  /** @param {import('./types').Job} job */
  function showPanels(job) {
    if (panels.length > 0) return;
    panels = job.architecture
      ? [timelinePanel(), resultsPanel(), answerPanel(id), curvesPanel(), logPanel()]
      : [timelinePanel(), frontPanel(id), answerPanel(id), curvesPanel(), predictorPanel(), logPanel(), childrenPanel(id)];
    fill(body, ...panels.map((p) => p.element));
  }

  function draw() {
    const job = chosenJob();
    const detail = state.detail;
    if (!job) {
      setText(title, detail?.status === 'failed' ? 'No such job' : 'Loading\u2026');
      if (detail?.status === 'failed')
        fill(body, h('p', { class: 'problem', role: 'alert' }, detail.error?.message ?? '', ' ',
          h('button', { type: 'button', class: 'small', onclick: loadDetail }, 'Try again')));
      return;
    }
    showPanels(job);
    if (detail?.status !== status) complain(detail?.status === 'failed' ? (detail.error?.message ?? '') : '');
    status = detail?.status ?? '';
    setText(title, job.name || job.id);
    badge.className = `state ${job.state}`;
    setText(badge, job.state);
    setText(facts, [job.dataset, job.space, job.strategy,
      job.epochs !== undefined ? `${job.epochs} epochs` : null,
      job.created ? `submitted ${when(job.created)}` : null, job.id].filter(Boolean).join(' \u00b7 '));
    reason.hidden = !job.reason;
    reason.className = `reason ${job.state}`;
    setText(reason, job.reason ?? '');
    if (shown !== job.state)
      fill(buttons, ...(CONTROLS[job.state] ?? []).map((action) => h('button', { type: 'button',
        onclick: () => control(action) }, LABELS[/** @type {keyof LABELS} */ (action)])));
    shown = job.state;
    document.title = `${hasEnded(job) ? '' : `${Math.round(100 * (job.progress?.fraction ?? 0))}% `}${job.name || job.id} \u2013 sparsenas`;
  }

  const stop = watch('job', draw);
  draw();
  return {
    element,
    free() {
      stop();
      panels.forEach((p) => p.free());
    },
  };
}
