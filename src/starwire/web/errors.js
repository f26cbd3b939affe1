// What can go wrong, and what a client does about it: the two errors that reach the page, and the table
// of close codes. The codes and their meaning are those of docs/reference/protocol.md; four more exist
// only on this side of the wire and are listed in LOCAL_CODES.

/** Codes of CommandErrors that the client itself makes. */
export const LOCAL_CODES = Object.freeze({
  closed: "the client was closed, or the server refused it for good, before an answer came",
  timeout: "no answer came within the time the caller gave; `sent` says whether it may have happened",
  queue_full: "too many commands wait for an answer; this one was not sent",
  too_large: "the frame is longer than the server takes; it was not sent",
});

/**
 * Close code → its name, and whether to come back: at the `advised` time, after a `backoff`, `later` (in half a minute
 * at least), with a `new_token`, or `never`. The same table as the server's; a test compares them.
 */
export const CLOSE_CODES = Object.freeze({
  1001: { name: "going_away", reconnect: "advised" },
  1002: { name: "protocol_error", reconnect: "backoff" },
  1007: { name: "invalid_payload", reconnect: "backoff" },
  1009: { name: "too_big", reconnect: "backoff" },
  1011: { name: "internal_error", reconnect: "backoff" },
  1012: { name: "restart", reconnect: "advised" },
  4400: { name: "abuse", reconnect: "later" },
  4401: { name: "token_expired", reconnect: "new_token" },
  4403: { name: "refused", reconnect: "never" },
  4408: { name: "no_hello", reconnect: "backoff" },
  4429: { name: "too_many_connections", reconnect: "later" },
});

/** Every other code (1006 above all: the network, or a refused handshake) is a reason to try again. */
export function closeRule(code) {
  return CLOSE_CODES[code] ?? { name: "lost", reconnect: "backoff" };
}

/**
 * A command or view that was refused. `retryAfter` is in milliseconds, like every time in this library. `sent` is false
 * when it never left this machine, or was refused before anything could happen.
 */
export class CommandError extends Error {
  constructor({ code, reason = null, message, details = null, retry = false, retry_after = null }, command = null, sent = true) {
    super(message ?? code);
    this.name = "CommandError";
    this.code = code;
    this.reason = reason;
    this.details = details;
    this.retry = retry === true;
    this.retryAfter = retry_after === null ? null : retry_after * 1000;
    this.command = command;
    this.sent = sent;
  }
}

/** An error made on this side; its code is one of LOCAL_CODES. */
export function localError(code, command = null, { message = LOCAL_CODES[code], sent = false } = {}) {
  return new CommandError({ code, message, retry: code === "queue_full" }, command, sent);
}

/** A refusal of /auth/…: `status` is the HTTP status, 0 when the server could not be reached. */
export class AuthError extends Error {
  constructor(code, message, status = 0, retryAfter = null) {
    super(message);
    this.name = "AuthError";
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Trying the same again cannot help. `rotated` can be mended: a newer token is about to be in the store. */
  get final() {
    return this.code !== "rotated" && this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}
