// SPDX-License-Identifier: Apache-2.0
/*
 * Children stopped by different signals stay stopped, with their signal, until SIGCONT; one not stopped stays so.
 * -DTERMINAL: by the signals that a terminal sends to background tasks.
 */
#include "zdtm.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef TERMINAL
static const int signals[] = { SIGTTIN, SIGTTOU, 0 };
#else
static const int signals[] = { SIGSTOP, SIGTSTP, 0 };
#endif
enum { COUNT = sizeof(signals) / sizeof(signals[0]) };

static int live(void *unused)
{
	uint32_t memory[500], sum = data_fill(memory, sizeof(memory), test_random());

	(void)unused;
	test_wait();
	return data_check(memory, sizeof(memory), sum) ? 0 : fail("the memory of a stopped child changed");
}

static char state_of(pid_t pid)
{
	char path[64], line[300] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file || !fgets(line, sizeof(line), file))
		err_die("reading %s", path);
	fclose(file);
	return strrchr(line, ')')[2];
}

static void stop(pid_t pid, int signo)
{
	siginfo_t info;

	setpgid(pid, pid);       /* in the group of the session leader, which is orphaned, only SIGSTOP stops */
	if (kill(pid, signo) || waitid(P_PID, pid, &info, WSTOPPED))
		err_die("stopping a child");
	if (info.si_code != CLD_STOPPED || info.si_status != signo)
		err_die("the child stopped with %d, not with %d", info.si_status, signo);
}

static int check(pid_t pid, int signo)
{
	siginfo_t info = { .si_pid = 0 };

	if (state_of(pid) != (signo ? 'T' : 'S'))
		return fail("the child with signal %d is in state %c", signo, state_of(pid));
	if (!signo)
		return 0;
	kill(pid, SIGCONT);
	if (waitid(P_PID, pid, &info, WCONTINUED) || info.si_code != CLD_CONTINUED)
		return fail("the child with signal %d does not go on: code %d", signo, info.si_code);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	for (int i = 0; i < COUNT; i++) {
		children[i] = test_fork(live, NULL);
		if (signals[i])
			stop(children[i], signals[i]);
	}
	while (state_of(children[COUNT - 1]) != 'S')
		usleep(100);

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++) {
		bad |= check(children[i], signals[i]);
		bad |= test_finish(children[i]);
	}
	return bad ? 1 : pass();
}
