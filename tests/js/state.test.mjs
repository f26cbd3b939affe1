import assert from "node:assert/strict";
import { test } from "node:test";

import { failure, settle, world } from "./support.mjs";

const STREAMS = { "player:42": 0, all: 0, "universe:3": 10 };

/** A page that keeps a number by `state`, and a server that answers its view. */
async function page(streams = STREAMS, options = {}) {
  const w = world();
  await w.open(streams);
  const log = [];
  const handle = w.client.state("look", { universe: 3 }, {
    read: (result) => log.push(`read ${result}`),
    apply: (push) => log.push(`${push.stream} ${push.offset}`),
    ...options,
  });
  const looks = () => w.socket.commands.filter(({ command }) => command === "look");
  return {
    ...w,
    w,
    log,
    handle,
    looks,
    async answer(result, positions) {
      await settle();
      w.socket.reply(looks().at(-1).id, result, { positions });
      await settle();
    },
  };
}

test("pushes that arrive while the view is read are applied after it, without those it holds", async () => {
  const p = await page();
  for (const offset of [11, 12, 13]) p.w.socket.push("universe:3", offset);
  await p.answer("A", { "universe:3": 12 });
  p.w.socket.push("universe:3", 14);
  assert.deepEqual(p.log, ["read A", "universe:3 13", "universe:3 14"]);
  await p.handle.ready;
});

test("a push of a reply's own turn is not lost between the reply and its reading", async () => {
  const p = await page();
  const { id } = p.looks().at(-1);
  p.w.socket.reply(id, "A", { positions: { "universe:3": 10 } });
  p.w.socket.push("universe:3", 11); // before any promise has had its turn
  await settle();
  assert.deepEqual(p.log, ["read A", "universe:3 11"]);
});

test("a view that is ahead of the stream makes the pushes it holds be skipped when they come", async () => {
  const p = await page();
  await p.answer("A", { "universe:3": 12 });
  for (const offset of [11, 12, 13]) p.w.socket.push("universe:3", offset);
  assert.deepEqual(p.log, ["read A", "universe:3 13"]);
});

test("streams that the view does not depend on are not applied", async () => {
  const p = await page();
  await p.answer("A", { "universe:3": 10 });
  p.w.socket.push("player:42", 1);
  assert.deepEqual(p.log, ["read A"]);
});

test("a view older than what was already delivered is read again, for the events between are gone", async () => {
  const p = await page();
  await p.answer("A", { "universe:3": 9 });
  assert.deepEqual(p.log, []);
  await p.w.timers.advance(1_000);
  assert.equal(p.looks().length, 2);
  await p.answer("B", { "universe:3": 10 });
  assert.deepEqual(p.log, ["read B"]);
});

test("after a reconnect that lost nothing the pushes just go on", async () => {
  const p = await page();
  await p.answer("A", { "universe:3": 10 });
  await p.w.again(STREAMS);
  p.w.socket.push("universe:3", 11);
  assert.deepEqual(p.log, ["read A", "universe:3 11"]);
  assert.deepEqual(p.looks(), []);
});

test("after a resync the view is read again", async () => {
  const p = await page();
  await p.answer("A", { "universe:3": 10 });
  await p.w.again({ ...STREAMS, "universe:3": { offset: 90, recovered: false } });
  p.w.socket.say({ type: "resync", stream: "universe:3", offset: 90 });
  p.w.socket.push("universe:3", 91);
  assert.equal(p.looks().length, 1, "once, though hello and the frame both say it");
  await p.answer("B", { "universe:3": 91 });
  p.w.socket.push("universe:3", 92);
  assert.deepEqual(p.log, ["read A", "read B", "universe:3 92"]);
});

test("another epoch drops what was kept for a reading that was under way", async () => {
  const p = await page();
  p.w.socket.push("universe:3", 11);
  await p.w.again({ "player:42": 0, all: 0, "universe:3": 2 }, { epoch: "e2" });
  assert.equal(p.looks().length, 1, "the question goes out again");
  await p.answer("B", { "universe:3": 2 });
  p.w.socket.push("universe:3", 3);
  assert.deepEqual(p.log, ["read B", "universe:3 3"]);
});

test("another epoch makes a finished reading start again", async () => {
  const p = await page();
  await p.answer("A", { "universe:3": 10 });
  await p.w.again({ "player:42": 0, all: 0, "universe:3": 10 }, { epoch: "e2" });
  await p.answer("B", { "universe:3": 10 });
  assert.deepEqual(p.log, ["read A", "read B"]);
});

test("another epoch makes a state be read again even if its streams are gone", async () => {
  const p = await page();
  await p.answer("A", { "universe:3": 10 });
  await p.w.again({ "player:42": 0, all: 0 }, { epoch: "e2" });
  await p.answer("B", {});
  assert.deepEqual(p.log, ["read A", "read B"]);
});

test("a view answered from before a resync is read again", async () => {
  const p = await page();
  p.w.socket.say({ type: "resync", stream: "universe:3", offset: 90 });
  await p.answer("A", { "universe:3": 50 });
  await p.w.timers.advance(1_000);
  await p.answer("B", { "universe:3": 90 });
  assert.deepEqual(p.log, ["read B"]);
});

