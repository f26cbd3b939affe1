/* Numbers and times as a reader of the chart would write them. */

const integers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const whole = (n) => integers.format(Math.floor(n + 1e-9));
export const rate = (n) => (n < 10 ? n.toFixed(1).replace(/\.0$/, "") : integers.format(n));

const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

/** "25 hours", "1 day 3 hours", "12 minutes": at most two units, the second one only where it tells something. */
export function inWords(ms) {
  let seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 1) return "a moment";
  if (seconds >= 86_400 && seconds < 172_800 && seconds % 3600 < 60) return `${Math.round(seconds / 3600)} hours`;
  const at = UNITS.findIndex(([, size]) => seconds >= size);
  const words = [];
  for (const [unit, size] of UNITS.slice(at, at + 2)) {
    const n = Math.floor(seconds / size);
    seconds -= n * size;
    if (n) words.push(`${n} ${unit}${n === 1 ? "" : "s"}`);
    if (unit === "minute" && n >= 10) break;
  }
  return words.join(" ");
}

/** "4 min 30 s", "22 min", "1 h 20 min": the same, short. */
export const brief = (ms) =>
  inWords(ms).replace(/ days?/g, " d").replace(/ hours?/g, " h").replace(/ minutes?/g, " min").replace(/ seconds?/g, " s");

/** "1 d 02:13:05", "24:09", "0:07": a countdown. */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const [d, h, m, s] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (n) => String(n).padStart(2, "0");
  if (d) return `${d} d ${two(h)}:${two(m)}:${two(s)}`;
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** When something happened: the time today, the day and time before that. */
export function moment(at, now = Date.now()) {
  const then = new Date(at);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (new Date(now).toDateString() === then.toDateString()) return time;
  return `${then.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

export const STRUCTURES = {
  metal_mine: { name: "Metal mine", use: "metal, hour by hour" },
  crystal_mine: { name: "Crystal mine", use: "crystal, hour by hour" },
  storehouse: { name: "Storehouse", use: "room for more" },
  observatory: { name: "Observatory", use: "finds new stars" },
  shield: { name: "Shield", use: "against dragons" },
};

export const structureName = (structure) => STRUCTURES[structure]?.name ?? structure.replaceAll("_", " ");

export const PACES = [
  { pace: 1, name: "Life-size", words: "An hour is an hour. Mines take minutes, dragons give 25 hours' warning. Look in twice a day." },
  { pace: 60, name: "Brisk", words: "An hour passes in a minute. Dragons give 25 minutes' warning. For an evening." },
  { pace: 3600, name: "Headlong", words: "An hour passes in a second. Dragons give 25 seconds' warning. To see how it all goes." },
];
