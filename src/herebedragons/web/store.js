/* What the page knows, in one place; whoever shows a part of it is told when that part changes. */

import { useEffect, useRef, useState } from "./vendor/htm-preact.js";

const state = {
  account: null, // {player, name, guest}
  line: { state: "closed", retryAt: null },
  lateness: 0,
  universes: null, // the list, once read
  universe: null, // the one on the table, as the view gives it and pushes changed it
  trouble: null, // why a universe cannot be shown
  star: null, // the star whose note is pinned
  chronicles: {}, // universe → [{offset, event, at, message}], newest first
  away: [], // what happened before this page was opened
  toasts: [],
  announcement: null,
  wireOpen: false,
};
const listeners = new Set();

export const read = () => state;

export function update(patch) {
  Object.assign(state, typeof patch === "function" ? patch(state) : patch);
  for (const listener of [...listeners]) listener();
}

/** The part of the state that `select` picks; the component is drawn again when it becomes another object. */
export function useStore(select) {
  const [, draw] = useState(0);
  const shown = useRef({});
  shown.current = { select, picked: select(state) };
  useEffect(() => {
    const listener = () => {
      if (shown.current.select(state) !== shown.current.picked) draw((n) => n + 1);
    };
    listeners.add(listener);
    listener();
    return () => listeners.delete(listener);
  }, []);
  return shown.current.picked;
}
