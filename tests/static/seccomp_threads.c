// SPDX-License-Identifier: Apache-2.0
/*
 * Chains that differ between threads: every filter refuses a call of its own.  All have that of the first thread, but for
 * one that was born before it; the others add some.  With --sync the last filter is that of all threads by
 * SECCOMP_FILTER_FLAG_TSYNC.  At the end one more is given to all in this way, which the kernel grants only if the
 * first thread's filters are the ones that the others have.
 */
#include "zdtm.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Calls that nothing here needs; filter n refuses the n-th. */
static const int calls[] = { SYS_getcpu, SYS_getpriority, SYS_getitimer, SYS_getpgrp, SYS_getrusage, SYS_sysinfo };

enum { FIRST, EVEN, THIRD, EVERYBODY, LATE, KINDS, MOST = 200 };

static stage_t *stage;
static int threads, sync_all;
static long install_result;

static void install(int kind, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[kind], 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (500 + kind)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	install_result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static int refuses(int kind)
{
	long buffer[64];

	return syscall(calls[kind], 0, buffer, buffer) < 0 && errno == 500 + kind;
}

/* Bit n: filter n is there. */
static unsigned look(void)
{
	unsigned found = 0;

	for (int kind = 0; kind < KINDS; kind++)
		found |= refuses(kind) << kind;
	errno = 0;
	return found;
}

static unsigned expected(int number)
{
	unsigned has = 0;

	if (number != 1)
		has |= 1 << FIRST;
	if (!sync_all && number && number % 2 == 0)
		has |= 1 << EVEN;
	if (!sync_all && number && number % 3 == 0)
		has |= 1 << THIRD;
	return sync_all ? 1 << FIRST | 1 << EVERYBODY : has;
}

static void *live(void *argument)
{
	intptr_t number = (intptr_t)argument;
	unsigned found;
	intptr_t bad = 0;

	for (int kind = EVEN; kind <= THIRD; kind++)
		if (!sync_all && expected(number) & 1 << kind) {
			install(kind, 0);
			if (install_result)
				err_die("filter %d of thread %ld", kind, number);
		}
	stage_step(stage);
	stage_wait(stage, threads + 1);
	found = look();
	if (found != expected(number))
		bad = fail("thread %ld: filters %x, not %x", number, found, expected(number));
	stage_step(stage);
	stage_wait(stage, 2 * threads + 1);
	if (sync_all && !refuses(LATE))
		bad = fail("thread %ld: the last filter is missing", number);
	return (void *)bad;
}

int main(int argc, char **argv)
{
	pthread_t ids[MOST];
	int bad = 0;

	test_init(argc, argv);
	threads = atoi(test_option("threads", "7"));
	sync_all = !strcmp(test_option("sync", "no"), "yes");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		err_die("PR_SET_NO_NEW_PRIVS");
	stage = stage_new();
	for (intptr_t i = 1; i < threads; i++) {
		if (i == 2)
			install(FIRST, SECCOMP_FILTER_FLAG_LOG);
		if (pthread_create(&ids[i], NULL, live, (void *)i))
			err_die("pthread_create");
	}
	stage_wait(stage, threads - 1);
	if (sync_all) {
		install(EVERYBODY, SECCOMP_FILTER_FLAG_TSYNC);
		if (install_result)
			err_die("SECCOMP_FILTER_FLAG_TSYNC");
	}

	test_ready();
	test_wait();

	if (look() != expected(0))
		bad = fail("the first thread: filters %x, not %x", look(), expected(0));
	stage_step(stage);
	stage_step(stage);
	stage_wait(stage, 2 * threads);
	install(LATE, sync_all ? SECCOMP_FILTER_FLAG_TSYNC : 0);
	if (install_result)
		bad = fail("one more filter for all: %ld", install_result);
	stage_step(stage);
	for (int i = 1; i < threads; i++) {
		void *result;

		pthread_join(ids[i], &result);
		bad |= result != NULL;
	}
	return bad ? 1 : pass();
}
