/* The frame of the chart: graduated rim, the twelve winds of the ancients, the net of the known sky. Drawn once. */

import { fixed, polar, RIM } from "./geometry.js";
import { seeded } from "./engraving.js";

const circle = (r, kind) => `<circle class="${kind}" r="${r}"/>`;
const tick = (degrees, from, to) => {
  const [a, b] = [polar(degrees, from), polar(degrees, to)];
  return `M${fixed(a[0])} ${fixed(a[1])}L${fixed(b[0])} ${fixed(b[1])}`;
};

function graduation() {
  let fine = "";
  let strong = "";
  let checks = "";
  let numerals = "";
  for (let d = 0; d < 360; d++) {
    if (d % 5) fine += tick(d, RIM.inner, RIM.inner + 1.6);
    else strong += tick(d, RIM.inner, d % 10 ? RIM.inner + 2.6 : RIM.scale);
  }
  for (let d = 0; d < 360; d += 5) {
    if ((d / 5) % 2) continue;
    for (let k = 0; k < 5; k++) checks += tick(d + 0.5 + k, RIM.scale, RIM.scale + 1.2);
    const [a, b, c, e] = [polar(d, RIM.scale), polar(d + 5, RIM.scale), polar(d + 5, RIM.scale + 1.2), polar(d, RIM.scale + 1.2)];
    numerals += `<path class="check" d="M${a.map(fixed)}A${RIM.scale} ${RIM.scale} 0 0 1 ${b.map(fixed)}L${c.map(fixed)}A${RIM.scale + 1.2} ${RIM.scale + 1.2} 0 0 0 ${e.map(fixed)}Z"/>`;
  }
  for (let d = 0; d < 360; d += 10) numerals += `<text class="degree" ${outward(d, RIM.numerals, 2.2)}>${d}</text>`;
  return `<path class="fine" d="${fine}"/><path class="cut" d="${strong}"/>` + numerals;
}

/** Places a text on the rim so that it reads upright: from within above, from without below. `high` is its letters' height. */
function outward(degrees, radius, high) {
  const below = degrees > 90 && degrees < 270;
  return below ? `transform="rotate(${degrees - 180}) translate(0 ${fixed(radius + high)})"` : `transform="rotate(${degrees}) translate(0 ${-radius})"`;
}

const WINDS = ["Septentrio", "Aquilo", "Caecias", "Subsolanus", "Vulturnus", "Euronotus", "Auster", "Libonotus", "Africus", "Favonius", "Corus", "Circius"];

function winds() {
  return WINDS.map((wind, i) => {
    const between = `<path class="fine" transform="rotate(${i * 30 + 15}) translate(0 ${-RIM.words - 2.2})" d="M0 -1.6L1 0L0 1.6L-1 0ZM-5 0H-2.2M5 0H2.2"/>`;
    return `<text class="wind${i % 3 ? "" : " cardinal"}" ${outward(i * 30, RIM.words + 0.6, 3)}>${wind}</text>${between}`;
  }).join("");
}

/** The net of circles and hours, and the tilted way of the planets, out to where the sky is known. */
export function net(reach) {
  let hours = "";
  for (let h = 0; h < 24; h++) hours += tick(h * 15, h % 2 ? 50 : 12, RIM.sky);
  let circles = "";
  for (const r of [25, 50, 75, 100]) circles += circle(r, "net");
  return (
    `<g class="net-known"><path class="net" d="${hours}"/>${circles}` +
    `<circle class="net dashed" cx="14" cy="-20" r="62"/><circle class="net dashed" cx="14" cy="-20" r="60.5"/></g>` +
    `<circle class="reach" r="${fixed(reach)}"/>`
  );
}

/** A river of small dots across the sky. */
export function milkyWay() {
  const random = seeded(1660);
  let [small, large] = ["", ""];
  for (let i = 0; i < 1300; i++) {
    const along = (random() * 2 - 1) * 112;
    const across = (random() + random() + random() - 1.5) * 30 * (1 + 0.25 * Math.sin(along / 17));
    const x = along * 0.83 - across * 0.55 + Math.sin(along / 30) * 6;
    const y = along * 0.55 + across * 0.83 + 8;
    if (Math.hypot(x, y) > RIM.sky - 4) continue;
    const dot = `M${fixed(x)} ${fixed(y)}h.01`;
    if (random() < 0.08) large += dot;
    else small += dot;
  }
  return `<path class="milk" d="${small}"/><path class="milk large" d="${large}"/>`;
}

/** The sky darkens towards the rim, by the burin: short lines, longer and shorter. */
function shading() {
  const random = seeded(1687);
  let lines = "";
  for (let d = 0; d < 720; d++) lines += tick(d / 2, RIM.sky, RIM.sky - (d % 2 ? 1 : 2.2) - random() * 1.6);
  return `<path class="shading" d="${lines}"/>`;
}

export function rim() {
  return (
    `<circle class="sky" r="${RIM.sky}"/>` +
    circle(RIM.sky, "hair") + circle(RIM.inner, "cut") + circle(RIM.scale, "fine") + circle(RIM.scale + 1.2, "fine") +
    circle(RIM.words - 1.2, "hair") + circle(RIM.outer, "fine") + circle(RIM.outer + 1.4, "cut heavy") + circle(RIM.edge, "hair") +
    shading() + graduation() + winds()
  );
}
