// Bundles the dashboard: web/src into the folder named by the first argument,
// as index.html, app.js, app.css and icon.svg. Run by make, from any folder.
import { cp, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const web = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(web, 'dist');

const { build } = await import('esbuild').catch(() => {
  console.error('web: the npm packages are missing: run ./bootstrap, or npm ci in web/');
  process.exit(1);
});

await mkdir(out, { recursive: true });
await build({
  entryPoints: { app: join(web, 'src/main.js') },
  outdir: out,
  bundle: true,
  minify: true,
  treeShaking: true,
  format: 'esm',
  target: ['es2022', 'chrome110', 'firefox115', 'safari16.4'],
  legalComments: 'eof',
  logLevel: 'warning',
});
for (const file of ['index.html', 'icon.svg'])
  await cp(join(web, 'src', file), join(out, file));
