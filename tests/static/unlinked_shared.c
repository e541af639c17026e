// SPDX-License-Identifier: Apache-2.0
/* One deleted file, open four times in two processes in different ways, and mapped: it is still one file. */
#include "zdtm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, SIZE = 3 * PAGE + 100 };

static int main_fd, reader, appender;
static char *shared, *private;
static stage_t *stage;

static int child(void *unused)
{
	int own = open("name", O_WRONLY);
	struct stat mine, parents;

	(void)unused;
	stage_step(stage);
	stage_wait(stage, 2);
	if (fstat(own, &mine) || fstat(main_fd, &parents) || mine.st_ino != parents.st_ino)
		return fail("the child's file is another one");
	if (strcmp(shared, "by the parent"))
		return fail("the child's mapping does not show what the parent wrote");
	return pwrite(own, "by the child", 13, PAGE) == 13 ? 0 : fail("pwrite");
}

int main(int argc, char **argv)
{
	char text[32] = "";
	struct stat status;
	uint32_t sum;
	pid_t pid;
	int bad = 0;

	test_init(argc, argv);
	stage = stage_new();
	main_fd = test_file("name", SIZE, test_random());
	reader = open("name", O_RDONLY);
	appender = open("name", O_WRONLY | O_APPEND);
	shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, main_fd, 0);
	private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, main_fd, 0);
	lseek(reader, 777, SEEK_SET);
	sum = data_sum(shared, SIZE);
	strcpy(private + 2 * PAGE, "private");
	pid = test_fork(child, NULL);
	stage_wait(stage, 1);
	if (unlink("name"))
		err_die("unlink");

	test_ready();
	test_wait();

	if (!data_check(shared, SIZE, sum) || lseek(reader, 0, SEEK_CUR) != 777)
		bad = fail("contents or position changed: %ld", lseek(reader, 0, SEEK_CUR));
	if (strcmp(private + 2 * PAGE, "private") || memcmp(private, shared, 2 * PAGE))
		bad = fail("the private mapping changed");
	write_all(main_fd, "by the parent", 14);
	stage_step(stage);
	bad |= test_reap(pid);
	if (strcmp(shared + PAGE, "by the child"))
		bad = fail("the mapping does not show what the child wrote");
	write_all(appender, "end", 3);
	if (pread(reader, text, sizeof(text), SIZE) != 3 || memcmp(text, "end", 3))
		bad = fail("what is appended is not read");
	if (fstat(reader, &status) || status.st_nlink || status.st_size != SIZE + 3)
		bad = fail("the file has %lu names and %ld bytes", status.st_nlink, status.st_size);
	return bad ? 1 : pass();
}
