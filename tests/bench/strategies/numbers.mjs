// What a set of finished runs says: the quality of a run, the cost at which a
// strategy is as good as another, and intervals over seeds. Pure functions.
//
//   quality   mean test accuracy of the best architectures under five ceilings
//      ^        .--o full budget of `ofa`
//      |     o-'         speed-up = cost of `ofa` in full / cost at which the
//      | ..-'            strategy's curve comes within MARGIN of its quality
//      +--------------> log cost (training MACs, probes and fits included)

/** Non-inferior: no more than this below. */
export const MARGIN = 0.002;
const REPLICATES = 2000;

/** @typedef {{arm: string, seed: number, budget: number, macs: number, cpu_s: number, images: number,
 *   ceilings: {macs: number, arch: string, accuracy: number}[], [more: string]: any}} Run */
/** @typedef {{cost: number, quality: number}} Point */

/** @param {number[]} values */
export const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

/** Sample SD; 0 of a single value. @param {number[]} values */
export function deviation(values) {
  const m = mean(values);
  return values.length < 2 ? 0 : Math.sqrt(values.reduce((a, v) => a + (v - m) ** 2, 0) / (values.length - 1));
}

/** @param {Run} run */
export const quality = (run) => mean(run.ceilings.map((c) => c.accuracy));

/** The share of the box from the smallest architecture to the largest in log
 * MACs and from chance to 1 that the answers dominate. Ceilings are even steps
 * of log MACs from the smallest on. @param {Run} run @param {number} chance */
export function hypervolume(run, chance) {
  const n = run.ceilings.length;
  const first = run.ceilings[0].macs, last = run.ceilings[n - 1].macs;
  const smallest = n > 1 ? first * (first / last) ** (1 / (n - 1)) : first;
  let area = 0, best = chance, from = smallest;
  for (const c of run.ceilings) {
    // between two ceilings the answer to the lower one holds
    area += Math.log(c.macs / from) * (best - chance);
    best = Math.max(best, c.accuracy);
    from = c.macs;
  }
  return area / (Math.log(last / smallest) * (1 - chance));
}

/** Mean over some seeds of an arm's runs, by rising cost.
 * @param {Run[]} runs of one arm @param {number[]} seeds with repetitions @returns {Point[]} */
export function curve(runs, seeds) {
  const budgets = [...new Set(runs.map((r) => r.budget))].sort((a, b) => a - b);
  return budgets.map((budget) => {
    const at = seeds.map((seed) => runs.find((r) => r.budget === budget && r.seed === seed)).filter((r) => r !== undefined);
    return { cost: mean(at.map((r) => r.macs)), quality: mean(at.map((r) => quality(r))) };
  }).filter((p) => !Number.isNaN(p.cost));
}

/** The lowest cost at which a curve, straight in log cost between its points,
 * reaches a quality. `bound`: it does already at its first point, so the true
 * cost is no more than that. null: never.
 * @param {Point[]} points by rising cost @param {number} wanted
 * @returns {{cost: number, bound: boolean} | null} */
export function costOf(points, wanted) {
  for (let i = 0; i < points.length; i++) {
    const b = points[i];
    if (b.quality < wanted) continue;
    if (i === 0) return { cost: b.cost, bound: true };
    const a = points[i - 1];
    const share = (wanted - a.quality) / (b.quality - a.quality);
    return { cost: a.cost * (b.cost / a.cost) ** share, bound: false };
  }
  return null;
}

/** The quality of a curve at a cost; null outside of it. @param {Point[]} points @param {number} cost */
export function qualityAt(points, cost) {
  const near = 1.02; // budgets are met to a per cent or two
  for (let i = 0; i < points.length; i++) {
    const b = points[i];
    if (Math.abs(Math.log(b.cost / cost)) < Math.log(near)) return b.quality;
    if (i === 0 || b.cost < cost) continue;
    const a = points[i - 1];
    if (a.cost > cost) continue;
    return a.quality + (b.quality - a.quality) * Math.log(cost / a.cost) / Math.log(b.cost / a.cost);
  }
  return null;
}

/** A generator of its own (mulberry32), so that intervals repeat. @param {number} seed */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A statistic's 95% interval by bootstrap over seeds; null with one seed, or
 * where the statistic has no value in more than one of twenty replicates.
 * @param {number[]} seeds @param {(seeds: number[]) => number | null} statistic @returns {[number, number] | null} */
export function interval(seeds, statistic) {
  if (seeds.length < 2) return null;
  const next = generator(1);
  const values = [];
  for (let i = 0; i < REPLICATES; i++) {
    const value = statistic(seeds.map(() => seeds[Math.floor(next() * seeds.length)]));
    if (value !== null) values.push(value);
  }
  if (values.length < 0.95 * REPLICATES) return null;
  values.sort((a, b) => a - b);
  return [values[Math.floor(0.025 * values.length)], values[Math.ceil(0.975 * values.length) - 1]];
}

/** How much cheaper an arm is than another arm's full budget at its quality.
 * @param {Run[]} runs @param {string} arm @param {string} rival @param {number[]} seeds
 * @returns {{speedup: number | null, bound: boolean, ci: [number, number] | null}} */
export function speedup(runs, arm, rival, seeds) {
  const of = (/** @type {string} */ name) => runs.filter((r) => r.arm === name);
  const once = (/** @type {number[]} */ some) => {
    const full = curve(of(rival).filter((r) => r.budget === 1), some)[0];
    const at = full && costOf(curve(of(arm), some), full.quality - MARGIN);
    return at ? { value: full.cost / at.cost, bound: at.bound } : null;
  };
  const all = once(seeds);
  return { speedup: all?.value ?? null, bound: all?.bound ?? false, ci: interval(seeds, (some) => once(some)?.value ?? null) };
}

/** Quality of an arm over a rival's at each cost of the arm's that the rival's
 * curve covers, and ceiling by ceiling at the same budget, paired by seed.
 * @param {Run[]} runs @param {string} arm @param {string} rival @param {number[]} seeds */
export function differences(runs, arm, rival, seeds) {
  const of = (/** @type {string} */ name) => runs.filter((r) => r.arm === name);
  const budgets = [...new Set(of(arm).map((r) => r.budget))].sort((a, b) => b - a);
  return budgets.map((budget) => {
    const once = (/** @type {number[]} */ some) => {
      const mine = curve(of(arm).filter((r) => r.budget === budget), some)[0];
      const theirs = mine && qualityAt(curve(of(rival), some), mine.cost);
      return mine && theirs !== null && theirs !== undefined ? mine.quality - theirs : null;
    };
    const pairs = seeds.map((seed) => [arm, rival].map((name) => of(name).find((r) => r.budget === budget && r.seed === seed)));
    const whole = pairs.filter(([a, b]) => a && b);
    const ceilings = whole.length === 0 ? [] : whole[0][0].ceilings.map((_, i) => {
      const d = whole.map(([a, b]) => a.ceilings[i].accuracy - b.ceilings[i].accuracy);
      return { mean: mean(d), deviation: deviation(d) };
    });
    return { budget, quality: once(seeds), ci: interval(seeds, once), ceilings };
  });
}
