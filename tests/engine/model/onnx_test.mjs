// The ONNX files give the engine's own logits in another runtime: networks of
// every built-in space, most at two resolutions (onnx_export.c lists them), in
// onnxruntime-web (wasm, one thread). Modules come from $SN_NODE_MODULES or the
// dashboard's folder; where there are none the test is skipped (exit code 77).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const TOLERANCE = 1e-4; // of the largest logit

const source = process.env.top_srcdir ?? '.';
const build = process.env.top_builddir ?? '.';
const modules = process.env.SN_NODE_MODULES ?? join(source, 'web/node_modules');
if (!existsSync(join(modules, 'onnxruntime-web'))) {
  console.log(`skipped: no onnxruntime-web in ${modules}`);
  process.exit(77);
}

const require = createRequire(resolve(modules, 'here.js'));
const ort = require('onnxruntime-web');
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

/** @param {string} path */
function floats(path) {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer.slice(
    bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/**
 * The largest difference over the largest of the expected numbers.
 * @param {Float32Array} got
 * @param {Float32Array} want
 */
function difference(got, want) {
  assert.equal(got.length, want.length);
  let most = 0;
  let largest = 0;
  for (let i = 0; i < want.length; i++) {
    assert.ok(Number.isFinite(got[i]) && Number.isFinite(want[i]));
    most = Math.max(most, Math.abs(got[i] - want[i]));
    largest = Math.max(largest, Math.abs(want[i]));
  }
  return most / largest;
}

const folder = mkdtempSync(join(tmpdir(), 'sn-onnx-'));
test('ONNX files give the logits of the engine', async (t) => {
  t.after(() => rmSync(folder, { recursive: true }));
  execFileSync(join(build, 'tests/engine/model/onnx_export'), [folder],
    { stdio: 'inherit' });
  const lines = readFileSync(join(folder, 'cases.txt'), 'utf8').trim().split('\n');
  assert.equal(lines.length, 160);
  for (const line of lines) {
    const [name, ...numbers] = line.split(' ');
    const [n, c, r, classes] = numbers.map(Number);
    await t.test(name, async () => {
      const session = await ort.InferenceSession.create(
        new Uint8Array(readFileSync(join(folder, `${name}.onnx`))),
        { executionProviders: ['wasm'] });
      assert.deepEqual(session.inputNames, ['image']);
      assert.deepEqual(session.outputNames, ['logits']);
      const images = floats(join(folder, `${name}.input`));
      const want = floats(join(folder, `${name}.logits`));
      // all together, then the first alone: the batch is free
      for (const batch of [n, 1]) {
        const image = new ort.Tensor('float32',
          images.slice(0, batch * c * r * r), [batch, c, r, r]);
        const { logits } = await session.run({ image });
        assert.deepEqual([...logits.dims], [batch, classes]);
        const found = difference(logits.data, want.slice(0, batch * classes));
        assert.ok(found <= TOLERANCE, `${name}: ${found} of the largest logit`);
      }
      await session.release();
    });
  }
});
