/* Dragons: whether any are coming, when, and what can be done about it. */

import { html } from "../vendor/htm-preact.js";
import { countdown } from "../format.js";
import { useNow } from "../hooks.js";
import { DragonHead } from "../icons.js";

const figure = (n) => (Number.isInteger(n) ? String(n) : n.toFixed(1));

function advice({ level, power }, strength) {
  if (power >= strength) return "The shield is strong enough. Let them come.";
  if (!level) return "There is no shield. Build one, or spend what they would take.";
  return "The shield will not hold. Raise it in time, or spend what they would take.";
}

export function Omen({ universe }) {
  const { dragons, shield } = universe;
  const now = useNow(500);
  if (!dragons) {
    return html`<section class="note omen calm" data-testid="dragons" aria-label="Dragons"><p>No dragons in sight.${shield.level > 0 && ` The shield stands at ${figure(shield.power)}.`}</p></section>`;
  }
  const left = Date.parse(dragons.arrives_at) - now;
  return html`
    <section class="note omen" data-testid="dragons" aria-labelledby="omen-title">
      <${DragonHead} size="72" />
      <h2 id="omen-title">Dragons inbound</h2>
      <time class="countdown" data-testid="dragons-countdown" aria-label="Time until the dragons arrive">${left > 0 ? countdown(left) : "They are here"}</time>
      <p class="strengths">strength <b>${figure(dragons.strength)}</b> against your shield's <b>${figure(shield.power)}</b></p>
      <p class="advice">${advice(shield, dragons.strength)}</p>
    </section>
  `;
}
