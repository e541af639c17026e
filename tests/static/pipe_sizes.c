// SPDX-License-Identifier: Apache-2.0
/* Pipes of several capacities: empty, one byte, odd amounts, and full to the last byte. */
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { FULL = -1, PIECE = 777, PAGE = 4096 };   /* full means whole pages; the rest is written in odd pieces */

static struct {
	int capacity;           /* 0: the default */
	int fill;
	int ends[2];
	int real_capacity, real_fill;
	uint32_t sum;
} pipes[] = {
	{ .fill = 0 }, { .fill = 1 }, { .fill = 4095 }, { .fill = 4097 }, { .fill = FULL },
	{ .capacity = PAGE, .fill = FULL }, { .capacity = PAGE, .fill = 5 }, { .capacity = 8192, .fill = 0 },
	{ .capacity = 131072, .fill = 100003 }, { .capacity = 1 << 20, .fill = FULL }, { .capacity = 1 << 20, .fill = 3 },
};
enum { COUNT = sizeof(pipes) / sizeof(pipes[0]), LARGEST = 1 << 20 };

static char data[LARGEST];

static void make(int i)
{
	int *fill = &pipes[i].real_fill;
	ssize_t size;

	if (pipe2(pipes[i].ends, O_NONBLOCK))
		err_die("pipe2");
	if (pipes[i].capacity && fcntl(pipes[i].ends[1], F_SETPIPE_SZ, pipes[i].capacity) != pipes[i].capacity)
		err_die("F_SETPIPE_SZ %d", pipes[i].capacity);
	pipes[i].real_capacity = fcntl(pipes[i].ends[1], F_GETPIPE_SZ);
	data_fill(data, LARGEST, i);
	while (*fill != pipes[i].fill) {
		int left = pipes[i].fill - *fill, piece = pipes[i].fill == FULL ? PAGE : left > PIECE ? PIECE : left;

		size = write(pipes[i].ends[1], data + *fill, piece);
		if (size < 0 && (errno != EAGAIN || pipes[i].fill != FULL))
			err_die("write to pipe %d", i);
		if (size < 0)
			break;
		*fill += size;
	}
	pipes[i].sum = data_sum(data, *fill);
}

static int check(int i)
{
	int capacity = fcntl(pipes[i].ends[0], F_GETPIPE_SZ);
	ssize_t size;

	if (capacity != pipes[i].real_capacity)
		return fail("pipe %d holds %d bytes, not %d", i, capacity, pipes[i].real_capacity);
	if (pipes[i].fill == FULL && write(pipes[i].ends[1], data, PAGE) > 0)
		return fail("pipe %d is not full", i);
	for (int total = 0; total < pipes[i].real_fill; total += size)
		if ((size = read(pipes[i].ends[0], data + total, LARGEST - total)) <= 0)
			return fail("pipe %d: %d bytes of %d", i, total, pipes[i].real_fill);
	if (!data_check(data, pipes[i].real_fill, pipes[i].sum))
		return fail("the %d bytes in pipe %d changed", pipes[i].real_fill, i);
	if (read(pipes[i].ends[0], data, 1) != -1 || errno != EAGAIN)
		return fail("pipe %d is not empty after %d bytes", i, pipes[i].real_fill);
	errno = 0;
	return 0;
}

int main(int argc, char **argv)
{
	int bad = 0;

	test_init(argc, argv);
	for (int i = 0; i < COUNT; i++)
		make(i);
	errno = 0;

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= check(i);
	return bad ? 1 : pass();
}
