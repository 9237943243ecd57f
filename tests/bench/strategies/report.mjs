// The benchmark's result as a Markdown table and a plot.
import { budgetName } from './arms.mjs';
import { curve, deviation, quality } from './numbers.mjs';

const percent = (/** @type {number} */ v) => (100 * v).toFixed(2);
const signed = (/** @type {number} */ v) => `${v < 0 ? '\u2212' : '+'}${Math.abs(100 * v).toFixed(2)}`;
const range = (/** @type {[number, number] | null} */ ci, /** @type {(v: number) => string} */ text) => (ci ? ` [${text(ci[0])}, ${text(ci[1])}]` : '');
const row = (/** @type {(string | number)[]} */ cells) => `| ${cells.join(' | ')} |`;

/** @param {any} result */
function costsTable(result) {
  const lines = [
    row(['arm', 'budget', 'TMACs', 'CPU s', 'images, M', 'quality, %', 'SD over seeds', ...result.ceilings.map((/** @type {number} */ m) => `\u2264 ${(m / 1e6).toFixed(2)} M`), 'hypervolume', 'sub-space']),
    row(['---', ...Array(8 + result.ceilings.length).fill('--:')]),
  ];
  for (const g of result.groups) {
    lines.push(row([g.title, budgetName(g.budget), (g.macs / 1e12).toFixed(1), g.cpu_s.toFixed(0), (g.images / 1e6).toFixed(2),
      percent(g.quality), (100 * g.deviation).toFixed(2), ...g.ceilings.map(percent), g.hypervolume.toFixed(4), g.subspace ?? 'all']));
  }
  return lines.join('\n');
}

/** @param {any} result */
function verdicts(result) {
  const lines = [];
  for (const s of result.speedups) {
    const least = s.bound ? 'at least ' : '';
    lines.push(s.speedup === null
      ? `- ${s.title} does not reach \`ofa\`'s full-budget quality (less ${(100 * result.margin).toFixed(1)} points) at these budgets.`
      : `- ${s.title} reaches \`ofa\`'s full-budget quality (less ${(100 * result.margin).toFixed(1)} points) ${least}**${s.speedup.toFixed(2)}x** cheaper${range(s.ci, (v) => `${v.toFixed(2)}x`)}.`);
  }
  const c = result.against_compofa;
  if (c) {
    if (c.cheaper !== null) lines.push(`- Against CompOFA at its full budget's quality SparseNAS is ${(100 * c.cheaper).toFixed(0)}% cheaper${range(c.ci, (v) => `${(100 * v).toFixed(0)}%`)}${c.bound ? ' or more' : ''}.`);
    for (const d of c.at_equal_cost)
      if (d.quality !== null) lines.push(`- At SparseNAS' budget ${budgetName(d.budget)}: ${signed(d.quality)} points over CompOFA at equal cost${range(d.ci, signed)}; by ceiling ${d.ceilings.map((/** @type {any} */ x) => signed(x.mean)).join(', ')}.`);
    if (c.space_ratio !== null) lines.push(`- Its sub-space has ${c.space_ratio.toFixed(1)} times as many architectures as CompOFA's.`);
  }
  const half = result.half_costs;
  if (half !== null) lines.push(`- Half of \`ofa\`'s budget costs it ${(100 * half).toFixed(2)} points${half < 0.005 ? ': the ladder reaches the flat part of its curve' : ': the ladder does not reach the flat part (0.5 points) of its curve'}.`);
  return lines.join('\n');
}

/** @param {any} result */
function signalText(result) {
  const list = result.signal.map((/** @type {any} */ s) => `seed ${s.seed}: spread ${percent(s.spread)} points, error of one ${percent(s.standard_error)}, reliability ${s.reliability.toFixed(2)} (${s.n} architectures)`);
  return `Signal of \`ofa\`'s final accuracies within cost bands: ${list.join('; ')}. ` + (result.signal_enough
    ? 'It is enough to compare by (0.30 points, 0.60).'
    : '**It is under what a comparison needs (0.30 points, 0.60)**: a filter picks noise here, and differences below say little of it.');
}

/** @param {any} result */
export function markdown(result) {
  return `# Strategies on ${result.dataset} in ${result.space}

${result.when}, ${result.machine}; seeds ${result.seeds.join(', ')}; ${result.commit}.

    ${result.command}

Budget 1 is what \`ofa\` costs in ${result.epochs} epochs; every run has its whole schedule. Costs are training alone,
probes and fits included. Quality: the mean test accuracy of the best architectures under five ceilings of MACs, each
chosen on the hold-out.

${signalText(result)}

${costsTable(result)}

${verdicts(result)}

![quality against cost](strategies.svg)
`;
}

const COLOURS = ['#1b6ca8', '#c8553d', '#588157', '#7b2d8b', '#b8860b', '#2a9d8f', '#8d5b4c', '#555555', '#d1495b'];
const BOX = { left: 64, top: 20, width: 620, height: 360 };

