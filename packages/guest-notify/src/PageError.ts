/**
 * Why a topology page can't be published or read.
 *
 * @since 0.1.0
 */
import { Schema } from "effect";

/**
 * | reason | meaning |
 * |---|---|
 * | `absent` | there is no such file |
 * | `not-a-page` | a file that is no topology page of this ABI; it is left as it is |
 * | `insecure` | somebody else could write to it |
 * | `published-elsewhere` | another process publishes it |
 * | `unpublished` | a page in which nothing was published yet |
 * | `busy` | it is being written; or its publisher died in mid-write, and none came after it |
 * | `invalid` | a field of it breaks the ABI; `detail` names field and rule |
 * | `gone` | the publisher's directory, or the kernel module, went away |
 * | `io` | the system refused; `detail` holds its words |
 *
 * @since 0.1.0
 */
export const PageReason = Schema.Literals([
  "absent",
  "not-a-page",
  "insecure",
  "published-elsewhere",
  "unpublished",
  "busy",
  "invalid",
  "gone",
  "io",
]);
export type PageReason = typeof PageReason.Type;

/** @since 0.1.0 */
export class PageError extends Schema.TaggedError<PageError>()("PageError", {
  path: Schema.String,
  reason: PageReason,
  detail: Schema.String,
}) {
  /** A stable code for machines, such as `PAGE_NOT_A_PAGE`. */
  get code(): string {
    return `PAGE_${this.reason.replaceAll("-", "_").toUpperCase()}`;
  }
  override get message(): string {
    return `Topology page ${this.path}: ${this.detail}`;
  }
}
