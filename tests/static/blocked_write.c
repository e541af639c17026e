// SPDX-License-Identifier: Apache-2.0
/* Two tasks asleep in write(): one before the first byte (it must not see EINTR), one in the middle of its data. */
#include "zdtm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, SIZE = 5 * PAGE + 123 };

static int full[2], small[2];
static char data[SIZE];

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

static int write_at_once(void *unused)
{
	ssize_t size = write(full[1], data, PAGE / 2);

	(void)unused;
	return size == PAGE / 2 ? 0 : fail("write gave %zd, not %d", size, PAGE / 2);
}

static int write_in_pieces(void *unused)
{
	(void)unused;
	write_all(small[1], data, SIZE);
	return 0;
}

static int take(int fd, size_t size, uint32_t sum, const char *name)
{
	char *got = malloc(size);

	read_all(fd, got, size);
	if (!data_check(got, size, sum))
		return fail("the data of the %s pipe changed", name);
	free(got);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t waiting, writing;
	uint32_t sum;
	int bad = 0;

	test_init(argc, argv);
	sum = data_fill(data, SIZE, test_random());
	if (pipe(full) || pipe(small) || fcntl(full[1], F_SETPIPE_SZ, PAGE) < 0 || fcntl(small[1], F_SETPIPE_SZ, PAGE) < 0)
		err_die("pipe");
	write_all(full[1], data, PAGE);
	waiting = test_fork(write_at_once, NULL);
	writing = test_fork(write_in_pieces, NULL);
	if (!comes_to(waiting, SYS_write) || !comes_to(writing, SYS_write))
		err_die("the children do not come to write()");

	test_ready();
	test_wait();

	if (!comes_to(waiting, SYS_write) || !comes_to(writing, SYS_write))
		bad = fail("the children are not in write() any more");
	bad |= take(full[0], PAGE, data_sum(data, PAGE), "full");
	bad |= take(full[0], PAGE / 2, data_sum(data, PAGE / 2), "full");
	bad |= take(small[0], SIZE, sum, "small");
	bad |= test_reap(waiting) | test_reap(writing);
	return bad ? 1 : pass();
}
