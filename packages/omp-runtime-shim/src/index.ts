/**
 * Launch an unmodified OpenMP program under an adapting runtime, and watch it adapt.
 *
 * @since 0.1.0
 */
export { locateLibgomp } from "./AdaptingLibgomp.ts";
export * from "./LaunchError.ts";
export * from "./OmpProgram.ts";
export { locateOmptTool } from "./OmptTool.ts";
export {
  Acknowledgements,
  ProcessGone,
  type ProcessReport,
  type ThreadReport,
  threadsOf,
  watchProcess,
} from "./ProcessWatch.ts";
