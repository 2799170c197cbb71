/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/reset.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reset_move.h"
#include "reset_pace.h"
#include "reset_rest.h"

/* What threads move at a pace of its own. */
enum kind { SMALL, LARGE, KINDS };

/* Of this machine: threads that are fastest side by side; 0: not known yet. */
static atomic_uint known_width[KINDS];

struct vfrt_reset {
	struct vfrt_reset_request request;
	struct vfrt_targets targets;
	struct vfrt_mover mover;
	struct vfrt_regions regions;
	size_t *first_piece; /* of each region; one more: of all */
	uint64_t *rank;	     /* of each piece's first page */
	struct vfrt_rest again; /* all there is to do; none: everything */
	/* Under the mutex, from here on. */
	pthread_mutex_t mutex;
	pthread_cond_t piece_ended;
	size_t next_piece;
	struct vfrt_pace pace[KINDS];
	struct vfrt_reset_result result;
	struct vfrt_rest rest;
};

uint64_t vfrt_reset_memory_nodes(const char *sysfs)
{
	char path[PATH_MAX], line[512];
	uint64_t nodes = 0;
	FILE *file;

	snprintf(path, sizeof path, "%s/devices/system/node/has_memory", sysfs);
	file = fopen(path, "re");
	if (file && fgets(line, sizeof line, file))
		nodes = vfrt_nodes_parse(line);
	if (file)
		fclose(file);
	return nodes;
}

const char *vfrt_reset_way_name(enum vfrt_reset_way way)
{
	switch (way) {
	case VFRT_RESET_WAY_NEXT_TOUCH:
		return "next touch";
	case VFRT_RESET_WAY_MODULE:
		return "module";
	case VFRT_RESET_WAY_MOVE_PAGES:
		return "move_pages";
	case VFRT_RESET_WAY_NONE:
		break;
	}
	return "none";
}

static uintptr_t piece_size(const struct vfrt_region *region)
{
	return region->page_size > VFRT_PIECE ? region->page_size : VFRT_PIECE;
}

/* Pieces begin where a THP could. */
static uintptr_t piece_start(const struct vfrt_region *region, size_t piece)
{
	uintptr_t start = (region->start / piece_size(region) + piece) * piece_size(region);

	return start > region->start ? start : region->start;
}

static size_t pieces(const struct vfrt_region *region)
{
	return (region->end - 1) / piece_size(region) - region->start / piece_size(region) + 1;
}

static struct vfrt_part part_of(const struct vfrt_region *region, size_t piece, uint64_t rank)
{
	uintptr_t end = piece_start(region, piece + 1);

	return (struct vfrt_part){
		.region = region,
		.start = piece_start(region, piece),
		.end = end < region->end ? end : region->end,
		.rank = rank,
	};
}

/* What planning needs for one piece. */
struct survey {
	uint64_t pagemap[VFRT_PIECE_PAGES];
	void *page[VFRT_PIECE_PAGES];
	int node[VFRT_PIECE_PAGES];
};

/* Lists the pages that are present; where the kernel doesn't tell, all. */
static size_t list_present(const struct vfrt_reset *reset, const struct vfrt_part *part,
			   struct survey *survey)
{
	size_t pages = (part->end - part->start) / 4096, present = 0;
	bool told = vfrt_pagemap_read(reset->mover.pagemap, survey->pagemap, part->start, part->end);

	for (size_t i = 0; i < pages; i++)
		if (!told || survey->pagemap[i] & VFRT_PRESENT)
			survey->page[present++] = (void *)(part->start + i * 4096);
	return present;
}

static int survey_piece(const struct vfrt_reset *reset, const struct vfrt_part *part,
			struct survey *survey, struct vfrt_region *region,
			struct vfrt_array_search *search)
{
	const struct vfrt_reset_kernel *kernel = reset->mover.kernel;
	size_t present;
	int rc = 0;

	if (region->page_size > 4096) {
		region->ranks += (part->end - part->start) / 4096;
		return 0;
	}
	present = list_present(reset, part, survey);
	region->ranks += present;
	if (!search || present == 0 ||
	    kernel->move(kernel->context, present, survey->page, NULL, survey->node) < 0)
		return 0;
	for (size_t i = 0; rc == 0 && i < present; i++)
		rc = vfrt_array_search_page(search, survey->node[i]);
	return rc;
}

static int survey_region(struct vfrt_reset *reset, size_t i, struct survey *survey)
{
	struct vfrt_region *region = &reset->regions.region[i];
	struct vfrt_array_search search;
	bool told = vfrt_arrays_can_be_told(&reset->request);
	int rc = 0;

	region->dealt = vfrt_target_deals(&reset->targets, region);
	vfrt_array_search_start(&search, &region->arrays, vfrt_target_least(&reset->targets));
	for (size_t piece = 0; rc == 0 && region->dealt && piece < pieces(region); piece++) {
		struct vfrt_part part = part_of(region, piece, 0);

		reset->rank[reset->first_piece[i] + piece] = region->ranks;
		rc = survey_piece(reset, &part, survey, region, told ? &search : NULL);
	}
	region->dealt &= region->ranks > 0;
	return rc;
}

