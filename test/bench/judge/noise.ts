/** Chance for the simulation: seeded, so that a figure can be had again. */

/** Uniform numbers in [0, 1): mulberry32. */
export function uniforms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal numbers, by Marsaglia's polar method. */
export function normals(uniform: () => number): () => number {
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const kept = spare;
      spare = undefined;
      return kept;
    }
    for (;;) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      spare = y * factor;
      return x * factor;
    }
  };
}

/** A count of independent rare events; about normal where there are many. */
export function poisson(mean: number, uniform: () => number, normal: () => number): number {
  if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal()));
  const end = Math.exp(-mean);
  let count = 0;
  for (let product = uniform(); product > end; product *= uniform()) count++;
  return count;
}

/** Multiplicative noise about 1 of a given coefficient of variation, each step resembling the one before. Lognormal. */
export function autoregression(
  variation: number,
  autocorrelation: number,
  normal: () => number,
): () => number {
  const sigma = Math.sqrt(Math.log(1 + variation ** 2));
  const fresh = Math.sqrt(1 - autocorrelation ** 2);
  let state = normal();
  return () => {
    state = autocorrelation * state + fresh * normal();
    return Math.exp(sigma * state - sigma ** 2 / 2);
  };
}
