/* The wire: every frame in and out, as it passes, and a line to send any text. For the curious, and for developers. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { sendRaw } from "../session.js";
import { update, useStore } from "../store.js";
import { all, follow, forget } from "./frames.js";

const EXAMPLE = '{"id":"by-hand-1","command":"universes","args":{}}';

export function Wire() {
  const open = useStore((s) => s.wireOpen);
  return open ? html`<${Drawer} />` : null;
}

function useFrameList(paused) {
  const [frames, set] = useState(all);
  useEffect(() => {
    if (paused) return undefined;
    set(all());
    return follow(() => set(all()));
  }, [paused]);
  return [frames, () => { forget(); set([]); }];
}

function Drawer() {
  const [paused, setPaused] = useState(false);
  const [filter, setFilter] = useState("");
  const [frames, clear] = useFrameList(paused);
  const wanted = filter.trim().toLowerCase();
  const shown = wanted ? frames.filter((f) => f.text.toLowerCase().includes(wanted)) : frames;
  const log = useRef(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    if (atEnd.current && log.current) log.current.scrollTop = log.current.scrollHeight;
  }, [shown.length, frames]);
  return html`
    <section id="wire" class="wire" aria-label="The wire" onKeyDown=${(e) => e.key === "Escape" && update({ wireOpen: false })}>
      <header>
        <h2>The wire</h2>
        <p class="faint">→ out, ← in; neither waits for the other.</p>
        <label class="filter"><span>Only</span> <input value=${filter} onInput=${(e) => setFilter(e.target.value)} placeholder="containing…" autocomplete="off" data-testid="wire-filter" /></label>
        <button class="quiet" aria-pressed=${paused ? "true" : "false"} data-testid="wire-pause" onClick=${() => setPaused(!paused)}>${paused ? "Go on" : "Pause"}</button>
        <button class="quiet" onClick=${clear}>Clear</button>
        <button class="quiet" aria-label="Close the wire" onClick=${() => update({ wireOpen: false })}>Close</button>
      </header>
      <ol ref=${log} class="frames" tabindex="0" aria-label="Frames" data-testid="wire-log"
        onScroll=${(e) => (atEnd.current = e.target.scrollHeight - e.target.scrollTop - e.target.clientHeight < 24)}>
        ${shown.map((frame) => html`<${Frame} key=${frame.n} ...${frame} />`)}
      </ol>
      <${Sender} />
    </section>
  `;
}

const clock = (at) => new Date(at).toLocaleTimeString([], { hour12: false }) + "." + String(Math.floor(at % 1000)).padStart(3, "0");

const Frame = ({ direction, text, subject, at }) => html`
  <li class=${`frame ${direction}`}>
    <time>${clock(at)}</time>
    <span class="way" aria-label=${direction === "out" ? "sent" : "received"}>${direction === "out" ? "→" : "←"}</span>
    <span class="subject">${subject}</span>
    <code>${text}</code>
  </li>
`;

function Sender() {
  const [text, setText] = useState("");
  const [unsent, setUnsent] = useState(false);
  const submit = (event) => {
    event.preventDefault();
    if (!text) return;
    const sent = sendRaw(text);
    setUnsent(sent === false);
    if (sent !== false) setText("");
  };
  return html`
    <form class="sender" onSubmit=${submit}>
      <label class="unseen-label" for="wire-text">Text to send, as typed</label>
      <input id="wire-text" value=${text} onInput=${(e) => setText(e.target.value)} placeholder=${EXAMPLE} spellcheck="false" autocapitalize="off" autocomplete="off" data-testid="wire-input" />
      <button data-testid="wire-send">Send</button>
      ${unsent && html`<p class="complaint" role="alert">The line is not open; this was not sent.</p>`}
    </form>
  `;
}
