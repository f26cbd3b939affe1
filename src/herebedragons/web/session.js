/* Who is playing, and the one line to the server. Everything that touches the framework's client is in this file. */

import { AuthError, Client, CommandError, guest, login, logout, register } from "/starwire/starwire.js";

const ACCOUNT = "here-be-dragons.account";
const offsetsKey = (player) => `here-be-dragons.offsets.${player}`;
const base = location.origin;

let client = null;
let account = load(ACCOUNT);

function load(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function save(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing still plays; it only forgets who it was.
  }
}

function remember(answer, isGuest) {
  account = {
    player: String(answer.player),
    name: answer.name ?? "Guest",
    guest: isGuest,
    tokens: { access_token: answer.access_token, refresh_token: answer.refresh_token, expires_at: answer.expires_at },
  };
  save(ACCOUNT, account);
  return account;
}

/** The account of this browser, or null. */
export const whoever = () => account && { player: account.player, name: account.name, guest: account.guest };

export const playAsGuest = async () => remember(await guest(base), true);
export const signIn = async (name, password) => remember(await login(base, name, password), false);

/** A new account; a guest's universes go with it. */
export const signUp = async (name, password) => remember(await register(base, name, password, freshest()?.access_token), false);

export async function signOut() {
  const tokens = freshest();
  hangUp();
  if (account?.guest) localStorage.removeItem(offsetsKey(account.player));
  account = null;
  localStorage.removeItem(ACCOUNT);
  if (tokens) await logout(base, tokens.refresh_token, tokens.access_token).catch(() => {});
}

/** The newest tokens: another tab may have renewed them, and a refresh token is good for one use. */
function freshest() {
  const stored = load(ACCOUNT);
  if (account && stored?.player === account.player) account.tokens = stored.tokens;
  return account?.tokens;
}

// Whoever signs out or in as another does so in every tab.
addEventListener("storage", ({ key }) => {
  if (key === ACCOUNT && account && load(ACCOUNT)?.player !== account.player) location.reload();
});

/** Opens the line. `hear` is told of pushes, states, resyncs, status and frames, and of another epoch (`anew`). */
export function dial(hear) {
  hangUp();
  const { player } = account;
  const resume = load(offsetsKey(player));
  const mine = (client = new Client({
    tokens: async () => freshest(),
    resume,
    onTokens({ access_token, refresh_token, expires_at }) {
      account.tokens = { access_token, refresh_token, expires_at };
      save(ACCOUNT, account);
    },
  }));
  let due = null;
  const keep = () => {
    clearTimeout(due);
    due = null;
    if (mine === client && mine.epoch) save(offsetsKey(player), { epoch: mine.epoch, offsets: mine.offsets });
  };
  mine.on("*", (push) => {
    hear.push(push);
    due ??= setTimeout(keep, 400);
  });
  mine.addEventListener("hello", () => {
    if (resume?.epoch && resume.epoch !== mine.epoch) hear.anew();
    keep();
  });
  for (const name of ["state", "resync", "status", "frame"]) {
    mine.addEventListener(name, ({ detail }) => mine === client && hear[name](detail));
  }
  addEventListener("pagehide", keep);
  mine.connect();
}

export function hangUp() {
  const gone = client;
  client = null;
  gone?.close();
}

/** Now, by the server's clock, in ms since 1970. */
export const now = () => client?.now() ?? Date.now();

export const command = (name, args) => client.command(name, args);
export const view = (name, args) => client.view(name, args);

/** A view and the pushes after it: `read` gets it, `apply` every later push of its streams. Gives {reread, close}. */
export const live = (name, args, callbacks) => client.state(name, args, callbacks);

/** Whether a push tells of something that happened before the line was opened; both times are the server's. */
export const isHistory = ({ at }) => client?.welcome != null && Date.parse(at) <= Date.parse(client.welcome.server_time);

/** Sends a text as typed; false when there is no line to send it on. */
export const sendRaw = (text) => client?.raw(text) ?? false;

/** The sentence to show for whatever went wrong. */
export function sentence(error) {
  if (error instanceof CommandError || error instanceof AuthError) return error.message;
  console.error(error);
  return "Something went wrong on the way. Try again in a moment.";
}
