/**
 * The services of an embedded host that another process serves
 * (`@virtflex/xen-control/embedded-server`).
 *
 * Each layer is one connection, with the credentials of one domain. When it is
 * lost every call fails with `XenUnavailable`; it is not made anew, as what it held
 * is gone with it.
 *
 * @since 0.1.0
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket";
import { DomainId } from "@virtflex/topo-model";
import { Context, Effect, Layer, Pull, Schedule, type Scope, Stream } from "effect";
import { RpcClient, RpcClientError, RpcSerialization } from "effect/rpc";
import { Socket } from "effect/socket";
import { Hypervisor, type HypervisorFailure } from "../Hypervisor.ts";
import { type TransactionHandle, transactionWith } from "../internal/transactions.ts";
import { WatchEvents } from "../internal/WatchEvents.ts";
import { XenStore, XenUnavailable, type XenStoreFailure, type XenStoreOps } from "../XenStore.ts";
import { EmbeddedGuest } from "./EmbeddedGuest.ts";
import { EmbeddedHost } from "./EmbeddedHost.ts";
import { Protocol, protocolVersion } from "./protocol.ts";

type Client = RpcClient.FromGroup<typeof Protocol, RpcClientError.RpcClientError>;

/** A connection, and how its transport's failures read. */
interface Connection {
  readonly client: Client;
  readonly call: <A, E>(
    effect: Effect.Effect<A, E | RpcClientError.RpcClientError>,
  ) => Effect.Effect<A, E | XenUnavailable>;
  readonly failure: <E>(error: E | RpcClientError.RpcClientError) => E | XenUnavailable;
}

/** Connects as a domain until the scope closes. */
const connect = Effect.fnUntraced(function* (
  socket: string,
  domain: DomainId,
): Effect.fn.Return<Connection, HypervisorFailure, Scope.Scope> {
  const missing = new XenUnavailable({
    missing: `no embedded host answers at ${socket}`,
    hint: `Start one: virtflex embedded serve --socket ${socket}`,
  });
  const failure = <E>(error: E | RpcClientError.RpcClientError): E | XenUnavailable =>
    error instanceof RpcClientError.RpcClientError ? missing : error;
  const transport = yield* RpcClient.makeProtocolSocket({ retryPolicy: Schedule.recurs(0) }).pipe(
    Effect.provideServiceEffect(
      Socket.Socket,
      NodeSocket.makeNet({ path: socket, openTimeout: "5 seconds" }),
    ),
    Effect.provide(RpcSerialization.layerNdjson),
  );
  const client = yield* RpcClient.make(Protocol, { disableTracing: true }).pipe(
    Effect.provideService(RpcClient.Protocol, transport),
  );
  const standing = yield* Stream.toPull(client.Connect({ domain, version: protocolVersion }));
  yield* standing.pipe(
    Pull.catchDone(() => Effect.fail(missing)),
    Effect.mapError(failure),
  );
  return { client, failure, call: (effect) => Effect.mapError(effect, failure) };
});

const storeOps = (
  { client, call }: Connection,
  within: { readonly transaction?: number },
): XenStoreOps => ({
  read: (path) => call(client.Read({ path, ...within })),
  write: (path, value) => call(client.Write({ path, value, ...within })),
  list: (path) => call(client.List({ path, ...within })),
  remove: (path) => call(client.Remove({ path, ...within })),
  permissions: (path) => call(client.Permissions({ path, ...within })),
  setPermissions: (path, permissions) =>
    call(client.SetPermissions({ path, permissions, ...within })),
});

const storeOf = (connection: Connection): XenStore["Service"] => {
  const { client, call } = connection;
  let last = 0;
  const handle = Effect.sync((): TransactionHandle => {
    last += 1;
    const within = { transaction: last };
    return {
      ...storeOps(connection, within),
      begin: call(client.Begin(within)),
      commit: call(client.Commit(within)),
      // Whatever goes wrong with it, the transaction is no more.
      abort: Effect.ignore(client.Abort(within)),
    };
  });
  return XenStore.of({
    ...storeOps(connection, {}),
    transaction: transactionWith(handle),
    watch: (path) => watchOn(connection, path),
  });
};

