/* A universe on the table: the chart in the middle, notes in its margins. */

import { html, useState } from "../vendor/htm-preact.js";
import { Chart } from "../chart.js";
import { armillary, comet, compassRose, moons } from "../chart/ornaments.js";
import { Building } from "../notes/building.js";
import { Chronicle } from "../notes/chronicle.js";
import { Crew } from "../notes/crew.js";
import { Omen } from "../notes/omen.js";
import { StarNote } from "../notes/star.js";
import { Treasury } from "../notes/treasury.js";
import { Works } from "../notes/works.js";
import { update, useStore } from "../store.js";

const PACE_WORDS = { 1: "life-size", 60: "an hour in a minute", 3600: "an hour in a second" };

export function UniversePage() {
  const universe = useStore((s) => s.universe);
  const trouble = useStore((s) => s.trouble);
  const star = useStore((s) => s.star);
  const [pointed, point] = useState(null);
  if (!universe) {
    return html`<main class="opening">${trouble ? html`<p class="complaint" role="alert">${trouble}</p><p><a href="#">Back to your universes</a></p>` : html`<p>Unrolling the chart…</p>`}</main>`;
  }
  const pin = (chosen) => update({ star: chosen });
  const planet = universe.planets[0];
  return html`
    <main class="table">
      <header class="cartouche">
        <a class="home-link" href="#" data-testid="all-universes">Here be dragons</a>
        <h1>${universe.name}</h1>
        <p class="pace-line">pace ×${universe.pace}<span> · ${PACE_WORDS[universe.pace]}</span></p>
      </header>
      <section class="stage" aria-label="Star map">
        <${Corner} at="top-left" box="-50 -60 100 125" drawing=${armillary} />
        <${Corner} at="top-right" box="-50 -50 100 100" drawing=${comet} />
        <${Corner} at="bottom-left" box="-50 -50 100 100" drawing=${moons} />
        <${Corner} at="bottom-right" box="-50 -52 100 100" drawing=${compassRose} />
        <${Chart} universe=${universe} pinned=${star} pin=${pin} pointed=${pointed} point=${point} />
      </section>
      <div class="margin left">
        <${Treasury} resources=${planet.resources} />
        <${Works} universe=${universe} planet=${planet} />
        <${Crew} universe=${universe} />
      </div>
      <div class="margin right">
        <${Omen} universe=${universe} />
        <${StarNote} universe=${universe} star=${star ?? pointed} pinned=${star != null} />
        <${Building} planet=${planet} />
        <${Chronicle} universe=${universe.universe} />
      </div>
    </main>
  `;
}

const Corner = ({ at, box, drawing }) => html`
  <svg class=${`ornament corner ${at}`} viewBox=${box} aria-hidden="true" dangerouslySetInnerHTML=${{ __html: drawing() }} />
`;
