/* What has happened here, the newest first. */

import { html, useState } from "../vendor/htm-preact.js";
import { moment } from "../format.js";
import { useStore } from "../store.js";

const FEW = 7;
const NONE = [];
const isDanger = (event) => event === "dragons_inbound" || event === "dragons_raided";

export function Chronicle({ universe }) {
  const entries = useStore((s) => s.chronicles[universe]) ?? NONE;
  const [whole, setWhole] = useState(false);
  return html`
    <section class="note chronicle" aria-labelledby="chronicle-title" data-testid="chronicle">
      <h2 id="chronicle-title">Chronicle</h2>
      ${entries.length === 0 && html`<p class="faint">Nothing has happened yet.</p>`}
      <ol>${(whole ? entries : entries.slice(0, FEW)).map((e) => html`<${Entry} key=${e.offset} ...${e} />`)}</ol>
      ${entries.length > FEW && html`<button class="quiet" onClick=${() => setWhole(!whole)}>${whole ? "Fewer" : `All ${entries.length} entries`}</button>`}
    </section>
  `;
}

export const Entry = ({ event, at, message }) => html`
  <li class=${isDanger(event) ? "danger" : ""}><time dateTime=${at}>${moment(at)}</time> <span>${message}</span></li>
`;
