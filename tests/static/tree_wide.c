// SPDX-License-Identifier: Apache-2.0
/* Fifty children of one parent, some with children of their own; born in one order, they end in another. */
#include "zdtm.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 50, STRIDE = 7 };       /* every seventh has two children */

static stage_t *started;

static int leaf(void *parent)
{
	stage_step(started);
	test_wait();
	return getppid() == *(pid_t *)parent ? 0 : fail("the parent of a leaf is %d, not %d", getppid(), *(pid_t *)parent);
}

static int child(void *argument)
{
	int number = (intptr_t)argument, bad = 0;
	pid_t self = getpid(), parent = getppid(), leaves[2] = { 0, 0 };
	char *memory = malloc(number * 1000 + 1);
	uint32_t sum = data_fill(memory, number * 1000 + 1, number);

	for (int i = 0; i < 2 && number % STRIDE == 0; i++)
		leaves[i] = test_fork(leaf, &self);
	stage_step(started);
	test_wait();
	if (getpid() != self || getppid() != parent)
		bad = fail("child %d is %d of %d, not %d of %d", number, getpid(), getppid(), self, parent);
	if (!data_check(memory, number * 1000 + 1, sum))
		bad = fail("the memory of child %d changed", number);
	for (int i = 1; i >= 0 && leaves[i]; i--)
		bad |= test_finish(leaves[i]);
	return bad;
}

int main(int argc, char **argv)
{
	pid_t children[CHILDREN];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (intptr_t i = 0; i < CHILDREN; i++)
		children[i] = test_fork(child, (void *)i);
	stage_wait(started, CHILDREN + 2 * ((CHILDREN + STRIDE - 1) / STRIDE));

	test_ready();
	test_wait();

	for (int i = 0; i < CHILDREN; i++)
		bad |= test_finish(children[i * 13 % CHILDREN]);
	if (wait(NULL) != -1 || errno != ECHILD)
		bad = fail("there is a child too many");
	errno = 0;
	return bad ? 1 : pass();
}
