// Strategies against each other on one engine, with the same data and seeds:
//   make bench-strategies BENCH_ARGS='[--quick] [--dataset NAME | --data FOLDER [--format F]] [--space NAME | --space FILE.json]
//     [--epochs E] [--budgets 1,1/2,1/3,1/5] [--seeds 1,2] [--arms ofa,compofa,bignas,sparsenas]
//     [--controls] [--control-budgets 1/3] [--evaluations N] [--set JSON] [--arm-set ARM=JSON] [--keep FOLDER]'
//
// `ofa` in full (E epochs) sets the budget; each arm is run at each share of it
// with a whole schedule of its own, paired by seed. Finished runs are kept (by
// spec, images and program) and not run again, so it can be stopped at any time.
// --set goes into every spec, --arm-set into one arm's: {"train": {...}}.
//
// Writes bench/strategies.json, .md and .svg in the build folder. Keys:
//   command, commit, when, machine, dataset, space, epochs, seeds, margin
//   ceilings[]         MACs: 20, 40, 60, 80, 100% of the way from the smallest
//                      architecture to the largest, in logarithms
//   signal[]           of each seed of `ofa` in full: spread, standard_error and
//                      reliability of final accuracies within cost bands, n
//   signal_enough      spread over 0.3 points and reliability over 0.6
//   arms[] {name, title}
//   runs[]             arm, seed, budget, macs, cpu_s, wall_s, images (training,
//                      probes and fits), ceilings[] {macs, arch, arch_macs,
//                      holdout, accuracy (test), images}, predictors[], subspace,
//                      spec (resolved), log[]
//   groups[]           arm and budget over the seeds: macs, cpu_s, images,
//                      quality (mean of ceilings), deviation, ceilings[],
//                      hypervolume, subspace (members)
//   speedups[]         arm: speedup against `ofa` in full at its quality less
//                      margin, ci (95%, bootstrap over seeds), bound (at least)
//   against_compofa    cheaper (share, at its full quality), ci, bound,
//                      at_equal_cost[] {budget, quality, ci, ceilings[]},
//                      space_ratio
//   half_costs         accuracy that half of `ofa`'s budget costs it
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { budgetName, controls, mergeSpecs, parseBudgets, strategies } from './strategies/arms.mjs';
import { MARGIN, costOf, curve, differences, hypervolume, interval, mean, quality, speedup } from './strategies/numbers.mjs';
import { groupsOf, markdown, svg } from './strategies/report.mjs';
import { Runs, hashOfFile } from './strategies/runs.mjs';

const { Daemon, makeFolder, program, sleep } = await import('../blackbox/harness.mjs');

/** Under 15 minutes on two cores. */
const QUICK = { dataset: 'fashion-mnist', space: 'mbv3-tiny', epochs: '4', budgets: '1,1/2,1/3', seeds: '1', evaluations: '24',
  set: '{"train": {"train_limit": 20000}, "search": {"images": 3000}}' };
const FULL = { dataset: 'fashion-mnist', space: 'mbv3-tiny', epochs: '30', budgets: '1,1/2,1/3,1/5', seeds: '1,2', evaluations: '80', set: '{}' };
const ENOUGH = { spread: 0.003, reliability: 0.6 };

/** As make has them, values with spaces and quotes and all: `--set {"a": 1} --quick`. */
const text = process.env.BENCH_ARGS ?? '';
const args = process.argv.length > 2 ? process.argv.slice(2)
  : text.split(/\s+(?=--)/).filter((part) => part.trim() !== '').map((part) => part.trim().replace(/^(--[a-z-]+)\s+/, '$1='));

const { values: given } = parseArgs({
  args,
  options: {
    quick: { type: 'boolean' }, dataset: { type: 'string' }, data: { type: 'string' }, space: { type: 'string' }, epochs: { type: 'string' },
    format: { type: 'string' }, budgets: { type: 'string' }, seeds: { type: 'string' }, arms: { type: 'string' }, controls: { type: 'boolean' }, 'control-budgets': { type: 'string' },
    evaluations: { type: 'string' }, set: { type: 'string' }, 'arm-set': { type: 'string', multiple: true }, keep: { type: 'string' },
  },
});
const options = { ...(given.quick ? QUICK : FULL), ...given };
const out = join(resolve(process.env.top_builddir ?? '.'), 'bench');
const seeds = options.seeds.split(',').map(Number);
const budgets = parseBudgets(options.budgets);
if (!budgets.includes(1)) throw new Error('--budgets must have 1: the others are shares of it');

