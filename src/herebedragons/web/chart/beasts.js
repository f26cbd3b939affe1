/* The beasts in the blank parts of the chart, engraved once when first asked for.
   Each is SVG text in a box of its own, lines only: classes ground, cut, fine and hair are styled by chart.css. */

import { along, body, crest, hide, line, path, seeded, wing } from "./engraving.js";

const memo = new Map();
function once(key, draw) {
  if (!memo.has(key)) memo.set(key, draw());
  return memo.get(key);
}

/** The head in its own frame: the neck joins at (0,0), it looks along -x. About 75 long. */
const HEAD = [
  // far horn and ear
  ["ground cut", "M-8 -17C2 -32 18 -40 38 -40C26 -34 17 -26 10 -13Z"],
  ["hair", "M0 -20C9 -29 18 -34 28 -37M3 -17C11 -26 19 -31 27 -35"],
  // lower jaw
  ["ground cut", "M0 13C-10 21 -22 24 -34 25C-44 26 -52 25 -59 29C-57 22 -52 19 -45 17C-34 15 -24 11 -15 3Z"],
  ["hair", "M-54 25C-44 22 -30 21 -18 15M-48 24C-38 23 -26 21 -14 17M-40 21.5C-32 20 -24 18 -16 13"],
  ["ground cut", "M-50 18.5L-52 12.5L-47.5 17ZM-44 16.5L-46 9.5L-40.5 15.5ZM-37 15L-38 9L-33.5 13.5ZM-30.5 12.5L-31 7.5L-27 10.5Z"],
  // tongue
  ["cut", "M-18 9C-30 12 -40 10 -48 6C-56 2 -62 5 -67 9M-56 3.5C-61 2 -66 0 -72 2"],
  // skull and upper jaw
  ["ground cut", "M6 -19C-4 -25 -14 -26 -22 -23C-26 -27 -32 -27 -34 -22C-40 -19 -48 -17 -54 -17C-60 -20 -67 -17 -67 -11C-70 -8 -69 -3 -64 -3C-60 -1 -57 -3 -53 -4C-44 -2 -34 1 -26 4C-20 6 -15 6 -12 4L-2 14C4 18 10 16 13 12L14 -14Z"],
  ["ground cut", "M-62 -3L-61 5L-57.5 -3ZM-53 -4L-51.5 3L-48 -3.2ZM-45 -2.6L-43.5 4L-40 -1.2ZM-37 -0.5L-35 5.5L-32.5 1.2ZM-30 2.5L-28 7.5L-25.5 4.2Z"],
  // nostril, brow, eye
  ["cut", "M-64 -12C-62 -15 -58 -15 -57 -12C-59 -10 -62 -10 -63 -11.5"],
  ["cut", "M-36 -19C-33 -14 -26 -12 -19 -14C-14 -16 -10 -17 -6 -16"],
  ["ground cut", "M-31 -14.5C-29 -19 -23 -19.5 -20 -15C-23 -11.5 -28 -11.5 -31 -14.5Z"],
  ["solid", "M-27.2 -15.3a1.9 2.3 0 1 0 3.8 0a1.9 2.3 0 1 0 -3.8 0Z"],
  ["hair", "M-33 -11C-28 -8.5 -21 -8.5 -16 -11M-32 -9C-27 -6.5 -20 -6.5 -14 -9.5"],
  // snout folds and shading
  ["hair", "M-55 -15C-52 -12 -52 -8 -54 -5M-51 -15.5C-48 -12 -48 -8 -50 -4.5M-47 -16C-44 -12 -44 -8 -46 -4M-43 -17C-40 -13 -40 -7 -42 -3M-39 -18C-36.5 -14 -36.5 -6 -38 -1.5"],
  ["hair", "M-20 -22C-14 -23.5 -7 -22.5 0 -19M-16 -20C-11 -21 -6 -20 1 -16.5M-10 -17C-6 -17 -2 -16 2 -13.5"],
  ["hair", "M-24 1C-20 3 -16 3 -12 1M-26 -1.5C-21 0.5 -15 0.5 -10 -2M-27 -4C-22 -2 -14 -2 -8 -5M-10 5L-1 14M-7 3.5L2 14.5M-4 2L5 14.5M-1 0.5L8 14"],
  // near horn
  ["ground cut", "M-12 -22C-6 -37 8 -49 30 -53C18 -43 8 -33 3 -17C-2 -18 -7 -20 -12 -22Z"],
  ["hair", "M-8 -25C-6 -26 0 -24 3 -21M-6 -29C-3 -30 3 -28 5 -25M-2 -33C0 -34 6 -32 8 -30M2 -38C5 -38 9 -37 12 -35M8 -42C10 -43 14 -41 16 -40M14 -46C16 -46 19 -45 21 -45"],
  // cheek frill, fan of three
  ["ground cut", "M-4 -8C6 -14 20 -20 34 -22C30 -16 29 -13 29 -9C34 -8 38 -5 41 -1C34 0 29 2 26 6C28 10 29 15 28 21C19 18 8 14 -3 8C-7 3 -7 -4 -4 -8Z"],
  ["cut", "M-4 -3C8 -9 20 -16 34 -22M-4 0C10 -1 26 -2 41 -1M-4 4C6 9 17 15 28 21"],
  ["hair", "M2 -7.5C12 -11 22 -14 29.5 -13M4 -4C12 -6 20 -8 28.5 -9.5M4 -2C14 -4 24 -5 34 -5.5M4 2C12 3 20 4 27 4.5M4 5C12 8 19 10 27 11.5M6 3.5C13 5 20 6.5 26 8"],
  // beard
  ["cut", "M-30 25C-30 33 -34 38 -40 42M-24 23.5C-23 32 -26 39 -31 45M-18 21.5C-16 30 -18 36 -22 42"],
];

