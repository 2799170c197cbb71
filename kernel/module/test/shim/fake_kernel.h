/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of Linux and Xen as balloon.c sees: page frames with reference
 * counts and flags, and a hypervisor that knows which of them have memory.
 * fake.c checks every use: a page freed twice, or freed with no memory behind
 * it, ends the test.
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/types.h>
#include <stdlib.h>

#define PAGE_SIZE 4096UL
#define KBUILD_MODNAME "virtflex"
#define __printf(a, b) __attribute__((format(printf, a, b)))
#define READ_ONCE(x) (x)

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD(name) struct list_head name = { &(name), &(name) }

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list;
	list->prev = list;
}

static inline void list_add_tail(struct list_head *entry, struct list_head *list)
{
	entry->prev = list->prev;
	entry->next = list;
	list->prev->next = entry;
	list->prev = entry;
}

static inline void list_del(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->next = NULL;
	entry->prev = NULL;
}

static inline bool list_empty(const struct list_head *list)
{
	return list->next == list;
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first_entry(list, type, member) list_entry((list)->next, type, member)
#define list_first_entry_or_null(list, type, member) \
	(list_empty(list) ? NULL : list_first_entry(list, type, member))
#define list_for_each_entry(pos, list, member) \
	for (pos = list_first_entry(list, __typeof__(*pos), member); &pos->member != (list); \
	     pos = list_first_entry(&pos->member, __typeof__(*pos), member))
#define list_for_each_entry_safe(pos, n, list, member) \
	for (pos = list_first_entry(list, __typeof__(*pos), member), \
	     n = list_first_entry(&pos->member, __typeof__(*pos), member); \
	     &pos->member != (list); \
	     pos = n, n = list_first_entry(&n->member, __typeof__(*n), member))

typedef struct { bool held; } spinlock_t;
#define spin_lock_init(lock) ((void)((lock)->held = false))
void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);

typedef s64 ktime_t;
ktime_t ktime_get(void);
#define ktime_us_delta(later, earlier) ((later) - (earlier))
void msleep(unsigned int ms);
#define cond_resched() ((void)0)

struct page {
	struct list_head lru;
	int refs;
	bool offline, free, backed, dirty;
};

unsigned long page_to_pfn(const struct page *page);
void __SetPageOffline(struct page *page);
void __ClearPageOffline(struct page *page);
#define page_offline_begin() ((void)0)
#define page_offline_end() ((void)0)
void adjust_managed_page_count(struct page *page, long pages);
void clear_highpage(struct page *page);
#define want_init_on_alloc(flags) false
void __free_pages(struct page *page, unsigned int order);
#define __free_page(page) __free_pages(page, 0)
void split_page(struct page *page, unsigned int order);

typedef unsigned long xen_pfn_t;
#define DOMID_SELF 0x7ff0
#define XENMEM_decrease_reservation 1
#define XENMEM_populate_physmap 6
#define HVMOP_get_mem_type 15
#define HVMMEM_mmio_dm 2
#define set_xen_guest_handle(handle, value) ((handle) = (value))

struct xen_memory_reservation {
	xen_pfn_t *extent_start;
	unsigned long nr_extents;
	unsigned int extent_order;
	unsigned int address_bits;
	u16 domid;
};

struct xen_hvm_get_mem_type {
	u16 domid;
	u16 mem_type;
	u64 pfn;
};

int HYPERVISOR_memory_op(unsigned int op, struct xen_memory_reservation *reservation);
int HYPERVISOR_hvm_op(unsigned int op, struct xen_hvm_get_mem_type *query);

struct balloon_stats {
	unsigned long current_pages, target_unpopulated;
};

extern struct balloon_stats balloon_stats;
void xen_free_ballooned_pages(unsigned int n, struct page **pages);

/* What the module's headers name and balloon.c doesn't use. */
struct seq_file;
struct mutex;

#endif
