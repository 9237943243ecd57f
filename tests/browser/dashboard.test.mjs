// Proves that the dashboard shows a real job of a real daemon in a real
// browser: it appears when submitted, its progress and phases move without a
// reload, its curves and its front are drawn, its answers come, a refusal
// stands at the field that it names, a job obeys the buttons, and a restarted
// daemon is found again; all that without an error on the console and without
// anything that the content security policy refuses.
//
// Skipped (exit code 77) without Chromium, playwright-core or Fashion-MNIST.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';

import { launch, source } from './chromium.mjs';

const build = resolve(process.env.top_builddir ?? 'build');
const daemonFile = join(build, 'sparsenasd');
const webRoot = [join(build, 'web/dist'), join(source, 'web/dist')].find((d) => existsSync(join(d, 'app.js')));
assert.ok(existsSync(daemonFile), `${daemonFile} is not built`);
assert.ok(webRoot, 'the bundle is not built');

const SPEC = {
  name: 'browser test', dataset: 'fashion-mnist', epochs: 2, seed: 7,
  train: { train_limit: 6000, holdout: 2000, workers: 1 },
  sparsenas: { probes: 16, probe_images: 500, probe_calibration: 128, subspace_size: 50 },
  search: { evaluations: 12, images: 500, calibration: 256, population: 16, generations: 4 },
};
const RUN_MS = 180000;

/** @type {string} */
let folder;
/** @type {import('node:child_process').ChildProcess | undefined} */
let daemon;
/** @type {string} */
let base;
/** @type {any} */
let browser;
let said = '';

/** @param {string} listen */
async function startDaemon(listen) {
  const ready = join(folder, 'ready');
  await rm(ready, { force: true });
  daemon = spawn(daemonFile, ['--state-dir', join(folder, 'state'), '--listen', listen,
    '--ready-file', ready, '--web-root', /** @type {string} */ (webRoot)], { stdio: ['ignore', 'pipe', 'pipe'] });
  daemon.stdout?.on('data', (d) => (said += d));
  daemon.stderr?.on('data', (d) => (said += d));
  for (let i = 0; i < 200; i++) {
    if (existsSync(ready)) return (await readFile(ready, 'utf8')).trim().replace(/\/$/, '');
    assert.equal(daemon.exitCode, null, `the daemon ended:\n${said}`);
    await new Promise((r) => setTimeout(r, 50));
  }
  assert.fail(`the daemon is not ready after 10 s:\n${said}`);
}

async function stopDaemon() {
  const running = daemon;
  daemon = undefined;
  if (!running || running.exitCode !== null) return;
  const ended = new Promise((done) => running.once('exit', done));
  running.kill('SIGTERM');
  const late = setTimeout(() => running.kill('SIGKILL'), 15000);
  await ended;
  clearTimeout(late);
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sparsenas-browser-'));
  base = await startDaemon('127.0.0.1:0');
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await stopDaemon();
  await rm(folder, { recursive: true, force: true });
});

/**
 * A page that remembers what went wrong on it. Errors that the test itself
 * brings about are named by `expected`.
 * @param {RegExp} [expected]
 */
async function openPage(expected) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
  /** @type {string[]} */
  const wrong = [];
  page.on('pageerror', (/** @type {Error} */ e) => wrong.push(String(e)));
  page.on('console', (/** @type {any} */ m) => {
    if ((m.type() === 'error' || m.type() === 'warning') && !expected?.test(m.text())) wrong.push(m.text());
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (e) => console.error(`CSP refused ${e.violatedDirective}`));
  });
  await page.goto(base);
  await page.getByText('live', { exact: true }).waitFor();
  return { page, wrong };
}

/** @param {object} spec */
async function submit(spec) {
  const reply = await fetch(`${base}/api/v1/jobs`, { method: 'POST',
    headers: { 'content-type': 'application/json' }, body: JSON.stringify(spec) });
  const text = await reply.text();
  assert.equal(reply.status, 201, text);
  return JSON.parse(text).id;
}

/**
 * The pixels of a chart in the page's accent colour: how many, and how far they
 * reach, in CSS pixels of the canvas.
 * @param {any} canvas
 */
