/* SPDX-License-Identifier: GPL-2.0 */
/* What a test may ask of the fake kernel and hypervisor, and of faults. */
#ifndef FAKE_H
#define FAKE_H

#include "virtflex.h"

#define FAKE_SUPERS 24
#define FAKE_PAGES (FAKE_SUPERS * VF_SUPER_PAGES)

extern struct page fake_pages[FAKE_PAGES];

/* Memory that the pnode has left, in pieces of each kind. */
extern long fake_free_supers, fake_free_smalls;
/* The release of this many pages succeeds, then one fails. -1: none does. */
extern long fake_fail_after;
/* Microseconds that Xen needs for one page, and more for a superpage. */
extern u64 fake_page_us, fake_super_us, fake_small_us;
extern unsigned int fake_starved_calls;
/* vf_request_stop() says go on this often, then stop. -1: always go on. */
extern long fake_stop_after;
extern u64 fake_longest_us, fake_slept_ms;
extern unsigned long fake_handed_over;
extern unsigned int fake_flags;

void fake_reset(void);
struct page *fake_alloc(unsigned int order);
void fake_keep(struct page *page);
void fake_check(const struct vf_node *node);

#endif
