#!/usr/bin/env node
/**
 * Starts the command: bundled, and from compiled code where there is some, as
 * most of what a short command costs is loading it.
 */
import { enableCompileCache } from "node:module";

enableCompileCache();
await import("./Program.ts");
