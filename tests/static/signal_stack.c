// SPDX-License-Identifier: Apache-2.0
/* Every thread has an alternate signal stack of its own, odd in size and flags, or none; handlers still run on it. */
#include "zdtm.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

enum { THREADS = 6 };

static stage_t *started;
static __thread char *volatile handler_frame;

static void on_signal(int number)
{
	(void)number;
	handler_frame = __builtin_frame_address(0);
}

static int check(int number, const stack_t *wanted)
{
	stack_t now;
	bool on_it;

	if (sigaltstack(NULL, &now))
		return fail("sigaltstack");
	if (now.ss_sp != wanted->ss_sp || now.ss_size != wanted->ss_size || now.ss_flags != wanted->ss_flags)
		return fail("thread %d: stack %p size %zu flags %x; not %p %zu %x", number, now.ss_sp, now.ss_size, now.ss_flags,
			    wanted->ss_sp, wanted->ss_size, wanted->ss_flags);
	pthread_kill(pthread_self(), SIGUSR1);
	on_it = handler_frame >= (char *)wanted->ss_sp && handler_frame < (char *)wanted->ss_sp + wanted->ss_size;
	if (on_it != !(wanted->ss_flags & SS_DISABLE))
		return fail("thread %d: the handler ran at %p", number, handler_frame);
	return 0;
}

static void *live(void *argument)
{
	int number = (intptr_t)argument, bad;
	stack_t stack = { .ss_size = SIGSTKSZ + 100001 * number + 8, .ss_flags = number % 3 == 2 ? (int)SS_AUTODISARM : 0 };

	stack.ss_sp = malloc(stack.ss_size);
	if (number % 3 != 1 && sigaltstack(&stack, NULL))
		err_die("sigaltstack");
	if (number % 3 == 1)
		sigaltstack(NULL, &stack);
	stage_step(started);
	test_wait();
	bad = check(number, &stack);
	return (void *)(intptr_t)bad;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	sigaction(SIGUSR1, &(struct sigaction) { .sa_handler = on_signal, .sa_flags = SA_ONSTACK }, NULL);
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, live, (void *)i))
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
