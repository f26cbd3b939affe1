// Where this client is in each of its streams. No I/O: frames in, verdicts out. This is the place where
// "each event once, in order, none silently left out" is kept on this side of the wire:
//
//   take(push)      "next" deliver it · "old" seen before · "unknown" no stream of ours
//                   "gap"  something is missing: reconnect, and let the server fill it or say resync
//                   "lost" asking again did not help: the state must be read again
//   welcome(hello)  after each hello: which streams go on, which jumped, which are gone

export class Cursors {
  #offsets = new Map();
  #fromStart = new Set(); // asked for with 0: whatever is retained, so the first offset may be any
  #told = new Set(); // reported as lost at hello; the resync frame that follows says nothing new
  #gaps = new Map(); // stream → offset at which a gap was found before
  #listed = new Set(); // the streams of the last hello, with …
  #listedAt = 0; // … the player stream's head at that time: grants up to it are history
  #player = null;

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

  /** The part of hello's args that says where to go on. */
  resume() {
    const args = { resume: this.offsets };
    if (this.epoch !== null) args.epoch = this.epoch;
    return args;
  }

  /**
   * Takes over what hello answered. Gives `reset` (another epoch: nothing known is worth anything) and
   * `jumps`: [stream, offset, lost] for every stream that does not simply go on from where it was.
   */
  welcome({ player, epoch, streams }) {
    const reset = this.epoch !== null && epoch !== this.epoch;
    const before = reset ? new Map() : this.#offsets;
    const jumps = [];
    this.epoch = epoch;
    this.#player = `player:${player}`;
    this.#offsets = new Map();
    this.#told.clear();
    this.#listed = new Set(Object.keys(streams));
    this.#listedAt = streams[this.#player]?.offset ?? 0;
    for (const [stream, { offset, recovered }] of Object.entries(streams)) {
      const known = before.get(stream);
      const lost = recovered === false || reset;
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
    if (offset !== known + 1 && !this.#fromStart.has(stream)) {
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
   * Follows `subscribed` and `unsubscribed` on the player's own stream; gives {stream, offset} of a stream that goes on
   * from there (offset null: it is gone), else null. Those replayed after a reconnect are older than hello's
   * list of streams, which already holds their outcome.
   */
  grant({ stream: from, offset: at, event, data }) {
    if (from !== this.#player || (event !== "subscribed" && event !== "unsubscribed")) return null;
    if (typeof data?.stream !== "string") return null;
    const { stream, offset = 0 } = data;
    if (at <= this.#listedAt && this.#listed.has(stream)) return null;
    if (event === "unsubscribed") {
      this.#offsets.delete(stream);
      return { stream, offset: null };
    }
    if ((this.#offsets.get(stream) ?? -1) >= offset) return null;
    this.#offsets.set(stream, offset);
    return { stream, offset };
  }
}
