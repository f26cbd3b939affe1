/* Stars as cut points sized by magnitude, and where their names go. */

import { fixed, polar } from "./geometry.js";

export const size = (magnitude) => 1.1 + (6 - Math.min(6, Math.max(0, magnitude))) * 0.52;

const points = (magnitude) => (magnitude < 1.5 ? 8 : magnitude < 2.7 ? 6 : magnitude < 3.8 ? 5 : 4);

/** A cut star: each ray one half bright and one half in shade, as a facet catches the light. */
export function cutStar(magnitude) {
  const [r, n] = [size(magnitude), points(magnitude)];
  const inner = r * (n > 6 ? 0.42 : n > 4 ? 0.4 : 0.3);
  let [lit, shade, edge] = ["", "", ""];
  for (let i = 0; i < n; i++) {
    const d = (i * 360) / n;
    const reach = n === 8 && i % 2 ? r * 0.68 : r;
    const [tip, left, right] = [polar(d, reach), polar(d - 180 / n, inner), polar(d + 180 / n, inner)].map((p) => p.map(fixed).join(" "));
    lit += `M0 0L${tip}L${left}Z`;
    shade += `M0 0L${tip}L${right}Z`;
    edge += `${i ? "L" : "M"}${tip}L${right}`;
  }
  return { lit, shade, edge: edge + "Z", r };
}

/** The home star: a sun with straight and waving rays. Radius about 6. */
export function sun() {
  let straight = "";
  let waving = "";
  const p = (d, r) => polar(d, r).map(fixed).join(" ");
  for (let i = 0; i < 8; i++) {
    const d = i * 45;
    straight += `M${p(d - 9, 2.9)}L${p(d, 6.6)}L${p(d + 9, 2.9)}`;
    const w = d + 22.5;
    waving += `M${p(w - 7, 2.9)}Q${p(w - 13, 4.1)} ${p(w, 4.7)}T${p(w + 2, 6)}M${p(w + 7, 2.9)}Q${p(w + 1, 4)} ${p(w + 7, 4.7)}T${p(w + 2, 6)}`;
  }
  return (
    `<path class="ground cut" d="${straight}"/><path class="fine" d="${waving}"/><circle class="ground cut" r="2.9"/>` +
    `<path class="fine" d="M-1.5 -.6q.5 -.5 1 0M.5 -.6q.5 -.5 1 0M0 -.5l-.25 1l.4 .1M-.9 1.1q.9 .7 1.8 0"/>` +
    `<path class="hair" d="M-2.5 -1.3A2.8 2.8 0 0 0 -2.5 1.3M-2.2 -1.8A2.8 2.8 0 0 0 -2.2 1.8M-1.8 -1.5A2.3 2.3 0 0 0 -1.9 1.4"/>`
  );
}

/**
 * Where each name goes: star → {x, y, anchor}, or nothing where it would cover another.
 * `unit` is how many map units a CSS pixel is, `middle` where home is in pixels; `first` are the stars whose names must be seen.
 */
export function namePlaces(stars, { unit, middle }, first = [], fontPx = 12.5) {
  const snap = (n, offset) => Math.round((Math.round(n / unit + offset) - offset) * unit * 1000) / 1000;
  const taken = stars.map((s) => box(s.x - size(s.magnitude), s.y - size(s.magnitude), size(s.magnitude) * 2, size(s.magnitude) * 2));
  taken.push(box(-9, -9, 18, 18));
  const places = new Map();
  const order = [...stars].sort((a, b) => first.includes(b.star) - first.includes(a.star) || a.magnitude - b.magnitude);
  for (const star of order) {
    const [w, h] = [star.name.length * fontPx * 0.56 * unit, fontPx * unit];
    const gap = size(star.magnitude) + 3 * unit + (star.home ? 8 : star.probed ? 1.4 : 0);
    const tries = [
      [star.x + gap, star.y + h * 0.32, "start", star.x + gap, star.y - h * 0.6],
      [star.x - gap, star.y + h * 0.32, "end", star.x - gap - w, star.y - h * 0.6],
      [star.x, star.y + gap + h * 0.75, "middle", star.x - w / 2, star.y + gap],
      [star.x, star.y - gap - h * 0.15, "middle", star.x - w / 2, star.y - gap - h],
    ];
    if (star.home) tries.unshift(tries.splice(2, 1)[0]);
    const free = tries.find(([, , , x, y]) => inSky(x, y, w, h) && !taken.some((t) => meets(t, box(x, y, w, h), star)));
    const chosen = free ?? (first.includes(star.star) ? tries[0] : null);
    if (!chosen) continue;
    const [x, y, anchor, left, top] = chosen;
    taken.push(box(left, top, w, h));
    places.set(star.star, { x: snap(x, middle[0]), y: snap(y, middle[1]), anchor }); // on whole pixels letters are sharp
  }
  return places;
}

const box = (x, y, w, h) => ({ x, y, w, h });
const meets = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
const inSky = (x, y, w, h) => [[x, y], [x + w, y], [x, y + h], [x + w, y + h]].every(([a, b]) => Math.hypot(a, b) < 107);

/** The nearest star to a point within `reach`, or null. */
export function nearest(stars, [x, y], reach) {
  let best = null;
  let least = reach;
  for (const star of stars) {
    const distance = Math.hypot(star.x - x, star.y - y);
    if (distance < least) [best, least] = [star, distance];
  }
  return best;
}
