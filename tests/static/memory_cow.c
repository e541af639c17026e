// SPDX-License-Identifier: Apache-2.0
/*
 * Memory after fork: pages that parent and child have in common, and pages that one of them changed, or both, or the
 * grandchild; each keeps its own view.  -DFRAMES: the common ones are still one frame, as /proc/PID/pagemap says.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 96, GENERATIONS = 3 };

static char *memory;
static uint32_t seeds[PAGES];
static stage_t *started;
static int generation;
static struct frames { uint64_t pagemap[GENERATIONS][PAGES]; } *frames;      /* shared */

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

static void look_at_frames(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	ssize_t size = sizeof(frames->pagemap[0]);

	if (fd < 0 || pread(fd, frames->pagemap[generation], size, (uintptr_t)memory / PAGE * 8) != size)
		err_die("reading pagemap");
	close(fd);
}

static int live(void *unused)
{
	pid_t child = 0;
	int bad;

	(void)unused;
	generation++;
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
	look_at_frames();
	bad = check();
	return bad | (child ? test_finish(child) : 0);
}

/* Page 0 is nobody's, page 2 neither; both were written before the first fork only. */
static int check_frames(void)
{
	uint64_t frame_mask = (1ul << 55) - 1;

	for (int page = 0; page < 4; page += 2)
		for (int i = 1; i < GENERATIONS; i++)
			if ((frames->pagemap[i][page] & frame_mask) != (frames->pagemap[0][page] & frame_mask))
				return fail("page %d of generation %d is another frame than its parent's", page, i);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t child;
	int bad;

	test_init(argc, argv);
	started = stage_new();
	frames = mmap(NULL, sizeof(*frames), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int page = 0; page < PAGES; page++)
		change(page);
	child = test_fork(live, NULL);
	stage_wait(started, GENERATIONS - 1);

	test_ready();
	test_wait();

	look_at_frames();
	bad = check() | test_finish(child);
#ifdef FRAMES
	bad |= check_frames();
#else
	(void)check_frames;
#endif
	return bad ? 1 : pass();
}