function accentOf(canvas) {
  return canvas.evaluate((/** @type {HTMLCanvasElement} */ c) => {
    const probe = document.createElement('i');
    probe.style.color = 'var(--accent)';
    document.body.append(probe);
    const [r, g, b] = (getComputedStyle(probe).color.match(/\d+/g) ?? []).map(Number);
    probe.remove();
    const { data } = /** @type {CanvasRenderingContext2D} */ (c.getContext('2d')).getImageData(0, 0, c.width, c.height);
    const found = { pixels: 0, left: c.width, right: -1, rows: /** @type {number[]} */ ([]) };
    for (let i = 0; i < data.length; i += 4) {
      if (data[i] !== r || data[i + 1] !== g || data[i + 2] !== b || data[i + 3] !== 255) continue;
      const x = (i / 4) % c.width;
      if (x > found.right) found.rows = [];
      found.pixels++;
      found.left = Math.min(found.left, x);
      found.right = Math.max(found.right, x);
      if (x === found.right) found.rows.push(Math.floor(i / 4 / c.width));
    }
    const scale = c.width / c.clientWidth;
    const y = found.rows.reduce((s, v) => s + v, 0) / found.rows.length;
    return { pixels: found.pixels, left: found.left / scale, right: found.right / scale, y: y / scale, width: c.clientWidth };
  });
}

