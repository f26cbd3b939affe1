/* Who shares this universe, and the link that lets others in. */

import { html, useRef, useState } from "../vendor/htm-preact.js";
import { invitationLink } from "../address.js";
import * as game from "../game.js";
import { useOrder } from "../hooks.js";
import { Icon } from "../icons.js";
import { useStore } from "../store.js";

export function Crew({ universe }) {
  const account = useStore((s) => s.account);
  const [link, setLink] = useState(null);
  const [invite, busy, complaint] = useOrder(() => game.invite((code) => setLink(invitationLink(code))));
  const names = universe.members.map((m) => (String(m.player) === account.player ? `${m.name} (you)` : m.name));
  return html`
    <section class="note crew" aria-labelledby="crew-title">
      <h2 id="crew-title">The crew</h2>
      <p data-testid="members">${names.join(", ")}</p>
      ${link
        ? html`<${Link} link=${link} />`
        : html`<button class="plain" data-testid="invite" disabled=${busy} onClick=${() => invite()}><${Icon} of="invite" size="20" /> Invite a friend</button>`}
      ${complaint && html`<p class="complaint" role="alert">${complaint}</p>`}
    </section>
  `;
}

function Link({ link }) {
  const field = useRef(null);
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    field.current.select();
    try {
      await navigator.clipboard.writeText(link);
    } catch {
      document.execCommand("copy"); // pages served without TLS have no clipboard
    }
    setCopied(true);
  };
  return html`
    <label class="invitation">Whoever opens this link joins you here.
      <input ref=${field} data-testid="invitation-link" readonly value=${link} onFocus=${(e) => e.target.select()} />
    </label>
    <button class="plain" data-testid="copy-link" onClick=${copy}>${copied ? "Copied" : "Copy the link"}</button>
  `;
}
