// What comes after a search: a job that asked for it is followed by one job for
// each architecture that it found, trained further and from scratch, exactly
// once, though the daemon is killed at the moment of success and again later,
// and though one of them is deleted; the same by a call for any architecture,
// repeated by its key; each says what it counted before and after, and has
// models; what cannot be is refused.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Daemon, makeFolder, smallSpec } from './harness.mjs';

/** @type {Daemon} */
let d;
/** @type {string} */
let parent;
/** @type {string} */
let winner;

before(async () => {
  d = await new Daemon(await makeFolder()).start();
});
after(() => d.clear());

/** A search of one target, followed by what it asks for. */
function searchSpec() {
  const { sparsenas, search, ...rest } = smallSpec(2);
  return {
    ...rest, epochs: 1.5, labels: { team: 'vision' },
    sparsenas: { ...sparsenas, warmup_epochs: 0.7, probes: 20 },
    search: { ...search, latency_ms: [1000] },
    finetune: { epochs: 1, scratch: true },
  };
}

/** @param {string} id @returns {Promise<any[]>} */
const childrenOf = async (id) => (await d.get(`/jobs?parent=${id}&sort=oldest`)).items;

/** @param {string} id @param {number} n */
async function waitForChildren(id, n) {
  for (;;) {
    const list = await childrenOf(id);
    assert.ok(list.length <= n, JSON.stringify(list.map((j) => [j.id, j.strategy])));
    if (list.length === n) return list;
    await d.until(id, () => true);
  }
}

/** @param {string} job @param {string} arch @param {string} what @param {object} body @param {Record<string, string>} headers */
const post = (job, arch, what, body, headers = {}) => d.post(`/jobs/${job}/architectures/${arch}/${what}`, body, headers);

/** @param {any} part */
function assertProportion(part) {
  assert.ok(part.images > 0 && part.ci[0] <= part.value && part.value <= part.ci[1], JSON.stringify(part));
}

test('a forecast and refusals say what is possible', async () => {
  const dry = await d.post('/jobs?dry_run=true', searchSpec());
  const { spec } = await dry.json();
  assert.deepEqual(spec.finetune, { epochs: 1, scratch: true });
  const { smallest } = await d.get('/spaces/mbv3-tiny');
  /** @type {[any, string][]} */
  const cases = [
    [{ strategy: 'finetune', architecture: smallest.arch }, '/supernet'],
    [{ strategy: 'scratch' }, '/architecture'],
    [{ strategy: 'scratch', architecture: 'r28' }, '/architecture'],
    [{ strategy: 'scratch', architecture: smallest.arch, parent: 'none' }, '/parent'],
    [{ architecture: smallest.arch }, '/architecture'],
    [{ finetune: { scratch: true } }, '/finetune/scratch'],
  ];
  for (const [spec, pointer] of cases) {
    const reply = await d.post('/jobs', { dataset: 'fashion-mnist', ...spec });
    const problem = await reply.json();
    assert.equal(reply.status, 400, JSON.stringify(problem));
    assert.equal(problem.errors[0].pointer, pointer);
  }
});

test('a job is followed by its children exactly once over a kill', async () => {
  parent = await d.submit(searchSpec());
  const { smallest } = await d.get('/spaces/mbv3-tiny');
  const early = await post(parent, smallest.arch, 'finetune', { epochs: 1 });
  assert.equal(early.status, 409, await early.text());
  for await (const event of d.events(`?job=${parent}&types=job`, 0))
    if (event.data.state === 'succeeded') break;
  await d.end('SIGKILL');
  await d.start();
  const children = await waitForChildren(parent, 2);
  assert.deepEqual(children.map((j) => j.strategy), ['finetune', 'scratch']);
  await d.end('SIGKILL');
  await d.start();
  const job = await d.succeeded(parent);
  winner = job.answers[0].best.arch;
  for (const child of children) {
    assert.equal(child.parent, parent);
    assert.equal(child.architecture, winner);
    assert.equal(child.labels.team, 'vision');
    await d.succeeded(child.id);
  }
  assert.deepEqual((await childrenOf(parent)).map((j) => j.id), children.map((j) => j.id));
});

