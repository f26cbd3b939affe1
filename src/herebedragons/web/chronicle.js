/* What happened in each universe, as this browser heard it; kept in local storage, the newest first. */

const KEPT = 120;
const PREFIX = "here-be-dragons.chronicle.";
const open = new Map();
let reader = null;
const key = (universe) => `${PREFIX}${reader}.${universe}`;

/** Whose chronicles these are from now on. */
export function belongsTo(player) {
  reader = player;
  open.clear();
}

/** The server began anew: what was written of its universes is of another world. */
export function forget() {
  open.clear();
  for (const name of Object.keys(localStorage)) if (name.startsWith(PREFIX)) localStorage.removeItem(name);
}

export function entries(universe) {
  if (!open.has(universe)) {
    let stored = [];
    try {
      stored = JSON.parse(localStorage.getItem(key(universe))) ?? [];
    } catch {
      // An unreadable chronicle is begun anew.
    }
    open.set(universe, stored);
  }
  return open.get(universe);
}

/** The entries with this one among them, once. */
export function add(universe, entry) {
  const known = entries(universe);
  if (known.some((e) => e.offset === entry.offset && e.at === entry.at)) return known;
  const next = [entry, ...known].sort((a, b) => b.offset - a.offset).slice(0, KEPT);
  open.set(universe, next);
  try {
    localStorage.setItem(key(universe), JSON.stringify(next));
  } catch {
    // Full or forbidden storage: the page still shows what it heard.
  }
  return next;
}
