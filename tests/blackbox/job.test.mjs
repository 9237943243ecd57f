// Proves that the main job works over HTTP alone: a whole small search on real
// images is submitted, followed by its events to the end, and answers with a
// front, the best architectures, and models; and that a client which comes back
// with Last-Event-ID misses nothing and gets nothing twice.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Daemon, makeFolder, smallSpec } from './harness.mjs';

/** @type {Daemon} */
let d;
/** @type {string} */
let id;
/** @type {any[]} */
const seen = [];

before(async () => {
  d = await new Daemon(await makeFolder()).start();
});
after(() => d.clear());

test('a job is taken with all its defaults', async () => {
  const reply = await d.post('/jobs', { ...smallSpec(2), labels: { team: 'vision' } });
  assert.equal(reply.status, 201);
  const job = await reply.json();
  id = job.id;
  assert.equal(reply.headers.get('location'), `/api/v1/jobs/${id}`);
  assert.equal(job.spec.space, 'mbv3-tiny');
  assert.equal(job.spec.train.momentum, 0.9);
  assert.deepEqual(job.labels, { team: 'vision' });
});

test('it runs through its phases and succeeds', async () => {
  for await (const event of d.events(`?job=${id}`, 0)) {
    seen.push(event);
    if (event.type === 'job' && ['succeeded', 'failed', 'cancelled'].includes(event.data.state)) break;
  }
  const job = await d.get(`/jobs/${id}`);
  assert.equal(job.state, 'succeeded', job.reason ?? d.said);
  assert.equal(job.progress.fraction, 1);
  assert.match(job.supernet.xxh3, /^[0-9a-f]{16}$/);
  assert.deepEqual(seen.filter((e) => e.type === 'job').map((e) => e.data.state), ['queued', 'running', 'succeeded']);
  const phases = seen.filter((e) => e.type === 'phase').map((e) => e.data.kind);
  assert.deepEqual(phases, ['prepare', 'warmup', 'probe', 'fit', 'filter', 'train', 'evaluate', 'search']);
  assert.ok(seen.some((e) => e.type === 'progress' && e.data.images_per_s > 0));
  assert.ok(seen.some((e) => e.type === 'checkpoint'));
  const total = job.cost.total.macs;
  const sum = Object.entries(job.cost).filter(([k]) => k !== 'total').reduce((s, [, c]) => s + /** @type {any} */ (c).macs, 0);
  assert.ok(total > 0 && Math.abs(total - sum) <= 1e-9 * total);
});

test('events have rising numbers; a return gets the rest, once', async () => {
  const stored = seen.filter((e) => e.id > 0);
  for (let i = 1; i < stored.length; i++) assert.ok(stored[i].id > stored[i - 1].id);
  const from = stored[Math.floor(stored.length / 2)].id;
  const last = stored[stored.length - 1].id;
  const again = [];
  for await (const event of d.events(`?job=${id}`, from)) {
    again.push(event);
    if (event.id === last) break;
  }
  assert.deepEqual(again, stored.filter((e) => e.id > from));
});

test('what was measured adds up', async () => {
  const early = await d.evaluations(id, 'early');
  const final = await d.evaluations(id, 'final');
  assert.equal(early.length, 14);
  assert.ok(final.length >= 12);
  for (const e of [...early, ...final]) {
    assert.ok(e.accuracy >= 0 && e.accuracy <= 1);
    assert.ok(e.macs > 0 && e.params > 0 && e.peak_memory > 0);
  }
  assert.ok(Math.max(...final.map((e) => e.accuracy)) > 0.3, 'far over chance');
  const predictors = await d.get(`/jobs/${id}/predictors`);
  assert.ok(predictors.items.length >= 2);
  assert.ok(predictors.items[0].tau >= -1 && predictors.items[0].tau <= 1);
  const losses = await d.get(`/jobs/${id}/series?name=loss`);
  assert.ok(losses.items.length > 0);
});

test('the front has no dominated point', async () => {
  for (const cost of ['macs', 'latency_ms']) {
    const front = await d.get(`/jobs/${id}/front?cost=${cost}`);
    assert.ok(front.items.length > 0);
    const value = (/** @type {any} */ e) => (cost === 'macs' ? e.macs : e.latency_ms.measured ?? e.latency_ms.predicted);
    for (let i = 1; i < front.items.length; i++) {
      assert.ok(value(front.items[i]) >= value(front.items[i - 1]));
      assert.ok(front.items[i].accuracy > front.items[i - 1].accuracy);
    }
  }
});

test('the best within a bound keeps to it; where none does, the nearest is told', async () => {
  const all = await d.get(`/jobs/${id}/best?k=1000`);
  const macs = all.items.map((/** @type {any} */ e) => e.macs).sort((/** @type {number} */ a, /** @type {number} */ b) => a - b);
  const bound = macs[Math.floor(macs.length / 2)];
  const best = await d.get(`/jobs/${id}/best?macs=${bound}`);
  assert.ok(best.items.length > 0);
  for (const e of best.items) assert.ok(e.macs <= bound);
  const none = await d.get(`/jobs/${id}/best?macs=1`);
  assert.deepEqual(none.items, []);
  assert.ok(none.nearest.macs > 1);
});

test('its models can be taken away', async () => {
  const job = await d.get(`/jobs/${id}`);
  assert.ok(job.answers.length === 3);
  const { arch } = (await d.get(`/jobs/${id}/best?k=1`)).items[0];
  const onnx = await d.call(`/jobs/${id}/architectures/${arch}/model.onnx`);
  assert.equal(onnx.status, 200);
  const bytes = Buffer.from(await onnx.arrayBuffer());
  assert.ok(bytes.length > 10_000);
  assert.ok(bytes.includes('sparsenas'));
  const weights = await d.call(`/jobs/${id}/architectures/${arch}/weights.safetensors`);
  assert.equal(weights.status, 200);
  const tensors = Buffer.from(await weights.arrayBuffer());
  const length = Number(tensors.readBigUInt64LE(0));
  assert.equal(typeof JSON.parse(tensors.subarray(8, 8 + length).toString()), 'object');
  const again = Buffer.from(await (await d.call(`/jobs/${id}/architectures/${arch}/model.onnx`)).arrayBuffer());
  assert.ok(again.equals(bytes), 'the same file the second time');
  assert.equal((await d.call(`/jobs/${id}/architectures/r28.nonsense/model.onnx`)).status, 404);
});

test('it is all there after a restart', async () => {
  const job = await d.get(`/jobs/${id}`);
  const final = await d.evaluations(id, 'final');
  assert.equal(await d.end(), 0);
  await d.start();
  const later = await d.get(`/jobs/${id}`);
  assert.deepEqual({ ...later, links: job.links }, job);
  assert.deepEqual(await d.evaluations(id, 'final'), final);
});

test('it can be deleted, and is gone then', async () => {
  assert.equal((await d.call(`/jobs/${id}`, { method: 'DELETE' })).status, 204);
  assert.equal((await d.call(`/jobs/${id}`)).status, 404);
});
