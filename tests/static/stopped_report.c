// SPDX-License-Identifier: Apache-2.0
/*
 * A stop that the parent has not asked about yet can be waited for, with the right signal.
 * -DONCE: a stop that it has asked about is not reported a second time.
 */
#include "zdtm.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef ONCE
enum { ASK = 0 };
#else
enum { ASK = WNOWAIT };
#endif

static int live(void *unused)
{
	(void)unused;
	test_wait();
	return 0;
}

static int check(pid_t child)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PID, child, &info, WSTOPPED | WNOHANG))
		return fail("waitid");
	if (!ASK)
		return info.si_pid ? fail("the stop is reported again") : 0;
	if (info.si_pid != child)
		return fail("the stop is not reported");
	if (info.si_code != CLD_STOPPED || info.si_status != SIGTSTP)
		return fail("the stop is reported with code %d status %d", info.si_code, info.si_status);
	return 0;
}

int main(int argc, char **argv)
{
	siginfo_t info;
	pid_t child;
	int bad;

	test_init(argc, argv);
	child = test_fork(live, NULL);
	setpgid(child, child);       /* in the group of the session leader, which is orphaned, SIGTSTP does not stop */
	if (kill(child, SIGTSTP) || waitid(P_PID, child, &info, WSTOPPED | ASK))
		err_die("stopping the child");

	test_ready();
	test_wait();

	bad = check(child);
	kill(child, SIGCONT);
	return bad | test_finish(child) ? 1 : pass();
}
