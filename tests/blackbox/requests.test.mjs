// Proves that what the API cannot take is refused with the right status and the
// field named, that nothing of it becomes a job, and that a request repeated
// under its key makes one job.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Daemon, makeFolder, smallSpec } from './harness.mjs';

/** @type {Daemon} */
let d;
before(async () => {
  d = await new Daemon(await makeFolder()).start();
});
after(() => d.clear());

const ok = { dataset: 'fashion-mnist' };
/** @type {[string, unknown, string][]} */
const refused = [
  ['no data set', {}, '/dataset'],
  ['an unknown data set', { dataset: 'imagenet' }, '/dataset'],
  ['an unknown space', { ...ok, space: 'resnet' }, '/space'],
  ['a space for other images', { ...ok, space: 'mbv3-cifar' }, '/space'],
  ['an unknown field', { ...ok, epoch: 3 }, '/epoch'],
  ['an unknown nested field', { ...ok, train: { rate: 1 } }, '/train/rate'],
  ['a wrong type', { ...ok, epochs: '3' }, '/epochs'],
  ['a fraction for a whole number', { ...ok, priority: 1.5 }, '/priority'],
  ['a number out of range', { ...ok, train: { momentum: 2 } }, '/train/momentum'],
  ['a sub-space over all sizes', { ...ok, sparsenas: { subspace_size: 2_000_000 } }, '/sparsenas/subspace_size'],
  ['more warm-up than epochs', { ...ok, epochs: 2, sparsenas: { warmup_epochs: 3 } }, '/sparsenas/warmup_epochs'],
  ['a hold-out over the images', { ...ok, train: { holdout: 50000 } }, '/train/holdout'],
  ['a batch that shards do not fill', { ...ok, train: { batch_size: 100, shard_size: 32 } }, '/train/shard_size'],
  ['an unknown strategy', { ...ok, strategy: 'magic' }, '/strategy'],
  ['labels that are no texts', { ...ok, labels: { a: 1 } }, '/labels/a'],
];

for (const [what, spec, pointer] of refused) {
  test(`${what} is refused at ${pointer}`, async () => {
    const reply = await d.post('/jobs', spec);
    const body = await reply.json();
    assert.equal(reply.status, 400, JSON.stringify(body));
    assert.match(reply.headers.get('content-type') ?? '', /^application\/problem\+json/);
    assert.ok(body.errors.some((/** @type {any} */ e) => e.pointer === pointer), JSON.stringify(body));
  });
}

test('several faults are told at once', async () => {
  const body = await (await d.post('/jobs', { ...ok, epochs: 'x', seed: -1, nonsense: 1 })).json();
  const pointers = body.errors.map((/** @type {any} */ e) => e.pointer).sort();
  assert.deepEqual(pointers, ['/epochs', '/nonsense', '/seed']);
});

test('bodies that are no spec are refused', async () => {
  for (const body of ['', '{', '[]', '"x"', '{"dataset": "fashion-mnist"} x', '{"dataset": "fashion-mnist", "dataset": "fashion-mnist"}', '\u0000'])
    assert.equal((await d.post('/jobs', body)).status, 400, body);
  const large = await d.post('/jobs', JSON.stringify({ ...ok, name: 'x'.repeat(2 << 20) }));
  assert.equal(large.status, 413);
});

test('what is not there is 404, a wrong method 405 with Allow, a wrong query 400', async () => {
  assert.equal((await d.call('/nothing')).status, 404);
  assert.equal((await d.call('/jobs/nonsense')).status, 404);
  assert.equal((await d.post('/jobs/nonsense/pause')).status, 404);
  const wrong = await d.call('/jobs', { method: 'PUT' });
  assert.equal(wrong.status, 405);
  assert.deepEqual((wrong.headers.get('allow') ?? '').split(', ').filter((m) => m !== 'HEAD' && m !== 'OPTIONS').sort(), ['GET', 'POST']);
  assert.equal((await d.call('/jobs?colour=red')).status, 400);
  assert.equal((await d.call('/jobs?limit=0')).status, 400);
});

test('a dry run forecasts and makes no job', async () => {
  const reply = await d.post('/jobs?dry_run=true', smallSpec(1));
  assert.equal(reply.status, 200);
  const { forecast, spec } = await reply.json();
  assert.equal(spec.train.batch_size, 64);
  for (const key of ['memory_bytes', 'disk_bytes', 'macs', 'images', 'seconds']) assert.ok(forecast[key] > 0, key);
  assert.deepEqual((await d.get('/jobs')).items, []);
});

test('data sets outside the allowed folders are not looked at', async () => {
  for (const path of ['/etc', '/', `${d.state}/../state`, 'relative'])
    assert.equal((await d.post('/datasets', { name: 'mine', path, format: 'idx' })).status, 400, path);
  assert.equal((await d.call('/datasets/fashion-mnist', { method: 'DELETE' })).status, 409);
});

test('one key makes one job', async () => {
  const key = { 'Idempotency-Key': 'abc-1' };
  const spec = { ...smallSpec(1), epochs: 400, name: 'keyed' };
  const first = await (await d.post('/jobs', spec, key)).json();
  const replies = await Promise.all([1, 2, 3].map(() => d.post('/jobs', spec, key)));
  for (const reply of replies) {
    assert.equal(reply.status, 201);
    assert.equal((await reply.json()).id, first.id);
  }
  assert.equal((await d.post('/jobs', { ...spec, seed: 3 }, key)).status, 409);
  assert.equal((await d.get('/jobs')).items.length, 1);
  assert.equal((await d.post(`/jobs/${first.id}/cancel`)).status, 202);
});
