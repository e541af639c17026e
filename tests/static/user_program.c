// SPDX-License-Identifier: Apache-2.0
/*
 * A program of an ordinary user: its ids, groups and empty
 * capabilities, memory, files that only it may read, children.
 */
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { USER = 18943, GROUP = 58467 };

static int check_ids(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	uint32_t caps[6];
	uid_t uid[3];
	gid_t gid[3], groups[8];

	getresuid(&uid[0], &uid[1], &uid[2]);
	getresgid(&gid[0], &gid[1], &gid[2]);
	for (int i = 0; i < 3; i++)
		if (uid[i] != USER || gid[i] != GROUP)
			return fail("id %d is %u:%u", i, uid[i], gid[i]);
	if (getgroups(8, groups) != 2 || groups[0] != 27495 || groups[1] != 48244)
		return fail("the groups changed");
	if (syscall(SYS_capget, &header, (void *)caps))
		return fail("capget");
	for (int i = 0; i < 6; i++)
		if (caps[i])
			return fail("there are capabilities: word %d is %x", i, caps[i]);
	return 0;
}

static int child(void *unused)
{
	(void)unused;
	test_wait();
	return check_ids();
}

int main(int argc, char **argv)
{
	static char memory[50000];
	struct stat status;
	uint32_t sum;
	char byte;
	int fd, bad;
	pid_t pid;

	test_init(argc, argv);
	if (check_ids())
		err_die("the program was not started as the user");
	fd = test_file("secret", 100, 1);
	lseek(fd, 10, SEEK_SET);
	fchmod(fd, 0400);
	sum = data_fill(memory, sizeof(memory), test_random());
	pid = test_fork(child, NULL);

	test_ready();
	test_wait();

	bad = check_ids();
	if (!data_check(memory, sizeof(memory), sum))
		bad = fail("the memory changed");
	if (fstat(fd, &status) || status.st_uid != USER || (status.st_mode & 0777) != 0400 || lseek(fd, 0, SEEK_CUR) != 10)
		bad = fail("the file belongs to %u, mode %o", status.st_uid, status.st_mode);
	if (write(fd, "x", 1) != 1 || pread(fd, &byte, 1, 10) != 1 || byte != 'x')
		bad = fail("the file cannot be written through the old descriptor");
	if (open("secret", O_RDWR) != -1 || errno != EACCES)
		bad = fail("the file can be opened for writing");
	errno = 0;
	return bad | test_finish(pid) ? 1 : pass();
}
