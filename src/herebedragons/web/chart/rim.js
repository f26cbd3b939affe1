/* The frame of the chart: graduated rim, the quarters of the sky in Latin, the net of the known sky. Drawn once. */

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
  for (let d = 0; d < 360; d += 10) {
    if (d % 90 === 0) continue;
    numerals += `<text class="degree" transform="rotate(${d}) translate(0 ${-RIM.outer - 1.4})">${d}</text>`;
  }
  return `<path class="fine" d="${fine}"/><path class="cut" d="${strong}"/>` + numerals;
}

const QUARTERS = [["Septentrio", 0], ["Oriens", 90], ["Meridies", 180], ["Occidens", 270]];

function quarters() {
  return QUARTERS.map(([word, d]) => `<text class="quarter" transform="rotate(${d}) translate(0 ${-RIM.outer - 1.2})">${word}</text>`).join("");
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
  let dots = "";
  for (let i = 0; i < 900; i++) {
    const along = (random() * 2 - 1) * 112;
    const across = (random() + random() + random() - 1.5) * 30 * (1 + 0.25 * Math.sin(along / 17));
    const x = along * 0.83 - across * 0.55 + Math.sin(along / 30) * 6;
    const y = along * 0.55 + across * 0.83 + 8;
    if (Math.hypot(x, y) > RIM.sky - 1) continue;
    const r = random() < 0.08 ? 0.26 : 0.13;
    dots += `M${fixed(x - r)} ${fixed(y)}h${r * 2}`;
  }
  return `<path class="milk" d="${dots}"/>`;
}

export function rim() {
  return (
    `<circle class="sky" r="${RIM.sky}"/>` +
    circle(RIM.sky, "hair") + circle(RIM.inner, "cut") + circle(RIM.scale, "fine") + circle(RIM.scale + 1.2, "fine") +
    circle(RIM.outer + 5.2, "hair") + circle(RIM.edge - 2.2, "cut heavy") + circle(RIM.edge - 0.8, "fine") +
    graduation() + quarters()
  );
}
