// The client: joins the link (one connection after another), the cursors (where we are in each stream), the
// outbox (what waits for an answer) and the live states, and is all that a page sees of them.
//
// A command's journey: command() → outbox → link → server → #frame → outbox → the promise.
// A push's journey: link → #frame → cursors judge it → processes and live states → the page's listeners.

import { backoff } from "./backoff.js";
import { ServerClock } from "./clock.js";
import { Cursors } from "./cursors.js";
import { AuthError, localError } from "./errors.js";
import { Link } from "./link.js";
import { Listeners } from "./listeners.js";
import { LONGEST_TIMER_MS, Outbox } from "./outbox.js";
import { following, progress } from "./processes.js";
import { LiveState } from "./state.js";
import { Tokens } from "./tokens.js";

const CLOCK_SAMPLES = 5; // after each hello
const CLOCK_SAMPLE_MS = 250; // between them
const CLOCK_AGAIN_MS = 600_000; // crystals drift by some tens of milliseconds in that time
const LATENESS_MS = 5_000; // it is told each second while it lasts

const CLOCK = {
  now: () => Date.now(),
  setTimeout: (fn, ms) => globalThis.setTimeout(fn, ms),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
};

export class Client {
  #timers;
  #random;
  #tokens;
  #link;
  #cursors;
  #outbox;
  #clock;
  #page;
  #states = new Set();
  #pushes = new Listeners();
  #events = new Listeners();
  #processes = null;
  #sampling = null;
  #renewal = null;
  #renewals = 0; // that failed since the last that did not
  #lateness = null; // timer; null: none was told
  #over = false; // closed by the page, or for good by the server
  #wake;
  #ids;

  /** What the server said in its last hello: player, name, epoch, limits…; null before the first. */
  welcome = null;

