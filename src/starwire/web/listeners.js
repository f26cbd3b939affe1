// Callbacks of the page, by name. Not an EventTarget, because in Node a listener of an EventTarget that
// throws ends the process; here an error of one callback is reported, and the others and the client go on.

/** Hands an error of the page's own code to the page's own error reporting. */
export function report(error) {
  if (typeof globalThis.reportError === "function") globalThis.reportError(error);
  else console.error(error);
}

/** Calls `fn`; what it throws, or what its promise rejects with, is reported. */
export function safely(fn, ...args) {
  try {
    const result = fn(...args);
    if (typeof result?.then === "function") result.then(undefined, report);
    return result;
  } catch (error) {
    report(error);
    return undefined;
  }
}

export class Listeners {
  #byName = new Map();

  /** Calls `fn` at every `name` from now on; the function returned ends that. */
  add(name, fn) {
    if (typeof fn !== "function") throw new TypeError(`the listener of "${name}" is not a function`);
    const entry = { fn };
    if (!this.#byName.has(name)) this.#byName.set(name, new Set());
    this.#byName.get(name).add(entry);
    return () => this.#byName.get(name)?.delete(entry);
  }

  remove(name, fn) {
    for (const entry of this.#byName.get(name) ?? []) if (entry.fn === fn) this.#byName.get(name).delete(entry);
  }

  has(name) {
    return (this.#byName.get(name)?.size ?? 0) > 0;
  }

  call(name, value) {
    for (const entry of [...(this.#byName.get(name) ?? [])]) safely(entry.fn, value);
  }
}
