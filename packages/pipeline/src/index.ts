/**
 * Applies plans: hypervisor, guest, runtime, and back when something fails.
 *
 * @since 0.1.0
 */
export { adopt, NotAdoptable } from "./Adopt.ts";
export * from "./Apply.ts";
export * from "./ChangeError.ts";
export * from "./Controller.ts";
export { createGuest } from "./CreateGuest.ts";
export * from "./GuestConfig.ts";
export * from "./Progress.ts";
export { openChanges, prepare, recover, type Recovered } from "./Recover.ts";
export type { OnProgress } from "./Reporter.ts";
export type { UndoLimits } from "./Rollback.ts";
export * from "./Survey.ts";
export { XlFailed } from "./Xl.ts";
