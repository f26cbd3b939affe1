// The journey of each command, as a timeline: sent, received, executed, committed, replied, the processes it
// started, and what was pushed because of it. This page knows its own half; the server's half comes from
// /dev/journeys, where each *_ms is counted from `received_at`.
//
// A push belongs to a journey when the server lists it, when it is a lifecycle event of one of its processes, or
// when it was published in the same stream at the very moment at which such a process ended.

import { element, span } from "./element.js";

const KEPT = 100;
const ENDS = /^process_(completed|cancelled|failed)$/;
const STAGES = [
  ["queued_ms", "taken from the queue"],
  ["executed_ms", "executed"],
  ["committed_ms", "committed"],
  ["replied_ms", "replied"],
];

export class Journeys {
  #list = document.querySelector("#trips");
  #everyone = document.querySelector("#everyone");
  #byId = new Map();
  #pushes = []; // the newest, until a journey claims them
  #fetching = null;

  constructor() {
    this.#everyone.addEventListener("change", () => {
      this.#draw();
      this.#fetchSoon();
    });
  }

  sent(frame, at) {
    if (typeof frame.id !== "string" || typeof frame.command !== "string") return;
    const known = this.#byId.get(frame.id);
    if (known !== undefined) {
      known.sends += 1;
      return;
    }
    this.#add(frame.id, { command: frame.command, args: frame.args, sentAt: at, sends: 1 });
    this.#draw(frame.id);
  }

  replied(frame, at) {
    const journey = this.#byId.get(frame.id);
    if (journey === undefined || journey.sentAt === undefined || journey.repliedAt !== undefined) return;
    Object.assign(journey, { repliedAt: at, ok: frame.ok, error: frame.error });
    if (Number.isInteger(frame.result?.process)) journey.processes.add(frame.result.process);
    this.#claim(journey);
    this.#draw(frame.id);
    this.#fetchSoon();
  }

  pushed(push, at) {
    const seen = { ...push, seenAt: at };
    this.#pushes.push(seen);
    if (this.#pushes.length > 500) this.#pushes.shift();
    // An end claims what was published at its moment, which may have come before it; anything else is claimed alone.
    const some = ENDS.test(push.event) ? this.#pushes : [seen];
    for (const [id, journey] of this.#byId) if (this.#claim(journey, some)) this.#draw(id);
  }

  #add(id, more) {
    const journey = { id, processes: new Set(), pushes: new Map(), listed: new Set(), moments: new Set(), ...more };
    this.#byId.set(id, journey);
    if (this.#byId.size > KEPT) {
      const [oldest] = this.#byId.keys();
      this.#byId.get(oldest).row?.remove();
      this.#byId.delete(oldest);
    }
    return journey;
  }

  /** Takes the pushes that belong to this journey; true when there were any. */
  #claim(journey, pushes = this.#pushes) {
    const before = journey.pushes.size;
    for (const push of pushes) {
      const key = `${push.stream} ${push.offset}`;
      const mine = push.event.startsWith("process_") && journey.processes.has(push.data?.process);
      if (mine && ENDS.test(push.event)) journey.moments.add(`${push.stream} ${push.at}`);
      if (mine || journey.listed.has(key)) journey.pushes.set(key, push);
    }
    for (const push of pushes) {
      if (journey.moments.has(`${push.stream} ${push.at}`)) journey.pushes.set(`${push.stream} ${push.offset}`, push);
    }
    return journey.pushes.size > before;
  }

  #fetchSoon() {
    this.#fetching ??= setTimeout(() => {
      this.#fetching = null;
      this.#fetch();
    }, 250);
  }

  async #fetch() {
    let answer;
    try {
      const response = await fetch("/dev/journeys", { cache: "no-store" });
      if (!response.ok) return;
      answer = await response.json();
    } catch {
      return; // the next reply asks again
    }
    for (const server of answer.journeys ?? []) {
      if (server.id === null || server.id === undefined) continue;
      const journey = this.#byId.get(server.id) ?? this.#add(server.id, { command: server.command, foreign: true });
      journey.server = server;
      for (const id of server.processes ?? []) journey.processes.add(id);
      for (const { stream, offset } of server.events ?? []) journey.listed.add(`${stream} ${offset}`);
      this.#claim(journey);
    }
    this.#draw();
  }

  #draw(only = null) {
    for (const [id, journey] of only === null ? this.#byId : [[only, this.#byId.get(only)]]) {
      if (journey.foreign && !this.#everyone.checked) {
        journey.row?.remove();
        continue;
      }
      const row = trip(journey);
      if (journey.row?.isConnected) {
        row.firstElementChild.open = journey.row.firstElementChild.open;
        journey.row.replaceWith(row);
      } else {
        this.#list.querySelector(".empty")?.remove();
        this.#list.prepend(row);
      }
      journey.row = row;
    }
  }
}

