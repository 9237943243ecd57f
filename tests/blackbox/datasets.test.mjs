// Data sets of JPEG and PNG files: a folder is registered and a job trains on
// it; archives are uploaded as tar and zip, also while the daemon restarts; and
// whatever a hostile archive tries, it is refused by name and leaves nothing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { crc32Of, pngOf, tarOf, zipOf } from './archives.mjs';
import { Daemon, makeFolder, sleep, smallSpec } from './harness.mjs';

const SIDE = 28;
const CLASSES = ['dark', 'light', 'stripes'];
/** @type {Daemon} */
let d;
/** @type {string} */
let allowed;

/** The i-th image of a class. @param {number} c @param {number} i */
function picture(c, i) {
  const noise = (/** @type {number} */ n) => (n * 7919 + i * 104729) % 40;
  const pixels = Buffer.alloc(SIDE * SIDE * 3);
  for (let n = 0; n < pixels.length; n++)
    pixels[n] = noise(n) + (c === 2 ? (Math.floor(n / 3) % 4 < 2 ? 20 : 180) : c * 150 + 20);
  return pngOf(SIDE, SIDE, pixels);
}

/** @param {number} n @returns {[string, Buffer][]} */
const pictures = (n) => CLASSES.flatMap((name, c) =>
  Array.from({ length: n }, (_, i) => /** @type {[string, Buffer]} */ ([`${name}/${String(i).padStart(3, '0')}.png`, picture(c, i)])));

