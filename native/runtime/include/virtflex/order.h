/* SPDX-License-Identifier: Apache-2.0 */
/* Which thread of a team goes to which place (OpenMP 5.1, 2.6.2). */
#ifndef VIRTFLEX_ORDER_H
#define VIRTFLEX_ORDER_H

enum vfrt_bind {
	VFRT_BIND_FALSE,   /* unbound: any allowed CPU */
	VFRT_BIND_PRIMARY, /* with the primary thread */
	VFRT_BIND_CLOSE,   /* places after the primary's, wrapping round */
	VFRT_BIND_SPREAD,  /* first places of even subpartitions */
};

/* The place, 0..places-1, of one thread of a team whose primary thread has the
 * place primary.  places > 0, thread < threads. */
unsigned vfrt_place_of(enum vfrt_bind bind, unsigned thread, unsigned threads, unsigned places,
		       unsigned primary);

#endif
