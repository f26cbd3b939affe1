/* The foot of the page: the state of the line, who is playing, and the way to the wire. */

import { html, useRef, useState, useEffect } from "../vendor/htm-preact.js";
import * as game from "../game.js";
import { inWords } from "../format.js";
import { Icon } from "../icons.js";
import { update, useStore } from "../store.js";
import { Credentials } from "./title.js";

export function Foot() {
  const account = useStore((s) => s.account);
  const wireOpen = useStore((s) => s.wireOpen);
  return html`
    <footer class="foot">
      <${Line} />
      <div class="player">
        <span class="player-name" data-testid="player-name">${account.name}</span>
        ${account.guest && html`<${KeepAccount} />`}
        <button class="quiet" data-testid="sign-out" onClick=${() => confirmLeaving(account) && game.leave()}>Sign out</button>
      </div>
      <button class="quiet wire-toggle" data-testid="wire-toggle" aria-expanded=${wireOpen ? "true" : "false"} aria-controls="wire" onClick=${() => update({ wireOpen: !wireOpen })}>
        <${Icon} of="wire" size="20" /> <span><span class="long">The </span>wire</span>
      </button>
    </footer>
  `;
}

const confirmLeaving = (account) => !account.guest || confirm("A guest who signs out cannot come back. Sign out all the same?");

const WORDS = { open: "The line is open", connecting: "Calling…", closed: "The line is closed" };
const REASONS = {
  refused: "The server did not let this page in. Load it again to try once more.",
};

function Line() {
  const line = useStore((s) => s.line);
  const lateness = useStore((s) => s.lateness);
  const [, tick] = useState(0);
  useEffect(() => {
    if (line.retryAt == null) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 500);
    return () => clearInterval(timer);
  }, [line]);
  const left = line.retryAt == null ? 0 : Math.max(0, Math.ceil((line.retryAt - Date.now()) / 1000));
  const words = line.state === "waiting" ? (left ? `Re-dialling in ${left} s` : "Re-dialling…") : WORDS[line.state];
  return html`
    <p class=${`line ${line.state}`} role="status" data-testid="line">
      <span class="lamp" aria-hidden="true"></span>${words}
      ${line.state === "closed" && REASONS[line.reason] && html` <span class="faint">${REASONS[line.reason]}</span>`}
      ${lateness > 1 && html` <span class="late">The server runs ${inWords(lateness * 1000)} late; nothing is lost.</span>`}
    </p>
  `;
}

function KeepAccount() {
  const dialog = useRef(null);
  return html`
    <button class="quiet" data-testid="keep-account" onClick=${() => dialog.current.showModal()}>Keep <span class="long">this </span>account</button>
    <dialog ref=${dialog} class="sheet" aria-labelledby="keep-title">
      <h2 id="keep-title">Keep this account</h2>
      <p>Choose a name and a password. Your universes stay yours, and you can come back from anywhere.</p>
      <${Credentials} keeping done=${() => dialog.current?.close()} />
      <button class="quiet" onClick=${() => dialog.current.close()}>Not now</button>
    </dialog>
  `;
}
