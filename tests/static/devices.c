// SPDX-License-Identifier: Apache-2.0
/* The memory devices, each opened in its own way: they are still what they were, and do what they do. */
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const struct {
	const char *path;
	int flags;
	unsigned int minor;
} cases[] = {
	{ "/dev/null", O_RDWR, 3 }, { "/dev/zero", O_RDONLY | O_CLOEXEC, 5 }, { "/dev/full", O_RDWR | O_NONBLOCK, 7 },
	{ "/dev/random", O_RDONLY, 8 }, { "/dev/urandom", O_RDONLY | O_NONBLOCK | O_CLOEXEC, 9 },
	{ "/dev/null", O_WRONLY | O_APPEND, 3 },
};
enum { COUNT = sizeof(cases) / sizeof(cases[0]) };

static int check(int number, int fd, int flags)
{
	struct stat status;

	if (fstat(fd, &status) || !S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, cases[number].minor))
		return fail("%s is device %u:%u", cases[number].path, major(status.st_rdev), minor(status.st_rdev));
	if (fcntl(fd, F_GETFL) != flags || !(fcntl(fd, F_GETFD) & FD_CLOEXEC) != !(cases[number].flags & O_CLOEXEC))
		return fail("%s has flags %o, not %o", cases[number].path, fcntl(fd, F_GETFL), flags);
	return 0;
}

static int check_use(const int *fds)
{
	char data[32], zeros[32] = "";

	memset(data, 1, sizeof(data));
	if (write(fds[0], data, 32) != 32 || read(fds[0], data, 32) != 0)
		return fail("/dev/null does not swallow everything");
	if (read(fds[1], data, 32) != 32 || memcmp(data, zeros, 32))
		return fail("/dev/zero does not give zeros");
	if (write(fds[2], data, 1) != -1 || errno != ENOSPC)
		return fail("/dev/full is not full");
	errno = 0;
	for (int i = 3; i < 5; i++)
		if (memset(data, 0, 32), read(fds[i], data, 32) != 32 || !memcmp(data, zeros, 32))
			return fail("%s gives no random bytes", cases[i].path);
	return 0;
}

int main(int argc, char **argv)
{
	int fds[COUNT], flags[COUNT], bad = 0;

	test_init(argc, argv);
	for (int i = 0; i < COUNT; i++) {
		fds[i] = open(cases[i].path, cases[i].flags);
		if (fds[i] < 0)
			err_die("open of %s", cases[i].path);
		flags[i] = fcntl(fds[i], F_GETFL);
	}

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= check(i, fds[i], flags[i]);
	return bad | check_use(fds) ? 1 : pass();
}
