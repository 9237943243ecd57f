// Chromium and what drives it, for the tests of this folder, which are skipped
// (exit code 77) without it, without playwright-core or without Fashion-MNIST.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

export const source = resolve(process.env.top_srcdir ?? '.');
const program = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);

/** @param {string} why */
function skip(why) {
  console.log(`SKIP: ${why}`);
  process.exit(77);
}

/** @type {any} */
let playwright;
try {
  playwright = createRequire(join(source, 'web/package.json'))('playwright-core');
} catch {
  skip('playwright-core is not installed (run ./bootstrap)');
}
if (!program) skip('Chromium is not installed (run ./bootstrap)');
if (!existsSync('/usr/share/datasets/fashion-mnist')) skip('Fashion-MNIST is not installed (Debian: dataset-fashion-mnist)');

/** @returns {Promise<any>} a browser of its own, to be closed */
export const launch = () => playwright.chromium.launch({
  executablePath: program,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
