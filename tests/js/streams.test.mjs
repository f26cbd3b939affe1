import assert from "node:assert/strict";
import { test } from "node:test";

import { world } from "./support.mjs";

test("pushes reach the listeners of their event and of all events, without the frame's type", async () => {
  const w = world();
  const heard = [];
  const off = w.client.on("tick", (push) => heard.push(push));
  await w.open();
  w.socket.push("player:42", 1, "tick", { n: 1 });
  w.socket.push("player:42", 2, "tock");
  off();
  w.socket.push("player:42", 3, "tick");
  assert.deepEqual(heard, [{ stream: "player:42", offset: 1, event: "tick", at: "2026-01-01T00:00:00Z", data: { n: 1 } }]);
  assert.deepEqual(w.seen.pushes, [["player:42", 1], ["player:42", 2], ["player:42", 3]]);
});

test("what was seen before is dropped", async () => {
  const w = world();
  await w.open({ "player:42": 7, all: 0 });
  for (const offset of [6, 7, 8, 8, 9]) w.socket.push("player:42", offset);
  assert.deepEqual(w.seen.pushes, [["player:42", 8], ["player:42", 9]]);
});

test("the first hello resumes from what the page kept, every later one from where the streams are", async () => {
  const w = world({ resume: { epoch: "e1", offsets: { "player:42": 17 } } });
  const hello = await w.open({ "player:42": 17, all: 3 });
  assert.deepEqual([hello.args.epoch, hello.args.resume], ["e1", { "player:42": 17 }]);
  w.socket.push("player:42", 18);
  const second = await w.again({ "player:42": 18, all: 3 });
  assert.deepEqual(second.args.resume, { "player:42": 18, all: 3 });
  assert.deepEqual([w.client.epoch, w.client.offsets], ["e1", { "player:42": 18, all: 3 }]);
});

test("a resumed stream goes on from where the client is, also when hello names the head instead", async () => {
  const w = world({ resume: { epoch: "e1", offsets: { "player:42": 17 } } });
  await w.open({ "player:42": 19, all: 0 });
  w.socket.push("player:42", 18);
  w.socket.push("player:42", 19);
  assert.deepEqual(w.seen.pushes.length, 2);
  assert.deepEqual(w.seen.resyncs, []);
});

test("a stream resumed from 0 starts with whatever is retained", async () => {
  const w = world({ resume: { epoch: "e1", offsets: { "player:42": 0 } } });
  await w.open({ "player:42": 0, all: 0 });
  w.socket.push("player:42", 900);
  w.socket.push("player:42", 901);
  assert.deepEqual(w.seen.pushes, [["player:42", 900], ["player:42", 901]]);
  w.socket.push("player:42", 903);
  assert.equal(w.client.connection, "waiting", "after the first, a gap is a gap");
});

test("a gap is never skipped: the client reconnects, and the server fills it", async () => {
  const w = world();
  await w.open({ "player:42": 5, all: 0 });
  w.socket.push("player:42", 7);
  assert.deepEqual(w.seen.pushes, []);
  assert.equal(w.seen.states.at(-1).reason, "gap");
  await w.timers.advance(1_000);
  const hello = await w.welcome({ "player:42": 5, all: 0 });
  assert.equal(hello.args.resume["player:42"], 5);
  w.socket.push("player:42", 6);
  w.socket.push("player:42", 7);
  assert.deepEqual(w.seen.pushes, [["player:42", 6], ["player:42", 7]]);
});

test("the same gap a second time is told as a resync, so that a page cannot reconnect for ever", async () => {
  const w = world();
  await w.open({ "player:42": 5, all: 0 });
  w.socket.push("player:42", 7);
  await w.timers.advance(1_000);
  await w.welcome({ "player:42": 5, all: 0 });
  w.socket.push("player:42", 7);
  assert.deepEqual(w.seen.resyncs, [{ stream: "player:42", offset: 6 }]);
  assert.deepEqual(w.seen.pushes, [["player:42", 7]]);
  assert.equal(w.client.connection, "open");
});

test("a stream that was empty and starts late has lost its beginning: that is told at once", async () => {
  const w = world();
  await w.open({ "player:42": 0, all: 0 });
  w.socket.push("player:42", 4);
  assert.deepEqual(w.seen.resyncs, [{ stream: "player:42", offset: 3 }]);
  assert.deepEqual(w.seen.pushes, [["player:42", 4]]);
  assert.equal(w.sockets.length, 1);
});

test("what a connection that was given up still says is not heard", async () => {
  const w = world();
  await w.open({ "player:42": 5, all: 0 });
  const old = w.socket;
  old.push("player:42", 7);
  old.push("player:42", 6);
  old.drop(4403);
  assert.deepEqual(w.seen.pushes, []);
  assert.equal(w.client.connection, "waiting");
});

