// One connection after another. Opens a socket, says hello, notices a dead server, and comes back: after
// the time that the server advised, or with jittered backoff, or with a new token, or not at all when the
// server refused for good (the table in errors.js). What the frames mean is the client's business: next hop client.js.
//
//   closed ── start ──→ connecting ── hello answered ──→ open
//     ↑                   ↑    ↓ lost                      ↓ lost
//     └── stop, refused ──┴── waiting ←────────────────────┘

import { backoff, later } from "./backoff.js";
import { AuthError, CommandError, closeRule, localError } from "./errors.js";

export const SUBPROTOCOL = "starwire.v1";
export const HELLO_MS = 15_000; // from the first byte to the answered hello
export const SILENCE_MS = 25_000; // after this long without a frame, ask
export const ANSWER_MS = 10_000; // without any frame after asking, the server is dead
export const ERROR_MS = 100; // from an error event to the close event
export const GOODBYE_MS = 30_000; // to close after goodbye
export const STABLE_MS = 5_000; // open this long, the next loss starts the backoff anew
export const WAKE_JITTER_MS = 300;
export const REFUSALS = 3; // of a token that was renewed just before
const OPEN = 1; // WebSocket.OPEN

export class Link {
  #o;
  #socket = null;
  #state = "closed";
  #life = 0; // one more with each attempt: what an older one still awaits is not for us
  #attempt = 0;
  #refusals = 0;
  #token = null; // the one that the server was given last
  #renew = false;
  #advice = null; // ms, from goodbye
  #openedAt = null;
  #heardAt = 0;
  #waiting = null; // {timer, firm, until}
  #deadline = null;
  #silence = null;
  #hello = null; // id
  #helloAt = 0;
  #calls = new Map(); // id → {resolve, reject}: hello, ping and refresh live and die with their connection

  /**
   * `options`: url, WebSocket, tokens, timers, random, ids, hello() → args, and what to do:
   * opened(result, askedAt), ping(), lost(), frame(frame), goodbye(), state(detail), wire(direction, text),
   * ended(reason), error(error).
   */
  constructor(options) {
    this.#o = options;
  }

  get state() {
    return this.#state;
  }

  /** The token that the server was given last, by hello or refresh. */
  get token() {
    return this.#token;
  }

