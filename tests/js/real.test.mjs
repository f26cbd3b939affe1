// The client against a real server: `STARWIRE_COMMAND=<path of starwire> node --experimental-websocket` runs it.
// tests/integration/test_javascript_client.py does, and fails when these are skipped.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Client, guest, login, logout, refresh, register } from "../../src/starwire/web/starwire.js";
import { failure } from "./support.mjs";
import { COMMAND, Server, until } from "./server.mjs";

const skip = COMMAND === "" || typeof WebSocket !== "function" ? "no server to talk to, or no WebSocket" : false;
const clients = [];

async function player(server, options = {}) {
  const tokens = options.tokens ?? (await guest(server.url));
  const seen = { pushes: [], states: [], errors: [], resyncs: [] };
  const client = new Client({ url: `${server.url}/ws`, ...options, tokens });
  client.on("*", (push) => seen.pushes.push(push));
  client.addEventListener("state", ({ detail }) => seen.states.push(detail));
  client.addEventListener("error", ({ detail }) => seen.errors.push(detail));
  client.addEventListener("resync", ({ detail }) => seen.resyncs.push(detail));
  clients.push({ server, client });
  client.connect();
  const events = (name) => seen.pushes.filter(({ event }) => event === name);
  const heard = (name, count = 1) =>
    until(() => events(name).length >= count, () => `${count} × ${name}; heard ${JSON.stringify(seen, null, 1)}`);
  return { client, seen, tokens, events, heard, open: () => until(() => client.connection === "open", () => JSON.stringify(seen)) };
}

