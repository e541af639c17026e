// SPDX-License-Identifier: Apache-2.0
/*
 * Eventfds keep their counter and their flags; one is shared.
 * -DEXTREME: huge counters, and semaphores stay semaphores.
 */
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const struct {
	uint64_t count;
	int flags;
} cases[] = {
#ifdef EXTREME
	{ 0, EFD_SEMAPHORE }, { 0x123456789abcdef, 0 }, { UINT64_MAX - 1, EFD_NONBLOCK | EFD_CLOEXEC },
	{ 3, EFD_SEMAPHORE | EFD_NONBLOCK }, { 7, EFD_SEMAPHORE | EFD_CLOEXEC },
#else
	{ 0, EFD_NONBLOCK }, { 1, EFD_CLOEXEC }, { 5, EFD_NONBLOCK | EFD_CLOEXEC }, { 0x7fffffff, 0 },
#endif
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static int fds[CASES], copy;

static uint64_t take(int fd)
{
	uint64_t count = 0;

	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		err_die("F_SETFL");
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		err_die("read");
	errno = 0;
	return count;
}

static int check(int i)
{
	int semaphore = cases[i].flags & EFD_SEMAPHORE;
	int status = fcntl(fds[i], F_GETFL), close_on_exec = fcntl(fds[i], F_GETFD);
	uint64_t wanted = semaphore ? 1 : cases[i].count, count;

	if ((status & O_NONBLOCK) != (cases[i].flags & EFD_NONBLOCK))
		return fail("eventfd %d has status flags %x", i, status);
	if (!(close_on_exec & FD_CLOEXEC) != !(cases[i].flags & EFD_CLOEXEC))
		return fail("eventfd %d has descriptor flags %x", i, close_on_exec);
	for (uint64_t turn = 0; turn < (semaphore ? cases[i].count : 1); turn++)
		if ((count = take(fds[i])) != wanted)
			return fail("eventfd %d counts %lu, not %lu", i, count, wanted);
	if ((count = take(fds[i])))
		return fail("eventfd %d still counts %lu", i, count);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t more = 42;
	int bad = 0;

	test_init(argc, argv);
	for (int i = 0; i < CASES; i++) {
		fds[i] = eventfd(0, cases[i].flags);
		if (fds[i] < 0 || (cases[i].count && write(fds[i], &cases[i].count, 8) != 8))
			err_die("eventfd %d", i);
	}
	copy = dup(fds[0]);

	test_ready();
	test_wait();

	for (int i = 0; i < CASES; i++)
		bad |= check(i);
	write_all(copy, &more, sizeof(more));
	if (take(fds[0]) != (cases[0].flags & EFD_SEMAPHORE ? 1 : more))
		bad = fail("the duplicate is not the same eventfd any more");
	return bad ? 1 : pass();
}
