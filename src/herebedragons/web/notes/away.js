/* "While you were away": what the streams held when the page was opened again. */

import { html, useEffect, useRef } from "../vendor/htm-preact.js";
import { update, useStore } from "../store.js";
import { Entry } from "./chronicle.js";

export function Away() {
  const away = useStore((s) => s.away);
  const universes = useStore((s) => s.universes);
  const sheet = useRef(null);
  const any = away.length > 0;
  useEffect(() => {
    if (any && !sheet.current.open) sheet.current.showModal();
  }, [any]);
  if (!any) return null;
  const several = new Set(away.map((e) => e.universe)).size > 1;
  const nameOf = (universe) => universes?.find((u) => u.universe === universe)?.name ?? `Universe ${universe}`;
  const groups = [...new Set(away.map((e) => e.universe))].map((universe) => [universe, away.filter((e) => e.universe === universe)]);
  const close = () => update({ away: [] });
  return html`
    <dialog ref=${sheet} class="away" aria-labelledby="away-title" data-testid="away" onClose=${close}>
      <h2 id="away-title">While you were away</h2>
      ${groups.map(([universe, entries]) => html`
        <div key=${universe}>
          ${several && html`<h3><a href=${`#u/${universe}`} onClick=${close}>${nameOf(universe)}</a></h3>`}
          <ol>${entries.map((e) => html`<${Entry} key=${e.offset} ...${e} />`)}</ol>
        </div>`)}
      <button data-testid="away-close" autofocus onClick=${close}>Good to know</button>
    </dialog>
  `;
}
