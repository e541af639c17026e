// SPDX-License-Identifier: Apache-2.0
/* Real, effective, saved and file system ids, all different, of several processes, privileged and not; and they act. */
#include "zdtm.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT = 4 };

static const struct ids {
	uid_t uid[4];
	gid_t gid[4];
} wanted[COUNT] = {
	{ { 0, 0, 0, 0 }, { 0, 0, 0, 0 } },
	{ { 18943, 18943, 18943, 18943 }, { 58467, 58467, 58467, 58467 } },
	{ { 18943, 0, 1001, 2002 }, { 58467, 7, 1003, 4004 } },
	{ { 0, 18943, 4294967294, 18943 }, { 1, 58467, 65534, 58467 } },
};
static stage_t *started;

static void adopt(const struct ids *ids)
{
	if (setgroups(0, NULL))
		err_die("setgroups");
	if (setresgid(ids->gid[0], ids->gid[1], ids->gid[2]))
		err_die("setresgid");
	setfsgid(ids->gid[3]);
	if (setresuid(ids->uid[0], ids->uid[1], ids->uid[2]))
		err_die("setresuid");
	setfsuid(ids->uid[3]);
}

static int check(int number, const struct ids *ids)
{
	struct ids now;

	getresuid(&now.uid[0], &now.uid[1], &now.uid[2]);
	getresgid(&now.gid[0], &now.gid[1], &now.gid[2]);
	now.uid[3] = setfsuid(-1);
	now.gid[3] = setfsgid(-1);
	for (int i = 0; i < 4; i++)
		if (now.uid[i] != ids->uid[i] || now.gid[i] != ids->gid[i])
			return fail("process %d: id %d is %u:%u, not %u:%u", number, i, now.uid[i], now.gid[i], ids->uid[i], ids->gid[i]);
	return 0;
}

/* A new file belongs to the file system ids. */
static int check_owner(int number, const struct ids *ids)
{
	char name[] = "owned-0";
	struct stat status;
	int fd;

	name[6] += number;
	fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (fd < 0 || fstat(fd, &status))
		return fail("process %d cannot make a file", number);
	if (status.st_uid != ids->uid[3] || status.st_gid != ids->gid[3])
		return fail("process %d makes files of %u:%u", number, status.st_uid, status.st_gid);
	return 0;
}

static int live(void *argument)
{
	int number = (intptr_t)argument;

	adopt(&wanted[number]);
	stage_step(started);
	test_wait();
	return check(number, &wanted[number]) || check_owner(number, &wanted[number]);
}

int main(int argc, char **argv)
{
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	if (chmod(".", 0777))
		err_die("chmod");
	for (intptr_t i = 0; i < COUNT; i++)
		children[i] = test_fork(live, (void *)i);
	stage_wait(started, COUNT);

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= test_finish(children[i]);
	return bad ? 1 : pass();
}
