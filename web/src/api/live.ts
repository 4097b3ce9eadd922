// The WebSocket /api/v1/live, one for the whole page: whoever wants something says so, and the wishes are sent as one.
import { Value } from "../state/value";
import { locked, token, tokens } from "./client";
import type { LiveFrame, LiveMessage, LiveWish } from "./frames";
import { joined, wait } from "./wishes";

export interface Watcher {
  wish: LiveWish;
  hear: (frame: LiveFrame) => void;
  /** The wish was taken, from now on frames come. What happened before must be read over HTTP now: that is how a
   * connection that was lost leaves no hole. Frames that come meanwhile are heard at once; merging is by key. */
  ready: () => void;
}

export type LinkState = "off" | "connecting" | "live" | "waiting";

/** After so long a silence the other side is asked whether it is there: the wish is said again, which is answered. */
const SILENCE_MS = 60_000;
const ANSWER_MS = 10_000;

export class Live {
  readonly state = new Value<LinkState>("off");
  readonly #watchers = new Set<Watcher>();
  #socket: WebSocket | null = null;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #sent = "";
  #probing = false;

  constructor(readonly address: () => string) {
    tokens.watch(() => {
      this.#attempt = 0;
      this.#open();
    });
  }

  /** Hear what `watcher` wishes until the answer is called. */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    if (this.#socket?.readyState === WebSocket.OPEN) this.#send();
    else this.#open();
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#close();
      else this.#send();
    };
  }

  #open(): void {
    // Without the token that is needed nobody is let in; a new one opens the door.
    if (this.#socket || this.#watchers.size === 0 || locked.now) return;
    clearTimeout(this.#timer);
    this.state.set("connecting");
    const socket = new WebSocket(this.address());
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#heard(String(event.data));
    socket.onclose = () => this.#lost(socket);
  }

  #opened(): void {
    this.#sent = "";
    this.#probing = false;
    // A browser can give a WebSocket no header: the token is the first thing that is said.
    const secret = token();
    if (secret) this.#socket?.send(JSON.stringify({ token: secret }));
    this.#send();
    this.#listen();
  }

  #send(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const text = JSON.stringify({ subscribe: joined([...this.#watchers].map((one) => one.wish)) });
    if (text === this.#sent) return;
    this.#sent = text;
    this.#socket.send(text);
  }

  #heard(text: string): void {
    this.#listen();
    const message = JSON.parse(text) as LiveMessage;
    if (message.type === "subscribed" && this.#probing) {
      this.#probing = false;
    } else if (message.type === "subscribed") {
      this.#attempt = 0;
      this.state.set("live");
      for (const watcher of [...this.#watchers]) watcher.ready();
    } else if (message.type === "error") {
      this.#refused();
    } else if (message.type === "live") {
      for (const watcher of [...this.#watchers]) watcher.hear(message);
    }
  }

  /** The wish was not taken: logs of tasks cannot be read while the database is away. It is said again a little later,
   * for nobody was ready until it is taken. */
  #refused(): void {
    this.#probing = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#sent = "";
      this.#send();
    }, wait(this.#attempt++, Math.random()));
  }

  /** Something was heard: the other side is there. */
  #listen(): void {
    clearTimeout(this.#silence);
    const socket = this.#socket;
    if (socket) this.#silence = setTimeout(() => this.#probe(socket), SILENCE_MS);
  }

  #probe(socket: WebSocket): void {
    if (this.#socket !== socket || socket.readyState !== WebSocket.OPEN) return;
    this.#probing = true;
    socket.send(this.#sent);
    this.#silence = setTimeout(() => {
      socket.close();
      this.#lost(socket); // the other side of a dead connection never says that it is closed
    }, ANSWER_MS);
  }

  #lost(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    clearTimeout(this.#silence);
    if (this.#watchers.size === 0) return void this.state.set("off");
    this.state.set("waiting");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), wait(this.#attempt++, Math.random()));
  }

  #close(): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    clearTimeout(this.#silence);
    this.state.set("off");
  }
}

export const live = new Live(() => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/live`);
