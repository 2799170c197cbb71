/**
 * The one door to the addon. It is loaded when first asked for, so that the
 * package imports fine where it was not built; the addon in its turn opens Xen's
 * libraries at run time.
 */
import { createRequire } from "node:module";
import { Result } from "effect";
import { XenUnavailable } from "../XenStore.ts";

/** The addon, or why there is none. */
export const native: Result.Result<unknown, XenUnavailable> = Result.try({
  try: (): unknown => createRequire(import.meta.url)("@virtflex/native-xen-control"),
  catch: () =>
    new XenUnavailable({
      missing: "the addon of xen-control is not built",
      hint: "Build it: npx nx build @virtflex/native-xen-control",
    }),
});
