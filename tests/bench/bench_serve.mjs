// What serving costs a running job: the job's images a second in windows with
// and without a client that makes REQUESTS calls a second, taken in turn so
// that the machine's own noise meets both. Prints a table and writes
// bench/serve.json in the build folder:
//   requests_per_s, windows[] {served, images_per_s, served_per_s, p50_ms,
//   p99_ms, failed}, ratio (median served / median quiet),
//   daemon_loop_cpu and client_cpu (shares of one core while served)
// The client runs on the same cores: its own share is in the ratio.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

const { Daemon, makeFolder, sleep } = await import('../blackbox/harness.mjs');

const PAIRS = Number(process.env.BENCH_PAIRS ?? 5);
const WINDOW_S = Number(process.env.BENCH_WINDOW_S ?? 12);
const REQUESTS = Number(process.env.BENCH_REQUESTS ?? 200);
const CONNECTIONS = 8;
const TICKS_PER_S = 100; // of /proc/*/stat on Linux

/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Seconds that the daemon's first thread, the loop's, has run. @param {number} pid */
function loopSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

/** One kept connection that sends one request at a time; plain sockets, since
 * an HTTP client's own work would be measured along. Replies have a length.
 * @param {URL} base @param {(ok: boolean, ms: number) => void} done */
function connection(base, done) {
  const socket = connect(Number(base.port), base.hostname);
  let seen = 0, whole = 0, ok = false, start = 0;
  socket.setNoDelay(true);
  socket.on('data', (/** @type {Buffer} */ chunk) => {
    if (whole === 0) {
      const head = chunk.toString('latin1', 0, chunk.indexOf('\r\n\r\n') + 4);
      ok = head.startsWith('HTTP/1.1 200');
      whole = head.length + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? NaN);
    }
    seen += chunk.length;
    if (seen >= whole) {
      whole = seen = 0;
      free.push(send);
      done(ok, performance.now() - start);
    }
  });
  socket.on('error', () => done(false, 0));
  /** @param {string} path */
  const send = (path) => {
    start = performance.now();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${base.host}\r\n\r\n`);
  };
  /** @type {((path: string) => void)[]} */
  const free = connection.free;
  free.push(send);
  return socket;
}
/** @type {((path: string) => void)[]} */
connection.free = [];

/** Calls in turn, REQUESTS a second, until told to stop.
 * @param {string} base @param {string[]} paths */
function client(base, paths) {
  /** @type {number[]} */
  const took = [];
  let sent = 0, failed = 0;
  connection.free = [];
  const sockets = Array.from({ length: CONNECTIONS }, () => connection(new URL(base), (ok, ms) => {
    if (!ok) failed++;
    took.push(ms);
  }));
  const began = performance.now();
  const timer = setInterval(() => {
    for (const due = ((performance.now() - began) * REQUESTS) / 1000; sent < due && connection.free.length > 0; sent++)
      connection.free.shift()?.(paths[sent % paths.length]);
  }, 10);
  return () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
    took.sort((a, b) => a - b);
    return { served: took.length, failed, p50: took[took.length >> 1], p99: took[Math.floor(took.length * 0.99)] };
  };
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
    const cpuBefore = process.cpuUsage();
    const stop = served ? client(daemon.base, paths) : undefined;
    await sleep(1000 * WINDOW_S);
    const seen = stop?.();
    if (served) {
      const cpu = process.cpuUsage(cpuBefore);
      clientS += (cpu.user + cpu.system) / 1e6;
      loop += loopSeconds(daemon.child.pid) - loopBefore;
    }
    const after = await work();
    const row = {
      served, images_per_s: (after.images - before.images) / (after.wall - before.wall),
      served_per_s: (seen?.served ?? 0) / WINDOW_S, failed: seen?.failed ?? 0, p50_ms: seen?.p50 ?? null, p99_ms: seen?.p99 ?? null,
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
