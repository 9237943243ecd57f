// What serving costs a running job: the job's images a second in windows with
// and without a client that makes REQUESTS calls a second, taken in turn so
// that the machine's own noise meets both. Prints a table and writes
// bench/serve.json in the build folder:
//   requests_per_s, windows[] {served, images_per_s, served_per_s, p50_ms,
//   p99_ms, failed}, ratio (median served / median quiet),
//   daemon_loop_cpu and client_cpu (shares of one core while served)
// The client (bench_load.c) runs on the same cores: its own share is in the ratio.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const { Daemon, makeFolder, sleep } = await import('../blackbox/harness.mjs');

const PAIRS = Number(process.env.BENCH_PAIRS ?? 5);
const WINDOW_S = Number(process.env.BENCH_WINDOW_S ?? 12);
const REQUESTS = Number(process.env.BENCH_REQUESTS ?? 200);
const TICKS_PER_S = 100; // of /proc/*/stat on Linux

/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Seconds that the daemon's first thread, the loop's, has run. @param {number} pid */
function loopSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

const load = join(process.env.top_builddir ?? '.', 'tests', 'bench', 'bench_load');

/** Calls in turn for a window. @param {string} base @param {string[]} paths
 * @returns {Promise<{served: number, failed: number, p50_ms: number, p99_ms: number, cpu_s: number}>} */
function client(base, paths) {
  const { hostname, port } = new URL(base);
  return new Promise((done, fail) => {
    execFile(load, [hostname, port, String(REQUESTS), String(WINDOW_S), ...paths],
      (err, text) => (err ? fail(err) : done(JSON.parse(text))));
  });
}

const daemon = await new Daemon(await makeFolder()).start();
try {
  const spec = { name: 'serve', dataset: 'fashion-mnist', strategy: 'ofa', epochs: 200, seed: 1 };
  const reply = await daemon.post('/jobs', spec);
  const { id } = await reply.json();
  const job = `/jobs/${id}`;
  /** Images and seconds of the job's work so far. */
  const work = async () => {
    const { cost: { total } } = await daemon.get(job);
    return { images: total?.images ?? 0, wall: total?.wall_s ?? 0 };
  };
  while ((await work()).images < 20_000) await sleep(200);
  const paths = [job, '/jobs', `${job}/series?name=loss`, `${job}/evaluations`, `${job}/front`, '/datasets', '/spaces', '/system']
    .map((p) => `/api/v1${p}`);
  const windows = [];
  let loop = 0, clientS = 0;
  for (let i = 0; i < 2 * PAIRS; i++) {
    const served = i % 2 === (i >> 1) % 2; // quiet first, then served first
    const before = await work();
    const loopBefore = loopSeconds(daemon.child.pid);
    const seen = served ? await client(daemon.base, paths) : undefined;
    if (!served) await sleep(1000 * WINDOW_S);
    if (seen) {
      clientS += seen.cpu_s;
      loop += loopSeconds(daemon.child.pid) - loopBefore;
    }
    const after = await work();
    const row = {
      served, images_per_s: (after.images - before.images) / (after.wall - before.wall),
      served_per_s: (seen?.served ?? 0) / WINDOW_S, failed: seen?.failed ?? 0, p50_ms: seen?.p50_ms ?? null, p99_ms: seen?.p99_ms ?? null,
    };
    windows.push(row);
    console.log(`${served ? 'served' : 'quiet '} ${row.images_per_s.toFixed(0)} images/s` +
      (served ? `, ${row.served_per_s.toFixed(0)} requests/s, p50 ${row.p50_ms?.toFixed(2)} ms, p99 ${row.p99_ms?.toFixed(2)} ms, ${row.failed} failed` : ''));
  }
  const of = (served) => median(windows.filter((w) => w.served === served).map((w) => w.images_per_s));
  const result = {
    requests_per_s: REQUESTS, windows, ratio: of(true) / of(false),
    daemon_loop_cpu: loop / (PAIRS * WINDOW_S), client_cpu: clientS / (PAIRS * WINDOW_S),
  };
  const out = join(process.env.top_builddir ?? '.', 'bench');
  if (!existsSync(out)) mkdirSync(out);
  writeFileSync(join(out, 'serve.json'), `${JSON.stringify(result, null, 2)}\n`);
  console.log(`throughput while serving ${REQUESTS} requests/s: ${(100 * result.ratio).toFixed(1)}% of the quiet; ` +
    `of one core the loop took ${(100 * result.daemon_loop_cpu).toFixed(1)}%, the client ${(100 * result.client_cpu).toFixed(1)}%`);
} finally {
  await daemon.clear();
}
