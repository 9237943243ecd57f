// Proves that images which a program of others wrote are read as they are: PNG
// and JPEG files of Chromium's own encoders, of known colours, are sent as an
// archive and registered; none is damaged, and their mean is the colours'.
//
// Skipped (exit code 77) without Chromium, playwright-core or Fashion-MNIST.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch } from './chromium.mjs';

const { Daemon, makeFolder } = await import('../blackbox/harness.mjs');
const { tarOf } = await import('../blackbox/archives.mjs');

const SIDE = 24, OF_A_CLASS = 20;
/** Half of each class' images are dark, half are light: [red, green, blue]. */
const CLASSES = { rust: [[120, 40, 20], [200, 120, 60]], sea: [[10, 60, 90], [50, 140, 210]] };
const MEAN = [0, 1, 2].map((c) => Object.values(CLASSES).flat().reduce((sum, rgb) => sum + rgb[c], 0) / 4 / 255);

/** @type {any} */
let browser;
/** @type {InstanceType<typeof Daemon>} */
let daemon;

before(async () => {
  browser = await launch();
  daemon = await new Daemon(await makeFolder()).start();
});
after(async () => {
  await browser?.close();
  await daemon?.clear();
});

/** One colour, as the browser encodes it. @param {any} page @param {string} type @param {number[]} rgb
 * @returns {Promise<Buffer>} */
async function encode(page, type, rgb) {
  const url = await page.evaluate((/** @type {any} */ [kind, side, colour]) => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = side;
    const g = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    g.fillStyle = `rgb(${colour.join(',')})`;
    g.fillRect(0, 0, side, side);
    return canvas.toDataURL(kind, 1);
  }, [type, SIDE, rgb]);
  assert.ok(url.startsWith(`data:${type};base64,`), 'the browser does not write that type');
  return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}

for (const [type, ending] of [['image/png', 'png'], ['image/jpeg', 'jpg']]) {
  test(`${type} of another program`, async () => {
    const page = await browser.newPage();
    const entries = [];
    for (const [name, colours] of Object.entries(CLASSES))
      for (let i = 0; i < OF_A_CLASS; i++)
        entries.push({ name: `train/${name}/${i}.${ending}`, bytes: await encode(page, type, colours[i % 2]) },
          { name: `test/${name}/${i}.${ending}`, bytes: await encode(page, type, colours[i % 2]) });
    const reply = await daemon.call(`/datasets?name=${ending}`, { method: 'POST', headers: { 'Content-Type': 'application/x-tar' }, body: tarOf(entries) });
    const set = await reply.json();
    assert.equal(reply.status, 201, JSON.stringify(set));
    assert.deepEqual([set.train, set.test, set.width, set.height, set.channels, set.corrupt.count], [2 * OF_A_CLASS, 2 * OF_A_CLASS, SIDE, SIDE, 3, 0]);
    for (const c of [0, 1, 2]) // a JPEG may be off by a level or two
      assert.ok(Math.abs(set.mean[c] - MEAN[c]) < (ending === 'png' ? 1e-5 : 2 / 255), `mean ${set.mean} is not ${MEAN}`);
    await page.close();
  });
}
