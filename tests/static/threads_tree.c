// SPDX-License-Identifier: Apache-2.0
/* Ten processes of seven threads each; one of the threads, not the first, has made the next process. */
#include "zdtm.h"

#include <pthread.h>
#include <unistd.h>

enum { PROCESSES = 10, THREADS = 7, FORKER = 4 };

static stage_t *started;
static int depth;
static pid_t child;

static int live(void *parent);

static void *thread(void *argument)
{
	intptr_t number = (intptr_t)argument;
	pid_t tid, self = getpid();

	if (number == FORKER && depth < PROCESSES)
		child = test_fork(live, &self);
	tid = gettid();
	stage_step(started);
	test_wait();
	if (gettid() != tid || getpid() != self)
		return (void *)(intptr_t)fail("thread %ld at depth %d is %d of %d, not %d of %d", number, depth, gettid(),
					      getpid(), tid, self);
	return NULL;
}

static int live(void *parent)
{
	pthread_t threads[THREADS];
	int bad = 0;

	depth++;
	child = 0;
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, thread, (void *)i))
			err_die("pthread_create");
	if (depth == 1) {
		stage_wait(started, PROCESSES * THREADS);
		test_ready();
	}
	test_wait();
	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		bad |= result != NULL;
	}
	if (parent && getppid() != *(pid_t *)parent)
		bad = fail("the parent at depth %d is %d, not %d", depth, getppid(), *(pid_t *)parent);
	return bad | (child ? test_finish(child) : 0);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	started = stage_new();
	return live(NULL) ? 1 : pass();
}
