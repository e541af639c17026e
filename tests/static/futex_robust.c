// SPDX-License-Identifier: Apache-2.0
/*
 * A thread and a child each hold a robust mutex and die without unlocking it, after the wait.  The kernel must find
 * their robust lists where they registered them: then the mutexes are handed on with EOWNERDEAD.
 */
#include "zdtm.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t *mutexes;   /* shared: [0] is held by the thread, [1] by the child, [2] by nobody */
static stage_t *started, *checked;
static int bad;

struct list {
	struct robust_list_head *head;
	size_t size;
};

static struct list own_list(void)
{
	struct list list = { NULL, 0 };

	if (syscall(SYS_get_robust_list, 0, &list.head, &list.size))
		err_die("get_robust_list");
	return list;
}

static int hold(intptr_t number)
{
	struct list before = own_list(), after;

	pthread_mutex_lock(&mutexes[number]);
	stage_step(started);
	test_wait();
	stage_wait(checked, 1);   /* SIGTERM wakes everybody: the mutexes must still be locked when they are tried */
	after = own_list();
	if (before.head != after.head || before.size != after.size)
		return fail("holder %ld: the list is at %p (%zu), not %p (%zu)", number, after.head, after.size, before.head,
			    before.size);
	return 0;
}

static void *thread(void *number)
{
	bad = hold((intptr_t)number);
	return NULL;
}

static int child(void *number)
{
	int result = hold((intptr_t)number);

	_exit(result);   /* without the library's cleaning up */
}

static void make_mutexes(void)
{
	pthread_mutexattr_t kind;

	mutexes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
	for (int i = 0; i < 3; i++)
		if (pthread_mutex_init(&mutexes[i], &kind))
			err_die("pthread_mutex_init");
}

int main(int argc, char **argv)
{
	static const int wanted[3] = { EOWNERDEAD, EOWNERDEAD, 0 };
	pthread_t holder;
	pid_t pid;

	test_init(argc, argv);
	started = stage_new();
	checked = stage_new();
	make_mutexes();
	pid = test_fork(child, (void *)1);
	if (pthread_create(&holder, NULL, thread, (void *)0))
		err_die("pthread_create");
	stage_wait(started, 2);

	test_ready();
	test_wait();

	for (int i = 0; i < 2; i++)
		if (pthread_mutex_trylock(&mutexes[i]) != EBUSY)
			bad = fail("mutex %d is not locked", i);
	stage_step(checked);
	pthread_join(holder, NULL);
	bad |= test_finish(pid);
	for (int i = 0; i < 3; i++) {
		int result = pthread_mutex_trylock(&mutexes[i]);

		if (result != wanted[i])
			bad = fail("mutex %d: locking gives %d, not %d", i, result, wanted[i]);
	}
	return bad ? 1 : pass();
}
