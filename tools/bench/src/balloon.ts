/**
 * virtflex.ko against Linux' own balloon over the same GiB (`--mib N`: over so many MiB; `--stock-mib N`: the stock one over so many,
 * its figures scaled, as emulation makes a GiB take it hours), and the drain of a node against move_pages(2): in one guest of one lab,
 * on Debian's stock kernel and a Xen with `xen/patches`. A request's times are the module's own.
 */
import { readFileSync } from "node:fs";
import { Lab, Shape } from "@virtflex/lab";
import { Effect } from "effect";
import { numberOption } from "./Arguments.ts";
import { median } from "./Median.ts";
import { compile, scratch } from "./Program.ts";
import { report } from "./Report.ts";

const rounds = 3;
const kibPerMib = 1024;
const outMib = numberOption("mib", 1024);
const stockMib = numberOption("stock-mib", outMib);
/** This leaves the second node; what is moved leaves the third, and finds room on the second. */
const sizesMib = [512, Math.max(outMib + 128, 512), 384];
const movedMib = 256;
const unlimited = { timeout: "1 hour" } as const;

interface Node {
  readonly targetKib: number;
  readonly desired: "online" | "offline";
}

const full: ReadonlyArray<Node> = sizesMib.map((mib) => ({
  targetKib: mib * kibPerMib,
  desired: "online",
}));
const without = (vnode: number, mib: number): ReadonlyArray<Node> =>
  full.map((node, v) =>
    v === vnode ? { targetKib: node.targetKib - mib * kibPerMib, desired: "offline" } : node,
  );

const configuration = (name: string): string => {
  const vnuma = sizesMib.map((size, v) => {
    const distances = sizesMib.map((_, other) => (other === v ? 10 : 20)).join(",");
    return `["pnode=${String(v)}","size=${String(size)}","vcpus=${String(v)}","vdistances=${distances}"]`;
  });
  const memory = String(sizesMib.reduce((sum, mib) => sum + mib, 0));
  return `name = "${name}"\nmemory = ${memory}\nmaxmem = ${memory}\nvcpus = ${String(sizesMib.length)}\nvnuma = [ ${vnuma.join(", ")} ]\n`;
};

const perGib = (calls: number, mib: number): number => (calls * 1024) / mib;

/** The guest with the module in it. */
const makeGuest = Effect.fn("makeGuest")(function* (lab: Lab.Lab) {
  const name = "balloon";
  const program = yield* compile(yield* scratch, "balloon", ["gcc", "-static"]);
  yield* lab.createGuest(configuration(name), "10 minutes");
  const guest = yield* lab.guest(name);
  yield* guest.push(readFileSync(program), "/root/balloon", "755");

  const domain = (yield* lab.dom0.check(`xl domid ${name}`)).trim();
  const store = `/local/domain/${domain}`;
  const write = (values: Readonly<Record<string, string | number>>) =>
    lab.dom0.check(
      `xenstore-write ${Object.entries(values)
        .map(([key, value]) => `${store}/${key} '${String(value)}'`)
        .join(" ")}`,
    );
  yield* write({
    "numa/version": 1,
    "numa/status": "",
    "control/feature-virtflex": "",
    ...Object.fromEntries(
      sizesMib.flatMap((mib, v): Array<[string, number]> => [
        [`numa/node/${String(v)}/pnode`, v],
        [`numa/node/${String(v)}/capacity`, mib * kibPerMib],
        [`numa/node/${String(v)}/vcpus`, v],
      ]),
    ),
  });
  yield* lab.dom0.check(
    `xenstore-chmod -r ${store}/numa n0 r${domain} && xenstore-chmod -r ${store}/numa/status n${domain} && ` +
      `xenstore-chmod ${store}/control/feature-virtflex n${domain}`,
  );
  yield* guest.check(
    "insmod /opt/virtflex/lib/virtflex.ko && mount -t tracefs tracefs /sys/kernel/tracing",
  );

  let last = 0;
  /**
   * Milliseconds that a request took, that its node was drained once nothing was free on it, and that memory alone took,
   * out (what is free taken, the rest drained, all given to Xen) or in; NaN for what was not done.
   */
  const ask = Effect.fnUntraced(function* (nodes: ReadonlyArray<Node>) {
    last += 1;
    const id = String(last);
    yield* write({
      ...Object.fromEntries(
        nodes.flatMap(({ targetKib, desired }, v): Array<[string, string | number]> => [
          [`numa/node/${String(v)}/target`, targetKib],
          [`numa/node/${String(v)}/desired`, desired],
        ]),
      ),
      "numa/request": `${id} resize 3600000`,
    });
    const text = yield* guest.check(
      `until cat /proc/virtflex/status >/tmp/status && grep -q '^request ${id} ' /tmp/status && ` +
        `grep -qE '^state (done|failed|cancelled)' /tmp/status; do sleep 0.2; done; cat /tmp/status`,
      unlimited,
    );
    if (!/^state done$/m.test(text)) return yield* Effect.die(new Error(text));
    const at = (turn: string) =>
      Number(new RegExp(`^time ${turn} (\\d+)`, "m").exec(text)?.[1]) / 1e6;
    const drainMs = at("pages-left") - at("vcpus-off");
    return {
      allMs: at("ended") - at("taken-up"),
      drainMs,
      outMs: at("isolated") - at("resizing") + drainMs + at("memory-out") - at("pages-left"),
      inMs: at("memory-in") - at("resizing"),
    };
  });

  const nanoseconds = (args: string) =>
    Effect.map(guest.check(`/root/balloon ${args}`, unlimited), (text) =>
      Number(/^ns (\d+)$/m.exec(text)?.[1]),
    );
  return { guest, ask, nanoseconds };
});

