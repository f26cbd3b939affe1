/* Where things stand on the chart. Chart units: home at (0,0), the sky within 100, the rim beyond it. */

export const RIM = { sky: 105, inner: 106.4, scale: 110.6, numerals: 112.9, words: 117.4, outer: 123.8, edge: 127 };
export const BOX = 130;

export const polar = (degrees, radius) => {
  const a = ((degrees - 90) * Math.PI) / 180;
  return [Math.cos(a) * radius, Math.sin(a) * radius];
};

export const fixed = (n) => Math.round(n * 100) / 100;

/**
 * The chart's projection: true in bearing, wide in the middle, where a young universe has all its stars,
 * and narrow towards the rim. `radius` is how far the map's own units reach.
 */
export function project({ x, y }, radius) {
  const distance = Math.hypot(x, y) / radius;
  if (distance === 0) return { x: 0, y: 0 };
  const stretch = (100 * distance ** 0.68) / (distance * radius);
  return { x: x * stretch, y: y * stretch };
}

/** A shallow arc between two points, always bowed to the same hand, as a quadratic's three points. */
export function arc([x1, y1], [x2, y2], bow = 0.16) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  return [[x1, y1], [(x1 + x2) / 2 - dy * bow, (y1 + y2) / 2 + dx * bow], [x2, y2]];
}

export const arcPath = ([a, c, b]) => `M${fixed(a[0])} ${fixed(a[1])}Q${fixed(c[0])} ${fixed(c[1])} ${fixed(b[0])} ${fixed(b[1])}`;

/** The place and heading (degrees) at `t` along an arc. */
export function onArc([a, c, b], t) {
  const at = [0, 1].map((i) => (1 - t) ** 2 * a[i] + 2 * t * (1 - t) * c[i] + t * t * b[i]);
  const d = [0, 1].map((i) => 2 * (1 - t) * (c[i] - a[i]) + 2 * t * (b[i] - c[i]));
  return { at, heading: (Math.atan2(d[1], d[0]) * 180) / Math.PI };
}

/** The part of an arc up to `t`, as an arc. */
export function arcUntil([a, c, b], t) {
  const mix = (p, q) => [p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t];
  return [a, mix(a, c), onArc([a, c, b], t).at];
}

/** A spiral inward from the rim at `degrees`, three quarters of a turn, ending at the centre: `n` points. */
export function spiral(degrees, from = RIM.inner, turn = 200, n = 90, to = 6) {
  return Array.from({ length: n + 1 }, (_, i) => {
    const t = i / n;
    return polar(degrees + turn * t, from + (to - from) * t ** 0.92);
  });
}
