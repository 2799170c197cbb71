/** Programs of every kind that a user may try to run, built by the machine's compiler. */
import { NodeServices } from "@effect/platform-node";
import { Effect } from "effect";
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { locateLibgomp } from "../src/index.ts";

const sources = fileURLToPath(new URL("./programs/", import.meta.url));

/** Time for a machine that has to build libgomp first. */
export const buildTimeout = 600_000;

const llvmRuntime = (): string => {
  const [found] = globSync("/usr/lib/llvm-*/lib/libomp.so.5").sort();
  if (found === undefined) throw new Error("no libomp.so.5: apt-get install libomp-14-dev");
  return found;
};

export const buildPrograms = async () => {
  await Effect.runPromise(locateLibgomp.pipe(Effect.provide(NodeServices.layer)));
  const directory = mkdtempSync(join(tmpdir(), "omp-runtime-shim-"));
  const at = (name: string) => join(directory, name);
  const cc = (output: string, source: string, ...flags: ReadonlyArray<string>) => {
    const args = ["-O1", "-o", at(output), join(sources, source), ...flags];
    execFileSync("gcc", args, { stdio: "inherit" });
  };
  const libgompPath = execFileSync("gcc", ["-print-file-name=libgomp.so.1"]).toString().trim();

  cc("team", "team.c", "-fopenmp");
  cc("ends", "ends.c", "-fopenmp");
  cc("serial", "serial.c");
  cc("static", "serial.c", "-static");
  cc("set-user-id", "ends.c", "-fopenmp");
  execFileSync("chmod", ["u+s", at("set-user-id")]);

  // A program that brings its own libgomp.
  mkdirSync(at("own"));
  copyFileSync(libgompPath, at("own/libgomp.so.1"));
  cc("shadowed", "ends.c", "-fopenmp", "-Wl,--disable-new-dtags", `-Wl,-rpath,${at("own")}`);

  // One that uses OpenMP through a library, one on LLVM's runtime, one that lacks a library.
  const shared = ["-shared", "-fPIC"];
  const rpath = `-Wl,-rpath,${directory}`;
  cc("libuser.so", "library.c", "-fopenmp", ...shared, "-Wl,-soname,libuser.so");
  cc("through-library", "caller.c", at("libuser.so"), rpath);
  // GCC's code runs on LLVM's runtime, which has libgomp's entry points.
  const libomp = llvmRuntime();
  cc("team.o", "team.c", "-fopenmp", "-c");
  const onLibomp = [libomp, `-Wl,-rpath,${dirname(libomp)}`];
  execFileSync("gcc", ["-o", at("team-on-libomp"), at("team.o"), ...onLibomp]);
  cc("liblost.so", "library.c", "-fopenmp", ...shared, "-Wl,-soname,liblost.so");
  cc("lost", "caller.c", "-fopenmp", "-Wl,--no-as-needed", at("liblost.so"), "-lgomp");
  execFileSync("rm", [at("liblost.so")]);

  // One that loads its runtime itself; a library that brings its own copy, by another name, as
  // those of Python's wheels do.
  cc("loads", "loads.c");
  const renamed = readFileSync(libgompPath, "latin1").replaceAll("libgomp.so.1", "libgomp.so.9");
  writeFileSync(at("libgomp.so.9"), renamed, "latin1");
  const ownCopy = [at("team-library.o"), at("libgomp.so.9"), rpath];
  cc("team-library.o", "library.c", "-fopenmp", "-fPIC", "-c");
  execFileSync("gcc", ["-shared", "-o", at("libwheel.so"), ...ownCopy]);

  const write = (name: string, content: string | Uint8Array, mode: number) => {
    writeFileSync(at(name), content, { mode });
  };
  write("script", "#!/usr/bin/env python3\nprint()\n", 0o755);
  const loads = [at("loads"), at("libuser.so"), at("libwheel.so")];
  write("loading-script", `#!/bin/sh\nexec ${loads.join(" ")}\n`, 0o755);
  write("text", "Dear loader\n", 0o755);
  write("empty", "", 0o755);
  write("not-executable", "", 0o644);
  return { directory, at };
};
