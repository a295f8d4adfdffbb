/** The part of jstat that is used; the package itself has no types. */
declare module "jstat" {
  interface Distribution2 {
    /** Cumulative probability. */
    cdf(x: number, a: number, b: number): number;
  }
  const jstat: {
    jStat: {
      normal: Distribution2;
      beta: Distribution2;
      studentt: { cdf(x: number, degreesOfFreedom: number): number };
    };
  };
  export default jstat;
}
