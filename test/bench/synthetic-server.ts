/** Serves a synthetic cluster's lists over HTTP, page by page, as an API server does; in a process of its own, so that its memory is not measured. */
import { createServer } from "node:http";
import { collections } from "./synthetic.ts";

const [nodes = 0, pods = 0, budgets = 0] = process.argv.slice(2).map(Number);
const all = collections({ nodes, pods, budgets });

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "", "http://localhost");
  const list = all[url.pathname.replace(/^\/apis/, "")];
  const limit = Number(url.searchParams.get("limit") ?? "500");
  const from = Number(url.searchParams.get("continue") ?? "0");
  const to = Math.min(from + limit, list?.length ?? 0);
  const items =
    list === undefined ? [] : Array.from({ length: to - from }, (_, index) => list.at(from + index));
  const next = to < (list?.length ?? 0) ? String(to) : "";
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ metadata: { resourceVersion: "1", continue: next }, items }));
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address !== null) console.log(`http://127.0.0.1:${address.port}`);
});
