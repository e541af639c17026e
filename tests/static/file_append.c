// SPDX-License-Identifier: Apache-2.0
/* O_APPEND writers in two processes, with positions elsewhere: every write goes to the end, and both see one file. */
#include "zdtm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int inherited, own;
static stage_t *stage;

static int child(void *unused)
{
	(void)unused;
	own = open("log", O_WRONLY | O_APPEND);
	stage_step(stage);
	stage_wait(stage, 2);
	write_all(own, "child ", 6);
	write_all(inherited, "again ", 6);
	return lseek(own, 0, SEEK_CUR) == 20 ? 0 : fail("the child's position is %ld, not 20", lseek(own, 0, SEEK_CUR));
}

int main(int argc, char **argv)
{
	static const char wanted[] = "before parent child again last ";
	char text[64] = "";
	struct stat status;
	int reader, bad;
	pid_t pid;

	test_init(argc, argv);
	stage = stage_new();
	inherited = open("log", O_RDWR | O_APPEND | O_CREAT | O_EXCL, 0600);
	pid = test_fork(child, NULL);
	stage_wait(stage, 1);
	write_all(inherited, "before ", 7);
	reader = open("log", O_RDONLY);
	lseek(reader, 3, SEEK_SET);
	lseek(inherited, 2, SEEK_SET);

	test_ready();
	test_wait();

	bad = lseek(inherited, 0, SEEK_CUR) != 2 && fail("the position is %ld, not 2", lseek(inherited, 0, SEEK_CUR));
	write_all(inherited, "parent ", 7);
	stage_step(stage);
	bad |= test_reap(pid);
	write_all(inherited, "last ", 5);
	if (lseek(reader, 0, SEEK_CUR) != 3 || pread(reader, text, sizeof(text), 0) < 0 || strcmp(text, wanted))
		bad = fail("the file holds \"%s\", not \"%s\"", text, wanted);
	if (fstat(reader, &status) || status.st_size != sizeof(wanted) - 1)
		bad = fail("the file has %ld bytes", status.st_size);
	return bad ? 1 : pass();
}
