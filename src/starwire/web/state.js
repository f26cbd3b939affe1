// State and stream together: reads a view, then applies every push of the streams in its positions that
// came after those positions, each once, in order. While a reading is under way pushes are kept; whenever
// the two cannot be joined without a hole, the view is read again.
//
// A reading is good when, for each of its streams, its position is not before the place from which pushes
// are known to have been kept (`floor`: the cursor when the reading began, or where the stream jumped since).

import { backoff } from "./backoff.js";
import { safely } from "./listeners.js";

export const KEPT_PUSHES = 5_000;

export class LiveState {
  #o;
  #reading = false;
  #again = false; // something happened that this reading cannot hold
  #kept = [];
  #floor = new Map();
  #at = null; // stream → offset up to which the state is known; null: nothing read yet, or refused
  #failures = 0;
  #timer = null;
  #closed = false;
  #settled;

  /**
   * `options`: ask() → promise of {result, positions}, cursors, timers, random, closed() when the handle is
   * closed, read(result, positions), apply(push), error(error)?, and `everyGrant`: read again whenever a
   * stream is granted or taken, for views that follow every stream of the player.
   */
  constructor(options) {
    this.#o = options;
    this.ready = new Promise((resolve, reject) => {
      this.#settled = { resolve, reject };
    });
    this.ready.catch(() => {}); // who does not look at it need not handle it
    this.reread();
  }

  /** Reads the view again now. */
  reread() {
    if (this.#closed) return;
    this.#o.timers.clearTimeout(this.#timer);
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    this.#again = false;
    this.#kept = [];
    this.#floor = new Map(this.#o.cursors.entries());
    this.#o.ask().then(
      (reply) => this.#arrived(reply),
      (error) => this.#refused(error),
    );
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#kept = [];
    this.#o.timers.clearTimeout(this.#timer);
    this.#o.closed();
  }

  push(push) {
    if (this.#closed) return;
    if (this.#reading) {
      this.#keep(push);
      return;
    }
    const known = this.#at?.get(push.stream);
    if (known === undefined || push.offset <= known) return;
    if (push.offset !== known + 1) {
      this.reread();
      return;
    }
    this.#at.set(push.stream, push.offset);
    safely(this.#o.apply, push);
  }

  /** The pushes of `stream` go on after `offset`; `lost`: not all before it were delivered. */
  jump(stream, offset, lost) {
    if (this.#closed) return;
    if (this.#reading) {
      if (lost) this.#kept = this.#kept.filter((push) => push.stream !== stream);
      this.#floor.set(stream, lost ? offset : Math.max(offset, this.#floor.get(stream) ?? 0));
      return;
    }
    const known = this.#at?.get(stream);
    // Refused before, a new grant may be what was missing.
    const news = this.#at === null || (known === undefined && this.#o.everyGrant === true);
    if (news || (known !== undefined && (lost || known < offset))) this.reread();
  }

  /** The stream was taken from the player. */
  gone() {
    if (this.#o.everyGrant === true) this.reread();
  }

  /** Another epoch: no offset known before means anything. */
  reset() {
    if (this.#closed) return;
    if (this.#reading) {
      this.#kept = [];
      this.#floor.clear();
    } else {
      this.reread();
    }
  }

  /** The client is connected (again). */
  opened() {
    if (!this.#reading && this.#at === null) this.reread();
  }

  #keep(push) {
    if (this.#kept.length >= KEPT_PUSHES) {
      this.#kept = [];
      this.#again = true;
    }
    if (!this.#again) this.#kept.push(push);
  }

  #arrived({ result, positions = {} }) {
    if (this.#closed) return;
    this.#reading = false;
    const behind = Object.entries(positions).some(([stream, offset]) => offset < (this.#floor.get(stream) ?? 0));
    if (this.#again || behind) {
      this.#later(behind);
      return;
    }
    this.#failures = 0;
    this.#at = new Map(Object.entries(positions));
    const kept = this.#kept;
    this.#kept = [];
    safely(this.#o.read, result, positions);
    this.#settled.resolve(result);
    for (const push of kept) this.push(push);
  }

  #refused(error) {
    if (this.#closed) return;
    this.#reading = false;
    this.#at = null;
    if (error.code === "closed") return; // `opened` reads again, should there be another connection
    if (error.retry || error.code === "timeout") {
      this.#later(true);
      return;
    }
    this.#settled.reject(error);
    if (this.#o.error) safely(this.#o.error, error);
  }

  #later(failed) {
    if (failed) this.#failures += 1;
    const wait = failed ? backoff(this.#failures, this.#o.random) : 0;
    this.#timer = this.#o.timers.setTimeout(() => this.reread(), wait);
    this.#reading = false;
  }
}
