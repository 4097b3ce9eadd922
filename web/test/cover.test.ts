import assert from "node:assert/strict";
import { test } from "node:test";
import { Cover } from "../src/pages/chart/cover";

/** Rows are their own times; a piece has ten of them. */
const source = (rows: number[]) => {
  const asked: [number, number][] = [];
  const read = async (end: number, cursor: string | number | null): Promise<{ data: number[]; next: number | null }> => {
    const until = cursor === null ? end : Number(cursor);
    const data = rows.filter((one) => one < until).slice(-10);
    asked.push([end, until]);
    const first = data[0];
    return { data, next: first !== undefined && rows.some((one) => one < first) ? first : null };
  };
  return { asked, cover: new Cover<number>(read, (row) => row) };
};
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n);
const signal = new AbortController().signal;

test("a stretch is read in pieces, and again without asking for what is there", async () => {
  const { asked, cover } = source(numbers(0, 100));
  assert.deepEqual(await cover.cover({ start: 75, end: 100 }, signal), numbers(75, 100));
  assert.equal(asked.length, 3);
  assert.deepEqual(await cover.cover({ start: 60, end: 100 }, signal), numbers(60, 100));
  assert.deepEqual(asked.slice(3), [[75, 75], [75, 65]]);
});

test("rows that come later are put behind, and the newest one is the newest that was told", async () => {
  const rows = numbers(0, 20);
  const { cover } = source(rows);
  assert.deepEqual(await cover.cover({ start: 5, end: 22 }, signal), numbers(5, 20));
  rows.push(20, 21, 22);
  assert.deepEqual(await cover.cover({ start: 5, end: 23 }, signal), numbers(5, 23), "also what was late for the end before");
});

test("nothing stored is asked for again, and what is far away comes with the next asking", async () => {
  const rows: number[] = [];
  const { cover } = source(rows);
  assert.deepEqual(await cover.cover({ start: 0, end: 1000 }, signal), []);
  rows.push(...numbers(0, 150));
  assert.deepEqual(await cover.cover({ start: 0, end: 1000 }, signal), numbers(50, 150));
  assert.deepEqual(await cover.cover({ start: 0, end: 1000 }, signal), numbers(0, 150));
});

test("who was away for longer than can be read in one go has no hole", async () => {
  const rows = numbers(0, 20);
  const { cover } = source(rows);
  await cover.cover({ start: 0, end: 20 }, signal);
  rows.push(...numbers(20, 300));
  assert.deepEqual(await cover.cover({ start: 0, end: 300 }, signal), numbers(100, 300), "the newest, and those before them");
  assert.deepEqual(await cover.cover({ start: 0, end: 300 }, signal), numbers(0, 300));
});
