// SPDX-License-Identifier: Apache-2.0
/* Every one of sixteen threads has its own signal mask and its own pending signals, delivered when it unblocks them. */
#include "zdtm.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 16 };

static stage_t *started;
static __thread volatile int handled_value;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	handled_value = info->si_value.sival_int;
}

static uint64_t mask_now(void)
{
	uint64_t mask;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof(mask));
	return mask;
}

static void *live(void *argument)
{
	uint64_t fixed = 1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1) | 1ul << (SIGTERM - 1), mine = 1ul << (SIGUSR1 - 1), now;
	int number = (intptr_t)argument;
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };

	mine |= ((uint64_t)test_random() << 32 | test_random()) & ~fixed;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mine, NULL, sizeof(mine));
	info.si_value.sival_int = 100 + number;
	if (number % 2 && syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &info))
		err_die("rt_tgsigqueueinfo");
	stage_step(started);
	test_wait();

	now = mask_now();
	if (now != mine)
		return (void *)(intptr_t)fail("thread %d blocks %016lx, not %016lx", number, now, mine);
	if (handled_value)
		return (void *)(intptr_t)fail("thread %d got its signal while it was blocked", number);
	mine &= ~(1ul << (SIGUSR1 - 1));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mine, NULL, sizeof(mine));
	if (handled_value != (number % 2 ? 100 + number : 0))
		return (void *)(intptr_t)fail("thread %d got the value %d", number, handled_value);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	sigaction(SIGUSR1, &(struct sigaction) { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO }, NULL);
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