/** @param {string} folder @param {[string, Buffer][]} files */
async function put(folder, files) {
  for (const [name, bytes] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
}

/** @param {string} query @param {Buffer} body @param {string} type */
async function upload(query, body, type = 'application/x-tar') {
  const reply = await d.call(`/datasets?${query}`, { method: 'POST', headers: { 'Content-Type': type }, body });
  return { status: reply.status, body: await reply.json() };
}

/** What the state folder has of data sets and uploads. */
async function left() {
  const of = async (/** @type {string} */ name) => (existsSync(join(d.state, name)) ? readdir(join(d.state, name)) : []);
  return [...(await of('datasets')), ...(await of('uploads'))];
}

before(async () => {
  const folder = await makeFolder();
  allowed = join(folder, 'sets');
  await mkdir(allowed);
  const config = join(folder, 'config');
  await writeFile(config, `[datasets]\nallowed = ${allowed}\ntotal_mib = 100\n`);
  d = await new Daemon(folder, ['--config', config]).start();
});
after(() => d?.clear());

test('a folder of JPEGs and PNGs is registered, and a job trains on it', async () => {
  const path = join(allowed, 'shapes');
  await put(path, pictures(60));
  const ppm = Buffer.concat([Buffer.from(`P6\n${SIDE} ${SIDE}\n255\n`), Buffer.alloc(SIDE * SIDE * 3, 30)]);
  await writeFile(join(path, 'dark', 'a.jpg'), execFileSync('cjpeg', ['-quality', '95'], { input: ppm }));
  await put(path, [['dark/notes.txt', Buffer.from('x')], ['light/bad.png', picture(1, 1).subarray(0, 60)]]);
  const strict = await d.post('/datasets', { name: 'shapes', path, format: 'folder', corrupt_share: 0 });
  assert.equal(strict.status, 400);
  assert.match((await strict.json()).detail, /1 of 182 images cannot be decoded.*light\/bad\.png/);
  assert.equal((await d.call('/datasets/shapes')).status, 404, 'a refusal leaves nothing');
  for (const [field, value] of Object.entries({ channels: 2, test_share: 0.9, corrupt_share: 'x', split_seed: -1 })) {
    const bad = await d.post('/datasets', { name: 'shapes', path, format: 'folder', [field]: value });
    assert.equal(bad.status, 400, field);
    assert.equal((await bad.json()).errors[0].pointer, `/${field}`);
  }
  const reply = await d.post('/datasets', { name: 'shapes', path, format: 'folder', test_share: 0.25 });
  assert.equal(reply.status, 201, await reply.clone().text());
  const set = await d.get('/datasets/shapes');
  assert.deepEqual(set.class_names, CLASSES);
  assert.deepEqual(set.corrupt, { count: 1, names: ['light/bad.png'] });
  assert.deepEqual([set.train + set.test, set.other_files, set.height, set.channels, set.variable], [181, 1, SIDE, 3, false]);
  const spec = smallSpec(1);
  const job = await d.submit({
    ...spec, dataset: 'shapes', epochs: 4,
    train: { holdout: 60, batch_size: 32, workers: 1 },
    sparsenas: { ...spec.sparsenas, probe_images: 30, probes: 12, subspace_size: 20 },
  });
  await d.succeeded(job);
  await appendFile(join(path, 'dark', 'notes.txt'), 'more');
  await put(path, [['dark/new.png', picture(0, 999)]]);
  await d.end();
  await d.start();
  for (let tries = 0; tries < 400 && (await d.get('/datasets/shapes')).state === 'reading'; tries++) await sleep(25);
  const changed = await d.get('/datasets/shapes');
  assert.equal(changed.available, false);
  assert.match(changed.problem, /have changed since it was registered/);
});

test('links and names of others are refused', async () => {
  const path = join(allowed, 'linked');
  await put(path, pictures(2));
  await symlink('/etc/hostname', join(path, 'dark', 'out.png'));
  const reply = await d.post('/datasets', { name: 'linked', path, format: 'folder' });
  assert.equal(reply.status, 400);
  assert.match((await reply.json()).detail, /dark\/out\.png: is a link/);
  assert.equal((await d.post('/datasets', { name: 'x', path: `${allowed}/../`, format: 'folder' })).status, 400);
});

test('archives are uploaded, survive a kill, and go when they are deleted', async () => {
  const files = pictures(30);
  const tar = tarOf(files.map(([name, bytes]) => ({ name: `mine/${name}`, bytes })));
  const plain = await upload('name=plain&test_share=0.3&channels=1', tar);
  assert.equal(plain.status, 201, JSON.stringify(plain.body));
  assert.deepEqual([plain.body.train, plain.body.test, plain.body.channels, plain.body.uploaded], [63, 27, 1, true]);
  const packed = await upload('name=packed&test_share=0.3&channels=1', execFileSync('gzip', ['-c'], { input: tar }), 'application/gzip');
  assert.equal(packed.body.checksum, plain.body.checksum);
  const zip = await upload('name=zip&test_share=0.3&channels=1', zipOf(files), 'application/zip');
  assert.equal(zip.body.checksum, plain.body.checksum);
  const list = await d.get('/datasets?limit=2');
  assert.equal(list.items.length, 2);
  const rest = await d.get(`/datasets?limit=10&cursor=${list.next_cursor}`);
  assert.deepEqual([...list.items, ...rest.items].map((s) => s.name).sort(), ['fashion-mnist', 'packed', 'plain', 'shapes', 'zip'].sort());
  await mkdir(join(d.state, 'datasets', '.new-orphan', 'a'), { recursive: true });
  await mkdir(join(d.state, 'datasets', 'orphan-123456'), { recursive: true });
  await d.end('SIGKILL');
  await d.start();
  for (let tries = 0; tries < 400 && !(await d.get('/datasets/zip')).available; tries++) await sleep(25);
  assert.equal((await d.get('/datasets/zip')).checksum, plain.body.checksum);
  assert.equal((await left()).length, 3, 'orphans are swept');
  const spec = smallSpec(1);
  const job = await d.submit({ ...spec, dataset: 'plain', train: { holdout: 24, batch_size: 8, workers: 1 }, sparsenas: { ...spec.sparsenas, probe_images: 10 } });
  const busy = await d.call('/datasets/plain', { method: 'DELETE' });
  assert.equal(busy.status, 409);
  assert.match((await busy.json()).detail, new RegExp(job));
  assert.equal((await d.post(`/jobs/${job}/cancel`)).ok, true);
  await d.until(job, (j) => ['cancelled', 'failed', 'succeeded'].includes(j.state));
  for (const name of ['plain', 'packed', 'zip']) {
    let status = 0;
    for (let tries = 0; tries < 200 && (status = (await d.call(`/datasets/${name}`, { method: 'DELETE' })).status) === 409; tries++) await sleep(25);
    assert.equal(status, 204, name);
  }
  for (let tries = 0; tries < 200 && (await left()).length > 0; tries++) await sleep(25);
  assert.deepEqual(await left(), []);
});

test('an archive may hold any format', async () => {
  const record = (/** @type {number} */ label) => Buffer.concat([Buffer.from([label]), Buffer.alloc(3072, 50 + label)]);
  const batch = Buffer.concat(Array.from({ length: 10 }, (_, i) => record(i)));
  const names = ['data_batch_1', 'data_batch_2', 'data_batch_3', 'data_batch_4', 'data_batch_5', 'test_batch'];
  const cifar = tarOf(names.map((n) => ({ name: `cifar-10-batches-bin/${n}.bin`, bytes: batch })));
  const ten = await upload('name=ten&format=cifar10', execFileSync('gzip', ['-c'], { input: cifar }), 'application/gzip');
  assert.deepEqual([ten.status, ten.body.train, ten.body.classes], [201, 50, 10], JSON.stringify(ten.body));
  const pairs = Array.from({ length: 20 }, (_, i) => [
    { name: `${1000 + i}.png`, bytes: picture(i % 2, i) }, { name: `${1000 + i}.cls`, bytes: Buffer.from(`${i % 2}`) }]).flat();
  const web = await upload('name=web&format=tar&train=t.tar', tarOf([{ name: 't.tar', bytes: tarOf(pairs) }]));
  assert.deepEqual([web.status, web.body.train, web.body.test, web.body.other_files], [201, 16, 4, 0], JSON.stringify(web.body));
  assert.deepEqual((await d.get('/datasets/web')).class_names, ['0', '1']);
  for (const name of ['ten', 'web']) assert.equal((await d.call(`/datasets/${name}`, { method: 'DELETE' })).status, 204);
  for (let tries = 0; tries < 200 && (await left()).length > 0; tries++) await sleep(25);
});

/** @param {Buffer} b */
const gz = (b) => execFileSync('gzip', ['-c', '-9'], { input: b, maxBuffer: 1 << 28 });

/** Registers a path. @param {string} name @param {object} rest */
async function register(name, rest) {
  const reply = await d.post('/datasets', { name, ...rest });
  return { status: reply.status, body: await reply.json() };
}

/** @param {string[]} names */
async function remove(...names) {
  for (const name of names) assert.equal((await d.call(`/datasets/${name}`, { method: 'DELETE' })).status, 204, name);
  for (let tries = 0; tries < 200 && (await left()).length > 0; tries++) await sleep(25);
  assert.deepEqual(await left(), []);
}

test('an archive in an allowed folder is registered by its path', async () => {
  const files = pictures(10);
  const tar = tarOf(files.map(([name, bytes]) => ({ name: `mine/${name}`, bytes })));
  await put(allowed, [['files/all.tar', tar], ['files/all.tgz', gz(tar)], ['files/all.zip', zipOf(files)],
    ['files/up.tar', tarOf([...files.map(([name, bytes]) => ({ name, bytes })), { name: '../evil.png', bytes: Buffer.from('x') }])],
    ['files/link.tgz', gz(tarOf([{ name: 'dark/l.png', type: '2', link: '/etc/passwd' }]))],
    ['files/bomb.tgz', gz(tarOf([{ name: 'dark/z.png', bytes: Buffer.alloc(80 << 20) }]))],
    ['files/text.zip', Buffer.from('no archive at all'.repeat(100))]]);
  await symlink('/etc/hostname', join(allowed, 'files/out.tar'));
  const sums = new Set();
  for (const name of ['all.tar', 'all.tgz', 'all.zip']) {
    const path = join(allowed, 'files', name);
    const set = await register(name, { path, format: 'folder', channels: 1 });
    assert.deepEqual([set.status, set.body.uploaded, set.body.train], [201, true, 24], JSON.stringify(set.body));
    assert.ok(existsSync(path), 'the archive stays');
    sums.add(set.body.checksum);
  }
  assert.equal(sums.size, 1);
  await d.end('SIGKILL');
  await d.start();
  for (let tries = 0; tries < 400 && (await d.get('/datasets/all.zip')).state === 'reading'; tries++) await sleep(25);
  assert.ok(sums.has((await d.get('/datasets/all.zip')).checksum));
  await remove('all.tar', 'all.tgz', 'all.zip');
  for (const [name, says, status = 400] of /** @type {[string, RegExp, number?][]} */ ([
    ['up.tar', /\.\.\/evil\.png: leads out/], ['link.tgz', /dark\/l\.png: is a link/], ['bomb.tgz', /dark\/z\.png: unpacks to over 100/, 413],
    ['text.zip', /no tar or zip archive/], ['out.tar', /below one of those/], ['none.tar', /below one of those/]])) {
    const bad = await register('bad', { path: join(allowed, 'files', name), format: 'folder' });
    assert.equal(bad.status, status, `${name} ${JSON.stringify(bad.body)}`);
    assert.match(bad.body.errors[0].detail, says);
    assert.equal(bad.body.errors[0].pointer, '/path');
    assert.deepEqual(await left(), [], name);
  }
});

test('packed shards of a folder are unpacked, one by itself as well', async () => {
  const pairs = (/** @type {number} */ from) => tarOf(Array.from({ length: 10 }, (_, i) => [
    { name: `${from + i}.png`, bytes: picture(i % 2, from + i) }, { name: `${from + i}.cls`, bytes: Buffer.from(`${i % 2}`) }]).flat());
  await put(allowed, [['plain/s-0.tar', pairs(1000)], ['plain/s-1.tar', pairs(2000)], ['packed/s-0.tar.gz', gz(pairs(1000))],
    ['packed/s-1.tar.gz', gz(pairs(2000))], ['bombs/s-0.tar.gz', gz(Buffer.alloc(80 << 20))]]);
  const plain = await register('plain', { path: join(allowed, 'plain'), format: 'tar' });
  assert.deepEqual([plain.status, plain.body.uploaded, plain.body.train], [201, false, 16], JSON.stringify(plain.body));
  const packed = await register('packed', { path: join(allowed, 'packed'), format: 'tar', train: 's-{0..1}.tar.gz' });
  assert.deepEqual([packed.status, packed.body.uploaded, packed.body.train], [201, true, 16], JSON.stringify(packed.body));
  const found = await register('found', { path: join(allowed, 'packed'), format: 'tar', size: 16 });
  assert.deepEqual([found.status, found.body.uploaded, found.body.width], [201, true, 16], JSON.stringify(found.body));
  const one = await register('one', { path: join(allowed, 'packed/s-1.tar.gz'), format: 'tar' });
  assert.deepEqual([one.status, one.body.train, one.body.test], [201, 8, 2], JSON.stringify(one.body));
  const bomb = await register('bomb', { path: join(allowed, 'bombs'), format: 'tar' });
  assert.equal(bomb.status, 413);
  assert.match(bomb.body.detail, /s-0\.tar\.gz: unpacks to over 100/);
  assert.equal((await left()).length, 3, 'of the sets that are there');
  await remove('packed', 'found', 'one');
  assert.equal((await d.call('/datasets/plain', { method: 'DELETE' })).status, 204);
});

test('images come in one size where that is asked for, grey ones as colour', async () => {
  const path = join(allowed, 'sizes');
  await put(path, pictures(10));
  await put(path, [['dark/wide.png', pngOf(40, 20, Buffer.alloc(2400, 9))]]);
  const as = await register('as', { path, format: 'folder' });
  assert.deepEqual([as.status, as.body.variable, as.body.options.size], [201, true, 0], JSON.stringify(as.body));
  const small = await register('small', { path, format: 'folder', size: 20 });
  assert.deepEqual([small.body.variable, small.body.width, small.body.options.size], [false, 20, 20], JSON.stringify(small.body));
  for (const size of [7, 513, 1.5]) assert.equal((await register('x', { path, format: 'folder', size })).body.errors[0].pointer, '/size');
  const npy = (/** @type {string} */ shape, /** @type {Buffer} */ bytes) => {
    const head = Buffer.from(`{'descr': '|u1', 'fortran_order': False, 'shape': ${shape}, }\n`);
    return Buffer.concat([Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, head.length, 0]), head, bytes]);
  };
  const grey = join(allowed, 'grey');
  for (const split of ['train', 'test'])
    await put(grey, [[`${split}_images.npy`, npy('(4, 8, 8)', Buffer.alloc(256, 77))], [`${split}_labels.npy`, npy('(4,)', Buffer.from([0, 1, 0, 1]))]]);
  for (const [name, options, channels] of /** @type {[string, object, number][]} */ ([['one', {}, 1], ['three', { channels: 3 }, 3]])) {
    const set = await register(name, { path: grey, format: 'npy', ...options });
    assert.deepEqual([set.status, set.body.channels], [201, channels], JSON.stringify(set.body));
  }
  await d.end();
  await d.start();
  for (let tries = 0; tries < 400 && (await d.get('/datasets/three')).state === 'reading'; tries++) await sleep(25);
  assert.equal((await d.get('/datasets/three')).available, true);
  const wrong = await register('x', { path: grey, format: 'npy', size: 16 });
  assert.deepEqual([wrong.status, wrong.body.errors[0].pointer], [400, '/size']);
  assert.equal((await register('x', { path: grey, format: 'cifar10', channels: 3 })).body.errors[0].pointer, '/channels');
  for (const name of ['as', 'small', 'one', 'three']) assert.equal((await d.call(`/datasets/${name}`, { method: 'DELETE' })).status, 204);
});

