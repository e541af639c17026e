// SPDX-License-Identifier: Apache-2.0
/* Six threads hand a token round by a mutex and conditions; in turn, each time, and no wake-up is lost. */
#include "zdtm.h"

#include <pthread.h>

enum { THREADS = 6 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t conditions[THREADS];
static uint64_t passes, counts[THREADS];
static bool over;
static stage_t *started;

static void *take_turns(void *argument)
{
	int number = (intptr_t)argument;

	stage_step(started);
	pthread_mutex_lock(&mutex);
	while (!over) {
		if (passes % THREADS != (uint64_t)number) {
			pthread_cond_wait(&conditions[number], &mutex);
			continue;
		}
		counts[number]++;
		passes++;
		over |= !test_running() && passes > 1000;
		pthread_cond_signal(&conditions[passes % THREADS]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_cond_signal(&conditions[i]);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	uint64_t sum = 0;
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (int i = 0; i < THREADS; i++)
		pthread_cond_init(&conditions[i], NULL);
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, take_turns, (void *)i))
			err_die("pthread_create");
	stage_wait(started, THREADS);

	test_ready();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++) {
		sum += counts[i];
		if (counts[i] > counts[0] || counts[i] + 1 < counts[0])
			bad = fail("thread %d had %lu turns, the first %lu", i, counts[i], counts[0]);
	}
	if (sum != passes)
		bad = fail("%lu turns of %lu", sum, passes);
	note("%lu turns", passes);
	return bad ? 1 : pass();
}
