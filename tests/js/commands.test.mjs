import assert from "node:assert/strict";
import { test } from "node:test";

import { failure, settle, world } from "./support.mjs";

const names = (socket) => socket.commands.map(({ command }) => command);

test("the first frame of a connection is hello with the token, on the subprotocol", async () => {
  const w = world();
  const hello = await w.open();
  assert.deepEqual(w.socket.protocols, ["starwire.v1"]);
  assert.equal(w.socket.url, "ws://game.test/ws");
  assert.equal(w.socket.frames[0].command, "hello");
  assert.equal(hello.args.token, "access-1");
  assert.equal(w.client.player, "42");
  assert.deepEqual(w.seen.states.map(({ state }) => state), ["connecting", "open"]);
});

test("a command resolves with the result of the reply that carries its id", async () => {
  const w = world();
  await w.open();
  const first = w.client.command("build", { structure: "mine" });
  const second = w.client.command("build", { structure: "tower" });
  const [a, b] = w.socket.commands;
  assert.deepEqual(a.args, { structure: "mine" });
  w.socket.reply(b.id, "tower begun");
  w.socket.reply(a.id, "mine begun");
  assert.deepEqual(await Promise.all([first, second]), ["mine begun", "tower begun"]);
});

test("a refusal is a CommandError with the code, the reason, the sentence and the details", async () => {
  const w = world();
  await w.open();
  const refused = failure(w.client.command("build"));
  const details = { need: 60, have: 12 };
  w.socket.refuse(w.socket.commands[0].id, { code: "rejected", reason: "not_enough_metal", message: "12 of 60.", details });
  const error = await refused;
  assert.equal(error.name, "CommandError");
  assert.deepEqual(
    [error.code, error.reason, error.message, error.details, error.retry, error.command],
    ["rejected", "not_enough_metal", "12 of 60.", details, false, "build"],
  );
});

test("a view gives its result and the positions of its streams", async () => {
  const w = world();
  await w.open();
  const asked = w.client.view("universe", { universe: 3 });
  w.socket.reply(w.socket.commands[0].id, { metal: 5 }, { positions: { "universe:3": 12 } });
  assert.deepEqual(await asked, { result: { metal: 5 }, positions: { "universe:3": 12 } });
});

test("commands made before there is a connection are sent in their order once there is one", async () => {
  const w = world();
  for (const name of ["a", "b", "c"]) w.client.command(name).catch(() => {});
  await w.open();
  assert.deepEqual(names(w.socket), ["a", "b", "c"]);
});

test("unanswered commands are sent again under the same ids, in order, as the same text", async () => {
  const w = world();
  await w.open();
  const args = { n: 1 };
  const first = w.client.command("a", args);
  w.client.command("b").catch(() => {});
  const done = w.client.command("c");
  args.n = 2; // what the page does with its object later changes nothing
  const before = w.socket.commands;
  w.socket.reply(before[2].id, "answered");
  assert.equal(await done, "answered");
  await w.again();
  assert.deepEqual(w.socket.commands, before.slice(0, 2));
  w.socket.reply(before[0].id, "once");
  assert.equal(await first, "once");
});

test("a refusal that may be retried is retried under the same id after the advised time", async () => {
  const w = world();
  await w.open();
  const asked = w.client.command("build");
  const { id } = w.socket.commands[0];
  w.socket.refuse(id, { code: "overloaded", retry: true, retry_after: 2 });
  await w.timers.advance(1_999);
  assert.equal(w.socket.commands.length, 1);
  await w.timers.advance(1_000);
  assert.deepEqual(w.socket.commands.map((frame) => frame.id), [id, id]);
  w.socket.reply(id, "built");
  assert.equal(await asked, "built");
});

test("retrying ends after five refusals, and the last one is what the caller sees", async () => {
  const w = world();
  await w.open();
  const refused = failure(w.client.command("build"));
  for (let n = 0; n <= 5; n += 1) {
    w.socket.refuse(w.socket.commands.at(-1).id, { code: "overloaded", retry: true, retry_after: 0.1 });
    await w.timers.advance(9_000);
  }
  const error = await refused;
  assert.deepEqual([error.code, error.retry, error.retryAfter], ["overloaded", true, 100]);
  assert.equal(w.socket.commands.length, 6);
});

test("no more commands are under way than the server allows", async () => {
  const w = world();
  await w.open(undefined, { limits: { commands_in_flight: 2 } });
  for (const name of ["a", "b", "c", "d"]) w.client.command(name).catch(() => {});
  assert.deepEqual(names(w.socket), ["a", "b"]);
  w.socket.reply(w.socket.commands[0].id, null);
  assert.deepEqual(names(w.socket), ["a", "b", "c"]);
});

test("past 256 unanswered commands the next is refused at once, with a typed error", async () => {
  const w = world();
  for (let n = 0; n < 256; n += 1) w.client.command("a").catch(() => {});
  const error = await failure(w.client.command("a"));
  assert.deepEqual([error.name, error.code, error.retry], ["CommandError", "queue_full", true]);
});

test("a command without an answer in its time fails, and is not sent again", async () => {
  const w = world();
  await w.open();
  const late = failure(w.client.command("a", {}, { timeout: 5_000 }));
  await w.timers.advance(5_000);
  assert.equal((await late).code, "timeout");
  await w.again();
  assert.deepEqual(w.socket.commands, []);
});

