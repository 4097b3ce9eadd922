// A stand-in for the daemon, for working at the pages only: serves what was built, answers the API from invented data
// and sends live candles. Never shipped. `npm run answers`, then http://127.0.0.1:8010; PORT chooses another.
//
//   FAULT=empty    no data anywhere        FAULT=away    503        FAULT=token    wants the token "let-me-in-please"
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { answer } from "./answers.mjs";
import { attach } from "./feed.mjs";

const ROOT = new URL("../../src/api/static/", import.meta.url).pathname;
const PAGES = new Set(["/", "/chart", "/analysis", "/arbitrage", "/tasks", "/alerts"]);
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const fault = process.env.FAULT ?? "";

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://here");
  try {
    if (url.pathname === "/health") {
      response.writeHead(fault === "token" && request.headers.authorization !== "Bearer let-me-in-please" ? 401 : 200);
      return response.end("{}");
    }
    if (url.pathname.startsWith("/api/")) return await api(request, response, url);
    const name = PAGES.has(url.pathname) ? "index.html" : normalize(url.pathname).replace(/^(\.\.[/\\])+/, "");
    const body = await readFile(join(ROOT, name));
    response.writeHead(200, { "Content-Type": TYPES[extname(name)] ?? "text/plain", "Content-Security-Policy": POLICY });
    response.end(body);
  } catch (error) {
    response.writeHead(404, { "Content-Type": "text/plain", "Content-Security-Policy": POLICY });
    response.end(String(error));
  }
});

async function api(request, response, url) {
  const send = (status, body) => {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  };
  if (fault === "away") return send(503, { title: "Service unavailable", status: 503, detail: "the database does not answer" });
  if (fault === "token" && request.headers.authorization !== "Bearer let-me-in-please") {
    return send(401, { title: "Unauthorized", status: 401, detail: "give a token as Authorization: Bearer" });
  }
  let text = "";
  for await (const piece of request) text += piece;
  const [status, body] = answer(request.method, url, text ? JSON.parse(text) : null, fault === "empty");
  send(status, body);
}

attach(server);
const port = Number(process.env.PORT ?? 8010);
server.listen(port, "127.0.0.1", () => console.log(`pages and invented answers at http://127.0.0.1:${port}`));
