// SPDX-License-Identifier: Apache-2.0
/*
 * Memory after fork: pages that parent and child have in common, and pages that one of them changed, or both, or the
 * grandchild; each keeps its own view.  -DFRAMES: the common ones are still one frame, as /proc/PID/pagemap says.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef FRAMES
#define FRAMES 0
#endif

enum { PAGE = 4096, PAGES = 96, GENERATIONS = 3 };

static char *memory;
static uint32_t seeds[PAGES];
static stage_t *started;
static int generation;
static pid_t *pids;            /* shared, one for each generation */

static void change(int page)
{
	seeds[page] = test_random() + generation;
	data_fill(memory + page * PAGE, PAGE, seeds[page]);
}

static int check(void)
{
	char wanted[PAGE];

	for (int page = 0; page < PAGES; page++) {
		data_fill(wanted, PAGE, seeds[page]);
		if (memcmp(memory + page * PAGE, wanted, PAGE))
			return fail("generation %d: page %d changed", generation, page);
	}
	return 0;
}

static int live(void *unused)
{
	pid_t child = 0;
	int bad;

	(void)unused;
	pids[++generation] = getpid();
	for (int page = 0; page < PAGES; page++)
		if (page % (generation + 2) == 1)
			change(page);
	if (generation + 1 < GENERATIONS)
		child = test_fork(live, NULL);
	for (int page = 0; page < PAGES; page++)
		if (page % 8 == 4 + generation)
			change(page);
	stage_step(started);
	test_wait();
	bad = check();
	return bad | (child ? test_finish(child) : 0);
}

static uint64_t frame_of(pid_t pid, int page)
{
	uint64_t entry;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || pread(fd, &entry, 8, ((uintptr_t)memory / PAGE + page) * 8) != 8)
		err_die("reading %s", path);
	close(fd);
	return entry & ((1ul << 55) - 1);
}

/* Pages 0 and 2 were written before the first fork only.  The kernel may move a page between two looks: look again. */
static int check_frames(int tries)
{
	for (int page = 0; page < 4; page += 2)
		for (int i = 1; i < GENERATIONS; i++)
			if (frame_of(pids[i], page) != frame_of(pids[0], page)) {
				if (tries > 0)
					return check_frames(tries - 1);
				return fail("page %d of generation %d is another frame than its parent's", page, i);
			}
	return 0;
}

int main(int argc, char **argv)
{
	pid_t child;
	int bad;

	test_init(argc, argv);
	started = stage_new();
	pids = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pids[0] = getpid();
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int page = 0; page < PAGES; page++)
		change(page);
	child = test_fork(live, NULL);
	stage_wait(started, GENERATIONS - 1);

	test_ready();
	test_wait();

	bad = check();
	if (FRAMES)
		bad |= check_frames(3);
	return bad | test_finish(child) ? 1 : pass();
}
