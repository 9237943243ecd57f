// Proves that what keeps the daemon from working is said plainly, with an exit
// code that is not 0 and nothing damaged: a second daemon on the state folder, a
// port in use, a folder that cannot be written, settings and options that are
// wrong; and that damaged images are refused with the file named while the
// daemon serves, whatever their format, and a full disk pauses jobs until there is room.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Daemon, images, makeFolder, runOnce, sleep, smallSpec } from './harness.mjs';

/** @type {Daemon} */
let d;
/** @type {string} */
let allowed;

before(async () => {
  const folder = await makeFolder();
  allowed = join(folder, 'allowed');
  await mkdir(allowed);
  const config = join(folder, 'sparsenas.conf');
  await writeFile(config, `[datasets]\nallowed = ${allowed}\n`);
  d = await new Daemon(folder, ['--config', config]).start();
});
after(() => d.clear());

test('a second daemon on the state folder is refused', async () => {
  const { code, text } = await runOnce(['--state-dir', d.state, '--listen', '127.0.0.1:0']);
  assert.equal(code, 1);
  assert.match(text, /another sparsenasd .* uses this state folder/);
  assert.equal((await d.call('/readyz')).status, 200);
});

test('a port in use is refused', async () => {
  const port = new URL(d.base).port;
  const { code, text } = await runOnce(['--state-dir', join(d.folder, 'other'), '--listen', `127.0.0.1:${port}`]);
  assert.equal(code, 1);
  assert.match(text, new RegExp(`127\\.0\\.0\\.1:${port} is in use`));
});

test('a state folder that cannot be written is refused', async () => {
  const file = join(d.folder, 'file');
  await writeFile(file, 'precious');
  for (const state of [join(file, 'state'), file, '/proc/sparsenas']) {
    const { code, text } = await runOnce(['--state-dir', state, '--listen', '127.0.0.1:0']);
    assert.equal(code, 1, text);
    assert.ok(text.includes(state), text);
  }
});

test('a database that is none is refused and left alone', async () => {
  const state = join(d.folder, 'broken');
  await mkdir(state);
  const content = 'this is no database, but a text of some length'.repeat(100);
  await writeFile(join(state, 'sparsenas.db'), content);
  const { code, text } = await runOnce(['--state-dir', state, '--listen', '127.0.0.1:0']);
  assert.equal(code, 1);
  assert.match(text, /sparsenas\.db|database/);
  assert.equal(await readFile(join(state, 'sparsenas.db'), 'utf8'), content);
});

test('wrong settings and options are refused', async () => {
  const file = join(d.folder, 'wrong.conf');
  await writeFile(file, '[jobs]\nrunning = 1\nruning = 1\n');
  const wrong = await runOnce(['--config', file, '--check-config']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.text, /wrong\.conf:3: .*runing/);
  const open = await runOnce(['--listen', '0.0.0.0:0', '--state-dir', join(d.folder, 'open')]);
  assert.equal(open.code, 2);
  assert.match(open.text, /token_file/);
  assert.equal((await runOnce(['--nonsense'])).code, 2);
  assert.equal((await runOnce(['--check-config'])).code, 0);
  assert.match((await runOnce(['--version'])).text, /^sparsenasd \d/);
  for (const help of ['--help', '--help-settings']) assert.equal((await runOnce([help])).code, 0);
});

test('a token is asked for when one is set', async () => {
  const token = join(d.folder, 'token');
  const config = join(d.folder, 'token.conf');
  await writeFile(token, 'a-token-of-some-length\n', { mode: 0o600 });
  await writeFile(config, `[http]\ntoken_file = ${token}\n`);
  const other = new Daemon(join(d.folder, 'with-token'), ['--config', config]);
  await mkdir(other.folder);
  await other.start();
  for (const headers of [{}, { Authorization: 'Bearer a-token-of-other-length' }, { Authorization: 'Basic a-token-of-some-length' }])
    assert.equal((await other.call('/jobs', { headers })).status, 401);
  assert.equal((await other.call('/jobs', { headers: { Authorization: 'Bearer a-token-of-some-length' } })).status, 200);
  assert.equal(await other.end(), 0);
});

/** A small CIFAR-10 as its archive unpacks. @param {string} folder */
async function putCifar10(folder) {
  const inside = join(folder, 'cifar-10-batches-bin');
  await mkdir(inside, { recursive: true });
  for (const name of ['data_batch_1', 'data_batch_2', 'data_batch_3', 'data_batch_4', 'data_batch_5', 'test_batch']) {
    const file = Buffer.alloc(40 * 3073);
    for (let i = 0; i < file.length; i++) file[i] = i % 3073 === 0 ? (i / 3073) % 10 : (i * 7) % 251;
    await writeFile(join(inside, `${name}.bin`), file);
  }
  return inside;
}