test("a resync to an earlier offset, of a database that was put back, drops what was kept from the later one", async () => {
  const p = await page();
  p.w.socket.push("universe:3", 11);
  p.w.socket.say({ type: "resync", stream: "universe:3", offset: 3 });
  p.w.socket.push("universe:3", 4);
  await p.answer("A", { "universe:3": 3 });
  p.w.socket.push("universe:3", 5);
  assert.deepEqual(p.log, ["read A", "universe:3 4", "universe:3 5"]);
});

test("a page that closes and connects again gets its states again", async () => {
  const p = await page();
  p.w.client.close();
  await settle();
  await p.w.open(STREAMS);
  await p.answer("A", { "universe:3": 10 });
  assert.deepEqual(p.log, ["read A"]);
});

test("a grant that comes after the view is joined to it when nothing lies between", async () => {
  const p = await page({ "player:42": 0, all: 0 });
  await p.answer("A", { "universe:3": 4 });
  p.w.socket.push("player:42", 1, "subscribed", { stream: "universe:3", offset: 3 });
  p.w.socket.push("universe:3", 4);
  p.w.socket.push("universe:3", 5);
  assert.deepEqual(p.log, ["read A", "universe:3 5"]);
});

test("a grant that starts behind the view's position makes it be read again", async () => {
  const p = await page({ "player:42": 0, all: 0 });
  await p.answer("A", { "universe:3": 4 });
  p.w.socket.push("player:42", 1, "subscribed", { stream: "universe:3", offset: 6 });
  await p.answer("B", { "universe:3": 6 });
  assert.deepEqual(p.log, ["read A", "read B"]);
});

test("a refused view is told, and asked again when a stream is granted", async () => {
  const refused = [];
  const p = await page(undefined, { error: (error) => refused.push(error.code) });
  p.w.socket.refuse(p.looks()[0].id, { code: "rejected", reason: "not_yours" });
  assert.equal((await failure(p.handle.ready)).code, "rejected");
  assert.deepEqual(refused, ["rejected"]);
  p.w.socket.push("player:42", 1, "subscribed", { stream: "universe:4", offset: 0 });
  await p.answer("A", { "universe:3": 10 });
  assert.deepEqual(p.log, ["read A"]);
});

test("a closed handle hears nothing more, also in the middle of what was kept", async () => {
  let handle;
  const applied = [];
  const p = await page(undefined, {
    apply: (push) => {
      applied.push(push.offset);
      handle.close();
    },
  });
  handle = p.handle;
  p.w.socket.push("universe:3", 11);
  p.w.socket.push("universe:3", 12);
  await p.answer("A", { "universe:3": 10 });
  p.w.socket.push("universe:3", 13);
  assert.deepEqual(applied, [11]);
});

test("more pushes than can be kept make the view be read again instead", async () => {
  const p = await page();
  for (let offset = 11; offset <= 5_200; offset += 1) p.w.socket.push("universe:3", offset);
  await p.answer("A", { "universe:3": 100 });
  await p.w.timers.advance(0);
  await p.answer("B", { "universe:3": 5_200 });
  p.w.socket.push("universe:3", 5_201);
  assert.deepEqual(p.log, ["read B", "universe:3 5201"]);
});

test("with any order of reply, pushes and reconnects, what is read and applied has no hole and nothing twice", async () => {
  for (let seed = 1; seed <= 300; seed += 1) await scramble(seed);
});

/** A model server with one stream; the page's state must always be the sum of all events up to some offset. */
async function scramble(seed) {
  let word = seed * 2_654_435_761;
  const draw = (n) => {
    word = (Math.imul(word ^ (word >>> 15), 2_246_822_519) + seed) >>> 0;
    return word % n;
  };
  const w = world();
  let head = draw(20);
  let sent = head;
  let state = null;
  const streams = () => ({ "player:42": 0, all: 0, s: head });
  await w.open(streams());
  w.client.state("look", {}, {
    read: (result) => (state = result),
    apply: (push) => {
      assert.equal(push.offset, state + 1, `seed ${seed}`);
      state = push.offset;
    },
  });
  const waiting = new Map();
  for (let step = 0; step < 60; step += 1) {
    const what = draw(6);
    if (what <= 1) head += 1;
    else if (what === 2 && sent < head) w.socket.push("s", ++sent);
    else if (what === 3) {
      for (const { id, command } of w.socket.commands) if (command === "look" && !waiting.has(id)) waiting.set(id, head);
      await w.timers.advance(100);
    } else if (what === 4) {
      for (const [id, at] of waiting) w.socket.reply(id, at, { positions: { s: at } });
      if (draw(2)) await settle();
    } else if (what === 5 && draw(4) === 0) {
      waiting.clear();
      const lost = draw(2) === 1;
      if (lost) sent = head;
      else sent = w.client.offsets.s;
      await w.again({ "player:42": 0, all: 0, s: { offset: sent, recovered: !lost } });
      if (lost) w.socket.say({ type: "resync", stream: "s", offset: sent });
    }
  }
  for (let round = 0; round < 5; round += 1) {
    while (sent < head) w.socket.push("s", ++sent);
    for (const { id, command } of w.socket.commands) if (command === "look") w.socket.reply(id, head, { positions: { s: head } });
    await w.timers.advance(1_000);
  }
  assert.equal(state, head, `seed ${seed}: the page ends where the server is`);
  w.client.close();
}
