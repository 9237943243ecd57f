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

/** @param {string} name */
const bottlenecks = (name) => ({
  name, family: 'resnet', resolutions: [20, 24, 28],
  stem: { width: 16, stride: 1 },
  width_ratios: [0.5, 1], expand_ratios: [0.25, 0.35, 0.5],
  stages: [
    { width: 32, stride: 1, depth: [1, 2] },
    { width: 48, stride: 2, depth: [2, 3], expand: [0.25, 0.5], coupling: { expand: [0.25, 0.5] } },
  ],
});

test('a space of the ResNet family is made, described and costed', async () => {
  const reply = await d.post('/spaces', bottlenecks('rest'));
  assert.equal(reply.status, 201, await reply.clone().text());
  const rest = await d.get('/spaces/rest');
  assert.equal(rest.family, 'resnet');
  // resolutions, the stem's choice, two widths of four, a stage's expands
  assert.equal(rest.architectures, 3 * 2 * 2 ** 4 * (3 + 9) * (4 + 8));
  assert.deepEqual(rest.stages[1].expand, [0.25, 0.5]);
  assert.deepEqual(rest.stem, { width: 16, stride: 1, residual: 'optional' });
  assert.ok(rest.largest.macs > rest.smallest.macs);
  const arch = await (await d.post('/spaces/rest/architectures', { arch: rest.largest.arch })).json();
  const again = await (await d.post('/spaces/rest/architectures', { ofa: arch.ofa })).json();
  assert.equal(again.arch, rest.largest.arch);
  const theirs = await d.get('/spaces/ofa-resnet50');
  assert.equal((await d.post('/spaces', { ...theirs.definition, name: 'copy' })).status, 201);
  const copy = await d.get('/spaces/copy');
  for (const name of ['architectures', 'coupled', 'largest', 'smallest', 'stages'])
    assert.deepEqual(copy[name], theirs[name], name);
});

test('the field of a ResNet at fault is named', async () => {
  /** @type {[string, (s: any) => void][]} */
  const wrong = [
    ['/family', (s) => { s.family = 'vgg'; }],
    ['/head', (s) => { s.head = { width: 8 }; }],
    ['/width_ratios', (s) => { delete s.width_ratios; }],
    ['/width_ratios/1', (s) => { s.width_ratios = [0.5, 0.5]; }],
    ['/expand_ratios/0', (s) => { s.expand_ratios[0] = 0.2501; }],
    ['/expand_ratios/2', (s) => { s.expand_ratios[2] = s.stages[1].expand[1] = s.stages[1].coupling.expand[1] = 3; }],
    ['/stem/residual', (s) => { s.stem.residual = 'maybe'; }],
    ['/stem/activation', (s) => { s.stem.activation = 'relu'; }],
    ['/stages/0/kernel', (s) => { s.stages[0].kernel = [3]; }],
    ['/stages/1/expand/1', (s) => { s.stages[1].expand[1] = 0.4; }],
    ['/stages/1/coupling/expand/0', (s) => { s.stages[1].coupling.expand[0] = 0.35; }],
    ['/stages/0/depth/0', (s) => { s.stages[0].depth = [9]; }],
    ['/stages/0/width', (s) => { s.stages[0].width = 5000; }],
    ['/strides/0/first', (s) => { s.strides = [{ below: 24, stem: 1, first: 1, stages: [1, 1] }]; }],
  ];
  for (const [pointer, spoil] of wrong) {
    const space = bottlenecks('never');
    spoil(space);
    const reply = await d.post('/spaces', space);
    const problem = await reply.json();
    assert.equal(reply.status, 400, pointer);
    const at = problem.errors.map((/** @type {any} */ e) => e.pointer);
    assert.ok(at.includes(pointer), `${pointer}: ${JSON.stringify(problem)}`);
  }
  assert.equal((await d.call('/spaces/never')).status, 404);
});

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
