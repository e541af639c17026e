// SPDX-License-Identifier: Apache-2.0
/* Threads that start, work a little and end, all the time, four at once; each gives the right result exactly once. */
#include "zdtm.h"

#include <pthread.h>

enum { WIDTH = 4 };

static _Atomic uint64_t finished;

static void *work(void *argument)
{
	uint64_t number = (uintptr_t)argument, result = number;
	char stack[512];
	uint32_t sum = data_fill(stack, sizeof(stack), number);

	for (int i = 0; i < 1000; i++)
		result = result * 6364136223846793005u + number;
	if (!data_check(stack, sizeof(stack), sum))
		fail("the stack of thread %lu changed", number);
	finished++;
	return (void *)result;
}

static int join(pthread_t thread, uint64_t number)
{
	uint64_t wanted = number;
	void *result;

	for (int i = 0; i < 1000; i++)
		wanted = wanted * 6364136223846793005u + number;
	if (pthread_join(thread, &result))
		return fail("pthread_join of thread %lu", number);
	return (uint64_t)result == wanted ? 0 : fail("thread %lu gave %lx, not %lx", number, (uint64_t)result, wanted);
}

int main(int argc, char **argv)
{
	pthread_t threads[WIDTH];
	uint64_t started = 0;

	test_init(argc, argv);
	test_ready();
	for (; test_running() || started < 100; started++) {
		int slot = started % WIDTH;

		if (started >= WIDTH && join(threads[slot], started - WIDTH))
			return 1;
		if (pthread_create(&threads[slot], NULL, work, (void *)started))
			return fail("pthread_create of thread %lu", started);
	}
	for (uint64_t last = started - WIDTH; last < started; last++)
		if (join(threads[last % WIDTH], last))
			return 1;
	if (finished != started)
		return fail("%lu threads were started, %lu ended", started, finished);
	note("%lu threads", started);
	return pass();
}
