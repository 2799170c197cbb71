/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/places.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "fake.h"

static char sysfs[128];
static struct virtflex_topology_page page;

/* The places of text on the allowed CPUs, as "0-1 2-3", or "error". */
static const char *build(enum vfrt_places_syntax syntax, const char *text, const char *allowed)
{
	static char result[16384];
	struct vfrt_cpus cpus = fake_cpus(allowed);
	struct vfrt_places places = { 0 };
	size_t used = 0;
	int rc = vfrt_places_build(&places, syntax, text, &cpus, &page, sysfs);

	if (rc < 0) {
		CHECK(rc == -EINVAL && places.count == 0 && !places.place);
		return "error";
	}
	CHECK(places.count > 0);
	for (unsigned i = 0; i < places.count; i++) {
		char list[256];

		vfrt_cpus_format(&places.place[i], list, sizeof list);
		used += (size_t)snprintf(result + used, sizeof result - used, "%s%s", i ? " " : "",
					 list);
	}
	vfrt_places_free(&places);
	return result;
}

#define PLACES(text, allowed, expected) \
	CHECK(strcmp(build(VFRT_PLACES_OMP, text, allowed), expected) == 0)
#define AFFINITY(text, allowed, expected) \
	CHECK(strcmp(build(VFRT_PLACES_GOMP_CPU_AFFINITY, text, allowed), expected) == 0)

/* 16 CPUs: 2 a core, 4 a cache, 8 a socket, 4 a node. */
static void named(void)
{
	PLACES("threads", "0-5", "0 1 2 3 4 5");
	PLACES("Threads(3)", "0-5", "0 1 2");
	PLACES("cores", "0-5", "0-1 2-3 4-5");
	PLACES("cores", "1-4", "1 2-3 4");
	PLACES(" cores ( 2 ) ", "0-15", "0-1 2-3");
	PLACES("sockets", "0-15", "0-7 8-15");
	PLACES("sockets", "6-9", "6-7 8-9");
	PLACES("ll_caches", "0-15", "0-3 4-7 8-11 12-15");
	PLACES("numa_domains", "0-15", "0-3 4-7 8-11 12-15");
	PLACES("numa_domains(2)", "5-15", "5-7 8-11");
	PLACES("numa_domains(9)", "0,15", "0 15");
	/* CPUs that sysfs doesn't know: each by itself. */
	PLACES("cores", "14-17", "14-15 16 17");

	PLACES("cores(0)", "0-3", "error");
	PLACES("cores(-1)", "0-3", "error");
	PLACES("cores(2", "0-3", "error");
	PLACES("cores(2)x", "0-3", "error");
	PLACES("coresx", "0-3", "error");
	PLACES("nodes", "0-3", "error");
	PLACES("", "0-3", "error");
}

/* The page tells the nodes, not the kernel. */
static void domains_move(void)
{
	struct virtflex_topology_page before = page;

	for (unsigned cpu = 0; cpu < 16; cpu++)
		page.cpu_node[cpu] = cpu % 2;
	PLACES("numa_domains", "0-5", "0,2,4 1,3,5");
	page = before;
}

static void explicit(void)
{
	PLACES("{0,1},{2,3}", "0-15", "0-1 2-3");
	PLACES("{0:2}:3:4", "0-15", "0-1 4-5 8-9");
	PLACES("{0:4:2},{1:4:2}", "0-15", "0,2,4,6 1,3,5,7");
	PLACES("{7:3:-2}", "0-15", "3,5,7");
	PLACES("{8}:3:-4", "0-15", "8 4 0");
	PLACES("0,3,1", "0-15", "0 3 1");
	PLACES("0:4", "0-15", "0 1 2 3");
	PLACES(" { 0 , 1 } : 2 : 2 , { 9 } ", "0-15", "0-1 2-3 9");
	PLACES("{0:8,!3}", "0-15", "0-2,4-7");
	PLACES("{!3,0:8}", "0-15", "0-2,4-7");
	PLACES("{0}:4,!{2}", "0-15", "0 1 3");
	/* Only what is allowed; then what was asked for again. */
	PLACES("{0,1},{2,3}", "1-2", "1 2");
	PLACES("{0,1},{2,3}", "0-1", "0-1");
	PLACES("{2},{3}", "0-1", "0-1");
	PLACES("{1023}", "1023", "1023");

	PLACES("{}", "0-3", "error");
	PLACES("{0", "0-3", "error");
	PLACES("{0}}", "0-3", "error");
	PLACES("{0},", "0-3", "error");
	PLACES("{0};{1}", "0-3", "error");
	PLACES("{-1}", "0-3", "error");
	PLACES("{0:0}", "0-3", "error");
	PLACES("{0}:0", "0-3", "error");
	PLACES("{1024}", "0-3", "error");
	PLACES("{1000:30}", "0-3", "error");
	PLACES("{1}:3:-1", "0-3", "error");
	PLACES("{0}:99999999999999999999", "0-3", "error");
	PLACES("{0:2:99999999999999999999}", "0-3", "error");
	PLACES("{0}:65535:0,{0}:65535:0", "0-3", "error");
	PLACES("{!0}", "0-3", "error");
	PLACES("!{0}", "0-3", "error");
	PLACES("{0},!{1}", "0-3", "error");
	PLACES("{0},!{0}", "0-3", "error");
	PLACES("{0},!{0}:2", "0-3", "error");
}

static void cpu_affinity(void)
{
	AFFINITY("0 3 1-2 4-15:2", "0-15", "0 3 1 2 4 6 8 10 12 14");
	AFFINITY("0,3,1-2", "0-1", "0 1");
	AFFINITY("2 3", "0-1", "0-1");
	AFFINITY("1020-1030", "0-1023", "1020 1021 1022 1023");
	AFFINITY("", "0-1", "error");
	AFFINITY("x", "0-1", "error");
	AFFINITY("3-1", "0-1", "error");
	AFFINITY("0-3:0", "0-1", "error");
	AFFINITY("99999", "0-1", "error");
}

/* 1,024 CPUs in 64 nodes. */
static void large(void)
{
	struct virtflex_topology_page wide = fake_page(64, 1024);
	struct vfrt_cpus all = fake_cpus("0-1023");
	struct vfrt_places places;

	CHECK(vfrt_places_build(&places, VFRT_PLACES_OMP, "numa_domains", &all, &wide, sysfs) == 0);
	CHECK(places.count == 64 && vfrt_cpus_count(&places.place[63]) == 16);
	CHECK(vfrt_cpus_next(&places.place[63], 0) == 1008);
	vfrt_places_free(&places);
	CHECK(vfrt_places_build(&places, VFRT_PLACES_OMP, "threads", &all, &wide, sysfs) == 0);
	CHECK(places.count == 1024);
	vfrt_places_free(&places);
	CHECK(vfrt_places_build(&places, VFRT_PLACES_OMP, "{0:16}:64:16", &all, &wide, sysfs) == 0);
	CHECK(places.count == 64 && vfrt_cpus_has(&places.place[63], 1023));
	vfrt_places_free(&places);
}

int main(void)
{
	snprintf(sysfs, sizeof sysfs, "%s/sys", fake_directory());
	fake_sysfs(16, 2, 4, 8);
	page = fake_page(4, 16);
	named();
	domains_move();
	explicit();
	cpu_affinity();
	large();
	return 0;
}
