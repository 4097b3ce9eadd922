import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonSchema } from "../src/api/types";
import { fields, values } from "../src/pages/tasks/schema";

// As pydantic writes it.
const schema: JsonSchema = {
  type: "object",
  required: ["timeframe", "pool_address"],
  properties: {
    timeframe: { $ref: "#/$defs/Timeframe", description: "Bars that are used." },
    pool_address: { type: "string", title: "Pool Address" },
    symbols: { anyOf: [{ type: "array", items: { type: "string" } }, { type: "null" }], default: null, description: "All where empty." },
    sizes: { type: "array", items: { type: "integer" }, default: [60, 300] },
    limit: { type: "integer", default: 2000, minimum: 100, maximum: 2000 },
    share: { anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "null" }], default: null },
    overwrite: { type: "boolean", default: false },
    strategy: { type: "object", default: {} },
  },
  $defs: { Timeframe: { enum: ["5m", "1h"], type: "string" } },
};

test("each field has its kind, its help and its default", () => {
  const found = fields(schema);
  assert.deepEqual(found.map((one) => [one.name, one.kind, one.first]), [
    ["timeframe", "choice", ""],
    ["pool_address", "text", ""],
    ["symbols", "list", ""],
    ["sizes", "list", "60, 300"],
    ["limit", "integer", "2000"],
    ["share", "number", ""],
    ["overwrite", "check", "false"],
    ["strategy", "json", "{}"],
  ]);
  assert.equal(found[0]?.about, "Bars that are used.");
  assert.deepEqual(found[0]?.choices, ["5m", "1h"]);
  assert.equal(found[0]?.required, true);
  assert.equal(found[4]?.minimum, 100);
  assert.deepEqual(fields({}), []);
});

test("what was typed becomes values; what is empty is left to the server", () => {
  const typed = { timeframe: "1h", pool_address: " 0xabc ", symbols: "BTCUSDT, 币安人生USDT ETHUSDT", sizes: "60", share: "0.5", overwrite: "true", strategy: '{"a": 1}' };
  assert.deepEqual(values(fields(schema), typed), {
    parameters: {
      timeframe: "1h",
      pool_address: "0xabc",
      symbols: ["BTCUSDT", "币安人生USDT", "ETHUSDT"],
      sizes: [60],
      limit: 2000,
      share: 0.5,
      overwrite: true,
      strategy: { a: 1 },
    },
    wrong: {},
  });
  const { parameters } = values(fields(schema), { timeframe: "1h", pool_address: "x" });
  assert.equal("symbols" in parameters || "share" in parameters || "overwrite" in parameters, false);
});

test("what is wrong is said by field", () => {
  const { wrong } = values(fields(schema), { limit: "many", sizes: "1, x", strategy: "{", share: "1e" });
  assert.deepEqual(wrong, {
    timeframe: "form.required",
    pool_address: "form.required",
    sizes: "tasks.number.wrong",
    limit: "tasks.number.wrong",
    share: "tasks.number.wrong",
    strategy: "tasks.json.wrong",
  });
  assert.deepEqual(values(fields(schema), { timeframe: "1h", pool_address: "x", limit: "1.5" }).wrong, { limit: "tasks.number.wrong" });
});

test("what stands inside another is asked for field by field, and sent as it was", () => {
  const nested: JsonSchema = {
    type: "object",
    properties: { batch_id: { type: "integer", default: 1 }, strategy: { $ref: "#/$defs/Strategy", default: { mode: "screen" }, description: "What is assumed." } },
    $defs: { Strategy: { type: "object", required: ["symbol"], properties: { mode: { enum: ["screen", "execution"], default: "screen" }, symbol: { type: "string", description: "Of the exchange." } } } },
  };
  const found = fields(nested);
  assert.deepEqual(found.map((one) => [one.name, one.kind, one.required, one.about]), [
    ["batch_id", "integer", false, ""],
    ["strategy.mode", "choice", false, ""],
    ["strategy.symbol", "text", true, "Of the exchange."],
  ]);
  assert.deepEqual(values(found, { "strategy.symbol": "ETHUSDT" }), {
    parameters: { batch_id: 1, strategy: { mode: "screen", symbol: "ETHUSDT" } },
    wrong: {},
  });
  assert.deepEqual(values(found, {}).wrong, { "strategy.symbol": "form.required" });
});

test("a list is parted by the commas of both languages", () => {
  const { parameters } = values(fields(schema), { timeframe: "1h", pool_address: "0x", symbols: "BTCUSDT，ETHUSDT、币安人生USDT, AUSDT" });
  assert.deepEqual(parameters["symbols"], ["BTCUSDT", "ETHUSDT", "币安人生USDT", "AUSDT"]);
});
