// SPDX-License-Identifier: Apache-2.0
/* Tasks asleep on futexes: shared with another process, private with a far timeout, and on a mutex with inheritance. */
#include "zdtm.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint32_t *shared, private;
static pid_t tids[2];
static pthread_mutex_t mutex;
static stage_t *started;

static int wait_shared(void *unused)
{
	int result = syscall(SYS_futex, shared, FUTEX_WAIT, 0, NULL, NULL, 0);

	(void)unused;
	if (result || *shared != 1)
		return fail("FUTEX_WAIT gave %d and the word is %u", result, *shared);
	return 0;
}

/* A wait with a timeout may end with EINTR after a stop; signal(7) says so of old kernels.  It must not time out. */
static void *wait_private(void *unused)
{
	struct timespec deadline;
	int result;

	(void)unused;
	tids[0] = gettid();
	stage_step(started);
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += 10000;
	do
		result = syscall(SYS_futex, &private, FUTEX_WAIT_BITSET_PRIVATE, 0, &deadline, NULL, 4);
	while (result && errno == EINTR);
	if (result || private != 1)
		return (void *)(intptr_t)fail("FUTEX_WAIT_BITSET gave %d, the word is %u", result, private);
	return NULL;
}

static void *wait_mutex(void *unused)
{
	int result;

	(void)unused;
	tids[1] = gettid();
	stage_step(started);
	result = pthread_mutex_lock(&mutex);
	if (result || pthread_mutex_unlock(&mutex))
		return (void *)(intptr_t)fail("locking or unlocking the mutex gave %d", result);
	return NULL;
}

static void make_mutex(void)
{
	pthread_mutexattr_t kind;

	pthread_mutexattr_init(&kind);
	pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
	if (pthread_mutex_init(&mutex, &kind) || pthread_mutex_lock(&mutex))
		err_die("pthread_mutex_init");
}

static bool all_asleep(pid_t child)
{
	return test_sleeps(child, SYS_futex) && test_sleeps(tids[0], SYS_futex) && test_sleeps(tids[1], SYS_futex);
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	void *results[2];
	pid_t child;
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	make_mutex();
	child = test_fork(wait_shared, NULL);
	if (pthread_create(&threads[0], NULL, wait_private, NULL) || pthread_create(&threads[1], NULL, wait_mutex, NULL))
		err_die("pthread_create");
	stage_wait(started, 2);
	if (!all_asleep(child))
		err_die("the waiters do not come to futex()");

	test_ready();
	test_wait();

	if (!all_asleep(child))
		bad = fail("a waiter is not in futex() any more");
	*shared = private = 1;
	if (syscall(SYS_futex, shared, FUTEX_WAKE, INT_MAX, NULL, NULL, 0) != 1)
		bad = fail("nobody woke on the shared futex");
	if (syscall(SYS_futex, &private, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 2) != 0)
		bad = fail("the private futex woke by the wrong bit");
	if (syscall(SYS_futex, &private, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 4) != 1)
		bad = fail("nobody woke on the private futex");
	if (pthread_mutex_unlock(&mutex))
		bad = fail("the mutex cannot be unlocked");
	pthread_join(threads[0], &results[0]);
	pthread_join(threads[1], &results[1]);
	return test_reap(child) || results[0] || results[1] || bad ? 1 : pass();
}
