/* What stands on the planet, what its next level costs, and the order to build it. */

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { brief, STRUCTURES, structureName, whole } from "../format.js";
import * as game from "../game.js";
import { affordableIn, missing } from "../growth.js";
import { useNow, useOrder } from "../hooks.js";
import { Icon } from "../icons.js";

const QUEUE_MOST = 5;
/** Why this cannot be built now, as a sentence, or null. */
function obstacle(offer, planet, now) {
  if (!offer.unlocked) return offer.needs ? `Needs ${offer.needs} first.` : "Not yet within reach.";
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
  const [renaming, setRenaming] = useState(false);
  return html`
    <section class="note works" aria-labelledby="works-title">
      <h2 id="works-title"><span data-testid="planet-name">${planet.name}</span>
        <button class="quiet rename" aria-expanded=${renaming ? "true" : "false"} data-testid="rename" onClick=${() => setRenaming(!renaming)}>rename</button></h2>
      ${renaming && html`<${Rename} planet=${planet} done=${() => setRenaming(false)} />`}
      <ul>${Object.keys(STRUCTURES).map((structure) => {
        const offer = planet.offers.find((o) => o.structure === structure);
        return html`<${Work} key=${structure} structure=${structure} offer=${offer} planet=${planet} why=${offer && obstacle(offer, planet, now)} />`;
      })}</ul>
    </section>
  `;
}

/** `offer` is missing for what is as high as it goes. */
function Work({ structure, offer, planet, why }) {
  const [build, busy, complaint] = useOrder(() => game.build(planet.planet, structure));
  const level = planet.structures[structure] ?? 0;
  const reason = `why-${structure}`;
  return html`
    <li class=${`work${level ? "" : " unbuilt"}`} data-testid=${`structure-${structure}`}>
      <${Icon} of=${structure} size="30" />
      <div class="work-text">
        <p class="work-name"><span class="name">${structureName(structure)}</span> <span class="level">${level ? `level ${level}` : "unbuilt"}</span></p>
        <p class="price">${offer
          ? html`<${Cost} of="metal" n=${offer.metal} /><${Cost} of="crystal" n=${offer.crystal} /><span class="takes">${brief(offer.seconds * 1000)}</span>`
          : "As high as it can be built."}</p>
        ${complaint ? html`<p class="complaint" role="alert">${complaint}</p>` : why && html`<p class="why" id=${reason}>${why}</p>`}
      </div>
      ${offer && html`<button
        class="build" data-testid=${`build-${structure}`} disabled=${busy || !!why} aria-describedby=${why ? reason : null}
        aria-label=${`${offer.level > 1 ? `Raise to ${offer.level}` : "Build"}: ${structureName(structure).toLowerCase()}`} title=${STRUCTURES[structure].use} onClick=${() => build()}
      >${offer.level > 1 ? html`Raise <span class="to">to ${offer.level}</span>` : "Build"}</button>`}
    </li>
  `;
}

function Rename({ planet, done }) {
  const field = useRef(null);
  useEffect(() => {
    field.current.value = planet.name;
    field.current.select();
  }, []);
  const [rename, busy, complaint] = useOrder(async (name) => {
    const trouble = await game.renamePlanet(planet.planet, name);
    if (!trouble) done();
    return trouble;
  });
  const submit = (event) => {
    event.preventDefault();
    rename(new FormData(event.target).get("name"));
  };
  return html`
    <form class="renaming" onSubmit=${submit}>
      <label class="unseen-label" for="planet-rename">The planet's new name</label>
      <input id="planet-rename" name="name" required maxlength="40" autocomplete="off" ref=${field} />
      <button class="plain" disabled=${busy}>Rename</button>
      ${complaint && html`<p class="complaint" role="alert">${complaint}</p>`}
    </form>
  `;
}

const Cost = ({ of, n }) => n > 0 && html`<span class="cost"><${Icon} of=${of} size="15" label=${of} />${whole(n)}</span>`;
