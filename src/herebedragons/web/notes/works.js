/* What stands on the planet, what its next level costs, and the order to build it. */

import { html } from "../vendor/htm-preact.js";
import { brief, STRUCTURES, structureName, whole } from "../format.js";
import * as game from "../game.js";
import { affordableIn, missing } from "../growth.js";
import { useNow, useOrder } from "../hooks.js";
import { Icon } from "../icons.js";

const QUEUE_MOST = 5;
const needed = (needs) => (STRUCTURES[needs] ? `Needs ${/^[aeio]/.test(needs) ? "an" : "a"} ${structureName(needs).toLowerCase()} first.` : needs);

/** Why this cannot be built now, as a sentence, or null. */
function obstacle(offer, planet, now) {
  if (!offer.unlocked) return needed(offer.needs ?? "Not yet within reach.");
  if (planet.queue.length >= QUEUE_MOST) return `${QUEUE_MOST} are under way or waiting; that is all the builders can hold.`;
  const lack = missing(planet.resources, offer, now);
  if (!lack) return null;
  const what = Object.entries(lack).map(([name, n]) => `${whole(Math.ceil(n))} ${name}`).join(" and ");
  const wait = affordableIn(planet.resources, offer, now);
  if (wait != null) return `Lacks ${what}: in ${brief(Math.max(1000, wait))}.`;
  const dear = Math.max(offer.metal, offer.crystal) > planet.resources.capacity;
  return dear ? "More than the storehouse holds: raise it first." : `Lacks ${what}.`;
}

export function Works({ universe, planet }) {
  const now = useNow(universe.pace > 1 ? 250 : 1000);
  return html`
    <section class="note works" aria-labelledby="works-title">
      <h2 id="works-title"><span>The works on <span class="name" data-testid="planet-name">${planet.name}</span></span></h2>
      <ul>${planet.offers.map((offer) => html`<${Work} key=${offer.structure} offer=${offer} planet=${planet} why=${obstacle(offer, planet, now)} />`)}</ul>
    </section>
  `;
}

function Work({ offer, planet, why }) {
  const [build, busy, complaint] = useOrder(() => game.build(planet.planet, offer.structure));
  const { structure } = offer;
  const level = planet.structures[structure] ?? 0;
  const reason = `why-${structure}`;
  return html`
    <li class=${`work${level ? "" : " unbuilt"}`} data-testid=${`structure-${structure}`}>
      <${Icon} of=${structure} size="30" />
      <div class="work-text">
        <p class="work-name"><span class="name">${structureName(structure)}</span> <span class="level">${level ? `level ${level}` : "unbuilt"}</span></p>
        <p class="price">
          <${Cost} of="metal" n=${offer.metal} /><${Cost} of="crystal" n=${offer.crystal} /><span class="takes">${brief(offer.seconds * 1000)}</span>
        </p>
        ${complaint ? html`<p class="complaint" role="alert">${complaint}</p>` : why && html`<p class="why" id=${reason}>${why}</p>`}
      </div>
      <button
        class="build" data-testid=${`build-${structure}`} disabled=${busy || !!why} aria-describedby=${why ? reason : null}
        aria-label=${`Build ${structureName(structure).toLowerCase()} level ${offer.level}`} title=${STRUCTURES[structure]?.use} onClick=${() => build()}
      >${level ? html`Raise <span class="to">to ${offer.level}</span>` : "Build"}</button>
    </li>
  `;
}

const Cost = ({ of, n }) => n > 0 && html`<span class="cost"><${Icon} of=${of} size="15" label=${of} />${whole(n)}</span>`;
