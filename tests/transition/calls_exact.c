// SPDX-License-Identifier: Apache-2.0
/* Short system calls of many kinds, one after another: none may fail, be done twice, or give another result. */
#include "zdtm.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static int ends[2], event, file;
static uint64_t rounds;

static int use_pipe(void)
{
	char byte = rounds, got = ~byte;

	if (write(ends[1], &byte, 1) != 1 || read(ends[0], &got, 1) != 1)
		return fail("write or read of the pipe");
	return got == byte ? 0 : fail("the pipe gave %d, not %d", got, byte);
}

/* Were a write done twice, the counter would say so. */
static int use_event(void)
{
	uint64_t count = rounds % 1000 + 1, got = 0;

	if (write(event, &count, 8) != 8 || read(event, &got, 8) != 8)
		return fail("write or read of the eventfd");
	return got == count ? 0 : fail("the eventfd counted %lu, not %lu", got, count);
}

static int use_file(void)
{
	off_t before = lseek(file, 0, SEEK_CUR), after;

	if (write(file, "abc", 3) != 3)
		return fail("write to the file");
	after = lseek(file, 0, SEEK_CUR);
	if (after != before + 3)
		return fail("three bytes moved the position from %ld to %ld", before, after);
	return after > 100000 && lseek(file, 0, SEEK_SET) ? fail("lseek") : 0;
}

static int use_sleep(void)
{
	struct timespec end, now;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += 20000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) && test_running())
		return fail("clock_nanosleep");
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (test_running() && (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec)))
		return fail("clock_nanosleep ended too early");
	return 0;
}

static int use_poll(void)
{
	struct pollfd poller[2] = { { .fd = ends[0], .events = POLLIN }, { .fd = ends[1], .events = POLLOUT } };
	int count = poll(poller, 2, 1000);

	if (count != 1 || poller[1].revents != POLLOUT)
		return fail("poll gave %d, %x %x", count, poller[0].revents, poller[1].revents);
	return 0;
}

static int use_ids(pid_t pid)
{
	return getpid() == pid && gettid() == pid ? 0 : fail("the pid is %d, not %d", getpid(), pid);
}

int main(int argc, char **argv)
{
	pid_t pid = getpid();

	test_init(argc, argv);
	event = eventfd(0, 0);
	file = test_file("data", 0, 0);
	if (event < 0 || pipe(ends))
		err_die("eventfd or pipe");
	test_ready();
	for (; test_running() || rounds < 100; rounds++)
		if (use_pipe() || use_event() || use_file() || use_sleep() || use_poll() || use_ids(pid))
			return 1;
	note("%lu rounds", rounds);
	return pass();
}
