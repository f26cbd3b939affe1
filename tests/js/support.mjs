// A server made of nothing: sockets that are told what to say, and time that only moves when told to.

import { Client } from "../../src/starwire/web/starwire.js";

/** Lets every promise that can settle do so. */
export const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

export class FakeTimers {
  #time;
  #due = new Map();
  #next = 1;

  constructor(time = Date.parse("2026-01-01T00:00:00Z")) {
    this.#time = time;
  }

  now = () => this.#time;

  setTimeout = (fn, ms = 0) => {
    if (ms >= 2 ** 31) ms = 1; // as browsers have it
    const id = this.#next++;
    this.#due.set(id, { fn, at: this.#time + Math.max(0, ms), id });
    return id;
  };

  clearTimeout = (id) => this.#due.delete(id);

  /** Time passes, and no timer notices: the machine is asleep. */
  sleep(ms) {
    this.#time += ms;
    for (const timer of this.#due.values()) timer.at += ms;
  }

  get pending() {
    return this.#due.size;
  }

  async advance(ms) {
    const end = this.#time + ms;
    await settle();
    for (;;) {
      const [next] = [...this.#due.values()].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at || a.id - b.id);
      if (next === undefined) break;
      this.#due.delete(next.id);
      this.#time = next.at;
      next.fn();
      await settle();
    }
    this.#time = end;
    await settle();
  }
}

export class FakeSocket {
  static all = [];
  readyState = 0;
  sent = [];
  closedByUs = false;

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }

  send(text) {
    if (this.readyState !== 1) throw new Error("not open");
    this.sent.push(text);
  }

  close() {
    this.readyState = 3;
    this.closedByUs = true;
  }

  // ---- what the server does

  get frames() {
    return this.sent.map((text) => JSON.parse(text));
  }

  /** The frames of the page's own commands. */
  get commands() {
    return this.frames.filter(({ command }) => !["hello", "ping", "refresh"].includes(command));
  }

  last(command) {
    return this.frames.filter((frame) => frame.command === command).at(-1);
  }

  accept() {
    this.readyState = 1;
    this.onopen?.({});
  }

  say(frame) {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  reply(id, result, more = {}) {
    this.say({ type: "reply", id, command: "?", ok: true, result, ...more });
  }

  refuse(id, error) {
    this.say({ type: "reply", id, command: "?", ok: false, error: { message: "No.", retry: false, ...error } });
  }

  push(stream, offset, event = "tick", data = {}) {
    this.say({ type: "push", stream, offset, event, at: "2026-01-01T00:00:00Z", data });
  }

  drop(code = 1006) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

export const TOKENS = { player: "42", access_token: "access-1", refresh_token: "refresh-1", expires_in: 900 };

/** A client with fakes all around; `world.socket` is the newest socket. */
export function world(options = {}) {
  FakeSocket.all = [];
  const timers = new FakeTimers();
  const seen = { states: [], errors: [], resyncs: [], pushes: [] };
  const client = new Client({
    url: "ws://game.test/ws",
    tokens: TOKENS,
    WebSocket: FakeSocket,
    fetch: async () => {
      throw new Error("no server");
    },
    random: () => 0.5,
    timers,
    page: {},
    locks: null,
    ...options,
  });
  client.addEventListener("state", ({ detail }) => seen.states.push(detail));
  client.addEventListener("error", ({ detail }) => seen.errors.push(detail));
  client.addEventListener("resync", ({ detail }) => seen.resyncs.push(detail));
  client.on("*", (push) => seen.pushes.push([push.stream, push.offset]));
  return {
    client,
    timers,
    seen,
    get socket() {
      return FakeSocket.all.at(-1);
    },
    get sockets() {
      return FakeSocket.all;
    },
    /** The newest socket opens, and its hello is answered. */
    async welcome(streams = { "player:42": 0, all: 0 }, more = {}) {
      await settle();
      const socket = FakeSocket.all.at(-1);
      socket.accept();
      const hello = socket.last("hello");
      const starts = Object.fromEntries(
        Object.entries(streams).map(([name, start]) => [
          name,
          typeof start === "number" ? { offset: start, recovered: true } : start,
        ]),
      );
      const server_time = new Date(timers.now()).toISOString();
      socket.reply(hello.id, { player: "42", name: "Ada", epoch: "e1", server_time, streams: starts, limits: {}, ...more });
      await settle();
      return hello;
    },
    async open(streams, more) {
      client.connect();
      return this.welcome(streams, more);
    },
    /** The connection is lost, the client waits as long as it says, and the next one is welcomed. */
    async again(streams, more, code = 1006) {
      this.socket.drop(code);
      await timers.advance(seen.states.at(-1).retryIn);
      return this.welcome(streams, more);
    },
  };
}

/** The promise's error; fails when it resolves. */
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it was expected to fail");
}
