/**
 * The conformance suites of the live layer on another machine, a Xen host: the
 * built packages are copied there, run by its Node, and removed again.
 */
import { execFile } from "node:child_process";
import { beforeAll, expect, test } from "@jest/globals";
import { Schema } from "effect";
import { join } from "node:path";
import { promisify } from "node:util";
import { Outcome } from "./conformance/Outcome.ts";

/** A machine that runs shell command lines as root. */
export interface Remote {
  readonly run: (
    command: string,
    stdin?: Buffer,
  ) => Promise<{ readonly stdout: string; readonly stderr: string; readonly status: number }>;
}

const workspace = join(import.meta.dirname, "../../..");

/** All that a host needs beside Node and Xen's libraries, as it lies in the checkout. */
const packed = async (): Promise<Buffer> => {
  const files = [
    "packages/topo-model/package.json",
    "packages/topo-model/dist",
    "packages/xen-control/package.json",
    "packages/xen-control/src",
    "packages/xen-control/test/conformance",
    "native/xen-control/package.json",
    "native/xen-control/build/Release/xen_control.node",
    "node_modules/@virtflex/topo-model",
    "node_modules/@virtflex/native-xen-control",
    "node_modules/effect/package.json",
    "node_modules/effect/dist",
  ];
  const leftOut = ["*.map", "*.d.ts"].map((name) => `--exclude=${name}`);
  const { stdout } = await promisify(execFile)("tar", ["-cz", ...leftOut, ...files], {
    cwd: workspace,
    encoding: "buffer",
    maxBuffer: 64 * 1024 ** 2,
  });
  return stdout;
};

const outcomesIn = (text: string): ReadonlyArray<Outcome> =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Schema.decodeUnknownSync(Schema.fromJsonString(Outcome))(line));

/** A suite of cases that `onHost.ts COMMAND` runs. */
export interface RemoteSuite {
  readonly name: string;
  readonly command: string;
  /** Their names are what it has to tell of. */
  readonly cases: ReadonlyArray<{ readonly what: string }>;
}

/** One test a case, the cases of a suite run by one program on the host. */
export const conformsRemotely = (
  remote: () => Promise<Remote>,
  suites: ReadonlyArray<RemoteSuite>,
  limitMs: number,
): void => {
  const outcomes = new Map<RemoteSuite, ReadonlyArray<Outcome>>();
  let said = "";
  let left = "not looked at";

  beforeAll(async () => {
    const { run } = await remote();
    const folder = (await run("mktemp -d /tmp/virtflex-conformance.XXXXXX")).stdout.trim();
    const onHost = (command: string) =>
      run(`cd ${folder} && node packages/xen-control/test/conformance/onHost.ts ${command}`);
    try {
      await run(`tar -xz -C ${folder}`, await packed());
      for (const suite of suites) {
        const ended = await onHost(suite.command);
        said += `${suite.name}: status ${ended.status}\n${ended.stderr}`;
        outcomes.set(suite, outcomesIn(ended.stdout));
      }
      const looked = await onHost("traces");
      left = looked.status === 0 ? looked.stdout : looked.stderr;
    } finally {
      await run(`rm -rf ${folder}`);
      left += (await run(`[ ! -e ${folder} ] || echo ${folder}`)).stdout;
    }
  }, limitMs);

  const cases = suites.flatMap((suite) =>
    suite.cases.map(({ what }) => [suite.name, what, suite] as const),
  );
  test.each(cases)("%s: %s", (_, what, suite) => {
    const outcome = outcomes.get(suite)?.find((each) => each.what === what);
    if (outcome === undefined) throw new Error(`the host did not come to it: ${said}`);
    expect(outcome).toEqual({ what });
  });
  test("it says what it does to the host, and leaves nothing of it", () => {
    expect(said.match(/^conformance: (writes|creates) /gm)).toHaveLength(suites.length);
    expect(left).toBe("");
  });
};
