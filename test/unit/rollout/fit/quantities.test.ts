import assert from "node:assert/strict";
import fc from "fast-check";
import { amountText, parseQuantity, thousandths, wholeUnits } from "../../../../rollout/fit/quantities.ts";

describe("Kubernetes quantities", () => {
  const table: [text: string, whole: number, thousandths: number][] = [
    ["0", 0, 0],
    ["1", 1, 1000],
    ["100m", 1, 100],
    ["1500m", 2, 1500],
    ["0.1", 1, 100],
    [".5", 1, 500],
    ["2.", 2, 2000],
    ["1u", 1, 1],
    ["1n", 1, 1],
    ["0.0000000001", 1, 1],
    ["1k", 1000, 1_000_000],
    ["1Ki", 1024, 1_024_000],
    ["1.5Gi", 1_610_612_736, 1_610_612_736_000],
    ["128974848", 128_974_848, 128_974_848_000],
    ["129e6", 129_000_000, 129_000_000_000],
    ["129M", 129_000_000, 129_000_000_000],
    ["1E3", 1000, 1_000_000],
    ["1e-3", 1, 1],
    ["+2Ki", 2048, 2_048_000],
    ["-1", -1, -1000],
    ["12345678901234m", 12_345_678_902, 12_345_678_901_234],
  ];
  for (const [text, whole, milli] of table) {
    it(`${text} is ${whole} units and ${milli} thousandths, rounded up`, () => {
      assert.equal(wholeUnits(parseQuantity(text)), whole);
      assert.equal(thousandths(parseQuantity(text)), milli);
    });
  }

  it("is exact where a float is not", () => {
    assert.equal(parseQuantity("0.1") + parseQuantity("0.2"), parseQuantity("0.3"));
    assert.equal(parseQuantity("1Ei"), 1_000_000_000n << 60n);
  });

  for (const text of ["", "Gi", "1 Gi", "1gi", "1e", "1KiB", "--1", "abc", "."]) {
    it(`"${text}" is no quantity`, () => {
      assert.throws(() => parseQuantity(text), /is not a quantity/);
    });
  }

  it("a suffix is its factor, and sums keep their order", () => {
    const suffix = fc.constantFrom("m", "", "k", "Ki", "M", "Mi", "G", "Gi");
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.nat(1_000_000), suffix, (a, b, unit) => {
        const [x, y] = [parseQuantity(`${a}${unit}`), parseQuantity(`${b}${unit}`)];
        assert.equal(x < y, a < b);
        assert.equal(x + y, parseQuantity(`${a + b}${unit}`));
      }),
    );
  });

  it("amounts are written as people write them, never rounded up", () => {
    assert.equal(amountText("cpu", 1500), "1500m");
    assert.equal(amountText("cpu", 2000), "2");
    assert.equal(amountText("memory", 1.99 * 2 ** 30), "1.9Gi");
    assert.equal(amountText("memory", 512 * 2 ** 20), "512Mi");
    assert.equal(amountText("memory", 0), "0");
    assert.equal(amountText("nvidia.com/gpu", 2), "2");
  });
});
