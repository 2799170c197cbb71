/**
 * What a toolstack writes into xenstore when it builds a domain: the keys of
 * libxl that Virtflex needs, and the `numa/` tree of the contract with the host.
 */
import { type Guest, NumaKeys } from "@virtflex/topo-model";
import type { Permission } from "../XenStore.ts";
import type { Store } from "./Store.ts";

/** The host writes, the guest reads, nobody else does either. */
const hostOwned = (domain: number): ReadonlyArray<Permission> => [
  { domain: 0, access: "none" },
  { domain, access: "read" },
];

/** The guest writes; dom0 sees it, nobody else does. */
const guestOwned = (domain: number): ReadonlyArray<Permission> => [{ domain, access: "none" }];

/** Writes the directory of a domain, which must not exist. */
export const writeTree = (store: Store, guest: Guest): void => {
  const { path } = NumaKeys;
  const dom0 = store.connect(0);
  const home = NumaKeys.domainPath(guest.domain);
  // What is created below inherits: so the directory's permissions come first.
  dom0.write(home, "");
  dom0.setPermissions(home, hostOwned(guest.domain));
  const put = (key: string, value: string): void => {
    dom0.write(NumaKeys.at(guest.domain, key), value);
  };
  const give = (key: string): void => {
    put(key, "");
    dom0.setPermissions(NumaKeys.at(guest.domain, key), guestOwned(guest.domain));
  };
  const targetBytes =
    guest.targetBytes ?? guest.vnodes.reduce((sum, vnode) => sum + vnode.targetBytes, 0);
  const capacityBytes = guest.vnodes.reduce((sum, vnode) => sum + vnode.capacityBytes, 0);
  put("name", guest.name);
  put("domid", String(guest.domain));
  put(path.memoryTarget, NumaKeys.printKib(targetBytes));
  put("memory/static-max", NumaKeys.printKib(capacityBytes));
  for (const vcpu of guest.vcpus) {
    put(path.availability(vcpu.id), NumaKeys.printAvailability(vcpu.online));
  }
  give(path.feature);
  give("data");
  put(path.version, NumaKeys.contractVersion);
  for (const vnode of guest.vnodes) {
    put(path.pnode(vnode.id), NumaKeys.printPnode(vnode.pnode));
    put(path.capacity(vnode.id), NumaKeys.printKib(vnode.capacityBytes));
    put(path.target(vnode.id), NumaKeys.printKib(vnode.targetBytes));
    put(path.vcpus(vnode.id), NumaKeys.printCpuList(vnode.vcpus));
    put(path.desired(vnode.id), vnode.desired);
  }
  give(path.status);
  store.disconnect(dom0);
};
