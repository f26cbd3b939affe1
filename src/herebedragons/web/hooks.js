/* Time in components: the page moves by the server's clock. */

import { useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { now } from "./session.js";

const reduced = matchMedia("(prefers-reduced-motion: reduce)");
const stillness = () => reduced.matches;

/** The server's time, anew every `every` ms. */
export function useNow(every = 1000) {
  const [time, set] = useState(now);
  useEffect(() => {
    const timer = setInterval(() => set(now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return time;
}

/** Writes an attribute only where it changes: what stands still costs no repainting. */
export function put(node, name, value) {
  if (node && node.getAttribute(name) !== value) node.setAttribute(name, value);
}

const FRAME_MS = 50; // all motion here is slow: twenty drawings a second are smooth
const STILL_MS = 1000; // where motion is not wanted, figures still have to be right
const drawers = new Set();
let ticking = false;

/** One beat for everything that moves: a hidden page has none, a page where nothing moves stops it. */
function tick() {
  if (!drawers.size) {
    ticking = false;
    return;
  }
  const time = now();
  for (const drawer of drawers) drawer(time);
  setTimeout(() => requestAnimationFrame(tick), stillness() ? STILL_MS : FRAME_MS);
}

/** Calls `draw(now)` for every frame, and at once. With `still`, at most so often (ms) where motion is not wanted. */
export function useFrames(draw, still = STILL_MS) {
  const latest = useRef(draw);
  latest.current = draw;
  useEffect(() => {
    let last = -Infinity;
    const drawer = (time) => {
      if (stillness() && Math.abs(time - last) < still) return;
      last = time;
      latest.current(time);
    };
    drawer(now());
    drawers.add(drawer);
    if (!ticking) {
      ticking = true;
      requestAnimationFrame(tick);
    }
    return () => drawers.delete(drawer);
  }, []);
}

/** Barely twinkling: now and then one of the stars under `root` is a little fainter for a moment. */
export function useTwinkle(root) {
  useEffect(() => {
    if (stillness()) return undefined;
    const timer = setInterval(() => {
      const stars = root.current?.querySelectorAll(".twinkle") ?? [];
      const star = stars[Math.floor(Math.random() * stars.length)];
      star?.classList.add("dim");
      setTimeout(() => star?.classList.remove("dim"), 700);
    }, 900);
    return () => clearInterval(timer);
  }, []);
}

/** A command's state for a control: [run, busy, complaint]. The complaint goes when it is tried again. */
export function useOrder(send) {
  const [busy, setBusy] = useState(false);
  const [complaint, setComplaint] = useState(null);
  const run = async (...args) => {
    if (busy) return;
    setBusy(true);
    setComplaint(null);
    setComplaint((await send(...args)) ?? null);
    setBusy(false);
  };
  return [run, busy, complaint];
}
