// The HTTP API, as far as the page uses it. Every refusal becomes an ApiError
// that carries the daemon's problem document.

/** @typedef {import('./types').Problem} Problem */

const BASE = '/api/v1';

export class ApiError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.detail || problem.title);
    this.problem = problem;
  }
}

/**
 * @param {string} path below the base, with its query
 * @param {RequestInit} [init]
 * @returns {Promise<any>} the parsed reply
 */
async function call(path, init) {
  let reply;
  try {
    reply = await fetch(BASE + path, { ...init, headers: {
      accept: 'application/json', ...(init?.body ? { 'content-type': 'application/json' } : {}) } });
  } catch {
    throw new ApiError({ status: 0, title: 'The daemon does not answer.', errors: [] });
  }
  const text = await reply.text();
  /** @type {any} */
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = null;
  }
  if (!reply.ok)
    throw new ApiError({
      status: reply.status,
      title: body?.title ?? `${reply.status} ${reply.statusText}`,
      detail: body?.detail,
      errors: body?.errors ?? [],
    });
  return body;
}

/** @param {string} id */
const job = (id) => `/jobs/${encodeURIComponent(id)}`;

/** @param {Record<string, string | number | undefined>} query */
function search(query) {
  const set = Object.entries(query).filter(([, v]) => v !== undefined);
  return set.length ? `?${new URLSearchParams(set.map(([k, v]) => [k, String(v)]))}` : '';
}

/**
 * All items of a list, page by page, up to a bound.
 * @param {string} path
 * @param {Record<string, string | number | undefined>} query
 * @param {number} [most]
 */
async function all(path, query, most = 20000) {
  const items = [];
  /** @type {string | undefined} */
  let cursor;
  do {
    const page = await call(path + search({ limit: 1000, ...query, cursor }));
    items.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor && items.length < most);
  return items;
}

export const api = {
  /** @returns {Promise<any>} */
  version: () => call('/version'),
  /** @returns {Promise<import('./types').Job[]>} */
  jobs: () => all('/jobs', {}),
  /** @param {string} id @returns {Promise<import('./types').Job>} */
  job: (id) => call(job(id)),
  /** @param {string} id @param {string} action */
  control: (id, action) => call(`${job(id)}/${action}`, { method: 'POST' }),
  /** @param {object} spec @param {boolean} dryRun */
  submit: (spec, dryRun) =>
    call(`/jobs${dryRun ? '?dry_run=true' : ''}`, { method: 'POST', body: JSON.stringify(spec) }),
  /** @param {string} id @param {string} name @returns {Promise<import('./types').Point[]>} */
  series: async (id, name) => (await call(`${job(id)}/series${search({ name, points: 2000 })}`)).items,
  /** @param {string} id @returns {Promise<import('./types').Evaluation[]>} */
  evaluations: (id) => all(`${job(id)}/evaluations`, {}),
  /** @param {string} id @returns {Promise<{ items: import('./types').Predictor[], outcome: import('./types').Outcome | null }>} */
  predictors: (id) => call(`${job(id)}/predictors`),
  /** @param {string} id @returns {Promise<any>} */
  subspace: (id) => call(`${job(id)}/subspace`),
  /** @param {string} id @returns {Promise<import('./types').LogLine[]>} */
  log: (id) => all(`${job(id)}/log`, {}, 2000),
  /** @param {string} id @param {string} cost @returns {Promise<import('./types').Front>} */
  front: (id, cost) => call(`${job(id)}/front${search({ cost })}`),
  /** @param {string} id @param {number} latency @returns {Promise<any>} */
  best: (id, latency) => call(`${job(id)}/best${search({ latency_ms: latency, k: 1 })}`),
  /** @param {string} id @param {string} arch @param {'finetune' | 'scratch'} kind @param {number | string} epochs
   *  @returns {Promise<import('./types').Job>} */
  after: (id, arch, kind, epochs) => call(`${job(id)}/architectures/${encodeURIComponent(arch)}/${kind}`,
    { method: 'POST', body: JSON.stringify({ epochs }) }),
  /** @returns {Promise<any[]>} */
  datasets: async () => (await call('/datasets')).items,
  /** @returns {Promise<any[]>} */
  spaces: async () => (await call('/spaces')).items,
  /** @returns {Promise<import('./types').Supernet[]>} */
  supernets: async () => (await call('/supernets')).items,
};

/** The path of an architecture's model. @param {string} id @param {string} arch @param {'model.onnx' | 'weights.safetensors'} file */
export function modelPath(id, arch, file) {
  return `${BASE}${job(id)}/architectures/${encodeURIComponent(arch)}/${file}`;
}

/** The path of a job's best answer. @param {string} id @param {string} latency */
export function bestPath(id, latency) {
  return `${BASE}${job(id)}/best?latency_ms=${latency}&k=1`;
}

/** A line for a shell that asks for a path of this daemon. @param {string} path @param {string} [output] */
export function curlLine(path, output) {
  return `curl -s ${output ? `-o ${output} ` : ''}'${location.origin}${path}'`;
}
