import assert from "node:assert/strict";
import { test } from "node:test";

import { guest, login, stamped } from "../../src/starwire/web/auth.js";
import { failure, settle, TOKENS, world } from "./support.mjs";

const answer = (status, body) => ({ ok: status < 400, status, json: async () => body, headers: new Headers() });

/** A server that renews tokens, each refresh token once. */
function renewing() {
  let number = 1;
  const asked = [];
  const fetch = async (url, { body }) => {
    const { refresh_token: token } = JSON.parse(body);
    asked.push({ url, token });
    await settle();
    if (token !== `refresh-${number}`) return answer(401, { error: { code: "unauthorized", message: "Used." } });
    number += 1;
    return answer(200, { player: "42", access_token: `access-${number}`, refresh_token: `refresh-${number}`, expires_in: 900 });
  };
  return { fetch, asked };
}

test("the token is renewed on the open connection before it expires", async () => {
  const server = renewing();
  const kept = [];
  const w = world({ fetch: server.fetch, onTokens: (tokens) => kept.push(tokens.refresh_token) });
  await w.open();
  await keepAlive(w, 841_000);
  assert.deepEqual(server.asked, [{ url: "http://game.test/auth/refresh", token: "refresh-1" }]);
  assert.equal(w.socket.last("refresh").args.token, "access-2");
  assert.deepEqual(kept, ["refresh-2"]);
  assert.equal(w.sockets.length, 1);
});

/** Lets time pass while the server answers every ping and refresh. */
async function keepAlive(w, ms) {
  for (let passed = 0; passed < ms; passed += 1_000) {
    await w.timers.advance(1_000);
    for (const { id, command, args } of w.socket.frames.slice(w.socket.answered ?? 0)) {
      if (command === "ping") w.socket.reply(id, { t: args.t, server_time: new Date(w.timers.now()).toISOString() });
      if (command === "refresh") w.socket.reply(id, {});
    }
    w.socket.answered = w.socket.frames.length;
    await settle();
  }
}

test("the server's warning renews the token too, and with the timer makes one request", async () => {
  const server = renewing();
  const w = world({ fetch: server.fetch });
  await w.open();
  w.socket.say({ type: "status", token_expires_in: 60 });
  w.socket.say({ type: "status", token_expires_in: 59 });
  await settle();
  await settle();
  assert.equal(server.asked.length, 1);
  assert.equal(w.socket.last("refresh").args.token, "access-2");
});

test("one renewal follows another on the same connection, each made once", async () => {
  const server = renewing();
  const w = world({ fetch: server.fetch });
  await w.open();
  await keepAlive(w, 3_000_000);
  assert.deepEqual(server.asked.map(({ token }) => token), ["refresh-1", "refresh-2", "refresh-3"]);
  assert.equal(w.socket.frames.filter(({ command }) => command === "refresh").length, 3);
  assert.equal(w.sockets.length, 1);
});

test("a warning that crosses a renewal on the way causes no other", async () => {
  const server = renewing();
  const w = world({ fetch: server.fetch });
  await w.open();
  w.socket.say({ type: "status", token_expires_in: 60 });
  await settle();
  await settle();
  w.socket.say({ type: "status", token_expires_in: 59 }); // the server has not read the refresh yet
  await settle();
  await settle();
  assert.equal(server.asked.length, 1);
  assert.equal(w.socket.last("refresh").args.token, "access-2");
});

test("a machine that slept until its token had expired gets another one first, whatever it is told", async () => {
  const server = renewing();
  const w = world({ fetch: server.fetch });
  await w.open();
  await keepAlive(w, 850_000);
  assert.equal(server.asked.length, 1);
  w.timers.sleep(7_200_000);
  w.socket.drop(1006);
  await w.timers.advance(w.seen.states.at(-1).retryIn);
  await settle();
  const hello = await w.welcome();
  assert.equal(hello.args.token, "access-3");
  w.timers.sleep(7_200_000);
  w.socket.drop(4401);
  await settle();
  await settle();
  assert.equal((await w.welcome()).args.token, "access-4", "renewed at once, not after another refusal");
  assert.ok(!w.seen.states.some(({ reason }) => reason === "unauthorized"));
});

test("a token that a registration has replaced ends a page without a store, instead of its session", async () => {
  const asked = [];
  const fetch = async (url) => {
    asked.push(url);
    return answer(409, { error: { code: "rotated", message: "There is a newer one." } });
  };
  const w = world({ fetch });
  await w.open();
  w.socket.drop(4401);
  await settle();
  await w.timers.advance(120_000);
  assert.equal(asked.length, 1);
  assert.deepEqual(w.seen.states.at(-1), { state: "closed", reason: "unauthorized" });
});

test("close code 4401 gets a new token and reconnects at once", async () => {
  const server = renewing();
  const w = world({ fetch: server.fetch });
  await w.open();
  w.socket.drop(4401);
  await settle();
  await settle();
  const hello = await w.welcome();
  assert.equal(hello.args.token, "access-2");
});

test("an expired token is renewed before it is used", async () => {
  const server = renewing();
  const w = world({ fetch: server.fetch, tokens: { ...TOKENS, expires_at: Date.parse("2025-12-31T00:00:00Z") } });
  w.client.connect();
  await settle();
  await settle();
  const hello = await w.welcome();
  assert.equal(hello.args.token, "access-2");
});

