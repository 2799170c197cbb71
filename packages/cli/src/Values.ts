/**
 * Values of flags, as people write them.
 */
import { GiB, KiB, MiB, NumaKeys, VnodeId } from "@virtflex/topo-model";
import { Effect, Result } from "effect";
import { UsageError } from "./UsageError.ts";

const refuse = (what: string, detail: string) =>
  Effect.fail(new UsageError({ code: "BAD_VALUE", what, detail }));

/** `2,3` or `1-3`, in any order. */
export const parseVnodes = (text: string) => {
  const vnodes: Array<VnodeId> = [];
  for (const part of text.split(",")) {
    const range = Result.getOrUndefined(NumaKeys.parseCpuList(part));
    const last = range?.at(-1);
    if (range === undefined || last === undefined || last >= NumaKeys.maxNodes) {
      return refuse(
        "--vnodes",
        `"${text}" is no list such as 2,3 or 1-3 of ids below ${NumaKeys.maxNodes}`,
      );
    }
    vnodes.push(...range.map((id) => VnodeId.make(id)));
  }
  return Effect.succeed(vnodes);
};

const units = { "": 1, K: KiB, M: MiB, G: GiB, T: 1024 * GiB } as const;

/** `512M`, `1.5G`, `1.5GiB`, or plain bytes. */
export const parseSize = (what: string, text: string) => {
  const match = /^(\d+(?:\.\d+)?)(?:([KMGT])(?:iB)?)?$/.exec(text);
  const bytes = Number(match?.[1]) * units[(match?.[2] ?? "") as keyof typeof units];
  return Number.isSafeInteger(bytes)
    ? Effect.succeed(bytes)
    : refuse(what, `"${text}" is no size such as 512M or 1.5G (units of 1,024)`);
};

const milliseconds = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** `500ms`, `30s`, `2m`, `1h`; a plain number is seconds. */
export const parseTimeout = (text: string) => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const ms = Number(match?.[1]) * milliseconds[(match?.[2] ?? "s") as keyof typeof milliseconds];
  return ms >= 1 && ms <= NumaKeys.maxDeadlineMs
    ? Effect.succeed(ms)
    : refuse("--timeout", `"${text}" is no time such as 500ms, 30s or 2m, 24 days at most`);
};
