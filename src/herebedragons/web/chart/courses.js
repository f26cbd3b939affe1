/* What is on its way: probes along dashed arcs, dragons along a red one from the rim. Where each is follows from the clock. */

import { html, useMemo, useRef } from "../vendor/htm-preact.js";
import { progress } from "../growth.js";
import { put, useFrames } from "../hooks.js";
import { flyer as drawFlyer } from "./beasts.js";
import { line } from "./engraving.js";
import { arc, arcPath, arcUntil, fixed, onArc, polar, RIM, spiral } from "./geometry.js";

const HOUR_MS = 3_600_000;

/** A tenth of a map unit is a quarter of a pixel: a smaller step would be drawn for nobody. */
const near = (n) => Math.round(n * 10) / 10;

const homeOf = (stars) => stars.find((s) => s.home) ?? { x: 0, y: 0 };

/** The ways that have been flown. */
export function Routes({ stars }) {
  const { x, y } = homeOf(stars);
  return html`${stars.filter((s) => s.probed && !s.home).map((s) => html`<path key=${s.star} class="route" d=${arcPath(arc([x, y], [s.x, s.y]))} />`)}`;
}

export function Courses({ universe, stars }) {
  const home = homeOf(stars);
  const at = new Map(stars.map((s) => [s.star, [s.x, s.y]]));
  return html`
    <g>
      ${universe.probes.map((p) => at.has(p.star) && html`<${Probe} key=${p.process} probe=${p} from=${at.get(p.from_star) ?? [home.x, home.y]} to=${at.get(p.star)} />`)}
      ${universe.dragons && html`<${Dragons} key=${universe.dragons.process} dragons=${universe.dragons} universe=${universe} />`}
    </g>
  `;
}

function Probe({ probe, from, to }) {
  const way = useMemo(() => arc(from, to), [String(from), String(to)]);
  const flown = useRef(null);
  const vessel = useRef(null);
  useFrames((now) => {
    const t = progress(probe, now);
    const { at, heading } = onArc(way, t);
    put(vessel.current, "transform", `translate(${near(at[0])} ${near(at[1])}) rotate(${heading.toFixed(0)})`);
    put(flown.current, "d", arcPath(arcUntil(way, t).map((p) => p.map(near))));
  }, 3000);
  return html`
    <path class="course" d=${arcPath(way)} />
    <path class="flown" ref=${flown} />
    <g ref=${vessel}><path class="vessel" d="M3.4 0L-1.8 -1.7L-.8 0L-1.8 1.7Z" /></g>
  `;
}

/** When the dragons were seen: their process knows; a page that has not heard of it assumes the usual warning. */
function passage({ arrives_at, process }, { processes, pace }) {
  const known = processes.find((p) => p.process === process);
  return { started_at: known?.started_at ?? new Date(Date.parse(arrives_at) - (25 * HOUR_MS) / pace).toISOString(), due_at: arrives_at };
}

function Dragons({ dragons, universe }) {
  const bearing = (Number(dragons.process) * 137.5) % 360;
  const way = useMemo(() => spiral(bearing), [bearing]);
  const span = passage(dragons, universe);
  const ahead = useRef(null);
  const flyer = useRef(null);
  useFrames((now) => {
    const f = progress(span, now) * (way.length - 1);
    const i = Math.min(way.length - 2, Math.floor(f));
    const [a, b] = [way[i], way[i + 1]];
    const at = [0, 1].map((k) => a[k] + (b[k] - a[k]) * (f - i));
    const heading = (Math.atan2(b[1] - a[1], b[0] - a[0]) * 180) / Math.PI;
    put(flyer.current, "transform", `translate(${near(at[0])} ${near(at[1])}) rotate(${heading.toFixed(0)})`);
    put(ahead.current, "d", line([at, ...way.slice(i + 1)]));
  }, 3000);
  const [x1, y1] = polar(bearing, RIM.inner);
  const [x2, y2] = polar(bearing, RIM.edge);
  return html`
    <g class="dragons-course">
      <path class="behind" d=${line(way)} />
      <path class="ahead" ref=${ahead} />
      <path class="entry" d=${`M${fixed(x1)} ${fixed(y1)}L${fixed(x2)} ${fixed(y2)}`} />
      <g ref=${flyer} dangerouslySetInnerHTML=${{ __html: drawFlyer() }} />
    </g>
  `;
}
