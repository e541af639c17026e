// SPDX-License-Identifier: Apache-2.0
/*
 * Notices everything that could go wrong when the engine dies in the middle: three threads, one that computes in
 * floating point, one in nanosleep, one that is interrupted by a timer on an alternate stack and writes through a
 * pipe to itself. Counters in the file named by argv[1] go on as long as all is well; anything else ends it.
 *
 *     victim FILE           that
 *     victim FILE tree      and the same in two children and a grandchild
 *     victim FILE handlers  every signal has a handler, and none but SIGALRM may come
 *     victim FILE confined  seccomp refuses every call that it does not make itself
 *     victim FILE doomed    the kernel kills it for such a call
 *     victim FILE sleepers  more threads, each in another system call that sleeps
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t *counters; /* shared with the judge: one for each thread, and one for signals */
#define COUNTERS 4 /* of one process */
static useconds_t rest; /* many processes leave the processor to each other */
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
		if (rest)
			usleep(rest);
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

static int own_pipe[2];

static void writing(void)
{
	uint64_t sent = 0, got;

	for (;; sent++) {
		if (write(own_pipe[1], &sent, sizeof sent) != sizeof sent
		    || read(own_pipe[0], &got, sizeof got) != sizeof got)
			fail("pipe is broken");
		if (got != sent)
			fail("pipe mixes things up");
		counters[2]++;
		if (sent % 64 == 0)
			usleep(100 + rest);
	}
}

static void unexpected(int signal)
{
	dprintf(2, "victim: signal %d\n", signal);
	_exit(5);
}

static void catch_everything(void)
{
	struct sigaction action = { .sa_handler = unexpected };

	for (int signal = 1; signal <= 64; signal++) {
		if (signal == SIGKILL || signal == SIGSTOP || signal == SIGALRM || signal == 32 || signal == 33)
			continue;
		if (sigaction(signal, &action, NULL))
			fail("sigaction");
	}
}

/* What may come of a sleep that was cut short: signal(7), "interruption of system calls by stop signals". */
static void check_sleep(int result, const char *what)
{
	if (result < 0 && errno != EINTR)
		fail(what);
}

static void *in_poll(void *unused)
{
	for (;; counters[4]++)
		check_sleep(poll(NULL, 0, 3), "poll");
	return unused;
}

static void *in_epoll(void *unused)
{
	struct epoll_event event;
	int fd = epoll_create1(0);

	for (;; counters[5]++)
		check_sleep(epoll_wait(fd, &event, 1, 3), "epoll_wait");
	return unused;
}

static void *in_futex(void *unused)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t never = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&mutex);
	for (;; counters[6]++) {
		struct timespec until;
		int error;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 3000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if ((error = pthread_cond_timedwait(&never, &mutex, &until)) && error != ETIMEDOUT)
			fail("pthread_cond_timedwait");
	}
	return unused;
}

static int slow_pipe[2];

static void *in_read(void *unused)
{
	uint64_t got, expected = 0;

	for (;; counters[7]++)
		if (read(slow_pipe[0], &got, sizeof got) != sizeof got || got != expected++)
			fail("read");
	return unused;
}

static void *in_absolute_sleep(void *unused)
{
	for (uint64_t sent = 0;; sent++) {
		struct timespec until;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 3000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
			counters[8]++;
		if (write(slow_pipe[1], &sent, sizeof sent) != sizeof sent)
			fail("write");
		counters[8]++;
	}
	return unused;
}

static void *in_endless_read(void *unused)
{
	int ends[2];
	char byte;

	if (pipe(ends))
		fail("pipe");
	if (read(ends[0], &byte, 1))
		fail("a read that nobody wrote for came back");
	return unused;
}

static void start(void *(*what)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, what, NULL))
		fail("pthread_create");
}

static void start_sleepers(void)
{
	if (pipe(slow_pipe))
		fail("pipe");
	start(in_poll);
	start(in_epoll);
	start(in_futex);
	start(in_read);
	start(in_absolute_sleep);
	start(in_endless_read);
}

static void become_tree(void)
{
	rest = 1000;
	if (!fork()) {
		counters += COUNTERS;
		if (!fork())
			counters += COUNTERS;
	} else if (!fork()) {
		counters += 3 * COUNTERS;
	}
}

/* All threads, once their first steps are done. */
static void confine(uint32_t verdict)
{
	static const int allowed[] = { SYS_read, SYS_write, SYS_nanosleep, SYS_clock_nanosleep, SYS_rt_sigreturn,
				       SYS_restart_syscall };
	enum { COUNT = sizeof allowed / sizeof *allowed };
	struct sock_filter code[COUNT + 3] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
	struct sock_fprog program = { COUNT + 3, code };

	for (int i = 0; i < COUNT; i++)
		code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], COUNT - i, 0);
	code[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
	code[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	while (!counters[0] || !counters[1] || !counters[3])
		usleep(100);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	    || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program))
		fail("seccomp");
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART };
	stack_t stack = { .ss_sp = altstack, .ss_size = sizeof altstack };
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } };
	const char *mode = argc > 2 ? argv[2] : "";
	sigset_t alarm_only;
	int fd;

	if (argc < 2 || (fd = open(argv[1], O_RDWR)) < 0)
		return 2;
	counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (!strcmp(mode, "tree"))
		become_tree();
	if (!strcmp(mode, "handlers"))
		catch_everything();
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	if (counters == MAP_FAILED || sigaltstack(&stack, NULL) || sigaction(SIGALRM, &action, NULL))
		fail("set-up");
	pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
	start(computing);
	start(sleeping);
	if (!strcmp(mode, "sleepers"))
		start_sleepers();
	pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
	if (setitimer(ITIMER_REAL, &every, NULL))
		fail("setitimer");
	if (pipe(own_pipe))
		fail("pipe");
	if (!strcmp(mode, "confined"))
		confine(SECCOMP_RET_ERRNO | EPERM);
	if (!strcmp(mode, "doomed"))
		confine(SECCOMP_RET_KILL_PROCESS);
	writing();
}
