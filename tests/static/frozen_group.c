// SPDX-License-Identifier: Apache-2.0
/*
 * A tree with threads in a freezer group of its own (--group=DIRECTORY): the engine is told to freeze by it.  Nobody is
 * frozen at the end, and the tree goes on; a counter shows that.
 */
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHILDREN = 5 };

static _Atomic uint64_t *counters;      /* shared, one for each child */
static const char *group;

/* Moves this process into the group, or (NULL) back to the root of the hierarchy. */
static int enter(const char *directory)
{
	char path[300], text[32];
	int fd;

	snprintf(path, sizeof(path), "%s/%scgroup.procs", group, directory ? "" : "../");
	snprintf(text, sizeof(text), "%d\n", getpid());
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	write_all(fd, text, strlen(text));
	return close(fd);
}

static void *count(void *counter)
{
	while (test_running())
		++*(_Atomic uint64_t *)counter;
	return NULL;
}

static int live(void *argument)
{
	intptr_t number = (intptr_t)argument;
	pthread_t thread;

	if (number == 0)
		pthread_create(&thread, NULL, count, &counters[0]);
	test_wait();
	if (number == 0)
		pthread_join(thread, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t children[CHILDREN];
	uint64_t before;
	int bad = 0;

	test_init(argc, argv);
	group = test_option("group", "");
	if (mkdir(group, 0755) && errno != EEXIST)
		return skip("the directory %s cannot be made", group);
	if (enter(group))
		err_die("entering %s", group);
	counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (intptr_t i = 0; i < CHILDREN; i++)
		children[i] = test_fork(live, (void *)i);
	errno = 0;

	test_ready();
	test_wait();

	before = counters[0];
	while (counters[0] == before)
		usleep(100);                  /* hangs if the tree is frozen still */
	for (int i = 0; i < CHILDREN; i++)
		bad |= test_finish(children[i]);
	enter(NULL);
	if (rmdir(group) && errno != ENOENT)
		bad = fail("somebody is left in %s", group);
	return bad ? 1 : pass();
}
