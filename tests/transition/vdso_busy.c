// SPDX-License-Identifier: Apache-2.0
/*
 * Threads that are in the vDSO nearly all the time, one for each function whose answer depends on the kernel's data; a
 * timer's signal interrupts the first one every --interval microseconds of work (0: never).  No time may go back.
 */
#include "zdtm.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { BATCH = 1000, THREADS = 5 };
static uint64_t rounds[THREADS], ticks;
static void *first_function; /* of the first thread */
static int (*resolution)(clockid_t, struct timespec *) = clock_getres;

static int64_t nanoseconds(clockid_t clock)
{
	struct timespec time = { -1, -1 };

	return clock_gettime(clock, &time) ? -1 : time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Lingers wherever it has interrupted, but for the first bytes of the function: an engine that moves the program to
 * another kernel writes a jump over them, so who returns there is lost. */
static void tick(int number, siginfo_t *info, void *context)
{
	uintptr_t at = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	struct timespec moment = { 0, 2000000 };

	(void)number, (void)info;
	ticks++;
	if ((at - (uintptr_t)first_function) % 4096 >= 16)
		nanosleep(&moment, NULL);
}

static void find_first_function(void)
{
	void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);

	first_function = vdso ? dlsym(vdso, "__vdso_clock_gettime") : NULL;
	if (!first_function)
		err_die("the vDSO lacks clock_gettime");
}

static int go_on(clockid_t clock, int64_t *last)
{
	for (int i = 0; i < BATCH; i++) {
		int64_t now = nanoseconds(clock);

		if (now < *last)
			return fail("clock %d says %ld after %ld", clock, now, *last);
		*last = now;
	}
	return 0;
}

static int seconds(int64_t *last)
{
	for (int i = 0; i < BATCH; i++) {
		int64_t now = time(NULL);

		if (now < *last)
			return fail("time() says %ld after %ld", now, *last);
		*last = now;
	}
	return 0;
}

static int resolutions(int64_t *last)
{
	struct timespec said;

	for (int i = 0; i < BATCH; i++) {
		if (resolution(CLOCK_MONOTONIC, &said) || (*last && said.tv_nsec != *last))
			return fail("a resolution of %ld ns, was %ld", said.tv_nsec, *last);
		*last = said.tv_nsec;
	}
	return 0;
}

static void *work(void *argument)
{
	uint64_t *mine = argument;
	int kind = mine - rounds, bad = 0;
	int64_t last = 0;

	for (; !bad && (test_running() || *mine < 10); ++*mine) {
		if (kind == 0)
			bad = go_on(CLOCK_MONOTONIC, &last);
		else if (kind == 1)
			bad = go_on(CLOCK_MONOTONIC_COARSE, &last);
		else if (kind == 2)
			bad = seconds(&last);
		else if (kind == 3)
			bad = resolutions(&last);
		else
			bad = go_on(CLOCK_REALTIME_COARSE, &last);
	}
	return (void *)(intptr_t)bad;
}

int main(int argc, char **argv)
{
	struct itimerval often = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_sigaction = tick, .sa_flags = SA_RESTART | SA_SIGINFO };
	sigset_t profiling;
	pthread_t threads[THREADS];
	bool bad = false;

	test_init(argc, argv);
	often.it_value.tv_usec = often.it_interval.tv_usec = atoi(test_option("interval", "3000"));
	find_first_function();
	sigemptyset(&profiling);
	sigaddset(&profiling, SIGPROF);
	if (sigaction(SIGPROF, &action, NULL) || setitimer(ITIMER_PROF, &often, NULL) ||
	    pthread_sigmask(SIG_BLOCK, &profiling, NULL))
		err_die("the timer");
	for (int i = 1; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, &rounds[i]))
			err_die("pthread_create");
	for (int i = 1; i < THREADS; i++) /* they have all begun */
		while (!__atomic_load_n(&rounds[i], __ATOMIC_ACQUIRE))
			sched_yield();
	if (pthread_sigmask(SIG_UNBLOCK, &profiling, NULL))
		err_die("pthread_sigmask");
	test_ready();
	bad = work(&rounds[0]) != NULL;
	for (int i = 1; i < THREADS; i++) {
		void *result;

		if (pthread_join(threads[i], &result) || result)
			bad = true;
	}
	note("rounds: %lu %lu %lu %lu %lu, %lu ticks", rounds[0], rounds[1], rounds[2], rounds[3], rounds[4], ticks);
	return bad ? 1 : pass();
}
