/**
 * Topologies as JSON documents: what `plan` reads from a file, and how a host's
 * state is kept for another day.
 *
 * @since 0.1.0
 */
import { Result, Schema, SchemaIssue } from "effect";
import { Topology } from "./Topology.ts";
import { InvalidTopology, type TopologyProblem, validate } from "./Validation.ts";

const codec = Schema.toCodecJson(Topology);
const decode = Schema.decodeUnknownResult(codec, { errors: "all", onExcessProperty: "error" });
const encode = Schema.encodeSync(codec);
const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1();

const pathOf = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }>): string => {
  const keys = path.map((part) => (typeof part === "object" ? part.key : part));
  const text = keys.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`));
  return text.join("").replace(/^\./, "") || "document";
};

const refused = (problems: ReadonlyArray<TopologyProblem>) => {
  const [first, ...others] = problems;
  const unknown = { field: "document", code: "SCHEMA", detail: "not a topology" } as const;
  return Result.fail(new InvalidTopology({ problems: [first ?? unknown, ...others] }));
};

/**
 * The topology that a JSON text describes. Every problem is named by field and rule, whether
 * it is one of syntax (`NOT_JSON`), of shape (`SCHEMA`: missing, unknown or ill-typed
 * fields) or of a rule between values.
 *
 * @since 0.1.0
 */
export const parseTopology = (text: string): Result.Result<Topology, InvalidTopology> => {
  const parsed = Result.try((): unknown => JSON.parse(text));
  if (Result.isFailure(parsed)) {
    const detail = parsed.failure instanceof Error ? parsed.failure.message : "no JSON";
    return refused([{ field: "document", code: "NOT_JSON", detail }]);
  }
  const decoded = decode(parsed.success);
  if (Result.isSuccess(decoded)) return validate(decoded.success);
  const { issues } = issuesOf(decoded.failure.issue);
  return refused(
    issues.map(({ path, message }) => ({
      field: pathOf(path ?? []),
      code: "SCHEMA",
      detail: message,
    })),
  );
};

/** The document of a topology, as `parseTopology` reads it. @since 0.1.0 */
export const printTopology = (topology: Topology): string =>
  `${JSON.stringify(encode(topology), null, 2)}\n`;
