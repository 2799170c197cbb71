/**
 * The process that owns a lab: it starts QEMU, keeps the streams to dom0's agent and the guests', and lets any number of clients
 * use them at once through a socket. It ends, and QEMU with it, when it is told to, when QEMU ends, or when the process
 * that owns it does; QEMU is bound to it by the kernel (PR_SET_PDEATHSIG), whatever ends it.
 *
 * Its first line of stdin is a `Plan`; a second line releases it from its owner, and without one the end of stdin ends it.
 * On stdout it says `ready` or `failed <reason>` once.
 *
 * A client's first line is `dom0`, `guest NAME` or `down`; frames follow (see `Frame.ts`).
 *
 * @since 0.1.0
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Decoder, encode, FrameType, pair, single } from "./Frame.ts";
import { type Channel, Mux } from "./Mux.ts";
import { duplexOf, Process } from "./Process.ts";
import { type Machine, qemuArguments } from "./Qemu.ts";

/** @since 0.1.0 */
export interface Plan {
  readonly name: string;
  readonly state: string;
  readonly machine: Machine;
  readonly bootTimeoutMillis: number;
}

/** Where a guest's agent says how to reach it. */
const guestChannelKey = "data/virtflex-lab";

/** What dom0, Xen and the lab's own scripts print when the host will not come up. */
const fatalMessage =
  /^.*(Panic on CPU|Kernel panic - not syncing|Hardware Dom0 (?:crashed|shutdown|halted)|lab: dom0 failed).*$/m;

const sigkill = 9;

class Supervisor {
  readonly #plan: Plan;
  readonly #qemu: ChildProcess;
  readonly #guests = new Map<string, Promise<Mux>>();
  #dom0: Mux | undefined;
  #said = false;
  #stopping = false;

  constructor(plan: Plan) {
    this.#plan = plan;
    const { machine, state } = plan;
    rmSync(state, { recursive: true, force: true });
    mkdirSync(join(state, "logs"), { recursive: true, mode: 0o700 });

    createServer((socket) => {
      this.#dom0 = new Mux(socket);
      this.#dom0.whenReady((lost) => {
        if (lost === undefined) this.#ready();
        else this.fail(`the agent of dom0 went away: ${lost}`);
      });
    }).listen(machine.agentSocket);

    const log = openSync(join(state, "qemu.log"), "a", 0o600);
    this.#qemu = spawn(
      "setpriv",
      ["--pdeathsig", "KILL", machine.qemu, ...qemuArguments(machine)],
      { stdio: ["ignore", log, log] },
    );
    this.#qemu.on("error", (error) => this.fail(error.message));
    this.#qemu.on("exit", (code, signal) => this.fail(`QEMU ended (${signal ?? String(code)})`));
    this.#watchBoot();
  }

  #watchBoot(): void {
    const since = performance.now();
    const timer = setInterval(() => {
      if (this.#said) {
        clearInterval(timer);
        return;
      }
      const fatal = fatalMessage.exec(this.#serialLog());
      if (fatal !== null) this.fail(fatal[0].trim());
      else if (performance.now() - since > this.#plan.bootTimeoutMillis) {
        this.fail(`dom0 was not there after ${String(this.#plan.bootTimeoutMillis / 1000)} s`);
      }
    }, 500);
  }

  #serialLog(): string {
    try {
      return readFileSync(this.#plan.machine.serialLog, "latin1");
    } catch {
      return "";
    }
  }

  #ready(): void {
    writeFileSync(
      join(this.#plan.state, "lab.json"),
      JSON.stringify({ ...this.#plan, supervisorPid: process.pid, qemuPid: this.#qemu.pid }),
    );
    createServer((socket) => this.#greet(socket)).listen(join(this.#plan.state, "lab.sock"), () => {
      this.#say("ready");
    });
  }

  #say(line: string): void {
    this.#said = true;
    process.stdout.write(`${line}\n`);
  }

  /** Ends the lab because it was asked to: nothing of it stays. */
  end(reason: string): void {
    this.#stop(reason, false);
  }

  /** Ends the lab because something broke. Where that was the boot, the logs stay. */
  fail(reason: string): void {
    if (this.#said) this.#stop(reason, false);
    else this.#stop(`${reason}${this.#complaint()}`, true);
  }

  /** The last that QEMU itself had to say: why it did not take an argument, as a rule. */
  #complaint(): string {
    const said = readFileSync(join(this.#plan.state, "qemu.log"), "utf8").trim();
    return said === "" ? "" : `; QEMU: ${said.split("\n").slice(-2).join("; ")}`;
  }

  #stop(reason: string, keepLogs: boolean): void {
    if (this.#stopping) return;
    this.#stopping = true;
    if (!this.#said) this.#say(`failed ${reason}`);
    const finish = () => {
      if (!keepLogs) rmSync(this.#plan.state, { recursive: true, force: true });
      process.exit(0);
    };
    if (
      this.#qemu.exitCode !== null ||
      this.#qemu.signalCode !== null ||
      this.#qemu.pid === undefined
    ) {
      finish();
    } else {
      this.#qemu.on("exit", finish);
      this.#qemu.kill("SIGKILL");
    }
  }

  #greet(socket: Socket): void {
    let head = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    const onData = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\n");
      if (end < 0 && head.length < 256) return;
      socket.off("data", onData);
      socket.pause();
      const [verb, name = ""] = head.toString("utf8", 0, Math.max(end, 0)).split(" ");
      const rest = head.subarray(end + 1);
      if (verb === "down") {
        this.end("down");
      } else if (verb === "dom0" && this.#dom0 !== undefined) {
        forward(socket, this.#dom0, rest);
      } else if (verb === "guest") {
        this.#guest(name).then(
          (mux) => forward(socket, mux, rest),
          (error: unknown) =>
            refuse(socket, error instanceof Error ? error.message : String(error)),
        );
      } else {
        refuse(socket, "not understood");
      }
    };
    socket.on("data", onData);
  }

  /** The connection to a guest's agent: made at the first use, and again after the guest went away. */
  #guest(name: string): Promise<Mux> {
    const known = this.#guests.get(name);
    if (known !== undefined) return known;
    const made = this.#connectGuest(name);
    this.#guests.set(name, made);
    const forget = () => {
      if (this.#guests.get(name) === made) this.#guests.delete(name);
    };
    made.then((mux) => mux.whenLost(forget), forget);
    return made;
  }

  async #connectGuest(name: string): Promise<Mux> {
    const dom0 = this.#dom0;
    if (dom0 === undefined) throw new Error("dom0 is not there");
    const domid = await output(dom0, ["xl", "domid", name]);
    if (!/^[0-9]+$/.test(domid)) throw new Error(`there is no guest "${name}"`);
    let complaint = "";
    const relay = duplexOf(
      dom0,
      ["relay", domid, `/local/domain/${domid}/${guestChannelKey}`],
      (chunk) => (complaint = chunk.toString().trim()),
    );
    const mux = new Mux(relay);
    return new Promise((resolve, reject) => {
      mux.whenReady((lost) => {
        if (lost === undefined) resolve(mux);
        else reject(new Error(`guest "${name}": ${complaint || lost}`));
      });
    });
  }
}

