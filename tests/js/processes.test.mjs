import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerClock } from "../../src/starwire/web/clock.js";
import { settle, world } from "./support.mjs";

const at = (seconds) => new Date(Date.parse("2026-01-01T00:00:00Z") + seconds * 1000).toISOString();
const life = (process, more = {}) => ({ process, kind: "ripen", owner: "42", started_at: at(0), due_at: at(100), state: "pending", data: {}, ...more });

async function tracking(listed = [], positions = { "player:42": 0 }) {
  const w = world();
  await w.open({ "player:42": 0, all: 0 });
  const { processes } = w.client;
  await settle();
  w.socket.reply(w.socket.last("processes").id, listed, { positions });
  await settle();
  return { w, processes };
}

test("live processes are those of the view, then follow the lifecycle events", async () => {
  const { w, processes } = await tracking([{ id: 1, kind: "ripen", started_at: at(0), due_at: at(10), state: "pending", data: {} }]);
  const changes = [];
  w.client.addEventListener("processes", ({ detail }) => changes.push(detail.event));
  assert.deepEqual([...processes.keys()], [1]);
  w.socket.push("player:42", 1, "process_started", life(2));
  w.socket.push("player:42", 2, "process_rescheduled", life(2, { due_at: at(200) }));
  w.socket.push("player:42", 3, "process_completed", life(1, { state: "completed" }));
  assert.deepEqual([...processes.keys()], [2]);
  assert.equal(processes.get(2).due_at, at(200));
  assert.equal(processes.get(2).stream, "player:42");
  w.socket.push("player:42", 4, "process_cancelled", life(2, { state: "cancelled" }));
  assert.equal(processes.size, 0);
  assert.deepEqual(changes, ["process_started", "process_rescheduled", "process_completed", "process_cancelled"]);
});

test("a stream granted later brings its processes along", async () => {
  const { w, processes } = await tracking();
  w.socket.push("player:42", 1, "subscribed", { stream: "universe:3", offset: 5 });
  w.socket.push("universe:3", 6, "process_started", life(9));
  await settle();
  const asked = w.socket.frames.filter(({ command }) => command === "processes");
  assert.equal(asked.length, 2);
  w.socket.reply(asked[1].id, [life(8)], { positions: { "player:42": 1, "universe:3": 5 } });
  await settle();
  assert.deepEqual([...processes.keys()], [8, 9]);
});

test("the server's clock is learnt from several pings, of which the quickest counts, and again later", async () => {
  const w = world();
  await w.open();
  const ahead = 60_000;
  const trips = [900, 400, 40, 700, 500]; // the answer takes all of it, asking takes no time
  const pings = () => w.socket.frames.filter(({ command }) => command === "ping");
  for (const [n, trip] of trips.entries()) {
    while (pings().length <= n) await w.timers.advance(10);
    const { id, args } = pings()[n];
    const server_time = new Date(args.t + ahead).toISOString();
    await w.timers.advance(trip - (w.timers.now() - args.t));
    w.socket.reply(id, { t: args.t, server_time });
    await settle();
  }
  const off = Math.abs(w.client.now() - w.timers.now() - ahead);
  assert.ok(off <= 20, `off by ${off} ms`);
  assert.equal(pings().length, 5);
  for (let n = 0; n < 61; n += 1) {
    w.socket.push("all", n + 1); // never silent, so that nothing else asks
    await w.timers.advance(10_000);
  }
  assert.equal(pings().length, 6);
});

test("progress follows the server's clock from 0 to 1, and a paused process stands still", async () => {
  const { w, processes } = await tracking();
  w.socket.push("player:42", 1, "process_started", life(2));
  const started = Date.parse(at(0));
  await w.timers.advance(started + 25_000 - w.timers.now());
  assert.equal(w.client.progress(processes.get(2)), 0.25);
  w.socket.say({ type: "push", stream: "player:42", offset: 2, event: "process_paused", at: at(25), data: life(2, { state: "paused" }) });
  await w.timers.advance(20_000);
  assert.equal(w.client.progress(processes.get(2)), 0.25);
  w.socket.say({ type: "push", stream: "player:42", offset: 3, event: "process_resumed", at: at(45), data: life(2, { due_at: at(120) }) });
  await w.timers.advance(400_000);
  assert.equal(w.client.progress(processes.get(2)), 1);
});

test("the clock believes the exchange with the shortest round trip", () => {
  const clock = new ServerClock(() => 0);
  clock.sample(0, 400, 10_350); // 10,150 ± 200
  clock.sample(500, 520, 10_610); // 10,100 ± 10
  clock.sample(600, 1_000, 10_750); // 9,950 ± 200
  assert.equal(clock.offset, 10_100);
});

test("a clock of this machine that was moved is noticed, and what was learnt before is dropped", () => {
  const clock = new ServerClock(() => 0);
  clock.sample(0, 10, 5);
  clock.sample(0, 100, 60_050); // the same server, a minute away: impossible with the sample before
  assert.equal(clock.offset, 60_000);
});

test("after hello the clock is sampled several times", async () => {
  const w = world();
  await w.open();
  for (let n = 0; n < 8; n += 1) {
    const { id, args } = w.socket.last("ping");
    await w.timers.advance(20);
    w.socket.reply(id, { t: args.t, server_time: new Date(w.timers.now() - 10 + 3_600_000).toISOString() });
    await w.timers.advance(230);
  }
  assert.equal(w.socket.frames.filter(({ command }) => command === "ping").length, 5);
  assert.ok(Math.abs(w.client.now() - w.timers.now() - 3_600_000) < 2);
});
