/* The game as this page plays it: reads views, applies pushes, sends commands; the store holds the outcome. */

import { go, here } from "./address.js";
import * as chronicle from "./chronicle.js";
import * as session from "./session.js";
import { read, update } from "./store.js";
import { apply, ASKS_TO_READ_AGAIN } from "./universe.js";
import * as wire from "./wire/frames.js";

const LONG_GAP_MS = 120_000;
const universeOf = (stream) => (stream.startsWith("universe:") ? Number(stream.slice(9)) : null);

let lostAt = -Infinity; // when the line was lost; long ago for a page that was just opened
let returning = true; // whether what the streams held when the line was opened is told as "while you were away"
let shown = null; // the live view of the universe on the table: {universe, view}
let again = null;

/** Begins playing: the account is known, the line is dialled. */
export function begin() {
  clear();
  lostAt = -Infinity;
  const account = session.whoever();
  chronicle.belongsTo(account.player);
  update({ account, universes: null, universe: null, trouble: null, away: [], chronicles: {} });
  session.dial({
    push: heard,
    state: lineChanged,
    status: (status) => "lateness" in status && update({ lateness: status.lateness }),
    resync: readUniverses, // the universe on the table is read again by its live view
    frame: wire.record,
    anew() {
      chronicle.forget();
      update({ chronicles: {}, away: [] });
    },
  });
}

export async function leave(farewell = null) {
  clear();
  await session.signOut();
  update({ account: null, universes: null, universe: null, away: [], toasts: [], star: null, trouble: farewell });
  go("");
}

function lineChanged({ state, retryIn = null, reason = null }) {
  update({ line: { state, reason, retryAt: retryIn == null ? null : Date.now() + retryIn } });
  if (state === "open") {
    returning = lostAt !== null && Date.now() - lostAt > LONG_GAP_MS;
    lostAt = null;
    readUniverses();
    if (!shown) arrive();
  } else {
    lostAt ??= Date.now();
  }
  if (state === "closed" && reason === "unauthorized") leave("Your session has ended. Please sign in again.");
}

// Pushes

function heard(push) {
  const universe = universeOf(push.stream);
  if (push.event === "announcement") update({ announcement: { text: push.message ?? push.data.text, at: push.at } });
  else if (push.event === "universe_opened" || push.event === "member_joined" || push.event === "member_left") readUniverses();
  if (universe != null && push.message) tell(universe, push);
}

function tell(universe, push) {
  const entry = { universe, offset: push.offset, event: push.event, at: push.at, message: push.message };
  update(({ chronicles }) => ({ chronicles: { ...chronicles, [universe]: chronicle.add(universe, entry) } }));
  if (returning && session.isHistory(push)) {
    update(({ away }) => ({ away: [...away, entry].slice(-200) }));
    return;
  }
  toast(push.message, push.event.startsWith("dragons_") && push.event !== "dragons_repelled");
}

let toasts = 0;
function toast(message, danger = false) {
  const id = ++toasts;
  update((s) => ({ toasts: [...s.toasts, { id, message, danger }].slice(-3) }));
  setTimeout(() => dismiss(id), danger ? 20_000 : 9_000);
}
export const dismiss = (id) => update((s) => ({ toasts: s.toasts.filter((t) => t.id !== id) }));

// Views

async function readUniverses() {
  try {
    const { result } = await session.view("universes", {});
    update({ universes: result.universes });
  } catch (error) {
    if (!read().universes) update({ trouble: session.sentence(error) });
  }
}

/** Puts the universe with this number on the table, and keeps it true. */
function open(universe) {
  if (shown?.universe === universe) return;
  clear();
  update({ universe: null, trouble: null, star: null, chronicles: { ...read().chronicles, [universe]: chronicle.entries(universe) } });
  const view = session.live("universe", { universe }, {
    read: (result) => shown?.view === view && update({ universe: result, trouble: null }),
    apply(push) {
      if (shown?.view !== view) return;
      update((s) => ({ universe: apply(s.universe, push) }));
      if (ASKS_TO_READ_AGAIN.has(push.event)) readAgain();
    },
    error: (error) => shown?.view === view && update({ trouble: session.sentence(error) }),
  });
  shown = { universe, view };
}

/** Takes the universe from the table. */
function clear() {
  shown?.view.close();
  shown = null;
}

/** Reads the universe again soon, once for however many reasons. */
function readAgain() {
  again ??= setTimeout(() => {
    again = null;
    shown?.view.reread();
  }, 120);
}

// The address decides what is on the table.

export function arrive() {
  if (!read().account) return;
  const place = here();
  if (place.page === "universe") {
    open(place.universe);
    return;
  }
  clear();
  update({ universe: null, star: null });
  if (place.page === "join") join(place.invitation);
}

async function join(invitation) {
  if (read().line.state !== "open") return;
  go("");
  try {
    const { universe } = await session.command("join", { invitation });
    go(`u/${universe}`);
  } catch (error) {
    update({ trouble: session.sentence(error) });
  }
}

// Commands: each resolves to null, or to the sentence that says why not.

async function order(name, args, done) {
  try {
    const result = await session.command(name, args);
    done?.(result);
    return null;
  } catch (error) {
    return session.sentence(error);
  }
}
const within = (args) => ({ universe: read().universe.universe, ...args });

export const createUniverse = (name, pace) => order("create_universe", { name, pace }, ({ universe }) => go(`u/${universe}`));
export const build = (planet, structure) => order("build", within({ planet, structure }));
export const cancel = (construction) => order("cancel_construction", within({ construction }));
export const sendProbe = (star) => order("send_probe", within({ star }));
export const renamePlanet = (planet, name) => order("rename_planet", within({ planet, name }));
export const invite = (done) => order("invite", within({}), ({ invitation }) => done(invitation));
