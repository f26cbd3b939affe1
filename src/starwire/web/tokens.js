// The tokens of this page. The refresh token is good for one use, so there is never more than one request
// under way: within the page by sharing the promise, between tabs by a Web Lock. Whoever gets the lock
// second finds by `source()` that the tokens were renewed meanwhile, and takes those.

import { post, stamped } from "./auth.js";
import { AuthError } from "./errors.js";
import { safely } from "./listeners.js";

const MARGIN_MS = 5_000;
const LEAD_MS = 60_000;

export class Tokens {
  #source;
  #current;
  #flight = null;
  #onTokens;
  #url;
  #fetch;
  #timers;
  #locks;

  /** `tokens` is the tokens, or an async function that gives the newest (of a store that tabs share). */
  constructor({ tokens, onTokens = null, url, fetch, timers, locks = null }) {
    this.#source = typeof tokens === "function" ? tokens : null;
    this.#timers = timers;
    this.#current = this.#source === null ? stamped(tokens, timers.now()) : null;
    this.#onTokens = onTokens;
    this.#url = url;
    this.#fetch = fetch;
    this.#locks = locks;
  }

  /** An access token that is good for some seconds more. Throws an AuthError when there is none to be had. */
  async fresh() {
    if (this.#current === null) this.#adopt(await this.#source());
    for (let renewals = 0; renewals < 2 && this.#left() < MARGIN_MS; renewals += 1) {
      await this.renew(this.#current.access_token);
    }
    return this.#current.access_token;
  }

  /** An access token other than `stale`, good for some seconds more. */
  async renew(stale) {
    const known = this.current;
    if (known !== null && known !== stale && this.#left() >= MARGIN_MS) return known;
    this.#flight ??= this.#locked(() => this.#exchange(known ?? stale)).finally(() => {
      this.#flight = null;
    });
    await this.#flight;
    return this.#current.access_token;
  }

  /** Milliseconds until it is time to renew: a minute ahead, or a fifth of the life of short-lived tokens. */
  untilRenewal() {
    const left = this.#left();
    return Math.max(1_000, left - Math.min(LEAD_MS, left / 5));
  }

  get current() {
    return this.#current?.access_token ?? null;
  }

  #left() {
    return (this.#current?.expires_at ?? Infinity) - this.#timers.now();
  }

  #locked(fn) {
    return this.#locks === null ? fn() : this.#locks.request("starwire-tokens", fn);
  }

  async #exchange(stale) {
    if (await this.#readAgain(stale)) return;
    const refreshToken = this.#current?.refresh_token;
    if (refreshToken === undefined) throw new AuthError("unauthorized", "The token has expired.", 401);
    try {
      this.#adopt(await post(this.#url, { refresh_token: refreshToken }, { fetch: this.#fetch }));
    } catch (error) {
      // Another tab without locks may have been faster: then the newer tokens stand in the store.
      if (error instanceof AuthError && error.final && (await this.#readAgain(stale))) return;
      // Without a store there is nowhere to find the newer token, and asking with the old one for a minute ends the session.
      if (error.code === "rotated" && this.#source === null) throw new AuthError("unauthorized", error.message, 401);
      throw error;
    }
    if (this.#onTokens === null) return;
    // Within the lock, so that the next tab finds them; an error of the page's own was reported already.
    await Promise.resolve(safely(this.#onTokens, { ...this.#current })).catch(() => {});
  }

  async #readAgain(stale) {
    const seen = this.#source === null ? null : await this.#source();
    if (!seen) return false;
    this.#adopt(seen);
    return seen.access_token !== stale;
  }

  #adopt(tokens) {
    if (typeof tokens?.access_token !== "string") throw new AuthError("unauthorized", "There is no token.", 401);
    const { expires_at: _, expires_in: __, ...kept } = this.#current ?? {};
    this.#current = stamped({ ...kept, ...tokens }, this.#timers.now());
  }
}
