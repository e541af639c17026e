// SPDX-License-Identifier: Apache-2.0
/*
 * Files with odd names: spaces, newlines, backslashes, bytes that
 * are no text, " (deleted)", and the longest allowed.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES = 9 };

static const char *names[NAMES] = {
	" ", "new\nline", "back\\134slash", "tab\there", "\xff\xfe\x01", "file (deleted)", "pipe:[1234]", "-dash \"quote'",
};
static char longest[256], path_before[NAMES][4096];

static void path_of(int fd, char *path)
{
	char link[64];
	ssize_t size;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	size = readlink(link, path, 4095);
	path[size < 0 ? 0 : size] = 0;
}

int main(int argc, char **argv)
{
	int fds[NAMES], bad = 0;
	char *maps[NAMES], path[4096];
	struct stat by_name, by_fd;

	test_init(argc, argv);
	memset(longest, 'L', 255);
	names[NAMES - 1] = longest;
	for (int i = 0; i < NAMES; i++) {
		fds[i] = test_file(names[i], 5000 + i, i);
		maps[i] = mmap(NULL, 4096, PROT_READ, i % 2 ? MAP_SHARED : MAP_PRIVATE, fds[i], 0);
		lseek(fds[i], i * 10, SEEK_SET);
		path_of(fds[i], path_before[i]);
	}

	test_ready();
	test_wait();

	for (int i = 0; i < NAMES; i++) {
		char wanted[5000];

		data_fill(wanted, sizeof(wanted), i);
		path_of(fds[i], path);
		if (strcmp(path, path_before[i]))
			bad = fail("file %d is \"%s\", not \"%s\"", i, path, path_before[i]);
		if (stat(names[i], &by_name) || fstat(fds[i], &by_fd) || by_name.st_ino != by_fd.st_ino)
			bad = fail("the descriptor of file %d is of another file than its name", i);
		if (lseek(fds[i], 0, SEEK_CUR) != i * 10 || memcmp(maps[i], wanted, 4096))
			bad = fail("position or mapping of file %d changed", i);
	}
	return bad ? 1 : pass();
}
