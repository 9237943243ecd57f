// Weights in and out over HTTP: what a job leaves is a supernet whose file has
// Once-for-All's names; uploaded, or imported from an allowed folder under its
// older names, it comes out again byte for byte; files that do not fit are
// refused with the names at fault and leave nothing; a job searches the weights
// without training a step; models come out with and without a data set; and
// all of it is there after a kill.
import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Daemon, makeFolder, sleep, smallSpec } from './harness.mjs';

/** @type {Daemon} */
let d;
/** @type {string} */
let allowed;
/** @type {string} */
let job;
/** @type {Buffer} */
let weights;

before(async () => {
  const folder = await makeFolder();
  allowed = join(folder, 'allowed');
  await mkdir(allowed);
  const config = join(folder, 'sparsenas.conf');
  await writeFile(config, `[supernets]\nallowed = ${allowed}\n`);
  d = await new Daemon(folder, ['--config', config]).start();
});
after(() => d.clear());

/** @param {string} path */
async function download(path) {
  const reply = await d.call(path);
  const bytes = Buffer.from(await reply.arrayBuffer());
  assert.equal(reply.status, 200, `${path}: ${bytes.toString()}`);
  return bytes;
}

/** @param {Buffer} file @returns {{header: Record<string, any>, data: Buffer}} */
function parse(file) {
  const size = Number(file.readBigUInt64LE(0));
  return { header: JSON.parse(file.subarray(8, 8 + size).toString()), data: file.subarray(8 + size) };
}