  constructor({
    url = null,
    tokens,
    resume = null,
    onTokens = null,
    refreshUrl = null,
    WebSocket = globalThis.WebSocket,
    fetch = (...args) => globalThis.fetch(...args),
    random = Math.random,
    timers = CLOCK,
    page = globalThis,
    locks = globalThis.navigator?.locks ?? null,
  } = {}) {
    if (!tokens) throw new TypeError("tokens: give the tokens of /auth/…, or an async function that gets them");
    if (!WebSocket) throw new TypeError("WebSocket: there is none here; give one, of the package `ws` for example");
    const address = socketUrl(url, page);
    this.#timers = timers;
    this.#random = random;
    this.#page = page;
    this.#clock = new ServerClock(timers.now);
    this.#cursors = new Cursors(resume);
    this.#tokens = new Tokens({ tokens, onTokens, url: refreshUrl ?? refreshAddress(address), fetch, timers, locks });
    const pageId = randomId(random);
    let count = 0;
    this.#ids = () => `${pageId}-${++count}`;
    this.#outbox = new Outbox({ send: (text) => this.#link.send(text), ids: this.#ids, timers, random });
    this.#link = new Link({
      url: address,
      WebSocket,
      tokens: this.#tokens,
      timers,
      random,
      ids: this.#ids,
      hello: () => this.#cursors.resume(),
      opened: (result, askedAt) => this.#opened(result, askedAt),
      ping: () => this.#ping(),
      lost: () => this.#lost(),
      frame: (frame) => this.#frame(frame),
      goodbye: () => this.#outbox.hold(),
      state: (detail) => this.#emit("state", detail),
      wire: (direction, text) => this.#wire(direction, text),
      ended: (reason) => this.#ended(reason),
      error: (error) => this.#emit("error", error),
    });
    this.#wake = () => {
      if (this.#page.document?.visibilityState !== "hidden") this.#link.wake();
    };
  }

  // ---- the connection

  /** "closed", "connecting", "open" or "waiting". */
  get connection() {
    return this.#link.state;
  }

  get epoch() {
    return this.#cursors.epoch;
  }

  /** The last offset seen of each stream: with `epoch`, what `resume` takes on the next visit. */
  get offsets() {
    return this.#cursors.offsets;
  }

  get player() {
    return this.welcome?.player ?? null;
  }

  connect() {
    if (this.#link.state !== "closed") return;
    this.#over = false;
    this.#page.addEventListener?.("online", this.#wake);
    this.#page.document?.addEventListener?.("visibilitychange", this.#wake);
    this.#link.start();
  }

  close() {
    this.#link.stop("closed");
    this.#ended("closed");
  }

  // ---- commands and views

  /** Resolves with the result; rejects with a CommandError. Sent once there is a connection, done once however often sent. */
  async command(name, args = {}, options = {}) {
    return (await this.#ask(name, args, options)).result;
  }

  /** Resolves with {result, positions}: what the server knew, and where its streams stood. */
  async view(name, args = {}, options = {}) {
    const { result, positions = {} } = await this.#ask(name, args, options);
    return { result, positions };
  }

  /** State and stream together: `read` gets the view, then `apply` every later push of its streams, once, in order. */
  state(name, args, options) {
    return this.#live({ name, args, ...options });
  }

  /** Sends a text as it is. False when there is no connection to send it on. */
  raw(text) {
    return this.#link.send(String(text));
  }

  // ---- events

  /** Calls `fn(push)` for each push of this event; "*" for every push. The function returned ends that. */
  on(event, fn) {
    return this.#pushes.add(event, fn);
  }

  addEventListener(type, fn) {
    return this.#events.add(type, fn);
  }

  removeEventListener(type, fn) {
    this.#events.remove(type, fn);
  }

  // ---- time and processes

  /** Milliseconds by the server's clock. */
  now() {
    return this.#clock.now();
  }

  /** The live processes, id → process; followed from the first time that this is looked at. */
  get processes() {
    if (this.#processes === null) {
      this.#processes = new Map();
      const changed = (detail) => this.#emit("processes", detail);
      this.#live({ name: "processes", args: {}, everyGrant: true, ...following(this.#processes, changed) });
    }
    return this.#processes;
  }

  /** How far a process is, from 0 to 1, now. */
  progress(process) {
    return progress(process, this.now());
  }

  // ---- what happens on the link

  #opened(result, askedAt) {
    this.welcome = result;
    this.#clock.sample(askedAt, this.#timers.now(), result.server_time);
    const { reset, jumps } = this.#cursors.welcome(result);
    if (reset) for (const state of this.#states) state.reset();
    for (const [stream, offset, lost] of jumps) this.#jump(stream, offset, lost);
    this.#emit("hello", result);
    this.#outbox.opened(result.limits);
    for (const state of this.#states) state.opened();
    this.#sampleClock(CLOCK_SAMPLES);
    this.#renewLater();
  }

  #lost() {
    this.#outbox.lost();
    this.#timers.clearTimeout(this.#sampling);
    this.#timers.clearTimeout(this.#renewal);
  }

  #ended(reason) {
    this.#over = true;
    this.#page.removeEventListener?.("online", this.#wake);
    this.#page.document?.removeEventListener?.("visibilitychange", this.#wake);
    this.#outbox.closed(`The connection is closed: ${reason}.`);
    if (this.#lateness !== null) this.#notLate();
  }

  #frame(frame) {
    if (frame.type === "push") this.#push(frame);
    else if (frame.type === "reply") this.#reply(frame);
    else if (frame.type === "resync") this.#resync(frame);
    else if (frame.type === "status") this.#status(frame);
    else if (frame.type === "goodbye") this.#emit("goodbye", frame);
    // Frames of a later version of the protocol are not for us.
  }

  #reply(frame) {
    // What answers no question of ours answers something typed by hand, or has no id: shown to whoever looks.
    if (!this.#outbox.reply(frame) && !frame.ok) this.#emit("error", frame.error);
  }

  #push(push) {
    const verdict = this.#cursors.take(push);
    if (verdict === "gap") this.#link.reconnect("gap");
    if (verdict === "lost") {
      this.#resync({ stream: push.stream, offset: push.offset - 1 });
      this.#cursors.take(push);
    } else if (verdict !== "next") return;
    const { type: _, ...event } = push;
    const granted = this.#cursors.grant(event);
    for (const state of [...this.#states]) state.push(event);
    if (granted !== null) this.#granted(granted);
    this.#pushes.call(event.event, event);
    this.#pushes.call("*", event);
  }

  #granted({ stream, offset }) {
    if (offset !== null) this.#jump(stream, offset, false);
    else for (const state of [...this.#states]) state.gone(stream);
  }

  #resync({ stream, offset }) {
    if (this.#cursors.resync(stream, offset)) this.#jump(stream, offset, true);
  }

  #jump(stream, offset, lost) {
    for (const state of [...this.#states]) state.jump(stream, offset, lost);
    if (lost) this.#emit("resync", { stream, offset });
  }

  #status(frame) {
    this.#emit("status", frame);
    if (typeof frame.token_expires_in === "number") this.#renew();
    if (typeof frame.lateness !== "number") return;
    this.#timers.clearTimeout(this.#lateness);
    this.#lateness = frame.lateness > 0 ? this.#timers.setTimeout(() => this.#notLate(), LATENESS_MS) : null;
  }

  /** The end of lateness is told once, and whoever was away or slow at that moment has not heard it. */
  #notLate() {
    this.#timers.clearTimeout(this.#lateness);
    this.#lateness = null;
    this.#emit("status", { type: "status", lateness: 0 });
  }

  // ---- questions

  async #ask(name, args, options) {
    if (this.#over) throw localError("closed", name);
    return this.#outbox.ask(name, args, options);
  }

  #live({ name, args, ...options }) {
    const live = new LiveState({
      ...options,
      ask: () => this.view(name, args),
      cursors: this.#cursors,
      timers: this.#timers,
      random: this.#random,
      closed: () => this.#states.delete(live),
    });
    this.#states.add(live);
    return live;
  }

  // ---- the clock and the token

  #ping() {
    const sent = this.#timers.now();
    this.#link.call("ping", { t: sent }).then(
      ({ server_time: time }) => this.#clock.sample(sent, this.#timers.now(), time),
      () => {}, // the connection ended: the next one asks again
    );
  }

  #sampleClock(left) {
    this.#ping();
    const wait = left > 1 ? CLOCK_SAMPLE_MS : CLOCK_AGAIN_MS;
    this.#sampling = this.#timers.setTimeout(() => this.#sampleClock(Math.max(1, left - 1)), wait);
  }

  #renewLater(least = 0) {
    this.#timers.clearTimeout(this.#renewal);
    const wait = Math.max(least, this.#tokens.untilRenewal());
    if (wait <= LONGEST_TIMER_MS) this.#renewal = this.#timers.setTimeout(() => this.#renew(), wait);
  }

  /** A new token for the open connection; should it fail for good, the server will end the connection, and say why. */
  async #renew() {
    try {
      const token = await this.#tokens.renew(this.#link.token);
      if (this.#link.state !== "open") return;
      await this.#link.refresh(token);
      this.#renewals = 0;
      this.#renewLater();
    } catch (error) {
      if (error.code === "closed") return;
      this.#emit("error", error);
      if (error instanceof AuthError && error.final) return;
      if (this.#link.state === "open") this.#renewLater((error.retryAfter ?? 0) + backoff(++this.#renewals, this.#random));
    }
  }

  // ---- telling the page

  #emit(type, detail) {
    this.#events.call(type, { type, detail });
  }

  #wire(direction, text) {
    if (!this.#events.has("frame")) return;
    this.#emit("frame", { direction, text: masked(text, this.#tokens.current), at: this.#timers.now() });
  }
}

/** The text without tokens: wires are shown on screens and in screenshots. */
export function masked(text, token = null) {
  const named = text.replace(/("(?:access_|refresh_)?token"\s*:\s*")(?:[^"\\]|\\.)*/g, "$1•••");
  return token ? named.replaceAll(token, "•••") : named;
}

function socketUrl(url, page) {
  const { href } = new URL(url ?? "/ws", page.location?.href);
  return href.replace(/^http/, "ws");
}

function refreshAddress(address) {
  return new URL("/auth/refresh", address.replace(/^ws/, "http")).href;
}

function randomId(random) {
  return Array.from({ length: 8 }, () => Math.floor(random() * 36).toString(36)).join("");
}
