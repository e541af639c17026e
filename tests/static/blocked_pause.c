// SPDX-License-Identifier: Apache-2.0
/*
 * Tasks that wait for a signal: in pause(), in sigsuspend() with
 * another mask, in sigwaitinfo().  Only it ends the wait.
 */
#include "zdtm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

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
	static int (*const bodies[3])(void *) = { in_pause, in_sigsuspend, in_sigwait };
	static const long calls[3] = { SYS_pause, SYS_rt_sigsuspend, SYS_rt_sigtimedwait };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	pid_t children[3];
	int bad = 0;

	test_init(argc, argv);
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 3; i++) {
		children[i] = test_fork(bodies[i], NULL);
		if (!comes_to(children[i], calls[i]))
			err_die("child %d does not come to system call %ld", i, calls[i]);
	}

	test_ready();
	test_wait();

	for (int i = 0; i < 3; i++) {
		if (!comes_to(children[i], calls[i]))
			bad = fail("child %d is not in system call %ld any more", i, calls[i]);
		sigqueue(children[i], SIGUSR1, (union sigval) { .sival_int = 5 });
		bad |= test_reap(children[i]);
	}
	return bad ? 1 : pass();
}
