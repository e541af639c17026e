// SPDX-License-Identifier: Apache-2.0
/* The address that the kernel clears and wakes when a thread ends: given to clone(), or set by the thread later. */
#include "zdtm.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	STACK = 65536,
	FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
		CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
};

static volatile uint32_t words[3];
static stage_t *stage;

static int keep_address(void *unused)
{
	(void)unused;
	stage_wait(stage, 1);
	return 0;
}

static int move_address(void *unused)
{
	syscall(SYS_set_tid_address, &words[2]);
	words[2] = gettid();
	return keep_address(unused);
}

static pid_t start(int (*body)(void *), volatile uint32_t *word)
{
	char *stack = malloc(STACK);
	pid_t tid = clone(body, stack + STACK, FLAGS, NULL, NULL, NULL, word);

	if (tid < 0)
		err_die("clone");
	return tid;
}

static void await_zero(volatile uint32_t *word)
{
	uint32_t now;

	while ((now = *word))
		syscall(SYS_futex, word, FUTEX_WAIT, now, NULL, NULL, 0);
}

int main(int argc, char **argv)
{
	pid_t first, second;
	int bad = 0;

	test_init(argc, argv);
	stage = stage_new();
	first = start(keep_address, &words[0]);
	second = start(move_address, &words[1]);
	while (!words[0] || !words[1] || !words[2])
		usleep(100);

	test_ready();
	test_wait();

	if ((pid_t)words[0] != first || (pid_t)words[1] != second || (pid_t)words[2] != second)
		bad = fail("the words are %u %u %u, not %d %d %d", words[0], words[1], words[2], first, second, second);
	stage_reach(stage, 1);
	await_zero(&words[0]);
	await_zero(&words[2]);      /* hangs if the kernel clears or wakes another word */
	if ((pid_t)words[1] != second)
		bad = fail("the address that the second thread gave up became %u", words[1]);
	return bad ? 1 : pass();
}
