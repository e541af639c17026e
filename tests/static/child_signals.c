// SPDX-License-Identifier: Apache-2.0
/*
 * Children that were made by clone(2) with another signal than SIGCHLD, or
 * none: their parent hears of their end as it wanted to.
 */
#include "zdtm.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 4 };
static const int SIGNALS[CHILDREN] = { 0, SIGUSR1, SIGCHLD, 40 };
static volatile sig_atomic_t count[65];

static void on_signal(int number)
{
	count[number]++;
}

static pid_t clone_with(int number, bool dead)
{
	pid_t pid = syscall(SYS_clone, number, 0, 0, 0, 0);

	if (pid < 0)
		err_die("clone");
	if (pid)
		return pid;
	if (dead)
		_exit(7);
	test_wait();
	_exit(3);
}

static int check(pid_t pid, int signal, int status, bool dead)
{
	int got = 0;

	if (signal != SIGCHLD && waitpid(pid, &got, WNOHANG) >= 0)
		return fail("a child with signal %d is seen by a wait without __WCLONE", signal);
	if (!dead) {
		count[signal] = count[SIGCHLD] = 0;
		if (kill(pid, SIGTERM))
			return fail("kill");
	}
	if (waitpid(pid, &got, __WALL) != pid)
		return fail("waitpid of the child with signal %d", signal);
	if (!WIFEXITED(got) || WEXITSTATUS(got) != status)
		return fail("the child with signal %d ended with %#x", signal, got);
	if (!dead && count[SIGCHLD] != (signal == SIGCHLD))
		return fail("the child with signal %d sent %d times SIGCHLD", signal, count[SIGCHLD]);
	if (!dead && signal && count[signal] != 1)
		return fail("the child with signal %d sent it %d times", signal, count[signal]);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pid_t alive[CHILDREN], dead[CHILDREN];
	sig_atomic_t before[65];
	siginfo_t info;
	int i, bad = 0;

	test_init(argc, argv);
	for (i = 0; i < CHILDREN; i++) {
		if (SIGNALS[i])
			sigaction(SIGNALS[i], &action, NULL);
		alive[i] = clone_with(SIGNALS[i], false);
		dead[i] = clone_with(SIGNALS[i], true);
		if (waitid(P_PID, dead[i], &info, WEXITED | WNOWAIT | __WALL))
			err_die("waitid");
	}

	memcpy(before, (const void *)count, sizeof(before));

	test_ready();
	test_wait();

	for (i = 1; i < 65; i++)
		if (count[i] != before[i])
			bad = fail("signal %d came %d times meanwhile", i, count[i] - before[i]);
	for (i = 0; i < CHILDREN; i++) {
		bad |= check(dead[i], SIGNALS[i], 7, true);
		bad |= check(alive[i], SIGNALS[i], 3, false);
	}
	return bad ? 1 : pass();
}
