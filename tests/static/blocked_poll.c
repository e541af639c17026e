// SPDX-License-Identifier: Apache-2.0
/* Tasks asleep in poll, ppoll, select and epoll_wait for a pipe and a far timeout: the pipe's first byte wakes them. */
#include "zdtm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HOUR = 3600 };

static int ends[2];

/* poll() and epoll_wait() may fail with EINTR after a stop (signal(7)), ppoll() and select() may not. */
static int in_poll(void *unused)
{
	struct pollfd poller[2] = { { .fd = -1 }, { .fd = ends[0], .events = POLLIN } };
	int result;

	(void)unused;
	do
		result = poll(poller, 2, HOUR * 1000);
	while (result < 0 && errno == EINTR);
	return result == 1 && poller[1].revents == POLLIN ? 0 : fail("poll gave %d, events %x", result, poller[1].revents);
}

static int in_ppoll(void *unused)
{
	struct pollfd poller = { .fd = ends[0], .events = POLLIN };
	struct timespec timeout = { .tv_sec = HOUR };
	sigset_t all, now;
	int result;

	(void)unused;
	sigfillset(&all);
	result = ppoll(&poller, 1, &timeout, &all);
	if (result != 1 || poller.revents != POLLIN)
		return fail("ppoll gave %d, events %x", result, poller.revents);
	sigprocmask(SIG_BLOCK, NULL, &now);
	return sigisemptyset(&now) ? 0 : fail("ppoll did not put the signal mask back");
}

static int in_select(void *unused)
{
	struct timeval timeout = { .tv_sec = HOUR };
	fd_set readable;
	int result;

	(void)unused;
	FD_ZERO(&readable);
	FD_SET(ends[0], &readable);
	result = select(ends[0] + 1, &readable, NULL, NULL, &timeout);
	return result == 1 && FD_ISSET(ends[0], &readable) ? 0 : fail("select gave %d", result);
}

static int in_epoll(void *unused)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0x123456789abcdef0 };
	int result, epoll = epoll_create1(0);

	(void)unused;
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event))
		err_die("epoll");
	event.data.u64 = 0;
	do
		result = epoll_wait(epoll, &event, 1, HOUR * 1000);
	while (result < 0 && errno == EINTR);
	if (result != 1 || event.data.u64 != 0x123456789abcdef0)
		return fail("epoll_wait gave %d, data %lx", result, event.data.u64);
	return 0;
}

int main(int argc, char **argv)
{
	static sleeper_t sleepers[4] = {
		{ in_poll, .call = SYS_poll }, { in_ppoll, .call = SYS_ppoll },
		{ in_select, .call = SYS_pselect6 }, { in_epoll, .call = SYS_epoll_wait },
	};
	int bad;

	test_init(argc, argv);
	if (pipe(ends))
		err_die("pipe");
	sleepers_start(sleepers, 4);

	test_ready();
	test_wait();

	bad = sleepers_check(sleepers, 4);
	write_all(ends[1], "x", 1);
	return sleepers_reap(sleepers, 4) || bad ? 1 : pass();
}
