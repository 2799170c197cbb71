/**
 * Under which OpenMP runtime a program of the guest runs.
 *
 * @since 0.1.0
 */

/** What a shell must have done before, and the environment. @since 0.1.0 */
export interface Runtime {
  readonly prepare: string;
  readonly environment: ReadonlyArray<string>;
}

/** The adapting libgomp, and LLVM's libomp with our OMPT tool; what GCC has compiled runs on libomp under libgomp's name. @since 0.1.0 */
export const runtimes = {
  libgomp: { prepare: ":", environment: ["LD_LIBRARY_PATH=/opt/virtflex/lib"] },
  libomp: {
    prepare:
      "mkdir -p /run/libomp; ln -sf /usr/lib/x86_64-linux-gnu/libomp.so.5 /run/libomp/libgomp.so.1",
    environment: [
      "LD_LIBRARY_PATH=/run/libomp",
      "OMP_TOOL_LIBRARIES=/opt/virtflex/lib/libvirtflex-ompt.so",
    ],
  },
} satisfies Record<string, Runtime>;