/** @param {Record<string, any>} header @param {Buffer} data */
function assemble(header, data) {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

/** @param {string} query @param {Buffer} body */
const upload = (query, body) => d.call(`/supernets?${query}`, {
  method: 'POST', headers: { 'Content-Type': 'application/octet-stream' }, body: new Uint8Array(body),
});

const names = async () => (await d.get('/supernets')).items.map((/** @type {any} */ s) => s.name).sort();

/** @param {string} name */
async function available(name) {
  for (let i = 0; i < 600; i++, await sleep(100)) {
    const reply = await d.call(`/supernets/${name}`);
    const body = await reply.json();
    if (reply.status === 200 && body.available) return body;
  }
  return assert.fail(`supernet ${name} does not come:\n${d.said}`);
}

test('a job leaves its weights', async () => {
  job = await d.submit({ ...smallSpec(2), epochs: 1, sparsenas: { ...smallSpec(2).sparsenas, warmup_epochs: 0.5 } });
  await d.succeeded(job);
  const s = await available(`job-${job}`);
  assert.deepEqual([s.space, s.classes, s.channels, s.dataset, s.statistics, s.job], ['mbv3-tiny', 10, 1, 'fashion-mnist', true, job]);
  assert.ok(s.step > 0 && s.mean.length === 1 && s.std.length === 1);
  weights = await download(`/supernets/job-${job}/weights.safetensors`);
  assert.equal(weights.length, s.bytes);
  const { header } = parse(weights);
  assert.deepEqual(header['blocks.1.conv.depth_conv.conv.5to3_matrix'].shape, [9, 9]);
  for (const name of ['first_conv.conv.weight', 'first_conv.bn.running_mean', 'blocks.1.conv.inverted_bottleneck.bn.bn.running_var',
    'first_conv.bn.num_batches_tracked', 'classifier.linear.bias']) assert.ok(header[name], name);
});

test('uploaded, it comes out byte for byte', async () => {
  const reply = await upload('name=again', weights);
  const body = await reply.json();
  assert.equal(reply.status, 201, JSON.stringify(body));
  assert.equal(reply.headers.get('location'), '/api/v1/supernets/again');
  assert.deepEqual([body.name, body.job, body.available], ['again', null, true]);
  assert.ok((await download('/supernets/again/weights.safetensors')).equals(weights));
  const twice = await upload('name=again', weights);
  assert.equal(twice.status, 409);
  assert.equal((await twice.json()).errors[0].pointer, '/name');
});

test('imported by path under the older names, its tensors are the same', async () => {
  const { header, data } = parse(weights);
  delete header.__metadata__;
  const older = Object.fromEntries(Object.entries(header).map(([name, t]) => [name
    .replace(/^(blocks\.\d+)\.conv\./, '$1.mobile_inverted_conv.').replace('.bn.bn.', '.bn.')
    .replace('.conv.conv.weight', '.conv.weight'), t]));
  const path = join(allowed, 'older.safetensors');
  await writeFile(path, assemble(older, data));
  const nameless = await d.post('/supernets', { name: 'older', path });
  assert.equal(nameless.status, 400);
  assert.equal((await nameless.json()).errors[0].pointer, '/space');
  const reply = await d.post('/supernets', { name: 'older', path, space: 'mbv3-tiny' });
  assert.equal(reply.status, 201, await reply.text());
  const back = parse(await download('/supernets/older/weights.safetensors'));
  for (const [name, t] of Object.entries(header)) {
    const [from, to] = back.header[name].data_offsets;
    assert.ok(back.data.subarray(from, to).equals(data.subarray(...t.data_offsets)), name);
  }
});

test('what does not fit is refused by name and leaves nothing', async () => {
  const { header, data } = parse(weights);
  const before = await names();
  /** @param {(h: Record<string, any>) => void} change */
  const changed = (change) => { const h = structuredClone(header); change(h); return assemble(h, data); };
  /** @type {[Buffer, RegExp][]} */
  const cases = [
    [changed((h) => { h['first_conv.extra'] = h['first_conv.bn.weight']; delete h['first_conv.bn.weight']; }), /1 are missing \(first_conv\.bn\.weight\); 1 are unexpected \(first_conv\.extra\)/],
    [changed((h) => { h['classifier.linear.weight'].shape.reverse(); }), /1 have another shape \(classifier\.linear\.weight\)/],
    [changed((h) => { h.__metadata__.space = 'mbv3-cifar'; }), /mbv3-cifar/],
    [changed((h) => { h['first_conv.conv.weight'].data_offsets = [0, 2 ** 40]; }), /outside of the file/],
    [weights.subarray(0, weights.length - 4), /./],
    [Buffer.from('no weights at all'), /./],
  ];
  for (const [body, what] of cases) {
    const reply = await upload('name=wrong&space=mbv3-tiny', body);
    const problem = await reply.json();
    assert.equal(reply.status, 400, JSON.stringify(problem));
    assert.match(problem.detail + JSON.stringify(problem.errors), what);
  }
  assert.equal((await upload('space=mbv3-tiny', weights)).status, 400);
  assert.equal((await upload('name=job-x', weights)).status, 400);
  assert.equal((await upload('name=x&space=nowhere', weights)).status, 400);
  for (const path of ['/etc/passwd', join(allowed, '../state/sparsenas.db'), join(allowed, 'none')]) {
    const reply = await d.post('/supernets', { name: 'wrong', path, space: 'mbv3-tiny' });
    assert.equal(reply.status, 400);
    assert.equal((await reply.json()).errors[0].pointer, '/path');
  }
  assert.deepEqual(await names(), before);
  assert.equal((await d.call('/supernets/wrong')).status, 404);
  assert.deepEqual(await readdir(join(d.state, 'uploads')), []);
  assert.ok(!(await readdir(join(d.state, 'supernets'))).includes('wrong'));
});

test('a job on it that contradicts it is refused at the field', async () => {
  const base = { dataset: 'fashion-mnist', supernet: 'again' };
  /** @type {[any, string][]} */
  const cases = [
    [{ ...base, epochs: 3 }, '/epochs'], [{ ...base, strategy: 'ofa' }, '/strategy'],
    [{ ...base, train: { learning_rate: 0.5 } }, '/train/learning_rate'],
    [{ ...base, space: 'mbv3-cifar' }, '/space'], [{ ...base, supernet: 'none' }, '/supernet'],
  ];
  for (const [spec, pointer] of cases) {
    const reply = await d.post('/jobs', spec);
    const problem = await reply.json();
    assert.equal(reply.status, 400, JSON.stringify(problem));
    assert.equal(problem.errors[0].pointer, pointer);
  }
});

test('a job searches the weights and trains nothing', async () => {
  const { search, sparsenas, train } = smallSpec(2);
  const { warmup_epochs, max_retries, ...probing } = sparsenas;
  const id = await d.submit({
    dataset: 'fashion-mnist', supernet: 'again', epochs: 0, search, sparsenas: probing,
    train: { train_limit: train.train_limit, holdout: train.holdout, workers: 2 },
  });
  assert.equal((await d.call('/supernets/again', { method: 'DELETE' })).status, 409);
  const done = await d.succeeded(id);
  const trained = await d.get(`/jobs/${job}`);
  assert.equal(done.supernet.xxh3, trained.supernet.xxh3);
  assert.equal(done.supernet.step, trained.supernet.step);
  assert.equal(done.spec.space, 'mbv3-tiny');
  assert.equal(done.progress.fraction, 1);
  assert.ok(done.cost.probe.macs > 0 && done.cost.evaluate.macs > 0);
  assert.ok(!done.cost.train?.macs && !done.cost.warmup?.macs);
  const best = await d.get(`/jobs/${id}/best?latency_ms=100`);
  assert.ok((best.items ?? best.best).length > 0);
  assert.ok(!(await names()).includes(`job-${id}`)); // nothing new to keep
});

test('architectures of it: costs and models', async () => {
  const { largest } = await d.get('/spaces/mbv3-tiny');
  const at = `/supernets/again/architectures/${largest.arch}`;
  const arch = await d.get(at);
  assert.equal(arch.arch, largest.arch);
  assert.equal(arch.macs, largest.macs);
  for (const query of ['', '?calibration=none', '?calibration=fashion-mnist']) {
    const onnx = await download(`${at}/model.onnx${query}`);
    assert.ok(onnx.includes('pixels in 0..1'), query);
    const { header } = parse(await download(`${at}/weights.safetensors${query}`));
    assert.equal(header.__metadata__.arch, largest.arch);
  }
  const plain = await download(`${at}/model.onnx?calibration=none&normalize=false`);
  assert.ok(plain.includes('(pixels in 0..1 - mean) / std'));
  assert.equal((await d.call(`${at}/model.onnx?calibration=nothing`)).status, 400);
  assert.equal((await d.call('/supernets/again/architectures/r28/model.onnx')).status, 404);
});

test('without statistics, calibration must name a data set', async () => {
  const { header, data } = parse(weights);
  delete header.__metadata__;
  /** @type {Record<string, any>} */
  const bare = {};
  const parts = [];
  let to = 0;
  for (const [name, t] of Object.entries(header)) {
    if (/running_|num_batches/.test(name)) continue;
    const bytes = data.subarray(...t.data_offsets);
    bare[name] = { ...t, data_offsets: [to, to + bytes.length] };
    to += bytes.length;
    parts.push(bytes);
  }
  const reply = await upload('name=bare&space=mbv3-tiny', assemble(bare, Buffer.concat(parts)));
  assert.equal(reply.status, 201, await reply.text());
  const { smallest } = await d.get('/spaces/mbv3-tiny');
  const at = `/supernets/bare/architectures/${smallest.arch}/weights.safetensors`;
  const refused = await d.call(at);
  assert.equal(refused.status, 422);
  assert.equal((await refused.json()).errors[0].parameter, 'calibration');
  await download(`${at}?calibration=fashion-mnist`);
});

test('all of it is there after a kill, but for what is deleted', async () => {
  assert.equal((await d.call('/supernets/bare', { method: 'DELETE' })).status, 204);
  assert.equal((await d.call('/supernets/bare')).status, 404);
  assert.equal((await d.call(`/jobs/${job}`, { method: 'DELETE' })).status, 204);
  await d.end('SIGKILL');
  await mkdir(join(d.state, 'supernets', 'orphan'), { recursive: true });
  await d.start();
  await available('again');
  await available(`job-${job}`); // outlives its job
  assert.deepEqual(await names(), ['again', `job-${job}`, 'older']);
  assert.ok((await download('/supernets/again/weights.safetensors')).equals(weights));
  assert.ok(!(await readdir(join(d.state, 'supernets'))).includes('orphan'));
});
