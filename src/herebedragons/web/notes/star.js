/* The note on a star: what is known of it, and the probe that would tell more. */

import { html } from "../vendor/htm-preact.js";
import { countdown, inWords } from "../format.js";
import * as game from "../game.js";
import { useNow, useOrder } from "../hooks.js";
import { Icon } from "../icons.js";
import { Scale } from "./scale.js";

export function StarNote({ universe, star: number, pinned }) {
  const star = universe.stars.find((s) => s.star === number);
  return html`
    <section class="note star-note" aria-label="Star" data-testid="star-note">
      ${star ? html`<${Known} key=${star.star} star=${star} universe=${universe} pinned=${pinned} />` : html`<${Overview} universe=${universe} />`}
    </section>
  `;
}

function Overview({ universe }) {
  const now = useNow(1000);
  const { stars, processes } = universe;
  const visited = stars.filter((s) => s.probed && !s.home).length;
  const survey = processes.find((p) => p.kind === "survey");
  return html`
    <h2>The known sky</h2>
    <p>${stars.length === 1 ? "One star, your own." : `${stars.length} stars${visited ? `, ${visited} of them visited` : ""}.`}
      ${survey ? ` The observatory's next survey ends in ${inWords(Date.parse(survey.due_at) - now)}.` : ""}</p>
    ${survey && html`<${Scale} work=${survey} label="The survey's progress" />`}
    <p class="faint">${stars.length === 1 ? "An observatory finds others." : "Choose a star to read of it."}</p>
  `;
}

function Known({ star, universe, pinned }) {
  const [send, busy, complaint] = useOrder(() => game.sendProbe(star.star));
  const probe = universe.probes.find((p) => p.star === star.star);
  return html`
    <h2><span class="name">${star.name}</span> <span class="level">magnitude ${star.magnitude.toFixed(1)}</span></h2>
    <p>${star.home ? "Your home star." : star.probed ? `Visited. ${planets(star.planets)}` : probe ? "A probe is on its way." : "Nobody has been there."}</p>
    ${star.note && html`<p class="star-words">${star.note}</p>`}
    ${probe && html`<${UnderWay} probe=${probe} name=${star.name} />`}
    ${!star.home && !star.probed && !probe && html`
      <button data-testid="send-probe" disabled=${busy} onClick=${() => send()}><${Icon} of="probe" size="20" /> Send a probe</button>`}
    ${!pinned && !star.home && !star.probed && !probe && html`<p class="faint hint">Click the star to keep this note open.</p>`}
    ${complaint && html`<p class="complaint" role="alert">${complaint}</p>`}
  `;
}

const planets = (n) => (n > 1 ? `${n} planets circle it.` : n === 1 ? "One planet circles it." : "No planets.");

function UnderWay({ probe, name }) {
  const now = useNow(500);
  return html`
    <p>It arrives in <time class="figures">${countdown(Date.parse(probe.due_at) - now)}</time>.</p>
    <${Scale} work=${probe} label=${`The probe's way to ${name}`} />
  `;
}
