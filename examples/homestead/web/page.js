import { Client, guest } from "/starwire/starwire.js";

const element = (id) => document.getElementById(id);
const say = (text) => (element("news").textContent = text);

// Who was here before is the same guest, and the tokens renew themselves.
const stored = localStorage.getItem("tokens");
const keep = (tokens) => localStorage.setItem("tokens", JSON.stringify(tokens));
const tokens = stored ? JSON.parse(stored) : await guest();
keep(tokens);

const client = new Client({ tokens, onTokens: keep });
let home = null;
let readAt = 0;

const state = client.state("look", {}, {
  read(result) {
    home = result;
    readAt = client.now();
  },
  apply(push) {
    if (push.event === "construction_complete") state.reread();
  },
});

client.on("construction_complete", (push) => say(push.message));
element("build").onclick = async () => {
  try {
    await client.command("build_mine");
    state.reread();
  } catch (error) {
    say(error.message);
  }
};

setInterval(() => {
  if (home === null) return;
  const hours = (client.now() - readAt) / 3_600_000;
  element("mine").textContent = home.mine;
  element("metal").textContent = Math.floor(home.metal + hours * home.metal_an_hour);
  const [construction] = client.processes.values();
  element("progress").hidden = !construction;
  if (construction) element("progress").value = client.progress(construction);
}, 200);

client.connect();
