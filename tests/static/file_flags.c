// SPDX-License-Identifier: Apache-2.0
/* Access mode and status flags of open files, each alone and in combination; and that they still act. */
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const int flags[] = {
	O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_WRONLY | O_APPEND | O_NONBLOCK, O_RDONLY | O_NONBLOCK,
	O_RDONLY | O_NOATIME, O_RDWR | O_DSYNC, O_RDWR | O_SYNC, O_RDONLY | O_CLOEXEC, O_RDWR | O_APPEND | O_SYNC | O_CLOEXEC,
	O_RDONLY | O_NOFOLLOW,
};
enum { COUNT = sizeof(flags) / sizeof(flags[0]) };

static int check(int fd, int opened, int before)
{
	int now = fcntl(fd, F_GETFL), close_on_exec = fcntl(fd, F_GETFD) & FD_CLOEXEC;
	char byte;

	if (now != before)
		return fail("the flags are %o, not %o", now, before);
	if (!close_on_exec != !(opened & O_CLOEXEC))
		return fail("close-on-exec is %d", close_on_exec);
	if ((pread(fd, &byte, 1, 5) == 1) != ((opened & O_ACCMODE) != O_WRONLY))
		return fail("flags %o: reading is wrong", opened);
	if ((pwrite(fd, "x", 1, 5) == 1) != ((opened & O_ACCMODE) != O_RDONLY))
		return fail("flags %o: writing is wrong", opened);
	errno = 0;
	return 0;
}

int main(int argc, char **argv)
{
	int fds[COUNT], before[COUNT], bad = 0;

	test_init(argc, argv);
	close(test_file("data", 100, 1));
	for (int i = 0; i < COUNT; i++) {
		fds[i] = open("data", flags[i]);
		if (fds[i] < 0)
			err_die("open with flags %o", flags[i]);
		before[i] = fcntl(fds[i], F_GETFL);
	}

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= check(fds[i], flags[i], before[i]);
	return bad ? 1 : pass();
}
