// SPDX-License-Identifier: GPL-2.0
#include "arith.h"
#include "check.h"

static void actual(void)
{
	/* 384 MiB of which Linux manages 376 MiB when full */
	const u64 capacity = 393216;
	const unsigned long base = 96256;

	CHECK(vf_actual_kib(capacity, base, base) == capacity);
	CHECK(vf_actual_kib(capacity, base, base - 1) == capacity - 4);
	CHECK(vf_actual_kib(capacity, base, base - VF_SUPER_PAGES) == capacity - 2048);
	CHECK(vf_actual_kib(capacity, base, base + 10) == capacity, "never above what is there");
	CHECK(vf_actual_kib(capacity, base, 0) == capacity - base * 4);
	CHECK(vf_actual_kib(100, base, 0) == 0, "a host that says too little");
	CHECK(vf_actual_kib(1ULL << 52, 1UL << 50, 0) == 0);
}

static void rate(void)
{
	CHECK(vf_ahead_us(512, 0, 0) == 0 && vf_ahead_us(0, 0, 1) == 0);
	CHECK(vf_ahead_us(512, 0, 1) == 2000000 && vf_ahead_us(512, 1500000, 1) == 500000);
	CHECK(vf_ahead_us(512, 2000000, 1) == 0 && vf_ahead_us(512, 1ULL << 40, 1) == 0);
	CHECK(vf_ahead_us(256, 0, 1000) == 1000 && vf_ahead_us(1, 0, 1u << 31) == 0);
	CHECK(vf_ahead_us(1UL << 30, 0, 1) == (4ULL << 20) * 1000000, "4 TiB at once");
}

/* A Xen that needs @us for each extent; answers the time of the longest call. */
static u64 release(struct vf_batch *batch, unsigned long extents, u64 us, unsigned long *calls)
{
	u64 longest = 0;

	for (*calls = 0; extents && !vf_batch_too_slow(batch); ++*calls) {
		unsigned int n = batch->size < extents ? batch->size : extents;

		CHECK(n >= 1 && n <= VF_BATCH_MAX);
		if (n * us > longest)
			longest = n * us;
		vf_batch_note(batch, n, n * us);
		extents -= n;
	}
	return longest;
}

static void batches(void)
{
	static const u64 cost_us[] = { 1, 10, 100, 480, 1000, 2000, 3000, 19000, 100000, 240000 };
	struct vf_batch batch;
	unsigned long calls;
	u64 longest;

	for (size_t i = 0; i < sizeof(cost_us) / sizeof(*cost_us); i++) {
		vf_batch_init(&batch);
		longest = release(&batch, 8192, cost_us[i], &calls);
		CHECK(longest <= 2 * VF_BATCH_LONG_US || longest <= 2 * cost_us[i],
		      "%lu us for %lu us an extent", (long)longest, (long)cost_us[i]);
		CHECK(!vf_batch_too_slow(&batch), "%lu us an extent", (long)cost_us[i]);
		if (cost_us[i] * VF_BATCH_MAX < VF_BATCH_QUICK_US)
			CHECK(calls < 8192 / VF_BATCH_MAX + 12, "%lu calls", calls);
	}

	/* A Xen that takes superpages apart: found out after two. */
	vf_batch_init(&batch);
	longest = release(&batch, 8192, 3000000, &calls);
	CHECK(vf_batch_too_slow(&batch) && calls == 2, "%lu calls", calls);

	/* It takes as long page by page, so that is how it goes on; unless it takes far longer. */
	vf_batch_note_stepwise(&batch, 4000000);
	CHECK(vf_batch_too_slow(&batch));
	vf_batch_note_stepwise(&batch, 7000000);
	CHECK(!vf_batch_too_slow(&batch));

	/* A vCPU that doesn't get its CPU: one quick extent says enough. */
	vf_batch_init(&batch);
	vf_batch_note(&batch, 1, 2000);
	for (int i = 0; i < 5; i++)
		vf_batch_note(&batch, 1, 3000000);
	CHECK(!vf_batch_too_slow(&batch) && batch.size == 1);

	/* One slow extent among quick ones changes nothing for good. */
	vf_batch_init(&batch);
	vf_batch_note(&batch, 1, 3000000);
	CHECK(!vf_batch_too_slow(&batch));
	vf_batch_note(&batch, 1, 100);
	vf_batch_note(&batch, 2, 3000000);
	CHECK(!vf_batch_too_slow(&batch) && batch.size == 1);

	/* A short last batch says nothing about long ones. */
	vf_batch_init(&batch);
	release(&batch, 255, 1, &calls);
	CHECK(batch.size == 256);
	vf_batch_note(&batch, 3, 1);
	CHECK(batch.size == 256);
	for (int i = 0; i < 10; i++)
		vf_batch_note(&batch, batch.size, 1);
	CHECK(batch.size == VF_BATCH_MAX);
}

int main(void)
{
	actual();
	rate();
	batches();
	return passed();
}
