/**
 * The options of a bench, as they stand on its command line.
 *
 * @since 0.1.0
 */

/** What follows `--name`; nothing where it isn't said. @since 0.1.0 */
export const textOption = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

/** The number that follows `--name`, NaN if it is none. @since 0.1.0 */
export const numberOption = (name: string, otherwise: number): number =>
  process.argv.includes(`--${name}`) ? Number(textOption(name)) : otherwise;
