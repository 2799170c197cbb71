// SPDX-License-Identifier: GPL-2.0-or-later
/* Everything of the meter that needs no QEMU. */
#define _GNU_SOURCE
#include "control.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int failures;

#define CHECK(condition)                                                              \
	do {                                                                          \
		if (!(condition)) {                                                   \
			failures++;                                                   \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
		}                                                                     \
	} while (0)

static bool parse(struct meter_options *options, char *error, const char *text)
{
	static char copy[512];
	char *argv[16], *rest = NULL;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	return meter_options_parse(options, argc, argv, error, 160);
}

#define GOOD "memory=1G:512M cpus=0:0:1 socket=/s"

static void test_options(void)
{
	static const struct {
		const char *text, *names;
	} bad[] = {
		{ "cpus=0 socket=/s", "memory=" },
		{ "memory=1G socket=/s", "cpus=" },
		{ "memory=1G cpus=0", "socket=" },
		{ "memory= cpus=0 socket=/s", "memory=:" },
		{ "memory=1G:x cpus=0 socket=/s", "memory=1G:x:" },
		{ "memory=-1 cpus=0 socket=/s", "memory=-1:" },
		{ "memory=1G:1G:1G:1G:1G:1G:1G:1G:1G cpus=0 socket=/s", "memory=" },
		{ GOOD " cpus=0:2", "vCPU 1 is on node 2 of 2" },
		{ GOOD " cpus=99", "above 7" },
		{ GOOD " ways=0", "ways=0:" },
		{ GOOD " line=48", "line=48:" },
		{ GOOD " sample=3", "sample=3:" },
		{ GOOD " sample=99999999999999999999", "sample=" },
		{ GOOD " code=12", "code=12:" },
		{ GOOD " code=20-10", "code=20-10:" },
		{ GOOD " start=maybe", "start=maybe:" },
		{ GOOD " guest=web", "guest=web:" },
		{ GOOD " cache=1K ways=16 sample=16", "cache:" },
		{ GOOD " wings=2", "no such option" },
		{ GOOD " averyveryverylongname=2", "name=value" },
		{ GOOD " lonely", "name=value" },
	};
	struct meter_options options;
	char error[160];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CHECK(!parse(&options, error, bad[i].text));
		CHECK(strstr(error, bad[i].names));
	}
	CHECK(parse(&options, error, GOOD " cache=2M ways=8 line=128 sample=16 code=1000-2000 start=on"));
	CHECK(options.nodes == 2 && options.memory[0] == 1ull << 30 &&
	      options.memory[1] == 512ull << 20);
	CHECK(options.vcpus == 3 && options.cpu_node[2] == 1);
	CHECK(options.cache_size == 2 << 20 && options.cache_ways == 8 && options.line_size == 128);
	CHECK(options.sample == 16 && options.code_low == 0x1000 && options.code_high == 0x2000);
	CHECK(options.start && !strcmp(options.socket, "/s"));
}

static void test_cache(void)
{
	struct cache cache;
	unsigned int misses = 0;

	/* One set of 4 ways: the least recently used line goes first. */
	CHECK(cache_init(&cache, 256, 4, 64));
	CHECK(cache.sets == 1);
	for (uint64_t line = 0; line < 4; line++)
		CHECK(cache_miss(&cache, line));
	CHECK(!cache_miss(&cache, 0));
	CHECK(cache_miss(&cache, 9));
	CHECK(!cache_miss(&cache, 0));
	CHECK(cache_miss(&cache, 1));
	cache_free(&cache);

	/* A sweep that is far larger than the cache misses every line of every pass. */
	CHECK(cache_init(&cache, 64 << 10, 16, 64));
	for (int pass = 0; pass < 3; pass++)
		for (uint64_t line = 0; line < 16384; line++)
			misses += cache_miss(&cache, line);
	CHECK(misses == 3 * 16384);
	/* One that is far smaller only misses cold. */
	misses = 0;
	for (int pass = 0; pass < 3; pass++)
		for (uint64_t line = 1 << 20; line < (1 << 20) + 128; line++)
			misses += cache_miss(&cache, line);
	CHECK(misses == 128);
	cache_free(&cache);
}

static void test_map(void)
{
	struct meter_options options;
	struct memory_map map;
	char error[160];

	CHECK(parse(&options, error, GOOD));
	memory_map_init(&map, &options);
	CHECK(memory_map_node(&map, 0) == 0);
	CHECK(memory_map_node(&map, (1ull << 30) - 1) == 0);
	CHECK(memory_map_node(&map, 1ull << 30) == 2);
	CHECK(memory_map_node(&map, 2ull << 30) == 1);
	CHECK(memory_map_node(&map, (2ull << 30) + (512 << 20)) == 2);
	CHECK(memory_map_node(&map, UINT64_MAX) == 2);
}

