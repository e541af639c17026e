// SPDX-License-Identifier: Apache-2.0
/* A chain of thirty processes, each the child of the one before: every link knows its pid, its parent and its child. */
#include "zdtm.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEPTH = 30 };

static stage_t *started;
static int depth;

static int live(void *parent)
{
	pid_t self = getpid(), child = 0;
	uint32_t memory[100], sum = data_fill(memory, sizeof(memory), self);
	int bad = 0;

	if (++depth < DEPTH)
		child = test_fork(live, &self);
	stage_step(started);
	if (depth == 1) {
		stage_wait(started, DEPTH);
		test_ready();
	}
	test_wait();

	if (getpid() != self || (parent && getppid() != *(pid_t *)parent))
		bad = fail("link %d: pid %d, parent %d; not %d", depth, getpid(), getppid(), self);
	if (!data_check(memory, sizeof(memory), sum))
		bad = fail("link %d: the memory changed", depth);
	if (child)
		bad |= test_finish(child);
	if (wait(NULL) != -1 || errno != ECHILD)
		bad = fail("link %d has a child too many", depth);
	errno = 0;
	return bad;
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	started = stage_new();
	return live(NULL) ? 1 : pass();
}
