import { NumaKeys } from "@virtflex/topo-model";
import { Schema } from "effect";

/** Why a request can't be done, as `numa/status/state` says it. */
export class RequestFailed extends Schema.TaggedError<RequestFailed>()("RequestFailed", {
  reason: NumaKeys.FailureCode,
  detail: Schema.String,
}) {
  override get message(): string {
    return `${this.reason}: ${this.detail}`;
  }
}
