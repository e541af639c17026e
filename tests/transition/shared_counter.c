// SPDX-License-Identifier: Apache-2.0
/* Four processes add to one counter in shared memory all the time, and each counts for itself; the sums agree. */
#include "zdtm.h"

#include <sys/mman.h>

enum { PROCESSES = 4, CELLS = 5000 };

static struct {
	_Atomic uint64_t cells[CELLS], own[PROCESSES];
} *shared;

static int work(void *argument)
{
	int number = (intptr_t)argument;
	uint64_t count = 0;

	while (test_running() || count < 10000) {
		shared->cells[test_random() % CELLS]++;
		count++;
	}
	shared->own[number] = count;
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t in_cells = 0, in_own = 0;
	pid_t children[PROCESSES];
	int bad = 0;

	test_init(argc, argv);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err_die("mmap");
	for (intptr_t i = 1; i < PROCESSES; i++)
		children[i] = test_fork(work, (void *)i);
	test_ready();
	work((void *)0);
	for (int i = 1; i < PROCESSES; i++)
		bad |= test_finish(children[i]);
	for (int i = 0; i < CELLS; i++)
		in_cells += shared->cells[i];
	for (int i = 0; i < PROCESSES; i++)
		in_own += shared->own[i];
	if (in_cells != in_own)
		bad = fail("counted %lu times, the cells hold %lu", in_own, in_cells);
	note("%lu counts", in_own);
	return bad ? 1 : pass();
}
