/**
 * The four changes as arguments and flags: the same for `plan` and for the
 * verbs that apply it.
 */
import { type DomainId, PnodeId, type TopologyChange, VnodeId } from "@virtflex/topo-model";
import { Effect } from "effect";
import { Argument, Flag } from "effect/cli";
import { UsageError } from "./UsageError.ts";
import { parseSize, parseVnodes } from "./Values.ts";

/** A change to a domain that is still to be found. */
export interface Wish {
  /** Name or id. */
  readonly domain: string;
  readonly changeOf: (domain: DomainId) => Effect.Effect<TopologyChange, UsageError>;
}

export const domainArgument = Argument.String("domain").pipe(
  Argument.withDescription("Name or id of the domain"),
);

const vnodeFlag = Flag.Int("vnode").pipe(
  Flag.withMetavar("VNODE"),
  Flag.withDescription("The vnode"),
  Flag.withSchema(VnodeId),
);

/** `--make-room`, of all but shrink. */
const roomConfig = {
  makeRoom: Flag.Boolean("make-room").pipe(
    Flag.withDescription("Where memory is short, move vnodes of any guest to other pnodes"),
    Flag.withDefault(false),
    Flag.withoutNegation,
  ),
};

/** `DOMAIN --vnodes 2,3`, of expand and shrink. */
export const vnodesConfig = {
  domain: domainArgument,
  vnodes: Flag.String("vnodes").pipe(
    Flag.withMetavar("LIST"),
    Flag.withDescription("The vnodes, such as 2,3 or 1-3"),
  ),
};

/** The same, of expand. */
export const expandConfig = { ...vnodesConfig, ...roomConfig };

/** `DOMAIN --vnode 1 --size 512M`. */
export const resizeConfig = {
  domain: domainArgument,
  vnode: vnodeFlag,
  size: Flag.String("size").pipe(
    Flag.withMetavar("SIZE"),
    Flag.withDescription("Its memory, such as 512M or 1.5G"),
  ),
  ...roomConfig,
};

/** `DOMAIN --vnode 1 --pnode 2`. */
export const rehomeConfig = {
  domain: domainArgument,
  vnode: vnodeFlag,
  pnode: Flag.Int("pnode").pipe(
    Flag.withMetavar("PNODE"),
    Flag.withDescription("The pnode to move it to"),
    Flag.withSchema(PnodeId),
  ),
  ...roomConfig,
};

export const vnodesWish = (
  verb: "expand" | "shrink",
  input: { readonly domain: string; readonly vnodes: string },
): Wish => ({
  domain: input.domain,
  changeOf: (domain) =>
    Effect.map(parseVnodes(input.vnodes), (vnodes) => ({ _tag: verb, domain, vnodes })),
});

export const resizeWish = (input: {
  readonly domain: string;
  readonly vnode: VnodeId;
  readonly size: string;
}): Wish => ({
  domain: input.domain,
  changeOf: (domain) =>
    Effect.map(parseSize("--size", input.size), (targetBytes) => ({
      _tag: "resize",
      domain,
      vnode: input.vnode,
      targetBytes,
    })),
});

export const rehomeWish = (input: {
  readonly domain: string;
  readonly vnode: VnodeId;
  readonly pnode: PnodeId;
}): Wish => ({
  domain: input.domain,
  changeOf: (domain) =>
    Effect.succeed({ _tag: "rehome", domain, vnode: input.vnode, pnode: input.pnode }),
});

/** `GIVER:3 TAKER:3`, of trade. */
export const tradeConfig = {
  giver: Argument.String("giver").pipe(
    Argument.withDescription("Domain and the vnodes that leave it, such as web:3"),
  ),
  taker: Argument.String("taker").pipe(
    Argument.withDescription("Domain and its vnodes to put to use, such as batch:2,3"),
  ),
  ...roomConfig,
};

const partOf = (verb: "expand" | "shrink", text: string) => {
  const colon = text.lastIndexOf(":");
  return colon < 1
    ? Effect.fail(
        new UsageError({ code: "BAD_VALUE", what: text, detail: "it is no DOMAIN:VNODES" }),
      )
    : Effect.succeed(
        vnodesWish(verb, { domain: text.slice(0, colon), vnodes: text.slice(colon + 1) }),
      );
};

/** Two changes that are made, or not made, as one. */
export const tradeWishes = (input: { readonly giver: string; readonly taker: string }) =>
  Effect.all([partOf("shrink", input.giver), partOf("expand", input.taker)]);

export const about = {
  expand: "Put vnodes to use, with all of their memory and vCPUs",
  shrink: "Take vnodes out of use: their vCPUs, and their memory but for a little",
  resize: "Give a vnode another amount of memory",
  rehome: "Move a vnode, its memory and its vCPUs, to another pnode",
  trade: "Take vnodes of one domain out of use and put those of another to use, as one change",
} as const;
