/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VFRT_LOG_H
#define VFRT_LOG_H

/* VIRTFLEX_VERBOSE: set, and neither empty nor "0". */
void vfrt_log_start(void);

/* One line, "virtflex[pid]: ...", by a single write. */
void vfrt_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