test("a refused refresh token is the end, and the page is told", async () => {
  const w = world({ fetch: async () => answer(401, { error: { code: "unauthorized", message: "The session is over." } }) });
  await w.open();
  w.socket.drop(4401);
  await settle();
  assert.deepEqual(w.seen.states.at(-1), { state: "closed", reason: "unauthorized" });
  const error = w.seen.errors.at(-1);
  assert.deepEqual([error.name, error.code, error.status], ["AuthError", "unauthorized", 401]);
});

test("when the server of tokens cannot be reached, the client waits and tries again", async () => {
  const server = renewing();
  let down = true;
  const fetch = (...args) => (down ? Promise.reject(new TypeError("network")) : server.fetch(...args));
  const w = world({ fetch });
  await w.open();
  w.socket.drop(4401);
  await settle();
  assert.equal(w.seen.states.at(-1).state, "waiting");
  down = false;
  await w.timers.advance(2_000);
  const hello = await w.welcome();
  assert.equal(hello.args.token, "access-2");
});

test("a server that refuses even fresh tokens is not asked for ever", async () => {
  let number = 1;
  const fetch = async () => answer(200, { access_token: `access-${++number}`, refresh_token: `refresh-${number}`, expires_in: 900 });
  const w = world({ fetch });
  w.client.connect();
  for (let n = 0; n < 10; n += 1) {
    await settle();
    await settle();
    if (w.client.connection === "connecting") w.socket.drop(4401);
    await w.timers.advance(10_000);
  }
  assert.deepEqual(w.seen.states.at(-1), { state: "closed", reason: "unauthorized" });
  assert.equal(w.sockets.length, 4);
});

test("a server that accepts fresh tokens and refuses them a moment later is not asked for ever either", async () => {
  let number = 1;
  const fetch = async () => answer(200, { access_token: `access-${++number}`, refresh_token: `refresh-${number}`, expires_in: 900 });
  const w = world({ fetch });
  w.client.connect();
  for (let n = 0; n < 10; n += 1) {
    await settle();
    await settle();
    if (w.client.connection === "connecting") {
      await w.welcome();
      w.socket.drop(4401);
    }
    await w.timers.advance(10_000);
  }
  assert.deepEqual(w.seen.states.at(-1), { state: "closed", reason: "unauthorized" });
  assert.equal(w.sockets.length, 4);
});

test("tokens that another tab renewed are taken from the store instead of being renewed again", async () => {
  const server = renewing();
  let store = TOKENS;
  const w = world({ fetch: server.fetch, tokens: async () => store });
  await w.open();
  store = { ...TOKENS, access_token: "access-of-another-tab", refresh_token: "refresh-9" };
  w.socket.drop(4401);
  await settle();
  const hello = await w.welcome();
  assert.equal(hello.args.token, "access-of-another-tab");
  assert.deepEqual(server.asked, []);
});

test("a token that a registration is just replacing is waited for in the store", async () => {
  let store = TOKENS;
  const fetch = async () => answer(409, { error: { code: "rotated", message: "There is a newer one." } });
  const w = world({ fetch, tokens: async () => store });
  await w.open();
  w.socket.drop(4401);
  await settle();
  await settle();
  assert.equal(w.client.connection, "waiting");
  store = { ...TOKENS, access_token: "access-of-the-account", refresh_token: "refresh-9" };
  await w.timers.advance(2_000);
  const hello = await w.welcome();
  assert.equal(hello.args.token, "access-of-the-account");
});

test("two tabs that share a lock and a store use each refresh token once", async () => {
  const server = renewing();
  let store = TOKENS;
  let queue = Promise.resolve();
  const locks = { request: (_, fn) => (queue = queue.then(fn, fn)) };
  const shared = { fetch: server.fetch, locks, tokens: async () => store, onTokens: (tokens) => (store = tokens) };
  const one = world(shared);
  await one.open();
  const first = one.socket;
  const two = world(shared);
  await two.open();
  const second = two.socket;
  first.say({ type: "status", token_expires_in: 60 });
  second.say({ type: "status", token_expires_in: 60 });
  for (let n = 0; n < 10; n += 1) await settle();
  assert.deepEqual(server.asked.map(({ token }) => token), ["refresh-1"]);
  assert.equal(first.last("refresh").args.token, "access-2");
  assert.equal(second.last("refresh").args.token, "access-2");
});

test("auth calls post JSON, stamp the expiry, and turn refusals into AuthErrors", async () => {
  const calls = [];
  const fetch = async (url, init) => {
    calls.push([url, init.method, JSON.parse(init.body)]);
    return url.endsWith("guest") ? answer(200, TOKENS) : answer(401, { error: { code: "unauthorized", message: "Wrong." } });
  };
  const tokens = await guest("http://game.test", { fetch });
  assert.ok(Math.abs(tokens.expires_at - Date.now() - 900_000) < 5_000);
  const error = await failure(login("http://game.test", "ada", "secret", { fetch }));
  assert.deepEqual([error.name, error.code, error.message, error.status], ["AuthError", "unauthorized", "Wrong.", 401]);
  assert.deepEqual(calls[1], ["http://game.test/auth/login", "POST", { name: "ada", password: "secret" }]);
  assert.equal(stamped({ access_token: "a" }).expires_at, undefined);
});
