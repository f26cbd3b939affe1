// How long to wait before trying again. Full jitter (a uniform draw from 0 to the bound) from the very
// first attempt: after a restart thousands of clients come at once, and even jitter that starts with the
// second attempt has overloaded databases (phoenix#4045, firezone#11493).

export const BASE_MS = 500;
export const CAP_MS = 30_000;
export const LATER_MS = 30_000;

/** Milliseconds before attempt number `attempt` (0 is the first): between 0 and min(cap, base · 2^attempt). */
export function backoff(attempt, random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 16));
}

/** Milliseconds to stay away when the server has had too much of us: 30 to 60 s. */
export function later(random) {
  return LATER_MS * (1 + random());
}
