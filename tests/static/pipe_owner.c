// SPDX-License-Identifier: Apache-2.0
/*
 * Pipes have owners and permissions, as fstat(2) shows and as decides who
 * may open them anew through /proc/self/fd.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(const char *name, int fd, int mode, const struct stat *before)
{
	char path[64];
	struct stat now;
	int again;

	if (fstat(fd, &now))
		return fail("fstat of %s", name);
	if (now.st_uid != before->st_uid || now.st_gid != before->st_gid || now.st_mode != before->st_mode)
		return fail("%s: owner %u:%u and mode %o, not %u:%u and %o", name, now.st_uid, now.st_gid, now.st_mode,
			    before->st_uid, before->st_gid, before->st_mode);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, mode | O_NONBLOCK);
	if (again < 0)
		return fail("opening %s anew", name);
	close(again);
	return 0;
}

int main(int argc, char **argv)
{
	int plain[2], changed[2], bad = 0;
	struct stat before[2];

	test_init(argc, argv);
	if (pipe(plain) || pipe(changed) || fchmod(changed[0], 0640) || write(changed[1], "x", 1) != 1)
		err_die("pipe");
	close(plain[1]);
	if (fstat(plain[0], &before[0]) || fstat(changed[0], &before[1]))
		err_die("fstat");

	test_ready();
	test_wait();

	bad |= check("a plain pipe", plain[0], O_RDONLY, &before[0]);
	bad |= check("a changed pipe", changed[0], O_RDONLY, &before[1]);
	bad |= check("its other end", changed[1], O_WRONLY, &before[1]);
	return bad ? 1 : pass();
}