/** Round steps across a range. @param {number} lo @param {number} hi */
function ticks(lo, hi) {
  const raw = (hi - lo) / 6;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * unit).find((s) => s >= raw) ?? raw;
  const list = [];
  for (let v = Math.ceil(lo / step) * step; v <= hi; v += step) list.push(v);
  return list;
}

/** Quality against the cost in MACs, in logarithms; bars are the seeds' SD.
 * @param {any} result */
export function svg(result) {
  const costs = result.groups.map((/** @type {any} */ g) => Math.log(g.macs));
  const values = result.groups.flatMap((/** @type {any} */ g) => [g.quality - g.deviation, g.quality + g.deviation]);
  const pad = (/** @type {number[]} */ list) => {
    const lo = Math.min(...list), hi = Math.max(...list), room = 0.06 * (hi - lo || 0.01);
    return [lo - room, hi + room];
  };
  const [x0, x1] = pad(costs), [y0, y1] = pad(values);
  const x = (/** @type {number} */ macs) => BOX.left + (BOX.width * (Math.log(macs) - x0)) / (x1 - x0);
  const y = (/** @type {number} */ v) => BOX.top + (BOX.height * (y1 - v)) / (y1 - y0);
  const at = (/** @type {number} */ v) => v.toFixed(1);
  const parts = [`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 440" font-family="sans-serif" font-size="12" role="img" aria-label="quality against training cost">`,
    '<rect width="880" height="440" fill="white"/>',
    `<rect x="${BOX.left}" y="${BOX.top}" width="${BOX.width}" height="${BOX.height}" fill="none" stroke="#999"/>`];
  for (const v of ticks(100 * y0, 100 * y1)) parts.push(`<path d="M${BOX.left} ${at(y(v / 100))}h${BOX.width}" stroke="#e5e5e5"/><text x="${BOX.left - 6}" y="${at(y(v / 100) + 4)}" text-anchor="end">${Number(v.toFixed(2))}</text>`);
  const budgets = [...new Set(result.groups.filter((/** @type {any} */ g) => g.arm === 'ofa').map((/** @type {any} */ g) => g.macs))];
  for (const macs of /** @type {number[]} */ (budgets)) parts.push(`<text x="${at(x(macs))}" y="${BOX.top + BOX.height + 16}" text-anchor="middle">${(macs / 1e12).toPrecision(3)}</text>`);
  parts.push(`<text x="${BOX.left + BOX.width / 2}" y="${BOX.top + BOX.height + 36}" text-anchor="middle">training cost, 10\u00b9\u00b2 MACs (logarithmic)</text>`,
    `<text transform="translate(16 ${BOX.top + BOX.height / 2}) rotate(-90)" text-anchor="middle">mean test accuracy under five ceilings, %</text>`);
  result.arms.forEach((/** @type {any} */ arm, /** @type {number} */ i) => {
    const colour = COLOURS[i % COLOURS.length];
    const groups = result.groups.filter((/** @type {any} */ g) => g.arm === arm.name).sort((/** @type {any} */ a, /** @type {any} */ b) => a.macs - b.macs);
    const line = groups.map((/** @type {any} */ g, /** @type {number} */ k) => `${k ? 'L' : 'M'}${at(x(g.macs))} ${at(y(g.quality))}`).join('');
    parts.push(`<path d="${line}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const g of groups) parts.push(`<path d="M${at(x(g.macs))} ${at(y(g.quality - g.deviation))}V${at(y(g.quality + g.deviation))}" stroke="${colour}"/><circle cx="${at(x(g.macs))}" cy="${at(y(g.quality))}" r="4" fill="${colour}"/>`);
    parts.push(`<circle cx="${BOX.left + BOX.width + 18}" cy="${BOX.top + 10 + 20 * i}" r="4" fill="${colour}"/><text x="${BOX.left + BOX.width + 28}" y="${BOX.top + 14 + 20 * i}">${arm.name}</text>`);
  });
  return `${parts.join('\n')}\n</svg>\n`;
}

/** Runs of one arm and budget, over the seeds.
 * @param {import('./numbers.mjs').Run[]} runs @param {{name: string, title: string}} arm @param {(run: any) => number} volume */
export function groupsOf(runs, arm, volume) {
  const mine = runs.filter((r) => r.arm === arm.name);
  const seeds = [...new Set(mine.map((r) => r.seed))];
  const means = (/** @type {any[]} */ of, /** @type {(r: any) => number} */ value) => of.reduce((a, r) => a + value(r), 0) / of.length;
  return [...new Set(mine.map((r) => r.budget))].sort((a, b) => b - a).map((budget) => {
    const of = mine.filter((r) => r.budget === budget);
    const at = curve(of, seeds)[0];
    return {
      arm: arm.name, title: arm.title, budget, seeds: of.map((r) => r.seed), macs: at.cost, quality: at.quality,
      deviation: deviation(of.map(quality)), cpu_s: means(of, (r) => r.cpu_s), images: means(of, (r) => r.images),
      ceilings: of[0].ceilings.map((_, i) => means(of, (r) => r.ceilings[i].accuracy)),
      hypervolume: means(of, volume), subspace: of.every((r) => r.subspace) ? Math.round(means(of, (r) => r.subspace.size)) : null,
    };
  });
}
