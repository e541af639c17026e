// SPDX-License-Identifier: Apache-2.0
/*
 * Dead children that nobody has waited for yet: how they ended, their
 * name, group and session, and who their parent is.
 */
#include "zdtm.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLAIN, GROUP, SESSION };

static const struct {
	int code, status, place;
} cases[] = {
#ifdef HIGH
	{ CLD_EXITED, 128, PLAIN }, { CLD_EXITED, 129, GROUP }, { CLD_EXITED, 254, PLAIN }, { CLD_EXITED, 255, SESSION },
#else
	{ CLD_EXITED, 0, PLAIN }, { CLD_EXITED, 1, GROUP }, { CLD_EXITED, 127, SESSION }, { CLD_EXITED, 77, PLAIN },
#endif
	{ CLD_KILLED, SIGKILL, PLAIN }, { CLD_KILLED, SIGTERM, GROUP }, { CLD_KILLED, SIGSEGV, PLAIN },
	{ CLD_KILLED, SIGABRT, SESSION }, { CLD_KILLED, SIGHUP, PLAIN },
};
enum { COUNT = sizeof(cases) / sizeof(cases[0]) };

static int die(void *argument)
{
	int number = (intptr_t)argument;
	char name[16];

	snprintf(name, sizeof(name), "dead (%d) X 1", number);
	prctl(PR_SET_NAME, name);
	if (cases[number].place == GROUP)
		setpgid(0, 0);
	if (cases[number].place == SESSION)
		setsid();
	if (cases[number].code == CLD_EXITED)
		_exit(cases[number].status);
	signal(cases[number].status, SIG_DFL);
	raise(cases[number].status);
	return 99;
}

/* "pid (name) state ppid pgrp session" of /proc/PID/stat. */
static void describe(pid_t pid, char *text, size_t size)
{
	char path[64], line[512] = "";
	FILE *file;
	char *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file || !fgets(line, sizeof(line), file))
		err_die("reading %s", path);
	fclose(file);
	end = strrchr(line, ')');
	for (int fields = 0; end && fields < 5; fields++)
		end = strchr(end + 1, ' ');
	snprintf(text, size, "%.*s", end ? (int)(end - line) : 0, line);
}

int main(int argc, char **argv)
{
	char before[COUNT][200], now[200];
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	setrlimit(RLIMIT_CORE, &(struct rlimit) { 0, 0 });
	for (intptr_t i = 0; i < COUNT; i++) {
		siginfo_t info;

		children[i] = test_fork(die, (void *)i);
		waitid(P_PID, children[i], &info, WEXITED | WNOWAIT);
		describe(children[i], before[i], sizeof(before[i]));
	}

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++) {
		siginfo_t info = { .si_pid = 0 };

		describe(children[i], now, sizeof(now));
		if (strcmp(now, before[i]))
			bad = fail("zombie %d is \"%s\", not \"%s\"", i, now, before[i]);
		if (waitid(P_PID, children[i], &info, WEXITED | WNOHANG) || info.si_pid != children[i])
			bad = fail("zombie %d cannot be waited for", i);
		if (info.si_code != cases[i].code || info.si_status != cases[i].status)
			bad = fail("zombie %d ended with code %d status %d, not %d %d", i, info.si_code, info.si_status,
				   cases[i].code, cases[i].status);
	}
	return bad ? 1 : pass();
}
