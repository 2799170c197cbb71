// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Virtual addresses below this are a program's own on x86-64. */
#define USER_END (1ull << 47)

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* A number, with K, M or G behind it; *end is what follows. */
static bool parse_size(const char *text, const char **end, uint64_t *value)
{
	char *after;
	unsigned int shift = 0;

	if (*text < '0' || *text > '9')
		return false;
	*value = strtoull(text, &after, 10);
	switch (*after) {
	case 'K':
		shift = 10;
		break;
	case 'M':
		shift = 20;
		break;
	case 'G':
		shift = 30;
		break;
	}
	if (*value > UINT64_MAX >> shift)
		return false;
	*value <<= shift;
	*end = after + (shift ? 1 : 0);
	return true;
}

static bool parse_one(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
	const char *end;

	return parse_size(text, &end, value) && !*end && *value >= low && *value <= high;
}

/* A colon-separated list; returns its length, 0 for a bad one. */
static unsigned int parse_list(const char *text, uint64_t *values, unsigned int limit)
{
	unsigned int n = 0;

	for (;;) {
		if (n == limit || !parse_size(text, &text, &values[n]))
			return 0;
		n++;
		if (!*text)
			return n;
		if (*text++ != ':')
			return 0;
	}
}

static bool parse_code(const char *text, uint64_t *low, uint64_t *high)
{
	char *end;

	if (!strcmp(text, "user")) {
		*low = 0;
		*high = USER_END;
		return true;
	}
	if (!strcmp(text, "all")) {
		*low = 0;
		*high = UINT64_MAX;
		return true;
	}
	*low = strtoull(text, &end, 16);
	if (end == text || *end != '-')
		return false;
	text = end + 1;
	*high = strtoull(text, &end, 16);
	return end != text && !*end && *low < *high;
}

/* The rule that the value broke, or NULL. */
static const char *set(struct meter_options *o, const char *name, const char *value)
{
	uint64_t n = 0, list[METER_MAX_VCPUS];

	if (!strcmp(name, "memory")) {
		o->nodes = parse_list(value, o->memory, METER_MAX_NODES);
		return o->nodes ? NULL : "1 to 8 sizes, as in 2G:2G";
	}
	if (!strcmp(name, "cpus")) {
		o->vcpus = parse_list(value, list, METER_MAX_VCPUS);
		for (unsigned int i = 0; i < o->vcpus; i++) {
			if (list[i] >= METER_MAX_NODES)
				return "a node of the list is above 7";
			o->cpu_node[i] = (unsigned int)list[i];
		}
		return o->vcpus ? NULL : "1 to 64 node numbers, as in 0:0:1:1";
	}
	if (!strcmp(name, "socket")) {
		o->socket = value;
		return *value ? NULL : "a path";
	}
	if (!strcmp(name, "cache"))
		return parse_one(value, 1, 1ull << 32, &o->cache_size) ? NULL : "a size up to 4G";
	if (!strcmp(name, "ways")) {
		if (!parse_one(value, 1, 64, &n))
			return "1 to 64";
		o->cache_ways = (unsigned int)n;
		return NULL;
	}
	if (!strcmp(name, "line")) {
		if (!parse_one(value, 16, 4096, &n) || !is_power_of_two(n))
			return "a power of two from 16 to 4096";
		o->line_size = (unsigned int)n;
		return NULL;
	}
	if (!strcmp(name, "sample")) {
		if (!parse_one(value, 1, 1024, &n) || !is_power_of_two(n))
			return "a power of two from 1 to 1024";
		o->sample = (unsigned int)n;
		return NULL;
	}
	if (!strcmp(name, "code"))
		return parse_code(value, &o->code_low, &o->code_high) ?
			       NULL : "user, all, or LOW-HIGH in hexadecimal";
	if (!strcmp(name, "guest")) {
		o->chosen_only = !strcmp(value, "chosen");
		return o->chosen_only || !strcmp(value, "all") ? NULL : "all or chosen";
	}
	if (!strcmp(name, "start")) {
		o->start = !strcmp(value, "on");
		return o->start || !strcmp(value, "off") ? NULL : "on or off";
	}
	return "no such option";
}

bool meter_options_parse(struct meter_options *options, int argc, char **argv,
			 char *error, size_t error_size)
{
	*options = (struct meter_options){
		.cache_size = 1 << 20,
		.cache_ways = 16,
		.line_size = 64,
		.sample = 1,
		.code_high = USER_END,
	};
	for (int i = 0; i < argc; i++) {
		char name[16] = "";
		const char *equals = strchr(argv[i], '=');
		const char *rule = "name=value is needed";

		if (equals && (size_t)(equals - argv[i]) < sizeof(name)) {
			memcpy(name, argv[i], (size_t)(equals - argv[i]));
			rule = set(options, name, equals + 1);
		}
		if (rule) {
			snprintf(error, error_size, "%s: %s", argv[i], rule);
			return false;
		}
	}
	if (!options->nodes || !options->vcpus || !options->socket) {
		snprintf(error, error_size, "memory=, cpus= and socket= are needed");
		return false;
	}
	for (unsigned int i = 0; i < options->vcpus; i++) {
		if (options->cpu_node[i] >= options->nodes) {
			snprintf(error, error_size, "cpus: vCPU %u is on node %u of %u",
				 i, options->cpu_node[i], options->nodes);
			return false;
		}
	}
	if (options->cache_size / options->sample <
	    (uint64_t)options->cache_ways * options->line_size) {
		snprintf(error, error_size,
			 "cache: less than one set of %u ways for a sample of 1 in %u",
			 options->cache_ways, options->sample);
		return false;
	}
	return true;
}
