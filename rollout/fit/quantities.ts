/**
 * Kubernetes quantities (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/), exact: in billionths of a
 * unit, which is the finest step that the API server keeps; what is finer is rounded up, as there.
 */
export type Billionths = bigint;

const UNIT = 1_000_000_000n;
const MILLI = 1_000_000n;

/** Powers of ten from a billionth up. */
const DECIMAL: Record<string, bigint> = {
  n: 1n,
  u: 1_000n,
  m: MILLI,
  "": UNIT,
  k: UNIT * 10n ** 3n,
  M: UNIT * 10n ** 6n,
  G: UNIT * 10n ** 9n,
  T: UNIT * 10n ** 12n,
  P: UNIT * 10n ** 15n,
  E: UNIT * 10n ** 18n,
};
const BINARY: Record<string, bigint> = {
  Ki: UNIT << 10n,
  Mi: UNIT << 20n,
  Gi: UNIT << 30n,
  Ti: UNIT << 40n,
  Pi: UNIT << 50n,
  Ei: UNIT << 60n,
};

const SHAPE = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;

/** Clusters repeat few quantities very often. */
const known = new Map<string, Billionths>();
const KNOWN_AT_MOST = 100_000;

/** @throws Error when the text is no quantity; the API server lets none in. */
export function parseQuantity(text: string | number): Billionths {
  const key = String(text);
  let value = known.get(key);
  if (value === undefined) {
    value = parse(key);
    if (known.size >= KNOWN_AT_MOST) known.clear();
    known.set(key, value);
  }
  return value;
}

function parse(text: string): Billionths {
  const [, sign, whole = "", fraction = "", exponent, suffix = ""] = SHAPE.exec(text) ?? [];
  if (sign === undefined || (whole === "" && fraction === "")) throw new Error(`"${text}" is not a quantity`);
  let numerator = BigInt(whole + fraction) * (BINARY[suffix] ?? DECIMAL[suffix] ?? UNIT);
  let denominator = 10n ** BigInt(fraction.length);
  const power = BigInt(exponent ?? 0);
  if (power > 0n) numerator *= 10n ** power;
  else denominator *= 10n ** -power;
  const size = ceilDivide(numerator, denominator);
  return sign === "-" ? -size : size;
}

const ceilDivide = (value: bigint, by: bigint): bigint =>
  value / by + (value > 0n && value % by !== 0n ? 1n : 0n);

/** Whole units (bytes, pieces), rounded up as the scheduler does. */
export const wholeUnits = (value: Billionths): number => Number(ceilDivide(value, UNIT));

/** Thousandths (of a CPU), rounded up as the scheduler does. */
export const thousandths = (value: Billionths): number => Number(ceilDivide(value, MILLI));

const BINARY_UNITS: [unit: string, size: number][] = [
  ["Ti", 2 ** 40],
  ["Gi", 2 ** 30],
  ["Mi", 2 ** 20],
  ["Ki", 2 ** 10],
];

/** An amount of a resource as people write it: `1.5Gi`, `250m`, `2`. */
export function amountText(resource: string, amount: number): string {
  if (resource === "cpu") return amount % 1000 === 0 ? String(amount / 1000) : `${amount}m`;
  if (!/memory|storage|hugepages/.test(resource)) return String(amount);
  for (const [unit, size] of BINARY_UNITS) {
    // rounded down: "free" is never said to be more than it is
    if (Math.abs(amount) >= size) return `${Math.floor((amount / size) * 10) / 10}${unit}`;
  }
  return String(amount);
}
