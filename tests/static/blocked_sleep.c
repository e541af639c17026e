// SPDX-License-Identifier: Apache-2.0
/*
 * Sleeps of an hour: until a point of time (never EINTR without a signal), and for a time, going on with what is left.
 * A signal ends them, and then the time left must make sense: not more than before, and not less by minutes.
 */
#include "zdtm.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { HOUR = 3600, SLACK = 600 };

static volatile sig_atomic_t woken;

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
	static sleeper_t sleepers[5] = {
		{ sleep_until, (void *)CLOCK_MONOTONIC, SYS_clock_nanosleep, 0 },
		{ sleep_until, (void *)CLOCK_REALTIME, SYS_clock_nanosleep, 0 },
		{ sleep_until, (void *)CLOCK_BOOTTIME, SYS_clock_nanosleep, 0 },
		{ sleep_for, (void *)CLOCK_MONOTONIC, SYS_clock_nanosleep, 0 },
		{ sleep_for, (void *)CLOCK_REALTIME, SYS_clock_nanosleep, 0 },
	};
	int bad;

	test_init(argc, argv);
	sigaction(SIGUSR1, &(struct sigaction) { .sa_handler = on_signal }, NULL);
	sleepers_start(sleepers, 5);

	test_ready();
	test_wait();

	bad = sleepers_check(sleepers, 5);
	for (int i = 0; i < 5; i++)
		kill(sleepers[i].pid, SIGUSR1);
	return sleepers_reap(sleepers, 5) || bad ? 1 : pass();
}
