/**
 * One thing that `virtflex doctor` looks at.
 */
export interface Finding {
  /** What was looked at: `node`, `xen`, `journal`. */
  readonly check: string;
  /** `warn`: something does not work here, or not now; `fail`: something is broken. */
  readonly status: "ok" | "warn" | "fail";
  readonly detail: string;
  /** What to do about it. */
  readonly mend?: string;
}

export const ok = (check: string, detail: string): Finding => ({ check, status: "ok", detail });
export const warn = (check: string, detail: string, mend: string): Finding => ({
  check,
  status: "warn",
  detail,
  mend,
});
export const fail = (check: string, detail: string, mend: string): Finding => ({
  check,
  status: "fail",
  detail,
  mend,
});
