/* The title page: the beast, the name of the game, and the ways in. */

import { html, useRef, useState } from "../vendor/htm-preact.js";
import { DRACO, dragon } from "../chart/beasts.js";
import { milkyWay, net, rim } from "../chart/rim.js";
import { cutStar } from "../chart/stars.js";
import * as game from "../game.js";
import { useOrder, useTwinkle } from "../hooks.js";
import * as session from "../session.js";
import { useStore } from "../store.js";

const BEAST = "scale(.49) translate(-228 -138)";
const constellation = DRACO.map(([x, y, magnitude, letter]) => {
  const { lit, shade, edge, r } = cutStar(magnitude - 1.6);
  const star = `<g class="twinkle"><path class="lit" d="${lit}"/><path class="shade" d="${shade}"/><path class="edge" d="${edge}"/></g>`;
  return `<g transform="translate(${x} ${y}) scale(2)">${star}<text class="letter" x="${r + 0.8}" y="${-r * 0.4}">${letter}</text></g>`;
}).join("");

const frontispiece = () =>
  rim() + net(100) + milkyWay() + `<g class="great-beast" transform="${BEAST}">${dragon(5.5)}</g><g transform="${BEAST}">${constellation}</g>`;

/** Signs someone in by `how` and begins; gives the sentence that says why not. */
const enter = (how) => async (...args) => {
  try {
    await how(...args);
  } catch (error) {
    return session.sentence(error);
  }
  game.begin();
  return null;
};

export function Title({ invited }) {
  const trouble = useStore((s) => s.trouble);
  const [guest, busy, complaint] = useOrder(enter(session.playAsGuest));
  const [named, setNamed] = useState(false);
  const plate = useRef(null);
  useTwinkle(plate);
  return html`
    <main class="title-page">
      <div class="frontispiece" aria-hidden="true" ref=${plate}>
        <svg class="chart" viewBox="-130 -130 260 260">
          <defs><radialGradient id="sky-depth"><stop offset="0" class="depth-near" /><stop offset="0.75" class="depth-mid" /><stop offset="1" class="depth-far" /></radialGradient></defs>
          <g dangerouslySetInnerHTML=${{ __html: frontispiece() }} />
        </svg>
      </div>
      <div class="title-text">
        <p class="above">A new and living chart of the heavens</p>
        <h1><span>Here</span> <span>be</span> <span class="great">Dragons</span></h1>
        <div class="rule" aria-hidden="true"></div>
        <p class="lede">A universe of your own, or shared with a few friends. Mines dig, observatories watch, probes travel,
          and now and then dragons come. All of it runs on while everybody sleeps.</p>
        ${invited && html`<p class="invited">You have been invited to a universe. Come in, and it is opened for you.</p>`}
        ${trouble && html`<p class="complaint" role="alert">${trouble}</p>`}
        <button class="seal" data-testid="play-guest" disabled=${busy} onClick=${() => guest()}>${busy ? "Opening…" : "Play as guest"}</button>
        ${complaint && html`<p class="complaint" role="alert">${complaint}</p>`}
        <p class="or">No name needed; you can keep your account later.</p>
        ${named
          ? html`<${Credentials} />`
          : html`<button class="quiet" data-testid="sign-in" onClick=${() => setNamed(true)}>Sign in or register with a name</button>`}
      </div>
    </main>
  `;
}

/** Name and password, for signing in or for a new account. `keeping`: a guest makes the account theirs. */
export function Credentials({ keeping = false, done }) {
  const [signIn, signingIn, notIn] = useOrder(enter(session.signIn));
  const [signUp, signingUp, notUp] = useOrder(async (...args) => {
    const complaint = await enter(session.signUp)(...args);
    if (!complaint) done?.();
    return complaint;
  });
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const act = keeping || event.submitter?.value === "register" ? signUp : signIn;
    act(form.get("name").trim(), form.get("password"));
  };
  const busy = signingIn || signingUp;
  return html`
    <form class="credentials" onSubmit=${submit}>
      <label>Name <input name="name" autocomplete="username" required maxlength="40" data-testid="account-name" /></label>
      <label>Password <input name="password" type="password" autocomplete=${keeping ? "new-password" : "current-password"} required data-testid="account-password" /></label>
      ${(notIn ?? notUp) && html`<p class="complaint" role="alert">${notIn ?? notUp}</p>`}
      <div class="row">
        ${!keeping && html`<button disabled=${busy} value="login" data-testid="login">Sign in</button>`}
        <button class=${keeping ? "" : "plain"} disabled=${busy} value="register" data-testid="register">${keeping ? "Keep this account" : "Register"}</button>
      </div>
    </form>
  `;
}
