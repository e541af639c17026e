// SPDX-License-Identifier: Apache-2.0
/*
 * The restartable-sequences area that the C library registers for
 * each thread is registered still, and kept up to date.
 */
#include "zdtm.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 5 };

static stage_t *started;

static struct rseq *area(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* Registering the same again gives EBUSY, another signature EPERM, another address or size EINVAL (rseq(2)). */
static int check(int number)
{
	unsigned int size = __rseq_size < 32 ? 32 : __rseq_size;

	if (syscall(SYS_rseq, area(), size, 0, RSEQ_SIG) != -1 || errno != EBUSY)
		return fail("thread %d: the area is not registered", number);
	if (syscall(SYS_rseq, area(), size, 0, RSEQ_SIG + 1) != -1 || errno != EPERM)
		return fail("thread %d: the signature is another one", number);
	errno = 0;
	return 0;
}

/* Moves to each processor and looks whether the kernel says so in the area. */
static int check_updates(int number)
{
	cpu_set_t all, one;

	sched_getaffinity(0, sizeof(all), &all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			err_die("sched_setaffinity");
		if (*(volatile uint32_t *)&area()->cpu_id != (uint32_t)cpu)
			return fail("thread %d runs on processor %d, the area says %u", number, cpu, area()->cpu_id);
	}
	sched_setaffinity(0, sizeof(all), &all);
	return 0;
}

static void *live(void *number)
{
	if (check((intptr_t)number) || check_updates((intptr_t)number))
		err_die("rseq is wrong from the beginning");
	stage_step(started);
	test_wait();
	return (void *)(intptr_t)(check((intptr_t)number) || check_updates((intptr_t)number));
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int bad = 0;

	test_init(argc, argv);
	if (!__rseq_size)
		return skip("the C library has registered nothing");
	started = stage_new();
	for (intptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, live, (void *)i);
	stage_wait(started, THREADS);

	test_ready();
	test_wait();

	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		bad |= result != NULL;
	}
	return bad | check(THREADS) | check_updates(THREADS) ? 1 : pass();
}
