// Where this client is in each of its streams. No I/O: frames in, verdicts out. This is the place where
// "each event once, in order, none silently left out" is kept on this side of the wire:
//
//   take(push)      "next" deliver it · "old" seen before · "unknown" no stream of ours
//                   "gap"  something is missing: reconnect, and let the server fill it or say resync
//                   "lost" asking again did not help: the state must be read again
//   welcome(hello)  after each hello: which streams go on, which jumped, which are gone

export const RESUMED_STREAMS = 256; // in one hello, until the server has told its own limit

export class Cursors {
  #offsets = new Map();
  #fromStart = new Set(); // asked for with 0: whatever is retained, so the first offset may be any
  #told = new Set(); // reported as lost at hello; the resync frame that follows says nothing new
  #gaps = new Map(); // stream → offset at which a gap was found before
  #grants = new Map(); // stream → offset of a grant ahead of the cursor: the stream may go on from either
  #asked = new Set(); // what the last hello said where to go on
  #player = null;
  #most = RESUMED_STREAMS;

  constructor(resume = null) {
    this.epoch = resume?.epoch ?? null;
    for (const [stream, offset] of Object.entries(resume?.offsets ?? {})) {
      this.#offsets.set(stream, offset);
      if (offset === 0) this.#fromStart.add(stream);
    }
  }

  get offsets() {
    return Object.fromEntries(this.#offsets);
  }

  get(stream) {
    return this.#offsets.get(stream);
  }

  entries() {
    return this.#offsets.entries();
  }

  /** The part of hello's args that says where to go on; what is not said in it is told as lost afterwards. */
  resume() {
    const entries = [...this.#offsets].slice(0, this.#most);
    this.#asked = new Set(entries.map(([stream]) => stream));
    const args = { resume: Object.fromEntries(entries) };
    if (this.epoch !== null) args.epoch = this.epoch;
    return args;
  }

  /**
   * Takes over what hello answered. Gives `reset` (another epoch: nothing known is worth anything) and
   * `jumps`: [stream, offset, lost] for every stream that does not simply go on from where it was.
   */
  welcome({ player, epoch, streams, limits = {} }) {
    const reset = this.epoch !== null && epoch !== this.epoch;
    const before = this.#offsets;
    const jumps = [];
    this.epoch = epoch;
    this.#most = limits.resume_streams ?? RESUMED_STREAMS;
    this.#player = `player:${player}`;
    this.#offsets = new Map();
    this.#told.clear();
    this.#grants.clear();
    for (const [stream, { offset, recovered }] of Object.entries(streams)) {
      const known = before.get(stream);
      const lost = recovered === false || reset || (known !== undefined && !this.#asked.has(stream));
      if (known !== undefined && !lost) {
        this.#offsets.set(stream, known);
        continue;
      }
      this.#offsets.set(stream, offset);
      if (recovered === false) this.#told.add(stream);
      jumps.push([stream, offset, lost]);
    }
    for (const stream of this.#fromStart) if (!(this.#offsets.get(stream) === 0)) this.#fromStart.delete(stream);
    return { reset, jumps };
  }

  /** Judges a push, and moves the cursor when it is the next one. */
  take({ stream, offset }) {
    const known = this.#offsets.get(stream);
    if (known === undefined) return "unknown";
    if (offset <= known) return "old";
    const granted = offset - 1 === this.#grants.get(stream);
    if (offset !== known + 1 && !granted && !this.#fromStart.has(stream)) {
      // From 0 the server gives what is retained, so a reconnect would start at the same place again.
      if (known === 0 || this.#gaps.get(stream) === known) return "lost";
      this.#gaps.set(stream, known);
      return "gap";
    }
    this.#fromStart.delete(stream);
    this.#gaps.delete(stream);
    this.#offsets.set(stream, offset);
    return "next";
  }

  /** History is gone: go on from `offset`. False when hello had said so already. */
  resync(stream, offset) {
    const news = !(this.#told.delete(stream) && this.#offsets.get(stream) === offset);
    this.#fromStart.delete(stream);
    this.#gaps.delete(stream);
    this.#offsets.set(stream, offset);
    return news;
  }

  /**
   * Follows `subscribed` and `unsubscribed` on the player's own stream; gives {stream, offset} of a stream that is
   * heard from there on (offset null: no longer), else null. Such an event may be history, replayed after a
   * hello that has settled it: so taking a stream moves no cursor (the server just sends no more), and a grant
   * ahead of the cursor lets the stream go on from the one or the other.
   */
  grant({ stream: from, event, data }) {
    if (from !== this.#player || typeof data?.stream !== "string") return null;
    const { stream, offset } = data;
    if (event === "unsubscribed") return { stream, offset: null };
    if (event !== "subscribed" || typeof offset !== "number") return null;
    const known = this.#offsets.get(stream);
    if (known === undefined) this.#offsets.set(stream, offset);
    else if (known < offset) this.#grants.set(stream, offset);
    else return null;
    return { stream, offset };
  }
}
