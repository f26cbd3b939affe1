// What can go wrong, and what a client does about it: the two errors that reach the page, and the table
// of close codes. The codes and their meaning are those of docs/reference/protocol.md; four more exist
// only on this side of the wire and are listed in LOCAL_CODES.

/** Codes of CommandErrors that the client itself makes. */
export const LOCAL_CODES = Object.freeze({
  closed: "the client was closed, or the server refused it for good, before an answer came",
  timeout: "no answer came within the time the caller gave; whether it happened is not known",
  queue_full: "too many commands wait for an answer; this one was not sent",
  too_large: "the frame is longer than the server takes; it was not sent",
});

/** Close code → why, and what next: `wait` the advised time, `retry` with backoff, get a `token`, retry `later`, `stop`. */
export const CLOSE_CODES = Object.freeze({
  1001: { reason: "going_away", then: "wait" },
  1009: { reason: "too_large", then: "retry" },
  1012: { reason: "restart", then: "wait" },
  4400: { reason: "abuse", then: "stop" },
  4401: { reason: "unauthorized", then: "token" },
  4403: { reason: "refused", then: "stop" },
  4408: { reason: "hello_late", then: "retry" },
  4429: { reason: "too_many_connections", then: "later" },
});

/** Every other code (1006 above all: the network, or a refused handshake) is a reason to try again. */
export function closeRule(code) {
  return CLOSE_CODES[code] ?? { reason: "lost", then: "retry" };
}

/** A command or view that was refused. `retryAfter` is in milliseconds, like every time in this library. */
export class CommandError extends Error {
  constructor({ code, reason = null, message, details = null, retry = false, retry_after = null }, command = null) {
    super(message ?? code);
    this.name = "CommandError";
    this.code = code;
    this.reason = reason;
    this.details = details;
    this.retry = retry === true;
    this.retryAfter = retry_after === null ? null : retry_after * 1000;
    this.command = command;
  }
}

/** An error made on this side; its code is one of LOCAL_CODES. */
export function localError(code, command = null, message = LOCAL_CODES[code]) {
  return new CommandError({ code, message, retry: code === "queue_full" }, command);
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

  /** Trying the same again cannot help: the credentials themselves were refused. */
  get final() {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}
