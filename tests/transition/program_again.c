// SPDX-License-Identifier: Apache-2.0
/*
 * A process that replaces its program by itself all the time, with the count of that in its arguments.  What outlives
 * execve() does: pid, a descriptor, the signal mask (SIGTERM stays blocked, and is looked for), an ignored signal.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEPT = 50 };          /* number of the descriptor of a file that holds the count and the pid */

struct kept {
	unsigned int count;
	pid_t pid;
};

static void block_sigterm(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool is_over(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGTERM);
}

static int check(unsigned int count)
{
	struct kept kept = { 0, 0 };
	struct sigaction action;
	sigset_t mask;

	if (pread(KEPT, &kept, sizeof(kept), 0) != sizeof(kept) || kept.count != count || kept.pid != getpid())
		return fail("life %u of %d: the file says life %u of %d", count, getpid(), kept.count, kept.pid);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigaction(SIGUSR2, NULL, &action);
	if (!sigismember(&mask, SIGTERM) || action.sa_handler != SIG_IGN || fcntl(KEPT - 1, F_GETFD) >= 0)
		return fail("life %u: the mask, the ignored signal or a closed descriptor changed", count);
	return 0;
}

static void live_again(char **argv, unsigned int count)
{
	struct kept kept = { count, getpid() };
	char text[32];

	if (pwrite(KEPT, &kept, sizeof(kept), 0) != sizeof(kept) || dup3(KEPT, KEPT - 1, O_CLOEXEC) < 0)
		err_die("pwrite or dup3");
	snprintf(text, sizeof(text), "--count=%u", count);
	execv("/proc/self/exe", (char *[]) { argv[0], text, NULL });
	err_die("execv");
}

int main(int argc, char **argv)
{
	unsigned int count;

	block_sigterm();
	test_init(argc, argv);
	count = atoi(test_option("count", "0"));
	if (!count) {
		signal(SIGUSR2, SIG_IGN);
		dup2(test_file("kept", 0, 0), KEPT);
		test_ready();
	} else if (check(count)) {
		return 1;
	}
	if (count < 50 || !is_over())
		live_again(argv, count + 1);
	note("%u lives", count);
	return pass();
}
