// The types of starwire.js. Times are milliseconds, save in objects that are passed on as the server sent
// them (`expires_in`, `token_expires_in`, `lateness`, `reconnect_after` are seconds; `…_at` is ISO text).

/**
 * The commands, views and events of an App. Without it names are any string and values are `any`;
 * `starwire types` writes it, for `new Client<Orchard>(…)`.
 */
export interface Wire {
  commands: Record<string, { args: any; result: any }>;
  views: Record<string, { args: any; result: any }>;
  events: Record<string, any>;
}

type Name<T> = keyof T & string;

export interface Tokens {
  player?: string;
  access_token: string;
  refresh_token?: string;
  /** Seconds, from the moment these tokens are given to the client. */
  expires_in?: number;
  /** By this machine's clock; set by `guest`, `login`… and in `onTokens`, so that stored tokens keep their meaning. */
  expires_at?: number;
}

export type Positions = Record<string, number>;

export interface Push<Data = any, Event extends string = string> {
  stream: string;
  offset: number;
  event: Event;
  /** ISO 8601, UTC: when it happened. */
  at: string;
  data: Data;
  /** A sentence for people. */
  message?: string;
}

export interface Hello {
  player: string;
  name: string;
  epoch: string;
  server_time: string;
  streams: Record<string, { offset: number; recovered: boolean }>;
  limits: Record<string, number>;
}

/** A live process; `data` holds its public fields. */
export interface Process<Data = any> {
  id: number;
  kind: string;
  owner: string | null;
  started_at: string;
  due_at: string;
  state: "pending" | "retrying" | "paused";
  data: Data;
  stream?: string;
  /** Seconds that were left when it was paused. */
  remaining?: number;
}

export type Connection = "closed" | "connecting" | "open" | "waiting";

export interface ClientEvents {
  state: { state: Connection; retryIn?: number; reason?: string };
  hello: Hello;
  /** The history of a stream is gone. Handles of `state()` read again by themselves. */
  resync: { stream: string; offset: number };
  status: { lateness?: number; token_expires_in?: number };
  goodbye: { reason: string; reconnect_after: number };
  /** Every frame as it is on the wire, without tokens. */
  frame: { direction: "in" | "out"; text: string; at: number };
  /** `client.processes` has changed, by this lifecycle event; null: it was read anew. */
  processes: { event: string | null; process: Process | null };
  /** An AuthError, a network error, or the error of a reply that nothing here had asked for. */
  error: any;
}

export interface Timers {
  now(): number;
  setTimeout(fn: () => void, ms: number): unknown;
  clearTimeout(timer: any): void;
}

export interface ClientOptions {
  /** ws, wss, http or https; relative to the page. Default: `/ws`. */
  url?: string;
  /** The tokens, or a function that gets the newest: of a store that tabs share, or of another identity provider. */
  tokens: Tokens | (() => Tokens | null | Promise<Tokens | null>);
  /** Where the last visit ended: `{epoch: client.epoch, offsets: client.offsets}`. Offset 0: whatever is retained. */
  resume?: { epoch?: string | null; offsets?: Positions } | null;
  /** Called with renewed tokens; keep them, for the old refresh token is void. */
  onTokens?: (tokens: Tokens) => unknown;
  /** Default: `/auth/refresh` at the server of `url`. */
  refreshUrl?: string;
  /** Where there is none built in (Node 20): that of the package `ws`, for example. */
  WebSocket?: new (url: string, protocols: string[]) => any;
  fetch?: typeof fetch;
  random?: () => number;
  timers?: Timers;
  /** Whose `online` and `visibilitychange` events are heard, and whose address `url` is relative to. Default: globalThis. */
  page?: any;
  /** What keeps tabs from renewing at once. Default: navigator.locks, where there is such a thing. */
  locks?: { request(name: string, fn: () => Promise<unknown>): Promise<unknown> } | null;
}

export interface AskOptions {
  /** Milliseconds until the promise is rejected with `timeout`; Infinity waits as long as it takes. Default: 60,000. */
  timeout?: number;
}

export interface StateOptions<Result = any> {
  /** The state as of `positions`: take it as the whole truth, everything before it is void. */
  read(result: Result, positions: Positions): void;
  /** A later event of one of the streams in `positions`; each once, in order. */
  apply(push: Push): void;
  /** The view was refused; it is asked again after the next grant or reconnect. */
  error?(error: CommandError): void;
}

