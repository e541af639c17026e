// SPDX-License-Identifier: Apache-2.0
/* What each thread has for itself: processors, I/O priority, timer slack, time stamps. In threads and in children. */
#include "zdtm.h"

#include <linux/ioprio.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ALL, FIRST, LAST };

struct attributes {
	int processors;
	unsigned long priority, slack;
	int stamps; /* PR_TSC_… */
};

/* The second one is as most threads are. A slack of 2^64 - 3 looks like an errno. */
static struct attributes cases[] = {
	{ FIRST, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7), 1, PR_TSC_SIGSEGV },
	{ ALL, 0, 50000, PR_TSC_ENABLE },
	{ LAST, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0), 123456789012, PR_TSC_ENABLE },
	{ ALL, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 2), -3UL, PR_TSC_SIGSEGV },
	{ FIRST, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 0), 50001, PR_TSC_ENABLE },
};
enum { COUNT = sizeof(cases) / sizeof(cases[0]) };

static cpu_set_t processors[3];
static stage_t *started;

static void choose_processors(void)
{
	int first = CPU_SETSIZE, last = 0;

	if (sched_getaffinity(0, sizeof(processors[ALL]), &processors[ALL]))
		err_die("sched_getaffinity");
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &processors[ALL])) {
			first = first < i ? first : i;
			last = i;
		}
	CPU_SET(first, &processors[FIRST]);
	CPU_SET(last, &processors[LAST]);
}

static void adopt(const struct attributes *wanted)
{
	if (sched_setaffinity(0, sizeof(cpu_set_t), &processors[wanted->processors]))
		err_die("sched_setaffinity");
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, wanted->priority))
		err_die("ioprio_set");
	if (prctl(PR_SET_TIMERSLACK, wanted->slack))
		err_die("PR_SET_TIMERSLACK");
	if (prctl(PR_SET_TSC, wanted->stamps))
		err_die("PR_SET_TSC");
}

static int check(long number)
{
	const struct attributes *wanted = &cases[number];
	struct attributes now;
	cpu_set_t here;

	if (sched_getaffinity(0, sizeof(here), &here))
		return fail("sched_getaffinity");
	now.priority = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
	asm volatile("syscall" : "=a"(now.slack) : "a"(SYS_prctl), "D"(PR_GET_TIMERSLACK) : "rcx", "r11", "memory");
	if (prctl(PR_GET_TSC, &now.stamps))
		return fail("PR_GET_TSC");
	if (!CPU_EQUAL(&here, &processors[wanted->processors]))
		return fail("task %ld: %d processors, not %d, or others", number, CPU_COUNT(&here),
			    CPU_COUNT(&processors[wanted->processors]));
	if (now.priority != wanted->priority)
		return fail("task %ld: I/O priority %lx, not %lx", number, now.priority, wanted->priority);
	if (now.slack != wanted->slack)
		return fail("task %ld: timer slack %lu, not %lu", number, now.slack, wanted->slack);
	if (now.stamps != wanted->stamps)
		return fail("task %ld: time stamps %d, not %d", number, now.stamps, wanted->stamps);
	return 0;
}

static void *live(void *number)
{
	adopt(&cases[(intptr_t)number]);
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
	choose_processors();
	if (getuid()) /* the class is for the privileged */
		cases[3].priority = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 3);
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
