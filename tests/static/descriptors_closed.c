// SPDX-License-Identifier: Apache-2.0
/* A child without any descriptor, one with number 0 alone, one whose number 1 is something else: they get no others. */
#include "zdtm.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { CHILDREN = 3, ALL_RIGHT = 70 };

static stage_t *started;

static void arrange(int number)
{
	for (int fd = 0; fd < 100; fd++)
		if (number != 1 || fd != 0)
			close(fd);
	if (number == 2 && (open("/dev/zero", O_RDONLY) != 0 || dup2(0, 1) != 1 || close(0)))
		_exit(1);
}

/* It has no place to say what is wrong: the exit status does. */
static int live(void *argument)
{
	int number = (intptr_t)argument, wanted = number == 0 ? -1 : number - 1;
	char byte = 1;

	arrange(number);
	stage_step(started);
	test_wait();
	for (int fd = 0; fd < 100; fd++)
		if ((fcntl(fd, F_GETFD) >= 0) != (fd == wanted))
			_exit(fd);
	if (number == 2 && (read(1, &byte, 1) != 1 || byte))
		_exit(101);
	_exit(ALL_RIGHT);
}

int main(int argc, char **argv)
{
	pid_t children[CHILDREN];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (intptr_t i = 0; i < CHILDREN; i++)
		children[i] = test_fork(live, (void *)i);
	stage_wait(started, CHILDREN);

	test_ready();
	test_wait();

	for (int i = 0; i < CHILDREN; i++) {
		int status;

		kill(children[i], SIGTERM);
		status = test_reap(children[i]);
		if (status != ALL_RIGHT)
			bad = fail("child %d found descriptor %d open or closed, or (101) another file", i, status);
	}
	return bad ? 1 : pass();
}