test("resync moves the cursor and is told once, though hello and a frame both say it", async () => {
  const w = world({ resume: { epoch: "e1", offsets: { "player:42": 17 } } });
  await w.open({ "player:42": { offset: 1300, recovered: false }, all: 0 });
  w.socket.say({ type: "resync", stream: "player:42", offset: 1300 });
  assert.deepEqual(w.seen.resyncs, [{ stream: "player:42", offset: 1300 }]);
  w.socket.push("player:42", 1301);
  w.socket.say({ type: "resync", stream: "player:42", offset: 1400 });
  assert.deepEqual(w.seen.resyncs.at(-1), { stream: "player:42", offset: 1400 });
  assert.equal(w.client.offsets["player:42"], 1400);
});

test("another epoch makes every stream start anew", async () => {
  const w = world();
  await w.open({ "player:42": 90, all: 4 });
  await w.again({ "player:42": 2, all: 1 }, { epoch: "e2" });
  assert.deepEqual(w.client.offsets, { "player:42": 2, all: 1 });
  assert.equal(w.client.epoch, "e2");
  assert.deepEqual(w.seen.resyncs.map(({ stream }) => stream), ["player:42", "all"]);
});

test("a granted stream is heard from its offset on, also when it was taken and granted again", async () => {
  const w = world();
  await w.open();
  w.socket.push("universe:3", 6); // not ours yet
  w.socket.push("player:42", 1, "subscribed", { stream: "universe:3", offset: 6 });
  w.socket.push("universe:3", 7);
  w.socket.push("player:42", 2, "unsubscribed", { stream: "universe:3" });
  w.socket.push("player:42", 3, "subscribed", { stream: "universe:3", offset: 20 });
  w.socket.push("universe:3", 21);
  w.socket.push("universe:3", 22);
  const heard = w.seen.pushes.filter(([stream]) => stream === "universe:3").map(([, offset]) => offset);
  assert.deepEqual(heard, [7, 21, 22]);
});

test("an event of a game that happens to be called subscribed grants nothing", async () => {
  const w = world();
  await w.open();
  w.socket.push("all", 1, "subscribed", { stream: "universe:3", offset: 6 });
  assert.equal(w.client.offsets["universe:3"], undefined);
});

test("grants replayed after a reconnect hide no event of a stream that hello has resumed", async () => {
  const w = world({ resume: { epoch: "e1", offsets: { "player:42": 10, "universe:3": 30 } } });
  await w.open({ "player:42": 10, all: 0, "universe:3": 30 });
  w.socket.push("player:42", 11, "unsubscribed", { stream: "universe:3" });
  w.socket.push("universe:3", 31);
  w.socket.push("player:42", 12, "subscribed", { stream: "universe:3", offset: 40 });
  for (let offset = 32; offset <= 42; offset += 1) w.socket.push("universe:3", offset);
  const heard = w.seen.pushes.filter(([stream]) => stream === "universe:3").map(([, offset]) => offset);
  assert.deepEqual(heard, [31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42]);
  w.socket.push("universe:3", 44);
  assert.equal(w.client.connection, "waiting", "and a gap is still a gap");
});

test("no more streams are resumed than the server takes; the others are told as lost", async () => {
  const offsets = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`s${n}`, 5]));
  const w = world({ resume: { epoch: "e1", offsets } });
  const hello = await w.open(offsets);
  assert.equal(Object.keys(hello.args.resume).length, 256);
  assert.equal(w.seen.resyncs.length, 44);
});

test("the server's own bound on resumed streams is kept from the second hello on", async () => {
  const w = world();
  const streams = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`s${n}`, 5]));
  await w.open(streams, { limits: { resume_streams: 8 } });
  const hello = await w.again(streams, { limits: { resume_streams: 8 } });
  assert.equal(Object.keys(hello.args.resume).length, 8);
});

test("lateness that is not told again is over", async () => {
  const w = world();
  const told = [];
  w.client.addEventListener("status", ({ detail }) => told.push(detail.lateness));
  await w.open();
  w.socket.say({ type: "status", lateness: 12 });
  await w.timers.advance(4_000);
  w.socket.say({ type: "status", lateness: 13 });
  w.socket.drop();
  await w.timers.advance(5_000);
  assert.deepEqual(told, [12, 13, 0], "also when its end was told to others, while this page was away");
});

test("a stream that hello no longer lists is forgotten", async () => {
  const w = world();
  await w.open({ "player:42": 0, all: 0, "universe:3": 9 });
  await w.again({ "player:42": 0, all: 0 });
  assert.deepEqual(Object.keys(w.client.offsets), ["player:42", "all"]);
});
