// SPDX-License-Identifier: Apache-2.0
/* An epoll set shared by parent and child, with a target known by a number that now belongs to another file. */
#include "zdtm.h"

#include <sys/epoll.h>
#include <unistd.h>

static int epoll, first[2], second[2], kept;
static stage_t *stage;

static int wait_for_event(uint64_t wanted)
{
	struct epoll_event event = { .data.u64 = 0 };
	int count = epoll_wait(epoll, &event, 1, 0);

	if (count != 1 || event.data.u64 != wanted || event.events != EPOLLIN)
		return fail("%d events, data %lu, events %x; not %lu", count, event.data.u64, event.events, wanted);
	return 0;
}

static void add(int fd, uint64_t data)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = data };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err_die("epoll_ctl");
}

static int child(void *unused)
{
	char byte;

	(void)unused;
	stage_wait(stage, 1);
	if (wait_for_event(22) || read(second[0], &byte, 1) != 1)
		return fail("the child does not see the event");
	return 0;
}

int main(int argc, char **argv)
{
	char byte;
	pid_t pid;
	int bad = 0;

	test_init(argc, argv);
	stage = stage_new();
	epoll = epoll_create1(0);
	if (epoll < 0 || pipe(first) || pipe(second))
		err_die("epoll or pipe");
	add(first[0], 11);
	add(second[0], 22);
	kept = dup(first[0]);
	if (kept < 0 || dup2(second[1], first[0]) < 0)      /* the number goes, the description stays with `kept` */
		err_die("dup");
	pid = test_fork(child, NULL);

	test_ready();
	test_wait();

	write_all(second[1], "x", 1);
	stage_step(stage);
	bad |= test_reap(pid);
	write_all(first[1], "y", 1);
	bad |= wait_for_event(11);
	if (read(kept, &byte, 1) != 1 || byte != 'y')
		bad = fail("the kept descriptor reads %c", byte);
	return bad ? 1 : pass();
}
