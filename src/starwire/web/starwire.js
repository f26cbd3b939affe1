// The browser's side of starwire.v1: commands at any time, pushes at any time, over one connection that
// comes back by itself. An ES module without dependencies and without a build step; it knows nothing of any game, and
// runs in browsers and in Node ≥ 20 (give it a `WebSocket` there). The types are in starwire.d.ts; every time
// is in milliseconds, save in what the server sent and is passed on as it came.
//
// It keeps the client's half of the promises of docs/reference/protocol.md: each event once and in order, or a
// resync; each command once, however often it had to be sent. Next hop: client.js.

export { guest, login, logout, refresh, register } from "./auth.js";
export { Client } from "./client.js";
export { AuthError, CLOSE_CODES, CommandError, LOCAL_CODES } from "./errors.js";
