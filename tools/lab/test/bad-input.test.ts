import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "@jest/globals";

/** Ends of a program of `src` with these words: status, and all it says. */
const run = (program: "main.ts" | "demo.ts", words: ReadonlyArray<string>) =>
  new Promise<{ readonly status: unknown; readonly said: string }>((resolve) => {
    execFile(
      process.execPath,
      [join(import.meta.dirname, "..", "src", program), ...words],
      (error, stdout, stderr) => resolve({ status: error?.code ?? 0, said: stdout + stderr }),
    );
  });

it.each([
  ["up --nodes 3", 2, "LAB_INVALID_OPTION: --nodes: 3"],
  ["up --nodes x", 2, "--nodes"],
  ["up --cpus 7", 2, "LAB_INVALID_OPTION: --cpus: 7"],
  ["up --memory lots", 2, 'LAB_INVALID_OPTION: --memory: "lots"'],
  ["up --distances 10,20", 2, "LAB_INVALID_OPTION: --distances"],
  ["up --kernel vanilla", 2, '"stock" | "patched" | "debug"'],
  ["up --xen fast", 2, '"release" | "debug"'],
  ["up --name ../x", 2, 'LAB_INVALID_OPTION: --name: "../x"'],
  ["up --meter-options cash=2M", 2, 'LAB_INVALID_OPTION: --meter-options: "cash=2M"'],
  ["build --meter --accelerator kvm", 2, "LAB_INVALID_OPTION: --meter"],
  ["up --meter --accelerator kvm", 2, "LAB_INVALID_OPTION: --meter"],
  ["down --name ../x", 2, 'LAB_INVALID_OPTION: --name: "../x"'],
  ["exec true --timeout 0", 2, "LAB_INVALID_OPTION: --timeout: 0"],
  ["exec true --name nobody", 6, 'LAB_NOT_RUNNING: no lab named "nobody"'],
  ["guest true --domain a/b", 2, 'LAB_INVALID_OPTION: --domain: "a/b"'],
  ["push /no/such/file", 2, "/no/such/file"],
  ["push /etc/hostname nowhere", 2, 'LAB_INVALID_OPTION: TO: "nowhere"'],
  ["pull dom0:", 2, 'LAB_INVALID_OPTION: FROM: "dom0:"'],
  ["guest-create /no/such/file", 2, "/no/such/file"],
  ["console a/b", 2, 'LAB_INVALID_OPTION: WHICH: "a/b"'],
])(
  "lab %s: status %d, and says what is wrong",
  async (words, status, says) => {
    const end = await run("main.ts", words.split(" "));
    expect(end.said).toContain(says);
    expect(end.status).toBe(status);
  },
  60_000,
);

it.each([
  ["--yaml", "LAB_INVALID_OPTION: Unknown option '--yaml'"],
  ["--svg /no/such/folder/x.svg", "LAB_INVALID_OPTION: --svg: there is no folder /no/such/folder"],
])(
  "the demonstration on the lab, %s: says what is wrong before it boots anything",
  async (words, says) => {
    const end = await run("demo.ts", words.split(" "));
    expect(end.said).toContain(says);
    expect(end.status).toBe(2);
  },
  60_000,
);
