// SPDX-License-Identifier: Apache-2.0
/* Policy, priority, nice value and reset-on-fork of every thread, and of a child. */
#include "zdtm.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct {
	int policy, priority, nice;
} cases[] = {
	{ SCHED_OTHER, 0, 0 }, { SCHED_OTHER, 0, 19 }, { SCHED_OTHER, 0, -20 }, { SCHED_BATCH, 0, 7 }, { SCHED_IDLE, 0, 0 },
	{ SCHED_FIFO, 1, 0 }, { SCHED_FIFO, 99, 0 }, { SCHED_RR, 42, 3 },
	{ SCHED_OTHER | SCHED_RESET_ON_FORK, 0, -7 }, { SCHED_RR | SCHED_RESET_ON_FORK, 5, 0 },
};
enum { COUNT = sizeof(cases) / sizeof(cases[0]) };

static stage_t *started;

static void adopt(int number)
{
	struct sched_param param = { .sched_priority = cases[number].priority };

	if (setpriority(PRIO_PROCESS, gettid(), cases[number].nice))
		err_die("setpriority");
	if (sched_setscheduler(gettid(), cases[number].policy, &param))
		err_die("sched_setscheduler");
}

static int check(int number)
{
	struct sched_param param;
	int policy = sched_getscheduler(gettid()), nice;

	errno = 0;
	nice = getpriority(PRIO_PROCESS, gettid());
	if (sched_getparam(gettid(), &param))
		return fail("sched_getparam");
	if (policy != cases[number].policy || param.sched_priority != cases[number].priority || nice != cases[number].nice)
		return fail("task %d: policy %x priority %d nice %d; not %x %d %d", number, policy, param.sched_priority, nice,
			    cases[number].policy, cases[number].priority, cases[number].nice);
	return 0;
}

static void *thread(void *number)
{
	adopt((intptr_t)number);
	stage_step(started);
	test_wait();
	return (void *)(intptr_t)check((intptr_t)number);
}

static int child(void *number)
{
	return thread(number) != NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[COUNT];
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (intptr_t i = 0; i < COUNT; i++)
		children[i] = test_fork(child, (void *)i);
	for (intptr_t i = 0; i < COUNT; i++)
		if (pthread_create(&threads[i], NULL, thread, (void *)i))
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