type Guest = Effect.Success<ReturnType<typeof makeGuest>>;
type Times = Effect.Success<ReturnType<Guest["ask"]>>;

const ours = Effect.fn("ours")(function* ({ guest, ask }: Guest) {
  const calls = Effect.map(guest.check("cat /proc/virtflex/status"), (text) =>
    [...(/^hypercalls out (\d+) in (\d+)$/m.exec(text)?.slice(1) ?? [])].map(Number),
  );
  const out: Array<Times> = [];
  const back: Array<Times> = [];
  const before = yield* calls;
  for (let round = 0; round < rounds; round++) {
    out.push(yield* ask(without(1, outMib)));
    back.push(yield* ask(full));
  }
  const [callsOut = 0, callsIn = 0] = (yield* calls).map(
    (count, index) => perGib(count - (before[index] ?? 0), outMib) / rounds,
  );
  const of = (times: ReadonlyArray<Times>, name: keyof Times) =>
    median(times.map((each) => each[name]));
  return {
    outMs: of(out, "outMs"),
    inMs: of(back, "inMs"),
    allOutMs: of(out, "allMs"),
    allInMs: of(back, "allMs"),
    callsOut,
    callsIn,
  };
});

/** Linux makes each of its hypercalls in one of two functions; a probe counts them. */
const stock = Effect.fn("stock")(function* ({ guest, nanoseconds }: Guest) {
  yield* guest.check(
    "cd /sys/kernel/tracing && echo 'p:calls_out xenmem_reservation_decrease' >kprobe_events && " +
      "echo 'p:calls_in xenmem_reservation_increase' >>kprobe_events && echo 1 >events/kprobes/enable",
  );
  const current = Number(
    yield* guest.check("cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb"),
  );
  const until = (kib: number) =>
    Effect.map(nanoseconds(`stock ${String(kib)}`), (ns) => ((ns / 1e6) * outMib) / stockMib);
  const outMs = yield* until(current - stockMib * kibPerMib);
  const inMs = yield* until(current);
  const profile = yield* guest.check("cat /sys/kernel/tracing/kprobe_profile");
  yield* guest.check("echo 0 >/sys/kernel/tracing/events/kprobes/enable");
  const count = (name: string) =>
    Number(new RegExp(`^ *${name} +(\\d+)`, "m").exec(profile)?.[1] ?? Number.NaN);
  return {
    outMs,
    inMs,
    callsOut: perGib(count("calls_out"), stockMib),
    callsIn: perGib(count("calls_in"), stockMib),
  };
});

const drain = Effect.fn("drain")(function* ({ guest, ask, nanoseconds }: Guest) {
  const drained: Array<number> = [];
  const moved: Array<number> = [];
  const mib = String(movedMib);
  for (let round = 0; round < rounds; round++) {
    moved.push((yield* nanoseconds(`move 2 1 ${mib}`)) / 1e6);
    const pid = yield* guest.check(
      `setsid /root/balloon hold 2 ${mib} >/tmp/hold 2>&1 </dev/null & echo $!; until grep -q ready /tmp/hold; do sleep 0.2; done`,
    );
    drained.push((yield* ask(without(2, movedMib))).drainMs);
    yield* ask(full);
    yield* guest.check(`kill ${pid.trim()}`);
  }
  const rate = (milliseconds: number) => (movedMib * 1.048576) / (milliseconds / 1000);
  return { drainRate: rate(median(drained)), moveRate: rate(median(moved)) };
});

const bench = Effect.gen(function* () {
  const lab = yield* Lab.up({
    name: `bench-balloon-${String(process.pid)}`,
    shape: yield* Shape.make({ cpus: 4 }),
    flavour: { xen: "release" },
    accelerator: "auto",
  });
  const guest = yield* makeGuest(lab);
  const our = yield* ours(guest);
  const { drainRate, moveRate } = yield* drain(guest);
  const their = yield* stock(guest);
  const scaled = stockMib === outMib ? "" : `, scaled from ${String(stockMib)} MiB`;
  const name = `the stock balloon${scaled}`;
  yield* report(
    `${String(outMib)} MiB out of a guest and back in, and a node's 4 KiB pages drained`,
    [
      {
        ...{ name: "balloon out", value: our.outMs, unit: "ms" },
        ...{ baseline: { name, value: their.outMs }, aim: "at most 0.02 ×" },
      },
      {
        ...{ name: "balloon in", value: our.inMs, unit: "ms" },
        ...{ baseline: { name, value: their.inMs }, aim: "at most 0.05 ×" },
      },
      {
        ...{
          name: "a shrink by it, with its vCPU and the answer",
          value: our.allOutMs,
          unit: "ms",
        },
        baseline: { name, value: their.outMs },
      },
      {
        ...{ name: "an expansion, with its vCPU and the answer", value: our.allInMs, unit: "ms" },
        baseline: { name, value: their.inMs },
      },
      {
        ...{ name: "hypercalls out", value: our.callsOut, unit: "a GiB" },
        baseline: { name, value: their.callsOut },
      },
      {
        ...{ name: "hypercalls in", value: our.callsIn, unit: "a GiB" },
        baseline: { name, value: their.callsIn },
      },
      {
        ...{ name: "drain of a node", value: drainRate, unit: "MB/s" },
        baseline: { name: "move_pages(2)", value: moveRate },
      },
    ],
  );
});

await Effect.runPromise(Effect.scoped(bench));
