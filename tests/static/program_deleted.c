// SPDX-License-Identifier: Apache-2.0
/* The program runs from a copy of itself that was deleted: its code, its exe link and its name go on. */
#include "zdtm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static const int numbers[1024] = { 3, 1, 4, 1, 5, 9 };     /* in the file's read-only data, touched only at the end */

static void copy_and_run(char **argv)
{
	int from = open("/proc/self/exe", O_RDONLY), to = open("copy", O_WRONLY | O_CREAT | O_EXCL, 0700);
	struct stat status;

	if (from < 0 || to < 0 || fstat(from, &status) || sendfile(to, from, NULL, status.st_size) != status.st_size)
		err_die("copying the program");
	close(from);
	close(to);
	setenv("COPIED", "1", 1);
	execv("copy", argv);
	err_die("execv");
}

int main(int argc, char **argv)
{
	char before[4096] = "", now[4096] = "", name[64] = "";
	struct stat first, second;
	int fd, sum = 0, bad = 0;

	test_init(argc, argv);
	if (!getenv("COPIED"))
		copy_and_run(argv);
	if (unlink("copy") || readlink("/proc/self/exe", before, sizeof(before) - 1) < 0 || stat("/proc/self/exe", &first))
		err_die("unlink or readlink");

	test_ready();
	test_wait();

	for (int i = 0; i < 1024; i++)
		sum += numbers[i];
	if (sum != 23)
		bad = fail("the program's constants add up to %d, not 23", sum);
	if (readlink("/proc/self/exe", now, sizeof(now) - 1) < 0 || !strstr(now, " (deleted)"))
		bad = fail("the exe link is \"%s\", before it was \"%s\"", now, before);
	if (stat("/proc/self/exe", &second) || second.st_size != first.st_size || second.st_nlink)
		bad = fail("the file of the program has %ld bytes and %lu names", second.st_size, second.st_nlink);
	if (second.st_mode != first.st_mode)
		bad = fail("the file of the program has the mode %o, not %o", second.st_mode, first.st_mode);
	fd = open("/proc/self/comm", O_RDONLY);
	if (read(fd, name, sizeof(name) - 1) < 0 || strcmp(name, "copy\n"))
		bad = fail("the name is \"%s\", not \"copy\"", name);
	return bad ? 1 : pass();
}
