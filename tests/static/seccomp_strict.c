// SPDX-License-Identifier: Apache-2.0
/* Strict mode: nothing but read, write, _exit and sigreturn; of a thread and of two processes. */
#include "zdtm.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OBEYS, BREAKS, THREAD, COUNT };

static int question[COUNT][2], answer[COUNT][2];

/* Says one byte as soon as it is confined, and answers each byte by its successor. */
static void live(int number)
{
	unsigned char byte = 0;

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0))
		err_die("PR_SET_SECCOMP");
	do {
		byte++;
		if (write(answer[number][1], &byte, 1) != 1)
			syscall(SYS_exit, 1);
	} while (read(question[number][0], &byte, 1) == 1 && byte);
	if (number == BREAKS)
		syscall(SYS_getpid);
	syscall(SYS_exit, 0);
}

static void *thread(void *unused)
{
	live(THREAD);
	return unused;
}

static int ask(int number, unsigned char byte)
{
	if (byte || number < 0)
		write_all(question[number][1], &byte, 1);
	read_all(answer[number][0], &byte, 1);
	return byte;
}

static void dismiss(int number)
{
	unsigned char end = 0;

	write_all(question[number][1], &end, 1);
}

int main(int argc, char **argv)
{
	pid_t pids[THREAD];
	pthread_t helper;
	int status;

	test_init(argc, argv);
	for (int i = 0; i < COUNT; i++)
		if (pipe(question[i]) || pipe(answer[i]))
			err_die("pipe");
	for (int i = 0; i < THREAD; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err_die("fork");
		if (!pids[i])
			live(i);
	}
	if (pthread_create(&helper, NULL, thread, NULL))
		err_die("pthread_create");
	for (int i = 0; i < COUNT; i++)
		if (ask(i, 0) != 1)
			err_die("%d does not live", i);

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		if (ask(i, 41 + i) != 42 + i)
			return fail("%d does not answer", i);
	for (int i = 0; i < COUNT; i++)
		dismiss(i);
	for (int i = 0; i < THREAD; i++) {
		if (waitpid(pids[i], &status, 0) != pids[i])
			return fail("waitpid");
		if (i == OBEYS ? status : !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			return fail("process %d, which %s, ended with status %x", i, i == OBEYS ? "obeys" : "made another call",
				    status);
	}
	pthread_join(helper, NULL);
	return pass();
}