static int rank_pieces(struct vfrt_reset *reset)
{
	size_t total = reset->first_piece[reset->regions.count];
	struct survey *survey = malloc(sizeof *survey);
	int rc;

	reset->rank = calloc(total + 1, sizeof *reset->rank);
	rc = survey && reset->rank ? 0 : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < reset->regions.count; i++)
		rc = survey_region(reset, i, survey);
	free(survey);
	return rc;
}

/* Pages without a policy move at their next touch, if that is the way; but for
 * hugetlb, which has none. */
static bool waits(const struct vfrt_reset *reset, const struct vfrt_region *region)
{
	return reset->result.way == VFRT_RESET_WAY_NEXT_TOUCH &&
	       region->policy == VFRT_POLICY_DEFAULT && region->page_size == 4096;
}

static int plan(struct vfrt_reset *reset)
{
	struct vfrt_regions *regions = &reset->regions;
	size_t kept = 0, total = 0;

	for (size_t i = 0; i < regions->count; i++)
		if (!waits(reset, &regions->region[i]) &&
		    vfrt_target_concerns(&reset->targets, &regions->region[i]))
			memmove(&regions->region[kept++], &regions->region[i],
				sizeof *regions->region);
	regions->count = kept;
	reset->first_piece = calloc(kept + 1, sizeof *reset->first_piece);
	if (!reset->first_piece)
		return -ENOMEM;
	for (size_t i = 0; i < kept; i++) {
		reset->first_piece[i] = total;
		total += pieces(&regions->region[i]);
	}
	reset->first_piece[kept] = total;
	return rank_pieces(reset);
}

/* Returns what the system call has left to others: something, if it failed. */
static bool leaves_work(struct vfrt_reset *reset, const struct vfrt_reset_kernel *kernel)
{
	const struct vfrt_reset_request *request = &reset->request;
	struct vfrt_next_touch done = { 0 };

	reset->result.way = request->module < 0 ? VFRT_RESET_WAY_MOVE_PAGES : VFRT_RESET_WAY_MODULE;
	if (request->call == 0 ||
	    kernel->next_touch(kernel->context, request->call, request->nodes, &done) < 0)
		return true;
	reset->result.way = VFRT_RESET_WAY_NEXT_TOUCH;
	reset->result.marked = done.marked;
	reset->result.moved = done.moved;
	return done.left > 0;
}

static void begin_round(struct vfrt_reset *reset)
{
	const struct vfrt_reset_kernel *kernel = reset->mover.kernel;
	char path[PATH_MAX];

	vfrt_targets_start(&reset->targets, &reset->request, kernel->sysfs);
	snprintf(path, sizeof path, "%s/pagemap", kernel->proc);
	reset->mover.pagemap = open(path, O_RDONLY | O_CLOEXEC);
}

/* No descriptor stays open between rounds: a child would have it, too. */
static void end_round(struct vfrt_reset *reset)
{
	if (reset->mover.pagemap >= 0)
		close(reset->mover.pagemap);
	reset->mover.pagemap = -1;
	vfrt_rest_free(&reset->again);
}

int vfrt_reset_begin(struct vfrt_reset **begun, const struct vfrt_reset_request *request,
		     const struct vfrt_reset_kernel *kernel)
{
	struct vfrt_reset *reset = calloc(1, sizeof *reset);
	int rc = 0;

	if (!reset)
		return -ENOMEM;
	reset->request = *request;
	reset->mover = (struct vfrt_mover){ kernel, &reset->targets, -1, request->module };
	pthread_mutex_init(&reset->mutex, NULL);
	pthread_cond_init(&reset->piece_ended, NULL);
	for (enum kind kind = 0; kind < KINDS; kind++) {
		unsigned known = atomic_load(&known_width[kind]);

		reset->pace[kind] = (struct vfrt_pace){ .width = known ? known : 1,
							.settled = known > 0 };
	}
	begin_round(reset);
	if (leaves_work(reset, kernel))
		rc = vfrt_regions_read(&reset->regions, kernel->proc);
	if (rc == 0)
		rc = plan(reset);
	if (rc < 0) {
		vfrt_reset_end(reset);
		return rc;
	}
	*begun = reset;
	return 0;
}

/* The plan holds for mappings that are still there, if need be as part of larger
 * ones.  Where pages are now says nothing more of arrays and blocks. */
static int look_again(struct vfrt_reset *reset)
{
	struct vfrt_regions now;
	int rc = vfrt_regions_read(&now, reset->mover.kernel->proc);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < reset->regions.count; i++)
		reset->regions.region[i].changed =
			!vfrt_regions_hold(&now, &reset->regions.region[i]);
	vfrt_regions_free(&now);
	return 0;
}

int vfrt_reset_again(struct vfrt_reset *reset, int module)
{
	if (reset->rest.count == 0)
		return -ENOENT;
	reset->mover.module = module;
	reset->again = reset->rest;
	reset->rest = (struct vfrt_rest){ 0 };
	vfrt_rest_sort(&reset->again);
	reset->result = (struct vfrt_reset_result){ .way = reset->result.way };
	reset->next_piece = 0;
	begin_round(reset);
	return look_again(reset);
}

