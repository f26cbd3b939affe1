/* The page: who is playing and where decides what is shown; the rest listens to the store. */

import { html, render, useEffect, useState } from "./vendor/htm-preact.js";
import { here } from "./address.js";
import * as game from "./game.js";
import { Announcement } from "./notes/announcement.js";
import { Away } from "./notes/away.js";
import { Toasts } from "./notes/toasts.js";
import { Foot } from "./pages/foot.js";
import { Title } from "./pages/title.js";
import { UniversePage } from "./pages/universe.js";
import { Universes } from "./pages/universes.js";
import { whoever } from "./session.js";
import { read, update, useStore } from "./store.js";
import { Wire } from "./wire/drawer.js";

function Page() {
  const account = useStore((s) => s.account);
  const wireOpen = useStore((s) => s.wireOpen);
  const place = useAddress();
  if (!account) return html`<${Title} invited=${place.page === "join"} />`;
  return html`
    <div class=${`plate${wireOpen ? " with-wire" : ""}`}>
      <${Announcement} />
      ${place.page === "universe" ? html`<${UniversePage} />` : html`<${Universes} />`}
      <${Away} />
      <${Toasts} />
      <${Foot} />
      <${Wire} />
    </div>
  `;
}

function useAddress() {
  const [place, set] = useState(here);
  useEffect(() => {
    const moved = () => {
      set(here());
      game.arrive();
    };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return place;
}

/** The title counts what happened while the page was in the background. */
function keepTitle() {
  let unread = 0;
  let seen = new Set();
  const write = () => {
    const { universe } = read();
    document.title = `${unread ? `(${unread}) ` : ""}${universe ? `${universe.name} · ` : ""}Here Be Dragons`;
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) unread = 0;
    write();
  });
  return () => {
    const { toasts } = read();
    if (document.hidden) unread += toasts.filter((t) => !seen.has(t.id)).length;
    seen = new Set(toasts.map((t) => t.id));
    write();
  };
}

const title = keepTitle();
function Titled() {
  const toasts = useStore((s) => s.toasts);
  const name = useStore((s) => s.universe?.name);
  useEffect(title, [toasts, name]);
  return html`<${Page} />`;
}

update({ account: whoever() });
if (read().account) game.begin();
const root = document.getElementById("page");
root.replaceChildren();
render(html`<${Titled} />`, root);
