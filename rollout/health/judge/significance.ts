import jstat from "jstat";

/**
 * How likely chance alone makes samples so much worse. Samples of a service that follow each other resemble each other, so that twenty
 * of them say less than twenty: each test counts what they are worth (effective samples).
 */

/**
 * Autocorrelation of samples 15 s apart that is assumed at least. A short window's own estimate is too low and too vague to be trusted
 * when it says that samples are independent.
 */
const LEAST_AUTOCORRELATION = 0.6;
const MOST_AUTOCORRELATION = 0.95;

/** What is assumed at least of samples so many seconds apart: the rarer they are, the less they resemble each other. */
export const resemblance = (seconds: number): number =>
  Math.min(MOST_AUTOCORRELATION, LEAST_AUTOCORRELATION ** (seconds / 15));

/** Relative noise that is assumed at least, so that a baseline as flat as a line does not make a hair's breadth significant. */
const LEAST_NOISE = 0.02;

const { normal, beta, studentt } = jstat.jStat;

/** Independent samples that the mean of n autocorrelated ones is worth (of a first-order autoregression). */
export function effective(n: number, autocorrelation: number): number {
  let pairs = 0;
  let correlation = 1;
  for (let lag = 1; lag < n; lag++) {
    correlation *= autocorrelation;
    pairs += (n - lag) * correlation;
  }
  return (n * n) / (n + 2 * pairs);
}

/** Spread of samples about the means of their windows, and how they follow each other. */
export interface Noise {
  /** Standard deviation of one sample. */
  deviation: number;
  autocorrelation: number;
  degreesOfFreedom: number;
}

/**
 * @param windows logarithms of samples, so that the noise is relative
 * @param least autocorrelation that is assumed at least
 */
export function noiseOf(windows: readonly (readonly number[])[], least: number): Noise {
  let squares = 0;
  let products = 0;
  let n = 0;
  for (const window of windows) {
    const mean = meanOf(window);
    n += window.length;
    for (const [at, value] of window.entries()) {
      squares += (value - mean) ** 2;
      if (at > 0) products += (value - mean) * ((window[at - 1] ?? mean) - mean);
    }
  }
  const estimate = squares > 0 ? products / squares : 0;
  // more than was assumed counts as far as the estimate is sure of it
  const sure = estimate - Math.sqrt((1 - least ** 2) / Math.max(1, n));
  const autocorrelation = Math.min(MOST_AUTOCORRELATION, Math.max(least, sure));
  // the means take a part of the spread with them: the more, the less the samples are worth
  const taken = windows.reduce((sum, { length }) => sum + length / effective(length, autocorrelation), 0);
  const square = autocorrelation ** 2;
  return {
    deviation: Math.max(LEAST_NOISE, n > taken ? Math.sqrt(squares / (n - taken)) : 0),
    autocorrelation,
    degreesOfFreedom: Math.max(1, (n * (1 - square)) / (1 + square) - windows.length),
  };
}

/**
 * Student's t: whether a later mean is above an earlier one by more than the noise of the earlier windows explains. The later samples'
 * own spread is left out: a leak or a crash spreads them, and must not thereby excuse itself.
 * @returns probability of such a difference or a larger one without any cause
 */
export function riseByChance(
  later: { mean: number; n: number },
  earlier: { mean: number; n: number },
  { deviation, autocorrelation, degreesOfFreedom }: Noise,
): number {
  const error =
    deviation *
    Math.sqrt(1 / effective(later.n, autocorrelation) + 1 / effective(earlier.n, autocorrelation));
  return studentt.cdf((earlier.mean - later.mean) / error, degreesOfFreedom);
}

export interface Counts {
  bad: number;
  total: number;
}

/**
 * Two proportions, exact for rare events (the conditional binomial test): of all bad ones, would chance put so many on green, given how
 * many of all requests green had?
 * @param dispersion how much more the counts vary than independent events do; at least 1
 */
export function moreBadByChance(green: Counts, other: Counts, dispersion: number): number {
  if (green.bad <= 0) return 1;
  const share = green.total / (green.total + other.total);
  return beta.cdf(share, green.bad / dispersion, other.bad / dispersion + 1);
}

/**
 * How much more counts vary from sample to sample than independent events would, their resemblance counted. At least 1.
 * @param autocorrelation of what makes them vary
 */
export function dispersionOf(windows: readonly (readonly Counts[])[], autocorrelation: number): number {
  let squares = 0;
  let n = 0;
  for (const window of windows) {
    const bad = window.reduce((sum, it) => sum + it.bad, 0);
    const total = window.reduce((sum, it) => sum + it.total, 0);
    if (bad === 0 || bad === total) continue;
    const rate = bad / total;
    for (const it of window) {
      if (it.total === 0) continue;
      squares += (it.bad - it.total * rate) ** 2 / (it.total * rate * (1 - rate));
      n++;
    }
    n--;
  }
  if (n < 1) return 1;
  const excess = Math.max(0, squares / n - 1);
  return 1 + (excess * (1 + autocorrelation)) / (1 - autocorrelation);
}

/**
 * Mann-Whitney: whether one side's samples lie above the other's, both of the same time, whatever their distribution.
 * @param autocorrelation of each side's samples @returns probability of such ranks or worse ones without any cause
 */
export function higherByChance(
  one: readonly number[],
  other: readonly number[],
  autocorrelation: number,
): number {
  const n = one.length;
  const m = other.length;
  const all = [
    ...one.map((value) => ({ value, own: true })),
    ...other.map((value) => ({ value, own: false })),
  ];
  all.sort((a, b) => a.value - b.value);
  let ranks = 0;
  let ties = 0;
  for (let from = 0; from < all.length;) {
    let to = from;
    while (to < all.length && all[to]?.value === all[from]?.value) to++;
    const tied = to - from;
    ties += tied ** 3 - tied;
    for (let at = from; at < to; at++) if (all[at]?.own) ranks += (from + 1 + to) / 2;
    from = to;
  }
  const size = n + m;
  const above = ranks - (n * (n + 1)) / 2 - (n * m) / 2;
  const independent = ((n * m) / 12) * (size + 1 - ties / (size * (size - 1)));
  if (!(independent > 0)) return 1;
  const inflation = (1 + autocorrelation) / (1 - autocorrelation);
  return normal.cdf(-above / Math.sqrt(independent * inflation), 0, 1);
}

/**
 * Holm's step-down rule: which of several breaches stand, when so many comparisons were made at once.
 * @param chances of the breaches, by their key @param comparisons all that were made, also those without a breach
 * @returns for each key its chance, corrected
 */
export function corrected<Key>(
  chances: readonly (readonly [Key, number])[],
  comparisons: number,
): Map<Key, number> {
  const rising = chances.toSorted(([, a], [, b]) => a - b);
  let least = 0;
  return new Map(
    rising.map(([key, chance], at) => {
      least = Math.max(least, Math.min(1, chance * (comparisons - at)));
      return [key, least];
    }),
  );
}

export function meanOf(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
