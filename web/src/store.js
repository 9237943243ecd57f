// What the page knows: the jobs, and all about the chosen one. Snapshots come
// from the API, changes from the stream of events; an event that a snapshot
// already holds changes nothing, so their order does not matter.
//
// Views call watch(topic, draw) and are drawn at most once a frame. The topics:
// link, jobs, job, series, evaluations, predictor, front, log.

import { api } from './api.js';

/** @typedef {import('./types').Job} Job */
/** @typedef {import('./types').Evaluation} Evaluation */
/** @typedef {import('./types').Point} Point */

export const SERIES = ['loss', 'accuracy'];
const LOG_LINES = 500;
const ENDED = new Set(['succeeded', 'failed', 'cancelled']);

/** @param {Job} job */
export const hasEnded = (job) => ENDED.has(job.state);

/** @param {string} id */
function newDetail(id) {
  return {
    id,
    /** @type {'loading' | 'ready' | 'failed'} */
    status: 'loading',
    /** @type {Error | null} */
    error: null,
    /** @type {Record<string, Point[]>} */
    series: Object.fromEntries(SERIES.map((name) => [name, []])),
    /** @type {Map<string, Evaluation>} */
    evaluations: new Map(),
    /** @type {import('./types').Predictor[]} */
    predictors: [],
    /** @type {import('./types').Outcome | null} */
    outcome: null,
    /** @type {import('./types').Subspace | null} */
    subspace: null,
    /** @type {Record<string, import('./types').Front | null>} */
    fronts: { latency_ms: null, macs: null },
    /** @type {import('./types').LogLine[]} */
    log: [],
  };
}

export const state = {
  /** @type {import('./events').LinkState} */
  link: 'connecting',
  /** @type {'loading' | 'ready' | 'failed'} */
  jobsStatus: 'loading',
  /** @type {Error | null} */
  jobsError: null,
  /** @type {Map<string, Job>} */
  jobs: new Map(),
  /** @type {ReturnType<typeof newDetail> | null} */
  detail: null,
};

/** @type {Map<string, Set<() => void>>} */
const watchers = new Map();
/** @type {Set<() => void>} */
const due = new Set();

/**
 * @param {string} topics separated by spaces
 * @param {() => void} draw
 * @returns {() => void} stops watching
 */
export function watch(topics, draw) {
  for (const topic of topics.split(' ')) {
    if (!watchers.has(topic)) watchers.set(topic, new Set());
    watchers.get(topic)?.add(draw);
  }
  return () => {
    due.delete(draw);
    for (const set of watchers.values()) set.delete(draw);
  };
}

/** @param {...string} topics */
export function changed(...topics) {
  const idle = due.size === 0;
  for (const topic of topics) for (const draw of watchers.get(topic) ?? []) due.add(draw);
  if (idle && due.size > 0) requestAnimationFrame(() => {
    const now = [...due];
    due.clear();
    for (const draw of now) draw();
  });
}

/** The chosen job, once it is known. @returns {Job | undefined} */
export function chosenJob() {
  return state.detail ? state.jobs.get(state.detail.id) : undefined;
}

/** The jobs as they are listed: newest first. */
export function jobsInOrder() {
  return [...state.jobs.values()].sort((a, b) => (b.created ?? 0) - (a.created ?? 0));
}

export async function loadJobs() {
  try {
    const jobs = await api.jobs();
    const before = state.jobs;
    state.jobs = new Map(jobs.map((j) => [j.id, { ...before.get(j.id), ...j }]));
    state.jobsStatus = 'ready';
  } catch (error) {
    state.jobsStatus = 'failed';
    state.jobsError = /** @type {Error} */ (error);
  }
  changed('jobs', 'job');
}

/** @type {Set<string>} */
const loadingJobs = new Set();

/** Reads one job anew; calls while it is being read are one. @param {string} id */
export async function loadJob(id) {
  if (loadingJobs.has(id)) return;
  loadingJobs.add(id);
  await new Promise((done) => setTimeout(done, 50));
  loadingJobs.delete(id);
  try {
    const job = await api.job(id);
    state.jobs.set(id, { ...state.jobs.get(id), ...job });
  } catch (error) {
    if (/** @type {any} */ (error).problem?.status === 404) state.jobs.delete(id);
  }
  changed('jobs', 'job');
}

/** Chooses a job (or none) and reads all about it. @param {string | null} id */
export function choose(id) {
  state.detail = id ? newDetail(id) : null;
  changed('jobs', 'job');
  return loadDetail();
}

