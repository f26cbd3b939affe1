// The live processes, each with its countdown by the server's clock.

import { element, span } from "./element.js";

export class Live {
  #list = document.querySelector("#live");
  #rows = new Map(); // id → {row, bar, left, process}
  #client;

  /** `client()` gives the client of the moment, or null. */
  constructor(client) {
    this.#client = client;
    setInterval(() => this.#tick(), 200);
  }

  show(processes) {
    for (const [id, { row }] of this.#rows) {
      if (processes.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    const sorted = [...processes.values()].sort((a, b) => a.due_at.localeCompare(b.due_at) || a.id - b.id);
    for (const process of sorted) this.#put(process);
    this.#list.querySelector(".empty")?.remove();
    if (this.#rows.size === 0) this.#list.replaceChildren(element("li", { class: "empty" }, "Nothing is under way."));
    this.#tick();
  }

  #put(process) {
    const bar = element("progress", { max: 1, value: 0, "aria-label": `progress of ${process.kind} ${process.id}` });
    const left = element("span", { class: "left" });
    const data = Object.keys(process.data ?? {}).length > 0 ? element("code", {}, JSON.stringify(process.data)) : null;
    const title = element("div", { class: "title" }, element("strong", {}, process.kind), element("small", {}, `#${process.id}`), left);
    const row = element("li", { class: process.state }, title, bar, data);
    this.#rows.get(process.id)?.row.remove();
    this.#rows.set(process.id, { row, bar, left, process });
    this.#list.append(row);
  }

  #tick() {
    const client = this.#client();
    if (client === null) return;
    for (const { bar, left, process } of this.#rows.values()) {
      bar.value = client.progress(process);
      const seconds = (Date.parse(process.due_at) - client.now()) / 1000;
      left.textContent = process.state !== "pending" ? process.state : seconds > 0 ? span(seconds) : "due";
    }
  }
}
