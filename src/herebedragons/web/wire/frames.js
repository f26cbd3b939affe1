/* The last frames that passed, in both directions, as exact text but for tokens. Knows nothing of how they are shown. */

const KEPT = 300;
const frames = [];
const listeners = new Set();
let count = 0;
let scheduled = false;

const TOKENS = /("(?:token|access_token|refresh_token|password)"\s*:\s*")((?:[^"\\]|\\.)*)(")/g;

/** A token is shown by its first and last letters only. */
const masked = (text) =>
  text.replace(TOKENS, (_, before, token, after) => `${before}${token.length > 12 ? `${token.slice(0, 4)}…${token.slice(-3)}` : "…"}${after}`);

/** What a frame is about, for its margin: its command, event or type. */
function subject(text) {
  try {
    const frame = JSON.parse(text);
    return frame.event ?? frame.command ?? frame.type ?? "";
  } catch {
    return "not JSON";
  }
}

export function record({ direction, text, at }) {
  const said = masked(text);
  frames.push({ n: ++count, direction, text: said, subject: subject(text), at: at ?? Date.now() });
  if (frames.length > KEPT) frames.splice(0, frames.length - KEPT);
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    for (const listener of listeners) listener();
  });
}

export const all = () => [...frames];
export const forget = () => frames.splice(0);

export function follow(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