const head = (at, turn, scale) =>
  `<g transform="translate(${at[0]} ${at[1]}) rotate(${turn}) scale(${scale})">${HEAD.map(([kind, d]) => path(kind, d)).join("")}</g>`;

/** Three talons and a thumb at the end of a leg, pointing along `turn`. */
const claw = (at, turn, scale = 1) =>
  `<g transform="translate(${at[0]} ${at[1]}) rotate(${turn}) scale(${scale})">` +
  path("ground cut", "M-4 -5C2 -9 9 -9 14 -6C18 -6 21 -4 23 1C19 -1 16 -1 13 0C17 1 20 4 21 9C17 6 14 5 10 5C13 7 14 10 13 15C10 11 7 8 2 7C-1 6 -4 5 -4 4Z") +
  path("hair", "M2 -5C6 -6 9 -6 12 -4M1 -2C5 -3 8 -2 10 0M0 2C3 1 6 2 8 4") +
  "</g>";

const spade = (at, turn, scale) =>
  `<g transform="translate(${at[0]} ${at[1]}) rotate(${turn}) scale(${scale})">` +
  path("ground cut", "M0 4C-8 12 -14 12 -20 8C-18 2 -24 -6 -36 -8C-26 -12 -20 -14 -18 -20C-10 -16 -4 -10 0 -4Z") +
  path("hair", "M-2 0C-12 -2 -22 -5 -33 -8M-3 2C-8 6 -13 8 -18 7M-4 1C-9 3 -14 3 -19 1M-3 -2C-8 -7 -12 -12 -17 -17M-5 -2C-10 -6 -15 -9 -20 -12") +
  "</g>";

