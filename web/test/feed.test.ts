import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

interface Socket {
  sent: string[];
  onopen?: () => void;
  onmessage?: (event: { data: string }) => void;
}

const sockets: Socket[] = [];

class FakeSocket implements Socket {
  static OPEN = 1;
  readyState = 1;
  sent: string[] = [];

  constructor() {
    sockets.push(this);
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {}
}

const browser = { WebSocket: FakeSocket, sessionStorage: { getItem: () => null } };
for (const [key, value] of Object.entries(browser)) Object.defineProperty(globalThis, key, { value, configurable: true, writable: true });

afterEach(() => mock.timers.reset());

test("a wish that was not taken is said again, and who wished is ready once it is taken", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { Live } = await import("../src/api/live");
  const live = new Live(() => "ws://here");
  let ready = 0;
  const end = live.watch({ wish: { tasks: ["one"] }, hear: () => undefined, ready: () => ready++ });
  const socket = sockets[0];
  assert.ok(socket);
  socket.onopen?.();
  assert.equal(socket.sent.length, 1);
  socket.onmessage?.({ data: JSON.stringify({ type: "error", detail: "the logs of tasks cannot be read now" }) });
  mock.timers.tick(1_000);
  assert.deepEqual(socket.sent, [socket.sent[0], socket.sent[0]]);
  assert.equal(ready, 0);
  socket.onmessage?.({ data: JSON.stringify({ type: "subscribed", subscribe: {} }) });
  assert.equal(ready, 1);
  assert.equal(live.state.now, "live");
  end();
});
