// SPDX-License-Identifier: Apache-2.0
/*
 * An open directory, read half: the other half follows, every name once; and it serves openat() as before.
 * FLAG is a further flag of the opens, which stays.
 */
#include "zdtm.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef FLAG
#define FLAG 0
#endif

enum { FILES = 300 };

static int seen[FILES];

/* Reads at most `size` bytes of entries; false at the end. */
static bool read_some(int fd, size_t size)
{
	char buffer[4096] __attribute__((aligned(8)));
	long length = syscall(SYS_getdents64, fd, buffer, size);

	if (length < 0)
		err_die("getdents64");
	for (char *place = buffer; place < buffer + length; place += ((struct dirent64 *)place)->d_reclen) {
		const char *name = ((struct dirent64 *)place)->d_name;

		if (*name == 'f')
			seen[atoi(name + 1)]++;
	}
	return length > 0;
}

int main(int argc, char **argv)
{
	int fd, path_only, bad = 0;
	struct stat before, now;
	char name[64];
	off_t position;

	test_init(argc, argv);
	mkdir("directory", 0700);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "directory/f%d", i);
		close(open(name, O_CREAT | O_WRONLY, 0600));
	}
	fd = open("directory", O_RDONLY | FLAG);
	path_only = open(".", O_PATH | FLAG);
	if (fd < 0 || path_only < 0 || fstat(path_only, &before))
		err_die("open");
	for (int i = 0; i < 9; i++)
		read_some(fd, 500);
	position = lseek(fd, 0, SEEK_CUR);

	test_ready();
	test_wait();

	if ((fcntl(fd, F_GETFL) & O_DIRECTORY) != FLAG || (fcntl(path_only, F_GETFL) & O_DIRECTORY) != FLAG)
		bad = fail("the flags are %o and %o", fcntl(fd, F_GETFL), fcntl(path_only, F_GETFL));
	if (lseek(fd, 0, SEEK_CUR) != position)
		bad = fail("the position is %lx, not %lx", lseek(fd, 0, SEEK_CUR), position);
	while (read_some(fd, 4096))
		;
	for (int i = 0; i < FILES; i++)
		if (seen[i] != 1)
			bad = fail("f%d was seen %d times", i, seen[i]);
	if (faccessat(fd, "f7", R_OK, 0) || faccessat(path_only, "directory/f8", R_OK, 0))
		bad = fail("a file cannot be found relative to the directory");
	if (fstat(path_only, &now) || now.st_ino != before.st_ino || getdents64(path_only, name, sizeof(name)) != -1)
		bad = fail("the O_PATH descriptor of the directory is not what it was");
	return bad ? 1 : pass();
}
