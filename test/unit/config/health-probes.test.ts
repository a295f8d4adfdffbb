import assert from "node:assert/strict";
import { checkTogether } from "../../../rollout/config/checks.ts";
import { health } from "../../../rollout/config/health.ts";
import { problemsOf } from "../../../rollout/config/problems.ts";
import { rolloutSchema } from "../../../rollout/config/rollout.ts";

const tcp = { host: "db", port: 5432 };

describe("config: probes", () => {
  const refuses = (probe: object, reason: RegExp): void => {
    const result = health.safeParse({ probes: [{ name: "front", ...probe }] });
    const problems = result.success ? [] : problemsOf(result.error, "h");
    assert.match(problems.map((it) => `${it.path}: ${it.reason}`).join("\n"), reason);
  };

  it("each kind is taken, with defaults", () => {
    const { probes } = health.parse({
      probes: [
        { name: "a", http: { url: "https://shop.example.com/healthz?full=1" } },
        { name: "b", http: { service: { namespace: "shop", name: "web", port: 80 }, path: "/healthz" } },
        { name: "c", tcp, workload: "StatefulSet db/pg.main" },
        { name: "d", grpc: { address: "[::1]:50051" } },
        { name: "e", command: ["./check", "--fast"], timeoutSeconds: 10 },
      ],
    });
    assert.equal(probes[1]?.http?.service?.scheme, "http");
    assert.equal(probes[3]?.grpc?.tls, false);
    assert.deepEqual([probes[4]?.consecutiveSuccesses, probes[4]?.failureLimit], [3, undefined]);
  });

  for (const [what, probe, reason] of [
    ["nothing to ask", {}, /probes\[0\].http: is missing: a probe has one of http, tcp, grpc, command/],
    ["two things to ask", { tcp, command: ["true"] }, /command: is one too many beside tcp/],
    ["a name that is none", { name: "the front", tcp }, /name: "the front" is not a name/],
    ["no address", { http: { url: "shop/healthz" } }, /url: is no address/],
    ["credentials", { http: { url: "https://me:pw@shop/" } }, /url: must not hold a user name or a password/],
    ["neither address nor Service", { http: { contains: "x" } }, /url: is needed, or service in its place/],
    ["a path beside an address", { http: { url: "http://shop", path: "/x" } }, /path: belongs to service/],
    [
      "a status that is none",
      { http: { url: "http://shop", status: [42] } },
      /status\[0\]: must be an HTTP status/,
    ],
    [
      "an address without a port",
      { grpc: { address: "pay.example.com" } },
      /address: "pay.example.com" is no address/,
    ],
    ["a shell's command", { command: "curl shop" }, /command: /],
    ["an empty command", { command: [] }, /command: must name a program/],
    ["a workload without a kind", { tcp, workload: "shop/web" }, /workload: "shop\/web" is no workload/],
  ] as const)
    it(`${what} is refused`, () => refuses(probe, reason));

  describe("together with the rest", () => {
    const problems = (given: object, probes: object[]): string[] => {
      const rollout = rolloutSchema.parse({ health: { ...given, probes } });
      return checkTogether({ cluster: {}, pools: [], rollout, destroy: undefined }).map(
        ({ path, reason }) => `${path}: ${reason}`,
      );
    };
    it("names stand once", () =>
      assert.deepEqual(
        problems({}, [
          { name: "front", tcp },
          { name: "front", tcp },
        ]),
        [
          'patchguard:rollout.health.probes[1].name: "front" stands in patchguard:rollout.health.probes[0].name, too',
        ],
      ));
    it("a probe ends before the next one, be the window shorter than the interval", () => {
      const probe = [{ name: "front", tcp, timeoutSeconds: 15 }];
      assert.match(
        problems({}, probe).join(),
        /probes\[0\].timeoutSeconds: is 15, and a probe is made every 15 s/,
      );
      assert.deepEqual(problems({ sampleSeconds: 16 }, probe), []);
      assert.match(problems({ sampleSeconds: 16, windowSeconds: 10 }, probe).join(), /every 10 s/);
      assert.deepEqual(problems({ windowSeconds: 0 }, probe), []);
    });
    it("a window does not bear that all fail", () => {
      assert.match(
        problems({}, [{ name: "front", tcp, failureLimit: 20 }]).join(),
        /failureLimit: is 20, and a window has 20 probes/,
      );
      assert.deepEqual(problems({}, [{ name: "front", tcp, failureLimit: 19 }]), []);
    });
  });
});
