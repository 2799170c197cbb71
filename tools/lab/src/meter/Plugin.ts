/**
 * The meter as QEMU is told to load it.
 *
 * @since 0.1.0
 */
import { join } from "node:path";
import { Effect } from "effect";
import { InvalidOption } from "../LabError.ts";
import type { Shape } from "../Shape.ts";

/** Where the meter of a lab takes commands. @since 0.1.0 */
export const socketOf = (state: string): string => join(state, "meter.sock");

/**
 * `NAME=VALUE,...` as `up` takes it. Only names are looked at: values are the plugin's to judge, and a bad one is said by QEMU.
 *
 * @since 0.1.0
 */
export const parseOptions = Effect.fn("Plugin.parseOptions")(function* (text: string) {
  const options = text.split(",").filter((option) => option !== "");
  const bad = options.find(
    (option) => !/^(cache|ways|line|sample|code|guest|start)=[0-9A-Za-z-]+$/.test(option),
  );
  if (bad !== undefined) {
    return yield* new InvalidOption({
      option: "--meter-options",
      message: `--meter-options: "${bad}" is none of cache=, ways=, line=, sample=, code=, guest=, start=`,
    });
  }
  return options;
});

/**
 * QEMU's arguments for the meter in `built` (the stage's result), on a machine of this shape.
 *
 * @since 0.1.0
 */
export const qemuArguments = (
  built: string,
  shape: Shape,
  state: string,
  options: ReadonlyArray<string>,
): ReadonlyArray<string> => {
  const perNode = shape.cpus / shape.nodes;
  const memory = Array.from(
    { length: shape.nodes },
    () => `${String(shape.memoryMiB / shape.nodes)}M`,
  );
  const cpus = Array.from({ length: shape.cpus }, (_, cpu) => Math.floor(cpu / perNode));
  const settings = [
    `file=${join(built, "numa-meter.so")}`,
    `memory=${memory.join(":")}`,
    `cpus=${cpus.join(":")}`,
    `socket=${socketOf(state)}`,
    ...options,
  ];
  // A comma in a value is doubled.
  return ["-plugin", settings.map((setting) => setting.replaceAll(",", ",,")).join(",")];
};
