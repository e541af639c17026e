// SPDX-License-Identifier: Apache-2.0
/*
 * Signals wait for many threads, some of them although they are ignored,
 * and in all more than the limit allows that was set afterwards.
 */
#include "zdtm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 24, QUEUED = 6 };

static const struct timespec AT_ONCE;
static stage_t *queued, *over;
static int bad;

/* Takes what waits for this thread: one SIGWINCH, and the real-time signals in their order. */
static int take(void)
{
	siginfo_t info;
	sigset_t set;
	int i;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	if (sigtimedwait(&set, &info, &AT_ONCE) != SIGWINCH)
		return fail("the ignored signal is gone");
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	for (i = 0; i < QUEUED; i++)
		if (sigtimedwait(&set, &info, &AT_ONCE) != SIGRTMIN || info.si_value.sival_int != i)
			return fail("real-time signal %d is gone", i);
	if (sigtimedwait(&set, &info, &AT_ONCE) >= 0 || errno != EAGAIN)
		return fail("a signal too many");
	return 0;
}

static void *live(void *argument)
{
	union sigval value = { .sival_int = 0 };

	(void)argument;
	if (pthread_kill(pthread_self(), SIGWINCH))
		err_die("pthread_kill");
	for (; value.sival_int < QUEUED; value.sival_int++)
		if (pthread_sigqueue(pthread_self(), SIGRTMIN, value))
			err_die("pthread_sigqueue");
	stage_step(queued);
	stage_wait(over, 1);
	if (take())
		__atomic_store_n(&bad, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

int main(int argc, char **argv)
{
	struct rlimit limit = { 1, 1 };
	pthread_t threads[THREADS];
	sigset_t set;
	int i;

	test_init(argc, argv);
	queued = stage_new();
	over = stage_new();
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGRTMIN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) || signal(SIGWINCH, SIG_IGN) == SIG_ERR)
		err_die("sigprocmask");
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, live, NULL))
			err_die("pthread_create");
	stage_wait(queued, THREADS);
	if (setrlimit(RLIMIT_SIGPENDING, &limit))
		err_die("setrlimit");

	test_ready();
	test_wait();

	stage_reach(over, 1);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return bad ? 1 : pass();
}
