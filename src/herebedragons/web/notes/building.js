/* What is being built and what waits behind it, by the server's clock. */

import { html } from "../vendor/htm-preact.js";
import { brief, countdown, structureName } from "../format.js";
import * as game from "../game.js";
import { useNow, useOrder } from "../hooks.js";
import { Icon } from "../icons.js";
import { Scale } from "./scale.js";

export function Building({ planet }) {
  if (!planet.queue.length) return null;
  return html`
    <section class="note building" aria-labelledby="building-title">
      <h2 id="building-title">Under construction</h2>
      <ol>${planet.queue.map((c) => html`<${Construction} key=${c.construction} ...${c} />`)}</ol>
    </section>
  `;
}

function Construction({ construction, structure, level, position, seconds, started_at, due_at }) {
  const now = useNow(250);
  const [cancel, busy, complaint] = useOrder(() => game.cancel(construction));
  const name = `${structureName(structure)}, level ${level}`;
  const left = due_at ? Date.parse(due_at) - now : null;
  return html`
    <li data-testid=${`construction-${position}`} data-construction=${construction}>
      <div class="construction-line">
        <${Icon} of=${structure} size="22" />
        <span class="name">${structureName(structure)}</span> <span class="level">level ${level}</span>
        ${due_at
          ? html`<time class="countdown" data-testid="countdown" aria-label=${`${name}: time left`}>${left > 0 ? countdown(left) : "any moment"}</time>`
          : html`<span class="waits">waits, then ${brief(seconds * 1000)}</span>`}
        <button class="quiet cancel" data-testid=${`cancel-${construction}`} disabled=${busy} aria-label=${`Cancel ${name}; its cost comes back`} onClick=${() => cancel()}>Cancel</button>
      </div>
      ${due_at && html`<${Scale} work=${{ started_at, due_at }} label=${`${name}: progress`} testid="progress" />`}
      ${complaint && html`<p class="complaint" role="alert">${complaint}</p>`}
    </li>
  `;
}
