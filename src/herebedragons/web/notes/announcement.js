/* A word from those who keep the server, to every open page. */

import { html } from "../vendor/htm-preact.js";
import { moment } from "../format.js";
import { update, useStore } from "../store.js";

export function Announcement() {
  const announcement = useStore((s) => s.announcement);
  return html`
    <div role="status" aria-live="polite">
      ${announcement && html`
        <p class="announcement" data-testid="announcement">
          <span>${announcement.text} <time class="when" dateTime=${announcement.at}>${moment(announcement.at)}</time></span>
          <button class="quiet" aria-label="Dismiss the announcement" onClick=${() => update({ announcement: null })}>×</button>
        </p>`}
    </div>
  `;
}
