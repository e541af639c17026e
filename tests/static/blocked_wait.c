// SPDX-License-Identifier: Apache-2.0
/* Tasks asleep in wait4() and waitid() for a child, for a group and for anybody; the child ends when all is over. */
#include "zdtm.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 4 };

static pid_t *grandchildren;   /* shared with all */

static int end_with(void *status)
{
	test_wait();
	return (intptr_t)status;
}

static int wait_for_it(void *argument)
{
	int number = (intptr_t)argument, status = -1, result;
	siginfo_t info = { .si_pid = 0 };
	pid_t child = test_fork(end_with, (void *)(intptr_t)(50 + number));

	if (number == 2 && setpgid(child, child))
		err_die("setpgid");
	grandchildren[number] = child;
	if (number == 0)
		result = waitpid(child, &status, 0);
	else if (number == 1)
		result = waitpid(-1, &status, __WALL);
	else if (number == 2)
		result = waitpid(-child, &status, 0);
	else
		result = waitid(P_PID, child, &info, WEXITED | WNOWAIT);
	if (number == 3 && (result || info.si_pid != child || info.si_code != CLD_EXITED || info.si_status != 53))
		return fail("waitid gave %d: pid %d, code %d, status %d", result, info.si_pid, info.si_code, info.si_status);
	if (number < 3 && (result != child || !WIFEXITED(status) || WEXITSTATUS(status) != 50 + number))
		return fail("waiter %d: wait4 gave %d and status %x", number, result, status);
	return 0;
}

int main(int argc, char **argv)
{
	static sleeper_t sleepers[COUNT] = {
		{ wait_for_it, (void *)0, SYS_wait4, 0 }, { wait_for_it, (void *)1, SYS_wait4, 0 },
		{ wait_for_it, (void *)2, SYS_wait4, 0 }, { wait_for_it, (void *)3, SYS_waitid, 0 },
	};
	int bad;

	test_init(argc, argv);
	grandchildren = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sleepers_start(sleepers, COUNT);

	test_ready();
	test_wait();

	bad = sleepers_check(sleepers, COUNT);
	for (int i = 0; i < COUNT; i++)
		kill(grandchildren[i], SIGTERM);
	return sleepers_reap(sleepers, COUNT) || bad ? 1 : pass();
}
