// SPDX-License-Identifier: Apache-2.0
/*
 * A read() interrupted by a handler with SA_RESTART goes on, by one
 * without it fails with EINTR; in process and thread.
 */
#include "zdtm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ends[2], bad_thread;
static volatile pid_t reader;
static struct {
	_Atomic int restarting, interrupting;
} *handled;                                   /* shared with the child; one reader at a time counts here */

static void on_signal(int number)
{
	if (number == SIGUSR1)
		handled->restarting++;
	else
		handled->interrupting++;
}

static int read_nothing(void *unused)
{
	char byte;
	ssize_t result;

	(void)unused;
	reader = gettid();
	result = read(ends[0], &byte, 1);
	if (result != -1 || errno != EINTR)
		return fail("read gave %zd instead of EINTR", result);
	if (handled->restarting != 2 || handled->interrupting != 1)
		return fail("the handlers ran %d and %d times, not 2 and 1", handled->restarting, handled->interrupting);
	return 0;
}

static void *thread(void *unused)
{
	bad_thread = read_nothing(unused);
	return NULL;
}

/* Each signal is sent only when the task has handled the one before and is back in its call. */
static int disturb(pid_t process, pid_t tid)
{
	static const int signals[] = { SIGUSR1, SIGUSR1, SIGUSR2 };

	handled->restarting = handled->interrupting = 0;
	for (int i = 0; i < 3; i++) {
		if (!test_sleeps(tid, SYS_read))
			return fail("task %d is not in read() before signal %d", tid, i);
		tgkill(process, tid, signals[i]);
		while (handled->restarting + handled->interrupting <= i)
			usleep(100);
	}
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t other;
	pid_t child;
	int bad;

	test_init(argc, argv);
	sigaction(SIGUSR1, &(struct sigaction) { .sa_handler = on_signal, .sa_flags = SA_RESTART }, NULL);
	sigaction(SIGUSR2, &(struct sigaction) { .sa_handler = on_signal }, NULL);
	handled = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (handled == MAP_FAILED || pipe(ends))
		err_die("mmap or pipe");
	child = test_fork(read_nothing, NULL);
	pthread_create(&other, NULL, thread, NULL);
	while (!reader)
		usleep(100);
	if (!test_sleeps(child, SYS_read) || !test_sleeps(reader, SYS_read))
		err_die("the readers do not come to read()");

	test_ready();
	test_wait();

	bad = disturb(child, child);
	bad |= test_reap(child);
	bad |= disturb(getpid(), reader);
	pthread_join(other, NULL);
	return bad | bad_thread ? 1 : pass();
}
