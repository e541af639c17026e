// SPDX-License-Identifier: Apache-2.0
/*
 * Tasks that wait for a signal: in pause(), in sigsuspend() with
 * another mask, in sigwaitinfo().  Only it ends the wait.
 */
#include "zdtm.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	handled += info->si_value.sival_int;
}

static int in_pause(void *unused)
{
	(void)unused;
	return pause() == -1 && errno == EINTR && handled == 5 ? 0 : fail("pause() ended; handled: %d, not 5", handled);
}

/* SIGUSR1 is blocked, but not during the call; SIGUSR2 only during the call. */
static int in_sigsuspend(void *unused)
{
	sigset_t mask, during, after;

	(void)unused;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	sigemptyset(&during);
	sigaddset(&during, SIGUSR2);
	if (sigsuspend(&during) != -1 || errno != EINTR || handled != 5)
		return fail("sigsuspend() ended; handled: %d, not 5", handled);
	sigprocmask(SIG_BLOCK, NULL, &after);
	if (!sigismember(&after, SIGUSR1) || sigismember(&after, SIGUSR2))
		return fail("the signal mask is not what it was before sigsuspend()");
	return 0;
}

static int in_sigwait(void *unused)
{
	siginfo_t info;
	sigset_t set;
	int result;

	(void)unused;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	do
		result = sigwaitinfo(&set, &info);
	while (result < 0 && errno == EINTR);           /* this one is not restarted after a stop (signal(7)) */
	if (result != SIGUSR1 || info.si_value.sival_int != 5 || info.si_pid != getppid() || handled)
		return fail("sigwaitinfo() gave %d, value %d", result, info.si_value.sival_int);
	return 0;
}

int main(int argc, char **argv)
{
	static sleeper_t sleepers[3] = {
		{ in_pause, .call = SYS_pause }, { in_sigsuspend, .call = SYS_rt_sigsuspend },
		{ in_sigwait, .call = SYS_rt_sigtimedwait },
	};
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	int bad;

	test_init(argc, argv);
	sigaction(SIGUSR1, &action, NULL);
	sleepers_start(sleepers, 3);

	test_ready();
	test_wait();

	bad = sleepers_check(sleepers, 3);
	for (int i = 0; i < 3; i++)
		sigqueue(sleepers[i].pid, SIGUSR1, (union sigval) { .sival_int = 5 });
	return sleepers_reap(sleepers, 3) || bad ? 1 : pass();
}
