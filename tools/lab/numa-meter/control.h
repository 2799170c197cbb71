/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands from the host, over a Unix socket: a line in, a line of JSON out.
 * "read", "reset", "on" and "off"; anything else answers {"error":...}.
 */
#ifndef NUMA_METER_CONTROL_H
#define NUMA_METER_CONTROL_H

#include "meter.h"

enum meter_command { COMMAND_READ, COMMAND_RESET, COMMAND_ON, COMMAND_OFF, COMMANDS };

/* Carries a command out, one at a time whoever calls. */
void meter_command(struct meter *meter, enum meter_command command);

/* Starts the thread that serves meter->options.socket; 0 or an errno. */
int control_start(struct meter *meter);

/* Answers one line (exposed for the tests). */
void control_answer(struct meter *meter, const char *line, FILE *out);

#endif
