// SPDX-License-Identifier: Apache-2.0
/*
 * Blocked signals wait with everything that came with them: sent by kill, queued with a value, or carrying a siginfo
 * that only the kernel or a debugger makes.  Real-time signals wait in their order, to the process and to the thread.
 */
#include "zdtm.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef FAULT
#define FAULT SIGURG
#endif

enum { QUEUED = 70 };

static siginfo_t process_wide[QUEUED + 3], to_thread[QUEUED + 3];

static void queue(siginfo_t *info, int to_one_thread)
{
	if (to_one_thread ? syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), info->si_signo, info)
			  : syscall(SYS_rt_sigqueueinfo, getpid(), info->si_signo, info))
		err_die("queueing signal %d", info->si_signo);
}

/* Fills `expected` in the order in which a sigtimedwait() takes them: lower numbers first. */
static void send(siginfo_t *expected, int to_one_thread)
{
	int real_time = SIGRTMIN + 3 + to_one_thread;

	expected[0] = (siginfo_t) { .si_signo = to_one_thread ? FAULT : SIGURG, .si_code = 1 };
	expected[0].si_addr = (void *)0x123456789abc;
	expected[1] = (siginfo_t) { .si_signo = to_one_thread ? SIGUSR1 : SIGUSR2, .si_code = SI_QUEUE };
	expected[1].si_pid = 4711;
	expected[1].si_uid = 815;
	expected[1].si_value.sival_ptr = (void *)0xfedcba9876543210;
	expected[2] = (siginfo_t) { .si_signo = to_one_thread ? SIGWINCH : SIGIO };
	expected[2].si_code = to_one_thread ? SI_TKILL : SI_USER;
	expected[2].si_pid = getpid();
	expected[2].si_uid = getuid();
	for (int i = 3; i < QUEUED + 3; i++) {
		expected[i] = (siginfo_t) { .si_signo = real_time, .si_code = -2 - i };
		expected[i].si_value.sival_int = test_random();
		queue(&expected[i], to_one_thread);
	}
	queue(&expected[0], to_one_thread);
	queue(&expected[1], to_one_thread);
	if (to_one_thread ? tgkill(getpid(), gettid(), SIGWINCH) : kill(getpid(), SIGIO))
		err_die("sending a plain signal");
}

static int take(const siginfo_t *expected, int count)
{
	static const struct timespec now;

	for (int i = 0; i < count; i++) {
		siginfo_t got = { .si_signo = 0 };
		uint64_t one = 1ul << (expected[i].si_signo - 1);

		/* The library's sigtimedwait() changes the code SI_TKILL. */
		if (syscall(SYS_rt_sigtimedwait, &one, &got, &now, sizeof(one)) != expected[i].si_signo)
			return fail("signal %d (number %d) is not pending", expected[i].si_signo, i);
		if (memcmp(&got, &expected[i], 48))
			return fail("signal %d (number %d): code %d pid %d uid %d value %p; not code %d pid %d uid %d value %p",
				    got.si_signo, i, got.si_code, got.si_pid, got.si_uid, got.si_ptr, expected[i].si_code,
				    expected[i].si_pid, expected[i].si_uid, expected[i].si_ptr);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct timespec now;
	sigset_t all;
	int bad;

	test_init(argc, argv);
	sigfillset(&all);
	sigdelset(&all, SIGTERM);
	sigprocmask(SIG_BLOCK, &all, NULL);
	send(process_wide, 0);
	send(to_thread, 1);

	test_ready();
	test_wait();

	bad = take(to_thread, QUEUED + 3) | take(process_wide, QUEUED + 3);
	if (sigtimedwait(&all, NULL, &now) != -1 || errno != EAGAIN)
		bad = fail("there is a signal too many");
	return bad ? 1 : pass();
}
