/**
 * The guest's side: the topology page and who reads it, the registry of
 * runtimes, and the agent that serves the host's requests.
 *
 * @since 0.1.0
 */
export * as Agent from "./Agent.ts";
export * from "./AgentError.ts";
export * from "./AgentFault.ts";
export * from "./Balloon.ts";
export { GuestStore, type PortFailure } from "./GuestStore.ts";
export * from "./PageError.ts";
export * from "./PagePublisher.ts";
export * from "./PageReader.ts";
export * from "./RuntimeRegistry.ts";
export {
  decode,
  encode,
  PageInvalid,
  PageNode,
  PublishedPage,
  sameForRuntimes,
  TopologyPage,
} from "./TopologyPage.ts";
export * from "./Vcpus.ts";