test('they say what they counted before and after, and have models', async () => {
  const [tuned, scratch] = await Promise.all((await childrenOf(parent)).map((j) => d.get(`/jobs/${j.id}`)));
  for (const part of [tuned.before, tuned.after, scratch.after]) {
    assertProportion(part.holdout);
    assertProportion(part.test);
    assert.equal(part.test.images, 10000);
  }
  assert.equal(scratch.before, undefined);
  assert.ok(tuned.after.test.value > tuned.before.test.value, JSON.stringify([tuned.before, tuned.after]));
  assert.ok(scratch.after.test.value > 0.2);
  assert.ok(scratch.cost.train.macs > 0 && !scratch.cost.probe?.macs);
  // the same test images, weights and calibration as when it was found
  const found = (await d.get(`/jobs/${parent}`)).answers[0];
  assert.equal(tuned.before.test.value, found.test_accuracy.value);

  const listed = (await d.get(`/jobs/${parent}/architectures/${winner}`)).children;
  assert.deepEqual(listed.map((/** @type {any} */ c) => [c.job, c.strategy, c.after.test.value]).sort(),
    [[tuned.id, 'finetune', tuned.after.test.value], [scratch.id, 'scratch', scratch.after.test.value]].sort());
  const { items } = await d.get(`/jobs/${tuned.id}/best`);
  assert.equal(items.length, 1);
  assert.equal(items[0].arch, winner);
  assert.equal(items[0].test_accuracy.value, tuned.after.test.value);
  assert.ok(items[0].latency_ms.measured > 0 && items[0].ci.length === 2);
  assert.equal((await d.get(`/jobs/${tuned.id}/front`)).items.length, 1);
  for (const file of ['model.onnx', 'weights.safetensors'])
    assert.equal((await d.call(`/jobs/${tuned.id}/architectures/${winner}/${file}`)).status, 200);
  const { largest } = await d.get('/spaces/mbv3-tiny');
  if (largest.arch !== winner)
    assert.equal((await d.call(`/jobs/${tuned.id}/architectures/${largest.arch}/model.onnx`)).status, 404);
  const nets = (await d.get('/supernets')).items.map((/** @type {any} */ s) => s.name);
  assert.deepEqual(nets, [`job-${parent}`]); // theirs would mean nothing
});

test('the same by a call, once a key', async () => {
  const { smallest } = await d.get('/spaces/mbv3-tiny');
  const wish = { epochs: 0.5, seed: 99, name: 'mine', learning_rate: 0.02 };
  const one = await post(parent, smallest.arch, 'finetune', wish, { 'Idempotency-Key': 'k' });
  const job = await one.json();
  assert.equal(one.status, 201, JSON.stringify(job));
  assert.equal(one.headers.get('location'), `/api/v1/jobs/${job.id}`);
  const again = await post(parent, smallest.arch, 'finetune', wish, { 'Idempotency-Key': 'k' });
  assert.equal(again.headers.get('idempotent-replayed'), 'true');
  assert.equal((await again.json()).id, job.id);
  const other = await post(parent, smallest.arch, 'scratch', wish, { 'Idempotency-Key': 'k' });
  assert.equal(other.status, 409);
  assert.equal(job.spec.train.learning_rate, 0.02);
  assert.deepEqual([job.name, job.spec.seed, job.spec.train.split_seed], ['mine', 99, 12]);
  const done = await d.succeeded(job.id);
  assertProportion(done.after.holdout);
  assert.equal((await post(job.id, smallest.arch, 'finetune', { epochs: 1 })).status, 409);
});

test('a child that was deleted does not come again', async () => {
  const [first] = await childrenOf(parent);
  assert.equal((await d.call(`/jobs/${first.id}`, { method: 'DELETE' })).status, 204);
  const left = (await childrenOf(parent)).map((j) => j.id);
  await d.end('SIGKILL');
  await d.start();
  // it is looked at when the daemon starts: what comes would be there by then
  await d.succeeded(await d.submit({ ...smallSpec(2), strategy: 'scratch', architecture: winner, epochs: 0.1, sparsenas: {} }));
  assert.deepEqual((await childrenOf(parent)).map((j) => j.id), left);
});
