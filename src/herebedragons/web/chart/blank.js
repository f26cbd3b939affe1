/* The unexplored: beasts are drawn where no star is known, and fade as stars are found around them. */

import { html } from "../vendor/htm-preact.js";
import { dragon, DRAGON_BOX, serpent, SERPENT_BOX } from "./beasts.js";
import { fixed, polar } from "./geometry.js";

const KINDS = {
  dragon: { draw: dragon, box: DRAGON_BOX, least: 62, most: 84, radius: 61, reach: 34, grain: 8 },
  serpent: { draw: serpent, box: SERPENT_BOX, least: 46, most: 64, radius: 72, reach: 25, grain: 11 },
};

const clearance = (stars, [x, y]) => Math.min(...stars.map((s) => Math.hypot(s.x - x, s.y - y)));

/** Places for the beasts: [{kind, x, y, angle, faint}], each in the emptiest part that is left. */
export function placeBeasts(stars) {
  const places = [];
  for (const [kind, { radius, reach }] of Object.entries(KINDS)) {
    let best = null;
    for (let angle = 0; angle < 360; angle += 15) {
      const at = polar(angle, radius);
      const apart = places.length ? Math.hypot(at[0] - places[0].x, at[1] - places[0].y) : 200;
      if (apart < 88) continue;
      // Of equally empty places the lower right is the first choice for the dragon, the left for the serpent.
      const taste = Math.cos(((angle - (kind === "dragon" ? 125 : 285)) * Math.PI) / 180) * 6;
      const clear = clearance(stars, at);
      if (!best || Math.min(clear, reach * 1.3) + taste > best.score) best = { kind, x: at[0], y: at[1], angle, clear, score: Math.min(clear, reach * 1.3) + taste };
    }
    if (best) places.push({ ...best, faint: best.clear < reach });
  }
  return places;
}

/** The words on an arc near the rim, upright in either half. */
function motto(angle) {
  const upper = angle < 90 || angle > 270;
  const r = upper ? 98.5 : 102.5;
  const [from, to] = upper ? [angle - 40, angle + 40] : [angle + 40, angle - 40];
  const [a, b] = [polar(from, r), polar(to, r)];
  return `M${a.map(fixed)}A${r} ${r} 0 0 ${upper ? 1 : 0} ${b.map(fixed)}`;
}

export function Beast({ kind, x, y, angle, faint, clear }) {
  const { draw, box, least, most, grain } = KINDS[kind];
  const width = Math.min(most, Math.max(least, clear * 1.7));
  const scale = width / box[2];
  const mirrored = x < 0 ? -1 : 1;
  const centre = `${-(box[0] + box[2] / 2)} ${-(box[1] + box[3] / 2)}`;
  return html`
    <g class=${`beast${faint ? " faint" : ""}`} aria-hidden="true">
      <g transform=${`translate(${fixed(x)} ${fixed(y)}) scale(${fixed(scale * mirrored * 1000) / 1000} ${scale}) translate(${centre})`} dangerouslySetInnerHTML=${{ __html: draw(grain) }} />
      ${kind === "dragon" && html`
        <path id="motto" class="unseen" d=${motto(angle)} />
        <text class="motto"><textPath href="#motto" startOffset="50%" text-anchor="middle">here be dragons</textPath></text>`}
    </g>
  `;
}
