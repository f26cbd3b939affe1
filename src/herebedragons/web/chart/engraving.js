/* The engraver's hand: curves and tapering bodies turned into hairline SVG paths.
   Pure functions from numbers to path strings; the beasts are composed of them. */

const round = (n) => Math.round(n * 10) / 10;

/** A repeatable source of small irregularities, so that a line looks cut and not plotted. */
export function seeded(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

/** A Catmull-Rom curve through `points`, sampled at `n` places evenly spaced by length. */
export function curve(points, n) {
  const raw = [];
  for (let i = 0; i < points.length - 1; i++) {
    const [p0, p1, p2, p3] = [points[i - 1] ?? points[i], points[i], points[i + 1], points[i + 2] ?? points[i + 1]];
    for (let k = 0; k < 24; k++) {
      const t = k / 24;
      const blend = (a) =>
        0.5 * (2 * p1[a] + (p2[a] - p0[a]) * t + (2 * p0[a] - 5 * p1[a] + 4 * p2[a] - p3[a]) * t * t + (3 * p1[a] - p0[a] - 3 * p2[a] + p3[a]) * t ** 3);
      raw.push([blend(0), blend(1)]);
    }
  }
  raw.push(points[points.length - 1]);
  const lengths = [0];
  for (let i = 1; i < raw.length; i++) {
    lengths.push(lengths[i - 1] + Math.hypot(raw[i][0] - raw[i - 1][0], raw[i][1] - raw[i - 1][1]));
  }
  const total = lengths[lengths.length - 1];
  const samples = [];
  for (let i = 0, at = 0; i <= n; i++) {
    const want = (total * i) / n;
    while (at < raw.length - 2 && lengths[at + 1] < want) at++;
    const part = (want - lengths[at]) / (lengths[at + 1] - lengths[at] || 1);
    samples.push([raw[at][0] + (raw[at + 1][0] - raw[at][0]) * part, raw[at][1] + (raw[at + 1][1] - raw[at][1]) * part]);
  }
  return { samples, total };
}

export const line = (points, close = false) =>
  points.map(([x, y], i) => `${i ? "L" : "M"}${round(x)} ${round(y)}`).join("") + (close ? "Z" : "");

export const path = (kind, d) => (d ? `<path class="${kind}" d="${d}"/>` : "");

/**
 * A tapering body along a spine. `across(u, v)` is the point at `u` (0 tail … 1 head) and `v` (-1 belly … 1 back).
 * `side` says on which hand the back lies.
 */
export function body(points, width, side = 1, n = 400) {
  const { samples, total } = curve(points, n);
  const frame = (u) => {
    const f = Math.min(1, Math.max(0, u)) * n;
    const i = Math.min(n - 1, Math.floor(f));
    const t = f - i;
    const [a, b] = [samples[i], samples[i + 1]];
    const before = samples[Math.max(0, i - 2)];
    const after = samples[Math.min(n, i + 3)];
    const length = Math.hypot(after[0] - before[0], after[1] - before[1]) || 1;
    const tangent = [(after[0] - before[0]) / length, (after[1] - before[1]) / length];
    return { at: [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t], tangent, normal: [tangent[1] * side, -tangent[0] * side], w: width(u) };
  };
  const across = (u, v, along = 0) => {
    const { at, tangent, normal, w } = frame(u);
    return [at[0] + normal[0] * v * w + tangent[0] * along, at[1] + normal[1] * v * w + tangent[1] * along];
  };
  return { total, width, frame, across };
}

/** A line along the body at a fixed height `v`. */
export function along(shape, from, to, v, step = 3) {
  const steps = Math.max(2, Math.ceil(((to - from) * shape.total) / step));
  return Array.from({ length: steps + 1 }, (_, i) => shape.across(from + ((to - from) * i) / steps, v));
}

/** A contour across the body from height `a` to `b`, bulging as a round body's does. */
function contour(shape, u, a, b, bulge) {
  const w = shape.width(u);
  const mid = (a + b) / 2;
  const [p, q] = [shape.across(u, a), shape.across(u, b)];
  const c = shape.across(u, mid, bulge * w * Math.abs(b - a));
  return `M${round(p[0])} ${round(p[1])}Q${round(c[0])} ${round(c[1])} ${round(q[0])} ${round(q[1])}`;
}

/**
 * One stretch of a scaly body, drawn over whatever lies under it.
 * `grain` is the size of a scale in the body's units: larger is coarser, for small reproductions.
 */
export function hide(shape, from, to, { grain = 5, bellyLine = -0.35, random }) {
  const { total } = shape;
  const edge = [...along(shape, from, to, 1), ...along(shape, from, to, -1).reverse()];
  let scales = "";
  let scutes = "";
  let hatch = "";
  for (let s = Math.ceil((from * total) / grain) * grain, row = Math.round(s / grain); s < to * total; s += grain, row++) {
    const u = s / total;
    const w = shape.width(u);
    if (w < grain * 0.55) {
      hatch += contour(shape, u, -0.2, 1, 0.2);
      continue;
    }
    const lanes = Math.max(2, Math.round((w * 2) / grain));
    const [low, high] = [Math.asin(bellyLine), 1.35];
    const lane = (high - low) / lanes;
    for (let k = 0; k < lanes; k++) {
      const phi = low + lane * (k + (row % 2 ? 0.5 : 1));
      if (phi > high) continue;
      const [v, above, below] = [Math.sin(phi), Math.sin(Math.min(1.5, phi + lane / 2)), Math.sin(phi - lane / 2)];
      if (below < bellyLine - 0.02) continue;
      const [p, q] = [shape.across(u, below), shape.across(u, above)];
      const c = shape.across(u, v, -grain * 1.15);
      scales += `M${round(p[0])} ${round(p[1])}Q${round(c[0])} ${round(c[1])} ${round(q[0])} ${round(q[1])}`;
    }
    scutes += contour(shape, u, -1, bellyLine, -0.35);
    for (let k = 0; k < 3; k++) {
      const at = u + ((k + random() * 0.3) * grain) / 3 / total;
      hatch += contour(shape, at, 0.98, 0.62 + random() * 0.2, -0.15);
      if (k !== 1) hatch += contour(shape, at, -0.98, -0.72 + random() * 0.16, -0.1);
    }
  }
  return (
    path("ground", line(edge, true)) +
    path("hair", hatch) +
    path("fine", scales + scutes) +
    path("fine", line(along(shape, from, to, bellyLine))) +
    path("cut", line(along(shape, from, to, 1)) + line(along(shape, from, to, -1)))
  );
}

/** Spines along the back from `from` to `to`, webbed and swept towards the tail. */
export function crest(shape, from, to, { every = 12, height = 1, lean = 0.9 }) {
  let blades = "";
  let ribs = "";
  let filled = "";
  const step = every / shape.total;
  for (let u = from; u < to; u += step) {
    const part = (u - from) / (to - from);
    const h = height * shape.width(u) * (0.55 + 0.45 * Math.sin(Math.PI * Math.min(1, part * 1.1)));
    const [a, b] = [shape.across(u, 0.97), shape.across(u + step * 0.98, 0.97)];
    const { tangent, normal, at, w } = shape.frame(u);
    const tip = [at[0] + normal[0] * (w + h) - tangent[0] * h * lean, at[1] + normal[1] * (w + h) - tangent[1] * h * lean];
    const mid = shape.across(u + step * 0.35, 1, -h * 0.05);
    const d =
      `M${round(a[0])} ${round(a[1])}Q${round((a[0] + tip[0]) / 2 - normal[0] * h * 0.12)} ${round((a[1] + tip[1]) / 2 - normal[1] * h * 0.12)} ${round(tip[0])} ${round(tip[1])}` +
      `Q${round((b[0] + tip[0]) / 2 + normal[0] * h * 0.3)} ${round((b[1] + tip[1]) / 2 + normal[1] * h * 0.3)} ${round(b[0])} ${round(b[1])}`;
    blades += d;
    filled += d + "Z";
    ribs += line([mid, [mid[0] + (tip[0] - mid[0]) * 0.7, mid[1] + (tip[1] - mid[1]) * 0.7]]);
    const other = shape.across(u + step * 0.7, 1);
    ribs += line([other, [other[0] + (tip[0] - other[0]) * 0.45, other[1] + (tip[1] - other[1]) * 0.45]]);
  }
  return path("ground", filled) + path("hair", ribs) + path("cut", blades);
}

/** A bat's wing: bones from `wrist` to each of `tips`, a scalloped web between them, hatched along its folds. */
export function wing({ shoulder, elbow, wrist, tips, root, folds = 7 }) {
  const bones = tips.map(({ tip, bow }) => {
    const mid = [(wrist[0] + tip[0]) / 2 + bow[0], (wrist[1] + tip[1]) / 2 + bow[1]];
    return (t) => [0, 1].map((a) => (1 - t) ** 2 * wrist[a] + 2 * t * (1 - t) * mid[a] + t * t * tip[a]);
  });
  const arm = (t) => [0, 1].map((a) => (t < 0.5 ? wrist[a] + (elbow[a] - wrist[a]) * t * 2 : elbow[a] + (root[a] - elbow[a]) * (t - 0.5) * 2));
  const ribs = [...bones, arm];
  const scallop = (a, b, pull = 0.22) => {
    const m = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    return [m[0] + (wrist[0] - m[0]) * pull, m[1] + (wrist[1] - m[1]) * pull];
  };
  let web = `M${round(wrist[0])} ${round(wrist[1])}` + line(Array.from({ length: 11 }, (_, i) => bones[0](i / 10))).replace("M", "L");
  let hem = "";
  let hatch = "";
  for (let i = 0; i < ribs.length - 1; i++) {
    const [a, b] = [ribs[i](1), ribs[i + 1](1)];
    const c = scallop(a, b);
    web += `Q${round(c[0])} ${round(c[1])} ${round(b[0])} ${round(b[1])}`;
    hem += `M${round(a[0])} ${round(a[1])}Q${round(c[0])} ${round(c[1])} ${round(b[0])} ${round(b[1])}`;
    for (let k = 1; k < folds; k++) {
      const f = k / folds;
      const near = Math.min(f, 1 - f);
      const reach = 0.95 - 0.36 * near - (k % 3) * 0.07;
      const start = 0.16 + near * 0.35 + (k % 2) * 0.16;
      const points = [];
      for (let j = 0; j <= 6; j++) {
        const t = start + ((reach - start) * j) / 6;
        const [p, q] = [ribs[i](t), ribs[i + 1](t)];
        const sag = 4 * f * (1 - f) * 0.2 * t * t;
        const m = [p[0] + (q[0] - p[0]) * f, p[1] + (q[1] - p[1]) * f];
        points.push([m[0] + (wrist[0] - m[0]) * sag, m[1] + (wrist[1] - m[1]) * sag]);
      }
      if (reach > start) hatch += line(points);
    }
  }
  web += `L${round(elbow[0])} ${round(elbow[1])}Z`;
  const spars = bones.map((bone) => line(Array.from({ length: 11 }, (_, i) => bone(i / 10)))).join("");
  const limb = body([shoulder, elbow, wrist], (u) => 5.5 - 3.2 * u, 1, 60);
  return (
    path("ground", web) + path("hair", hatch) + path("cut", spars + hem) + hide(limb, 0, 1, { grain: 6, random: seeded(4) }) +
    path("ground cut", `M${round(wrist[0])} ${round(wrist[1])}q-7 -3 -9 -12q6 3 12 8z`)
  );
}