test('CIFAR-10 is registered, fits a job, and is there after a restart; an unknown format is refused', async () => {
  const path = join(allowed, 'cifar');
  const inside = await putCifar10(path);
  const unknown = await d.post('/datasets', { name: 'cifar', path, format: 'png' });
  assert.equal(unknown.status, 400);
  const { errors } = await unknown.json();
  assert.equal(errors[0].pointer, '/format');
  for (const format of ['idx', 'cifar10', 'cifar100', 'npy']) assert.ok(JSON.stringify(errors).includes(format), format);
  for (const format of [undefined, 'idx', 'cifar100', 'npy'])
    assert.equal((await d.post('/datasets', { name: 'cifar', path, format })).status, 400, format);

  const reply = await d.post('/datasets', { name: 'cifar', path, format: 'cifar10' });
  assert.equal(reply.status, 201, await reply.text());
  const set = await d.get('/datasets/cifar');
  const { format, channels, height, width, classes, train, test: held } = set;
  assert.deepEqual({ format, channels, height, width, classes, train, held },
    { format: 'cifar10', channels: 3, height: 32, width: 32, classes: 10, train: 200, held: 40 });
  const spec = { dataset: 'cifar', space: 'mbv3-cifar', train: { holdout: 64 } };
  const dry = await d.post('/jobs?dry_run=true', spec);
  assert.equal(dry.status, 200, await dry.text());

  assert.equal(await d.end(), 0);
  await d.start();
  for (let tries = 0; tries < 200 && !(await d.get('/datasets/cifar')).available; tries++) await sleep(50);
  assert.deepEqual(await d.get('/datasets/cifar'), set);

  // a link that leads out, in the archive's folder
  await rm(join(inside, 'test_batch.bin'));
  execFileSync('ln', ['-s', '/etc/passwd', join(inside, 'test_batch.bin')]);
  const linked = await d.post('/datasets', { name: 'linked', path, format: 'cifar10' });
  assert.equal(linked.status, 400);
  assert.match(await linked.text(), /test_batch\.bin is no plain file/);
});

test('images are registered from allowed folders, and damaged ones refused', async () => {
  const path = join(allowed, 'mine');
  await mkdir(path);
  for (const f of await readdir(images)) await copyFile(join(images, f), join(path, f));
  const reply = await d.post('/datasets', { name: 'mine', path, format: 'idx' });
  assert.equal(reply.status, 201, await reply.text());
  assert.equal((await d.get('/datasets/mine')).train, 60000);
  assert.equal((await d.post('/datasets', { name: 'mine', path, format: 'idx' })).status, 409);

  const cut = join(allowed, 'cut');
  await mkdir(cut);
  for (const f of await readdir(images)) await copyFile(join(images, f), join(cut, f));
  const file = join(cut, 'train-labels-idx1-ubyte.gz');
  execFileSync('truncate', ['-s', '10000', file]);
  const bad = await d.post('/datasets', { name: 'cut', path: cut, format: 'idx' });
  const said = await bad.text();
  assert.ok(bad.status === 400 || bad.status === 422, said);
  assert.match(said, /train-labels-idx1-ubyte/);

  // links that lead out: of the folder, and of one file
  const out = join(allowed, 'out');
  execFileSync('ln', ['-s', images, out]);
  assert.equal((await d.post('/datasets', { name: 'out', path: out, format: 'idx' })).status, 400);
  const mixed = join(allowed, 'mixed');
  await mkdir(mixed);
  for (const f of await readdir(images)) await copyFile(join(images, f), join(mixed, f));
  await rm(join(mixed, 't10k-labels-idx1-ubyte.gz'));
  execFileSync('ln', ['-s', join(images, 't10k-labels-idx1-ubyte.gz'), mixed]);
  const linked = await d.post('/datasets', { name: 'mixed', path: mixed, format: 'idx' });
  assert.equal(linked.status, 400);
  assert.match(await linked.text(), /t10k-labels-idx1-ubyte/);

  // damaged after it was registered: the job says why
  execFileSync('truncate', ['-s', '10000', join(path, 'train-images-idx3-ubyte.gz')]);
  assert.equal(await d.end(), 0);
  await d.start();
  const refused = await d.post('/jobs', { ...smallSpec(1), dataset: 'mine' });
  assert.ok([400, 409, 422].includes(refused.status), await refused.text());
  assert.equal((await d.call('/datasets/mine', { method: 'DELETE' })).status, 204);
});

test('a full disk pauses jobs, and they go on by themselves', async (t) => {
  const disk = join(d.folder, 'disk');
  await mkdir(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    t.skip('mounting a small file system takes root');
    return;
  }
  const config = join(d.folder, 'disk.conf');
  await writeFile(config, '[storage]\nmin_free_mib = 16\n');
  const other = new Daemon(disk, ['--config', config]);
  try {
    await other.start();
    const id = await other.submit({ ...smallSpec(1), epochs: 4000 });
    await other.until(id, (j) => j.supernet.step > 0);
    const fill = join(disk, 'fill');
    // Less room than is wanted, but nothing fails yet; then none at all.
    for (const left of [8, 0]) {
      const free = Number(execFileSync('df', ['-m', '--output=avail', disk], { encoding: 'utf8' }).split('\n')[1]);
      const count = left > 0 ? [`count=${free - left}`] : [];
      execFileSync('sh', ['-c', 'dd if=/dev/zero bs=1M "$@" 2>/dev/null || true', 'sh', `of=${fill}`, ...count]);
      const job = await other.until(id, (j) => j.state === 'paused');
      assert.equal(job.paused_by, 'disk');
      assert.equal((await other.call('/readyz')).status, 503);
      assert.ok([503, 507].includes((await other.post('/jobs', smallSpec(1))).status));
      assert.equal((await other.call(`/jobs/${id}`)).status, 200);
      await rm(fill);
      await other.until(id, (j) => j.state === 'running' && j.progress.step > job.supernet.step);
      assert.equal((await other.call('/readyz')).status, 200);
    }
    assert.equal(await other.end(), 0);
  } finally {
    await other.end('SIGKILL');
    execFileSync('umount', [disk]);
  }
});