/** Reads all about the chosen job anew. */
export async function loadDetail() {
  const detail = state.detail;
  if (!detail) return;
  const { id } = detail;
  const set = (/** @type {() => void} */ change) => {
    if (state.detail === detail) change();
  };
  try {
    const job = await api.job(id);
    state.jobs.set(id, { ...state.jobs.get(id), ...job });
    const parts = await Promise.all([
      Promise.all(SERIES.map((name) => api.series(id, name))),
      api.evaluations(id), api.predictors(id), api.subspace(id).catch(none),
      api.front(id, 'latency_ms').catch(none), api.front(id, 'macs').catch(none), api.log(id),
    ]);
    set(() => {
      const [series, evaluations, predictors, subspace, latency, macs, log] = parts;
      SERIES.forEach((name, i) => (detail.series[name] = series[i]));
      for (const e of evaluations) detail.evaluations.set(keyOf(e), e);
      detail.predictors = predictors.items;
      detail.outcome = predictors.outcome ?? null;
      detail.subspace = latestSubspace(subspace);
      detail.fronts = { latency_ms: latency, macs };
      detail.log = log.slice(-LOG_LINES);
      detail.status = 'ready';
      detail.error = null;
    });
  } catch (error) {
    set(() => {
      detail.status = 'failed';
      detail.error = /** @type {Error} */ (error);
    });
  }
  changed('jobs', 'job', 'series', 'evaluations', 'predictor', 'front', 'log');
}

/** A part that is not there yet is no error. @param {any} error */
function none(error) {
  if (error.problem?.status === 404) return null;
  throw error;
}

/** @param {any} reply one sub-space, or the list of all rounds */
function latestSubspace(reply) {
  const last = reply?.items ? reply.items[reply.items.length - 1] : reply;
  return last?.size === undefined ? null : last;
}

/** @param {Evaluation} e */
function keyOf(e) {
  return `${e.arch} ${e.stage} ${e.split} ${e.step}`;
}

/**
 * Takes an event of the stream.
 * @param {string} type @param {string | null} job @param {any} data
 * @param {number} time @param {number} seq
 */
export function take(type, job, data, time, seq) {
  if (!job) return;
  const known = state.jobs.get(job);
  if (!known || type === 'job') {
    if (known) Object.assign(known, data);
    loadJob(job);
  }
  if (known && type === 'phase') known.phase = data;
  if (known && type === 'progress') {
    known.progress = data;
    if (data.phase) known.phase = data.phase;
  }
  if (known && type === 'evaluation' && data.stage !== 'early' && data.split === 'holdout')
    known.best_accuracy = Math.max(known.best_accuracy ?? 0, data.accuracy);
  changed('jobs', 'job');
  if (state.detail?.id === job) takeDetail(state.detail, type, data, time, seq);
}

/**
 * @param {ReturnType<typeof newDetail>} detail
 * @param {string} type @param {any} data @param {number} time @param {number} seq
 */
function takeDetail(detail, type, data, time, seq) {
  switch (type) {
    case 'series':
      if (!SERIES.includes(data.name)) return;
      addPoint(detail.series[data.name], data);
      return changed('series');
    case 'evaluation':
      detail.evaluations.set(keyOf(data), data);
      if (chosenJob()?.architecture) loadJob(detail.id); // its counts before and after
      return changed('evaluations');
    case 'predictor':
      return refresh(detail, 'predictor', async () => {
        detail.predictors = (await api.predictors(detail.id)).items;
      });
    case 'subspace':
      detail.subspace = data;
      return changed('predictor');
    case 'outcome':
      detail.outcome = data;
      return changed('predictor');
    case 'front':
      if (!(data.cost in detail.fronts)) return;
      detail.fronts[data.cost] = data;
      return changed('front', 'evaluations');
    case 'phase':
    case 'answer':
      return void loadJob(detail.id);
    case 'log':
      if (detail.log.some((l) => l.seq === seq && seq > 0)) return;
      detail.log.push({ ...data, time, seq });
      if (detail.log.length > LOG_LINES) detail.log.shift();
      return changed('log');
    default:
  }
}

/**
 * A point at or before the last step is of a run that went back to a
 * checkpoint: it replaces what came after.
 * @param {Point[]} points @param {Point} point
 */
function addPoint(points, point) {
  while (points.length > 0 && points[points.length - 1].step >= point.step) points.pop();
  points.push(point);
}

/**
 * @param {ReturnType<typeof newDetail>} detail @param {string} topic
 * @param {() => Promise<void>} read
 */
function refresh(detail, topic, read) {
  read().catch((error) => (detail.error = error)).finally(() => changed(topic));
}
