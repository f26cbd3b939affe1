/* Line drawings, 24 by 24, cut with one burin. */

import { dragonHead, HEAD_BOX } from "./chart/beasts.js";
import { html } from "./vendor/htm-preact.js";

const DRAWINGS = {
  // A headframe over a shaft, and the ore below it.
  metal_mine: "M3 20.5h18M6.5 20.5 11 5h2l4.5 15.5M9.7 9.5h4.6M8.5 14h7M12 5V2.5M12 5m-2.2 0a2.2 2.2 0 1 0 4.4 0a2.2 2.2 0 1 0-4.4 0M12 9.5v11M10.5 17.5h3v3h-3z",
  // Three prisms growing from rock.
  crystal_mine: "M12 2.5l3 3.5-1 14h-4l-1-14zM12 2.5V20M9 6l3 2 3-2M6 9.5l2.5 3-.5 7.5M6 9.5l-2.5 4L5.5 20M6 9.5v4L5.5 20M18 11l2.5 3-2 6M18 11l-2 2.5.5 6.5M18 11v3.5l.5 5.5M3 20.5h18",
  // A gabled granary with a barred door.
  storehouse: "M3 10.5 12 3.5l9 7M5 9.5V20.5h14V9.5M2.5 20.5h19M9 20.5v-7h6v7M9 13.5l6 7M15 13.5l-6 7M10.5 9h3M7 12v6M17 12v6",
  // A dome with its slit and a telescope looking out.
  observatory: "M4.5 14a7.5 7.5 0 0 1 15 0M3.5 14h17M5.5 14v6.5h13V14M2.5 20.5h19M11 7l6.5-4.5 1.5 2.2L12.5 9M9 10.5l2-3.5 1.5 2M12 20.5v-4M8.5 16.5v2M15.5 16.5v2",
  // A heater shield quartered, with a star.
  shield: "M12 2.5c3 1.7 5.7 2.3 8.5 2.3 0 7.7-2.3 13.2-8.5 16.7C5.8 18 3.5 12.5 3.5 4.8 6.3 4.8 9 4.2 12 2.5zM12 5c2.2 1.1 4.2 1.6 6.3 1.8-.3 5.7-2.2 9.6-6.3 12.3C7.9 16.4 6 12.5 5.7 6.8 7.8 6.6 9.8 6.1 12 5zM12 8l1 2.8 2.8 1-2.8 1L12 15.6l-1-2.8-2.8-1 2.8-1z",
  // An arrow-like vessel with its trail.
  probe: "M20.5 3.5c-5 .5-8.5 2.5-11 6.5l4.5 4.5c4-2.5 6-6 6.5-11zM9.5 10 6 10.5l-2 3 4.2.2M14 14.5l-.5 3.5-3 2-.2-4.2M8 16l-4.5 4.5M10 17.5 8 20M6.5 14 4.5 16M16 6.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 1 0 0-3z",
  // A sealed letter.
  invite: "M3 6h18v12.5H3zM3 6l9 7 9-7M3 18.5l6.7-7.3M21 18.5l-6.7-7.3M12 13m-2 1.5a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
  // A telegraph key's spark between two poles.
  wire: "M4.5 21V6M19.5 21V6M2.5 8.5h4M17.5 8.5h4M3 8.5c4 4.5 14 4.5 18 0M3 11.5c4 4 14 4 18 0M12.7 5l-2 3.5h2.6l-2 3.5M2.5 21h4M17.5 21h4",
  metal: "M4 17.5 7 9h10l3 8.5zM7 9l2 3.5h8.5M9 12.5 6.5 17.5",
  crystal: "M12 3l5 6-5 12L7 9zM7 9h10M12 3v18",
  crew: "M8 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM16.5 12a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2 20.5c.3-4.5 2.5-7 6-7s5.7 2.5 6 7M16 14.2c3.3-.2 5.5 2 6 6.3",
};

/** Decorative by default; with a `label`, a picture that says something. */
export const Icon = ({ of, label, size = 24 }) => html`
  <svg class=${`icon icon-${of}`} viewBox="0 0 24 24" width=${size} height=${size} role=${label ? "img" : null} aria-label=${label} aria-hidden=${label ? null : "true"}>
    <path d=${DRAWINGS[of]} />
  </svg>
`;

/** The dragon's head, as on the chart. */
export const DragonHead = ({ size = 64 }) => html`
  <svg class="dragon-head" viewBox=${HEAD_BOX.join(" ")} width=${size} height=${(size * HEAD_BOX[3]) / HEAD_BOX[2]} aria-hidden="true" dangerouslySetInnerHTML=${{ __html: dragonHead() }} />
`;
