/** Who is connected to a served host, for which domain, and what each holds. */
import { DomainId } from "@virtflex/topo-model";
import { Effect, type Scope } from "effect";
import type { Rpc } from "effect/rpc";
import { HypervisorError, type HypervisorFailure } from "../Hypervisor.ts";
import type { TransactionHandle } from "../internal/transactions.ts";
import { XenStoreError, type XenStoreFailure, XenUnavailable } from "../XenStore.ts";
import type { EmbeddedGuest } from "./EmbeddedGuest.ts";
import type { Machine } from "./Machine.ts";
import { protocolVersion } from "./protocol.ts";
import { connectGuest } from "./services.ts";
import { connectStore, type StoreConnection } from "./storeService.ts";
import { WriteCredit } from "./WriteCredit.ts";

interface Session {
  readonly store: StoreConnection;
  /** Absent for dom0. */
  readonly guest: EmbeddedGuest["Service"] | undefined;
  readonly transactions: Map<number, TransactionHandle>;
}

type StoreOperation<A> = (
  target: StoreConnection["service"] | TransactionHandle,
) => Effect.Effect<A, XenStoreFailure>;

/** Where a request comes from. */
export interface From {
  readonly client: Rpc.ServerClient;
}

/** Transactions that a client may number at once; xenstored's own quota is lower for guests. */
const maxTransactions = 1024;

export class Sessions {
  readonly #machine: Machine;
  readonly #sessions = new Map<number, Session>();
  readonly #credit = new WriteCredit();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Connects a client for as long as the scope is open. */
  readonly connect = Effect.fnUntraced(
    { self: this },
    function* ({ client }: From, domain: DomainId, version: number) {
      if (version !== protocolVersion) {
        return yield* new XenUnavailable({
          missing: `version ${version} of the embedded host's protocol`,
          hint: `It speaks version ${protocolVersion}: use the same release on both sides.`,
        });
      }
      const session = yield* this.#open(domain);
      yield* Effect.acquireRelease(
        Effect.sync(() => this.#sessions.set(client.id, session)),
        () => Effect.sync(() => this.#sessions.delete(client.id)),
      );
    },
  );

  readonly #open = (domain: DomainId): Effect.Effect<Session, HypervisorError, Scope.Scope> => {
    const transactions = new Map<number, TransactionHandle>();
    return domain === 0
      ? Effect.map(connectStore(this.#machine.store, 0, Effect.void), (store) => ({
          store,
          guest: undefined,
          transactions,
        }))
      : Effect.map(connectGuest(this.#machine, domain), ({ store, service }) => ({
          store,
          guest: service,
          transactions,
        }));
  };

  of({ client }: From): Effect.Effect<Session, XenUnavailable> {
    return Effect.suspend(() => {
      const session = this.#sessions.get(client.id);
      return session === undefined
        ? Effect.fail(
            new XenUnavailable({
              missing: "a connection to the embedded host",
              hint: "Connect before anything else.",
            }),
          )
        : Effect.succeed(session);
    });
  }

  /** Runs what the toolstack may do and a guest may not. */
  privileged<A>(
    from: From,
    operation: string,
    run: Effect.Effect<A, HypervisorFailure>,
  ): Effect.Effect<A, HypervisorFailure> {
    return Effect.flatMap(this.of(from), ({ guest }) => {
      if (guest === undefined) return run;
      const detail = `domain ${guest.domain} is not privileged`;
      return Effect.fail(new HypervisorError({ reason: "Refused", operation, detail }));
    });
  }

  /** Runs what a guest's kernel does for its own domain. */
  kernel<A>(
    from: From,
    operation: string,
    run: (guest: EmbeddedGuest["Service"]) => Effect.Effect<A, HypervisorFailure>,
  ): Effect.Effect<A, HypervisorFailure> {
    return Effect.flatMap(this.of(from), ({ guest }) => {
      if (guest !== undefined) return run(guest);
      const detail = "only a guest's own connection has a balloon";
      return Effect.fail(new HypervisorError({ reason: "Unsupported", operation, detail }));
    });
  }

  /** Runs an operation of the store, in the client's transaction of that number if given. */
  store<A>(
    from: From,
    transaction: number | undefined,
    run: StoreOperation<A>,
  ): Effect.Effect<A, XenStoreFailure> {
    return Effect.flatMap(this.of(from), (session) =>
      transaction === undefined
        ? run(session.store.service)
        : Effect.flatMap(numbered(session, transaction), run),
    );
  }

  /** The same for an operation that changes the store. */
  change<A>(
    from: From,
    transaction: number | undefined,
    run: StoreOperation<A>,
  ): Effect.Effect<A, XenStoreFailure> {
    const changed = this.store(from, transaction, run);
    return transaction === undefined ? Effect.andThen(this.#spend(from), changed) : changed;
  }

  commit(from: From, transaction: number): Effect.Effect<void, XenStoreFailure> {
    const committed = this.end(from, transaction, ({ commit }) => commit);
    return Effect.andThen(this.#spend(from), committed);
  }

  readonly #spend = (from: From): Effect.Effect<void, XenUnavailable> =>
    Effect.flatMap(this.of(from), ({ guest }) =>
      guest === undefined ? Effect.void : this.#credit.spend(guest.domain),
    );

  begin(from: From, transaction: number): Effect.Effect<void, XenStoreFailure> {
    return Effect.flatMap(this.of(from), ({ store, transactions }) => {
      const taken = transactions.has(transaction) || transactions.size >= maxTransactions;
      return taken
        ? Effect.fail(new XenStoreError({ errno: "EBUSY", operation: "transaction", path: "/" }))
        : Effect.flatMap(store.transaction, (handle) => {
            transactions.set(transaction, handle);
            return handle.begin;
          });
    });
  }

  /** Ends a transaction; one that is unknown has ended already. */
  end(
    from: From,
    transaction: number,
    how: (handle: TransactionHandle) => Effect.Effect<void, XenStoreFailure>,
  ): Effect.Effect<void, XenStoreFailure> {
    return Effect.flatMap(this.of(from), (session) =>
      Effect.ensuring(
        Effect.flatMap(numbered(session, transaction), how),
        Effect.sync(() => session.transactions.delete(transaction)),
      ),
    );
  }
}

const numbered = (
  { transactions }: Session,
  transaction: number,
): Effect.Effect<TransactionHandle, XenStoreError> => {
  const handle = transactions.get(transaction);
  return handle === undefined
    ? Effect.fail(new XenStoreError({ errno: "ENOENT", operation: "transaction", path: "/" }))
    : Effect.succeed(handle);
};
