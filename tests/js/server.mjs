// A real server for real.test.mjs: `starwire serve` with the village of tests/support, on a port that stays the
// same when it is killed and started again.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { until } from "./behaviours.mjs";

/** Where the `starwire` command is; without it these tests have nothing to talk to. */
export const COMMAND = process.env.STARWIRE_COMMAND ?? "";
const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

export class Server {
  #data = mkdtempSync(join(tmpdir(), "starwire-js-"));
  #port = "0";
  #settings;
  #child = null;
  output = "";

  constructor(settings = {}) {
    this.#settings = settings;
  }

  async start() {
    const facts = join(this.#data, "server.json");
    rmSync(facts, { force: true });
    const args = ["serve", "--app", "tests.support.village:app", "--dev", "--port", this.#port, "--data", this.#data];
    const env = { ...process.env, ...this.#settings, PYTHONPATH: REPOSITORY };
    this.#child = spawn(COMMAND, args, { cwd: REPOSITORY, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on("data", (text) => (this.output += text));
    await until(() => this.#child.exitCode !== null || existsSync(facts), () => `the server did not start:\n${this.output}`);
    if (this.#child.exitCode !== null) throw new Error(`the server ended:\n${this.output}`);
    this.url = await until(() => read(facts)?.url, () => "server.json has no url");
    this.#port = new URL(this.url).port;
    return this;
  }

  /** SIGKILL: nothing is said, nothing is tidied up. */
  kill() {
    return this.#end("SIGKILL");
  }

  stop() {
    return this.#end("SIGTERM");
  }

  /** It runs no more, and says nothing, but its connections stand. */
  freeze() {
    this.#child.kill("SIGSTOP");
  }

  thaw() {
    this.#child.kill("SIGCONT");
  }

  async remove() {
    await this.#end("SIGKILL");
    rmSync(this.#data, { recursive: true, force: true });
  }

  async #end(signal) {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }
}

function read(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null; // it is being written
  }
}