function greatDragon(grain) {
  const random = seeded(1603);
  const spine = [
    [402, 62], [380, 84], [384, 124], [404, 160], [396, 208], [352, 236], [302, 222], [282, 178], [306, 140], [346, 148], [352, 194],
    [318, 244], [254, 266], [190, 252], [150, 212], [146, 164], [168, 126], [164, 88], [128, 70], [106, 78],
  ];
  const width = (u) => (u < 0.62 ? 2 + 19 * (u / 0.62) ** 0.85 : u < 0.78 ? 21 : 21 - 9 * ((u - 0.78) / 0.22) ** 0.8);
  const shape = body(spine, width, -1);
  const skin = { grain, random };
  const parts = [];
  // The far wing lies behind everything.
  parts.push(`<g class="far">${wing({
    shoulder: [168, 178], elbow: [196, 118], wrist: [206, 44], root: [250, 200],
    tips: [{ tip: [252, -42], bow: [-16, -6] }, { tip: [316, -22], bow: [-2, -20] }, { tip: [352, 40], bow: [6, -16] }, { tip: [312, 104], bow: [10, -8] }],
    folds: 9,
  })}</g>`);
  // Painted from the tail to the head, so that the coil passes over itself.
  const stops = [0.0, 0.1, 0.2, 0.3, 0.36, 0.42, 0.48, 0.54, 0.6, 0.66, 0.72, 0.78, 0.84, 0.9, 0.96, 0.995];
  parts.push(spade([402, 62], 118, 0.9));
  for (let i = 0; i < stops.length - 1; i++) {
    const [from, to] = [stops[i], Math.min(1, stops[i + 1] + 0.002)];
    parts.push(crest(shape, from, stops[i + 1], { every: 11, height: 0.75 }));
    parts.push(hide(shape, from, to, skin));
  }
  // The near wing and the forelegs.
  const leg = (points, from, to) => hide(body(points, (u) => from + (to - from) * u, -1, 80), 0, 1, { grain: grain * 0.9, random, bellyLine: -0.5 });
  parts.push(leg([[178, 236], [160, 262], [126, 268], [112, 288]], 13, 5) + claw([110, 286], 130, 0.95));
  parts.push(wing({
    shoulder: [172, 206], elbow: [222, 150], wrist: [222, 70], root: [262, 236],
    tips: [{ tip: [268, -4], bow: [-14, -10] }, { tip: [338, 22], bow: [2, -22] }, { tip: [366, 90], bow: [10, -24] }, { tip: [330, 156], bow: [16, -12] }],
    folds: 11,
  }));
  parts.push(head([112, 77], 4, 1.02));
  return parts.join("");
}

/** The stars of the old constellation on the great dragon's body, for the title page: [x, y, magnitude, letter]. */
export const DRACO = [
  [48, 58, 3.6, "ν"], [108, 60, 2.6, "γ"], [126, 32, 3.8, "ξ"], [152, 84, 2.8, "β"], [155, 142, 3.6, "δ"], [150, 205, 3.1, "ε"], [196, 246, 4.2, "τ"],
  [250, 262, 3.2, "χ"], [318, 240, 2.9, "ζ"], [352, 176, 3.9, "η"], [292, 206, 4.2, "θ"], [396, 190, 3.3, "ι"], [384, 104, 2.6, "α"], [402, 62, 3.8, "κ"],
  [222, 70, 3.5, "φ"], [338, 22, 4, "ψ"], [112, 288, 4.2, "ω"],
];

export const dragon = (grain = 5.5) => once(`dragon ${grain}`, () => greatDragon(grain));
export const DRAGON_BOX = [20, -50, 420, 360];

