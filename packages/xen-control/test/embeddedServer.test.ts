/** The life of a served host, its socket and its clients. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import { expect, test } from "@jest/globals";
import { Effect, Exit, Fiber, Scope, Stream } from "effect";
import * as Client from "../src/embedded/client.ts";
import { EmbeddedHost, laptopConfig } from "../src/embedded/index.ts";
import { serve } from "../src/embedded/server.ts";
import { Hypervisor, XenStore } from "../src/index.ts";
import { socketPath, until } from "./served.ts";

const config = laptopConfig([0, 1]);

const run = <A, E>(body: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(body));

const messageOf = <A, E extends { readonly message: string }>(effect: Effect.Effect<A, E>) =>
  Effect.match(effect, { onSuccess: () => "success", onFailure: ({ message }) => message });

const tryServe = (socket: string) => messageOf(Effect.scoped(serve(config, socket)));

test("the socket is its owner's alone, and gone when the server ends", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* serve(config, socket);
          expect(statSync(socket).mode & 0o777).toBe(0o600);
          expect(statSync(socket).isSocket()).toBe(true);
        }),
      );
      expect(readdirSync(dirname(socket))).toEqual([]);
    }),
  ));

test("a path that a living server listens on is refused, and that server lives on", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      yield* serve(config, socket);
      expect(yield* tryServe(socket)).toBe(
        `Cannot serve on ${socket}: another server is listening there`,
      );
      const domains = Effect.flatMap(Hypervisor, (xen) => xen.domains);
      expect((yield* Effect.provide(domains, Client.layer(socket))).length).toBe(1);
      expect(readdirSync(dirname(socket))).toEqual(["host"]);
    }),
  ));

test("a socket that a dead server left is replaced", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      // A listener that dies without a chance to tidy up.
      const script = `require("node:net").createServer().listen(process.argv[1],()=>process.kill(process.pid,9))`;
      const child = spawn(process.execPath, ["-e", script, socket]);
      yield* Effect.promise(() => once(child, "exit"));
      expect(existsSync(socket)).toBe(true);
      yield* serve(config, socket);
      const store = Effect.flatMap(XenStore, ({ read }) => read("/local/domain/0/name"));
      expect(yield* Effect.provide(store, Client.layer(socket))).toBe("Domain-0");
    }),
  ));

test("what is no socket, or can't be one, is refused and left alone", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      writeFileSync(socket, "precious");
      expect(yield* tryServe(socket)).toContain("a file of that name exists");
      expect(statSync(socket).size).toBe(8);
      const long = join(dirname(socket), "x".repeat(60), "y".repeat(60));
      expect(yield* tryServe(join(dirname(socket), "absent", "host"))).toContain("absent");
      expect(yield* tryServe(long)).toContain(`Cannot serve on ${long}`);
      expect(readdirSync(dirname(socket))).toEqual(["host"]);
    }),
  ));

test("a configuration that can't be is refused before the socket is there", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      const { host, guests } = config;
      const poor = {
        host: { ...host, pnodes: host.pnodes.map((pnode) => ({ ...pnode, freeBytes: 4096 })) },
        guests,
      };
      expect(yield* messageOf(Effect.scoped(serve(poor, socket)))).toBe(
        "create laptop: pnode 0 has 4096 bytes free, 1073741824 are needed",
      );
      expect(existsSync(socket)).toBe(false);
    }),
  ));

test("where no host answers, the client says so at once", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      const host = Effect.flatMap(Hypervisor, (xen) => xen.host);
      expect(yield* messageOf(Effect.provide(host, Client.layer(socket)))).toBe(
        `Xen is unavailable: no embedded host answers at ${socket}. ` +
          `Start one: virtflex embedded serve --socket ${socket}`,
      );
    }),
  ));

test("where something else answers, the client does not wait for ever", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      const stranger = createServer((client) =>
        client.resume().end("HTTP/1.1 400 Bad Request\r\n\r\n"),
      );
      yield* Effect.acquireRelease(
        Effect.promise(() => once(stranger.listen(socket), "listening")),
        () => Effect.promise(() => new Promise((done) => stranger.close(done))),
      );
      const host = Effect.flatMap(Hypervisor, (xen) => xen.host);
      const outcome = messageOf(Effect.provide(host, Client.layer(socket)));
      expect(yield* Effect.timeout(outcome, "5 seconds")).toContain("no embedded host answers");
    }),
  ));

test("when the server ends, its clients' calls and watches do too", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      const life = yield* Scope.make();
      yield* Scope.provide(serve(config, socket), life);
      const body = Effect.gen(function* () {
        const store = yield* XenStore;
        const watching = yield* Effect.forkChild(messageOf(Stream.runDrain(store.watch("/tool"))));
        yield* store.write("/tool/x", "1");
        yield* Effect.timeout(Scope.close(life, Exit.void), "5 seconds");
        const lost = "Xen is unavailable: no embedded host answers at";
        expect(yield* Fiber.join(watching)).toContain(lost);
        expect(yield* messageOf(store.read("/tool/x"))).toContain(lost);
        expect(yield* messageOf(store.transaction((t) => t.read("/tool/x")))).toContain(lost);
      });
      yield* Effect.provide(body, Client.layer(socket));
    }),
  ));

test("a client that is killed leaves no watch, no transaction and nothing half-written", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      yield* serve(config, socket);
      const program = join(import.meta.dirname, "programs", "holder.ts");
      const body = Effect.gen(function* () {
        const { usage } = yield* EmbeddedHost;
        const before = yield* usage;
        const child = spawn(process.execPath, ["--conditions=@virtflex/source", program, socket], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        yield* Effect.promise(() => once(child.stdout, "data"));
        yield* until(usage, (now) => now.watches === 1);
        expect(yield* usage).toEqual({ connections: 2, watches: 1, transactions: 1 });
        child.kill("SIGKILL");
        yield* until(usage, (now) => now.connections === before.connections);
        expect(yield* usage).toEqual(before);
        const { list } = yield* XenStore;
        expect(yield* list("/local/domain/1/data")).toEqual([]);
      });
      yield* Effect.provide(body, Client.layer(socket));
    }),
  ));

test("a client that talks nonsense harms nobody else", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      yield* serve(config, socket);
      const lines = [
        "not json at all",
        "null",
        "[]",
        '{"_tag":"Request","id":"1","tag":"Read","payload":{"path":7},"headers":[]}',
        '{"_tag":"Request","id":"2","tag":"Read","payload":{"path":"/"},"headers":[]}',
        '{"_tag":"Request","id":"3","tag":"NoSuch","payload":null,"headers":[]}',
        '{"_tag":"Request","id":"4","tag":"Connect","payload":{"domain":1,"version":99},"headers":[]}',
        '{"_tag":"Request","id":"5","tag":"Connect","payload":{"domain":-1,"version":1},"headers":[]}',
      ];
      for (const line of lines) {
        const rude = connect(socket);
        rude.on("error", () => undefined);
        rude.write(`${line}\n`);
        yield* Effect.sleep("20 millis");
        rude.destroy();
      }
      const name = Effect.flatMap(XenStore, ({ read }) => read("/local/domain/1/name"));
      expect(yield* Effect.provide(name, Client.layer(socket))).toBe("laptop");
    }),
  ));

test("a guest's connection opens nothing of the toolstack's, and dom0's has no balloon", () =>
  run(
    Effect.gen(function* () {
      const socket = yield* socketPath;
      yield* serve(config, socket);
      const answers = (domain: number, tag: string, payload: unknown) =>
        Effect.promise(async () => {
          const raw = connect(socket);
          const request = (id: string, name: string, body: unknown) =>
            `${JSON.stringify({ _tag: "Request", id, tag: name, payload: body, headers: [] })}\n`;
          raw.write(request("1", "Connect", { domain, version: 1 }) + request("2", tag, payload));
          let text = "";
          for await (const chunk of raw) {
            text += String(chunk);
            if (text.includes('"requestId":"2"') && text.endsWith("\n")) break;
          }
          return text;
        });
      expect(yield* answers(1, "Host", null)).toContain("domain 1 is not privileged");
      expect(yield* answers(1, "LeaveFree", { pnode: 0, bytes: 0 })).toContain("not privileged");
      expect(yield* answers(0, "Populate", { vnode: 0, bytes: 4096 })).toContain("Unsupported");
      expect(yield* answers(0, "Host", null)).toContain('"pnodes"');
    }),
  ));
