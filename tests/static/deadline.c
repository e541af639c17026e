// SPDX-License-Identifier: Apache-2.0
/* SCHED_DEADLINE: runtime, deadline, period and flags of threads and of children. */
#include "zdtm.h"

#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct sched_attr, which only newer C libraries have. */
struct attributes {
	uint32_t size, sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime, sched_deadline, sched_period;
};

/* Times in nanoseconds; all together use 4 % of a processor. */
static const struct attributes cases[] = {
	{ .sched_policy = SCHED_DEADLINE, .sched_runtime = 1000000, .sched_deadline = 50000000, .sched_period = 100000000 },
	{ .sched_policy = SCHED_DEADLINE, .sched_flags = SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_DL_OVERRUN,
	  .sched_runtime = 1500001, .sched_deadline = 300000003, .sched_period = 300000003 },
	{ .sched_policy = SCHED_DEADLINE, .sched_flags = SCHED_FLAG_RECLAIM, .sched_runtime = 2000000,
	  .sched_deadline = 2000000000, .sched_period = 4000000000 },
	{ .sched_policy = SCHED_NORMAL, .sched_nice = 3 },
};
enum { COUNT = sizeof(cases) / sizeof(cases[0]) };

static stage_t *started;

static int check(long number)
{
	const struct attributes *wanted = &cases[number];
	struct attributes now;

	if (syscall(SYS_sched_getattr, 0, &now, sizeof(now), 0))
		return fail("sched_getattr");
	if (now.sched_policy != wanted->sched_policy || now.sched_flags != wanted->sched_flags)
		return fail("task %ld: policy %u flags %lx, not %u %lx", number, now.sched_policy, now.sched_flags,
			    wanted->sched_policy, wanted->sched_flags);
	if (wanted->sched_policy == SCHED_DEADLINE &&
	    (now.sched_runtime != wanted->sched_runtime || now.sched_deadline != wanted->sched_deadline ||
	     now.sched_period != wanted->sched_period))
		return fail("task %ld: runtime %lu deadline %lu period %lu, not %lu %lu %lu", number, now.sched_runtime,
			    now.sched_deadline, now.sched_period, wanted->sched_runtime, wanted->sched_deadline,
			    wanted->sched_period);
	if (getpriority(PRIO_PROCESS, gettid()) != wanted->sched_nice)
		return fail("task %ld: nice value %d, not %d", number, getpriority(PRIO_PROCESS, gettid()), wanted->sched_nice);
	return 0;
}

static void *live(void *number)
{
	struct attributes attr = cases[(intptr_t)number];

	attr.size = sizeof(attr);
	if (setpriority(PRIO_PROCESS, gettid(), attr.sched_nice) || syscall(SYS_sched_setattr, 0, &attr, 0))
		err_die("sched_setattr");
	if (check((intptr_t)number))
		err_die("what was set is not there");
	stage_step(started);
	test_wait();
	return (void *)(intptr_t)check((intptr_t)number);
}

static int child(void *number)
{
	return live(number) != NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[COUNT];
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	signal(SIGXCPU, SIG_IGN); /* that is how the kernel says SCHED_FLAG_DL_OVERRUN */
	started = stage_new();
	for (intptr_t i = 0; i < COUNT; i++)
		children[i] = test_fork(child, (void *)i);
	for (intptr_t i = 0; i < COUNT; i++)
		if (pthread_create(&threads[i], NULL, live, (void *)i))
			err_die("pthread_create");
	stage_wait(started, 2 * COUNT);

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++) {
		void *result;

		pthread_join(threads[i], &result);
		bad |= test_finish(children[i]) | (result != NULL);
	}
	return bad ? 1 : pass();
}
