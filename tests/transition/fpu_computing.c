// SPDX-License-Identifier: Apache-2.0
/* Four threads compute with SSE, AVX, x87 and integers all the time; every step twice, with the same results. */
#include "zdtm.h"

#include <math.h>
#include <pthread.h>

enum { THREADS = 4, PIECE = 500 };

typedef double vector __attribute__((vector_size(64)));       /* several registers, AVX where there is */

struct state {
	vector wide;
	long double slow;
	double plain;
	uint64_t integer;
};

static stage_t *started;

static void start(struct state *state, int number)
{
	*state = (struct state) {
		.wide = { 1, 2, 3, 4, 5, 6, 7, number }, .slow = number + 1, .plain = number + 0.5, .integer = number,
	};
}

static void advance(struct state *state)
{
	struct state now = *state;

	for (int i = 0; i < PIECE; i++) {
		now.wide = now.wide * 0.999 + 1 / (now.wide + 3);
		now.slow = now.slow * 0.9999L + 1 / (now.slow + 2);
		now.plain = sqrt(now.plain + 1) * 1.7;
		now.integer = now.integer * 6364136223846793005u + 1442695040888963407u;
	}
	*state = now;
}

static bool is_same(const struct state *one, const struct state *other)
{
	for (int i = 0; i < 8; i++)
		if (one->wide[i] != other->wide[i])
			return false;
	return one->slow == other->slow && one->plain == other->plain && one->integer == other->integer;
}

/* The same steps once and again, so that a damaged register shows as a difference. */
static void *compute(void *number)
{
	struct state first, second;
	uint64_t rounds = 0;

	start(&first, (intptr_t)number);
	stage_step(started);
	for (; test_running() || rounds < 3; rounds++) {
		second = first;
		for (int i = 0; i < 20; i++)
			advance(&first);
		for (int i = 0; i < 20; i++)
			advance(&second);
		if (!is_same(&first, &second))
			return (void *)(intptr_t)fail("thread %ld: computing twice gives different results", (intptr_t)number);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, compute, (void *)i))
			err_die("pthread_create");
	stage_wait(started, THREADS);

	test_ready();
	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		bad |= result != NULL;
	}
	return bad ? 1 : pass();
}
