// SPDX-License-Identifier: Apache-2.0
/*
 * Parent and child send each other numbered signals, all the time:
 * one handles them, one waits for them; none is lost.
 */
#include "zdtm.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t last, wrong;

/* In the parent: the child's answer carries the number of the question. */
static void on_answer(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	if (info->si_value.sival_int != last + 1)
		wrong = 1;
	last = info->si_value.sival_int;
}

static int answer(void *unused)
{
	siginfo_t info;
	sigset_t set;

	(void)unused;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	for (int count = 1;; count++) {
		while (sigwaitinfo(&set, &info) < 0)
			if (errno != EINTR)
				err_die("sigwaitinfo");
		if (info.si_value.sival_int == -1)
			return 0;
		if (info.si_value.sival_int != count || info.si_pid != getppid())
			return fail("signal %d from %d instead of %d", info.si_value.sival_int, info.si_pid, count);
		if (sigqueue(getppid(), SIGRTMIN + 2, info.si_value))
			err_die("sigqueue");
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_answer, .sa_flags = SA_SIGINFO };
	sigset_t blocked, open;
	pid_t child;
	int number;

	test_init(argc, argv);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGRTMIN + 1);
	sigaddset(&blocked, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &blocked, &open);
	sigaction(SIGRTMIN + 2, &action, NULL);
	child = test_fork(answer, NULL);
	test_ready();
	for (number = 1; test_running() || number < 100; number++) {
		if (sigqueue(child, SIGRTMIN + 1, (union sigval) { .sival_int = number }))
			return fail("sigqueue");
		while (last != number && !wrong)
			sigsuspend(&open);
		if (wrong)
			return fail("the answer to %d was lost or doubled, the last is %d", number, last);
	}
	errno = 0;
	sigqueue(child, SIGRTMIN + 1, (union sigval) { .sival_int = -1 });
	note("%d signals", number);
	return test_reap(child) ? 1 : pass();
}
