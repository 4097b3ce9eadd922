// The live feed of the stand-in: a closed candle for each symbol that was asked for, every two seconds.
import { createHash } from "node:crypto";
import { minuteOf, lastMinute } from "./market.mjs";

export function attach(server) {
  server.on("upgrade", (request, socket) => {
    const key = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`);
    let wish = {};
    let number = 100;
    const say = (message) => socket.writable && socket.write(frame(JSON.stringify(message)));
    say({ type: "hello", version: "dev", columns: [] });
    socket.on("data", (data) => {
      const text = unmasked(data);
      if (text === null) return socket.end();
      const said = JSON.parse(text);
      if (!said.subscribe) return;
      wish = said.subscribe;
      say({ type: "subscribed", subscribe: wish });
    });
    let minute = lastMinute();
    const timer = setInterval(() => {
      minute += 60_000;
      const symbols = wish.candles === "*" ? ["BTCUSDT"] : (wish.candles ?? []);
      const candles = symbols.map((symbol) => [symbol, ...minuteOf(symbol, minute), 1, 1]);
      const tasks = Object.fromEntries((wish.tasks ?? []).map((id) => [id, { state: "RUNNING", share: 0.6, lines: [[number++, Date.now(), "info", `still at it (${number})`]] }]));
      say({ type: "live", at_ms: Date.now(), ...(candles.length ? { candles } : {}), tasks });
    }, 2_000);
    socket.on("close", () => clearInterval(timer));
    socket.on("error", () => socket.destroy());
  });
}

function frame(text) {
  const body = Buffer.from(text);
  const head = body.length < 126 ? Buffer.from([0x81, body.length]) : Buffer.from([0x81, 126, body.length >> 8, body.length & 255]);
  return Buffer.concat([head, body]);
}

function unmasked(data) {
  if ((data[0] & 15) !== 1) return null;
  const long = (data[1] & 127) === 126;
  const start = long ? 4 : 2;
  const size = long ? data.readUInt16BE(2) : data[1] & 127;
  const mask = data.subarray(start, start + 4);
  const body = Buffer.from(data.subarray(start + 4, start + 4 + size));
  return body.map((byte, at) => byte ^ mask[at % 4]).toString();
}
