/* What there is, growing as one looks, without asking the server. */

import { html, useRef } from "../vendor/htm-preact.js";
import { rate, whole } from "../format.js";
import { amount } from "../growth.js";
import { put, useFrames } from "../hooks.js";
import { Icon } from "../icons.js";

export const Treasury = ({ resources }) => html`
  <section class="note treasury" aria-label="Resources">
    ${["metal", "crystal"].map((what) => html`<${Resource} key=${what} what=${what} resources=${resources} />`)}
    <p class="capacity">The storehouse holds ${whole(resources.capacity)} of each.</p>
  </section>
`;

function Resource({ what, resources }) {
  const figure = useRef(null);
  const level = useRef(null);
  const full = useRef(null);
  useFrames((now) => {
    if (!figure.current) return;
    const n = amount(resources, what, now);
    const text = whole(n);
    if (figure.current.textContent !== text) figure.current.textContent = text;
    put(level.current, "width", Math.min(100, (100 * n) / resources.capacity).toFixed(1));
    const filled = n >= resources.capacity;
    if (full.current.hidden === filled) full.current.hidden = !filled;
  });
  return html`
    <div class="resource">
      <${Icon} of=${what} size="22" />
      <span class="what">${what}</span>
      <span class="figure" ref=${figure} data-testid=${`resource-${what}`}></span>
      <span class="rate">+${rate(resources[`${what}_per_hour`])} an hour</span>
      <svg class="gauge" viewBox="0 0 100 3" preserveAspectRatio="none" aria-hidden="true">
        <path d="M0 2.5H100" class="base" /><rect ref=${level} x="0" y="1" height="1.5" width="0" />
      </svg>
      <span class="full" ref=${full} hidden>full</span>
    </div>
  `;
}
