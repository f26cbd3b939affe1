/* What stands in the corners of the plate: a compass rose and an armillary sphere. */

import { fixed, polar } from "./geometry.js";
import { path } from "./engraving.js";

const at = ([x, y]) => `${fixed(x)} ${fixed(y)}`;

function rays(count, turn, long, waist, half) {
  let dark = "";
  let light = "";
  for (let i = 0; i < count; i++) {
    const d = turn + (i * 360) / count;
    const [tip, left, right] = [polar(d, long), polar(d - half, waist), polar(d + half, waist)];
    dark += `M0 0L${at(tip)}L${at(left)}Z`;
    light += `M0 0L${at(tip)}L${at(right)}Z`;
  }
  return `<path class="solid" d="${dark}"/><path class="ground cut" d="${light}"/><path class="cut" d="${dark}"/>`;
}

/** Box -50 -50 100 100. */
export function compassRose() {
  let ticks = "";
  for (let d = 0; d < 360; d += 5) ticks += `M${at(polar(d, 37))}L${at(polar(d, d % 15 ? 38.4 : 40))}`;
  return (
    `<circle class="fine" r="40"/><circle class="hair" r="37"/><circle class="hair" r="22"/><path class="hair" d="${ticks}"/>` +
    rays(8, 22.5, 27, 7, 13) + rays(4, 45, 33, 8, 24) + rays(4, 0, 44, 9.5, 42) +
    `<circle class="ground cut" r="3.4"/><circle class="solid" r="1.1"/>` +
    path("cut", "M0 -45c-2 -1 -3.5 -.4 -3.5 1M0 -45c2 -1 3.5 -.4 3.5 1M0 -44.5v-4.5M-1.4 -47.5L0 -50L1.4 -47.5")
  );
}

/** An armillary sphere on its foot. Box -50 -60 100 125. */
export function armillary() {
  const ring = (rx, ry, turn, kind = "cut") => `<ellipse class="${kind}" rx="${rx}" ry="${ry}" transform="rotate(${turn})"/>`;
  let zodiac = "";
  for (let i = 0; i < 48; i++) {
    const a = (i / 48) * Math.PI * 2;
    zodiac += `M${fixed(Math.cos(a) * 38)} ${fixed(Math.sin(a) * 11)}L${fixed(Math.cos(a) * 38)} ${fixed(Math.sin(a) * 11 + 4)}`;
  }
  return (
    ring(40, 40, 0) + ring(37.8, 37.8, 0, "fine") + ring(38, 9, -23) + ring(38, 13, -23, "hair") +
    ring(34, 8, -23, "fine") + `<g transform="rotate(23)"><path class="hair" d="${zodiac}"/>${ring(38, 11, 0)}<ellipse class="cut" rx="38" ry="11" cy="4"/></g>` +
    `<g transform="rotate(-23)"><ellipse class="fine" rx="24" ry="5.5" cy="-29"/><ellipse class="fine" rx="24" ry="5.5" cy="29"/>` +
    `<ellipse class="fine" rx="13" ry="38"/><ellipse class="hair" rx="27" ry="38"/>` +
    `<path class="cut" d="M0 -46V46M0 -46l-2 3M0 -46l2 3"/></g>` +
    `<circle class="ground cut" r="6"/><path class="hair" d="M-5.5 -2h11M-6 0h12M-5.5 2h11M-4 -4h8M-4 4h8"/>` +
    path("ground cut", "M-4 40C-3 46 -6 47 -6 50C-6 53 -12 55 -18 60H18C12 55 6 53 6 50C6 47 3 46 4 40Z") +
    path("hair", "M-5 47H5M-6 50H6M-11 55H11M-15 58H15M0 40V60M-2 41C-2 50 -6 55 -10 60M2 41C2 50 6 55 10 60")
  );
}

/** The moon's eight faces around a small Earth. Box -50 -50 100 100. */
export function moons() {
  let faces = "";
  for (let i = 0; i < 8; i++) {
    const [x, y] = polar(i * 45, 33).map(fixed);
    const lit = Math.cos((i * Math.PI) / 4);
    // The lit part: a half disc towards the sun, more or less of it by an ellipse.
    const bulge = fixed(Math.abs(lit) * 6);
    const half = i < 4 ? 1 : 0;
    const face = i === 0 ? "" : i === 4 ? "M0 -6A6 6 0 0 1 0 6A6 6 0 0 1 0 -6" : `M0 -6A6 6 0 0 ${half} 0 6A${bulge} 6 0 0 ${(lit > 0) === (half === 1) ? 0 : 1} 0 -6`;
    faces += `<g transform="translate(${x} ${y})"><circle class="ground cut" r="6"/><path class="solid" d="${face}"/></g>`;
  }
  return (
    `<circle class="hair" r="46"/><circle class="fine" r="44.5"/><circle class="fine" r="33" stroke-dasharray="1 3"/>${faces}` +
    `<circle class="ground cut" r="9"/><path class="hair" d="M-9 0H9M0 -9V9M-7.8 -4.5H7.8M-7.8 4.5H7.8"/><ellipse class="hair" rx="4.5" ry="9"/>`
  );
}

/** A comet with its hair streaming. Box -50 -50 100 100. */
export function comet() {
  let hair = "";
  for (let i = 0; i < 13; i++) {
    const spread = i - 6;
    const reach = 62 - Math.abs(spread) * 4.5 - (i % 2) * 9;
    hair += `M${fixed(-20 + Math.abs(spread) * 0.4)} ${fixed(spread * 1.3)}C${fixed(-4)} ${fixed(spread * 1.9)} ${fixed(reach * 0.4)} ${fixed(spread * 1.6 + 2)} ${fixed(reach)} ${fixed(spread * 3.1 + 7)}`;
  }
  return (
    `<g transform="rotate(-38)"><path class="fine" d="${hair}"/><g transform="translate(-27 0)">` +
    rays(8, 22.5, 11, 4, 18) + rays(4, 0, 15, 4, 40) + `<circle class="ground cut" r="3"/></g></g>`
  );
}
