// SPDX-License-Identifier: GPL-2.0
#include <linux/bitmap.h>
#include <linux/errno.h>

#include "check.h"
#include "parse.h"

#define TEXT(s) s, sizeof(s) - 1

static void numbers(void)
{
	static const struct {
		const char *text;
		size_t len;
		int err;
		u64 value;
	} cases[] = {
		{ TEXT("0"), 0, 0 },
		{ TEXT("7"), 0, 7 },
		{ TEXT("18446744073709551615"), 0, U64_MAX },
		{ TEXT("18446744073709551616"), -ERANGE, 0 },
		{ TEXT("99999999999999999999999999"), -ERANGE, 0 },
		{ TEXT(""), -EINVAL, 0 },
		{ TEXT("00"), -EINVAL, 0 },
		{ TEXT("07"), -EINVAL, 0 },
		{ TEXT("-1"), -EINVAL, 0 },
		{ TEXT("+1"), -EINVAL, 0 },
		{ TEXT(" 1"), -EINVAL, 0 },
		{ TEXT("1 "), -EINVAL, 0 },
		{ TEXT("1\n"), -EINVAL, 0 },
		{ TEXT("1\0"), -EINVAL, 0 },
		{ TEXT("0x1"), -EINVAL, 0 },
		{ TEXT("1e3"), -EINVAL, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		u64 value = 42;
		int err = vf_parse_u64(cases[i].text, cases[i].len, &value);

		CHECK(err == cases[i].err, "%s: %d", cases[i].text, err);
		CHECK(value == (err ? 42 : cases[i].value), "%s", cases[i].text);
	}
}

static void sizes_and_nodes(void)
{
	unsigned int n = 42;
	u64 kib = 42;

	CHECK(!vf_parse_kib(TEXT("393216"), &kib) && kib == 393216);
	CHECK(!vf_parse_kib(TEXT("9007199254740991"), &kib) && kib == (1ULL << 53) - 1);
	CHECK(vf_parse_kib(TEXT("9007199254740992"), &kib) == -ERANGE);
	CHECK(kib == (1ULL << 53) - 1);

	CHECK(!vf_parse_node(TEXT("63"), &n) && n == 63);
	CHECK(vf_parse_node(TEXT("64"), &n) == -ERANGE && n == 63);
	CHECK(vf_parse_node(TEXT("4294967296"), &n) == -ERANGE && n == 63);
}

static void availability(void)
{
	bool online = false;

	CHECK(!vf_parse_availability(TEXT("online"), &online) && online);
	CHECK(vf_parse_availability(TEXT("onlin"), &online) == -EINVAL && online);
	CHECK(vf_parse_availability(TEXT("online "), &online) == -EINVAL && online);
	CHECK(vf_parse_availability(TEXT("Offline"), &online) == -EINVAL && online);
	CHECK(vf_parse_availability(TEXT(""), &online) == -EINVAL && online);
	CHECK(!vf_parse_availability(TEXT("offline"), &online) && !online);
}

static bool cpus_are(const char *text, size_t len, const char *want)
{
	unsigned long cpus[VF_CPU_LONGS];
	size_t n = strlen(want);

	memset(cpus, 0xa5, sizeof(cpus));
	if (vf_parse_cpus(text, len, cpus))
		return false;
	for (unsigned int cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
		if (test_bit(cpu, cpus) != (cpu < n && want[cpu] == '1'))
			return false;
	return true;
}

static void cpu_lists(void)
{
	static const struct {
		const char *text;
		size_t len;
		int err;
	} bad[] = {
		{ TEXT(","), -EINVAL }, { TEXT("1,"), -EINVAL }, { TEXT(",1"), -EINVAL },
		{ TEXT("1,,2"), -EINVAL }, { TEXT("2-1"), -EINVAL }, { TEXT("1-"), -EINVAL },
		{ TEXT("-1"), -EINVAL }, { TEXT("1-2-3"), -EINVAL }, { TEXT("1 2"), -EINVAL },
		{ TEXT("2,1"), -EINVAL }, { TEXT("1,1"), -EINVAL }, { TEXT("0-3,3"), -EINVAL },
		{ TEXT("1024"), -ERANGE }, { TEXT("0-1024"), -ERANGE }, { TEXT("0-\0001"), -EINVAL },
	};
	unsigned long cpus[VF_CPU_LONGS], before[VF_CPU_LONGS];

	CHECK(cpus_are(TEXT(""), ""));
	CHECK(cpus_are(TEXT("0"), "1"));
	CHECK(cpus_are(TEXT("0-1,4"), "11001"));
	CHECK(cpus_are(TEXT("3-3"), "0001"));
	CHECK(!vf_parse_cpus(TEXT("0-1023"), cpus) && test_bit(1023, cpus));

	memset(cpus, 0x5a, sizeof(cpus));
	memcpy(before, cpus, sizeof(cpus));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CHECK(vf_parse_cpus(bad[i].text, bad[i].len, cpus) == bad[i].err, "%s", bad[i].text);
		CHECK(!memcmp(cpus, before, sizeof(cpus)), "%s", bad[i].text);
	}
}

static void requests(void)
{
	static const char *const bad[] = {
		"", "1", "1 ", "1 shrink", "1 shrink ", " 1 shrink 5", "1  shrink 5", "1 shrink  5",
		"1 shrink 5 ", "1 shrink 5 6", "0 shrink 5", "1 grow 5", "1 shrinks 5", "1 Shrink 5",
		"1 shrink 0", "1 shrink 2147483648", "18446744073709551616 shrink 5", "x shrink 5",
		"1 shrink 5\n", "1\tshrink\t5",
	};
	struct vf_request r = { 0 };
	u64 id = 42;

	CHECK(!vf_parse_request(TEXT("1 shrink 5"), &r));
	CHECK(r.id == 1 && r.op == VF_OP_SHRINK && r.deadline_ms == 5);
	for (unsigned int op = 0; op < VF_OP_COUNT; op++) {
		char text[64];
		int n = snprintf(text, sizeof(text), "9007199254740991 %s 2147483647", vf_op_name(op));

		CHECK(!vf_parse_request(text, n, &r), "%s", text);
		CHECK(r.id == (1ULL << 53) - 1 && r.op == op && r.deadline_ms == 2147483647);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(vf_parse_request(bad[i], strlen(bad[i]), &r), "'%s'", bad[i]);
	CHECK(r.id == (1ULL << 53) - 1, "a bad request changes nothing");

	CHECK(!vf_parse_id(TEXT("17 nonsense"), &id) && id == 17);
	CHECK(vf_parse_id(TEXT("0 shrink 5"), &id) && id == 17);
	CHECK(vf_parse_id(TEXT("nonsense"), &id) && id == 17);
}

static void states(void)
{
	bool finished = false;
	u64 id = 0;

	CHECK(!vf_parse_state(TEXT("3 done"), &id, &finished) && id == 3 && finished);
	CHECK(!vf_parse_state(TEXT("4 failed busy"), &id, &finished) && id == 4 && finished);
	CHECK(!vf_parse_state(TEXT("5 cancelled"), &id, &finished) && id == 5 && finished);
	CHECK(!vf_parse_state(TEXT("6 resizing"), &id, &finished) && id == 6 && !finished);
	CHECK(vf_parse_state(TEXT("7"), &id, &finished) == -EINVAL && id == 6);
	CHECK(vf_parse_state(TEXT("0 done"), &id, &finished) == -ERANGE && id == 6);
}

static void acknowledgements(void)
{
	u64 generation = 42;

	CHECK(!vf_parse_generation(TEXT("3"), &generation) && generation == 3);
	CHECK(!vf_parse_generation(TEXT("4\n"), &generation) && generation == 4);
	CHECK(vf_parse_generation(TEXT("4\n\n"), &generation) == -EINVAL);
	CHECK(vf_parse_generation(TEXT("\n"), &generation) == -EINVAL);
	CHECK(vf_parse_generation(TEXT(""), &generation) == -EINVAL);
	CHECK(generation == 4);
}

int main(void)
{
	numbers();
	sizes_and_nodes();
	availability();
	cpu_lists();
	requests();
	states();
	acknowledgements();
	return passed();
}
