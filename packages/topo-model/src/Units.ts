/**
 * Units of memory.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export const KiB = 1024;
/** @since 0.1.0 */
export const MiB = 1024 * KiB;
/** @since 0.1.0 */
export const GiB = 1024 * MiB;
/** @since 0.1.0 */
export const pageBytes = 4 * KiB;
/** A superpage of x86-64: the unit of the balloon. @since 0.1.0 */
export const superpageBytes = 2 * MiB;

/** The least multiple of `unit` that is not below `bytes`. @since 0.1.0 */
export const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;

const scales = [
  ["TiB", 1024 * GiB],
  ["GiB", GiB],
  ["MiB", MiB],
  ["KiB", KiB],
] as const;

/** Bytes for people, with at most two decimals: `1.5 GiB`. @since 0.1.0 */
export const formatBytes = (bytes: number): string => {
  for (const [unit, scale] of scales) {
    if (bytes >= scale) return `${Number((bytes / scale).toFixed(2))} ${unit}`;
  }
  return `${bytes} B`;
};