// Each part has a server of its own, so they need not wait for one another.
describe("the client", { skip, concurrency: true }, () => {
  describe("against a real server", { concurrency: 1 }, () => {
    let server;
    before(async () => {
      server = await new Server().start();
    });
    after(async () => {
      for (const mine of clients) if (mine.server === server) mine.client.close();
      await server.remove();
    });

    test("a tree is planted, counted down, and ripe by a push that nobody asked for", async () => {
      const { client, heard, events } = await player(server);
      const { processes } = client;
      let apples = null;
      const orchard = client.state("look", {}, {
        read: (count) => (apples = count),
        apply: ({ event, data }) => event === "ripe" && (apples = data.apples),
      });
      await orchard.ready;
      assert.equal(apples, 0);
      const started = await client.command("plant", { seconds: 0.4, kind: "pear" });
      const process = await until(() => processes.get(started.process), () => "the process is not live");
      assert.deepEqual([process.kind, process.data, process.due_at], ["ripen", { kind: "pear" }, started.due_at]);
      await heard("ripe");
      assert.equal(apples, 3);
      await until(() => processes.size === 0, () => "the process is still live");
      assert.equal(events("ripe")[0].message, "Apples are ripe.");
      assert.ok(Math.abs(client.now() - Date.now()) < 200, "both clocks are this machine's");
    });

    test("what the server refuses arrives as it is meant", async () => {
      const { client } = await player(server);
      const rejected = await failure(client.command("plant", { seconds: 0 }));
      assert.deepEqual([rejected.code, rejected.reason, rejected.details], ["rejected", "too_fast", { need: 1 }]);
      assert.equal((await failure(client.command("fly"))).code, "unknown_command");
      const invalid = await failure(client.command("plant", { seconds: "soon" }));
      assert.equal(invalid.code, "invalid_args");
      assert.match(invalid.message, /^seconds/);
      assert.equal((await failure(client.command("tell", { village: "x".repeat(70_000), number: 1 }))).code, "too_large");
    });

    test("a felled tree never gets ripe", async () => {
      const { client, heard, events } = await player(server);
      const { process } = await client.command("plant", { seconds: 0.5 });
      assert.equal(await client.command("fell", { tree: process }), true);
      await heard("process_cancelled");
      await client.command("plant", { seconds: 0.6 });
      await heard("process_completed");
      assert.equal(events("ripe").length, 1);
    });

    test("a stream that was granted is heard at once, by each that joined and in one order", async () => {
      const [one, two] = [await player(server), await player(server)];
      for (const { client } of [one, two]) await client.command("join", { village: "hollow" });
      for (const { heard } of [one, two]) await heard("subscribed");
      const numbers = Array.from({ length: 30 }, (_, n) => n);
      await Promise.all(numbers.map((number) => (number % 2 ? one : two).client.command("tell", { village: "hollow", number })));
      for (const { heard } of [one, two]) await heard("told", 30);
      const told = ({ events }) => events("told").map(({ offset, data }) => `${offset} ${data.number}`);
      assert.deepEqual(told(one), told(two));
      assert.equal(new Set(told(one)).size, 30);
    });

    test("bad JSON gets its answer, and the connection goes on", async () => {
      const { client, seen, open } = await player(server);
      await open();
      client.raw("{");
      await until(() => seen.errors.length > 0, () => "no answer");
      assert.deepEqual([seen.errors[0].code, seen.errors[0].message], ["malformed", "JSON. JSON please"]);
      assert.equal((await client.view("look")).result, 0);
    });

    test("a second visit resumes where the first one ended", async () => {
      const first = await player(server);
      await first.open();
      await first.client.command("plant", { seconds: 0.3 });
      await first.heard("process_started");
      const resume = { epoch: first.client.epoch, offsets: first.client.offsets };
      first.client.close();
      const { heard, seen } = await player(server, { tokens: first.tokens, resume });
      await heard("process_completed");
      assert.deepEqual(seen.resyncs, []);
      const offsets = seen.pushes.map(({ offset }) => offset);
      assert.deepEqual(offsets, offsets.map((_, n) => resume.offsets[seen.pushes[0].stream] + 1 + n));
    });

    test("an offset past the head is a resync, and the state is read again", async () => {
      const first = await player(server);
      await first.open();
      const { epoch, player: sub } = first.client;
      first.client.close();
      const again = await player(server, { tokens: first.tokens, resume: { epoch, offsets: { [`player:${sub}`]: 99 } } });
      await again.open();
      assert.deepEqual(again.seen.resyncs, [{ stream: `player:${sub}`, offset: 0 }]);
      assert.equal((await again.client.view("look")).result, 0);
    });

    test("logging out closes the connection for good; the account's name opens another", async () => {
      const { client, tokens, seen, open } = await player(server);
      await open();
      const name = `ada${Date.now()}`;
      const account = await register(server.url, name, "a long password", tokens.access_token);
      await logout(server.url, account.refresh_token, account.access_token);
      await until(() => client.connection === "closed", () => JSON.stringify(seen.states));
      assert.equal(seen.states.at(-1).reason, "refused");
      const back = await player(server, { tokens: await login(server.url, name, "a long password") });
      await back.open();
      assert.equal(back.client.player, client.player);
      assert.equal((await failure(login(server.url, name, "another password"))).code, "unauthorized");
      assert.equal((await failure(refresh(server.url, "no such token"))).final, true);
    });
  });

  describe("while the server is killed", { concurrency: 1 }, () => {
    test("every command takes effect once, and no event is missing or comes twice", async (t) => {
      const server = await new Server().start();
      t.after(() => server.remove());
      const page = new EventTarget();
      const { client, seen, heard, open } = await player(server, { page });
      t.after(() => client.close());
      await client.command("join", { village: "oak" });
      await heard("subscribed");
      let apples = null;
      const orchard = client.state("look", {}, {
        read: (count) => (apples = count),
        apply: ({ event, data }) => event === "ripe" && (apples = data.apples),
      });
      await orchard.ready;
      const trees = Array.from({ length: 5 }, () => client.command("plant", { seconds: 2 }));
      await Promise.all(trees);
      const answers = [];
      for (let number = 0; number < 60; number += 1) {
        answers.push(client.command("tell", { village: "oak", number }));
        if (number === 20 || number === 40) {
          const killed = server.kill();
          for (let more = 0; more < 5; more += 1) answers.push(client.command("tell", { village: "oak", number: 100 + number + more }));
          await killed;
          await server.start();
          await until(() => {
            page.dispatchEvent(new Event("online")); // so that the test need not wait for the backoff
            return client.connection === "open";
          }, () => JSON.stringify(seen.states));
        }
      }
      const numbers = await Promise.all(answers);
      await heard("told", numbers.length);
      await heard("ripe", 5);
      const told = seen.pushes.filter(({ event }) => event === "told");
      assert.deepEqual(told.map(({ data }) => data.number), numbers, "in the order in which they were sent, once each");
      assert.deepEqual(told.map(({ offset }) => offset), numbers.map((_, n) => n + 1));
      assert.equal(apples, 15);
      assert.deepEqual(seen.resyncs, []);
    });

    test("a restart says goodbye, and the client is back at the advised time", async (t) => {
      const server = await new Server({ STARWIRE_RECONNECT_SECONDS: "0.5" }).start();
      t.after(() => server.remove());
      const { client, seen, open } = await player(server);
      t.after(() => client.close());
      const goodbyes = [];
      client.addEventListener("goodbye", ({ detail }) => goodbyes.push(detail));
      await open();
      await server.stop();
      await until(() => seen.states.some(({ state }) => state === "waiting"), () => JSON.stringify(seen.states));
      const { retryIn, reason } = seen.states.find(({ state }) => state === "waiting");
      assert.equal(goodbyes.length, 1);
      assert.deepEqual([retryIn, reason], [goodbyes[0].reconnect_after * 1000, "restart"]);
      await server.start();
      await open();
      assert.equal((await client.view("look")).result, 0);
    });
  });

  describe("when tokens live for seconds", { concurrency: 1 }, () => {
    test("they are renewed on the open connection, which never closes", async (t) => {
      const server = await new Server({ STARWIRE_ACCESS_SECONDS: "3", STARWIRE_TOKEN_WARNING_SECONDS: "1" }).start();
      t.after(() => server.remove());
      const renewed = [];
      const { client, seen, open } = await player(server, { onTokens: (tokens) => renewed.push(tokens) });
      t.after(() => client.close());
      await open();
      await until(() => renewed.length >= 2, () => JSON.stringify(seen));
      assert.equal((await client.view("look")).result, 0);
      assert.deepEqual(seen.states.map(({ state }) => state), ["connecting", "open"]);
    });
  });
});
