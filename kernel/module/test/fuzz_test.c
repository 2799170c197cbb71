// SPDX-License-Identifier: GPL-2.0
/*
 * Random and mutated values through every parser, from buffers of exactly
 * their length so that AddressSanitizer sees a byte read too many. What a
 * parser accepts must be what a printer makes of the result; what it refuses
 * must leave the result alone.
 *
 *   fuzz_test [INPUTS [SEED]]
 */
#include <linux/bitmap.h>
#include <inttypes.h>

#include "check.h"
#include "parse.h"

static u64 state;
static unsigned long accepted;

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators" */
static u64 draw(u64 limit)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1dULL >> 16) % limit;
}

static const char *const seeds[] = {
	"1", "0", "18446744073709551615", "18446744073709551616", "393216", "9007199254740991",
	"online", "offline", "0-6,28-34", "0-1023", "1,2,3", "1 shrink 30000", "2 expand 1",
	"3 rehome 2147483647", "18446744073709551615 cancel 7", "4 resize 5", "5 done",
	"6 failed no-memory", "7 cancelled", "8 resizing", "12\n", "",
};

static size_t make(char *text, size_t room)
{
	static const char alphabet[] = "0123456789-, \nonlinefshrkcadqz";
	size_t len;

	if (draw(4) == 0) {
		len = draw(room);
		for (size_t i = 0; i < len; i++)
			text[i] = draw(2) ? (char)draw(256) : alphabet[draw(sizeof(alphabet) - 1)];
		return len;
	}

	const char *seed = seeds[draw(sizeof(seeds) / sizeof(*seeds))];

	len = strlen(seed);
	memcpy(text, seed, len);
	for (u64 n = draw(4); n; n--) {
		size_t at = draw(len + 1);

		switch (draw(4)) {
		case 0: /* insert */
			if (len + 1 < room) {
				memmove(text + at + 1, text + at, len - at);
				text[at] = alphabet[draw(sizeof(alphabet) - 1)];
				len++;
			}
			break;
		case 1: /* remove */
			if (at < len) {
				memmove(text + at, text + at + 1, len - at - 1);
				len--;
			}
			break;
		case 2: /* change */
			if (at < len)
				text[at] = draw(8) ? alphabet[draw(sizeof(alphabet) - 1)] : (char)draw(256);
			break;
		default: /* truncate */
			len = at;
		}
	}
	return len;
}

static bool same(const char *s, size_t len, const char *printed)
{
	return len == strlen(printed) && !memcmp(s, printed, len);
}

static void numbers(const char *s, size_t len)
{
	u64 v = 0xdead, id = 0xdead, kib = 0xdead, generation = 0xdead;
	unsigned int node = 0xdead;
	char printed[32];

	if (!vf_parse_u64(s, len, &v)) {
		snprintf(printed, sizeof(printed), "%" PRIu64, v);
		CHECK(same(s, len, printed));
		accepted++;
	} else {
		CHECK(v == 0xdead);
	}

	CHECK(vf_parse_kib(s, len, &kib) ? kib == 0xdead : kib == v && kib < 1ULL << 53);
	CHECK(vf_parse_node(s, len, &node) ? node == 0xdead : node == v && node < 64);
	CHECK(vf_parse_id(s, len, &id) ? id == 0xdead : id != 0);
	if (vf_parse_generation(s, len, &generation))
		CHECK(generation == 0xdead);
}

static void words(const char *s, size_t len)
{
	bool online = false, finished;
	u64 id = 0xdead;

	if (!vf_parse_availability(s, len, &online))
		CHECK(same(s, len, online ? "online" : "offline"));
	else
		CHECK(!online);

	if (vf_parse_state(s, len, &id, &finished))
		CHECK(id == 0xdead);
}

static void cpus(const char *s, size_t len)
{
	unsigned long map[VF_CPU_LONGS + 1], before[VF_CPU_LONGS + 1];
	unsigned int cpu, first, last, runs = 0;
	unsigned long numbers = 0;

	memset(map, 0x3c, sizeof(map));
	memcpy(before, map, sizeof(map));
	if (vf_parse_cpus(s, len, map)) {
		CHECK(!memcmp(map, before, sizeof(map)));
		return;
	}
	CHECK(map[VF_CPU_LONGS] == before[VF_CPU_LONGS]);

	/* Every CPU of the map is named by the text, and the other way round. */
	for (size_t i = 0; i < len;) {
		char *end;

		first = strtoul(s + i, &end, 10);
		last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
		for (cpu = first; cpu <= last; cpu++) {
			CHECK(test_bit(cpu, map));
			numbers++;
		}
		runs++;
		i = end - s + 1;
	}
	for (cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
		numbers -= test_bit(cpu, map);
	CHECK(!numbers);
	accepted += runs > 0;
}

static void requests(const char *s, size_t len)
{
	struct vf_request r = { .id = 0xdead }, before = r;
	char printed[64];

	if (vf_parse_request(s, len, &r)) {
		CHECK(!memcmp(&r, &before, sizeof(r)));
		return;
	}
	snprintf(printed, sizeof(printed), "%" PRIu64 " %s %u", r.id, vf_op_name(r.op),
		 r.deadline_ms);
	CHECK(same(s, len, printed));
	accepted++;
}

int main(int argc, char **argv)
{
	unsigned long inputs = argc > 1 ? strtoul(argv[1], NULL, 10) : 300000;
	char text[4097];

	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 20260101;
	for (unsigned long i = 0; i < inputs; i++) {
		size_t len = make(text, i % 1000 ? 64 : sizeof(text) - 1);
		char *exact = malloc(len + 1);

		memcpy(exact, text, len);
		/* cpus() reads the number behind the last digit: end the text there. */
		exact[len] = '\0';
		cpus(exact, len);
		exact = realloc(exact, len ? len : 1);
		numbers(exact, len);
		words(exact, len);
		requests(exact, len);
		free(exact);
	}
	CHECK(accepted > inputs / 100, "only %lu of %lu inputs made sense", accepted, inputs);
	return passed();
}
