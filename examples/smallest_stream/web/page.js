import { Client, guest } from "/starwire/starwire.js";

const input = document.querySelector("input");
const client = new Client({ tokens: await guest() });

client.on("said", ({ data }) => {
  const line = document.createElement("li");
  line.textContent = `${data.player}: ${data.text}`;
  document.querySelector("ol").append(line);
});

document.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  client.command("say", { text: input.value });
  input.value = "";
});

client.connect();
client.command("enter");
