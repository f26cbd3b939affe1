// What the client promises, as a page sees it: told once, run in Node by real.test.mjs and in Chromium by
// tests/browser/test_client_in_chromium.py, each time against real servers. Nothing here belongs to either.
//
// A behaviour has a `name`, the `settings` of its server, and `run(stage)`; a stage has
//   starwire   the module under test
//   server     {url, start(), kill(), stop(), freeze(), thaw()}: all but `url` are asynchronous
//   wake()     what the machine does to a page when the network is back

const PATIENCE_MS = 20_000;

/** Waits for a condition; fails with a sentence. */
export async function until(condition, sentence) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited too long: ${sentence()}`);
    await new Promise((resolve) => globalThis.setTimeout(resolve, 10));
  }
}

export function same(actual, expected, what = "") {
  const [came, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (came !== wanted) throw new Error(`${what}\nexpected ${wanted}\ncame     ${came}`);
}

/** The promise's error; fails when it resolves. */
export async function failure(promise) {
  const outcome = await promise.then((value) => ({ value }), (error) => ({ error }));
  if (!("error" in outcome)) throw new Error(`it was expected to fail, and gave ${JSON.stringify(outcome.value)}`);
  return outcome.error;
}

/** A clock ten times as fast: what takes a client half a minute takes a test three seconds. */
function fast() {
  const begun = Date.now();
  return {
    now: () => begun + (Date.now() - begun) * 10,
    setTimeout: (fn, ms) => globalThis.setTimeout(fn, ms / 10),
    clearTimeout: (timer) => globalThis.clearTimeout(timer),
  };
}

/** A player of this stage, and all that its page would have seen. */
async function player({ starwire, server, options: common, clients }, options = {}) {
  const tokens = options.tokens ?? (await starwire.guest(server.url));
  const seen = { pushes: [], states: [], errors: [], resyncs: [] };
  const client = new starwire.Client({ url: `${server.url}/ws`, ...common, ...options, tokens });
  clients.push(client);
  client.on("*", (push) => seen.pushes.push(push));
  client.addEventListener("state", ({ detail }) => seen.states.push(detail));
  client.addEventListener("error", ({ detail }) => seen.errors.push(detail));
  client.addEventListener("resync", ({ detail }) => seen.resyncs.push(detail));
  client.connect();
  const events = (name) => seen.pushes.filter(({ event }) => event === name);
  const story = () => JSON.stringify(seen, null, 1);
  const heard = (name, count = 1) => until(() => events(name).length >= count, () => `${count} × ${name}; ${story()}`);
  const is = (state) => until(() => client.connection === state, () => `${state}; ${story()}`);
  return { client, seen, tokens, events, heard, is, open: () => is("open") };
}

/** The number of apples, kept true by a view and its stream. */
async function orchard(client) {
  const orchard = { apples: null, readings: 0 };
  await client.state("look", {}, {
    read: (count) => {
      orchard.apples = count;
      orchard.readings += 1;
    },
    apply: ({ event, data }) => {
      if (event === "ripe") orchard.apples = data.apples;
    },
  }).ready;
  return orchard;
}

/** Connects again at once, so that a test need not wait for the backoff. */
const back = (stage, { client, seen }) =>
  until(() => {
    stage.wake();
    return client.connection === "open";
  }, () => JSON.stringify(seen.states));

const numbers = (count) => Array.from({ length: count }, (_, n) => n);

export const behaviours = [
  {
    name: "a tree is planted, counted down, and ripe by a push that nobody asked for",
    async run(stage) {
      const { client, heard, events } = await player(stage);
      const { processes } = client;
      const mine = await orchard(client);
      same(mine.apples, 0);
      const started = await client.command("plant", { seconds: 0.4, kind: "pear" });
      const process = await until(() => processes.get(started.process), () => "the process is not live");
      same([process.kind, process.data, process.due_at], ["ripen", { kind: "pear" }, started.due_at]);
      await heard("ripe");
      same(mine.apples, 3);
      await until(() => processes.size === 0, () => "the process is still live");
      same(events("ripe")[0].message, "Apples are ripe.");
      same(Math.abs(client.now() - Date.now()) < 200, true, "both clocks are this machine's");
    },
  },
  {
    name: "what the server refuses arrives as it is meant",
    async run(stage) {
      const { client } = await player(stage);
      const rejected = await failure(client.command("plant", { seconds: 0 }));
      same(rejected instanceof stage.starwire.CommandError, true);
      same([rejected.code, rejected.reason, rejected.details], ["rejected", "too_fast", { need: 1 }]);
      same((await failure(client.command("fly"))).code, "unknown_command");
      const invalid = await failure(client.command("plant", { seconds: "soon" }));
      same([invalid.code, invalid.message.startsWith("seconds")], ["invalid_args", true]);
      const large = await failure(client.command("tell", { village: "x".repeat(70_000), number: 1 }));
      same([large.code, large.sent], ["too_large", false]);
    },
  },
  {
    name: "a felled tree never gets ripe",
    async run(stage) {
      const { client, heard, events } = await player(stage);
      const { process } = await client.command("plant", { seconds: 0.5 });
      same(await client.command("fell", { tree: process }), true);
      await heard("process_cancelled");
      await client.command("plant", { seconds: 0.6 });
      await heard("process_completed");
      same(events("ripe").length, 1);
    },
  },
  {
    name: "a stream that was granted is heard at once, by each that joined and in one order",
    async run(stage) {
      const [one, two] = [await player(stage), await player(stage)];
      for (const { client } of [one, two]) await client.command("join", { village: "hollow" });
      for (const { heard } of [one, two]) await heard("subscribed");
      await Promise.all(numbers(30).map((number) => (number % 2 ? one : two).client.command("tell", { village: "hollow", number })));
      for (const { heard } of [one, two]) await heard("told", 30);
      const told = ({ events }) => events("told").map(({ offset, data }) => `${offset} ${data.number}`);
      same(told(one), told(two));
      same(new Set(told(one)).size, 30);
    },
  },
  {
    name: "bad JSON gets its answer, and the connection goes on",
    async run(stage) {
      const { client, seen, open } = await player(stage);
      await open();
      client.raw("{");
      await until(() => seen.errors.length > 0, () => "no answer");
      same([seen.errors[0].code, seen.errors[0].message], ["malformed", "JSON. JSON please"]);
      same((await client.view("look")).result, 0);
    },
  },
  {
    name: "a text that was too long ends the connection, and the client is soon back",
    async run(stage) {
      const one = await player(stage);
      await one.open();
      one.client.raw(JSON.stringify({ command: "tell", args: { village: "x".repeat(70_000), number: 1 } }));
      const told = one.client.command("tell", { village: "long", number: 7 });
      // With code 1009; but a TCP reset may overtake it, and then nobody can say more than that it is lost.
      const left = ({ state }) => state === "waiting";
      await until(() => one.seen.states.some(left), () => JSON.stringify(one.seen.states));
      same(["too_big", "lost"].includes(one.seen.states.find(left).reason), true);
      await back(stage, one);
      same(await told, 7, "what was asked beside it is answered");
    },
  },
  {
    name: "a second visit resumes where the first one ended",
    async run(stage) {
      const first = await player(stage);
      await first.open();
      await first.client.command("plant", { seconds: 0.3 });
      await first.heard("process_started");
      const resume = { epoch: first.client.epoch, offsets: first.client.offsets };
      first.client.close();
      const { heard, seen } = await player(stage, { tokens: first.tokens, resume });
      await heard("process_completed");
      same(seen.resyncs, []);
      const offsets = seen.pushes.map(({ offset }) => offset);
      same(offsets, offsets.map((_, n) => resume.offsets[seen.pushes[0].stream] + 1 + n));
    },
  },
  {
    name: "an offset past the head is a resync, and the state is read again",
    async run(stage) {
      const first = await player(stage);
      await first.open();
      const { epoch, player: sub } = first.client;
      first.client.close();
      const resume = { epoch, offsets: { [`player:${sub}`]: 99 } };
      const again = await player(stage, { tokens: first.tokens, resume });
      await again.open();
      same(again.seen.resyncs, [{ stream: `player:${sub}`, offset: 0 }]);
      same((await again.client.view("look")).result, 0);
    },
  },
  {
    name: "logging out closes the connection for good, and the account's name opens another",
    async run(stage) {
      const { login, logout, refresh, register } = stage.starwire;
      const { url } = stage.server;
      const { client, tokens, seen, open, is } = await player(stage);
      await open();
      const name = `ada${Date.now()}`;
      const account = await register(url, name, "a long password", tokens.access_token);
      await logout(url, account.refresh_token, account.access_token);
      await is("closed");
      same(seen.states.at(-1).reason, "refused");
      const back = await player(stage, { tokens: await login(url, name, "a long password") });
      await back.open();
      same(back.client.player, client.player);
      const wrong = await failure(login(url, name, "another password"));
      same([wrong instanceof stage.starwire.AuthError, wrong.code, wrong.status], [true, "unauthorized", 401]);
      same((await failure(refresh(url, "no such token"))).final, true);
    },
  },
  {
    name: "while the server is killed commands happen once, and events come once each",
    settings: {},
    async run(stage) {
      const one = await player(stage);
      const { client, seen, heard } = one;
      await client.command("join", { village: "oak" });
      await heard("subscribed");
      const mine = await orchard(client);
      await Promise.all(numbers(5).map(() => client.command("plant", { seconds: 2 })));
      const answers = [];
      for (let number = 0; number < 60; number += 1) {
        answers.push(client.command("tell", { village: "oak", number }));
        if (number === 20 || number === 40) {
          const killed = stage.server.kill();
          for (let more = 0; more < 5; more += 1) answers.push(client.command("tell", { village: "oak", number: 100 + number + more }));
          await killed;
          await stage.server.start();
          await back(stage, one);
        }
      }
      const answered = await Promise.all(answers);
      await heard("told", answered.length);
      await heard("ripe", 5);
      const told = seen.pushes.filter(({ event }) => event === "told");
      same(told.map(({ data }) => data.number), answered, "in the order in which they were sent, once each");
      same(told.map(({ offset }) => offset), answered.map((_, n) => n + 1));
      same([mine.apples, mine.readings], [15, 1], "resumed, so the view was read once");
      same(seen.resyncs, []);
    },
  },
  {
    name: "a restart says goodbye, and the client is back at the advised time",
    settings: { STARWIRE_RECONNECT_SECONDS: "0.5" },
    async run(stage) {
      const { client, seen, open } = await player(stage);
      const goodbyes = [];
      client.addEventListener("goodbye", ({ detail }) => goodbyes.push(detail));
      await open();
      await stage.server.stop();
      await until(() => seen.states.some(({ state }) => state === "waiting"), () => JSON.stringify(seen.states));
      const { retryIn, reason } = seen.states.find(({ state }) => state === "waiting");
      same(goodbyes.length, 1);
      same([retryIn, reason], [goodbyes[0].reconnect_after * 1000, "restart"]);
      await stage.server.start();
      await open();
      same((await client.view("look")).result, 0);
    },
  },
  {
    name: "while there is no server commands wait up to a bound, and each happens once when it is back",
    settings: {},
    async run(stage) {
      const one = await player(stage);
      await one.client.command("join", { village: "ash" });
      await one.heard("subscribed");
      await stage.server.kill();
      await until(() => one.client.connection !== "open", () => "still open");
      const hasty = await failure(one.client.command("tell", { village: "ash", number: 999 }, { timeout: 20 }));
      same([hasty.code, hasty.sent], ["timeout", false]);
      const waiting = numbers(256).map((number) => one.client.command("tell", { village: "ash", number }));
      const full = await failure(one.client.command("tell", { village: "ash", number: 1000 }));
      same([full.name, full.code, full.retry, full.sent], ["CommandError", "queue_full", true, false]);
      await stage.server.start();
      await back(stage, one);
      same(await Promise.all(waiting), numbers(256));
      await one.heard("told", 256);
      const told = one.events("told").map(({ data }) => data.number);
      same(told.toSorted((a, b) => a - b), numbers(256));
    },
  },
  {
    name: "a server that says nothing any more is noticed, left, and found again when it wakes",
    settings: {},
    async run(stage) {
      const one = await player(stage, { timers: fast() });
      await one.client.command("join", { village: "elm" });
      await one.heard("subscribed");
      const mine = await orchard(one.client);
      await stage.server.freeze();
      const asked = one.client.command("tell", { village: "elm", number: 1 });
      await until(() => one.seen.states.some(({ reason }) => reason === "silent"), () => JSON.stringify(one.seen.states));
      await stage.server.thaw();
      await back(stage, one);
      same(await asked, 1);
      await one.heard("told");
      same(one.events("told").map(({ offset, data }) => [offset, data.number]), [[1, 1]], "sent twice, and done once");
      same([one.seen.resyncs, mine.readings], [[], 1]);
    },
  },
  {
    name: "tokens that live for seconds are renewed again and again on a connection that stays",
    settings: { STARWIRE_ACCESS_SECONDS: "3", STARWIRE_TOKEN_WARNING_SECONDS: "1" },
    async run(stage) {
      const renewed = [];
      const { client, seen, open } = await player(stage, { onTokens: ({ refresh_token }) => renewed.push(refresh_token) });
      await open();
      await until(() => renewed.length >= 3, () => JSON.stringify(seen));
      same(new Set(renewed).size, renewed.length);
      same((await client.view("look")).result, 0);
      same(seen.states.map(({ state }) => state), ["connecting", "open"]);
    },
  },
  {
    name: "a token that expired while nobody could renew it is replaced, and the streams go on",
    settings: { STARWIRE_ACCESS_SECONDS: "2", STARWIRE_TOKEN_WARNING_SECONDS: "0.001" },
    async run(stage) {
      // As for a machine that slept: the page's clock stood still, so its own renewal comes too late.
      const begun = Date.now();
      const timers = { ...fast(), now: () => begun, setTimeout: (fn, ms) => globalThis.setTimeout(fn, ms > 1_000 ? 2 ** 30 : ms) };
      const one = await player(stage, { timers });
      const mine = await orchard(one.client);
      await one.client.command("plant", { seconds: 3 });
      await until(() => one.seen.states.filter(({ state }) => state === "open").length === 2, () => JSON.stringify(one.seen));
      await one.heard("ripe");
      same([mine.apples, mine.readings, one.seen.resyncs], [3, 1, []]);
      same(one.seen.states.map(({ state }) => state), ["connecting", "open", "connecting", "open"], "at once");
    },
  },
];

/** Runs one, and leaves nothing behind on this side. */
export async function run({ run: play }, stage) {
  const clients = [];
  try {
    await play({ options: {}, ...stage, clients });
  } finally {
    for (const client of clients) client.close();
  }
}
