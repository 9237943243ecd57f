// What is compared: strategies, and the controls that tell what the filter
// brings from what the trainer and the shorter schedule bring. An arm is a part
// of a job's spec; its budget is a share of what `ofa` costs.

/** @typedef {{name: string, title: string, spec: any}} Arm */

const sparse = (/** @type {any} */ options = {}) => ({ strategy: 'sparsenas', sparsenas: options });

/** Each as its paper has it. @type {Arm[]} */
export const strategies = [
  { name: 'ofa', title: 'Once-for-All', spec: { strategy: 'ofa' } },
  { name: 'compofa', title: 'CompOFA', spec: { strategy: 'compofa' } },
  { name: 'bignas', title: 'BigNAS', spec: { strategy: 'bignas' } },
  { name: 'sparsenas', title: 'SparseNAS', spec: sparse() },
];

/** Run where SparseNAS meets `ofa`. @type {Arm[]} */
export const controls = [
  { name: 'sparsenas-sandwich', title: 'SparseNAS, trained by the sandwich', spec: sparse({ trainer: 'sandwich' }) },
  { name: 'sparsenas-teacher', title: 'SparseNAS, trained with a teacher', spec: sparse({ trainer: 'teacher' }) },
  { name: 'random-filter', title: 'a random sub-space of the same size', spec: sparse({ filter: 'random' }) },
  { name: 'no-filter', title: 'the full space, candidates by the predictor', spec: sparse({ filter: 'none' }) },
  { name: 'spos', title: 'single paths in the full space', spec: { strategy: 'spos' } },
];

/** @param {string} text "1,1/2,0.2" @returns {number[]} falling */
export function parseBudgets(text) {
  return text.split(',').map((part) => {
    const [above, below = '1'] = part.split('/');
    const share = Number(above) / Number(below);
    if (!(share > 0 && share <= 4)) throw new Error(`a budget is a share of ofa's, such as 1/3: not '${part}'`);
    return share;
  }).sort((a, b) => b - a);
}

/** @param {number} share */
export function budgetName(share) {
  const parts = Math.round(1 / share);
  return share === 1 ? '1' : Math.abs(parts * share - 1) < 1e-9 ? `1/${parts}` : share.toPrecision(3);
}

/** Groups are one level deep, as in a job's spec. @param {any[]} parts */
export function mergeSpecs(...parts) {
  /** @type {any} */
  const whole = {};
  for (const part of parts)
    for (const [key, value] of Object.entries(part))
      whole[key] = value !== null && typeof value === 'object' && !Array.isArray(value) ? { ...whole[key], ...value } : value;
  return whole;
}
