// SPDX-License-Identifier: Apache-2.0
/*
 * node --expose-gc binding.cjs ADDON XENSTORED WITHOUT_XEN: the binding between Node and the addon, by a
 * sanitized build of it, on fake_xenctrl.c and Debian's C xenstored. An error that it throws, an
 * end of the connection, a thread that ends under it: nothing of it may leak or be used too late.
 */
"use strict";
const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const { existsSync, mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { setImmediate, setTimeout } = require("node:timers/promises");
const { isMainThread, parentPort, Worker } = require("node:worker_threads");

const [addon, xenstored, withoutXen] = process.argv.slice(2);
const xen = require(addon);
const op = { read: 0, write: 1, list: 2, permissions: 4, setPermissions: 5, watch: 8 };

/** A connection whose answers are promises. */
class Client {
  events = [];
  #waiting = new Map();
  #last = 0;
  constructor() {
    const { promise, resolve } = Promise.withResolvers();
    this.lost = promise;
    this.store = new xen.Store(
      (id, errno, transaction, strings, permissions) =>
        this.#waiting.get(id)({ errno, transaction, strings: strings.map(String), permissions }),
      (token, paths) => this.events.push(...paths.map((path) => `${token} ${String(path)}`)),
      resolve,
    );
  }
  ask(what, path, value = "", permissions = []) {
    const id = ++this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.store.submit(id, what, 0, path, value, permissions);
    });
  }
}

const until = async (condition) => {
  for (let tries = 0; !condition(); tries++) {
    assert.ok(tries < 3000, String(condition));
    await setTimeout(10);
  }
};

const startDaemon = async (directory) => {
  const daemon = spawn(xenstored, ["--no-fork", "--internal-db"], {
    env: {
      ...process.env,
      LD_LIBRARY_PATH: "",
      LD_PRELOAD: withoutXen,
      XENSTORED_RUNDIR: directory,
    },
    stdio: "ignore",
  });
  process.on("exit", () => daemon.kill("SIGKILL"));
  await until(() => existsSync(join(directory, "socket")));
  return async () => {
    daemon.kill("SIGKILL");
    await once(daemon, "exit");
    rmSync(join(directory, "socket"));
  };
};

const code = (promise) =>
  promise.then(
    () => "",
    (error) => error.code,
  );

const hypervisor = async () => {
  const host = await xen.host();
  assert.deepEqual(host.distances, [10, 21, 21, 10]);
  const domains = await xen.domains();
  assert.equal(domains.length, 299);
  assert.deepEqual(domains[0].vcpus[0].softAffinity, [0, 1, 2, 3]);
  assert.deepEqual(await xen.domain(9999), []);
  await xen.pin(1, 0, [1, 2]);
  assert.deepEqual((await xen.domain(1))[0].vcpus[0].affinity, [1, 2]);
  assert.equal(await code(xen.pin(1, 0, [])), "EINVAL");
  assert.equal(await code(xen.claim(9999, 4096)), "ESRCH");
  await xen.setLimit(1, 2 ** 33);
  await xen.claim(1, 2 ** 23);
  assert.equal((await xen.domain(1))[0].limitBytes, 2 ** 33);
  await Promise.all(Array.from({ length: 200 }, () => xen.domains()));
  await Promise.all(Array.from({ length: 200 }, () => xen.residentBytes(1)));
  await xen.close();
  assert.equal((await xen.host()).nodes.length, 2);
};

const store = async () => {
  const client = new Client();
  await client.ask(op.write, "/a/b", "grüße");
  assert.deepEqual((await client.ask(op.read, "/a/b")).strings, ["grüße"]);
  assert.deepEqual((await client.ask(op.list, "/a")).strings, ["b"]);
  assert.equal((await client.ask(op.read, "/absent")).errno, "ENOENT");
  await client.ask(op.setPermissions, "/a/b", "", [0, 0, 7, 1]);
  assert.deepEqual((await client.ask(op.permissions, "/a/b")).permissions, [0, 0, 7, 1]);
  await client.ask(op.watch, "/a", "token");
  await client.ask(op.write, "/a/c", "1");
  await until(() => client.events.includes("token /a/c"));
  await Promise.all(Array.from({ length: 1000 }, (_, i) => client.ask(op.write, `/a/${i}`, "x")));
  client.store.close();
  client.store.close();
  assert.throws(() => client.store.submit(1, op.read, 0, "/a", "", []), { code: "ECLOSED" });
};

const busy = () => {
  const client = new Client();
  for (let j = 0; j < 20; j++) void client.ask(op.write, `/a/${j}`, "x");
  return client;
};

const closed = () => {
  const client = busy();
  client.store.close();
  return new WeakRef(client.store);
};

const closedByAnswer = async () => {
  const client = busy();
  await client.ask(op.write, "/a/x", "x").then(() => client.store.close());
  return new WeakRef(client.store);
};

/** Closed with answers on their way, or by an answer: it goes as soon as nobody has it. */
const abandoned = async () => {
  const stores = [];
  for (let i = 0; i < 25; i++) {
    stores.push(closed(), await closedByAnswer());
    globalThis.gc();
    await setImmediate();
  }
  await until(() => {
    globalThis.gc();
    return stores.every((store) => store.deref() === undefined);
  });
};

/** What a callback throws is an uncaught exception, and no more. */
const thrown = async () => {
  const store = new xen.Store(
    () => assert.fail("in a callback"),
    () => undefined,
    () => undefined,
  );
  store.submit(1, op.read, 0, "/", "", []);
  const [error] = await once(process, "uncaughtException");
  assert.equal(error.message, "in a callback");
  store.close();
};

/** A thread ends with a watch, answers and questions to the hypervisor still on their way. */
const threads = async () => {
  for (let i = 0; i < 5; i++) {
    const worker = new Worker(__filename, { argv: process.argv.slice(2) });
    await once(worker, "message");
    await worker.terminate();
  }
};

const inThread = async () => {
  const client = new Client();
  await client.ask(op.watch, "/a", "token");
  for (let j = 0; j < 100; j++) void client.ask(op.write, `/a/${j}`, "x");
  for (let j = 0; j < 10; j++) void xen.domains();
  parentPort.postMessage("busy");
};

const main = async () => {
  const directory = mkdtempSync(join(tmpdir(), "virtflex-binding-"));
  process.env.XENSTORED_PATH = join(directory, "socket");
  await hypervisor();
  for (let i = 0; i < 10; i++) assert.throws(() => new Client(), { code: "ENOSTORE" });
  const stop = await startDaemon(directory);
  await store();
  await abandoned();
  await thrown();
  await threads();
  const client = new Client();
  await client.ask(op.watch, "/a", "token");
  await stop();
  await client.lost;
  assert.notEqual((await client.ask(op.read, "/")).errno, "");
  client.store.close();
  rmSync(directory, { recursive: true });
};

void (isMainThread ? main() : inThread());
