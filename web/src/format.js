// Numbers and times as people read them. A value that is not there is a dash.

const DASH = '\u2013';

/** @param {unknown} x @returns {x is number} */
export function known(x) {
  return typeof x === 'number' && Number.isFinite(x);
}

/** A fraction as per cent. @param {unknown} x @param {number} [digits] */
export function percent(x, digits = 1) {
  return known(x) ? `${(100 * x).toFixed(digits)}\u202f%` : DASH;
}

/** A fraction as per cent with the digits that it needs, for axes. @param {number} x */
export function percentTick(x) {
  return `${Number((100 * x).toFixed(2))}\u202f%`;
}

/** @param {unknown} x @param {number} [digits] */
export function fixed(x, digits = 2) {
  return known(x) ? x.toFixed(digits).replace('-', '\u2212') : DASH;
}

/** @param {unknown} x */
export function ms(x) {
  if (!known(x)) return DASH;
  return `${x < 1 ? x.toFixed(3) : x < 10 ? x.toFixed(2) : x.toFixed(1)}\u202fms`;
}

/** 1.93 M, 70.5 M, 2.1 T ... @param {unknown} x */
export function count(x) {
  if (!known(x)) return DASH;
  for (const [limit, unit] of /** @type {[number, string][]} */ ([
    [1e18, 'E'], [1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]))
    if (x >= limit) {
      const scaled = x / limit;
      return `${scaled.toFixed(scaled < 10 ? 2 : scaled < 100 ? 1 : 0)}\u202f${unit}`;
    }
  return String(Math.round(x));
}

/** As count(), and beyond any unit: 4.1e20. @param {unknown} x */
export function many(x) {
  return known(x) && x >= 1e15 ? x.toExponential(1).replace('+', '') : count(x);
}

/** @param {unknown} x */
export function bytes(x) {
  return known(x) ? `${count(x)}B` : DASH;
}

/** 8 s, 4 min 05 s, 3 h 20 min. @param {unknown} s */
export function duration(s) {
  if (!known(s) || s < 0) return DASH;
  if (s < 10) return `${s.toFixed(1)}\u202fs`;
  if (s < 60) return `${Math.round(s)}\u202fs`;
  const pad = (/** @type {number} */ n) => String(Math.floor(n)).padStart(2, '0');
  if (s < 3600) return `${Math.floor(s / 60)}\u202fmin ${pad(s % 60)}\u202fs`;
  return `${Math.floor(s / 3600)}\u202fh ${pad((s % 3600) / 60)}\u202fmin`;
}

/** Wall-clock time of Unix seconds. @param {unknown} t */
export function clock(t) {
  return known(t) ? new Date(1000 * t).toLocaleTimeString([], { hour12: false }) : DASH;
}

/** Date and time of Unix seconds. @param {unknown} t */
export function when(t) {
  if (!known(t)) return DASH;
  return new Date(1000 * t).toLocaleString([], {
    month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false });
}