  start() {
    if (this.#state !== "closed") return;
    this.#attempt = 0;
    this.#refusals = 0;
    this.#connect();
  }

  stop(reason = "closed") {
    this.#drop();
    this.#clearWait();
    this.#life += 1;
    if (this.#state === "closed") return;
    this.#enter({ state: "closed", reason });
    this.#o.ended(reason);
  }

  /** False when there is no socket to take it. */
  send(text) {
    if (this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(text);
    this.#o.wire("out", text);
    return true;
  }

  /** A built-in command on this very connection; it is not sent again on the next. */
  call(command, args) {
    return new Promise((resolve, reject) => {
      const id = this.#o.ids();
      if (command === "hello") this.#hello = id;
      if (!this.send(JSON.stringify({ id, command, args }))) return reject(localError("closed", command));
      return this.#calls.set(id, { resolve, reject, command });
    });
  }

  /** Gives the open connection another token. */
  async refresh(token) {
    await this.call("refresh", { token });
    this.#token = token;
  }

  /** The page became visible or the network came back: a good moment to try, and to doubt an old connection. */
  wake() {
    if (this.#state === "waiting" && !this.#waiting.firm) {
      const wait = this.#o.random() * WAKE_JITTER_MS;
      if (this.#o.timers.now() + wait < this.#waiting.until) this.#wait(wait, "wake");
    } else if (this.#state === "open" && this.#silentFor() > 1_000) {
      this.#doubt();
    }
  }

  /** Gives this connection up and makes another; the state of the streams tells it where to go on. */
  reconnect(reason) {
    if (this.#state === "open" || this.#state === "connecting") this.#retry(reason);
  }

  async #connect() {
    const life = ++this.#life;
    this.#clearWait();
    this.#enter({ state: "connecting" });
    try {
      this.#token = this.#renew ? await this.#o.tokens.renew(this.#token) : await this.#o.tokens.fresh();
      this.#renew = false;
    } catch (error) {
      if (life === this.#life) this.#withoutToken(error);
      return;
    }
    if (life !== this.#life) return;
    try {
      this.#socket = new this.#o.WebSocket(this.#o.url, [SUBPROTOCOL]);
    } catch (error) {
      this.#o.error(error); // the address itself is wrong: no later attempt can be right
      this.stop("error");
      return;
    }
    this.#listen(this.#socket);
    this.#deadline = this.#o.timers.setTimeout(() => this.#retry("timeout"), HELLO_MS);
  }

  #withoutToken(error) {
    this.#o.error(error);
    if (error instanceof AuthError && error.final) this.stop("unauthorized");
    else this.#retry("unavailable", error.retryAfter ?? 0);
  }

  #listen(socket) {
    socket.onopen = () => this.#greet();
    socket.onmessage = ({ data }) => this.#receive(data);
    // A close event follows, and tells the code; but not in Node 20 when the server cannot be reached.
    socket.onerror = () => socket === this.#socket && this.#arm(ERROR_MS, () => this.#closed(1006));
    socket.onclose = ({ code }) => this.#closed(code);
  }

  #greet() {
    this.#heardAt = this.#helloAt = this.#o.timers.now();
    this.call("hello", { token: this.#token, ...this.#o.hello() }).catch(() => {}); // answered in #receive
  }

  #receive(text) {
    if (typeof text !== "string") return;
    this.#heardAt = this.#o.timers.now();
    this.#o.wire("in", text);
    let frame;
    try {
      frame = JSON.parse(text);
    } catch (error) {
      this.#o.error(error);
      return;
    }
    if (frame === null || typeof frame !== "object") return;
    if (frame.type === "reply" && frame.id === this.#hello && this.#hello !== null) this.#answered(frame);
    else if (frame.type === "reply" && this.#calls.has(frame.id)) this.#settle(frame);
    else this.#o.frame(frame);
    if (frame.type === "goodbye") this.#leave(frame);
  }

  #answered(frame) {
    this.#hello = null;
    this.#settle(frame);
    if (!frame.ok) {
      // The close code that follows says what to do; should it never come, the code of the error does.
      this.#arm(2_000, () => this.#closed(frame.error?.code === "unauthorized" ? 4401 : 1006));
      return;
    }
    this.#clearDeadline();
    this.#openedAt = this.#o.timers.now();
    this.#watch();
    this.#state = "open";
    this.#o.opened(frame.result, this.#helloAt);
    if (this.#state === "open") this.#enter({ state: "open" }); // told when all is in place, unless the page has closed it
  }

  #settle(frame) {
    const call = this.#calls.get(frame.id);
    this.#calls.delete(frame.id);
    if (frame.ok) call.resolve(frame.result);
    else call.reject(new CommandError(frame.error ?? { code: "internal" }, call.command));
  }

  #leave({ reconnect_after: seconds }) {
    this.#advice = typeof seconds === "number" ? Math.max(0, seconds * 1000) : null;
    this.#arm(GOODBYE_MS, () => this.#closed(1012));
    this.#o.goodbye();
  }

  #closed(code) {
    const { name, reconnect } = closeRule(code);
    if (reconnect === "never") this.stop(name);
    else if (reconnect === "new_token") this.#unauthorized();
    else if (reconnect === "later") this.#retry(name, later(this.#o.random), true);
    else if (this.#advice !== null) this.#retry(name, this.#advice, true); // also when it died before it could close
    else this.#retry(name);
  }

  #unauthorized() {
    this.#renew = true;
    this.#refusals = this.#lasted() ? 1 : this.#refusals + 1;
    if (this.#refusals > REFUSALS) this.stop("unauthorized");
    else if (this.#refusals > 1) this.#retry("unauthorized");
    else {
      this.#drop();
      this.#connect();
    }
  }

  /** Waits, then connects: `least` ms and, unless the server gave that time (`firm`), a jittered delay on top. */
  #retry(reason, least = 0, firm = false) {
    if (this.#lasted() || firm) this.#attempt = 0; // a server that says when to come back is no reason to stay away
    this.#drop();
    const delay = firm ? least : least + backoff(this.#attempt, this.#o.random);
    if (!firm) this.#attempt += 1;
    this.#wait(delay, reason, firm);
  }

  #lasted() {
    return this.#openedAt !== null && this.#o.timers.now() - this.#openedAt >= STABLE_MS;
  }

  #wait(ms, reason, firm = false) {
    this.#clearWait();
    const until = this.#o.timers.now() + ms;
    this.#waiting = { timer: this.#o.timers.setTimeout(() => this.#connect(), ms), firm, until };
    this.#enter({ state: "waiting", retryIn: ms, reason });
  }

  #watch() {
    this.#o.timers.clearTimeout(this.#silence);
    const left = SILENCE_MS - this.#silentFor();
    const check = () => (this.#silentFor() >= SILENCE_MS ? this.#doubt() : this.#watch());
    this.#silence = this.#o.timers.setTimeout(check, left);
  }

  #silentFor() {
    const now = this.#o.timers.now();
    this.#heardAt = Math.min(this.#heardAt, now); // this machine's clock may have been set back
    return now - this.#heardAt;
  }

  /** Browsers show no pings to a page, so it asks by a command; any frame at all is an answer. */
  #doubt() {
    this.#o.timers.clearTimeout(this.#silence);
    const heard = this.#heardAt;
    this.#o.ping();
    this.#silence = this.#o.timers.setTimeout(() => {
      if (this.#heardAt === heard) this.#retry("silent");
      else this.#watch();
    }, ANSWER_MS);
  }

  /** Lets go of the socket; nothing it still says is heard. */
  #drop() {
    const socket = this.#socket;
    this.#clearDeadline();
    this.#o.timers.clearTimeout(this.#silence);
    this.#socket = null;
    this.#hello = null;
    this.#advice = null;
    this.#openedAt = null;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { reject, command } of calls) reject(localError("closed", command));
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    try {
      socket.close();
    } catch {
      // it never was open
    }
    this.#o.lost();
  }

  #arm(ms, fn) {
    this.#clearDeadline();
    this.#deadline = this.#o.timers.setTimeout(fn, ms);
  }

  #clearDeadline() {
    this.#o.timers.clearTimeout(this.#deadline);
    this.#deadline = null;
  }

  #clearWait() {
    if (this.#waiting !== null) this.#o.timers.clearTimeout(this.#waiting.timer);
    this.#waiting = null;
  }

  #enter(detail) {
    this.#state = detail.state;
    this.#o.state(detail);
  }
}