export interface StateHandle<Result = any> {
  /** The first reading; rejects when the view is refused. */
  readonly ready: Promise<Result>;
  reread(): void;
  close(): void;
}

export class Client<W extends Wire = Wire> {
  constructor(options: ClientOptions);

  readonly connection: Connection;
  /** What the last hello was answered with; null before the first. */
  readonly welcome: Hello | null;
  readonly player: string | null;
  readonly epoch: string | null;
  /** The last offset seen of each stream. */
  readonly offsets: Positions;

  connect(): void;
  /** Ends the connection; whatever waits for an answer is rejected with `closed`. */
  close(): void;

  /** Sent once there is a connection; done once, however often it had to be sent. Rejects with a CommandError. */
  command<N extends Name<W["commands"]>>(
    name: N,
    args?: W["commands"][N]["args"],
    options?: AskOptions,
  ): Promise<W["commands"][N]["result"]>;

  view<N extends Name<W["views"]>>(
    name: N,
    args?: W["views"][N]["args"],
    options?: AskOptions,
  ): Promise<{ result: W["views"][N]["result"]; positions: Positions }>;

  /** State and stream together, also over reconnects and resyncs. */
  state<N extends Name<W["views"]>>(
    name: N,
    args: W["views"][N]["args"],
    options: StateOptions<W["views"][N]["result"]>,
  ): StateHandle<W["views"][N]["result"]>;

  /** Every push of this event, "*" for all. What is returned ends it. */
  on<N extends Name<W["events"]>>(event: N, fn: (push: Push<W["events"][N], N>) => void): () => void;
  on(event: "*", fn: (push: Push) => void): () => void;

  addEventListener<T extends keyof ClientEvents>(
    type: T,
    fn: (event: { type: T; detail: ClientEvents[T] }) => void,
  ): () => void;
  removeEventListener<T extends keyof ClientEvents>(
    type: T,
    fn: (event: { type: T; detail: ClientEvents[T] }) => void,
  ): void;

  /** Milliseconds since 1970 by the server's clock. */
  now(): number;
  /** The live processes this player hears of, followed from the first look at it. */
  readonly processes: ReadonlyMap<number, Process>;
  /** From 0 to 1. */
  progress(process: Pick<Process, "started_at" | "due_at"> & Partial<Process>): number;

  /** Sends a text as typed; false when there is no connection. */
  raw(text: string): boolean;
}

export type LocalCode = "closed" | "timeout" | "queue_full" | "too_large";

export class CommandError extends Error {
  readonly name: "CommandError";
  /** A code of the protocol, or a LocalCode. */
  readonly code: string;
  /** Why the game refused (`code` is "rejected"). */
  readonly reason: string | null;
  readonly details: any;
  /** Whether the same may be sent again; the client has done so five times before you see it. */
  readonly retry: boolean;
  readonly retryAfter: number | null;
  readonly command: string | null;
  /** False: it never left this machine, or was refused before anything could happen. */
  readonly sent: boolean;
}

export class AuthError extends Error {
  readonly name: "AuthError";
  readonly code: string;
  /** HTTP status; 0: the server could not be reached. */
  readonly status: number;
  readonly retryAfter: number | null;
  /** Trying the same again cannot help. */
  readonly final: boolean;
}

export const LOCAL_CODES: Readonly<Record<LocalCode, string>>;
export const CLOSE_CODES: Readonly<
  Record<number, { readonly name: string; readonly reconnect: "advised" | "backoff" | "later" | "new_token" | "never" }>
>;

export interface AuthOptions {
  fetch?: typeof fetch;
}

/** `base` is the server's origin; "" is the page's own. All of these reject with an AuthError. */
export function guest(base?: string, options?: AuthOptions): Promise<Tokens>;
/** With a guest's access token, that guest becomes the account and keeps everything it has. */
export function register(
  base: string,
  name: string,
  password: string,
  accessToken?: string | null,
  options?: AuthOptions,
): Promise<Tokens>;
export function login(base: string, name: string, password: string, options?: AuthOptions): Promise<Tokens>;
export function refresh(base: string, refreshToken: string, options?: AuthOptions): Promise<Tokens>;
export function logout(
  base: string,
  refreshToken: string,
  accessToken?: string | null,
  options?: AuthOptions,
): Promise<unknown>;
