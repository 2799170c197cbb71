#!/usr/bin/env node
// npm links this before anything is built; what it runs is made by the build.
import { existsSync } from "node:fs";

const main = new URL("../build/main.js", import.meta.url);
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(
    `virtflex: Node.js 22.19 or later is needed, and this is ${process.versions.node}; \`npx virtflex\` in the checkout runs it on its own`,
  );
  process.exitCode = 1;
} else if (existsSync(main)) {
  await import(main.href);
} else {
  console.error("virtflex is not built yet: npx nx run-many -t build");
  process.exitCode = 1;
}
