// Proves that the main job works over HTTP alone: a whole small search on real
// images is submitted, followed by its events to the end, and answers with a
// front, the best architectures, and models, which in another runtime are as
// accurate as it says; that a client which comes back with Last-Event-ID misses
// nothing and gets nothing twice; and that the baseline strategy works too.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Daemon, images, makeFolder, smallSpec } from './harness.mjs';

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

/** The latency that counts. @param {any} e */
const latency = (e) => e.latency_ms.measured ?? e.latency_ms.predicted;
/** @param {any[]} list @param {(e: any) => number} of */
const median = (list, of) => list.map(of).sort((a, b) => a - b)[list.length >> 1];

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
  assert.equal(early.length, 60);
  assert.ok(final.length >= 12);
  for (const e of [...early, ...final]) {
    assert.ok(e.accuracy >= 0 && e.accuracy <= 1);
    assert.ok(e.macs > 0 && e.params > 0 && e.peak_memory > 0);
  }
  assert.ok(Math.max(...final.map((e) => e.accuracy)) > 0.3, 'far over chance');
  const predictors = await d.get(`/jobs/${id}/predictors`);
  assert.ok(predictors.items.length >= 2);
  const [first] = predictors.items;
  assert.equal(first.stage, 'early');
  assert.ok(first.tau > 0 && first.tau <= 1);
  assert.equal(first.used, true, first.verdict);
  assert.equal(first.bands.length, 1);
  assert.equal(first.bands[0].n, 60);
  assert.ok(first.coverage >= 0.5 && first.signal.within.real);
  const { outcome } = predictors;
  assert.equal(outcome.n, 24);
  assert.ok(outcome.top === 5 && outcome.top_kept <= 5 && outcome.kept < 24, outcome.verdict);
  const kept = await d.get(`/jobs/${id}/subspace?limit=1000`);
  assert.equal(kept.size, 60);
  assert.equal(new Set(kept.members.map((/** @type {any} */ m) => m.arch)).size, 60);
  const losses = await d.get(`/jobs/${id}/series?name=loss`);
  assert.ok(losses.items.length > 0);
});

test('the front has no dominated point, and lacks no other', async () => {
  const all = (await d.get(`/jobs/${id}/best?k=1000`)).items;
  assert.ok(all.length >= 12);
  for (const cost of ['macs', 'latency_ms']) {
    const { items } = await d.get(`/jobs/${id}/front?cost=${cost}`);
    const value = (/** @type {any} */ e) => (cost === 'macs' ? e.macs : latency(e));
    for (let i = 1; i < items.length; i++) {
      assert.ok(value(items[i]) >= value(items[i - 1]));
      assert.ok(items[i].accuracy > items[i - 1].accuracy);
    }
    for (const e of all)
      assert.ok(items.some((/** @type {any} */ f) => value(f) <= value(e) && f.accuracy >= e.accuracy), `${e.arch} is on no front of ${cost}`);
  }
});

test('the best within a bound keeps to it; where none does, the nearest is told', async () => {
  const all = (await d.get(`/jobs/${id}/best?k=1000`)).items;
  for (let i = 1; i < all.length; i++) assert.ok(all[i].accuracy <= all[i - 1].accuracy);
  for (const [name, value] of /** @type {[string, (e: any) => number][]} */ ([['macs', (e) => e.macs], ['latency_ms', latency]])) {
    const bound = median(all, value);
    const best = await d.get(`/jobs/${id}/best?k=1000&${name}=${bound}`);
    assert.deepEqual(best.items, all.filter((/** @type {any} */ e) => value(e) <= bound), name);
    assert.ok(best.items.length < all.length);
    assert.equal(best.nearest, null);
    const least = Math.min(...all.map(value));
    const none = await d.get(`/jobs/${id}/best?${name}=${least / 2}`);
    assert.deepEqual(none.items, []);
    assert.equal(value(none.nearest), least);
  }
});

test('its answers keep to their targets, and only they have met the test images', async () => {
  const { answers } = await d.get(`/jobs/${id}`);
  assert.equal(answers.length, 3);
  const tested = (await d.get(`/jobs/${id}/evaluations?split=test&limit=1000`)).items;
  for (const a of answers) {
    assert.equal(a.found, true);
    assert.ok(a.best.latency_ms.measured <= a.latency_ms);
    assert.equal(a.test_accuracy.images, 10_000);
    const row = tested.find((/** @type {any} */ e) => e.arch === a.best.arch);
    assert.equal(row.accuracy, a.test_accuracy.value);
  }
  assert.equal(tested.length, new Set(answers.map((/** @type {any} */ a) => a.best.arch)).size);
});

test('its models can be taken away', async () => {
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

/** The test images and labels, as the package has them. */
async function testSet() {
  const [pixels, labels] = await Promise.all(['t10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz']
    .map(async (name) => gunzipSync(await readFile(join(images, name)))));
  return { pixels: Float32Array.from(pixels.subarray(16), (v) => v / 255), labels: labels.subarray(8) };
}

test('its model is as accurate in another runtime as it was found here', async (t) => {
  const modules = resolve(process.env.top_srcdir ?? '.', 'web/node_modules');
  if (!existsSync(join(modules, 'onnxruntime-web'))) {
    t.skip('onnxruntime-web is not installed (run ./bootstrap)');
    return;
  }
  const ort = createRequire(join(modules, 'here.js'))('onnxruntime-web');
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const [answer] = (await d.get(`/jobs/${id}`)).answers;
  const onnx = await d.call(`/jobs/${id}/architectures/${answer.best.arch}/model.onnx`);
  const session = await ort.InferenceSession.create(new Uint8Array(await onnx.arrayBuffer()), { executionProviders: ['wasm'] });
  const { pixels, labels } = await testSet();
  const batch = 250;
  const classes = 10;
  let correct = 0;
  for (let at = 0; at < labels.length; at += batch) {
    const image = new ort.Tensor('float32', pixels.subarray(at * 784, (at + batch) * 784), [batch, 1, 28, 28]);
    const logits = (await session.run({ image })).logits.data;
    for (let i = 0; i < batch; i++) {
      const row = logits.subarray(i * classes, (i + 1) * classes);
      if (row.indexOf(Math.max(...row)) === labels[at + i]) correct++;
    }
  }
  await session.release();
  // Rounding decides a few images otherwise; another network's would be many.
  const there = correct / labels.length;
  assert.ok(Math.abs(there - answer.test_accuracy.value) <= 0.001, `${there} there, ${answer.test_accuracy.value} here`);
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

test('once-for-all runs through its own phases to a model', async () => {
  const spec = smallSpec(2);
  const ofa = await d.submit({ ...spec, strategy: 'ofa', epochs: 2 });
  const phases = [];
  for await (const event of d.events(`?job=${ofa}&types=job,phase`, 0)) {
    if (event.type === 'phase') phases.push(event.data.name);
    if (['succeeded', 'failed', 'cancelled'].includes(event.data.state)) break;
  }
  assert.deepEqual(phases, ['prepare', 'teacher', 'elastic kernel', 'elastic depth 1', 'elastic depth 2',
    'elastic expand 1', 'elastic expand 2', 'evaluate', 'search']);
  const job = await d.succeeded(ofa);
  assert.equal(job.supernet.step, Math.floor((2 * spec.train.train_limit) / spec.train.batch_size));
  assert.equal((await d.get(`/jobs/${ofa}/subspace`)).rounds, 0);
  const [{ best }] = job.answers;
  assert.equal((await d.call(`/jobs/${ofa}/architectures/${best.arch}/model.onnx`)).status, 200);
});
