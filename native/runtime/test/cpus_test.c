/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/cpus.h"

#include <string.h>

#include "check.h"
#include "fake.h"

static void members(void)
{
	struct vfrt_cpus set = { 0 };

	CHECK(vfrt_cpus_empty(&set));
	vfrt_cpus_add(&set, 0);
	vfrt_cpus_add(&set, 64);
	vfrt_cpus_add(&set, 1023);
	vfrt_cpus_add(&set, 1024);
	CHECK(vfrt_cpus_count(&set) == 3);
	CHECK(vfrt_cpus_next(&set, 0) == 0 && vfrt_cpus_next(&set, 1) == 64);
	CHECK(vfrt_cpus_next(&set, 65) == 1023 && vfrt_cpus_next(&set, 1024) == 1024);
	CHECK(vfrt_cpus_has(&set, 1023) && !vfrt_cpus_has(&set, 1024) && !vfrt_cpus_has(&set, ~0u));
	vfrt_cpus_remove(&set, 64);
	CHECK(vfrt_cpus_count(&set) == 2);
}

static void lists(void)
{
	static const char *const bad[] = { "a", "1-", "-1", "3-2", "1;2", "1 2", "1-2-3", " 1" };
	struct vfrt_cpus set;
	char text[32];

	CHECK(vfrt_cpus_parse_list(&set, "0-3,8,1000-2000\n") && vfrt_cpus_count(&set) == 29);
	CHECK(vfrt_cpus_parse_list(&set, "\n") && vfrt_cpus_empty(&set));
	CHECK(vfrt_cpus_parse_list(&set, "5-18446744073709551615") && vfrt_cpus_has(&set, 1023));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(!vfrt_cpus_parse_list(&set, bad[i]) && vfrt_cpus_empty(&set));

	set = fake_cpus("0-3,8,1023");
	vfrt_cpus_format(&set, text, sizeof text);
	CHECK(strcmp(text, "0-3,8,1023") == 0);
	vfrt_cpus_format(&set, text, 8);
	CHECK(strlen(text) == 7 && strcmp(text + 4, "...") == 0);
	set = (struct vfrt_cpus){ 0 };
	vfrt_cpus_format(&set, text, sizeof text);
	CHECK(strcmp(text, "") == 0);
}

static void masks(void)
{
	struct vfrt_cpus set, expected;

	expected = fake_cpus("0-3");
	CHECK(vfrt_cpus_parse_mask(&set, "f\n") && vfrt_cpus_equal(&set, &expected));
	expected = fake_cpus("0-31,33");
	CHECK(vfrt_cpus_parse_mask(&set, "2,ffffFFFF") && vfrt_cpus_equal(&set, &expected));
	CHECK(!vfrt_cpus_parse_mask(&set, "\n") && !vfrt_cpus_parse_mask(&set, "0x1"));
}

int main(void)
{
	members();
	lists();
	masks();
	return 0;
}
