/**
 * What the launcher has to know of an ELF file: which loader it asks for and
 * which libraries it needs. Linux on x86-64 only. The file is not trusted: every
 * offset and size is checked before it is used.
 *
 * Reference: System V ABI, "Object Files" and "Dynamic Linking"; elf(5).
 */
import { Effect, FileSystem, Option, Schema } from "effect";

export interface Elf {
  /** The program loader (PT_INTERP); undefined: the kernel alone loads it. */
  readonly interpreter: string | undefined;
  /** Libraries that it names itself (DT_NEEDED). */
  readonly needed: ReadonlyArray<string>;
}

export class ElfRefused extends Schema.TaggedError<ElfRefused>()("ElfRefused", {
  /** `not-elf`: another kind of file; `foreign`: of another machine; `damaged`. */
  reason: Schema.Literals(["not-elf", "foreign", "damaged"]),
  detail: Schema.String,
}) {}

const headerSize = 64;
const programHeaderSize = 56;
const dynamicSize = 16;
/** More than any linker makes, and little enough to read. */
const maxProgramHeaders = 1024;
const maxSegmentBytes = 1024 ** 2;

const segmentTypes = { load: 1, dynamic: 2, interpreter: 3 } as const;
const tags = { null: 0n, needed: 1n, stringTable: 5n, stringSize: 10n } as const;

interface Segment {
  readonly type: number;
  readonly offset: bigint;
  readonly address: bigint;
  readonly bytes: bigint;
}

const damaged = (detail: string) => new ElfRefused({ reason: "damaged", detail });
const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The text that ends with the first NUL from `from` on. */
const textAt = (bytes: Uint8Array, from: number): string | undefined => {
  const end = from < bytes.length ? bytes.indexOf(0, from) : -1;
  return end < 0 ? undefined : new TextDecoder().decode(bytes.subarray(from, end));
};

const checkHeader = (header: Uint8Array): ElfRefused | undefined => {
  const magic = [0x7f, 0x45, 0x4c, 0x46];
  if (magic.some((byte, i) => header[i] !== byte)) {
    return new ElfRefused({ reason: "not-elf", detail: "it is no ELF file" });
  }
  const is64 = header[4] === 2;
  const isLittle = header[5] === 1;
  if (!is64 || !isLittle || view(header).getUint16(18, true) !== 62) {
    return new ElfRefused({ reason: "foreign", detail: "it is not for 64-bit x86" });
  }
  const type = view(header).getUint16(16, true);
  return type === 2 || type === 3 ? undefined : damaged("it is neither executable nor shared");
};

const segmentsOf = (table: Uint8Array, count: number): ReadonlyArray<Segment> =>
  Array.from({ length: count }, (_, i) => {
    const data = view(table.subarray(i * programHeaderSize));
    return {
      type: data.getUint32(0, true),
      offset: data.getBigUint64(8, true),
      address: data.getBigUint64(16, true),
      bytes: data.getBigUint64(32, true),
    };
  });

/** Reads the file at `path`. */
export const read = Effect.fn("Elf.read")(function* (path: string) {
  const fs = yield* FileSystem.FileSystem;
  const file = yield* fs.open(path, { flag: "r" });

  /** Exactly so many bytes. */
  const bytesAt = Effect.fnUntraced(function* (what: string, offset: bigint, bytes: number) {
    const parts: Array<Uint8Array> = [];
    let length = 0;
    if (offset > BigInt(Number.MAX_SAFE_INTEGER))
      return yield* damaged(`${what} is beyond its end`);
    yield* file.seek(offset, "start");
    while (length < bytes) {
      const part = Option.getOrUndefined(yield* file.readAlloc(bytes - length));
      if (part === undefined) return yield* damaged(`${what} is beyond its end`);
      parts.push(part);
      length += part.length;
    }
    return Uint8Array.from(Buffer.concat(parts));
  });
  const segmentBytes = (what: string, { offset, bytes }: Segment) =>
    bytes > maxSegmentBytes
      ? damaged(`${what} is too large`)
      : bytesAt(what, offset, Number(bytes));

  const start = yield* bytesAt("the header", 0n, headerSize).pipe(
    Effect.catchTag("ElfRefused", () =>
      Effect.fail(new ElfRefused({ reason: "not-elf", detail: "it is no ELF file" })),
    ),
  );
  const refusal = checkHeader(start);
  if (refusal !== undefined) return yield* refusal;
  const header = view(start);
  const count = header.getUint16(56, true);
  if (header.getUint16(54, true) !== programHeaderSize || count > maxProgramHeaders) {
    return yield* damaged("its program headers are of no known size");
  }
  const table = yield* bytesAt(
    "the program header table",
    header.getBigUint64(32, true),
    count * programHeaderSize,
  );
  const segments = segmentsOf(table, count);
  const find = (type: number) => segments.find((segment) => segment.type === type);

  const interp = find(segmentTypes.interpreter);
  const interpreter =
    interp === undefined
      ? undefined
      : textAt(yield* segmentBytes("the name of its loader", interp), 0);
  if (interp !== undefined && interpreter === undefined) {
    return yield* damaged("the name of its loader does not end");
  }

  const dynamic = find(segmentTypes.dynamic);
  if (dynamic === undefined) return { interpreter, needed: [] } satisfies Elf;
  const entries = view(yield* segmentBytes("the dynamic section", dynamic));
  const names: Array<bigint> = [];
  let tableAddress: bigint | undefined;
  let tableBytes = 0n;
  for (let at = 0; at + dynamicSize <= entries.byteLength; at += dynamicSize) {
    const tag = entries.getBigUint64(at, true);
    const value = entries.getBigUint64(at + 8, true);
    if (tag === tags.null) break;
    if (tag === tags.needed) names.push(value);
    if (tag === tags.stringTable) tableAddress = value;
    if (tag === tags.stringSize) tableBytes = value;
  }
  if (names.length === 0) return { interpreter, needed: [] } satisfies Elf;
  const holder = segments.find(
    ({ type, address, bytes }) =>
      type === segmentTypes.load &&
      tableAddress !== undefined &&
      address <= tableAddress &&
      tableAddress < address + bytes,
  );
  if (holder === undefined || tableAddress === undefined) {
    return yield* damaged("its dynamic strings are in no segment");
  }
  const strings = yield* segmentBytes("the dynamic string table", {
    ...holder,
    offset: holder.offset + (tableAddress - holder.address),
    bytes: tableBytes,
  });
  const needed: Array<string> = [];
  for (const offset of names) {
    const name = offset < strings.length ? textAt(strings, Number(offset)) : undefined;
    if (name === undefined) return yield* damaged("the name of a library does not end");
    needed.push(name);
  }
  return { interpreter, needed } satisfies Elf;
}, Effect.scoped);
