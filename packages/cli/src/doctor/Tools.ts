/**
 * What Virtflex itself needs on this machine.
 */
import { Effect, FileSystem } from "effect";
import { ChildProcess, ChildProcessSpawner } from "effect/process";
import { findLibgomp, repository } from "../Workshop.ts";
import { fail, type Finding, ok, warn } from "./Check.ts";

/** As in `engines` of package.json. */
const leastNode = [22, 19] as const;

const checkNode = (): Finding => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const enough = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1]);
  return enough
    ? ok("node", process.versions.node)
    : fail("node", process.versions.node, `Use Node.js ${leastNode.join(".")} or later`);
};

/** Names of Debian packages of a group of tools/setup/packages.txt that are not installed. */
const missingPackages = Effect.fnUntraced(function* (group: string) {
  const fs = yield* FileSystem.FileSystem;
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner;
  const list = yield* fs.readFileString(`${repository}tools/setup/packages.txt`);
  const wanted = list
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.split(/\s+/))
    .flatMap(([its, name]) => (its === group && name !== undefined ? [name] : []));
  const query = ChildProcess.make("dpkg-query", ["-W", "-f", "${Package} ${Status}\n", ...wanted], {
    stderr: "ignore",
  });
  const installed = (yield* spawner.lines(query))
    .filter((line) => line.endsWith(" installed"))
    .map((line) => line.split(" ")[0]);
  return wanted.filter((name) => !installed.includes(name));
});

const checkPackages = missingPackages("build").pipe(
  Effect.map((missing) =>
    missing.length === 0
      ? ok("packages", "everything that building takes is installed")
      : warn(
          "packages",
          `not installed: ${missing.join(" ")}`,
          `apt-get install ${missing.join(" ")}`,
        ),
  ),
  Effect.orElseSucceed(() =>
    warn(
      "packages",
      "can't be listed: no dpkg here",
      "Install what tools/setup/packages.txt names",
    ),
  ),
);

const checkLibgomp = findLibgomp.pipe(
  Effect.map((directory) => ok("libgomp", directory)),
  Effect.catch(({ message }) =>
    Effect.succeed(
      warn("libgomp", `the adapting one is not built: ${message}`, "gcc-libgomp/build.sh"),
    ),
  ),
);

const checkXen = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem;
  const capabilities = yield* fs.readFileString("/proc/xen/capabilities");
  return capabilities.includes("control_d")
    ? ok("xen", "this is a control domain")
    : warn("xen", "this is a guest of Xen, not its control domain", "Run virtflex in dom0");
}).pipe(
  Effect.orElseSucceed(() =>
    warn(
      "xen",
      "no Xen here (/proc/xen/capabilities can't be read)",
      "Boot Xen, or use an embedded host: virtflex embedded serve",
    ),
  ),
);

export const checkTools = Effect.all([
  Effect.sync(checkNode),
  checkPackages,
  checkLibgomp,
  checkXen,
]);
