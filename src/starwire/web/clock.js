// The server's clock, seen from here. Each question and answer bounds the offset between the two clocks
// to ± half the round trip; the sample with the shortest one is the best estimate. Two samples whose
// bounds do not meet cannot both be right: then this machine's clock was moved (or it slept), and what
// was learnt before is dropped.

const SAMPLES = 8;

export class ServerClock {
  #now;
  #samples = [];

  /** `now` gives milliseconds of this machine's clock. */
  constructor(now) {
    this.#now = now;
  }

  /** Learns from one exchange: sent and received by this clock, `server` (ISO text or ms) by the server's. */
  sample(sent, received, server) {
    const time = typeof server === "number" ? server : Date.parse(server);
    if (!Number.isFinite(time)) return;
    const half = Math.max(0, received - sent) / 2;
    const offset = time - (sent + half);
    this.#samples = this.#samples.filter((old) => Math.abs(old.offset - offset) <= old.half + half + 1);
    this.#samples.push({ offset, half });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  /** Server minus this machine, in milliseconds. */
  get offset() {
    let best = null;
    for (const sample of this.#samples) if (best === null || sample.half <= best.half) best = sample;
    return best === null ? 0 : best.offset;
  }

  now() {
    return this.#now() + this.offset;
  }
}
