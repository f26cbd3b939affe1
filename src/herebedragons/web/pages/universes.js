/* The list of one's universes, and the beginning of a new one. */

import { html, useState } from "../vendor/htm-preact.js";
import { serpent, SERPENT_BOX } from "../chart/beasts.js";
import { armillary, compassRose } from "../chart/ornaments.js";
import * as game from "../game.js";
import { moment, PACES } from "../format.js";
import { useOrder } from "../hooks.js";
import { useStore } from "../store.js";

export function Universes() {
  const universes = useStore((s) => s.universes);
  const trouble = useStore((s) => s.trouble);
  return html`
    <main class="atlas">
      <header>
        <svg class="ornament" viewBox="-50 -60 100 125" aria-hidden="true" dangerouslySetInnerHTML=${{ __html: armillary() }} />
        <p class="above">Here be dragons</p>
        <h1>Your universes</h1>
        ${trouble && html`<p class="complaint" role="alert">${trouble}</p>`}
      </header>
      <section class="atlas-list" aria-label="Your universes">
        ${universes == null
          ? html`<p class="faint">Turning the pages…</p>`
          : universes.length === 0
            ? html`<p class="faint">The atlas is blank. Name the first universe, and its sky begins to move.</p>`
            : html`<ol>${universes.map((u) => html`<${Entry} key=${u.universe} ...${u} />`)}</ol>`}
        <svg class="ornament serpent" viewBox=${SERPENT_BOX.join(" ")} aria-hidden="true" dangerouslySetInnerHTML=${{ __html: serpent() }} />
      </section>
      <${NewUniverse} first=${universes?.length === 0} />
    </main>
  `;
}

const Entry = ({ universe, name, pace, members, created_at }) => html`
  <li>
    <a href=${`#u/${universe}`} data-testid=${`universe-${universe}`}>
      <span class="name">${name}</span>
      <span class="facts">pace ×${pace}${members > 1 ? ` · a crew of ${members}` : ""} · begun ${moment(created_at)}</span>
    </a>
  </li>
`;

function NewUniverse({ first }) {
  const [pace, setPace] = useState(60);
  const [create, busy, complaint] = useOrder(game.createUniverse);
  const submit = (event) => {
    event.preventDefault();
    create(new FormData(event.target).get("name").trim(), pace);
  };
  return html`
    <section class="new-universe">
      <h2>${first ? "Begin a universe" : "Begin another"}</h2>
      <form onSubmit=${submit}>
        <label class="field">Its name <input name="name" required maxlength="40" placeholder="Arda" autocomplete="off" data-testid="new-universe-name" /></label>
        <fieldset data-testid="new-universe-pace">
          <legend>Its pace</legend>
          ${PACES.map((p) => html`
            <label class=${`pace${pace === p.pace ? " chosen" : ""}`} key=${p.pace}>
              <input type="radio" name="pace" value=${p.pace} checked=${pace === p.pace} onChange=${() => setPace(p.pace)} data-testid=${`pace-${p.pace}`} />
              <span class="pace-name">${p.name} <b>×${p.pace}</b></span>
              <span class="pace-words">${p.words}</span>
            </label>`)}
        </fieldset>
        <button class="seal" disabled=${busy} data-testid="create-universe">${busy ? "Drawing it…" : "Begin"}</button>
        ${complaint && html`<p class="complaint" role="alert">${complaint}</p>`}
      </form>
      <svg class="ornament rose" viewBox="-50 -52 100 100" aria-hidden="true" dangerouslySetInnerHTML=${{ __html: compassRose() }} />
    </section>
  `;
}
