// The commands and views that wait for their answer, in the order they were made. An entry leaves by its
// reply, by its deadline, or when the client is closed; a lost connection only means that everything
// unanswered is sent again, same text, same id, same order. The server stores replies by id, so a command
// whose first answer was lost on the way is answered again, not done again.

import { backoff } from "./backoff.js";
import { CommandError, localError } from "./errors.js";

export const CAPACITY = 256;
export const WINDOW = 32;
export const RETRIES = 5;
export const TIMEOUT_MS = 60_000;
// Replies are kept for 24 hours by the server: sent again later than that, a command could happen twice.
export const REPLIES_KEPT_MS = 23 * 3_600_000;
export const LONGEST_TIMER_MS = 2 ** 31 - 1; // a longer one would fire at once

export class Outbox {
  #entries = new Map();
  #open = false;
  #window = WINDOW;
  #frameBytes = Infinity;
  #send;
  #ids;
  #timers;
  #random;

  /** `send(text)` gives whether the text went out; `ids()` gives the next id. */
  constructor({ send, ids, timers, random }) {
    this.#send = send;
    this.#ids = ids;
    this.#timers = timers;
    this.#random = random;
  }

  get size() {
    return this.#entries.size;
  }

  /** Resolves with the whole reply frame; rejects with a CommandError (or a TypeError if args are no JSON). */
  ask(command, args = {}, { timeout = TIMEOUT_MS } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#entries.size >= CAPACITY) throw localError("queue_full", command);
      const id = this.#ids();
      const text = JSON.stringify({ id, command, args });
      if (this.#tooLong(text)) throw localError("too_large", command);
      const until = this.#timers.now() + timeout;
      // `since`: when it first went out, null if it has not; `doubt`: a connection was lost with it on the way
      const entry = { id, command, text, resolve, reject, until, since: null, doubt: false, sent: false, refusals: 0 };
      entry.pause = entry.deadline = null;
      if (timeout <= LONGEST_TIMER_MS) {
        entry.deadline = this.#timers.setTimeout(() => this.#fail(entry, timedOut(entry)), timeout);
      }
      this.#entries.set(id, entry);
      this.#pump();
    });
  }

  /** The connection is up: everything unanswered goes out (again). */
  opened(limits = {}) {
    this.#window = limits.commands_in_flight ?? WINDOW;
    this.#frameBytes = limits.frame_bytes ?? Infinity;
    const now = this.#timers.now();
    for (const entry of [...this.#entries.values()]) {
      // Timers stand still while a machine sleeps: what nobody waits for any more must not happen on waking up.
      const late = now >= entry.until || (entry.since !== null && now - entry.since >= REPLIES_KEPT_MS);
      if (late) this.#fail(entry, timedOut(entry));
      else if (this.#tooLong(entry.text)) this.#fail(entry, localError("too_large", entry.command));
    }
    this.#open = true;
    this.#pump();
  }

  /** The server said goodbye: what was sent is still answered, nothing new is sent on this connection. */
  hold() {
    this.#open = false;
  }

  lost() {
    this.#open = false;
    for (const entry of this.#entries.values()) {
      entry.doubt ||= entry.sent;
      entry.sent = false;
    }
  }

  closed(reason) {
    this.#open = false;
    for (const entry of [...this.#entries.values()]) {
      this.#fail(entry, localError("closed", entry.command, { message: reason, sent: entry.since !== null }));
    }
  }

  /** Settles the entry that this reply answers; false when there is none. */
  reply(frame) {
    const entry = this.#entries.get(frame.id);
    if (entry === undefined) return false;
    if (frame.ok) {
      this.#forget(entry);
      entry.resolve(frame);
    } else {
      const refusal = frame.error ?? { code: "internal" };
      const error = new CommandError(refusal, entry.command, refusal.retry !== true || entry.doubt);
      if (error.retry && entry.refusals < RETRIES) this.#again(entry, error);
      else this.#fail(entry, error);
    }
    this.#pump();
    return true;
  }

  #tooLong(text) {
    // A character is 1 to 3 bytes of UTF-8 per UTF-16 unit, so most texts need no counting.
    if (text.length * 3 <= this.#frameBytes) return false;
    return new TextEncoder().encode(text).length > this.#frameBytes;
  }

  #again(entry, error) {
    // The advised time, plus jitter, so that the many who were refused together do not return together.
    const wait = (error.retryAfter ?? 0) + backoff(entry.refusals, this.#random);
    entry.refusals += 1;
    entry.sent = false;
    if (!entry.doubt) entry.since = null; // such a refusal says that this sending did nothing
    entry.pause = this.#timers.setTimeout(() => {
      entry.pause = null;
      this.#pump();
    }, wait);
  }

  #pump() {
    if (!this.#open) return;
    let inFlight = 0;
    for (const entry of this.#entries.values()) {
      if (entry.sent) inFlight += 1;
    }
    for (const entry of this.#entries.values()) {
      if (inFlight >= this.#window) return;
      if (entry.sent || entry.pause !== null) continue;
      if (!this.#send(entry.text)) return;
      entry.sent = true;
      entry.since ??= this.#timers.now();
      inFlight += 1;
    }
  }

  #fail(entry, error) {
    this.#forget(entry);
    entry.reject(error);
    this.#pump();
  }

  #forget(entry) {
    this.#entries.delete(entry.id);
    if (entry.deadline !== null) this.#timers.clearTimeout(entry.deadline);
    if (entry.pause !== null) this.#timers.clearTimeout(entry.pause);
  }
}

function timedOut({ command, since }) {
  if (since !== null) return localError("timeout", command, { sent: true });
  return localError("timeout", command, { message: "There was no connection in time: it was not sent, and did not happen." });
}
