// Accounts over HTTP: POST /auth/guest, /auth/register, /auth/login, /auth/refresh, /auth/logout.
// Each but logout gives {player, access_token, refresh_token, expires_in}, to which this adds
// `expires_at` in milliseconds of this machine's clock, so that tokens that were stored keep their meaning.
// A refusal is an AuthError. `base` is the server's origin, "" for the page's own.

import { AuthError } from "./errors.js";

export const REQUEST_MS = 10_000;

export const guest = (base = "", options) => tokensOf(post(`${base}/auth/guest`, {}, options));

/** With the access token of a guest, that guest becomes the account and keeps everything it has. */
export const register = (base, name, password, accessToken = null, options) =>
  tokensOf(post(`${base}/auth/register`, { name, password }, { ...options, accessToken }));

export const login = (base, name, password, options) =>
  tokensOf(post(`${base}/auth/login`, { name, password }, options));

export const refresh = (base, refreshToken, options) =>
  tokensOf(post(`${base}/auth/refresh`, { refresh_token: refreshToken }, options));

/** Ends the session: its refresh token is void, and its open connections are closed. */
export const logout = (base, refreshToken, accessToken = null, options) =>
  post(`${base}/auth/logout`, { refresh_token: refreshToken }, { ...options, accessToken });

/** Adds `expires_at` to tokens as the server gave them. */
export function stamped(tokens, now = Date.now()) {
  if (tokens.expires_at !== undefined || tokens.expires_in === undefined) return { ...tokens };
  return { ...tokens, expires_at: now + tokens.expires_in * 1000 };
}

const tokensOf = async (answer) => stamped(await answer);

export async function post(url, body, { fetch = globalThis.fetch, accessToken = null } = {}) {
  const headers = { "content-type": "application/json" };
  if (accessToken !== null) headers.authorization = `Bearer ${accessToken}`;
  let response;
  let answer;
  try {
    const signal = AbortSignal.timeout(REQUEST_MS);
    response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal, cache: "no-store" });
    answer = await response.json().catch(() => null);
  } catch (cause) {
    throw Object.assign(new AuthError("unreachable", "The server could not be reached."), { cause });
  }
  if (response.ok) return answer ?? {};
  const seconds = Number.parseFloat(response.headers?.get?.("retry-after") ?? answer?.error?.retry_after);
  throw new AuthError(
    answer?.error?.code ?? "unavailable",
    answer?.error?.message ?? `The server answered ${response.status}.`,
    response.status,
    Number.isFinite(seconds) ? seconds * 1000 : null,
  );
}
