// SPDX-License-Identifier: Apache-2.0
/*
 * Sleeps of an hour: until a point of time (never EINTR without a signal), and for a time, going on with what is left.
 * A signal ends them, and then the time left must make sense: not more than before, and not less by minutes.
 */
#include "zdtm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { HOUR = 3600, SLACK = 600 };

static volatile sig_atomic_t woken;

/* The system call in which `pid` sleeps, -1 while it runs. */
static long call_of(pid_t pid)
{
	char path[64];
	long number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &number) != 1)
		number = -1;
	if (file)
		fclose(file);
	return number;
}

static bool comes_to(pid_t pid, long number)
{
	for (int tries = 0; tries < 5000; tries++, usleep(1000)) {
		long now = call_of(pid);

		if (now == number || now == SYS_restart_syscall)
			return true;
	}
	return false;
}

static void on_signal(int number)
{
	(void)number;
	woken++;
}

static int sleep_until(void *clock)
{
	struct timespec end;
	int result;

	clock_gettime((intptr_t)clock, &end);
	end.tv_sec += HOUR;
	result = clock_nanosleep((intptr_t)clock, TIMER_ABSTIME, &end, NULL);
	return result == EINTR && woken == 1 ? 0 : fail("the sleep gave %d after %d signals", result, woken);
}

static int sleep_for(void *clock)
{
	struct timespec left = { .tv_sec = HOUR, .tv_nsec = 999 };
	int result;

	do
		result = clock_nanosleep((intptr_t)clock, 0, &left, &left);
	while (result == EINTR && !woken);
	if (result != EINTR || woken != 1)
		return fail("the sleep gave %d after %d signals", result, woken);
	if (left.tv_sec > HOUR || left.tv_sec < HOUR - SLACK)
		return fail("%ld s of an hour are left", left.tv_sec);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct { int (*body)(void *); long clock; } cases[] = {
		{ sleep_until, CLOCK_MONOTONIC }, { sleep_until, CLOCK_REALTIME }, { sleep_until, CLOCK_BOOTTIME },
		{ sleep_for, CLOCK_MONOTONIC }, { sleep_for, CLOCK_REALTIME },
	};
	enum { COUNT = sizeof(cases) / sizeof(cases[0]) };
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	sigaction(SIGUSR1, &(struct sigaction) { .sa_handler = on_signal }, NULL);
	for (int i = 0; i < COUNT; i++)
		children[i] = test_fork(cases[i].body, (void *)cases[i].clock);
	for (int i = 0; i < COUNT; i++)
		if (!comes_to(children[i], SYS_clock_nanosleep))
			err_die("child %d does not sleep", i);

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++) {
		if (!comes_to(children[i], SYS_clock_nanosleep))
			bad = fail("sleeper %d does not sleep any more", i);
		kill(children[i], SIGUSR1);
		bad |= test_reap(children[i]);
	}
	return bad ? 1 : pass();
}
