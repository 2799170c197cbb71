/* SPDX-License-Identifier: Apache-2.0 */
#include "follow.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "virtflex/order.h"

/* Read by us instead of by the runtime. */
enum hidden {
	PROC_BIND,
	PLACES,
	CPU_AFFINITY,
	KMP_AFFINITY,
	HIDDEN,
};

static const char *const hidden_name[HIDDEN] = {
	[PROC_BIND] = "OMP_PROC_BIND",
	[PLACES] = "OMP_PLACES",
	[CPU_AFFINITY] = "GOMP_CPU_AFFINITY",
	[KMP_AFFINITY] = "KMP_AFFINITY",
};
static char *hidden_value[HIDDEN];

static enum vfrt_bind bind = VFRT_BIND_FALSE;
static unsigned long environment_bound; /* OMP_NUM_THREADS; 0: unset */
static unsigned cpus_at_start;

static int (*get_level)(void);
static int (*get_max_threads)(void);
static int (*get_num_teams)(void);
static int (*get_thread_limit)(void);
static void (*set_num_threads)(int);

_Thread_local struct follow_thread follow_thread;

/* Of a thread that forms teams, and of a member of one; read when something changes. */
static _Thread_local struct {
	bool known;
	unsigned long bound; /* what the program asked for; 0: nothing */
	struct {
		const void *team;
		unsigned size;
		uint64_t generation;
	} counted; /* as a member of which team, and for what, it was last */
	uint64_t placed_for; /* generation that place is of; 0: of another team */
	int place;
} self __attribute__((tls_model("initial-exec")));

/* Teams whose threads are being bound, under vfrt_lock.  The runtime may form the
 * next team, of another size, at the same address.  One that ends half-way is
 * overwritten some time. */
#define TEAMS 64

static struct team {
	const void *team;
	unsigned size;
	uint64_t generation;
	unsigned left;
} teams[TEAMS];
static unsigned next_team;
static uint64_t answered; /* generation; written under the lock */

static bool starts_with(const char *text, const char *word)
{
	text += strspn(text, " \t");
	return strncasecmp(text, word, strlen(word)) == 0;
}

/* The first of a list is that of outermost teams; "true" is LLVM's spread. */
static enum vfrt_bind parse_bind(const char *text)
{
	if (starts_with(text, "false"))
		return VFRT_BIND_FALSE;
	if (starts_with(text, "close"))
		return VFRT_BIND_CLOSE;
	if (starts_with(text, "primary") || starts_with(text, "master"))
		return VFRT_BIND_PRIMARY;
	return VFRT_BIND_SPREAD;
}

static void start_places(void)
{
	const char *wanted = hidden_value[PROC_BIND], *places = hidden_value[PLACES];
	const char *cpus = hidden_value[CPU_AFFINITY];

	if (wanted)
		bind = parse_bind(wanted);
	else if (places)
		bind = VFRT_BIND_SPREAD;
	else if (cpus)
		bind = VFRT_BIND_CLOSE;
	if (bind == VFRT_BIND_FALSE)
		return;
	if (places && vfrt_set_places(VFRT_PLACES_OMP, places))
		return;
	if (cpus && vfrt_set_places(VFRT_PLACES_GOMP_CPU_AFFINITY, cpus))
		return;
	/* As both runtimes: what was asked for was binding, by cores. */
	if (wanted && !places && !cpus && vfrt_set_places(VFRT_PLACES_OMP, "cores"))
		return;
	bind = VFRT_BIND_FALSE;
}

static void after_fork_in_child(void)
{
	threads_forked();
	memset(teams, 0, sizeof teams);
	memset(&self.counted, 0, sizeof self.counted);
	answered = 0;
}

bool follow_start(void)
{
	const char *threads = getenv("OMP_NUM_THREADS");
	struct vfrt_cpus mine = { 0 };

	if (!vfrt_start() || pthread_atfork(NULL, NULL, after_fork_in_child) != 0)
		return false;
	environment_bound = threads ? strtoul(threads, NULL, 10) : 0;
	sched_getaffinity(0, sizeof mine, (cpu_set_t *)(void *)&mine);
	cpus_at_start = vfrt_cpus_count(&mine);
	for (enum hidden i = 0; i < HIDDEN; i++) {
		const char *value = getenv(hidden_name[i]);

		hidden_value[i] = value ? strdup(value) : NULL;
		unsetenv(hidden_name[i]);
	}
	start_places();
	setenv(hidden_name[PROC_BIND], "false", 1);
	return true;
}

void follow_restore_environment(void)
{
	for (enum hidden i = 0; i < HIDDEN; i++) {
		if (hidden_value[i])
			setenv(hidden_name[i], hidden_value[i], 1);
		else
			unsetenv(hidden_name[i]);
	}
}

/* Of the runtime that serves us: it may not be in the global scope. */
static void *runtime_function(void *runtime, const char *name)
{
	return dlsym(runtime ? runtime : RTLD_DEFAULT, name);
}

bool follow_initialize(const void *of_runtime)
{
	Dl_info info;
	void *runtime = dladdr(of_runtime, &info) ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD)
						  : NULL;

	*(void **)&get_level = runtime_function(runtime, "omp_get_level");
	*(void **)&get_max_threads = runtime_function(runtime, "omp_get_max_threads");
	*(void **)&get_num_teams = runtime_function(runtime, "omp_get_num_teams");
	*(void **)&get_thread_limit = runtime_function(runtime, "omp_get_thread_limit");
	*(void **)&set_num_threads = runtime_function(runtime, "omp_set_num_threads");
	if (runtime)
		dlclose(runtime);
	return get_level && get_max_threads && get_num_teams && get_thread_limit &&
	       set_num_threads;
}

