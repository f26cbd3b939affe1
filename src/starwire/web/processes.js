// The live processes this player hears of: the built-in view `processes`, kept up to date by the lifecycle
// events on the player's streams. Knows nothing of any kind of process, so a countdown of anything works.

const FINISHED = new Set(["process_completed", "process_cancelled", "process_failed"]);
const CHANGED = new Set(["process_started", "process_rescheduled", "process_paused", "process_resumed"]);

/** Fills and follows `map` (id → process). The result is what `client.state` takes as its callbacks. */
export function following(map, changed = () => {}) {
  return {
    read(result) {
      map.clear();
      for (const entry of Array.isArray(result) ? result : (result?.processes ?? [])) {
        const process = entryOf(entry);
        map.set(process.id, process);
      }
      changed({ event: null, process: null });
    },
    apply({ stream, event, at, data }) {
      if (!FINISHED.has(event) && !CHANGED.has(event)) return;
      const process = { stream, ...map.get(data.process), ...entryOf(data) };
      delete process.remaining;
      if (event === "process_paused") process.remaining = Math.max(0, (Date.parse(process.due_at) - Date.parse(at)) / 1000);
      if (FINISHED.has(event)) map.delete(process.id);
      else map.set(process.id, process);
      changed({ event, process });
    },
  };
}

/** Lifecycle events name the process `process`, beside its fields; here it is always `id`. */
function entryOf({ process, id = process, ...fields }) {
  return { id, ...fields };
}

/** How far a process is at `now` (ms by the server's clock), from 0 to 1; a paused one stands still. */
export function progress(process, now) {
  const started = Date.parse(process.started_at);
  const due = Date.parse(process.due_at);
  if (!(due > started)) return 1;
  const paused = process.state === "paused" && typeof process.remaining === "number";
  const left = paused ? process.remaining * 1000 : due - now;
  return Math.min(1, Math.max(0, 1 - left / (due - started)));
}
