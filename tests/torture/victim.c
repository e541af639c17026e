// SPDX-License-Identifier: Apache-2.0
/*
 * Notices everything that could go wrong when the engine dies in the middle: three threads, one that computes in
 * floating point, one in nanosleep, one that is interrupted by a timer on an alternate stack and writes through a
 * pipe to itself. A counter in the file named by argv[1] goes on as long as all is well; anything else ends it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <fcntl.h>
#include <unistd.h>

static volatile uint64_t *counters; /* shared with the judge: one for each thread, and one for signals */
static char altstack[65536];

static void fail(const char *what)
{
	fprintf(stderr, "victim: %s (errno %d)\n", what, errno);
	_exit(3);
}

static void on_alarm(int signal)
{
	char here;

	(void)signal;
	if (&here < altstack || &here >= altstack + sizeof altstack)
		_exit(4);
	counters[3]++;
}

static double compute(void)
{
	double x = 1;
	uint64_t hash = 1469598103934665603u;

	for (int i = 0; i < 20000; i++) {
		x *= 1.0000001;
		hash = (hash ^ i) * 1099511628211u;
	}
	return x + (double)(hash & 0xffff);
}

static void *computing(void *unused)
{
	double first = compute();

	for (;;) {
		if (compute() != first)
			fail("wrong result");
		counters[0]++;
	}
	return unused;
}

static void *sleeping(void *unused)
{
	for (;;) {
		struct timespec wait = { 0, 700000 };

		if (nanosleep(&wait, NULL) && errno != EINTR)
			fail("nanosleep");
		counters[1]++;
	}
	return unused;
}

static void writing(void)
{
	int ends[2];
	uint64_t sent = 0, got;

	if (pipe(ends))
		fail("pipe");
	for (;; sent++) {
		if (write(ends[1], &sent, sizeof sent) != sizeof sent || read(ends[0], &got, sizeof got) != sizeof got)
			fail("pipe is broken");
		if (got != sent)
			fail("pipe mixes things up");
		counters[2]++;
		if (sent % 64 == 0)
			usleep(100);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART };
	stack_t stack = { .ss_sp = altstack, .ss_size = sizeof altstack };
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } };
	sigset_t alarm_only;
	pthread_t thread;
	int fd;

	if (argc != 2 || (fd = open(argv[1], O_RDWR)) < 0)
		return 2;
	counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	if (counters == MAP_FAILED || sigaltstack(&stack, NULL) || sigaction(SIGALRM, &action, NULL))
		fail("set-up");
	pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
	if (pthread_create(&thread, NULL, computing, NULL) || pthread_create(&thread, NULL, sleeping, NULL))
		fail("pthread_create");
	pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
	if (setitimer(ITIMER_REAL, &every, NULL))
		fail("setitimer");
	writing();
}
