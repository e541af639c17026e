// SPDX-License-Identifier: Apache-2.0
/* Every thread has its own MXCSR: rounding, flush-to-zero, unmasked exceptions and sticky flags. */
#include "zdtm.h"

#include <pthread.h>
#include <xmmintrin.h>

enum { THREADS = 8 };

static stage_t *started;

static uint32_t mode_of(int number)
{
	uint32_t rounding = (number & 3) << 13, flush = (number & 4) ? 0x8040 : 0, sticky = number * 5 % 63;

	return 0x1f80 | rounding | flush | sticky;
}

static void *hold(void *argument)
{
	int number = (intptr_t)argument;
	uint32_t now;

	_mm_setcsr(mode_of(number));
	stage_step(started);
	test_wait();
	now = _mm_getcsr();
	_mm_setcsr(0x1f80);
	if (now != mode_of(number))
		return (void *)(intptr_t)fail("the MXCSR of thread %d is %04x, not %04x", number, now, mode_of(number));
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, hold, (void *)i))
			err_die("pthread_create");
	stage_wait(started, THREADS);

	test_ready();
	test_wait();

	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		bad |= result != NULL;
	}
	return bad ? 1 : pass();
}