function trip(journey) {
  const { command, id, ok, error, server, repliedAt, sentAt } = journey;
  const took = repliedAt === undefined ? server?.replied_ms : repliedAt - sentAt;
  const outcome = ok === undefined ? "" : ok ? "ok" : error.reason ?? error.code;
  const head = element(
    "summary",
    {},
    element("strong", {}, command),
    element("small", {}, server?.player && journey.foreign ? `${server.player} · ${id}` : id),
    element("span", { class: ok === false ? "outcome refused" : "outcome" }, outcome),
    element("span", { class: "left" }, took === undefined ? "…" : milliseconds(took)),
  );
  const open = journey.row === undefined ? !journey.foreign : false;
  return element("li", {}, element("details", { open }, head, stagesBar(journey), steps(journey)));
}

/** Where the time between sending and the reply went, drawn to scale. */
function stagesBar({ server, sentAt, repliedAt }) {
  if (server === undefined || server.replied_ms === undefined) return null;
  const inside = Math.max(server.replied_ms, 0.01);
  const whole = sentAt === undefined || repliedAt === undefined ? inside : Math.max(repliedAt - sentAt, inside);
  const bar = element("div", { class: "stages", title: `${milliseconds(inside)} in the server` });
  const part = (name, ms) => {
    if (!(ms > 0)) return;
    const piece = element("i", { class: name, title: `${name} ${milliseconds(ms)}` });
    piece.style.flexGrow = String(ms / whole);
    bar.append(piece);
  };
  let before = 0;
  part("network", (whole - inside) / 2);
  for (const [key, name] of STAGES) {
    if (server[key] === undefined || server[key] === null) continue;
    part(name.split(" ")[0], server[key] - before);
    before = server[key];
  }
  part("network", (whole - inside) / 2);
  return bar;
}

function steps({ server, sentAt, sends, repliedAt, ok, error, pushes, args }) {
  const rows = [];
  const step = (time, what, detail, kind = null) =>
    rows.push(element("li", { class: kind }, element("time", {}, time), element("span", {}, what), detail ? element("code", {}, detail) : null));
  if (sentAt !== undefined) step("0 ms", sends > 1 ? `sent ${sends} times, under the same id` : "sent", JSON.stringify(args ?? {}));
  if (server !== undefined) {
    const start = sentAt === undefined || repliedAt === undefined ? 0 : Math.max(0, (repliedAt - sentAt - server.replied_ms) / 2);
    step(milliseconds(start), "received by the gateway", null, "server");
    for (const [key, name] of STAGES) {
      if (typeof server[key] === "number") step(milliseconds(start + server[key]), name, null, "server");
    }
  }
  if (repliedAt !== undefined) step(milliseconds(repliedAt - sentAt), ok ? "reply" : `refused: ${error.message}`, null, ok ? null : "refused");
  const start = sentAt ?? Date.parse(server?.received_at);
  for (const push of [...pushes.values()].sort((a, b) => a.seenAt - b.seenAt || a.offset - b.offset)) {
    const after = (push.seenAt - start) / 1000;
    const about = push.data?.kind ? `${push.data.kind} #${push.data.process}` : JSON.stringify(push.data);
    step(after < 1 ? milliseconds(after * 1000) : `+${span(after)}`, `${push.event} on ${push.stream} ${push.offset}`, push.message ?? about, "push");
  }
  return element("ol", { class: "steps" }, ...rows);
}

function milliseconds(ms) {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : span(ms / 1000);
}
