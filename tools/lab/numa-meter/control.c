// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static pthread_mutex_t command_lock = PTHREAD_MUTEX_INITIALIZER;

void meter_command(struct meter *meter, enum meter_command command)
{
	pthread_mutex_lock(&command_lock);
	if (command == COMMAND_RESET)
		meter_reset(meter);
	else if (command == COMMAND_ON || command == COMMAND_OFF)
		meter->on = command == COMMAND_ON;
	pthread_mutex_unlock(&command_lock);
}

void control_answer(struct meter *meter, const char *line, FILE *out)
{
	static const char *const names[COMMANDS] = { "read", "reset", "on", "off" };

	for (int i = 0; i < COMMANDS; i++) {
		if (strcmp(line, names[i]))
			continue;
		meter_command(meter, (enum meter_command)i);
		meter_print(meter, out);
		return;
	}
	fputs("{\"error\":\"no such command: read, reset, on or off\"}\n", out);
}

static void serve(struct meter *meter, int connection)
{
	char line[64];
	const int copy = dup(connection);
	FILE *in = fdopen(connection, "r");
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");

	while (in && out && fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\r\n")] = '\0';
		control_answer(meter, line, out);
		if (fflush(out))
			break;
	}
	if (in)
		fclose(in);
	else
		close(connection);
	if (out)
		fclose(out);
	else if (copy >= 0)
		close(copy);
}

struct server {
	struct meter *meter;
	int listener;
};

static void *serve_all(void *argument)
{
	const struct server *server = argument;

	for (;;) {
		int connection = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

		if (connection >= 0)
			serve(server->meter, connection);
	}
	return NULL;
}

int control_start(struct meter *meter)
{
	static struct server server;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	sigset_t all, before;
	pthread_t thread;
	int rc;

	if (strlen(meter->options.socket) >= sizeof(address.sun_path))
		return ENAMETOOLONG;
	strcpy(address.sun_path, meter->options.socket);
	server.meter = meter;
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server.listener < 0)
		return errno;
	if (bind(server.listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(server.listener, 4)) {
		rc = errno;
		close(server.listener);
		return rc;
	}
	/* QEMU's own threads take its signals. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, serve_all, &server);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		close(server.listener);
	return rc;
}