/* The program may have called omp_set_num_threads since.  What the runtime has of
 * its own is OMP_NUM_THREADS, or else a thread for each CPU. */
static void note_program(int now)
{
	unsigned long own = environment_bound ? environment_bound : cpus_at_start;

	if (!self.known)
		self.bound = environment_bound;
	if (now != (self.known ? follow_thread.given : (int)own))
		self.bound = (unsigned long)now;
	self.known = true;
}

void follow_form_team(unsigned requested, bool league)
{
	bool changed = vfrt_changed(follow_thread.formed_for);
	int now;

	if (vfrt_memory_left() && get_level() == 0)
		vfrt_reset_memory_again();
	if (!changed && (int)requested == follow_thread.given)
		return;
	now = get_max_threads();
	if ((!changed && now == follow_thread.given) || get_level() != 0)
		return;
	/* A league shares its CPUs out among its teams by itself.  (While it is
	 * being formed, libomp 14 can't tell the number of them.) */
	if (!league && get_num_teams() > 1)
		return;
	note_program(now);
	vfrt_lock();
	follow_thread.formed_for = vfrt_refresh();
	if (vfrt_view()->generation != 0)
		now = (int)vfrt_threads(self.bound, UINT_MAX);
	vfrt_unlock();
	/* More would be refused with a warning. */
	if (now > get_thread_limit())
		now = get_thread_limit();
	follow_thread.given = now;
	set_num_threads(now);
	/* After a fork the runtime may have bound this thread in its own way. */
	threads_self.bound_for = 0;
	follow_thread.settled_for = 0;
}

/* Under the lock. */
static struct team *find_team(uint64_t generation)
{
	struct team *team;

	for (unsigned i = 0; i < TEAMS; i++)
		if (teams[i].team == follow_thread.team &&
		    teams[i].size == follow_thread.team_size && teams[i].generation == generation)
			return &teams[i];
	team = &teams[next_team++ % TEAMS];
	*team = (struct team){ follow_thread.team, follow_thread.team_size, generation,
			       follow_thread.team_size };
	return team;
}

static bool is_counted(void)
{
	return self.counted.team == follow_thread.team &&
	       self.counted.size == follow_thread.team_size &&
	       self.counted.generation == threads_self.bound_for;
}

/* The last one of an outermost team answers for the process. */
static void count(void)
{
	uint64_t generation = threads_self.bound_for;
	const struct vfrt_view *view;
	struct team *team;

	self.counted.team = follow_thread.team;
	self.counted.size = follow_thread.team_size;
	self.counted.generation = generation;
	if (__atomic_load_n(&answered, __ATOMIC_RELAXED) == generation)
		return;
	vfrt_lock();
	view = vfrt_view();
	if (view->generation == generation && follow_thread.team) {
		team = find_team(generation);
		if (--team->left == 0) {
			team->team = NULL;
			threads_confine_others(generation, &view->allowed);
			vfrt_acknowledge(generation);
			__atomic_store_n(&answered, generation, __ATOMIC_RELAXED);
		}
	}
	vfrt_unlock();
}

static void bind_self(void)
{
	uint64_t generation;

	do {
		threads_begin_binding();
		generation = vfrt_bind_self(self.place, follow_thread.index);
	} while (threads_end_binding(generation));
	vfrt_reset_memory(generation, follow_thread.team ? follow_thread.team_size : 0, bind);
}

/* The generation may be old by the time that the place is used, whose number is
 * then taken modulo the new count. */
static int place_in_team(void)
{
	unsigned places;

	vfrt_lock();
	self.placed_for = vfrt_refresh();
	places = vfrt_view()->places.count;
	vfrt_unlock();
	if (places == 0)
		return VFRT_NO_PLACE;
	return (int)vfrt_place_of(bind, follow_thread.index, follow_thread.team_size, places, 0);
}

void follow_join_team(const void *team, unsigned size, unsigned index)
{
	bool outermost = get_level() == 1, changed, moved;

	/* The members of a nested team go wherever it is allowed; but the thread
	 * that formed it is still one of the outer. */
	if (!outermost) {
		if (index != 0) {
			follow_thread.team = NULL;
			self.placed_for = 0;
			self.place = VFRT_NO_PLACE;
		}
		follow_within();
		return;
	}
	changed = vfrt_changed(threads_self.bound_for);
	moved = size != follow_thread.team_size || index != follow_thread.index ||
		self.placed_for != threads_self.bound_for;
	follow_thread.team = team;
	follow_thread.team_size = size;
	follow_thread.index = index;
	if (bind != VFRT_BIND_FALSE && (changed || moved)) {
		int place = place_in_team();

		changed |= place != self.place;
		self.place = place;
	}
	if (changed)
		bind_self();
	if (!is_counted())
		count();
	follow_thread.settled_for =
		bind == VFRT_BIND_FALSE || self.placed_for == threads_self.bound_for
			? threads_self.bound_for
			: 0;
}

void follow_move(void)
{
	bind_self();
	if (!is_counted())
		count();
}

void follow_finalize(void)
{
	vfrt_stop();
}