/** Notes every pair of phase and step that the page shows. @param {any} page */
function watchSteps(page) {
  return page.evaluate(() => {
    const seen = /** @type {any} */ (window).shownSteps = new Set();
    const look = () => {
      const phase = document.querySelector('.phases .now span')?.textContent;
      const step = [...document.querySelectorAll('.numbers.now div')].find((e) => e.firstChild?.textContent === 'step');
      if (phase && step) seen.add(`${phase} ${step.lastChild?.textContent}`);
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
}

test('a job is shown live, from its submission to its answers', { timeout: RUN_MS }, async () => {
  const { page, wrong } = await openPage();
  await page.getByText('No job yet.').first().waitFor();

  await watchSteps(page);
  const id = await submit(SPEC);
  await page.locator('nav .job', { hasText: 'browser test' }).waitFor();
  await page.locator('main h2', { hasText: 'browser test' }).waitFor();
  const row = await page.locator('nav .job').elementHandle();
  await page.locator('.phases .now').waitFor({ timeout: 60000 });
  await page.locator('figure', { hasText: 'Loss' }).locator('canvas').waitFor({ timeout: 60000 });

  await page.locator('.state.succeeded').waitFor({ timeout: RUN_MS });
  await page.locator('.front-table').waitFor();
  const shown = await page.locator('.front-table tbody tr').count();
  const front = await (await fetch(`${base}/api/v1/jobs/${id}/front?cost=latency_ms`)).json();
  assert.ok(front.items.length > 0, 'the front is empty');
  assert.equal(shown, front.items.length, 'the page shows another front than the API');
  await page.locator('.verdict').waitFor();
  assert.equal(await page.locator('.targets tbody tr').count(), 3);
  await page.getByText('accuracy, hold-out').waitFor();
  assert.ok(await page.locator('.log li').count() > 0, 'the log is empty');

  // What can be clicked was not exchanged under the pointer.
  assert.ok(await row.evaluate((/** @type {Element} */ e) => e.isConnected), 'the row of the job was made anew');

  // The page was never loaded anew, and moved within the phase of training.
  const steps = await page.evaluate(() => [.../** @type {any} */ (window).shownSteps]);
  const training = steps.filter((/** @type {string} */ s) => s.startsWith('train '));
  assert.ok(training.length >= 3, `the shown steps stood still: ${steps.join(', ')}`);

  for (const name of ['Loss', 'Accuracy']) {
    const figure = page.locator('figure', { hasText: name });
    assert.match(await figure.locator('.last').textContent(), /\d/);
    const drawn = await accentOf(figure.locator('canvas'));
    assert.ok(drawn.right - drawn.left > drawn.width / 2, `the curve of the ${name} is not drawn: ${JSON.stringify(drawn)}`);
  }

  // The front's slowest is the last mark of the scatter; pointed at, it says so.
  const scatter = page.locator('section[aria-label="Front"] canvas');
  await scatter.scrollIntoViewIfNeeded();
  const marks = await accentOf(scatter);
  assert.ok(marks.pixels > 20, `the front is not drawn: ${JSON.stringify(marks)}`);
  const box = await scatter.boundingBox();
  await page.mouse.move(box.x + marks.right - 3, box.y + marks.y);
  assert.equal(await page.locator('.tip code').textContent(), front.items.at(-1).arch);
  await page.locator('.tip', { hasText: 'on the front' }).waitFor();
  assert.deepEqual(wrong, []);
  await page.context().close();
});

test('a slower latency never has a worse answer on the page', async () => {
  const { page, wrong } = await openPage();
  const slider = page.locator('#within');
  await slider.waitFor();
  const accuracyAt = async (/** @type {'min' | 'max'} */ end) => {
    // The page may still wait for what it asked before: this reply alone counts.
    const within = Number((await slider.evaluate((/** @type {HTMLInputElement} */ e, /** @type {'min' | 'max'} */ to) => Number(e[to]), end)).toFixed(4));
    const asked = page.waitForResponse((/** @type {any} */ r) => r.url().includes('/best?')
      && Number(new URL(r.url()).searchParams.get('latency_ms')) === within);
    await slider.evaluate((/** @type {HTMLInputElement} */ e, /** @type {'min' | 'max'} */ to) => {
      e.value = e[to];
      e.dispatchEvent(new Event('input', { bubbles: true }));
    }, end);
    const [best] = (await (await asked).json()).items;
    const answer = page.locator('section[aria-label="Best answer"]');
    if (!best) await answer.getByText('No architecture is that fast').waitFor();
    else {
      await answer.locator('p.arch code', { hasText: best.arch }).waitFor();
      await answer.getByText(`${(100 * best.accuracy).toFixed(2)}\u202f%`).first().waitFor();
    }
    return best?.accuracy ?? 0;
  };
  const least = await accuracyAt('min');
  const most = await accuracyAt('max');
  assert.ok(most >= least, `${most} < ${least}`);
  await page.locator('.command code', { hasText: 'best?latency_ms=' }).waitFor();
  assert.deepEqual(wrong, []);
  await page.context().close();
});

test('an architecture is trained further from its card, by keyboard alone', { timeout: RUN_MS }, async () => {
  const { page, wrong } = await openPage(/400/);
  const [parent] = (await (await fetch(`${base}/api/v1/jobs`)).json()).items;
  const button = page.locator('section[aria-label="Best answer"]').getByRole('button', { name: /^Fine-tune/ });
  await button.focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Fine-tune this architecture?' });
  await dialog.waitFor();
  await page.keyboard.type('-1');
  await page.keyboard.press('Enter');
  await dialog.locator('[aria-invalid]').waitFor();
  assert.match(await dialog.locator('#after-note').textContent(), /must be from 0/);
  await dialog.getByLabel('Epochs').fill('0.5');
  await page.keyboard.press('Enter');
  await page.locator('main h2', { hasText: 'browser test, fine-tuned' }).waitFor();
  await page.locator('.state.succeeded').waitFor({ timeout: RUN_MS });
  const results = page.locator('section[aria-label="Before and after"]');
  const [job] = (await (await fetch(`${base}/api/v1/jobs?parent=${parent.id}`)).json()).items;
  const { before, after } = await (await fetch(`${base}/api/v1/jobs/${job.id}`)).json();
  for (const [name, part] of Object.entries({ before, after }))
    await results.locator(`[aria-label="${name}"]`).getByText(`${(100 * part.test.value).toFixed(2)}\u202f%`).first().waitFor();
  assert.equal(await page.getByRole('button', { name: /^(Fine-tune|From scratch)/ }).count(), 0);
  await results.getByRole('link').click();
  await page.locator('section[aria-label="What came of it"]').getByRole('link', { name: 'browser test, fine-tuned' }).waitFor();
  assert.deepEqual(wrong, []);
  await page.context().close();
});

test('a refusal stands at the field that it names', async () => {
  const { page, wrong } = await openPage(/400/);
  await page.getByRole('link', { name: 'New job' }).click();
  await page.getByLabel('Epochs').fill('-3');
  await page.getByRole('button', { name: 'Submit' }).click();
  const epochs = page.locator('#field-epochs');
  await page.locator('#field-epochs[aria-invalid]').waitFor();
  const note = await page.locator('#field-epochs-note').textContent();
  assert.match(note, /\d/, `says what is allowed: ${note}`);
  assert.ok(await epochs.evaluate((/** @type {Element} */ e) => e === document.activeElement), 'it has the focus');
  assert.deepEqual(wrong, []);
  await page.context().close();
});

test('the form says what a space and a supernet are', async () => {
  const { page, wrong } = await openPage();
  await page.getByRole('link', { name: 'New job' }).click();
  const space = page.getByLabel('Space'), about = page.locator('#field-space-about');
  await page.locator('#field-space-about', { hasText: 'mobile family' }).waitFor();
  await space.selectOption('ofa-resnet50');
  assert.match(await about.textContent(), /resnet family.*61\.5\sT architectures.*128\u2013224 px \(25\).*MACs/);
  // left by the job of the tests before
  await page.getByLabel('Supernet').selectOption({ index: 1 });
  assert.match(await page.locator('#field-supernet-about').textContent(), /space mbv3-tiny.*left by job .*trained on fashion-mnist/);
  assert.equal(await space.inputValue(), 'mbv3-tiny');
  assert.equal(await space.isDisabled(), true);
  assert.match(await about.textContent(), /mobile family.*28 px/);
  await page.getByRole('button', { name: 'Forecast' }).click();
  await page.locator('dl.numbers').waitFor();
  assert.deepEqual(wrong, []);
  await page.context().close();
});

test('what went by while the connection was lost is on the curves afterwards', { timeout: RUN_MS }, async () => {
  const { page, wrong } = await openPage(/ERR_|Failed to load resource/);
  const id = await submit({ ...SPEC, name: 'away', seed: 8 });
  await page.locator('nav .job', { hasText: 'away' }).click();
  await page.locator('.phases .now', { hasText: 'warmup' }).waitFor();
  await page.route('**/api/v1/events*', (/** @type {any} */ route) => route.abort());
  await stopDaemon();
  await startDaemon(new URL(base).host);
  for (let state = ''; state !== 'succeeded'; await new Promise((r) => setTimeout(r, 100)))
    ({ state } = await (await fetch(`${base}/api/v1/jobs/${id}`)).json());
  await page.unroute('**/api/v1/events*');
  await page.locator('.state.succeeded').waitFor({ timeout: 30000 });

  const other = await openPage();
  await other.page.goto(`${base}/#/jobs/${id}`);
  await other.page.locator('.front-table').waitFor();
  for (const name of ['Loss', 'Accuracy']) {
    const [mine, fresh] = [page, other.page].map((p) => p.locator('figure', { hasText: name }));
    const text = await fresh.locator('.last').textContent();
    await mine.locator('.last', { hasText: text }).waitFor({ timeout: 10000 });
    assert.deepEqual(await accentOf(mine.locator('canvas')), await accentOf(fresh.locator('canvas')), name);
  }
  assert.deepEqual([...wrong, ...other.wrong], []);
  await other.page.context().close();
  await page.context().close();
});

test('the page finds a restarted daemon again, and what happened since', { timeout: 60000 }, async () => {
  const { page, wrong } = await openPage(/ERR_|Failed to load resource/);
  await stopDaemon();
  await page.getByText('connection lost', { exact: false }).waitFor();
  await startDaemon(new URL(base).host);
  await page.getByText('live', { exact: true }).waitFor({ timeout: 30000 });
  await submit({ ...SPEC, name: 'after the restart', epochs: 40 });
  await page.locator('nav .job', { hasText: 'after the restart' }).waitFor();
  await page.locator('nav .job', { hasText: 'after the restart' }).click();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.locator('.state.paused').waitFor({ timeout: 30000 });
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.locator('.state.running').waitFor({ timeout: 30000 });
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Cancel the job' }).click();
  await page.locator('.state.cancelled').waitFor({ timeout: 30000 });
  assert.deepEqual(wrong, []);
  await page.context().close();
});
