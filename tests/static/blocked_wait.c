// SPDX-License-Identifier: Apache-2.0
/* Tasks asleep in wait4() and waitid() for a child, for a group and for anybody; the child ends when all is over. */
#include "zdtm.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 4 };

static pid_t *grandchildren;   /* shared with all */

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
	static const long calls[COUNT] = { SYS_wait4, SYS_wait4, SYS_wait4, SYS_waitid };
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	grandchildren = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (intptr_t i = 0; i < COUNT; i++) {
		children[i] = test_fork(wait_for_it, (void *)i);
		if (!comes_to(children[i], calls[i]))
			err_die("child %ld does not come to system call %ld", i, calls[i]);
	}

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		if (!comes_to(children[i], calls[i]))
			bad = fail("child %d is not in system call %ld any more", i, calls[i]);
	for (int i = 0; i < COUNT; i++) {
		kill(grandchildren[i], SIGTERM);
		bad |= test_reap(children[i]);
	}
	return bad ? 1 : pass();
}
