/**
 * The lab that VIRTFLEX_LAB names, or one of the caller's own that ends with its scope.
 *
 * @since 0.1.0
 */
import { Effect } from "effect";
import * as Lab from "../Lab.ts";
import * as Shape from "../Shape.ts";
import type { Flavour } from "../stages.ts";
import { labVariable } from "../Testing.ts";

/** `purpose` names it; the kernel is that of its guests, the memory that of the host, such as `8G`. @since 0.1.0 */
export const sharedLab = Effect.fn("sharedLab")(function* (
  purpose: string,
  report: (line: string) => Effect.Effect<void>,
  {
    kernel = "stock",
    memory,
  }: { readonly kernel?: Flavour["kernel"]; readonly memory?: string } = {},
) {
  const shared = process.env[labVariable];
  if (shared !== undefined) return yield* Lab.attach(shared);
  return yield* Lab.up({
    name: `${purpose}-${String(process.pid)}`,
    shape: yield* Shape.make({ memory }),
    flavour: { xen: "release", kernel },
    accelerator: "auto",
    report,
  });
});
