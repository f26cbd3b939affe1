/* Where the reader is, kept in the address after the #: "u/17" a universe, "join=<code>" an invitation, else the list. */

export function parse(hash) {
  const text = hash.replace(/^#/, "");
  const universe = /^u\/(\d+)$/.exec(text);
  if (universe) return { page: "universe", universe: Number(universe[1]) };
  const invitation = /^join=(.+)$/.exec(text);
  if (invitation) return { page: "join", invitation: decodeURIComponent(invitation[1]) };
  return { page: "universes" };
}

export const here = () => parse(location.hash);

export function go(hash) {
  if (location.hash.replace(/^#/, "") === hash) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = hash;
}

export const invitationLink = (code) => `${location.origin}/#join=${encodeURIComponent(code)}`;
