/* What a push changes in a universe. Pure: a universe and a push in, the universe after it out.
   Events carry absolute values, so one that comes again does no harm. */

const onPlanet = (universe, planet, change) => ({
  ...universe,
  planets: universe.planets.map((p) => (planet == null || p.planet === planet ? change(p) : p)),
});

const withResources = (universe, data) =>
  data.resources ? onPlanet(universe, data.planet, (p) => ({ ...p, resources: data.resources })) : universe;

const byPosition = (queue) => [...queue].sort((a, b) => a.position - b.position);

/** Events that change a queue carry all of it. */
const withQueue = (universe, { planet, queue }) =>
  queue ? onPlanet(universe, planet, (p) => ({ ...p, queue: byPosition(queue) })) : universe;

function mergeStars(stars, news) {
  const known = new Map(stars.map((s) => [s.star, s]));
  for (const star of news) known.set(star.star, { ...known.get(star.star), ...star });
  return [...known.values()];
}

const CHANGES = {
  member_joined: (u, { player, name }) =>
    u.members.some((m) => m.player === player) ? u : { ...u, members: [...u.members, { player, name }] },
  member_left: (u, { player }) => ({ ...u, members: u.members.filter((m) => m.player !== player) }),
  planet_renamed: (u, { planet, name }) => onPlanet(u, planet, (p) => ({ ...p, name })),
  construction_queued: withQueue,
  construction_begun: withQueue,
  construction_cancelled: withQueue,
  construction_complete: (u, data) =>
    withQueue(onPlanet(u, data.planet, (p) => ({ ...p, structures: { ...p.structures, [data.structure]: data.level } })), data),
  stars_discovered: (u, { stars }) => ({ ...u, stars: mergeStars(u.stars, stars) }),
  probe_sent: (u, { probe }) => ({ ...u, probes: [...u.probes.filter((p) => p.process !== probe.process), probe] }),
  probe_arrived: (u, { star }) => ({
    ...u,
    stars: mergeStars(u.stars, [star]),
    probes: u.probes.filter((p) => p.star !== star.star),
  }),
  dragons_inbound: (u, { arrives_at, strength, process }) => ({ ...u, dragons: { arrives_at, strength, process } }),
  dragons_repelled: (u) => ({ ...u, dragons: null }),
  dragons_raided: (u) => ({ ...u, dragons: null }),
  process_started: (u, work) => ({ ...u, processes: [...u.processes.filter((p) => p.process !== work.process), work] }),
  process_rescheduled: (u, work) => ({ ...u, processes: u.processes.map((p) => (p.process === work.process ? { ...p, ...work } : p)) }),
  process_cancelled: (u, { process }) => ({ ...u, processes: u.processes.filter((p) => p.process !== process) }),
};
CHANGES.process_resumed = CHANGES.process_rescheduled;
CHANGES.process_paused = CHANGES.process_cancelled;
CHANGES.process_completed = CHANGES.process_cancelled;
CHANGES.process_failed = CHANGES.process_cancelled;

/** Events after which something changed that they do not carry, such as the next level's cost. */
export const ASKS_TO_READ_AGAIN = new Set([
  "construction_queued", "construction_begun", "construction_cancelled", "construction_complete",
  "probe_arrived", "dragons_inbound", "dragons_repelled", "dragons_raided", "member_joined",
]);

export function apply(universe, { event, data }) {
  const change = CHANGES[event];
  return withResources(change ? change(universe, data) : universe, data);
}