test('hostile and broken archives are refused and leave nothing', async () => {
  const good = pictures(4).map(([name, bytes]) => ({ name, bytes }));
  /** @type {[string, Buffer, RegExp][]} */
  const cases = [
    ['up', tarOf([...good, { name: 'dark/../../evil.png', bytes: Buffer.from('x') }]), /dark\/\.\.\/\.\.\/evil\.png: leads out/],
    ['absolute', tarOf([...good, { name: '/tmp/sparsenas-evil.png', bytes: Buffer.from('x') }]), /sparsenas-evil\.png: leads out/],
    ['link', tarOf([...good, { name: 'dark/l.png', type: '2', link: '/etc/passwd' }]), /dark\/l\.png: is a link/],
    ['hard link', tarOf([...good, { name: 'dark/h.png', type: '1', link: '/etc/passwd' }]), /dark\/h\.png: is a link/],
    ['folder link', tarOf([{ name: 'dark', type: '2', link: '/tmp' }, ...good]), /dark: is a link/],
    ['device', tarOf([...good, { name: 'dark/null', type: '3' }]), /dark\/null: is neither/],
    ['pipe', tarOf([...good, { name: 'dark/pipe', type: '6' }]), /dark\/pipe: is neither/],
    ['twice', tarOf([...good, good[0]]), /000\.png: comes twice/],
    ['bomb', gz(tarOf([...good, { name: 'dark/z.png', bytes: Buffer.alloc(80 << 20) }])), /dark\/z\.png: unpacks to over 100 times/],
    ['lie', tarOf([...good, { name: 'dark/z.png', bytes: Buffer.alloc(0), size: 0o77777777777 }]), /dark\/z\.png: makes it over|unpacks to over/],
    ['cut', tarOf(good).subarray(0, 3000), /cannot be unpacked/],
    ['no archive', Buffer.from('not an archive at all'.repeat(100)), /archive/],
    ['empty', tarOf([]), /archive/],
    ['one class', tarOf(good.filter((f) => f.name.startsWith('dark'))), /classes/],
    ['deep', tarOf([...good, { name: `${'d/'.repeat(20)}x.png`, bytes: Buffer.from('x') }]), /too deep/],
    ['zip up', zipOf([['../evil.png', Buffer.from('x')]]), /\.\.\/evil\.png: leads out/],
  ];
  for (const [what, bytes, says] of cases) {
    const reply = await upload('name=evil', bytes, 'application/gzip');
    assert.ok([400, 413].includes(reply.status), `${what}: ${reply.status} ${JSON.stringify(reply.body)}`);
    assert.match(reply.body.detail, says, what);
    assert.equal((await d.call('/datasets/evil')).status, 404, what);
    assert.deepEqual(await left(), [], what);
  }
  assert.equal(existsSync('/tmp/sparsenas-evil.png'), false);
  for (const query of ['', 'name=..', 'name=a%2Fb', 'name=x&format=none', 'name=x&colour=1', 'name=x&channels=2', 'name=fashion-mnist'])
    assert.ok([400, 409].includes((await upload(query, tarOf(good))).status), query);
  assert.deepEqual(await left(), []);
  assert.equal((await d.call('/readyz')).status, 200);
});

test('a picture that claims 4 gigapixels is damage, not a crash', async () => {
  const jpeg = execFileSync('cjpeg', ['-baseline'], { input: Buffer.concat([Buffer.from('P5\n8 8\n255\n'), Buffer.alloc(64, 9)]) });
  const sof = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
  jpeg.writeUInt16BE(65000, sof + 5);
  jpeg.writeUInt16BE(65000, sof + 7);
  const png = picture(0, 0);
  png.writeUInt32BE(2000000000, 16);
  png.writeUInt32BE(crc32Of(png.subarray(12, 29)), 29);
  const path = join(allowed, 'giants');
  await put(path, [...pictures(2), ['dark/huge.jpg', jpeg], ['light/huge.png', png]]);
  const reply = await d.post('/datasets', { name: 'giants', path, format: 'folder' });
  assert.equal(reply.status, 400);
  assert.match((await reply.json()).detail, /2 of 8 images cannot be decoded.*65000 x 65000/);
  await truncate(join(path, 'dark/000.png'), 0); // the first of all
  assert.equal((await d.post('/datasets', { name: 'giants', path, format: 'folder', corrupt_share: 0.5 })).status, 201);
});
