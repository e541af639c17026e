// SPDX-License-Identifier: Apache-2.0
/*
 * Two hundred pipes of four processes: each end in a random part of
 * them, with a random amount of data in every pipe.
 */
#include "zdtm.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { PIPES = 200, PROCESSES = 4, MOST = 3000 };

static int ends[PIPES][2];
static size_t sizes[PIPES];
static uint32_t keepers[PIPES][2];         /* bits: which process keeps the end open */
static stage_t *started;

static void close_others(int process)
{
	for (int i = 0; i < PIPES; i++)
		for (int end = 0; end < 2; end++)
			if (!(keepers[i][end] >> process & 1))
				close(ends[i][end]);
}

/* Of every pipe that this process keeps: does it hold what it should, and has it writers left? */
static int look(int process)
{
	for (int i = 0; i < PIPES; i++) {
		struct pollfd poller = { .fd = ends[i][0], .events = POLLIN };
		short wanted = (sizes[i] ? POLLIN : 0) | (keepers[i][1] ? 0 : POLLHUP);

		if (!(keepers[i][0] >> process & 1))
			continue;
		if (poll(&poller, 1, 0) < 0 || poller.revents != wanted)
			return fail("process %d: pipe %d polls %x, not %x", process, i, poller.revents, wanted);
	}
	return 0;
}

static int live(void *number)
{
	int process = (intptr_t)number, bad;

	close_others(process);
	stage_step(started);
	test_wait();
	bad = look(process);
	stage_step(started);
	stage_wait(started, 2 * PROCESSES - 1);      /* nobody closes anything before all have looked */
	return bad;
}

static int take(int pipe)
{
	char got[MOST], wanted[MOST];

	data_fill(wanted, sizes[pipe], pipe);
	read_all(ends[pipe][0], got, sizes[pipe]);
	if (!data_check(got, sizes[pipe], data_sum(wanted, sizes[pipe])))
		return fail("the %zu bytes in pipe %d changed", sizes[pipe], pipe);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t children[PROCESSES];
	char data[MOST];
	int bad;

	test_init(argc, argv);
	started = stage_new();
	for (int i = 0; i < PIPES; i++) {
		if (pipe(ends[i]))
			err_die("pipe");
		sizes[i] = test_random() % 3 ? test_random() % MOST : 0;
		keepers[i][0] = test_random() % 16 | 1;     /* the first process keeps all reading ends */
		keepers[i][1] = test_random() % 3 ? test_random() % 16 : 0;
		data_fill(data, sizes[i], i);
		write_all(ends[i][1], data, sizes[i]);
	}
	for (intptr_t i = 1; i < PROCESSES; i++)
		children[i] = test_fork(live, (void *)i);
	stage_wait(started, PROCESSES - 1);
	close_others(0);

	test_ready();
	test_wait();

	bad = look(0);
	for (int i = 1; i < PROCESSES; i++)
		kill(children[i], SIGTERM);
	stage_wait(started, 2 * (PROCESSES - 1));
	stage_step(started);
	for (int i = 1; i < PROCESSES; i++)
		bad |= test_reap(children[i]);
	for (int i = 0; i < PIPES; i++) {
		if (keepers[i][1] & 1)
			close(ends[i][1]);           /* so that missing data show as the end of file */
		bad |= take(i);
	}
	return bad ? 1 : pass();
}
