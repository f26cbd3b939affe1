import assert from "node:assert/strict";
import { test } from "node:test";

import { backoff, later } from "../../src/starwire/web/backoff.js";
import { FakeTimers, settle, world } from "./support.mjs";

test("backoff draws from the whole span, which doubles up to 30 s", () => {
  assert.equal(backoff(0, () => 0), 0);
  assert.equal(backoff(0, () => 1), 500);
  assert.equal(backoff(3, () => 0.5), 2_000);
  assert.equal(backoff(50, () => 1), 30_000);
  assert.ok(later(() => 0) >= 30_000);
});

test("attempts that fail are made at growing jittered distances", async () => {
  const w = world({ random: () => 1 });
  w.client.connect();
  for (let n = 0; n < 9; n += 1) {
    await settle();
    w.socket.drop();
    await w.timers.advance(w.seen.states.at(-1).retryIn);
  }
  const waits = w.seen.states.filter(({ state }) => state === "waiting").map(({ retryIn }) => retryIn);
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test("a connection that did not last does not start the backoff anew; one that did, does", async () => {
  const w = world({ random: () => 1 });
  await w.open();
  w.socket.drop();
  await w.timers.advance(500);
  await w.welcome();
  w.socket.drop();
  assert.equal(w.seen.states.at(-1).retryIn, 1_000);
  await w.timers.advance(1_000);
  await w.welcome();
  await w.timers.advance(5_000);
  w.socket.drop();
  assert.equal(w.seen.states.at(-1).retryIn, 500);
});

test("after goodbye the client sends nothing new, takes its answers, and comes back at the advised time", async () => {
  const w = world();
  await w.open();
  const asked = w.client.command("a");
  w.socket.say({ type: "goodbye", reason: "restart", reconnect_after: 3.2 });
  w.client.command("b").catch(() => {});
  const [a, ...others] = w.socket.commands;
  assert.deepEqual(others, []);
  w.socket.reply(a.id, "done");
  assert.equal(await asked, "done");
  w.socket.drop(1012);
  assert.deepEqual(w.seen.states.at(-1), { state: "waiting", retryIn: 3_200, reason: "restart" });
  await w.timers.advance(3_200);
  await w.welcome();
  assert.deepEqual(w.socket.commands.map(({ command }) => command), ["b"]);
});

test("a server that says goodbye and never closes is left", async () => {
  const w = world();
  await w.open();
  w.socket.say({ type: "goodbye", reason: "restart", reconnect_after: 1 });
  await w.timers.advance(32_000);
  assert.equal(w.sockets.length, 2);
});

test("the advised time counts too when the server dies after its goodbye, before it could close", async () => {
  const w = world();
  await w.open();
  w.socket.say({ type: "goodbye", reason: "restart", reconnect_after: 3.2 });
  w.socket.drop(1006);
  assert.deepEqual(w.seen.states.at(-1), { state: "waiting", retryIn: 3_200, reason: "lost" });
  await w.timers.advance(3_200);
  await w.welcome();
  w.socket.drop(1006);
  assert.notEqual(w.seen.states.at(-1).retryIn, 3_200, "advice is for once");
});

test("a refused page stops and says why, and may try again of its own will", async () => {
  const w = world();
  await w.open();
  const waiting = assert.rejects(w.client.command("a"), { code: "closed", sent: true });
  w.socket.drop(4403);
  await waiting;
  await w.timers.advance(600_000);
  assert.equal(w.sockets.length, 1);
  assert.deepEqual(w.seen.states.at(-1), { state: "closed", reason: "refused" });
  w.client.connect();
  await settle();
  assert.equal(w.sockets.length, 2);
});

for (const [code, reason] of [[4400, "abuse"], [4429, "too_many_connections"]]) {
  test(`after close code ${code} the client stays away for at least half a minute, and then comes back`, async () => {
    const page = fakePage();
    const w = world({ random: () => 0, page });
    await w.open();
    w.socket.drop(code);
    assert.deepEqual(w.seen.states.at(-1), { state: "waiting", retryIn: 30_000, reason });
    page.dispatchEvent(new Event("online"));
    await w.timers.advance(29_999);
    assert.equal(w.sockets.length, 1);
    await w.timers.advance(1);
    assert.equal(w.sockets.length, 2);
  });
}

test("a text that was too long ends the connection, not the page: the next one has all but that text", async () => {
  const w = world();
  await w.open();
  const asked = w.client.command("a");
  w.client.raw("x".repeat(100_000));
  await w.again(undefined, {}, 1009);
  assert.deepEqual(w.socket.commands.map(({ command }) => command), ["a"]);
  w.socket.reply(w.socket.commands[0].id, "done");
  assert.equal(await asked, "done");
});

test("a clock that was set back does not make a dead server look alive", async () => {
  let back = 0;
  const timers = new FakeTimers();
  const moved = { now: () => timers.now() - back, setTimeout: timers.setTimeout, clearTimeout: timers.clearTimeout };
  const w = world({ timers: moved });
  w.client.connect();
  await settle();
  w.socket.accept();
  const server_time = new Date(timers.now()).toISOString();
  w.socket.reply(w.socket.last("hello").id, { player: "42", epoch: "e1", server_time, streams: {}, limits: {} });
  await timers.advance(2_000);
  back = 3_600_000;
  await timers.advance(70_000);
  assert.equal(w.seen.states.find(({ state }) => state === "waiting").reason, "silent");
});

test("an error that no close event follows is a lost connection all the same", async () => {
  const w = world();
  w.client.connect();
  await settle();
  w.socket.onerror({});
  await w.timers.advance(100);
  assert.equal(w.seen.states.at(-1).reason, "lost");
  await w.timers.advance(1_000);
  await w.welcome();
  w.socket.onerror({});
  w.socket.drop(4403);
  assert.equal(w.seen.states.at(-1).reason, "refused", "the code of the close event counts when there is one");
});

test("a hello that is not answered in time is given up", async () => {
  const w = world();
  w.client.connect();
  await settle();
  w.socket.accept();
  await w.timers.advance(15_000);
  assert.equal(w.seen.states.at(-1).reason, "timeout");
});

test("a silent server is asked, and left when it does not answer", async () => {
  const w = world();
  await w.open();
  await w.timers.advance(2_000);
  w.socket.push("all", 1);
  const pings = () => w.socket.frames.filter(({ command }) => command === "ping").length;
  const before = pings();
  await w.timers.advance(24_999);
  assert.equal(pings(), before);
  await w.timers.advance(1);
  assert.equal(pings(), before + 1);
  await w.timers.advance(10_000);
  assert.equal(w.seen.states.at(-1).reason, "silent");
  assert.equal(w.socket.closedByUs, true);
});

test("any frame is an answer: a busy server that is late with its pong is kept", async () => {
  const w = world();
  await w.open();
  await w.timers.advance(25_000);
  await w.timers.advance(9_000);
  w.socket.push("all", 1);
  await w.timers.advance(20_000);
  assert.equal(w.client.connection, "open");
});

function fakePage() {
  const page = new EventTarget();
  page.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  return page;
}

test("when the page becomes visible or the network returns, a waiting client tries at once", async () => {
  const page = fakePage();
  const w = world({ page, random: () => 1 });
  w.client.connect();
  for (let n = 0; n < 6; n += 1) {
    await settle();
    w.socket.drop();
    if (n < 5) await w.timers.advance(30_000);
  }
  const { length } = w.sockets;
  page.document.visibilityState = "hidden";
  page.document.dispatchEvent(new Event("visibilitychange"));
  await w.timers.advance(500);
  assert.equal(w.sockets.length, length);
  page.dispatchEvent(new Event("online"));
  page.document.visibilityState = "visible";
  page.dispatchEvent(new Event("online"));
  await w.timers.advance(300);
  assert.equal(w.sockets.length, length + 1);
});

test("the server's advice is not overruled by a page that becomes visible", async () => {
  const page = fakePage();
  const w = world({ page });
  await w.open();
  w.socket.say({ type: "goodbye", reason: "restart", reconnect_after: 5 });
  w.socket.drop(1012);
  page.document.dispatchEvent(new Event("visibilitychange"));
  await w.timers.advance(4_999);
  assert.equal(w.sockets.length, 1);
});

test("an open connection is doubted when the page wakes, and left soon if it is dead", async () => {
  const page = fakePage();
  const w = world({ page });
  await w.open();
  await w.timers.advance(20_000);
  page.dispatchEvent(new Event("online"));
  await w.timers.advance(10_000);
  assert.equal(w.seen.states.at(-1).reason, "silent");
});

test("an address that cannot be one ends with an error instead of trying for ever", async () => {
  class Refusing {
    constructor() {
      throw new SyntaxError("bad address");
    }
  }
  const w = world({ WebSocket: Refusing });
  w.client.connect();
  await settle();
  assert.deepEqual(w.seen.states.at(-1), { state: "closed", reason: "error" });
  assert.equal(w.seen.errors[0].message, "bad address");
});
