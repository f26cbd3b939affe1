// The page at /dev: a token by one click, a form for each command, the wire, live processes, and journeys.
// Everything on it uses starwire.js like any other page; this file joins the parts.

import { AuthError, Client, CommandError, guest } from "/starwire/starwire.js";
import { element, span } from "./element.js";
import { formOf } from "./form.js";
import { Frames, parsed } from "./frames.js";
import { Journeys } from "./journeys.js";
import { Live } from "./live.js";

const KEPT = "starwire-dev-tokens";
const BUILT_IN = new Set(["hello", "refresh", "ping", "processes"]);
const $ = (selector) => document.querySelector(selector);

let client = null;
const frames = new Frames((text) => client?.raw(text) ?? false);
const journeys = new Journeys();
const live = new Live(() => client);
let lateness = 0;

function connect(tokens) {
  client?.close();
  const mine = (client = new Client({ tokens, onTokens: keep }));
  keep(tokens);
  mine.addEventListener("state", ({ detail }) => mine === client && showState(detail));
  mine.addEventListener("status", ({ detail }) => {
    lateness = detail.lateness ?? lateness;
    showState({ state: mine.connection });
  });
  mine.addEventListener("frame", ({ detail }) => mine === client && seen(detail));
  mine.addEventListener("error", ({ detail }) => detail instanceof Error && frames.note(detail.message));
  mine.addEventListener("resync", ({ detail }) => frames.note(`resync: ${detail.stream} goes on from ${detail.offset}`));
  mine.addEventListener("processes", () => mine === client && live.show(mine.processes));
  mine.connect();
  void mine.processes; // looked at once, they are followed
  $("#connection").hidden = false;
}

/** For this tab only: a reload stays the same player. */
function keep(tokens) {
  sessionStorage.setItem(KEPT, JSON.stringify(tokens));
}

function seen(shown) {
  frames.add(shown);
  const frame = parsed(shown.text);
  if (frame === null) return;
  if (shown.direction === "out" && !BUILT_IN.has(frame.command)) journeys.sent(frame, performance.now() + performance.timeOrigin);
  else if (frame.type === "reply") journeys.replied(frame, performance.now() + performance.timeOrigin);
  else if (frame.type === "push") journeys.pushed(frame, performance.now() + performance.timeOrigin);
}

function showState({ state, retryIn, reason }) {
  const texts = {
    open: () => `player ${client.player}${client.welcome?.name ? ` (${client.welcome.name})` : ""}`,
    connecting: () => "connecting…",
    waiting: () => `again in ${span(retryIn / 1000)} (${reason})`,
    closed: () => `closed${reason && reason !== "closed" ? `: ${reason}` : ""}`,
  };
  if (state === "waiting" && retryIn === undefined) return;
  const late = lateness > 0 ? ` · the server is ${span(lateness)} late` : "";
  $("#status").className = state;
  $("#status span").textContent = texts[state]() + late;
  $("#connection").textContent = state === "closed" ? "Connect" : "Disconnect";
}

// ---- forms

async function showForms() {
  let schema;
  try {
    const response = await fetch("/dev/schema");
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    schema = await response.json();
  } catch (error) {
    $("#forms").replaceChildren(element("p", { class: "empty" }, `There is no schema: ${error.message}.`));
    return;
  }
  const asks = (kinds, kind) => Object.entries(kinds ?? {}).map(([name, about]) => form(name, about, kind));
  const events = Object.entries(schema.events ?? {}).map(([name, about]) => event(name, about));
  const group = (title, rows) => (rows.length > 0 ? [element("h3", {}, title), ...rows] : []);
  $("#forms").replaceChildren(
    ...group("Commands", asks(schema.commands, "command")),
    ...group("Views", asks(schema.views, "view")),
    ...group("Events", events),
  );
}

function form(name, { schema, result, doc, requires }, kind) {
  const { fields, read } = formOf(schema);
  const answer = element("output", {});
  const draft = () => JSON.stringify({ id: `dev-${Date.now()}`, command: name, args: read() });
  const propose = () => answerError(answer, () => frames.propose(draft()));
  const made = element(
    "form",
    { submit: (submitted) => (submitted.preventDefault(), send(name, kind, read, answer)) },
    doc ? element("p", { class: "doc" }, doc) : null,
    ...fields,
    element("div", { class: "buttons" }, element("button", { class: "main" }, "Send"), element("button", { type: "button", click: propose }, "To the line")),
    answer,
    shape("answers", result),
  );
  const title = element("summary", {}, name, requires ? element("small", {}, ` needs the claim ${requires}`) : null);
  return element("details", { class: kind, "data-name": name }, title, made);
}

function event(name, { schema, doc }) {
  const about = doc ? element("p", { class: "doc" }, doc) : null;
  return element("details", { class: "event", "data-name": name }, element("summary", {}, name), about, shape("data", schema));
}

function shape(title, schema) {
  if (!schema) return null;
  return element("details", { class: "shape" }, element("summary", {}, title), element("pre", {}, JSON.stringify(schema, null, 2)));
}

async function send(name, kind, read, answer) {
  if (client === null) {
    answer.className = "refused";
    answer.textContent = "Get a token first: the button at the top.";
    return;
  }
  answer.className = "";
  answer.textContent = "…";
  const began = performance.now();
  try {
    const args = read();
    const got = kind === "view" ? await client.view(name, args) : await client.command(name, args);
    answer.replaceChildren(
      element("small", {}, `${(performance.now() - began).toFixed(1)} ms`),
      element("pre", {}, JSON.stringify(got, null, 2) ?? "null"),
    );
  } catch (error) {
    answerError(answer, () => {
      throw error;
    });
  }
}

function answerError(answer, fn) {
  try {
    fn();
  } catch (error) {
    answer.className = "refused";
    const details = error instanceof CommandError && error.details ? element("pre", {}, JSON.stringify(error.details, null, 2)) : null;
    const code = error instanceof CommandError ? `${error.code}${error.reason ? ` · ${error.reason}` : ""}: ` : "";
    answer.replaceChildren(`${code}${error.message}`, ...(details ? [details] : []));
  }
}

// ---- the page

$("#guest").addEventListener("click", async () => {
  $("#guest").disabled = true;
  try {
    connect(await guest());
  } catch (error) {
    frames.note(error instanceof AuthError ? error.message : String(error));
  }
  $("#guest").disabled = false;
});

$("#connection").addEventListener("click", () => (client.connection === "closed" ? client.connect() : client.close()));

$("#other-token form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const { token } = submitted.target.elements;
  connect({ access_token: token.value.trim() });
  token.value = "";
  $("#other-token").open = false;
});

$("#search").addEventListener("input", ({ target }) => {
  const wanted = target.value.trim().toLowerCase();
  for (const row of document.querySelectorAll("#forms > details")) row.hidden = !row.dataset.name.includes(wanted);
});

const kept = parsed(sessionStorage.getItem(KEPT) ?? "");
if (kept !== null) connect(kept);
showForms();
