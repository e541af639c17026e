// SPDX-License-Identifier: Apache-2.0
/* Two tasks asleep in write(): one before the first byte (it must not see EINTR), one in the middle of its data. */
#include "zdtm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, SIZE = 5 * PAGE + 123 };

static int full[2], small[2];
static char data[SIZE];

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
	static sleeper_t sleepers[2] = {
		{ write_at_once, .call = SYS_write }, { write_in_pieces, .call = SYS_write },
	};
	uint32_t sum;
	int bad;

	test_init(argc, argv);
	sum = data_fill(data, SIZE, test_random());
	if (pipe(full) || pipe(small) || fcntl(full[1], F_SETPIPE_SZ, PAGE) < 0 || fcntl(small[1], F_SETPIPE_SZ, PAGE) < 0)
		err_die("pipe");
	write_all(full[1], data, PAGE);
	sleepers_start(sleepers, 2);

	test_ready();
	test_wait();

	bad = sleepers_check(sleepers, 2);
	bad |= take(full[0], PAGE, data_sum(data, PAGE), "full");
	bad |= take(full[0], PAGE / 2, data_sum(data, PAGE / 2), "full");
	bad |= take(small[0], SIZE, sum, "small");
	return sleepers_reap(sleepers, 2) || bad ? 1 : pass();
}
