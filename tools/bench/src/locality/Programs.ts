/**
 * What runs in the lab's guest: programs of tools/apps, built with their own sources and gcc -O2, at an address of their own, so that the
 * meter looks at their instructions alone.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "@virtflex/lab";
import { Effect } from "effect";
import { scratch } from "../Program.ts";

const tools = join(import.meta.dirname, "../../..");

/** The meter's option that goes with the address. */
export const programsOnly = "code=60000000-61000000";
const address = ["-no-pie", "-fno-pie", "-Wl,-Ttext-segment=0x60000000"];

/** Where they lie in the guest. */
export const folder = "/root/locality";

export interface App {
  readonly name: string;
  readonly sources: ReadonlyArray<string>;
  readonly args: string;
}

/** Small, for emulation; the meter's cache is small in proportion. */
export const apps: ReadonlyArray<App> = [
  { name: "triad", sources: ["triad", "program"], args: "--elements 250000" },
  { name: "gups", sources: ["gups", "program"], args: "--log2-size 16" },
  { name: "cg", sources: ["cg", "cg_matrix", "nas_random", "program"], args: "--class S" },
];

/** Builds them all and puts them into the guest. */
export const install = Effect.fn("Programs.install")(function* (guest: Lab.Host) {
  const directory = yield* scratch;
  yield* guest.check(`mkdir -p ${folder}`);
  for (const { name, sources } of apps) {
    const files = sources.map((source) => join(tools, "apps/src", `${source}.c`));
    const flags = ["-O2", "-fopenmp", "-D_POSIX_C_SOURCE=200809L", ...address];
    execFileSync("gcc", [...flags, "-o", join(directory, name), ...files, "-lm"]);
    yield* guest.push(readFileSync(join(directory, name)), `${folder}/${name}`, "755");
  }
});