const say = (/** @type {string} */ text) => console.log(text);
const minutes = (/** @type {number} */ s) => (s < 90 ? `${s.toFixed(0)} s` : s < 5400 ? `${(s / 60).toFixed(0)} min` : `${(s / 3600).toFixed(1)} h`);

/** What is run: arms, each at its budgets. */
function selection() {
  const names = options.arms?.split(',');
  const known = [...strategies, ...controls];
  for (const name of names ?? [])
    if (!known.some((a) => a.name === name)) throw new Error(`there is no arm '${name}': ${known.map((a) => a.name).join(', ')}`);
  const main = names ? known.filter((a) => names.includes(a.name)) : strategies;
  if (!main.some((a) => a.name === 'ofa')) throw new Error("--arms must have ofa: the budgets are shares of it");
  const beside = options.controls ? controls.filter((a) => !main.includes(a)) : [];
  const shares = parseBudgets(options['control-budgets'] ?? '1/3');
  return [...main.map((arm) => ({ arm, shares: budgets })), ...beside.map((arm) => ({ arm, shares }))];
}

/** @param {string} arm */
function specOf(arm) {
  const extra = (options['arm-set'] ?? []).filter((/** @type {string} */ s) => s.startsWith(`${arm}=`)).map((/** @type {string} */ s) => JSON.parse(s.slice(arm.length + 1)));
  const base = {
    dataset: options.dataset, space: options.space,
    search: { macs: 'auto', latency_ms: [1000], evaluations: Number(options.evaluations) },
  };
  return mergeSpecs(base, JSON.parse(options.set), ...[...strategies, ...controls].filter((a) => a.name === arm).map((a) => a.spec), ...extra);
}

/** Registers a folder or archive as a user would. @param {any} daemon */
async function register(daemon) {
  if (!options.data) return;
  options.dataset = 'benchmark';
  const reply = await daemon.post('/datasets', { name: 'benchmark', path: resolve(options.data), format: options.format ?? 'folder' });
  if (!reply.ok) throw new Error(`the images are refused: ${await reply.text()}`);
  for (let set; (set = await daemon.get('/datasets/benchmark')).state !== 'ready'; await sleep(500))
    if (set.state === 'failed') throw new Error(`the images are refused: ${set.problem}`);
}

/** A space of its own, from the file that defines it: one of ours by its name alone. @param {any} daemon */
async function defineSpace(daemon) {
  if (!options.space.endsWith('.json')) return;
  const text = readFileSync(existsSync(options.space) ? options.space : new URL(`strategies/${options.space}`, import.meta.url), 'utf8');
  const reply = await daemon.post('/spaces', text);
  if (!reply.ok) throw new Error(`the space is refused: ${await reply.text()}`);
  options.space = JSON.parse(text).name;
}

/** Every run with its spec, `ofa` in full first: the signal is read off it.
 * @param {Runs} runs */
async function plan(runs) {
  const full = await runs.trainingMacs(mergeSpecs(specOf('ofa'), { epochs: Number(options.epochs) }));
  const list = [];
  for (const { arm, shares } of selection())
    for (const budget of shares) {
      const base = mergeSpecs(specOf(arm.name), { epochs: Number(options.epochs) });
      const spec = arm.name === 'ofa' && budget === 1 ? base : await runs.fitted(base, budget * full);
      for (const seed of seeds)
        list.push({ arm: arm.name, budget, seed, spec: mergeSpecs(spec, { seed, name: `${arm.name} ${budgetName(budget)} seed ${seed}` }) });
    }
  const first = (/** @type {any} */ r) => (r.arm === 'ofa' && r.budget === 1 ? 0 : 1);
  return list.sort((a, b) => first(a) - first(b) || b.budget - a.budget || a.seed - b.seed);
}

/** @param {Runs} runs @param {any[]} list @param {string} data */
async function runAll(runs, list, data) {
  const left = list.filter((r) => !runs.kept(r.spec, data));
  let expected = 0;
  for (const r of left) expected += (await runs.forecast(r.spec)).forecast.seconds;
  say(`${list.length} runs, ${list.length - left.length} of them kept from before; about ${minutes(expected)} for the rest, if the forecast holds here`);
  const done = [];
  for (const [i, r] of list.entries()) {
    const was = runs.kept(r.spec, data) !== null;
    const result = { arm: r.arm, budget: r.budget, seed: r.seed, ...await runs.run(r.spec, data) };
    done.push(result);
    say(`${String(i + 1).padStart(3)}/${list.length} ${r.spec.name.padEnd(28)} ${(result.macs / 1e12).toFixed(2).padStart(8)} TMACs ${result.cpu_s.toFixed(0).padStart(6)} CPU s  quality ${(100 * quality(result)).toFixed(2)}%${was ? '  (kept)' : `  ${minutes(result.total.wall_s)}`}`);
  }
  return done;
}

