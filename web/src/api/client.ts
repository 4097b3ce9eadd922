// Asking the HTTP API. A refused token is asked of the person once, for all that wait (ui/token.tsx).
import { Value } from "../state/value";
import type { Problem } from "./types";

const TOKEN = "marketd.token";

/** Who reads waits no longer for an answer: over a connection that died unsaid none ever comes, and what is shown would
 * be old without a word. The server gives up sooner. */
const LONGEST_READ_MS = 60_000;

/** An answer that was not what was asked for; status 0 where there was no answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail ?? problem.title);
    this.name = "ApiError";
  }
}

/** Why a token is asked for: none was given, a wrong one, or one that may not do this. */
export type Wanted = "none" | "wrong" | "weak";

export const wanted = new Value<Wanted | null>(null);

/** True from the first refusal until a token is given: nothing is asked again meanwhile. */
export const locked = new Value<boolean>(false);

/** Goes up with every new token: what failed for lack of one is asked again. */
export const tokens = new Value<number>(0);

export function token(): string | null {
  return sessionStorage.getItem(TOKEN);
}

/** Keep the token if it is one, and say whether. It is tried once, before all that wait for it send it. */
export async function giveToken(text: string): Promise<boolean> {
  const answer = await fetch("/health", { headers: { Authorization: `Bearer ${text}` }, credentials: "omit" });
  if (answer.status === 401) return false;
  if (!answer.ok) throw await refusal(answer, true);
  sessionStorage.setItem(TOKEN, text);
  wanted.set(null);
  locked.set(false);
  tokens.set(tokens.now + 1);
  return true;
}

export type Query = Record<string, string | number | boolean | null | undefined>;

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return ask<T>("GET", withQuery(path, query), undefined, signal);
}

export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return ask<T>("POST", path, body);
}

export function patch<T>(path: string, body: unknown): Promise<T> {
  return ask<T>("PATCH", path, body);
}

export function remove<T>(path: string): Promise<T> {
  return ask<T>("DELETE", path);
}

export function withQuery(path: string, query: Query): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parts.set(name, String(value));
  }
  const text = parts.toString();
  return text ? `${path}?${text}` : path;
}

async function ask<T>(method: string, address: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  const secret = token();
  if (secret) headers["Authorization"] = `Bearer ${secret}`;
  const request: RequestInit = { method, headers, credentials: "omit", redirect: "error" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const timer = method === "GET" ? setTimeout(end, LONGEST_READ_MS) : undefined;
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end);
  request.signal = ending.signal;
  try {
    const answer = await fetch(address, request);
    if (!answer.ok) throw await refusal(answer, secret !== null);
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  } catch (reason) {
    if (reason instanceof ApiError || reason instanceof SyntaxError || signal?.aborted) throw reason;
    throw new ApiError(0, { title: "no answer", status: 0 });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
}

async function refusal(answer: Response, hadToken: boolean): Promise<ApiError> {
  if (answer.status === 401) {
    // A wrong token is never sent twice: who gives many wrong ones is not listened to for a while.
    sessionStorage.removeItem(TOKEN);
    locked.set(true);
    wanted.set(hadToken ? "wrong" : (wanted.now ?? "none"));
  }
  if (answer.status === 403) wanted.set("weak");
  const problem = (await answer.json().catch(() => null)) as Partial<Problem> | null;
  return new ApiError(answer.status, {
    ...problem,
    title: problem?.title ?? answer.statusText,
    status: answer.status,
  });
}
