// SPDX-License-Identifier: Apache-2.0
/* Data waiting in a pipe between parent and child stays, byte for byte, with its flags, and the pipe still works. */
#include "zdtm.h"

#include <fcntl.h>
#include <unistd.h>

enum { SIZE = 30000 };

static int ends[2];
static uint32_t sum;

static int reader(void *unused)
{
	static char data[SIZE];

	(void)unused;
	close(ends[1]);
	test_wait();
	read_all(ends[0], data, SIZE);
	if (!data_check(data, SIZE, sum))
		return fail("the data in the pipe changed");
	if (read(ends[0], data, 1) != 0)
		return fail("no end of file after the data");
	return 0;
}

int main(int argc, char **argv)
{
	static char data[SIZE];
	pid_t child;

	test_init(argc, argv);
	if (pipe2(ends, O_CLOEXEC))
		err_die("pipe2");
	sum = data_fill(data, SIZE, test_random());
	child = test_fork(reader, NULL);
	close(ends[0]);
	if (fcntl(ends[1], F_SETFL, O_NONBLOCK))
		err_die("F_SETFL");
	write_all(ends[1], data, SIZE);

	test_ready();
	test_wait();

	if (!(fcntl(ends[1], F_GETFL) & O_NONBLOCK))
		return fail("O_NONBLOCK is gone");
	if (!(fcntl(ends[1], F_GETFD) & FD_CLOEXEC))
		return fail("FD_CLOEXEC is gone");
	close(ends[1]);
	return test_finish(child) ? 1 : pass();
}