/**
 * A slow reader must not hold up the connection, on which the answers to its own
 * calls come too: events are taken off at once and wait here, coalesced.
 */
const watchOn = (
  { client, failure }: Connection,
  path: string,
): Stream.Stream<string, XenStoreFailure> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const events = new WatchEvents(path);
      yield* client.Watch({ path }).pipe(
        Stream.runForEachArray((paths) =>
          Effect.sync(() => {
            for (const each of paths) events.add(each);
          }),
        ),
        Effect.catch((error) => Effect.sync(() => events.fail(failure(error)))),
        Effect.forkScoped,
      );
      return events.stream(Effect.void);
    }),
  );

const hypervisorOf = ({ client, call }: Connection): Hypervisor["Service"] =>
  Hypervisor.of({
    host: call(client.Host()),
    domains: call(client.Domains()),
    domain: (domain) => call(client.Domain({ domain })),
    setVcpusOnline: (domain, vcpus, online) =>
      call(client.SetVcpusOnline({ domain, vcpus, online })),
    pinVcpus: (domain, vcpus, pcpus) => call(client.PinVcpus({ domain, vcpus, pcpus })),
    setLimit: (domain, bytes) => call(client.SetLimit({ domain, bytes })),
    reserve: (domain, pnode, bytes) => call(client.Reserve({ domain, pnode, bytes })),
    moveVnode: (domain, vnode, pnode) => call(client.MoveVnode({ domain, vnode, pnode })),
  });

const connectGuest = (
  socket: string,
  domain: DomainId,
): Effect.Effect<EmbeddedGuest["Service"], HypervisorFailure, Scope.Scope> =>
  Effect.map(connect(socket, domain), (connection) => {
    const { client, call } = connection;
    return EmbeddedGuest.of({
      domain,
      store: storeOf(connection),
      onlineVcpus: call(client.OnlineVcpus()),
      heldBytes: (vnode) => call(client.HeldBytes({ vnode })),
      populate: (vnode, bytes) => call(client.Populate({ vnode, bytes })),
      decrease: (vnode, bytes) => call(client.Decrease({ vnode, bytes })),
    });
  });

const hostOf = (socket: string, { client, call }: Connection): EmbeddedHost["Service"] =>
  EmbeddedHost.of({
    createGuest: (guest) => call(client.CreateGuest({ guest })),
    destroyGuest: (domain) => call(client.DestroyGuest({ domain })),
    guest: (domain) => connectGuest(socket, domain),
    usage: call(client.Usage()),
    pause: (domain) => call(client.Pause({ domain })),
    unpause: (domain) => call(client.Unpause({ domain })),
    pauseAfter: (domain, bytes) => call(client.PauseAfter({ domain, bytes })),
    leaveFree: (pnode, bytes) => call(client.LeaveFree({ pnode, bytes })),
    conflictNext: (commits) => call(client.ConflictNext({ commits })),
  });

/**
 * The host served at the socket, seen from dom0.
 *
 * @since 0.1.0
 */
export const layer = (
  socket: string,
): Layer.Layer<XenStore | Hypervisor | EmbeddedHost, HypervisorFailure> =>
  Layer.effectContext(
    Effect.map(connect(socket, DomainId.make(0)), (connection) =>
      Context.make(XenStore, storeOf(connection)).pipe(
        Context.add(Hypervisor, hypervisorOf(connection)),
        Context.add(EmbeddedHost, hostOf(socket, connection)),
      ),
    ),
  );

/**
 * The kernel of a guest of the host served at the socket, with the guest's
 * credentials and no other.
 *
 * @since 0.1.0
 */
export const guestLayer = (
  socket: string,
  domain: DomainId,
): Layer.Layer<EmbeddedGuest, HypervisorFailure> =>
  Layer.effect(EmbeddedGuest, connectGuest(socket, domain));
