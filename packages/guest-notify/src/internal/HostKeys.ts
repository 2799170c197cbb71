/** What the host says of the guest's vnodes: the keys below `numa/node`. */
import { type Desired, NumaKeys, type VcpuId, type VnodeId } from "@virtflex/topo-model";
import { Effect } from "effect";
import { RequestFailed } from "./RequestFailed.ts";
import type { Store } from "./Store.ts";

export interface HostNode {
  readonly vnode: VnodeId;
  readonly vcpus: ReadonlyArray<VcpuId>;
  readonly capacityBytes: number;
  readonly targetBytes: number;
  readonly desired: Desired;
}

const { path } = NumaKeys;
const bad = (detail: string) => new RequestFailed({ reason: "bad-node", detail });

/** The value of a key that must be there and of its grammar. */
const readKey = Effect.fnUntraced(function* <A>(
  store: Store,
  key: string,
  parse: (text: string) => NumaKeys.Parsed<A>,
) {
  const text = yield* store.read(key);
  if (text === undefined) return yield* bad(`${key} is missing`);
  return yield* Effect.fromResult(parse(text)).pipe(
    Effect.mapError(({ message }) => bad(`${key}: ${message}`)),
  );
});

const readNode = (store: Store, vnode: VnodeId) =>
  Effect.all(
    {
      vnode: Effect.succeed(vnode),
      vcpus: readKey(store, path.vcpus(vnode), NumaKeys.parseCpuList),
      capacityBytes: readKey(store, path.capacity(vnode), NumaKeys.parseKib),
      targetBytes: readKey(store, path.target(vnode), NumaKeys.parseKib),
      desired: readKey(store, path.desired(vnode), NumaKeys.parseDesired),
    },
    { concurrency: "unbounded" },
  );

const check = (nodes: ReadonlyArray<HostNode>): RequestFailed | undefined => {
  const owner = new Map<VcpuId, VnodeId>();
  for (const { vnode, vcpus, capacityBytes, targetBytes } of nodes) {
    if (targetBytes > capacityBytes) return bad(`vnode ${vnode}: its target is above its capacity`);
    for (const vcpu of vcpus) {
      const other = owner.get(vcpu);
      if (other !== undefined) return bad(`vCPU ${vcpu} is in vnode ${other} and in ${vnode}`);
      owner.set(vcpu, vnode);
    }
  }
  const home = nodes.find(({ vcpus }) => vcpus.some((vcpu) => vcpu === 0)) ?? nodes[0];
  if (home === undefined) return bad(`${path.nodes} has no vnode`);
  if (home.desired === "offline") {
    const detail = `vnode ${home.vnode} is the home vnode, which can't go offline`;
    return new RequestFailed({ reason: "home-node", detail });
  }
  return undefined;
};

/** All of them, by vnode, and consistent with one another. */
export const readHostKeys = Effect.fn("HostKeys.read")(function* (store: Store) {
  const [version, names] = yield* Effect.all([store.read(path.version), store.list(path.nodes)], {
    concurrency: "unbounded",
  });
  if (version !== NumaKeys.contractVersion) {
    const detail = `${path.version} is not ${NumaKeys.contractVersion}`;
    return yield* new RequestFailed({ reason: "unsupported", detail });
  }
  const nodes = yield* Effect.forEach(
    names,
    (name) =>
      Effect.fromResult(NumaKeys.parseVnode(name)).pipe(
        Effect.mapError(({ message }) => bad(`${path.nodes}: ${message}`)),
        Effect.flatMap((vnode) => readNode(store, vnode)),
      ),
    { concurrency: "unbounded" },
  );
  nodes.sort((a, b) => a.vnode - b.vnode);
  const refusal = check(nodes);
  return refusal === undefined ? nodes : yield* refusal;
});
