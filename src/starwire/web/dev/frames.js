// The wire as it is: every frame out and in, newest last, and a line that sends any text as typed.

import { element } from "./element.js";

const SHOWN = 500;
const SAMPLES = {
  "bad JSON": '{"command": "ping"',
  "no command": '{"id": "x-1", "args": {}}',
  unknown: '{"id": "x-2", "command": "fly", "args": {}}',
  ping: '{"id": "x-3", "command": "ping", "args": {"t": 1}}',
};

export class Frames {
  #list = document.querySelector("#frames");
  #text = document.querySelector("#text");
  #pings = document.querySelector("#pings");
  #paused = document.querySelector("#paused");
  #sent = [];
  #back = 0; // how far back in what was sent
  #pingIds = new Set();
  #waiting = [];
  #send;

  /** `send(text)` gives false when there is no connection. */
  constructor(send) {
    this.#send = send;
    document.querySelector("#clear").addEventListener("click", () => this.#list.replaceChildren());
    document.querySelector("#line").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.#paused.addEventListener("change", () => this.#flush());
    const samples = document.querySelector("#samples");
    for (const [name, text] of Object.entries(SAMPLES)) {
      samples.append(" ", element("button", { type: "button", class: "chip", click: () => this.propose(text) }, name));
    }
  }

  /** Puts a text into the line, to be changed and sent. */
  propose(text) {
    this.#text.value = text;
    this.#text.focus();
  }

  add({ direction, text, at }) {
    const frame = parsed(text);
    if (frame?.command === "ping") this.#pingIds.add(frame.id);
    if (!this.#pings.checked && isPing(frame, this.#pingIds)) return;
    this.#waiting.push({ direction, text, at, frame });
    if (this.#waiting.length > SHOWN) this.#waiting.shift();
    if (this.#waiting.length === 1) requestAnimationFrame(() => this.#flush());
  }

  note(text) {
    this.#append(element("li", { class: "note" }, text));
  }

  #flush() {
    if (this.#paused.checked) return;
    const frames = this.#waiting;
    this.#waiting = [];
    this.#append(...frames.map(row));
  }

  #append(...rows) {
    const list = this.#list;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(...rows);
    while (list.childElementCount > SHOWN) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  #submit() {
    const text = this.#text.value;
    if (!this.#send(text)) {
      this.note("There is no connection to send it on.");
      return;
    }
    if (this.#sent.at(-1) !== text) this.#sent.push(text);
    this.#back = 0;
    this.#text.value = "";
  }

  #key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#submit();
    } else if ((event.key === "ArrowUp" && this.#text.value === "") || (this.#back > 0 && /^Arrow(Up|Down)$/.test(event.key))) {
      event.preventDefault();
      const step = event.key === "ArrowUp" ? 1 : -1;
      this.#back = Math.min(this.#sent.length, Math.max(0, this.#back + step));
      this.#text.value = this.#sent.at(-this.#back || this.#sent.length) ?? "";
    }
  }
}

function row({ direction, text, at, frame }) {
  const kind = frame?.type ?? "";
  const refused = frame?.ok === false;
  const time = element("time", {}, clock(at));
  const summary = element("summary", {}, element("b", {}, direction === "out" ? "→" : "←"), time, element("code", {}, text));
  const whole = element("pre", {}, frame === null ? text : JSON.stringify(frame, null, 2));
  return element("li", { class: `${direction} ${kind} ${refused ? "refused" : ""}` }, element("details", {}, summary, whole));
}

function isPing(frame, ids) {
  return frame?.command === "ping" || (frame?.type === "reply" && ids.delete(frame.id));
}

export function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

export function clock(at) {
  const date = new Date(at);
  return `${date.toLocaleTimeString([], { hour12: false })}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
