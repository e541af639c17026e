// SPDX-License-Identifier: Apache-2.0
/* Open files keep their position: at the start, inside, at the end, beyond it, and beyond 4 GiB. */
#include "zdtm.h"

#include <fcntl.h>
#include <unistd.h>

enum { SIZE = 12345 };

static const off_t positions[] = { 0, 1, 4095, 4096, 4097, SIZE - 1, SIZE, SIZE + 1, 1LL << 32, (1LL << 40) + 77 };
enum { COUNT = sizeof(positions) / sizeof(positions[0]) };

static char wanted[SIZE];

static int check(int fd, off_t position)
{
	char data[64];
	ssize_t size, left = position < SIZE ? SIZE - position : 0, expected = left < 64 ? left : 64;
	off_t now = lseek(fd, 0, SEEK_CUR);

	if (now != position)
		return fail("the position is %ld, not %ld", now, position);
	size = read(fd, data, sizeof(data));
	if (size != expected)
		return fail("read at %ld gave %zd bytes, not %zd", position, size, expected);
	for (ssize_t i = 0; i < size; i++)
		if (data[i] != wanted[position + i])
			return fail("byte %ld is %02x, not %02x", position + i, data[i] & 255, wanted[position + i] & 255);
	return 0;
}

int main(int argc, char **argv)
{
	uint32_t seed;
	int fds[COUNT], bad = 0;

	test_init(argc, argv);
	seed = test_random();
	close(test_file("data", SIZE, seed));
	data_fill(wanted, SIZE, seed);
	for (int i = 0; i < COUNT; i++) {
		fds[i] = open("data", i % 2 ? O_RDWR : O_RDONLY);
		if (fds[i] < 0 || lseek(fds[i], positions[i], SEEK_SET) != positions[i])
			err_die("open or lseek");
	}

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= check(fds[i], positions[i]);
	return bad ? 1 : pass();
}
