/* The chart: the rim and the sky are engraved once; stars, courses and what moves are drawn from the universe. */

import { html, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { placeBeasts, Beast } from "./chart/blank.js";
import { Courses, Routes } from "./chart/courses.js";
import { BOX, fixed, project } from "./chart/geometry.js";
import { milkyWay, net, rim } from "./chart/rim.js";
import { cutStar, namePlaces, nearest, size, sun } from "./chart/stars.js";
import { put, useFrames, useTwinkle } from "./hooks.js";

const VIEW = `${-BOX} ${-BOX} ${2 * BOX} ${2 * BOX}`;
const BACKGROUND = rim() + milkyWay();
const YEAR_MS = 240_000; // one turn of the home planet on the chart
const TAP_PX = 26;

export function Chart({ universe, pinned, pin, pointed, point }) {
  const svg = useRef(null);
  const sheet = useRef(null);
  const shown = useShownSize(svg);
  const { unit } = shown;
  const stars = useMemo(() => universe.stars.map((s) => ({ ...s, ...project(s, universe.map.radius) })), [universe.stars, universe.map.radius]);
  const first = [pinned, pointed].filter((s) => s != null);
  const places = useMemo(() => namePlaces(stars, shown, first), [stars, shown, pinned, pointed]);
  useTwinkle(sheet);

  const starAt = (event, px) => {
    const matrix = svg.current.getScreenCTM().inverse();
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    return nearest(stars, [p.x, p.y], px * unit)?.star ?? null;
  };
  return html`
    <div class="layers" ref=${sheet}>
      <${Engraving} stars=${stars} />
      <svg class="chart moving" viewBox=${VIEW} aria-hidden="true"><${Courses} universe=${universe} stars=${stars} /><${HomePlanet} star=${stars.find((s) => s.home)} planet=${universe.planets[0]} /></svg>
      <svg
        ref=${svg} class="chart stars" viewBox=${VIEW} data-testid="star-map"
        role="group" aria-label=${`Star map of ${universe.name}: ${stars.length} known ${stars.length === 1 ? "star" : "stars"}`}
        onClick=${(e) => pin(starAt(e, TAP_PX))}
        onKeyDown=${(e) => e.key === "Escape" && pin(null)}
        onPointerMove=${(e) => e.pointerType === "mouse" && point(starAt(e, 16))}
        onPointerLeave=${() => point(null)}
      >
        ${stars.map((star) => html`<${Star} key=${star.star} star=${star} unit=${unit} place=${places.get(star.star)} pin=${pin}
          chosen=${star.star === pinned} pointed=${star.star === pointed} />`)}
      </svg>
    </div>
  `;
}

/** What stands still, on a sheet of its own, so that nothing that moves makes it be drawn again. */
function Engraving({ stars }) {
  const beasts = useMemo(() => placeBeasts(stars), [stars]);
  const reach = useMemo(() => Math.max(16, ...stars.map((s) => Math.hypot(s.x, s.y) + 5)), [stars]);
  const ground = useMemo(() => net(reach), [reach]);
  return html`
    <svg class="chart engraving" viewBox=${VIEW} aria-hidden="true">
      <defs>
        <radialGradient id="sky-depth"><stop offset="0" class="depth-near" /><stop offset="0.75" class="depth-mid" /><stop offset="1" class="depth-far" /></radialGradient>
        <clipPath id="known"><circle r=${fixed(reach)} /></clipPath>
      </defs>
      <g dangerouslySetInnerHTML=${{ __html: BACKGROUND }} />
      <g dangerouslySetInnerHTML=${{ __html: ground }} />
      ${beasts.map((place) => html`<${Beast} key=${place.kind} ...${place} />`)}
      <${Routes} stars=${stars} />
    </svg>
  `;
}

function Star({ star, unit, place, chosen, pointed, pin }) {
  const drawing = useMemo(() => (star.home ? null : cutStar(star.magnitude)), [star.magnitude, star.home]);
  const ring = (star.home ? 8 : size(star.magnitude)) + 4 * unit;
  const choose = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    pin(star.star);
  };
  const label = [star.name, star.home ? "home" : `magnitude ${star.magnitude.toFixed(1)}`, star.probed && !star.home ? "visited" : ""].filter(Boolean).join(", ");
  return html`
    <g class=${`star${chosen ? " chosen" : ""}${pointed ? " pointed" : ""}${star.probed ? " probed" : ""}`} role="button" tabindex="0"
      aria-label=${label} aria-pressed=${chosen ? "true" : "false"} data-star=${star.star} onKeyDown=${choose} onFocus=${() => pin(star.star, true)}>
      <g transform=${`translate(${fixed(star.x)} ${fixed(star.y)})`}>
        <circle class="touch" r=${fixed(Math.max(12 * unit, ring))} />
        ${drawing
          ? html`<g class="twinkle"><path class="lit" d=${drawing.lit} /><path class="shade" d=${drawing.shade} /><path class="edge" d=${drawing.edge} /></g>
              ${star.probed && html`<circle class="visited" r=${fixed(drawing.r + 1.1)} />`}`
          : html`<g class="sun" dangerouslySetInnerHTML=${{ __html: sun() }} />`}
        <circle class="ring" r=${fixed(ring)} />
      </g>
      ${place && html`<text class="star-name" x=${place.x} y=${place.y} text-anchor=${place.anchor} font-size=${fixed(12.5 * unit)} stroke-width=${fixed(3 * unit)}>${star.name}</text>`}
    </g>
  `;
}

/** The home planet on its slow round, with its night side turned from the sun. */
function HomePlanet({ star, planet }) {
  const body = useRef(null);
  useFrames((now) => {
    if (!body.current || !star) return;
    const turn = Math.round(((now % YEAR_MS) / YEAR_MS) * 720) / 2; // steps of half a degree are a quarter of a pixel
    put(body.current, "transform", `translate(${fixed(star.x)} ${fixed(star.y)}) rotate(${turn}) translate(11 0)`);
  }, 5000);
  if (!star || !planet) return null;
  return html`
    <g class="planet">
      <circle class="orbit" cx=${star.x} cy=${star.y} r="11" />
      <g ref=${body}>
        <circle class="ground cut" r="1.9" />
        <path class="solid night" d="M0 -1.9A1.9 1.9 0 0 1 0 1.9A2.6 2.6 0 0 0 0 -1.9Z" />
      </g>
    </g>
  `;
}

/** How many map units a CSS pixel is as the chart is shown now, and at which pixel its middle is. */
function useShownSize(svg) {
  const [shown, set] = useState({ unit: 0.37, middle: [0, 0] });
  useEffect(() => {
    const measure = () => {
      const { left, top, width, height } = svg.current.getBoundingClientRect();
      if (width) set({ unit: (2 * BOX) / Math.min(width, height), middle: [left + width / 2, top + height / 2] });
    };
    const observer = new ResizeObserver(measure);
    observer.observe(svg.current);
    return () => observer.disconnect();
  }, []);
  return shown;
}
