// SPDX-License-Identifier: Apache-2.0
/*
 * A stopped process of five threads, in a sleep, a read and in
 * computing, with a signal that waits for the end of it.
 */
#include "zdtm.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 5 };

static struct {
	_Atomic uint64_t counter;
	_Atomic int handled, started;
} *shared;
static int ends[2];
static volatile bool over;

static void on_signal(int signo)
{
	(void)signo;
	shared->handled++;
}

static void *work(void *argument)
{
	intptr_t number = (intptr_t)argument;
	char byte = 0;

	shared->started++;
	if (number == 0)
		while (!over)
			shared->counter++;
	else if (number == 1)
		read_all(ends[0], &byte, 1);
	else
		test_wait();
	return (void *)(intptr_t)(number == 1 && byte != 'x');
}

static int live(void *unused)
{
	pthread_t threads[THREADS];
	void *result = NULL;

	(void)unused;
	for (intptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	test_wait();
	over = true;
	for (int i = 0; i < THREADS && !result; i++)
		pthread_join(threads[i], &result);
	return result ? fail("a thread of the stopped process went wrong") : 0;
}

int main(int argc, char **argv)
{
	uint64_t counter;
	siginfo_t info;
	pid_t child;
	int bad = 0;

	test_init(argc, argv);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	signal(SIGUSR1, on_signal);
	if (pipe(ends))
		err_die("pipe");
	child = test_fork(live, NULL);
	while (shared->started < THREADS || !shared->counter)
		usleep(100);
	kill(child, SIGSTOP);
	waitid(P_PID, child, &info, WSTOPPED);
	kill(child, SIGUSR1);
	counter = shared->counter;

	test_ready();
	test_wait();

	if (shared->counter != counter || shared->handled)
		bad = fail("the stopped process ran: %lu more, %d signals handled", shared->counter - counter, shared->handled);
	kill(child, SIGCONT);
	for (int tries = 0; tries < 2000 && (shared->counter == counter || !shared->handled); tries++)
		usleep(1000);
	if (shared->counter == counter || shared->handled != 1)
		bad = fail("the continued process counted %lu and handled %d signals", shared->counter - counter, shared->handled);
	write_all(ends[1], "x", 1);
	return bad | test_finish(child) ? 1 : pass();
}
