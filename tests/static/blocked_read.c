// SPDX-License-Identifier: Apache-2.0
/* Tasks asleep in read() of a pipe, readv() of a pipe and read() of an eventfd: they sleep on, and never see EINTR. */
#include "zdtm.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char text[] = "late news";
static int plain[2], vector[2], event;

/* The system call in which `pid` sleeps, -1 while it runs. */
static long call_of(pid_t pid)
{
	char path[64];
	long number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &number) != 1)
		number = -1;
	if (file)
		fclose(file);
	return number;
}

static bool comes_to(pid_t pid, long number)
{
	for (int tries = 0; tries < 5000; tries++, usleep(1000)) {
		long now = call_of(pid);

		if (now == number || now == SYS_restart_syscall)
			return true;
	}
	return false;
}

static int read_pipe(void *unused)
{
	char got[100] = "";
	ssize_t size = read(plain[0], got, sizeof(got));

	(void)unused;
	if (size != sizeof(text) || strcmp(got, text))
		return fail("read gave %zd bytes \"%s\", not \"%s\"", size, got, text);
	return 0;
}

static int read_vector(void *unused)
{
	char first[4], second[100] = "";
	struct iovec pieces[] = { { first, sizeof(first) }, { second, sizeof(second) } };
	ssize_t size = readv(vector[0], pieces, 2);

	(void)unused;
	if (size != sizeof(text) || memcmp(first, text, 4) || strcmp(second, text + 4))
		return fail("readv gave %zd bytes \"%.4s\" \"%s\"", size, first, second);
	return 0;
}

static int read_event(void *unused)
{
	uint64_t count = 0;

	(void)unused;
	if (read(event, &count, sizeof(count)) != sizeof(count) || count != 33)
		return fail("the eventfd gave %lu, not 33", count);
	return 0;
}

int main(int argc, char **argv)
{
	static int (*const bodies[3])(void *) = { read_pipe, read_vector, read_event };
	static const long calls[3] = { SYS_read, SYS_readv, SYS_read };
	pid_t children[3];
	int bad = 0;

	test_init(argc, argv);
	event = eventfd(0, 0);
	if (pipe(plain) || pipe(vector) || event < 0)
		err_die("pipe or eventfd");
	for (int i = 0; i < 3; i++) {
		children[i] = test_fork(bodies[i], NULL);
		if (!comes_to(children[i], calls[i]))
			err_die("child %d does not come to system call %ld", i, calls[i]);
	}

	test_ready();
	test_wait();

	for (int i = 0; i < 3; i++)
		if (!comes_to(children[i], calls[i]))
			bad = fail("child %d is not in system call %ld any more", i, calls[i]);
	write_all(plain[1], text, sizeof(text));
	write_all(vector[1], text, sizeof(text));
	write_all(event, &(uint64_t) { 33 }, 8);
	for (int i = 0; i < 3; i++)
		bad |= test_reap(children[i]);
	return bad ? 1 : pass();
}
