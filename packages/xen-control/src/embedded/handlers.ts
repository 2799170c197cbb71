/** The server's half of the protocol, over one `Machine`. */
import { Effect, Stream } from "effect";
import type { Machine } from "./Machine.ts";
import { Protocol } from "./protocol.ts";
import { hostOf, hypervisorOf } from "./services.ts";
import { Sessions } from "./sessions.ts";

export const handlersOf = (machine: Machine) => {
  const host = hostOf(machine);
  const xen = hypervisorOf(machine);
  const sessions = new Sessions(machine);
  return Protocol.toLayer({
    Connect: ({ domain, version }, from) =>
      Stream.unwrap(
        Effect.as(
          sessions.connect(from, domain, version),
          Stream.concat(Stream.make("connected" as const), Stream.never),
        ),
      ),

    Read: ({ path, transaction }, from) =>
      sessions.store(from, transaction, (store) => store.read(path)),
    Write: ({ path, value, transaction }, from) =>
      sessions.change(from, transaction, (store) => store.write(path, value)),
    List: ({ path, transaction }, from) =>
      sessions.store(from, transaction, (store) => store.list(path)),
    Remove: ({ path, transaction }, from) =>
      sessions.change(from, transaction, (store) => store.remove(path)),
    Permissions: ({ path, transaction }, from) =>
      sessions.store(from, transaction, (store) => store.permissions(path)),
    SetPermissions: ({ path, permissions, transaction }, from) =>
      sessions.change(from, transaction, (store) => store.setPermissions(path, permissions)),
    Begin: ({ transaction }, from) => sessions.begin(from, transaction),
    Commit: ({ transaction }, from) => sessions.commit(from, transaction),
    Abort: ({ transaction }, from) => sessions.end(from, transaction, ({ abort }) => abort),
    Watch: ({ path }, from) =>
      Stream.unwrap(Effect.map(sessions.of(from), ({ store }) => store.service.watch(path))),

    Host: (_, from) => sessions.privileged(from, "host", xen.host),
    Domains: (_, from) => sessions.privileged(from, "domains", xen.domains),
    Domain: ({ domain }, from) => sessions.privileged(from, "domain", xen.domain(domain)),
    SetVcpusOnline: ({ domain, vcpus, online }, from) =>
      sessions.privileged(from, "setVcpusOnline", xen.setVcpusOnline(domain, vcpus, online)),
    PinVcpus: ({ domain, vcpus, pcpus }, from) =>
      sessions.privileged(from, "pinVcpus", xen.pinVcpus(domain, vcpus, pcpus)),
    SetLimit: ({ domain, bytes }, from) =>
      sessions.privileged(from, "setLimit", xen.setLimit(domain, bytes)),
    Reserve: ({ domain, pnode, bytes }, from) =>
      sessions.privileged(from, "reserve", xen.reserve(domain, pnode, bytes)),
    MoveVnode: ({ domain, vnode, pnode }, from) =>
      sessions.privileged(from, "moveVnode", xen.moveVnode(domain, vnode, pnode)),

    CreateGuest: ({ guest }, from) =>
      sessions.privileged(from, "createGuest", host.createGuest(guest)),
    DestroyGuest: ({ domain }, from) =>
      sessions.privileged(from, "destroyGuest", host.destroyGuest(domain)),
    Usage: (_, from) => sessions.privileged(from, "usage", host.usage),
    Pause: ({ domain }, from) => sessions.privileged(from, "pause", host.pause(domain)),
    Unpause: ({ domain }, from) => sessions.privileged(from, "unpause", host.unpause(domain)),
    PauseAfter: ({ domain, bytes }, from) =>
      sessions.privileged(from, "pauseAfter", host.pauseAfter(domain, bytes)),
    LeaveFree: ({ pnode, bytes }, from) =>
      sessions.privileged(from, "leaveFree", host.leaveFree(pnode, bytes)),
    ConflictNext: ({ commits }, from) =>
      sessions.privileged(from, "conflictNext", host.conflictNext(commits)),

    OnlineVcpus: (_, from) =>
      sessions.kernel(from, "onlineVcpus", ({ onlineVcpus }) => onlineVcpus),
    HeldBytes: ({ vnode }, from) =>
      sessions.kernel(from, "heldBytes", (guest) => guest.heldBytes(vnode)),
    Populate: ({ vnode, bytes }, from) =>
      sessions.kernel(from, "populate", (guest) => guest.populate(vnode, bytes)),
    Decrease: ({ vnode, bytes }, from) =>
      sessions.kernel(from, "decrease", (guest) => guest.decrease(vnode, bytes)),
  });
};
