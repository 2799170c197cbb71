/* SPDX-License-Identifier: Apache-2.0 */
#include "reset_pace.h"

#include "check.h"

#define PIECE 4096 /* pages */

static uint64_t now;

/* As many threads as there are, and may, move one piece each, which takes so long
 * for all of them. */
static void move_side_by_side(struct vfrt_pace *pace, unsigned threads, uint64_t ns)
{
	unsigned moving = 0;

	while (moving < threads && vfrt_pace_may_begin(pace)) {
		vfrt_pace_begin(pace, now);
		moving++;
	}
	now += ns;
	for (; moving > 0; moving--)
		vfrt_pace_end(pace, PIECE, now);
}

static struct vfrt_pace fresh(void)
{
	return (struct vfrt_pace){ .width = 1 };
}

static void as_many_as_there_are_where_they_do_not_meet(void)
{
	struct vfrt_pace pace = fresh();

	for (unsigned round = 0; round < 4; round++)
		move_side_by_side(&pace, 8, 1000);
	CHECK(!pace.settled && pace.width == 16);
	for (unsigned round = 0; round < 9; round++)
		move_side_by_side(&pace, 8, 1000);
	CHECK(!pace.settled && pace.width == 16);
}

static void as_many_as_are_faster_together(void)
{
	struct vfrt_pace pace = fresh();

	move_side_by_side(&pace, 64, 1000);
	CHECK(pace.width == 2);
	move_side_by_side(&pace, 64, 1200);
	CHECK(pace.width == 4 && !pace.settled);
	move_side_by_side(&pace, 64, 2300);
	CHECK(pace.width == 2 && pace.settled);
	for (unsigned moving = 0; moving < 2; moving++) {
		CHECK(vfrt_pace_may_begin(&pace));
		vfrt_pace_begin(&pace, now);
	}
	CHECK(!vfrt_pace_may_begin(&pace));
	vfrt_pace_end(&pace, PIECE, now);
	CHECK(vfrt_pace_may_begin(&pace));
}

static void one_where_they_hold_each_other_up(void)
{
	struct vfrt_pace pace = fresh();

	move_side_by_side(&pace, 4, 1000);
	move_side_by_side(&pace, 4, 34000);
	CHECK(pace.width == 1 && pace.settled);
}

static void one_thread_says_nothing_of_two(void)
{
	struct vfrt_pace pace = fresh();

	for (unsigned piece = 0; piece < 9; piece++)
		move_side_by_side(&pace, 1, 1000);
	CHECK(pace.width == 2 && !pace.settled);
	move_side_by_side(&pace, 2, 1000);
	CHECK(pace.width == 4);
}

static void small_pieces_make_a_round_together(void)
{
	struct vfrt_pace pace = fresh();

	for (unsigned piece = 0; piece < 3; piece++) {
		vfrt_pace_begin(&pace, now);
		vfrt_pace_end(&pace, VFRT_PACE_PAGES / 4, now += 250);
		CHECK(pace.width == 1);
	}
	vfrt_pace_begin(&pace, now);
	vfrt_pace_end(&pace, VFRT_PACE_PAGES / 4, now += 250);
	CHECK(pace.width == 2 && pace.rate > 0);
}

static void a_thread_that_comes_late_says_nothing(void)
{
	struct vfrt_pace pace = fresh();

	move_side_by_side(&pace, 2, 1000);
	vfrt_pace_begin(&pace, now);
	vfrt_pace_begin(&pace, now += 900);
	vfrt_pace_end(&pace, PIECE, now += 100);
	vfrt_pace_end(&pace, PIECE, now += 900);
	CHECK(pace.width == 2 && !pace.settled);
	move_side_by_side(&pace, 2, 1000);
	CHECK(pace.width == 4);
}

static void a_process_that_stood_still_goes_on(void)
{
	struct vfrt_pace pace = fresh();

	for (unsigned round = 0; round < 9; round++) {
		move_side_by_side(&pace, 4, UINT64_C(86400000000000));
		CHECK(vfrt_pace_may_begin(&pace));
	}
}

int main(void)
{
	as_many_as_there_are_where_they_do_not_meet();
	as_many_as_are_faster_together();
	one_where_they_hold_each_other_up();
	one_thread_says_nothing_of_two();
	small_pieces_make_a_round_together();
	a_thread_that_comes_late_says_nothing();
	a_process_that_stood_still_goes_on();
	return 0;
}
