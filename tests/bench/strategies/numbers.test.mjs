// What the benchmark of strategies concludes from runs whose answer is known:
// costs between budgets, speed-ups and their bounds, hypervolume, intervals
// that repeat, and specs that are put together group by group.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { budgetName, mergeSpecs, parseBudgets } from './arms.mjs';
import { costOf, curve, differences, hypervolume, interval, qualityAt, speedup } from './numbers.mjs';

/** @param {string} arm @param {number} seed @param {number} budget @param {number} accuracy @returns {any} */
const run = (arm, seed, budget, accuracy) => ({
  arm, seed, budget, macs: 1000 * budget, cpu_s: 1, images: 1,
  ceilings: [10, 100, 1000].map((macs) => ({ macs, arch: 'a', accuracy })),
});
const near = (/** @type {number | null | undefined} */ value, /** @type {number} */ wanted) =>
  assert.ok(value !== null && value !== undefined && Math.abs(value - wanted) < 1e-9, `${value} is not ${wanted}`);

test('a cost is interpolated in logarithms', () => {
  const points = [{ cost: 100, quality: 0.8 }, { cost: 400, quality: 0.9 }];
  const at = costOf(points, 0.85);
  near(at?.cost, 200);
  assert.equal(at?.bound, false);
  assert.deepEqual(costOf(points, 0.7), { cost: 100, bound: true });
  assert.equal(costOf(points, 0.95), null);
  near(qualityAt(points, 200), 0.85);
  assert.equal(qualityAt(points, 50), null);
});

test('a speed-up is against the rival in full, at its quality less the margin', () => {
  const runs = [1, 2].flatMap((seed) => [
    run('ofa', seed, 1, 0.9), run('ofa', seed, 0.25, 0.8),
    run('mine', seed, 1, 0.92), run('mine', seed, 0.25, 0.898),
    run('poor', seed, 1, 0.85),
  ]);
  const mine = speedup(runs, 'mine', 'ofa', [1, 2]);
  near(mine.speedup, 4);
  assert.equal(mine.bound, true, 'its smallest budget is good enough');
  assert.deepEqual(mine.ci?.map((v) => Math.round(v)), [4, 4]);
  assert.deepEqual(speedup(runs, 'poor', 'ofa', [1, 2]), { speedup: null, bound: false, ci: null });
  assert.equal(speedup(runs, 'mine', 'ofa', [1]).ci, null, 'one seed has no interval');
});

test('differences are paired by seed', () => {
  const runs = [run('a', 1, 1, 0.9), run('a', 2, 1, 0.8), run('b', 1, 1, 0.88), run('b', 2, 1, 0.77)];
  const [d] = differences(runs, 'a', 'b', [1, 2]);
  near(d.quality, 0.025);
  near(d.ceilings[0].mean, 0.025);
  assert.ok(d.ceilings[0].deviation < 0.01, 'though the seeds are 0.1 apart');
});

test('hypervolume is a share: none at chance, all where every answer is right', () => {
  near(hypervolume(run('a', 1, 1, 0.1), 0.1), 0);
  near(hypervolume(run('a', 1, 1, 1), 0.1), 2 / 3); // nothing is known under the first ceiling
});

test('intervals repeat', () => {
  const by = (/** @type {number[]} */ seeds) => seeds.reduce((a, b) => a + b) / seeds.length;
  assert.deepEqual(interval([1, 2, 3], by), interval([1, 2, 3], by));
  const [lo, hi] = interval([1, 2, 3], by) ?? [0, 0];
  assert.ok(lo >= 1 && lo < 2 && hi > 2 && hi <= 3);
});

test('curves leave out what was not run', () => {
  assert.deepEqual(curve([run('a', 1, 1, 0.5)], [1, 7]), [{ cost: 1000, quality: 0.5 }]);
});

test('budgets are shares, specs are put together by groups', () => {
  assert.deepEqual(parseBudgets('1/3,1,0.5'), [1, 0.5, 1 / 3]);
  assert.equal(budgetName(1 / 3), '1/3');
  assert.throws(() => parseBudgets('x'), /a budget is a share/);
  assert.deepEqual(mergeSpecs({ a: 1, g: { x: 1, y: 2 } }, { g: { y: 3 } }, { l: [1] }), { a: 1, g: { x: 1, y: 3 }, l: [1] });
});
