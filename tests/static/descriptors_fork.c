// SPDX-License-Identifier: Apache-2.0
/* A file opened before fork is one description in parent, child and grandchild: whoever reads moves it for all. */
#include "zdtm.h"

#include <fcntl.h>
#include <unistd.h>

enum { PIECE = 1111, PROCESSES = 3 };

static int shared, number, closed_in_parent;
static stage_t *stage;
static uint32_t seed;

static int check_piece(int fd, off_t start)
{
	char wanted[PIECE * 8], got[PIECE];
	off_t now = lseek(fd, 0, SEEK_CUR);

	data_fill(wanted, sizeof(wanted), seed);
	if (now != start)
		return fail("process %d: the position is %ld, not %ld", number, now, start);
	read_all(fd, got, PIECE);
	if (!data_check(got, PIECE, data_sum(wanted + start, PIECE)))
		return fail("process %d: the data at %ld is wrong", number, start);
	return 0;
}

static int live(void *unused)
{
	pid_t child = 0;
	int bad;

	(void)unused;
	number++;
	if (number < PROCESSES)
		child = test_fork(live, NULL);
	stage_step(stage);
	stage_wait(stage, PROCESSES + number - 2);
	bad = check_piece(shared, PIECE * number);
	if (number > 1)
		bad |= check_piece(closed_in_parent, PIECE * (number - 2));
	stage_step(stage);
	return bad | (child ? test_reap(child) : 0);
}

int main(int argc, char **argv)
{
	pid_t child;
	int bad;

	test_init(argc, argv);
	stage = stage_new();
	seed = test_random();
	shared = test_file("data", PIECE * 8, seed);
	closed_in_parent = open("data", O_RDONLY);
	number = 1;
	child = test_fork(live, NULL);
	close(closed_in_parent);
	stage_wait(stage, PROCESSES - 1);
	lseek(shared, PIECE, SEEK_SET);

	test_ready();
	test_wait();

	bad = check_piece(shared, PIECE);
	stage_step(stage);
	bad |= test_reap(child);
	return bad ? 1 : pass();
}
