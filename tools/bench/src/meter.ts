/**
 * What the NUMA meter costs the machine that it is loaded into: a program that does nothing but load and store, a line after the
 * other, on an emulated CPU. The baseline is the same machine without the plugin, run in turn with the others; each figure is the
 * least of all turns, as other load can only add.
 */
import { PlainLinux, Shape } from "@virtflex/lab";
import { Effect } from "effect";
import { report } from "./Report.ts";

const turns = 12;
const mib = 16;
const passes = 8;

const variants = [
  { name: "loaded, off", options: [], counted: false },
  { name: "on, every line", options: [], counted: true },
  { name: "on, 1 line in 16", options: ["sample=16"], counted: true },
  { name: "on, other programs only", options: ["code=10000000-10001000"], counted: true },
];

const bench = Effect.gen(function* () {
  const shape = yield* Shape.make({ nodes: 4, cpus: 4, memory: "2560M" });
  const walkOf = Effect.fn("walkOf")(function* (options: ReadonlyArray<string> | undefined) {
    const { walk } = yield* PlainLinux.boot(shape, options);
    return walk(0, 0, mib, passes);
  });
  const without = yield* walkOf(undefined);
  const machines = yield* Effect.forEach(variants, ({ options }) => walkOf(options));
  let baseline = Number.POSITIVE_INFINITY;
  const least = variants.map(() => Number.POSITIVE_INFINITY);
  for (let turn = 0; turn < turns; turn++) {
    baseline = Math.min(baseline, (yield* without).uncountedNs);
    for (const [index, walk] of machines.entries()) {
      const { countedNs, uncountedNs } = yield* walk;
      const took = variants[index]?.counted === true ? countedNs : uncountedNs;
      least[index] = Math.min(least[index] ?? took, took);
    }
  }
  const lines = (passes * mib * 2 ** 20) / 64;
  yield* report(
    "A load and a store to one line after the other, under emulation",
    variants.map(({ name }, index) => ({
      name: `the meter ${name}`,
      value: (least[index] ?? Number.NaN) / lines,
      unit: "ns a line",
      baseline: { name: "no meter", value: baseline / lines },
    })),
  );
});

await Effect.runPromise(Effect.scoped(bench));
