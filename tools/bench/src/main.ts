/**
 * `npm run bench -- NAME [--json]`: each bench is the module of that name
 * beside this file, in small letters; without a name, the list.
 */
import { readdirSync } from "node:fs";

const helpers = new Set(["main", "flooder"]);
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".js"))
  .map((file) => file.slice(0, -".js".length))
  .filter((name) => /^[a-z]/.test(name) && !helpers.has(name));
const name = process.argv[2];

if (name !== undefined && names.includes(name)) {
  await import(`./${name}.js`);
} else {
  console.error(name === undefined ? "Name a bench:" : `No bench "${name}". There are:`);
  for (const each of names) console.error(`  ${each}`);
  process.exitCode = 2;
}
