// SPDX-License-Identifier: Apache-2.0
/* Pipes with one end gone: what was written is still read and then the end comes; writing to nobody gives EPIPE. */
#include "zdtm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

static short events_of(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN | POLLOUT };

	if (poll(&poller, 1, 0) < 0)
		err_die("poll");
	return poller.revents;
}

int main(int argc, char **argv)
{
	int orphan[2], empty[2], deaf[2], bad = 0;
	char sent[6001], got[sizeof(sent)];
	uint32_t sum;

	test_init(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	if (pipe(orphan) || pipe(empty) || pipe(deaf))
		err_die("pipe");
	sum = data_fill(sent, sizeof(sent), test_random());
	write_all(orphan[1], sent, sizeof(sent));
	close(orphan[1]);
	close(empty[1]);
	write_all(deaf[1], sent, 100);
	close(deaf[0]);

	test_ready();
	test_wait();

	if (events_of(orphan[0]) != (POLLIN | POLLHUP))
		bad = fail("the pipe without writer polls %x", events_of(orphan[0]));
	read_all(orphan[0], got, sizeof(got));
	if (!data_check(got, sizeof(got), sum))
		bad = fail("what the writer left behind changed");
	if (read(orphan[0], got, 1) != 0)
		bad = fail("no end of file after what the writer left behind");
	if (events_of(empty[0]) != POLLHUP || read(empty[0], got, 1) != 0)
		bad = fail("no end of file in the empty pipe without writer");
	if (!(events_of(deaf[1]) & POLLERR))
		bad = fail("the pipe without reader polls %x", events_of(deaf[1]));
	if (write(deaf[1], "x", 1) != -1 || errno != EPIPE)
		bad = fail("writing without a reader does not give EPIPE");
	return bad ? 1 : pass();
}
