// SPDX-License-Identifier: Apache-2.0
/* Tasks asleep in read() of a pipe, readv() of a pipe and read() of an eventfd: they sleep on, and never see EINTR. */
#include "zdtm.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char text[] = "late news";
static int plain[2], vector[2], event;

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
	static sleeper_t sleepers[3] = {
		{ read_pipe, .call = SYS_read }, { read_vector, .call = SYS_readv }, { read_event, .call = SYS_read },
	};
	int bad;

	test_init(argc, argv);
	event = eventfd(0, 0);
	if (pipe(plain) || pipe(vector) || event < 0)
		err_die("pipe or eventfd");
	sleepers_start(sleepers, 3);

	test_ready();
	test_wait();

	bad = sleepers_check(sleepers, 3);
	write_all(plain[1], text, sizeof(text));
	write_all(vector[1], text, sizeof(text));
	write_all(event, &(uint64_t) { 33 }, 8);
	return sleepers_reap(sleepers, 3) || bad ? 1 : pass();
}
