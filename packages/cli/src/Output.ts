/**
 * stdout is for data: text for people, or one JSON document. Everything else
 * goes to stderr.
 */
import { Console, Effect } from "effect";
import { Json } from "./Settings.ts";

/** JSON for machines; counters of 64 bits as numbers. */
export const toJson = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? Number(part) : part), 2);

/** Prints the document with `--json`, else the text. */
export const print = Effect.fnUntraced(function* (document: unknown, text: () => string) {
  yield* Console.log((yield* Json) ? toJson(document) : text());
});

/** One line of JSON, or of text, of many. */
export const printLine = Effect.fnUntraced(function* (document: unknown, text: () => string) {
  const line = (value: unknown) => JSON.stringify(JSON.parse(toJson(value)));
  yield* Console.log((yield* Json) ? line(document) : text());
});

/** Columns as wide as they must be; a cell that is a number stands to the right. */
export const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string | number>>,
): string => {
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => String(row[column] ?? "").length)),
  );
  const line = (cells: ReadonlyArray<string | number>) =>
    cells
      .map((cell, column) =>
        typeof cell === "number"
          ? String(cell).padStart(widths[column] ?? 0)
          : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  const isNumber = (column: number) => rows.every((row) => typeof row[column] === "number");
  const header = head.map((name, column) =>
    isNumber(column) ? name.padStart(widths[column] ?? 0) : name,
  );
  return [line(header), ...rows.map(line)].join("\n");
};
