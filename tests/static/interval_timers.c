// SPDX-License-Identifier: Apache-2.0
/* Interval timers, far from expiry: value and interval of all three; a child without any. The real one still works. */
#include "zdtm.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

enum { SLACK = 600 };

static const struct itimerval wanted[3] = {
	[ITIMER_REAL] = { .it_value = { 5000, 123456 }, .it_interval = { 77, 654321 } },
	[ITIMER_VIRTUAL] = { .it_value = { 3000, 0 }, .it_interval = { 0, 0 } },
	[ITIMER_PROF] = { .it_value = { 4000, 8000 }, .it_interval = { 123456, 4000 } },
};
static volatile sig_atomic_t fired;

static void on_alarm(int number)
{
	(void)number;
	fired++;
}

static int check(int which)
{
	struct itimerval now, end = wanted[which];

	if (getitimer(which, &now))
		return fail("getitimer(%d)", which);
	if (now.it_interval.tv_sec != end.it_interval.tv_sec || now.it_interval.tv_usec != end.it_interval.tv_usec)
		return fail("timer %d has an interval of %ld.%06ld s", which, now.it_interval.tv_sec, now.it_interval.tv_usec);
	if (now.it_value.tv_sec > end.it_value.tv_sec || now.it_value.tv_sec < end.it_value.tv_sec - SLACK)
		return fail("timer %d expires in %ld.%06ld s", which, now.it_value.tv_sec, now.it_value.tv_usec);
	return 0;
}

static int without_timers(void *unused)
{
	struct itimerval now;

	(void)unused;
	test_wait();
	for (int which = 0; which < 3; which++)
		if (getitimer(which, &now) || now.it_value.tv_sec || now.it_value.tv_usec || now.it_interval.tv_sec)
			return fail("the child, which has no timers, has timer %d", which);
	return 0;
}

int main(int argc, char **argv)
{
	struct itimerval soon = { .it_value = { 0, 1000 } };
	pid_t child;
	int bad = 0;

	test_init(argc, argv);
	signal(SIGALRM, on_alarm);
	child = test_fork(without_timers, NULL);
	for (int which = 0; which < 3; which++)
		if (setitimer(which, &wanted[which], NULL))
			err_die("setitimer(%d)", which);

	test_ready();
	test_wait();

	for (int which = 0; which < 3; which++)
		bad |= check(which);
	if (fired)
		bad = fail("the real timer fired, hours too early");
	setitimer(ITIMER_REAL, &soon, NULL);
	while (!fired)
		usleep(100);
	return test_finish(child) | bad ? 1 : pass();
}