test("what never left this machine is said to be so, and what may have happened too", async () => {
  const w = world();
  const offline = failure(w.client.command("a", {}, { timeout: 5_000 }));
  await w.timers.advance(5_000);
  const never = await offline;
  assert.deepEqual([never.code, never.sent], ["timeout", false]);
  assert.match(never.message, /not sent/);
  await w.open();
  const late = failure(w.client.command("b", {}, { timeout: 5_000 }));
  await w.timers.advance(5_000);
  const unknown = await late;
  assert.deepEqual([unknown.code, unknown.sent], ["timeout", true]);
  const refused = failure(w.client.command("c", {}, { timeout: 4_000 }));
  w.socket.refuse(w.socket.commands.at(-1).id, { code: "overloaded", retry: true, retry_after: 60 });
  await w.timers.advance(4_000);
  assert.equal((await refused).sent, false, "the server said that nothing happened");
  const doubtful = failure(w.client.command("d", {}, { timeout: 4_000 }));
  await w.again();
  w.socket.refuse(w.socket.commands.at(-1).id, { code: "overloaded", retry: true, retry_after: 60 });
  await w.timers.advance(4_000);
  assert.equal((await doubtful).sent, true, "that refusal speaks of the second sending only");
});

test("a machine that slept past a command's time does not send it again on waking up", async () => {
  const w = world({ tokens: { access_token: "good for ever" } });
  await w.open();
  const late = failure(w.client.command("a", {}, { timeout: 60_000 }));
  const patient = failure(w.client.command("b", {}, { timeout: Infinity }));
  w.client.command("c", {}, { timeout: Infinity }).catch(() => {});
  w.timers.sleep(3_600_000);
  await w.again();
  assert.deepEqual(names(w.socket), ["b", "c"], "no timer fired, yet its minute was over");
  assert.deepEqual([(await late).code, (await late).sent], ["timeout", true]);
  w.timers.sleep(24 * 3_600_000);
  await w.again();
  assert.deepEqual(names(w.socket), [], "the server has forgotten the replies by now: it would happen again");
  assert.equal((await patient).code, "timeout");
});

test("a timeout of months is not one of no time at all", async () => {
  const w = world();
  await w.open();
  const asked = w.client.command("a", {}, { timeout: 1e11 });
  await w.timers.advance(1_000);
  w.socket.reply(w.socket.commands[0].id, "done");
  assert.equal(await asked, "done");
});

test("a frame longer than the server takes is refused here, for sending it would close the connection", async () => {
  const w = world();
  await w.open(undefined, { limits: { frame_bytes: 200 } });
  const error = await failure(w.client.command("say", { text: "ü".repeat(100) }));
  assert.equal(error.code, "too_large");
  w.client.command("say", { text: "u".repeat(100) }).catch(() => {});
  assert.equal(w.socket.commands.length, 1);
});

test("a command made too long before the limit was known fails at hello instead of closing the connection", async () => {
  const w = world();
  const large = failure(w.client.command("say", { text: "u".repeat(300) }));
  await w.open(undefined, { limits: { frame_bytes: 200 } });
  assert.equal((await large).code, "too_large");
  assert.deepEqual(w.socket.commands, []);
});

test("arguments that are no JSON fail the one command", async () => {
  const w = world();
  await w.open();
  assert.equal((await failure(w.client.command("a", { n: 1n }))).name, "TypeError");
});

test("closing fails what waits, and what comes after", async () => {
  const w = world();
  await w.open();
  const waiting = failure(w.client.command("a"));
  w.client.close();
  assert.equal((await waiting).code, "closed");
  assert.equal((await failure(w.client.command("b"))).code, "closed");
  assert.equal(w.timers.pending, 0, "no timer is left behind");
  assert.equal(w.socket.closedByUs, true);
});

test("raw text goes out as it is, and its frames are shown without tokens", async () => {
  const w = world();
  const shown = [];
  w.client.addEventListener("frame", ({ detail }) => shown.push(detail));
  assert.equal(w.client.raw("{"), false, "there is nothing to send it on yet");
  await w.open();
  assert.equal(w.client.raw("this is no JSON"), true);
  assert.equal(w.socket.sent.at(-1), "this is no JSON");
  w.client.raw('{"command":"refresh","args":{"token":"se\\"cret"}} access-1');
  w.socket.say('{"type":"reply","id":null,"command":null,"ok":false,"error":{"code":"malformed","message":"JSON. JSON please","retry":false}}');
  const texts = shown.map(({ text }) => text);
  assert.equal(shown[0].direction, "out");
  assert.ok(!texts.some((text) => text.includes("access-1") || text.includes("cret")), texts.join("\n"));
  assert.equal(w.seen.errors.at(-1).message, "JSON. JSON please");
  assert.equal(shown.at(-1).direction, "in");
});

test("an error in a page's callback is reported and harms nobody else", async () => {
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  try {
    const w = world();
    w.client.on("tick", () => {
      throw new Error("the page's own");
    });
    w.client.on("tick", async () => {
      throw new Error("later");
    });
    let heard = 0;
    w.client.on("tick", () => (heard += 1));
    await w.open();
    w.socket.push("all", 1);
    w.socket.push("all", 2);
    await settle();
    assert.equal(heard, 2);
    assert.deepEqual(reported.sort(), ["later", "later", "the page's own", "the page's own"]);
  } finally {
    delete globalThis.reportError;
  }
});
