// SPDX-License-Identifier: Apache-2.0
/*
 * O_PATH descriptors: of a file, of one without permissions, of a
 * symbolic link itself, of a dangling one, of a device.
 */
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name, *target;        /* target: of a symbolic link */
	int flags;
} cases[] = {
	{ "file", NULL, O_PATH }, { "secret", NULL, O_PATH | O_CLOEXEC }, { "link", "file", O_PATH | O_NOFOLLOW },
	{ "dangling", "no/where", O_PATH | O_NOFOLLOW }, { "link", NULL, O_PATH }, { "/dev/null", NULL, O_PATH },
};
enum { COUNT = sizeof(cases) / sizeof(cases[0]) };

static int check(int fd, int number, const struct stat *before, int flags)
{
	char target[64] = "", byte;
	struct stat now;

	if (fcntl(fd, F_GETFL) != flags || fcntl(fd, F_GETFD) != (cases[number].flags & O_CLOEXEC ? FD_CLOEXEC : 0))
		return fail("%d: flags %o %d, not %o", number, fcntl(fd, F_GETFL), fcntl(fd, F_GETFD), flags);
	if (fstat(fd, &now) || now.st_ino != before->st_ino || now.st_dev != before->st_dev || now.st_mode != before->st_mode)
		return fail("%d: another file, %lu %o", number, now.st_ino, now.st_mode);
	if (read(fd, &byte, 1) != -1 || errno != EBADF)
		return fail("%d: an O_PATH descriptor can be read", number);
	errno = 0;
	if (!cases[number].target)
		return 0;
	if (readlinkat(fd, "", target, sizeof(target) - 1) < 0 || strcmp(target, cases[number].target))
		return fail("%d: the link leads to \"%s\", not to \"%s\"", number, target, cases[number].target);
	return 0;
}

int main(int argc, char **argv)
{
	struct stat before[COUNT];
	int fds[COUNT], flags[COUNT], bad = 0;

	test_init(argc, argv);
	close(test_file("file", 10, 1));
	close(test_file("secret", 10, 2));
	if (chmod("secret", 0) || symlink("file", "link") || symlink("no/where", "dangling"))
		err_die("chmod or symlink");
	for (int i = 0; i < COUNT; i++) {
		fds[i] = open(cases[i].name, cases[i].flags);
		if (fds[i] < 0 || fstat(fds[i], &before[i]))
			err_die("open of %s", cases[i].name);
		flags[i] = fcntl(fds[i], F_GETFL);
	}

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= check(fds[i], i, &before[i], flags[i]);
	return bad ? 1 : pass();
}
