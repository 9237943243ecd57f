// The real daemon, driven from outside: started on a free port with a state
// folder of its own, spoken to over HTTP, killed and started again. Other
// tests of this folder stand on it; it proves nothing itself.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const build = resolve(process.env.top_builddir ?? '.');
export const program = join(build, 'sparsenasd');
assert.ok(existsSync(program), `${program} is not built`);

/** Fashion-MNIST as Debian's package installs it. */
export const images = '/usr/share/datasets/fashion-mnist';
assert.ok(existsSync(images), 'Fashion-MNIST is not here (Debian: dataset-fashion-mnist)');

/** How long anything may take before the test gives up, on a busy machine. */
const PATIENCE_MS = 240_000;
const RUN_ONCE_MS = 60_000;

/** A whole job, all phases, in a few seconds. One cost band, enough probes and
 * images: the early predictor is trusted, so that it trains in a sub-space.
 * @param {number} workers */
export function smallSpec(workers) {
  return {
    name: 'small', dataset: 'fashion-mnist', epochs: 4, seed: 12,
    train: { train_limit: 2000, holdout: 2000, batch_size: 64, workers, checkpoint_s: 0.1 },
    sparsenas: { warmup_epochs: 1.5, probes: 60, probe_images: 1000, probe_calibration: 64, bands: 1, subspace_size: 60, min_tau: -1, max_retries: 0 },
    search: { evaluations: 12, calibration: 128, population: 16, generations: 4 },
  };
}

/** @returns {Promise<string>} */
export const makeFolder = () => mkdtemp(join(tmpdir(), 'sparsenas-blackbox-'));

/** @param {number} ms */
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Runs the program to its end; one that does not end is killed.
 * @param {string[]} args
 * @returns {Promise<{code: number | null, text: string}>} */
export function runOnce(args) {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: RUN_ONCE_MS, killSignal: 'SIGKILL' });
    let text = '';
    child.stdout.on('data', (d) => { text += d; });
    child.stderr.on('data', (d) => { text += d; });
    child.on('error', fail);
    child.on('close', (code) => done({ code, text }));
  });
}

export class Daemon {
  /** @param {string} folder @param {string[]} args */
  constructor(folder, args = []) {
    this.folder = folder;
    this.state = join(folder, 'state');
    this.args = args;
    this.said = '';
    this.base = '';
    /** @type {import('node:child_process').ChildProcess | undefined} */
    this.child = undefined;
    /** @type {Promise<number | string>} */
    this.ended = Promise.resolve(0);
  }

  async start() {
    const ready = join(this.folder, 'ready');
    await rm(ready, { force: true });
    const child = spawn(program, ['--state-dir', this.state, '--listen', '127.0.0.1:0', '--ready-file', ready, ...this.args],
      { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stderr.on('data', (d) => { this.said += d; });
    this.child = child;
    this.ended = new Promise((done) => child.on('close', (code, signal) => done(code ?? signal ?? 'nothing')));
    let gone = false;
    this.ended.then(() => { gone = true; });
    for (const until = Date.now() + PATIENCE_MS; !existsSync(ready); await sleep(20)) {
      assert.ok(!gone, `the daemon ended at its start:\n${this.said}`);
      assert.ok(Date.now() < until, `the daemon does not serve:\n${this.said}`);
    }
    this.base = (await readFile(ready, 'utf8')).trim();
    return this;
  }

  /** @param {NodeJS.Signals} signal @returns {Promise<number | string>} */
  async end(signal = 'SIGTERM') {
    this.child?.kill(signal);
    return this.ended;
  }

  /** Ends the daemon, whatever happened, and removes its folder. */
  async clear() {
    await this.end('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }

  /** @param {string} path @param {RequestInit} init */
  call(path, init = {}) {
    return fetch(path.startsWith('/api') || path.startsWith('/healthz') || path.startsWith('/readyz')
      ? this.base + path : `${this.base}/api/v1${path}`, init);
  }

  /** @param {string} path @returns {Promise<any>} */
  async get(path) {
    const reply = await this.call(path);
    const text = await reply.text();
    assert.equal(reply.status, 200, `GET ${path}: ${text}`);
    return JSON.parse(text);
  }

  /** @param {string} path @param {unknown} body @param {Record<string, string>} headers */
  post(path, body = undefined, headers = {}) {
    return this.call(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  /** @param {unknown} spec @returns {Promise<string>} the job's id */
  async submit(spec) {
    const reply = await this.post('/jobs', spec);
    const text = await reply.text();
    assert.equal(reply.status, 201, text);
    return JSON.parse(text).id;
  }

  /** Waits until a job is as it should be.
   * @param {string} id @param {(job: any) => boolean} is @returns {Promise<any>} */
  async until(id, is) {
    for (const until = Date.now() + PATIENCE_MS; ; await sleep(50)) {
      const job = await this.get(`/jobs/${id}`);
      if (is(job)) return job;
      assert.ok(Date.now() < until, `job ${id} stays ${job.state} (${job.reason}):\n${this.said}`);
    }
  }

  /** @param {string} id */
  async succeeded(id) {
    const job = await this.until(id, (j) => ['succeeded', 'failed', 'cancelled'].includes(j.state));
    assert.equal(job.state, 'succeeded', `${job.reason}\n${this.said}`);
    return job;
  }

  /** All evaluations of a stage, in an order of their own.
   * @param {string} id @param {string} stage @returns {Promise<any[]>} */
  async evaluations(id, stage) {
    const list = await this.get(`/jobs/${id}/evaluations?stage=${stage}&limit=1000`);
    return list.items.sort((/** @type {any} */ a, /** @type {any} */ b) => (a.arch < b.arch ? -1 : a.arch > b.arch ? 1 : a.split < b.split ? -1 : 1));
  }

  /** Follows the event stream; ends when the daemon does, or by `return`.
   * @param {string} query @param {number} lastId
   * @returns {AsyncGenerator<{id: number, type: string, job: string | null, data: any}>} */
  async *events(query = '', lastId = -1) {
    const stop = new AbortController();
    const late = setTimeout(() => stop.abort(new Error(`no event comes any more:\n${this.said}`)), PATIENCE_MS);
    const reply = await fetch(`${this.base}/api/v1/events${query}`, {
      headers: lastId >= 0 ? { 'Last-Event-ID': String(lastId) } : {},
      signal: stop.signal,
    });
    assert.equal(reply.status, 200);
    assert.match(reply.headers.get('content-type') ?? '', /^text\/event-stream/);
    let text = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of /** @type {any} */ (reply.body)) {
        text += decoder.decode(chunk, { stream: true });
        for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
          const event = parseEvent(text.slice(0, at));
          text = text.slice(at + 2);
          late.refresh();
          if (event) yield event;
        }
      }
    } catch (err) {
      if (!(err instanceof TypeError)) throw err; // the connection broke
    } finally {
      clearTimeout(late);
      stop.abort();
    }
  }
}

/** @param {string} text */
function parseEvent(text) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, '');
  }
  if (fields.data === undefined) return null;
  const { job, data } = JSON.parse(fields.data);
  return { id: fields.id === undefined ? 0 : Number(fields.id), type: fields.event, job, data };
}
