/* Progress as an engraver draws it: a graduated scale, the part that is done hatched, a pointer where it stands. */

import { html, useRef } from "../vendor/htm-preact.js";
import { progress } from "../growth.js";
import { put, useFrames } from "../hooks.js";

const WIDTH = 240;
const TICKS = Array.from({ length: 49 }, (_, i) => `M${i * 5} 12v${i % 12 === 0 ? -7 : i % 4 === 0 ? -5 : -3}`).join("");
const HATCH = Array.from({ length: 81 }, (_, i) => `M${i * 3} 17.5l3.5 -5`).join("");

let scales = 0;

/** `work` has started_at and due_at; `label` says what is measured. */
export function Scale({ work, label, testid = null, danger = false }) {
  const id = useRef(null);
  id.current ??= `done-${++scales}`;
  const bar = useRef(null);
  const clip = useRef(null);
  const pointer = useRef(null);
  useFrames((now) => {
    const part = progress(work, now);
    const done = (part * WIDTH).toFixed(1);
    put(clip.current, "width", done);
    put(pointer.current, "transform", `translate(${done} 0)`);
    put(bar.current, "aria-valuenow", String(Math.floor(part * 100)));
  });
  return html`
    <svg ref=${bar} class=${`scale${danger ? " danger" : ""}`} viewBox="-4 0 248 20" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow="0" data-testid=${testid}>
      <clipPath id=${id.current}><rect ref=${clip} x="0" y="12" width="0" height="6" /></clipPath>
      <path class="ticks" d=${TICKS} />
      <path class="frame" d=${`M0 12H${WIDTH}V18H0Z`} />
      <path class="hatch" d=${HATCH} clip-path=${`url(#${id.current})`} />
      <path ref=${pointer} class="pointer" d="M0 11.5L-2.6 4.5H2.6ZM0 12V18" />
    </svg>
  `;
}
