#!/usr/bin/env node
/**
 * Starts the command, from compiled code where there is some: most of what a
 * short command costs is loading it.
 */
import { enableCompileCache } from "node:module";

enableCompileCache();
await import("./Program.ts");