/* Of the region that piece number is of. */
static size_t find_region(const struct vfrt_reset *reset, size_t number)
{
	size_t low = 0, high = reset->regions.count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (reset->first_piece[middle] <= number)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static struct vfrt_part numbered_part(const struct vfrt_reset *reset, size_t number)
{
	size_t i = find_region(reset, number);

	return part_of(&reset->regions.region[i], number - reset->first_piece[i],
		       reset->rank[number]);
}

static enum kind kind_of(const struct vfrt_region *region)
{
	return region->has_thp || region->page_size > 4096 ? LARGE : SMALL;
}

static bool needs_nothing(const struct vfrt_reset *reset, const struct vfrt_part *part)
{
	return reset->again.count > 0 &&
	       (part->region->changed ||
		!vfrt_rest_meets(&reset->again, part->start, part->end));
}

/* Waits until the calling thread may take the next piece; false: none is left. */
static bool take_piece(struct vfrt_reset *reset, struct vfrt_part *part)
{
	const struct vfrt_reset_kernel *kernel = reset->mover.kernel;
	size_t total = reset->first_piece[reset->regions.count];
	bool taken = false;

	pthread_mutex_lock(&reset->mutex);
	while (!taken && reset->next_piece < total) {
		enum kind kind;

		*part = numbered_part(reset, reset->next_piece);
		kind = kind_of(part->region);
		if (needs_nothing(reset, part)) {
			reset->next_piece++;
		} else if (vfrt_pace_may_begin(&reset->pace[kind]) &&
			   reset->pace[!kind].moving == 0) {
			reset->next_piece++;
			vfrt_pace_begin(&reset->pace[kind], kernel->now(kernel->context));
			taken = true;
		} else {
			pthread_cond_wait(&reset->piece_ended, &reset->mutex);
		}
	}
	pthread_mutex_unlock(&reset->mutex);
	return taken;
}

static void end_piece(struct vfrt_reset *reset, const struct vfrt_part *part,
		      const struct vfrt_reset_result *done)
{
	const struct vfrt_reset_kernel *kernel = reset->mover.kernel;
	enum kind kind = kind_of(part->region);
	struct vfrt_pace *pace = &reset->pace[kind];

	pthread_mutex_lock(&reset->mutex);
	vfrt_pace_end(pace, done->moved, kernel->now(kernel->context));
	if (pace->settled)
		atomic_store(&known_width[kind], pace->width);
	reset->result.moved += done->moved;
	for (int reason = 0; reason < VFRT_RESET_REASONS; reason++)
		reset->result.left[reason] += done->left[reason];
	if (done->left[VFRT_RESET_BUSY] || done->left[VFRT_RESET_NO_MEMORY])
		vfrt_rest_add(&reset->rest, part->start);
	pthread_cond_broadcast(&reset->piece_ended);
	pthread_mutex_unlock(&reset->mutex);
}

static struct vfrt_region *region_of(struct vfrt_reset *reset, uintptr_t address)
{
	for (size_t i = 0; i < reset->regions.count; i++) {
		struct vfrt_region *region = &reset->regions.region[i];

		if (address >= region->start && address < region->end)
			return region;
	}
	return NULL;
}

/* The stack of the calling thread isn't dealt in blocks: it has it for itself. */
static void keep_stack(struct vfrt_reset *reset)
{
	char here;
	struct vfrt_region *region = region_of(reset, (uintptr_t)&here);
	pthread_attr_t attributes;
	void *start;
	size_t size;

	if (!region || region->stack || pthread_getattr_np(pthread_self(), &attributes) != 0)
		return;
	if (pthread_attr_getstack(&attributes, &start, &size) == 0) {
		atomic_store(&region->stack_start, (uintptr_t)start);
		atomic_store(&region->stack_end, (uintptr_t)start + size);
	}
	pthread_attr_destroy(&attributes);
}

void vfrt_reset_work(struct vfrt_reset *reset)
{
	struct vfrt_piece *piece = malloc(sizeof *piece);
	struct vfrt_part part;

	if (!piece)
		return;
	keep_stack(reset);
	while (take_piece(reset, &part)) {
		struct vfrt_reset_result done = { 0 };

		vfrt_move_piece(&reset->mover, piece, &part, &done);
		end_piece(reset, &part, &done);
	}
	free(piece);
}

bool vfrt_reset_done(struct vfrt_reset *reset, struct vfrt_reset_result *result)
{
	end_round(reset);
	*result = reset->result;
	return reset->rest.count > 0;
}

void vfrt_reset_end(struct vfrt_reset *reset)
{
	end_round(reset);
	vfrt_rest_free(&reset->rest);
	vfrt_regions_free(&reset->regions);
	free(reset->first_piece);
	free(reset->rank);
	pthread_cond_destroy(&reset->piece_ended);
	pthread_mutex_destroy(&reset->mutex);
	free(reset);
}