const output = (mux: Mux, argv: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = "";
    const command = new Process(mux, argv, {
      stdout: (chunk) => (text += chunk.toString()),
      stderr: () => undefined,
      exit: () => resolve(text.trim()),
      lost: (reason) => reject(new Error(reason)),
    });
    command.endInput();
  });

const refuse = (socket: Socket, reason: string): void => {
  socket.end(encode(0, FrameType.Unreachable, Buffer.from(reason)));
};

/** Carries a client's frames to an agent and back, each channel under a number of the agent's stream; kills what it leaves running. */
const forward = (socket: Socket, mux: Mux, first: Buffer): void => {
  const decoder = new Decoder();
  const channels = new Map<number, Channel>();

  const open = (number: number): Channel => {
    const channel = mux.open({
      frame: (type, payload) => {
        if (type === FrameType.Exit) channels.delete(number);
        if (!socket.destroyed) socket.write(encode(number, type, payload));
        // Nobody is left to give credit: a command that is being killed must not wait for it.
        else if (type === FrameType.Stdout || type === FrameType.Stderr) {
          channel.send(FrameType.Credit, pair(type, payload.length));
        }
      },
      lost: (reason) => refuse(socket, reason),
    });
    channels.set(number, channel);
    return channel;
  };
  const receive = (chunk: Buffer) => {
    const frames = decoder.push(chunk);
    if (frames === undefined) {
      refuse(socket, "not understood");
      socket.destroy();
      return;
    }
    for (const { channel, type, payload } of frames) {
      const known = channels.get(channel);
      if (type === FrameType.Exec && known === undefined) open(channel).send(type, payload);
      else if (type !== FrameType.Exec) known?.send(type, payload);
    }
  };

  socket.on("close", () => {
    for (const channel of channels.values()) channel.send(FrameType.Signal, single(sigkill));
  });
  if (mux.lost !== undefined) {
    refuse(socket, mux.lost);
    return;
  }
  socket.write(encode(0, FrameType.Hello));
  if (first.length > 0) receive(first);
  socket.on("data", receive);
  socket.resume();
};

const main = (): void => {
  let supervisor: Supervisor | undefined;
  let released = false;
  createInterface({ input: process.stdin })
    .on("line", (line) => {
      if (supervisor === undefined) supervisor = new Supervisor(JSON.parse(line) as Plan);
      else released = true;
    })
    .on("close", () => {
      if (supervisor === undefined) process.exit(1);
      else if (!released) supervisor.end("its owner has gone");
    });
  // A signal from the terminal is the owner's business; it closes stdin if it means us.
  process.on("SIGINT", () => undefined);
  process.on("SIGHUP", () => undefined);
  process.on("SIGTERM", () => supervisor?.end("terminated"));
  process.stdout.on("error", () => undefined);
};

main();
