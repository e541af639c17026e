// SPDX-License-Identifier: Apache-2.0
/* Sixty-four threads keep their ids, their stacks, their thread-local variables and their places in /proc/self/task. */
#include "zdtm.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { THREADS = 64 };

static __thread uint32_t mark[33];
static stage_t *started;
static pid_t tids[THREADS];

static int count_tasks(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	if (!tasks)
		err_die("opendir(/proc/self/task)");
	while (readdir(tasks))
		count++;
	closedir(tasks);
	return count - 2;
}

static int check_task(int number)
{
	if (gettid() != tids[number])
		return fail("thread %d has the id %d, not %d", number, gettid(), tids[number]);
	if (tgkill(getpid(), tids[number], 0))
		return fail("thread %d is not in this process", number);
	return 0;
}

static void *live(void *argument)
{
	int number = (intptr_t)argument;
	pthread_t self = pthread_self();
	char stack[5000];
	uint32_t sum = data_fill(stack, 1000 + number * 50, number), local = data_fill(mark, sizeof(mark), ~number);

	tids[number] = gettid();
	stage_step(started);
	test_wait();

	if (!pthread_equal(self, pthread_self()))
		return (void *)(intptr_t)fail("thread %d has another pthread_self()", number);
	if (!data_check(stack, 1000 + number * 50, sum) || !data_check(mark, sizeof(mark), local))
		return (void *)(intptr_t)fail("the stack or the variables of thread %d changed", number);
	return (void *)(intptr_t)check_task(number);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, live, (void *)i))
			err_die("pthread_create");
	stage_wait(started, THREADS);

	test_ready();
	test_wait();

	if (gettid() != getpid())
		bad = fail("the first thread has the id %d in process %d", gettid(), getpid());
	for (int i = 0; i < THREADS; i++) {
		void *result;

		if (pthread_join(threads[i], &result) || result)
			bad = 1;
	}
	for (int tries = 0; count_tasks() > 1 && tries < 1000; tries++)   /* the last one leaves after the join */
		usleep(1000);
	if (count_tasks() != 1)
		bad = fail("%d tasks are left after all were joined", count_tasks());
	return bad ? 1 : pass();
}
