// SPDX-License-Identifier: Apache-2.0
/*
 * An interval timer ticks every two milliseconds while the program
 * computes; it goes on ticking, and none comes too early.
 */
#include "zdtm.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

enum { PERIOD = 2000 };           /* microseconds */

static volatile sig_atomic_t ticks;

static void on_tick(int number)
{
	(void)number;
	ticks++;
}

static int64_t microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	struct itimerval period = { { 0, PERIOD }, { 0, PERIOD } }, now;
	int64_t start, passed;
	int before;

	test_init(argc, argv);
	sigaction(SIGALRM, &(struct sigaction) { .sa_handler = on_tick, .sa_flags = SA_RESTART }, NULL);
	start = microseconds();
	if (setitimer(ITIMER_REAL, &period, NULL))
		err_die("setitimer");
	test_ready();
	while (test_running())
		;
	before = ticks;
	while (ticks < before + 10)      /* hangs if it does not tick any more */
		;
	passed = microseconds() - start;
	if (ticks > passed / PERIOD + 1)
		return fail("%d ticks of %d us in %ld us", ticks, PERIOD, passed);
	if (getitimer(ITIMER_REAL, &now) || now.it_interval.tv_usec != PERIOD || now.it_interval.tv_sec)
		return fail("the interval is %ld.%06ld s", now.it_interval.tv_sec, now.it_interval.tv_usec);
	note("%d ticks", ticks);
	return pass();
}
