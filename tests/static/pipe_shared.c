// SPDX-License-Identifier: Apache-2.0
/*
 * Both ends of one pipe in five processes: the children inherit the writing end from the parent (one description),
 * and open a second one of their own through /proc.  Flags go with the description, data and end of file with the pipe.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHILDREN = 4 };

static int ends[2];
static stage_t *stage;

static int open_again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags);
	if (fd < 0)
		err_die("open(%s)", path);
	return fd;
}

static int child(void *argument)
{
	int number = (intptr_t)argument, own = open_again(ends[1], O_WRONLY), bad = 0;
	char text[16];

	stage_step(stage);
	stage_wait(stage, CHILDREN + number + 1);
	if (fcntl(own, F_GETFL) & O_NONBLOCK)
		bad = fail("child %d: its own end became non-blocking", number);
	if (!(fcntl(ends[1], F_GETFL) & O_NONBLOCK))
		bad = fail("child %d: the inherited end is not the parent's any more", number);
	snprintf(text, sizeof(text), "%d own ", number);
	write_all(own, text, strlen(text));
	snprintf(text, sizeof(text), "%d old ", number);
	write_all(ends[1], text, strlen(text));
	stage_step(stage);
	return bad;
}

int main(int argc, char **argv)
{
	static const char wanted[] = "before 0 own 0 old 1 own 1 old 2 own 2 old 3 own 3 old ";
	char got[sizeof(wanted)] = "";
	pid_t pids[CHILDREN];
	int bad = 0;

	test_init(argc, argv);
	stage = stage_new();
	if (pipe(ends))
		err_die("pipe");
	for (intptr_t i = 0; i < CHILDREN; i++)
		pids[i] = test_fork(child, (void *)i);
	stage_wait(stage, CHILDREN);
	write_all(ends[1], "before ", 7);

	test_ready();
	test_wait();

	if (fcntl(ends[1], F_SETFL, O_NONBLOCK))
		err_die("F_SETFL");
	stage_step(stage);
	stage_wait(stage, 2 * CHILDREN + 1);
	close(ends[1]);
	for (int i = 0; i < CHILDREN; i++)
		bad |= test_reap(pids[i]);
	if (fcntl(ends[0], F_GETFL) & O_NONBLOCK)
		bad = fail("the reading end became non-blocking");
	read_all(ends[0], got, sizeof(wanted) - 1);
	if (strcmp(got, wanted))
		bad = fail("the pipe held \"%s\", not \"%s\"", got, wanted);
	if (read(ends[0], got, 1) != 0)
		bad = fail("no end of file after all writers went");
	return bad ? 1 : pass();
}