/** @param {any[]} runs */
function signalOf(runs) {
  return runs.filter((r) => r.arm === 'ofa' && r.budget === 1).map((r) => {
    const p = r.predictors.find((/** @type {any} */ x) => x.stage === 'final');
    return { seed: r.seed, n: p.n, spread: p.spread, standard_error: p.standard_error, reliability: p.reliability };
  });
}

/** @param {any[]} runs @param {number} coupled architectures of CompOFA's space */
function againstCompofa(runs, coupled) {
  if (!['compofa', 'sparsenas'].every((name) => runs.some((r) => r.arm === name))) return null;
  const of = (/** @type {string} */ name) => runs.filter((r) => r.arm === name);
  const cheaper = (/** @type {number[]} */ some) => {
    const full = curve(of('compofa').filter((r) => r.budget === 1), some)[0];
    const at = costOf(curve(of('sparsenas'), some), full.quality);
    return at ? { share: 1 - at.cost / full.cost, bound: at.bound } : null;
  };
  const all = cheaper(seeds);
  const kept = of('sparsenas').filter((r) => r.subspace).map((r) => r.subspace.size);
  return {
    cheaper: all?.share ?? null, bound: all?.bound ?? false, ci: interval(seeds, (some) => cheaper(some)?.share ?? null),
    at_equal_cost: differences(runs, 'sparsenas', 'compofa', seeds), space_ratio: kept.length > 0 ? mean(kept) / coupled : null,
  };
}

const commit = () => {
  try {
    return `commit ${execFileSync('git', ['-C', dirname(new URL(import.meta.url).pathname), 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()}`;
  } catch {
    return 'commit unknown';
  }
};

/** @param {any[]} runs @param {any} info of the data set and the space */
function conclude(runs, info) {
  const arms = selection().map(({ arm }) => ({ name: arm.name, title: arm.title }));
  const volume = (/** @type {any} */ run) => hypervolume(run, 1 / info.classes);
  const signal = signalOf(runs);
  const of = (/** @type {number} */ budget) => curve(runs.filter((r) => r.arm === 'ofa' && r.budget === budget), seeds)[0];
  return {
    command: `make bench-strategies BENCH_ARGS='${args.join(' ')}'`, commit: commit(), when: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0]?.model ?? 'CPU'} (${cpus().length} CPUs)`, dataset: options.data ? options.data : options.dataset, space: options.space, epochs: Number(options.epochs),
    seeds, margin: MARGIN, ceilings: runs[0].ceilings.map((/** @type {any} */ c) => c.macs), signal,
    signal_enough: signal.every((s) => s.spread >= ENOUGH.spread && s.reliability >= ENOUGH.reliability), arms, runs,
    groups: arms.flatMap((arm) => groupsOf(runs, arm, volume)),
    speedups: arms.map((arm) => ({ arm: arm.name, title: arm.title, ...speedup(runs, arm.name, 'ofa', seeds) })),
    against_compofa: againstCompofa(runs, info.coupled),
    half_costs: budgets.includes(0.5) ? of(1).quality - of(0.5).quality : null,
  };
}

const folder = await makeFolder();
const config = join(folder, 'config');
writeFileSync(config, options.data ? `[datasets]\nallowed = ${dirname(resolve(options.data))}\n` : '');
const daemon = new Daemon(folder, ['--config', config]);
try {
  await daemon.start();
  await register(daemon);
  await defineSpace(daemon);
  const runs = new Runs(daemon, options.keep ?? join(out, 'strategies'), await hashOfFile(program), say);
  const set = await daemon.get(`/datasets/${options.dataset}`);
  const space = await daemon.get(`/spaces/${options.space}`);
  const list = await plan(runs);
  const done = await runAll(runs, list, set.checksum);
  const result = conclude(done, { classes: set.classes, coupled: space.coupled });
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'strategies.json'), `${JSON.stringify(result, null, 1)}\n`);
  writeFileSync(join(out, 'strategies.md'), markdown(result));
  writeFileSync(join(out, 'strategies.svg'), svg(result));
  say(`\n${markdown(result)}\nwritten to ${join(out, 'strategies.{json,md,svg}')}`);
} finally {
  await daemon.clear();
}
