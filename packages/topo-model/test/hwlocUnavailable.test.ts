import { expect, jest, test } from "@jest/globals";
import { Effect, Result } from "effect";

jest.unstable_mockModule("../src/native.ts", () => ({
  native: () =>
    Result.fail(new Error("libhwloc.so.15: cannot open shared object file: No such file")),
}));
const { Hwloc } = await import("../src/index.ts");

test("without libhwloc the package imports, and asking for it is a typed error", () => {
  const error = Effect.runSync(Effect.flip(Hwloc.readMachine));
  expect(error).toMatchObject({ _tag: "HwlocError", code: "HWLOC_UNAVAILABLE" });
  expect(error.message).toBe(
    "this machine: libhwloc.so.15: cannot open shared object file: No such file",
  );
});
