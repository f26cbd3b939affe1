/* Time in components: the page moves by the server's clock. */

import { useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { now } from "./session.js";

const reduced = matchMedia("(prefers-reduced-motion: reduce)");
export const stillness = () => reduced.matches;

/** The server's time, anew every `every` ms. */
export function useNow(every = 1000) {
  const [time, set] = useState(now);
  useEffect(() => {
    const timer = setInterval(() => set(now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return time;
}

/** Calls `draw(now)` every animation frame, or every `slow` ms where motion is not wanted. */
export function useFrames(draw, slow = 1000) {
  const latest = useRef(draw);
  latest.current = draw;
  useEffect(() => {
    let frame = 0;
    let timer = 0;
    const step = () => {
      latest.current(now());
      if (stillness()) timer = setTimeout(step, slow);
      else frame = requestAnimationFrame(step);
    };
    step();
    return () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
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
