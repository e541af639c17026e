// SPDX-License-Identifier: Apache-2.0
/*
 * An epoll set over pipes and eventfds: which are in it, with which
 * events and data; edges and one-shots stay armed or not.
 */
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const struct {
	uint32_t events;
	uint64_t data;
} cases[] = {
	{ EPOLLIN, 0 }, { EPOLLIN | EPOLLET, 0x1111111111111111 }, { EPOLLIN | EPOLLONESHOT, UINT64_MAX },
	{ EPOLLIN | EPOLLRDHUP | EPOLLPRI, 3 }, { 0, 4 }, { EPOLLOUT | EPOLLET, 5 },
};
enum { COUNT = sizeof(cases) / sizeof(cases[0]) };

static int epoll, fds[COUNT];

/* Waits for nothing: what is ready now, as a bit for each case. */
static unsigned int ready(void)
{
	struct epoll_event events[COUNT + 1];
	unsigned int result = 0;
	int count = epoll_wait(epoll, events, COUNT + 1, 0);

	for (int i = 0; i < count; i++)
		for (int j = 0; j < COUNT; j++)
			if (events[i].data.u64 == cases[j].data)
				result |= 1u << j;
	return result;
}

static void count_up(int which)
{
	write_all(fds[which], &(uint64_t) { 1 }, 8);
}

int main(int argc, char **argv)
{
	struct epoll_event event;
	unsigned int got;
	int bad = 0;

	test_init(argc, argv);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < COUNT; i++) {
		fds[i] = eventfd(0, EFD_NONBLOCK);
		event = (struct epoll_event) { .events = cases[i].events, .data.u64 = cases[i].data };
		if (fds[i] < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event))
			err_die("epoll_ctl of case %d", i);
	}
	count_up(3);
	ready();                            /* takes the edge of case 5 */

	test_ready();
	test_wait();

	if (fcntl(epoll, F_GETFD) != FD_CLOEXEC)
		bad = fail("close-on-exec is gone");
	got = ready() & ~(1u << 5);         /* whether an old edge is shown again is not defined */
	if (got != 1u << 3)
		bad = fail("ready is %x, not %x", got, 1u << 3);
	for (int i = 0; i < 5; i++)
		count_up(i);
	got = ready() & ~(1u << 5);
	if (got != 0xf)
		bad = fail("after all counted ready is %x, not f", got);
	got = ready() & ~(1u << 5);
	if (got != (1u << 0 | 1u << 3))
		bad = fail("the second time ready is %x, not 9: an edge or a one-shot came twice", got);
	for (int i = 0; i < COUNT; i++)
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) != -1 || errno != EEXIST)
			bad = fail("case %d is not in the set", i);
	errno = 0;
	return bad ? 1 : pass();
}
