/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests share: handles, domains without vCPUs running, memory of them, and the figures that Xen keeps.
 *
 * A test is a function.  It calls CHECK(), which counts, and does not stop.  SKIP() needs a reason, and is counted too: it is not a pass.
 */
#ifndef VIRTFLEX_XEN_TESTS_HARNESS_H
#define VIRTFLEX_XEN_TESTS_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>

#define MAX_NODES 64
#define SUPERPAGE_ORDER 9
#define SUPERPAGE_PAGES (1ul << SUPERPAGE_ORDER)
#define GIGAPAGE_ORDER 18
#define GIGAPAGE_PAGES (1ul << GIGAPAGE_ORDER)

extern xc_interface *xch;
extern xenforeignmemory_handle *fh;

/* Opens the handles; exits with status 2 where there is no Xen. */
void harness_open(void);
/* Prints the totals; the exit status: 0 only if something passed and nothing failed. */
int harness_result(void);

void check(bool ok, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
#define CHECK(cond, fmt, ...) check(cond, __FILE__, __LINE__, "%s: " fmt, #cond, ##__VA_ARGS__)
/* For two figures that have to be equal; both are printed when they are not. */
#define CHECK_EQ(a, b)                                                                                  \
	do {                                                                                            \
		long long a_ = (a), b_ = (b);                                                           \
		check(a_ == b_, __FILE__, __LINE__, "%s is %lld, %s is %lld", #a, a_, #b, b_);          \
	} while (0)
void skip(const char *test, const char *why);
void start(const char *test);

/* An HVM domain with HAP and no vCPU running, able to have max_pages. Exits on failure: no test makes sense without. */
uint32_t domain_create(unsigned long max_pages);
/* Returns when all of its memory is free again: Xen frees some of it a while after the call. */
void domain_destroy(uint32_t domid);
/* Waits until the figures of free memory stand still. */
void settle(void);
/* Pages that the domain has, without the extra ones. */
long domain_pages(uint32_t domid);

/* All return the number of extents done, or -1. */
int populate(uint32_t domid, xen_pfn_t gfn, unsigned int order, unsigned int nr, int node);
int release(uint32_t domid, xen_pfn_t gfn, unsigned int order, unsigned int nr);

/* Free pages of each node; the number of nodes. */
unsigned int node_free(long free_pages[MAX_NODES]);
long node_free_of(unsigned int node);

/*
 * Runs a test, and checks that the host has as much free memory afterwards as before. Where it hasn't, the test runs again, three times in
 * all: a leak takes memory each time. Xen keeps some for dom0 the first time that it is needed, as a page of each vCPU for the grants that it maps.
 */
void run(void (*test)(void));

/*
 * Destroys a domain while another process does work() to it, again and again until that returns false, and checks that it did so at least
 * once. Rounds are counted from 1. work() exits with status 1 where it ends as it shouldn't.
 */
void destroy_during(uint32_t domid, bool (*work)(uint32_t domid, unsigned int round));

/* NULL if there is no such page. */
void *map_page(uint32_t domid, xen_pfn_t gfn);
void unmap_page(void *page);

/* Value of one of Xen's performance counters since the last reset; -1 if this Xen has none. */
long counter(const char *name);
void counters_reset(void);

#endif
