/* Resources in closed form: what the server last said, and how much has grown since. No ticks, no questions. */

/** How much of `metal` or `crystal` there is at `now` (ms since 1970, by the server's clock). */
export function amount(resources, what, now) {
  const value = resources[what];
  if (value >= resources.capacity) return value;
  const hours = Math.max(0, now - Date.parse(resources.at)) / 3_600_000;
  return Math.min(resources.capacity, value + resources[`${what}_per_hour`] * hours);
}

/** Milliseconds until both costs are covered: 0 if they are, null if at these rates they never will be. */
export function affordableIn(resources, cost, now) {
  let wait = 0;
  for (const what of ["metal", "crystal"]) {
    const missing = cost[what] - amount(resources, what, now);
    if (missing <= 0) continue;
    const rate = resources[`${what}_per_hour`];
    if (rate <= 0 || cost[what] > resources.capacity) return null;
    wait = Math.max(wait, (missing / rate) * 3_600_000);
  }
  return wait;
}

/** What keeps one from paying `cost`: {metal?, crystal?} missing, or null. */
export function missing(resources, cost, now) {
  const lack = {};
  for (const what of ["metal", "crystal"]) {
    const short = cost[what] - amount(resources, what, now);
    if (short > 0) lack[what] = short;
  }
  return Object.keys(lack).length ? lack : null;
}

/** How far a piece of work has come, 0 to 1. */
export function progress(work, now) {
  const [from, to] = [Date.parse(work.started_at), Date.parse(work.due_at)];
  return to > from ? Math.min(1, Math.max(0, (now - from) / (to - from))) : 1;
}
