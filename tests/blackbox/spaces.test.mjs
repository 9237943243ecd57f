// Users' spaces over HTTP: one is made from JSON and says its costs; what is
// impossible is refused with the field at fault and leaves nothing; a job
// searches it at several resolutions, to its end and over a kill; it stays as
// long as a job or weights name it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Daemon, makeFolder, smallSpec } from './harness.mjs';

/** @type {Daemon} */
let d;
before(async () => { d = await new Daemon(await makeFolder()).start(); });
after(() => d.clear());

/** @param {string} name */
const definition = (name) => ({
  name, resolutions: [20, 24, 28],
  stem: { width: 8, stride: 2, activation: 'relu6' },
  first: { width: 8, stride: 1, activation: 'relu6' },
  stages: [
    { width: 12, stride: 2, activation: 'relu6', se: false, depth: [1, 2], kernel: [3, 5, 7], expand: [2, 4] },
    { width: 20, stride: 2, activation: 'hswish', se: true, depth: [1, 2], kernel: [3, 5], expand: [2, 4] },
  ],
  head: { width: 48, features: 0, activation: 'relu6' },
});

test('a space is made, described and costed', async () => {
  const reply = await d.post('/spaces', definition('mine'));
  assert.equal(reply.status, 201, await reply.clone().text());
  assert.equal(reply.headers.get('location'), '/api/v1/spaces/mine');
  const mine = await d.get('/spaces/mine');
  assert.equal(mine.builtin, false);
  assert.deepEqual(mine.resolutions, [20, 24, 28]);
  // a stage: (kernels * expands)^1 + ^2; three resolutions
  assert.equal(mine.architectures, 3 * (6 + 36) * (4 + 16));
  assert.ok(mine.largest.macs > mine.smallest.macs);
  assert.ok((await d.get('/spaces')).items.some((/** @type {any} */ s) => s.name === 'mine'));
  const back = await d.post('/spaces/mine/architectures', { arch: mine.largest.arch });
  const arch = await back.json();
  assert.equal(back.status, 200);
  const again = await (await d.post('/spaces/mine/architectures', { ofa: arch.ofa })).json();
  assert.equal(again.arch, mine.largest.arch);
  assert.equal((await d.post('/spaces', definition('mine'))).status, 409);
  assert.equal((await d.post('/spaces', definition('mbv3-tiny'))).status, 409);
});

/** @type {[string, (s: any) => void][]} */
const impossible = [
  ['/name', (s) => { s.name = 'a/b'; }],
  ['/resolutions', (s) => { s.resolutions = [28, 20]; }],
  ['/resolutions', (s) => { s.resolutions = []; }],
  ['/stages', (s) => { s.stages = []; }],
  ['/stages/0/kernel', (s) => { s.stages[0].kernel = [4]; }],
  ['/stages/1/expand', (s) => { s.stages[1].expand = [1000]; }],
  ['/stages/1/depth', (s) => { s.stages[1].depth = [0, 1]; }],
  ['/stages/0/width', (s) => { s.stages[0].width = 1e9; }],
  ['/stages/0/activation', (s) => { s.stages[0].activation = 'gelu'; }],
  ['/stem/stride', (s) => { s.stem.stride = 3; }],
  ['/colour', (s) => { s.colour = 'red'; }],
];

test('the field at fault is named', async () => {
  for (const [pointer, spoil] of impossible) {
    const space = definition('never');
    spoil(space);
    const reply = await d.post('/spaces', space);
    const problem = await reply.json();
    assert.ok(reply.status === 400 || reply.status === 422, `${pointer}: ${reply.status}`);
    const at = problem.errors.map((/** @type {any} */ e) => e.pointer);
    assert.ok(at.some((/** @type {string} */ p) => p.startsWith(pointer)), `${pointer}: ${JSON.stringify(problem)}`);
  }
  assert.equal((await d.call('/spaces/never')).status, 404);
});

test('a job searches it, and a kill changes nothing', async () => {
  const id = await d.submit({ ...smallSpec(2), epochs: 2, space: 'mine' });
  await d.until(id, (j) => j.supernet?.step > 0);
  await d.end('SIGKILL');
  await d.start();
  assert.equal((await d.get('/spaces/mine')).builtin, false);
  await d.succeeded(id);
  const final = await d.evaluations(id, 'final');
  const resolutions = new Set(final.map((e) => e.arch.slice(0, 3)));
  assert.ok(resolutions.size > 1, [...resolutions].join());
  const best = await d.get(`/jobs/${id}/best?k=1`);
  const model = await d.call(best.items[0].links.onnx);
  assert.equal(model.status, 200);
  await model.arrayBuffer();

  assert.equal((await d.call('/spaces/mine', { method: 'DELETE' })).status, 409);
  assert.equal((await d.call(`/jobs/${id}`, { method: 'DELETE' })).status, 204);
  const held = await d.call('/spaces/mine', { method: 'DELETE' });
  assert.equal(held.status, 409);
  assert.match(await held.text(), /supernet/);
  assert.equal((await d.call(`/supernets/job-${id}`, { method: 'DELETE' })).status, 204);
  assert.equal((await d.call('/spaces/mine', { method: 'DELETE' })).status, 204);
  assert.equal((await d.call('/spaces/mine')).status, 404);
  assert.equal((await d.post('/jobs', { ...smallSpec(1), space: 'mine' })).status, 400);
});
