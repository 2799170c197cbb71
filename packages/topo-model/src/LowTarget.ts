/**
 * The low target: the memory that a vnode keeps when it leaves, because the
 * guest's kernel can't give it back. It is computed from how Linux (6.1, x86-64)
 * lays a node out, not from a rule of thumb; each term names its source there.
 *
 * - **memmap**: a `struct page` of 64 bytes for each 4 KiB of the node's span, which is
 *   its capacity, allocated on the node itself (mm/sparse-vmemmap.c): 16 MiB a GiB.
 * - **watermark**: what the page allocator keeps free before it reclaims for ever.
 *   `min` is the node's share of min_free_kbytes, which is √(16 × KiB of the guest)
 *   within 128 KiB … 256 MiB (mm/page_alloc.c, calculate_min_free_kbytes), raised for huge
 *   pages to 11 pageblocks of 2 MiB a zone, at most 5 % of memory (mm/khugepaged.c,
 *   set_recommended_min_free_kbytes); `high` adds twice the larger of `min`/4 and 0.1 % of the
 *   zone (mm/page_alloc.c, __setup_per_zone_wmarks). The watermarks of the full size
 *   are what counts: a balloon doesn't make the kernel compute them anew.
 * - **per-CPU areas**: units of 256 KiB a vCPU in 2 MiB blocks of its node
 *   (mm/percpu.c, pcpu_embed_first_chunk).
 * - **unmovable**: slab, page tables and stacks that were allocated while the node was in use. Unlike
 *   the others it depends on the load, and so is a parameter.
 *
 * @since 0.1.0
 */
import type { Guest, Vnode } from "./Guest.ts";
import { homeVnode } from "./Topology.ts";
import { KiB, MiB, pageBytes, roundUp, superpageBytes } from "./Units.ts";

/** @since 0.1.0 */
export interface LowTargetParameters {
  /** Unmovable kernel memory to allow for on any vnode. */
  readonly unmovableBytes: number;
  /**
   * Further memory for the home vnode: kernel image, initial ramdisk, boot-time tables
   * and the file cache of what never leaves.
   */
  readonly homeBytes: number;
}

/** @since 0.1.0 */
export const defaultLowTarget: LowTargetParameters = {
  unmovableBytes: 32 * MiB,
  homeBytes: 192 * MiB,
};

const structPageBytes = 64;
const pageblockBytes = superpageBytes;
/** DMA and DMA32, which are the home vnode's beside its Normal zone. */
const lowZones = 2;

const minFreeBytes = (guestBytes: number, zones: number): number => {
  const base = Math.floor(Math.sqrt((guestBytes / KiB) * 16)) * KiB;
  const clamped = Math.min(Math.max(base, 128 * KiB), 256 * MiB);
  const forHugePages = Math.min(11 * pageblockBytes * zones, guestBytes / 20);
  return Math.max(clamped, forHugePages);
};

const perCpuBytes = (vcpus: number): number => roundUp(vcpus * 256 * KiB, superpageBytes);

/**
 * Bytes that the vnode keeps when it leaves: whole superpages, and never above its capacity.
 *
 * @since 0.1.0
 */
export const lowTargetBytes = (
  guest: Guest,
  vnode: Vnode,
  { unmovableBytes, homeBytes }: LowTargetParameters = defaultLowTarget,
): number => {
  const capacity = vnode.capacityBytes;
  const guestBytes = guest.vnodes.reduce((sum, other) => sum + other.capacityBytes, 0);
  if (guestBytes === 0) return 0;
  const memmap = Math.ceil(capacity / pageBytes) * structPageBytes;
  const zones = guest.vnodes.length + lowZones;
  const min = minFreeBytes(guestBytes, zones) * (capacity / guestBytes);
  const high = min + 2 * Math.max(min / 4, capacity / 1000);
  const home = vnode.id === homeVnode(guest)?.id ? homeBytes : 0;
  const bytes = memmap + high + perCpuBytes(vnode.vcpus.length) + unmovableBytes + home;
  return Math.min(roundUp(bytes, superpageBytes), capacity);
};
