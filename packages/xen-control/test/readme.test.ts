import { expect, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const readme = readFileSync(join(import.meta.dirname, "../README.md"), "utf8");
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(
    ([, text]) => text ?? "",
  );

const printed = blocks("text");

test.each(blocks("ts").map((code, index) => [index + 1, code, printed[index]] as const))(
  "example %i of the README prints what it says",
  (_, code, says) => {
    // In the package, so that it finds the package by its name as built.
    const folder = mkdtempSync(join(import.meta.dirname, "../dist/readme-"));
    const file = join(folder, "example.ts");
    writeFileSync(file, code);
    const output = execFileSync(process.execPath, [file], {
      encoding: "utf8",
      env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: "1" },
    });
    rmSync(folder, { recursive: true });
    expect(output).toBe(says);
  },
  60_000,
);
