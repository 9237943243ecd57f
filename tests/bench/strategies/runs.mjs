// Runs jobs on a daemon of its own, one after the other, and keeps what came
// out of each in a folder: a run whose spec and program are the same is not run
// again. A benchmark that was stopped goes on where it was.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { mergeSpecs } from './arms.mjs';

const TRAINING = ['warmup', 'probe', 'fit', 'filter', 'train'];
const POLL_MS = 500;
/** How near a budget is met, and how often that is tried. */
const CLOSE = 0.002, TRIES = 12;

/** @param {string} path @returns {Promise<string>} */
export function hashOfFile(path) {
  return new Promise((done, fail) => {
    const hash = createHash('sha256');
    createReadStream(path).on('data', (d) => hash.update(d)).on('error', fail).on('end', () => done(hash.digest('hex')));
  });
}

export class Runs {
  /** @param {any} daemon @param {string} folder @param {string} program its hash @param {(text: string) => void} say */
  constructor(daemon, folder, program, say) {
    this.daemon = daemon;
    this.folder = folder;
    this.program = program;
    this.say = say;
    mkdirSync(folder, { recursive: true });
  }

  /** The resolved spec and what it will cost. @param {any} spec */
  async forecast(spec) {
    const reply = await this.daemon.post('/jobs?dry_run=true', spec);
    const text = await reply.text();
    if (reply.status !== 200) throw new Error(`the daemon refuses a run: ${text}`);
    return JSON.parse(text);
  }

  /** MACs of training by forecast, probes included. @param {any} spec */
  async trainingMacs(spec) {
    const { forecast } = await this.forecast(spec);
    return TRAINING.reduce((sum, phase) => sum + (forecast.phase_macs[phase] ?? 0), 0);
  }

  /** The spec with as many epochs as cost so many MACs, from a guess at them.
   * @param {any} spec @param {number} macs */
  async fitted(spec, macs) {
    let epochs = spec.epochs, off = 1;
    // nearly in proportion: probes have a least number
    for (let i = 0; i < TRIES && Math.abs(off) > CLOSE; i++) {
      const cost = await this.trainingMacs(mergeSpecs(spec, { epochs })).catch(() => 0);
      off = cost > 0 ? macs / cost - 1 : 1; // too short to be a job: longer
      epochs = Number((epochs * (1 + off)).toPrecision(5));
    }
    return mergeSpecs(spec, { epochs });
  }

  /** @param {any} spec @param {string} data checksum of its images */
  pathOf(spec, data) {
    const key = createHash('sha256').update(JSON.stringify([spec, data, this.program])).digest('hex').slice(0, 24);
    return join(this.folder, `${key}.json`);
  }

  /** @param {any} spec @param {string} data @returns {any} null if it was not run yet */
  kept(spec, data) {
    const path = this.pathOf(spec, data);
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null;
  }

  /** One job to its end, or what was kept of it. @param {any} spec @param {string} data */
  async run(spec, data) {
    const known = this.kept(spec, data);
    if (known) return known;
    const id = await this.daemon.submit(spec);
    let job;
    do {
      await new Promise((done) => setTimeout(done, POLL_MS));
      job = await this.daemon.get(`/jobs/${id}`);
    } while (!['succeeded', 'failed', 'cancelled'].includes(job.state));
    if (job.state !== 'succeeded') throw new Error(`job ${job.name} ended ${job.state}: ${job.reason}`);
    const result = await this.describe(job);
    await this.daemon.call(`/jobs/${id}`, { method: 'DELETE' });
    await this.daemon.call(`/supernets/job-${id}`, { method: 'DELETE' });
    const path = this.pathOf(spec, data);
    writeFileSync(`${path}.new`, JSON.stringify(result));
    renameSync(`${path}.new`, path);
    return result;
  }

  /** What is kept of a finished job. @param {any} job */
  async describe(job) {
    const predictors = (await this.daemon.get(`/jobs/${job.id}/predictors?points=1`)).items;
    const { members, ...subspace } = await this.daemon.get(`/jobs/${job.id}/subspace?limit=1`);
    const log = (await this.daemon.get(`/jobs/${job.id}/log?limit=1000`)).items;
    const cost = (/** @type {string} */ what) => TRAINING.reduce((sum, phase) => sum + (job.cost[phase]?.[what] ?? 0), 0);
    return {
      spec: job.spec, macs: cost('macs'), cpu_s: cost('cpu_s'), wall_s: cost('wall_s'), images: cost('images'),
      total: job.cost.total,
      ceilings: job.answers.filter((/** @type {any} */ a) => a.cost === 'macs').map((/** @type {any} */ a) => ({
        macs: a.macs, arch: a.best.arch, arch_macs: a.best.macs, holdout: a.best.accuracy,
        accuracy: a.test_accuracy?.value ?? 0, images: a.test_accuracy?.images ?? 0,
      })),
      predictors: predictors.map(({ points, ...rest }) => rest),
      subspace: subspace.size > 0 ? subspace : null,
      log: log.filter((/** @type {any} */ l) => l.level !== 'debug').map((/** @type {any} */ l) => l.text),
    };
  }
}