/** A sea-serpent of the old charts: humps through the waves, a head that spouts. */
function seaSerpent(grain) {
  const random = seeded(1539);
  const skin = { grain, random, bellyLine: -0.45 };
  const hump = (points, width) => {
    const shape = body(points, width, -1, 160);
    return crest(shape, 0.06, 0.92, { every: 9, height: 0.7, lean: 0.7 }) + hide(shape, 0, 1, skin);
  };
  const waves = (x1, x2, y) => {
    let strong = "";
    let hair = "";
    for (let x = x1; x < x2; x += 15) {
      strong += `M${x} ${y}q4 -7 8.5 -2q-3.5 -1 -3 1.5q3 3.5 9 .5`;
      hair += `M${x - 2} ${y + 4}q6 -4 11 0M${x + 3} ${y + 7.5}q6 -3 10 0M${x + 1} ${y + 11}q3 -2 6 0`;
    }
    return path("ground", `M${x1 - 3} ${y + 1}h${x2 - x1 + 6}v13h${x1 - x2 - 6}Z`) + path("cut", strong) + path("hair", hair);
  };
  return [
    hump([[236, 128], [246, 92], [262, 72], [284, 74], [296, 96], [300, 128]].reverse(), (u) => 7 + 3 * Math.sin(Math.PI * u)),
    hump([[330, 128], [338, 104], [356, 84], [378, 70], [390, 50], [384, 34]].reverse(), (u) => 1.2 + 6.5 * u),
    spade([384, 34], 65, 0.85),
    hump([[140, 130], [152, 74], [176, 46], [204, 56], [216, 90], [220, 130]].reverse(), (u) => 11 + 4 * Math.sin(Math.PI * u)),
    hump([[128, 130], [122, 96], [104, 76], [82, 72]].reverse().reverse(), (u) => 16 - 5 * u),
    head([86, 79], -6, 0.92),
    waves(92, 236, 122),
    waves(226, 350, 124),
    waves(60, 130, 132),
    waves(150, 330, 137),
  ].join("");
}

export const serpent = (grain = 6) => once(`serpent ${grain}`, () => seaSerpent(grain));
export const SERPENT_BOX = [0, 10, 410, 150];

/** Only the head, for notes and seals. */
export const dragonHead = () => once("head", () => HEAD.map(([kind, d]) => path(kind, d)).join(""));
export const HEAD_BOX = [-76, -57, 122, 106];

/** The dragon on its way, seen from above, flying along +x. About 26 long. */
function flying() {
  const shape = body([[-15, 2], [-11, -1.6], [-6, 1.2], [-1, 0.2], [4, -0.8], [8.5, 0]], (u) => 0.25 + 1.5 * Math.sin(Math.PI * Math.min(1, u ** 1.3)), -1, 80);
  const outline = line([...along(shape, 0, 0.97, 1, 0.5), ...along(shape, 0, 0.97, -1, 0.5).reverse()], true);
  const half =
    path("flyer web", "M1.5 -.8C2.5 -3.5 2 -6 -1 -10.500C-1.2 -8.6 -2.5 -7.6 -4.8 -7.800C-3.8 -6 -4.5 -4.8 -6.6 -4.400C-5 -3 -5 -1.8 -5.6 -.2Z") +
    path("flyer rib", "M1.9 -4.200C.6 -5.5 0 -8 -1 -10.500M1.9 -4.200C-.5 -5.2 -2.8 -6.3 -4.8 -7.800M1.9 -4.200C-1.5 -4.3 -4 -4.4 -6.6 -4.4");
  return (
    `${half}<g transform="scale(1 -1)">${half}</g>` + path("flyer web", outline) +
    path("flyer web", "M-15 2.200C-16.5 3.8 -18 3.6 -19 2.400C-17.8 2.3 -17.3 1.7 -17.6 .6C-16.5 .6 -15.5 1.2 -15 2Z") +
    path("flyer web", "M8 -1.300C9.5 -1.5 11.5 -.9 13.5 0C11.5 .9 9.5 1.5 8 1.300C7 1 7 -1 8 -1.300Z") +
    path("flyer rib", "M8.2 -1.300C7.2 -2 6.2 -2.3 5 -2.200M8.2 1.300C7.2 2 6.2 2.3 5 2.200M9.8 -.5h.1M9.8 .5h.1")
  );
}
export const flyer = () => once("flyer", flying);
