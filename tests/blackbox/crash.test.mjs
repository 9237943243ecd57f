// Proves that kill -9 loses nothing that was acknowledged and changes nothing
// that is computed: a job killed in the middle of every phase, again and again,
// ends with the same weights and the same evaluations as one that was left
// alone, though one ran on one worker and the other on two; every event that a
// client had is still there, none twice. And that a damaged checkpoint is
// passed over.
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Daemon, makeFolder, smallSpec } from './harness.mjs';

/** @type {Daemon[]} */
const daemons = [];
after(() => Promise.all(daemons.map((d) => d.clear())));

async function newDaemon() {
  const d = new Daemon(await makeFolder());
  daemons.push(d);
  return d.start();
}

/** What must not depend on how a job was run. @param {Daemon} d @param {string} id */
async function outcome(d, id) {
  const job = await d.succeeded(id);
  const pick = (/** @type {any} */ e) => [e.arch, e.split, e.step, e.images, e.accuracy, e.macs];
  return {
    step: job.supernet.step,
    xxh3: job.supernet.xxh3,
    early: (await d.evaluations(id, 'early')).map(pick),
    final: (await d.evaluations(id, 'final')).map(pick),
  };
}

/** Kills the daemon at the first event for which `when` holds; returns what the
 * client had got by then. @param {Daemon} d @param {string} id @param {number} from
 * @param {(event: any) => boolean} when */
async function killWhen(d, id, from, when) {
  const got = [];
  for await (const event of d.events(`?job=${id}`, from)) {
    got.push(event);
    assert.notEqual(event.data.state, 'succeeded', 'it ended before it was killed');
    if (!when(event)) continue;
    assert.equal(await d.end('SIGKILL'), 'SIGKILL');
    return got;
  }
  assert.fail(`the stream ended:\n${d.said}`);
}

/** @type {any} */
let unbroken;

test('an unbroken run on one worker', async () => {
  const d = await newDaemon();
  unbroken = await outcome(d, await d.submit(smallSpec(1)));
  assert.ok(unbroken.step > 0 && unbroken.final.length >= 12);
});

test('the same on two workers, killed in every phase', async () => {
  const d = await newDaemon();
  const id = await d.submit(smallSpec(2));
  let phase = '';
  let evaluations = 0;
  const at = (/** @type {string} */ kind, /** @type {string} */ type, count = 1) => {
    phase = '';
    evaluations = 0;
    return (/** @type {any} */ e) => {
      if (e.type === 'phase') phase = e.data.kind;
      if (e.type === type && (type !== 'checkpoint' || phase === kind || e.data.phase === kind)) evaluations += phase === kind || phase === '' ? 1 : 0;
      return phase === kind && evaluations >= count;
    };
  };
  const points = [at('warmup', 'checkpoint', 2), at('probe', 'evaluation', 5), at('train', 'checkpoint', 2), at('train', 'checkpoint', 3),
    at('evaluate', 'evaluation', 3), at('search', 'phase', 1)];
  /** @type {any[]} */
  const acknowledged = [];
  for (const point of points) {
    phase = '';
    evaluations = 0;
    const from = acknowledged.filter((e) => e.id > 0).at(-1)?.id ?? 0;
    acknowledged.push(...await killWhen(d, id, from, point));
    await d.start();
  }
  assert.deepEqual(await outcome(d, id), unbroken);
  assert.equal((d.said.match(/resumed at step/g) ?? []).length, points.length);

  // Every event that was seen is still there, as it was, and once.
  const stored = new Map();
  for await (const event of d.events(`?job=${id}`, 0)) {
    assert.ok(!stored.has(event.id), `event ${event.id} came twice`);
    if (event.id > 0) stored.set(event.id, event);
    if (event.data.state === 'succeeded') break;
  }
  for (const event of acknowledged.filter((e) => e.id > 0)) assert.deepEqual(stored.get(event.id), event);
  // One row an evaluation, however often it was made.
  const rows = (await d.get(`/jobs/${id}/evaluations?limit=1000`)).items.map((/** @type {any} */ e) => [e.arch, e.stage, e.split, e.step].join());
  assert.equal(new Set(rows).size, rows.length);
});

test('jobs that were accepted are there after a kill at once', async () => {
  const d = await newDaemon();
  const ids = [];
  for (let i = 0; i < 5; i++) ids.push(await d.submit({ ...smallSpec(1), epochs: 400, name: `job ${i}` }));
  await d.end('SIGKILL');
  await d.start();
  const items = (await d.get('/jobs')).items;
  assert.deepEqual(items.map((/** @type {any} */ j) => j.id).sort(), ids.sort());
});

/** Flips a bit in the middle of a job's newest checkpoint. @param {string} folder */
async function damageNewest(folder) {
  const files = (await readdir(folder)).filter((f) => f.endsWith('.safetensors'));
  const step = (/** @type {string} */ f) => Number((/\d+/.exec(f) ?? ['0'])[0]);
  const newest = files.sort((a, b) => step(b) - step(a))[0];
  const bytes = await readFile(join(folder, newest));
  bytes[bytes.length >> 1] ^= 1;
  await writeFile(join(folder, newest), bytes);
}

test('a checkpoint damaged while its job is paused is passed over', async () => {
  const d = await newDaemon();
  const id = await d.submit(smallSpec(2));
  await d.until(id, (j) => j.supernet.step > 0 && j.phase.kind !== 'prepare');
  assert.equal((await d.post(`/jobs/${id}/pause`)).status, 202);
  await d.until(id, (j) => j.state === 'paused');
  await damageNewest(join(d.state, 'jobs', id, 'checkpoints'));
  assert.equal((await d.post(`/jobs/${id}/resume`)).status, 202);
  assert.deepEqual(await outcome(d, id), unbroken);
  assert.match(d.said, /a checkpoint is damaged/);
});

test('a damaged checkpoint is passed over, and told', async () => {
  const d = await newDaemon();
  const id = await d.submit(smallSpec(2));
  let checkpoints = 0;
  await killWhen(d, id, 0, (e) => e.type === 'checkpoint' && ++checkpoints >= 4);
  const folder = join(d.state, 'jobs', id, 'checkpoints');
  await damageNewest(folder);
  await d.start();
  assert.deepEqual(await outcome(d, id), unbroken);
  assert.match(d.said, /damaged/);
  assert.ok((await readdir(folder)).some((f) => f.endsWith('.damaged')), 'it is kept aside');
});
