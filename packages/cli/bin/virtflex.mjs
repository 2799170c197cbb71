#!/usr/bin/env node
// npm links this before anything is built; what it runs is made by the build.
import { existsSync } from "node:fs";

const main = new URL("../build/main.js", import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error("virtflex is not built yet: npx nx run-many -t build");
  process.exitCode = 1;
}
