// Proves that jobs obey: they wait for their turn by priority and age, pause at
// a checkpoint and go on from there, are cancelled; that what a state does not
// allow is 409; and that SIGTERM stops the daemon with the running job put
// first in the queue.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Daemon, makeFolder, smallSpec } from './harness.mjs';

/** @type {Daemon} */
let d;
before(async () => {
  d = await new Daemon(await makeFolder()).start();
});
after(() => d.clear());

/** A job that does not end by itself. @param {object} more */
const long = (more = {}) => ({ ...smallSpec(1), epochs: 4000, ...more });
/** One whose only checkpoints are those at a stop. @param {string} name */
const unsaved = (name) => {
  const { train, sparsenas, ...rest } = long({ name });
  return { ...rest, train: { ...train, checkpoint_s: 3600 }, sparsenas: { ...sparsenas, warmup_epochs: 3000 } };
};
/** @param {string} id @param {string} action */
const control = async (id, action) => (await d.post(`/jobs/${id}/${action}`)).status;

test('one runs, others wait by priority, then age', async () => {
  const first = await d.submit(long({ name: 'first' }));
  const low = await d.submit(long({ name: 'low', priority: -1 }));
  const normal = await d.submit(long({ name: 'normal' }));
  const high = await d.submit(long({ name: 'high', priority: 7 }));
  await d.until(first, (j) => j.state === 'running');
  for (const id of [low, normal, high]) assert.equal((await d.get(`/jobs/${id}`)).state, 'queued');
  let running = first;
  for (const next of [high, normal, low]) {
    assert.equal(await control(running, 'cancel'), 202);
    await d.until(running, (j) => j.state === 'cancelled');
    await d.until(next, (j) => j.state === 'running');
    running = next;
  }
  assert.equal(await control(low, 'cancel'), 202);
  await d.until(low, (j) => j.state === 'cancelled');
  assert.equal(await control(low, 'resume'), 409);
  assert.equal(await control(low, 'pause'), 409);
});

test('pausing frees the slot; resuming goes on from the checkpoint', async () => {
  const a = await d.submit(unsaved('a'));
  await d.until(a, (j) => j.progress.step > 0);
  const b = await d.submit(long({ name: 'b' }));
  assert.equal(await control(a, 'pause'), 202);
  const paused = await d.until(a, (j) => j.state === 'paused');
  assert.equal(paused.paused_by, 'user');
  assert.ok(paused.supernet.step > 0);
  assert.equal(paused.progress.step, paused.supernet.step);
  await d.until(b, (j) => j.state === 'running');
  assert.equal(await control(a, 'pause'), 409);
  assert.equal((await d.call(`/jobs/${a}`, { method: 'DELETE' })).status, 409);
  assert.equal(await control(b, 'cancel'), 202);
  assert.equal(await control(a, 'resume'), 202);
  await d.until(a, (j) => j.state === 'running' && j.progress.step > paused.supernet.step);
  assert.match(d.said, new RegExp(`resumed at step ${paused.supernet.step},`));
  assert.equal(await control(a, 'resume'), 409);
});

test('after SIGTERM the running job goes on before all others', async () => {
  const [a] = (await d.get('/jobs?state=running')).items;
  const high = await d.submit(long({ name: 'high', priority: 50 }));
  const before = await d.get(`/jobs/${a.id}`);
  assert.equal(await d.end('SIGTERM'), 0);
  await d.start();
  assert.match(d.said, /stopping running_jobs=1/);
  const again = await d.until(a.id, (j) => j.state === 'running');
  assert.ok(again.supernet.step >= before.progress.step);
  assert.equal((await d.get(`/jobs/${high}`)).state, 'queued');
});

test('a pause that was acknowledged outlives a kill', async () => {
  const [a] = (await d.get('/jobs?state=running')).items;
  assert.equal(await control(a.id, 'pause'), 202);
  await d.end('SIGKILL');
  await d.start();
  await d.until(a.id, (j) => j.state === 'paused' && j.paused_by === 'user');
});

test('a second SIGTERM ends it at once', async () => {
  await d.until((await d.get('/jobs?state=queued')).items[0]?.id ?? (await d.get('/jobs?state=running')).items[0].id, (j) => j.state === 'running');
  d.child?.kill('SIGTERM');
  d.child?.kill('SIGINT');
  assert.equal(await d.ended, 1);
  assert.match(d.said, /told twice to stop/);
  await d.start();
  assert.equal((await d.get('/jobs')).items.filter((/** @type {any} */ j) => j.state === 'running').length, 1);
});