static void test_counts(void)
{
	static struct meter meter;
	struct meter_options options;
	char error[160], *text = NULL;
	size_t size = 0, sampled = 0;
	FILE *out;

	CHECK(parse(&options, error, GOOD));
	CHECK(meter_init(&meter, &options));
	CHECK(!meter.on);
	CHECK(!meter_filtered(&meter, 0, METER_LOAD, 0x1000));
	meter_count(&meter, 0, METER_LOAD, 0x1000, 2ull << 30);
	CHECK(meter_filtered(&meter, 0, METER_STORE, 0x1008));
	CHECK(!meter_filtered(&meter, 1, METER_STORE, 0x1008));
	CHECK(meter.vcpu[0].now.accesses[METER_LOAD][1] == 1);
	CHECK(meter.vcpu[0].now.misses[METER_LOAD][1] == 1);
	CHECK(meter.vcpu[0].now.accesses[METER_STORE][1] == 1);
	CHECK(meter.vcpu[0].now.misses[METER_STORE][1] == 0);
	meter_count_io(&meter, 2);
	meter_count_unresolved(&meter, 2);

	out = open_memstream(&text, &size);
	control_answer(&meter, "on", out);
	fclose(out);
	CHECK(meter.on);
	CHECK(!strcmp(text,
		      "{\"on\":true,\"sample\":1,\"line\":64,\"chosen\":null,\"vcpus\":["
		      "{\"node\":0,\"loads\":[0,1,0],\"stores\":[0,1,0],\"loadMisses\":[0,1,0],"
		      "\"storeMisses\":[0,0,0],\"io\":0,\"unresolved\":0},"
		      "{\"node\":0,\"loads\":[0,0,0],\"stores\":[0,0,0],\"loadMisses\":[0,0,0],"
		      "\"storeMisses\":[0,0,0],\"io\":0,\"unresolved\":0},"
		      "{\"node\":1,\"loads\":[0,0,0],\"stores\":[0,0,0],\"loadMisses\":[0,0,0],"
		      "\"storeMisses\":[0,0,0],\"io\":1,\"unresolved\":1}]}\n"));
	free(text);

	/* A reset starts from nothing, and empties the filter: the line may have moved. */
	meter_command(&meter, COMMAND_RESET);
	CHECK(!meter_filtered(&meter, 0, METER_LOAD, 0x1000));
	out = open_memstream(&text, &size);
	control_answer(&meter, "read", out);
	fclose(out);
	CHECK(!strstr(text, "[0,1,0]") && !strstr(text, "\"io\":1"));
	free(text);
	out = open_memstream(&text, &size);
	control_answer(&meter, "reboot", out);
	fclose(out);
	CHECK(strstr(text, "\"error\""));
	free(text);
	meter_free(&meter);

	/* A sample of 1 in 16 takes close to 1 line in 16, whole lines. */
	CHECK(parse(&options, error, GOOD " sample=16"));
	CHECK(meter_init(&meter, &options));
	for (uint64_t line = 0; line < 1 << 16; line++) {
		sampled += meter_sampled(&meter, line * 64);
		CHECK(meter_sampled(&meter, line * 64) == meter_sampled(&meter, line * 64 + 63));
	}
	CHECK(sampled > 4000 && sampled < 4200);
	meter_free(&meter);
}

static void test_guests(void)
{
	static struct guests guests;

	/* Unless one is to be chosen, all count: dom0 too. */
	guests_init(&guests, false);
	guests_next(&guests, 1, 0x1000);
	CHECK(guests_counted(&guests, 1));
	guests_enter(&guests, 1);
	CHECK(guests_counted(&guests, 1));
	guests_leave(&guests, 1);
	CHECK(guests_counted(&guests, 1));

	guests_init(&guests, true);
	CHECK(!guests_counted(&guests, 1));
	/* Nobody is chosen outside a guest. */
	CHECK(guests_choose(&guests, 1) && !guests.count);
	guests_next(&guests, 1, 0x1000);
	guests_enter(&guests, 1);
	CHECK(!guests_counted(&guests, 1));
	CHECK(guests_choose(&guests, 1));
	CHECK(guests_choose(&guests, 1) && guests.count == 1);
	CHECK(guests_counted(&guests, 1));
	guests_leave(&guests, 1);
	CHECK(!guests_counted(&guests, 1));
	/* It is followed to another CPU; the next on this one is another's. */
	guests_next(&guests, 2, 0x1000);
	guests_enter(&guests, 2);
	CHECK(guests_counted(&guests, 2));
	guests_next(&guests, 1, 0x2000);
	guests_enter(&guests, 1);
	CHECK(!guests_counted(&guests, 1));
	for (uint64_t vcpu = 1; guests.count < GUESTS_MAX_CHOSEN; vcpu++) {
		guests_next(&guests, 3, vcpu);
		guests_enter(&guests, 3);
		CHECK(guests_choose(&guests, 3));
	}
	guests_next(&guests, 3, UINT64_MAX);
	guests_enter(&guests, 3);
	CHECK(!guests_choose(&guests, 3));
	CHECK(!guests_counted(&guests, 3));
}

static void test_socket(void)
{
	static struct meter meter;
	struct meter_options options;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char error[160], path[] = "/tmp/numa-meter-XXXXXX", answer[64] = "";
	int client;

	CHECK(mkdtemp(path));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", path);
	CHECK(parse(&options, error, GOOD));
	options.socket = address.sun_path;
	CHECK(meter_init(&meter, &options));
	CHECK(!control_start(&meter));
	for (int i = 0; i < 2; i++) {
		client = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK(!connect(client, (struct sockaddr *)&address, sizeof(address)));
		CHECK(write(client, "on\n", 3) == 3);
		CHECK(read(client, answer, 10) == 10);
		CHECK(!memcmp(answer, "{\"on\":true", 10));
		close(client); /* before it has read all: only its own loss */
	}
	CHECK(control_start(&meter)); /* the path is taken */
	unlink(address.sun_path);
	rmdir(path);
	/* The serving thread lives as long as QEMU does; so does the meter. */
}

int main(void)
{
	void (*const tests[])(void) = { test_options, test_cache, test_map, test_counts,
					test_guests, test_socket };
	int failed = 0;
	const int count = (int)(sizeof(tests) / sizeof(*tests));

	for (int i = 0; i < count; i++) {
		const int before = failures;

		tests[i]();
		failed += failures != before;
	}
	printf("%d passed, %d failed, 0 skipped\n", count - failed, failed);
	return failed != 0;
}
