// SPDX-License-Identifier: Apache-2.0
/*
 * Working directory, root directory and umask of several processes,
 * in a deep directory, in a chroot, outside its own.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { COUNT = 5 };

static stage_t *started;

/* Makes the file "here" in the working directory and finds out, by the mode it got, what the umask is. */
static mode_t real_umask(void)
{
	struct stat status;
	int fd = open("here", O_CREAT | O_EXCL | O_WRONLY, 0777);

	if (fd < 0 || fstat(fd, &status) || unlink("here"))
		err_die("making the file here");
	close(fd);
	return ~status.st_mode & 0777;
}

static void go(int number)
{
	static const char *const names[COUNT] = { "plain", "deep/er/and/dee per", "jail/inside", "jail", "\xc3\xbc \xff\n" };
	char path[256];

	snprintf(path, sizeof(path), "%s", names[number]);
	for (char *slash = path; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = 0;
		mkdir(path, 0755);
	}
	mkdir(path, 0755);
	if (number == 2 ? chroot("jail") || chdir("/inside") : number == 3 ? chroot("jail") : chdir(names[number]))
		err_die("chdir or chroot for %d", number);
}

static int live(void *argument)
{
	static const mode_t masks[COUNT] = { 0, 022, 0777, 0123, 0456 };
	int number = (intptr_t)argument;
	struct stat before[2], now[2];
	char path[2][4096], link[4096] = "";      /* the library's getcwd() fails outside the root directory */

	go(number);
	umask(masks[number]);
	if (stat(".", &before[0]) || stat("/", &before[1]) || syscall(SYS_getcwd, path[0], sizeof(path[0])) < 0)
		err_die("stat or getcwd");
	stage_step(started);
	test_wait();

	if (stat(".", &now[0]) || stat("/", &now[1]) || syscall(SYS_getcwd, path[1], sizeof(path[1])) < 0)
		return fail("process %d: stat or getcwd", number);
	if (strcmp(path[0], path[1]))
		return fail("process %d is in \"%s\", not in \"%s\"", number, path[1], path[0]);
	for (int i = 0; i < 2; i++)
		if (now[i].st_ino != before[i].st_ino || now[i].st_dev != before[i].st_dev)
			return fail("process %d: the %s directory is another one", number, i ? "root" : "working");
	if (readlink("/proc/self/cwd", link, sizeof(link) - 1) > 0 && number < 2 && strcmp(link, path[0]))
		return fail("process %d: /proc/self/cwd is \"%s\"", number, link);
	if (umask(0) != masks[number])
		return fail("process %d has another umask", number);
	umask(masks[number]);
	return real_umask() == masks[number] ? 0 : fail("process %d has another umask", number);
}

int main(int argc, char **argv)
{
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (intptr_t i = 0; i < COUNT; i++) {
		children[i] = test_fork(live, (void *)i);
		stage_wait(started, i + 1);
	}

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= test_finish(children[i]);
	return bad ? 1 : pass();
}
