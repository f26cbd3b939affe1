// A page as its author would write it with types. It is checked by tsc, never run; a line said to be a
// mistake has to be one, or tsc fails.

import { AuthError, Client, CommandError, guest, register, type Wire } from "../../src/starwire/web/starwire.js";

interface Orchard extends Wire {
  commands: { plant: { args: { seconds?: number }; result: { process: number; due_at: string } } };
  views: { look: { args: Record<string, never>; result: number } };
  events: { ripe: { apples: number } };
}

export async function page(): Promise<void> {
  const tokens = await guest();
  await register("", "ada", "a long password", tokens.access_token);
  const client = new Client<Orchard>({
    tokens,
    resume: { epoch: "e", offsets: { "player:42": 17 } },
    onTokens: (renewed) => localStorage.setItem("tokens", JSON.stringify(renewed)),
  });
  client.connect();

  const started = await client.command("plant", { seconds: 60 }, { timeout: 5_000 });
  const due: string = started.due_at;
  const { result, positions } = await client.view("look", {});
  const apples: number = result + (positions["player:42"] ?? 0);

  let total = 0;
  const handle = client.state("look", {}, {
    read: (count) => (total = count),
    apply: (push) => (total = push.data.apples),
  });
  handle.ready.then((first: number) => first, () => handle.close());

  const off = client.on("ripe", (push) => {
    total = push.data.apples;
    // @ts-expect-error: the event has no pears
    push.data.pears;
  });
  client.on("*", (push) => console.log(push.stream, push.offset, push.message));
  off();
  client.addEventListener("state", ({ detail }) => console.log(detail.state, detail.retryIn));
  client.addEventListener("frame", ({ detail: { direction, text } }) => console.log(direction, text));

  for (const process of client.processes.values()) console.log(process.kind, client.progress(process), client.now());

  try {
    await client.command("plant");
  } catch (error) {
    if (error instanceof CommandError && error.code === "rejected") console.log(error.reason, error.retryAfter);
    if (error instanceof AuthError) console.log(error.status);
  }

  // @ts-expect-error: there is no such command
  client.command("harvest");
  // @ts-expect-error: seconds is a number
  client.command("plant", { seconds: "soon" });
  // @ts-expect-error: nor is there such an event of the client
  client.addEventListener("states", () => {});

  const untyped = new Client({ tokens: async () => tokens });
  const anything: unknown = await untyped.command("whatever", { any: "thing" });
  untyped.on("whatever", (push) => push.data.anything);
  const now: number = client.now();
  console.log(due, apples, total, anything, now, client.offsets["player:42"]?.toFixed());
}
