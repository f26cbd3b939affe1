/* Little notes for what happens while one looks, read out politely. */

import { html } from "../vendor/htm-preact.js";
import * as game from "../game.js";
import { useStore } from "../store.js";

export function Toasts() {
  const toasts = useStore((s) => s.toasts);
  return html`
    <div class="toasts" role="status" aria-live="polite">
      ${toasts.map(({ id, message, danger }) => html`
        <p key=${id} class=${`toast${danger ? " danger" : ""}`} data-testid="toast">
          <span>${message}</span>
          <button class="quiet" aria-label="Dismiss" onClick=${() => game.dismiss(id)}>×</button>
        </p>`)}
    </div>
  `;
}
