// The client's behaviours in Node: `STARWIRE_COMMAND=<path of starwire> node --experimental-websocket` runs them.
// tests/integration/test_javascript_client.py does, and fails when these are skipped.

import { after, before, describe, test } from "node:test";

import * as starwire from "../../src/starwire/web/starwire.js";
import { behaviours, run } from "./behaviours.mjs";
import { COMMAND, Server } from "./server.mjs";

const skip = COMMAND === "" || typeof WebSocket !== "function" ? "no server to talk to, or no WebSocket" : false;

function play(behaviour, server) {
  const page = new EventTarget();
  return run(behaviour, { starwire, server, options: { page }, wake: () => page.dispatchEvent(new Event("online")) });
}

describe("the client", { skip, concurrency: 3 }, () => {
  describe("at a server that stays", { concurrency: 1 }, () => {
    let server;
    before(async () => {
      server = await new Server().start();
    });
    after(() => server.remove());
    for (const behaviour of behaviours.filter(({ settings }) => settings === undefined)) {
      test(behaviour.name, () => play(behaviour, server));
    }
  });

  for (const behaviour of behaviours.filter(({ settings }) => settings !== undefined)) {
    test(behaviour.name, async (t) => {
      const server = await new Server(behaviour.settings).start();
      t.after(() => server.remove());
      await play(behaviour, server);
    });
  }
});
