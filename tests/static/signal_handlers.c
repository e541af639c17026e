// SPDX-License-Identifier: Apache-2.0
/* The disposition of every signal, as the kernel keeps it: handler, flags, restorer and mask. */
#include "zdtm.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct kernel_action {
	uint64_t handler, flags, restorer, mask;
};

static struct kernel_action wanted[65];

static bool is_settable(int signo)
{
	return signo != SIGKILL && signo != SIGSTOP && signo != SIGTERM;
}

static struct kernel_action choose(int signo)
{
	static const uint64_t flags[] = {
		SA_NOCLDSTOP, SA_NOCLDWAIT, SA_SIGINFO, SA_ONSTACK, SA_RESTART, SA_NODEFER, SA_RESETHAND,
	};
	uint64_t unblockable = 1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1);
	struct kernel_action action = { .flags = 0x04000000 };           /* SA_RESTORER */

	if (signo % 9 == 3)
		return (struct kernel_action) { .handler = (uint64_t)SIG_IGN };
	if (signo % 9 == 7)
		return (struct kernel_action) { .handler = (uint64_t)SIG_DFL };
	for (int bit = 0; bit < 7; bit++)
		if (test_random() & 1)
			action.flags |= flags[bit];
	action.handler = 0x10000 + 64 * signo;                             /* none of these will ever run */
	action.restorer = 0x20000 + 64 * signo;
	action.mask = ((uint64_t)test_random() << 32 | test_random()) & ~unblockable;
	return action;
}

int main(int argc, char **argv)
{
	struct kernel_action now;
	int bad = 0;

	test_init(argc, argv);
	for (int signo = 1; signo <= 64; signo++) {
		if (is_settable(signo))
			wanted[signo] = choose(signo);
		if (is_settable(signo) && syscall(SYS_rt_sigaction, signo, &wanted[signo], NULL, 8))
			err_die("rt_sigaction(%d)", signo);
		if (syscall(SYS_rt_sigaction, signo, NULL, &wanted[signo], 8))
			err_die("rt_sigaction(%d)", signo);
	}

	test_ready();
	test_wait();

	for (int signo = 1; signo <= 64; signo++) {
		if (syscall(SYS_rt_sigaction, signo, NULL, &now, 8))
			err_die("rt_sigaction(%d)", signo);
		if (memcmp(&now, &wanted[signo], sizeof(now)))
			bad = fail("signal %d: handler %lx flags %lx restorer %lx mask %lx; not %lx %lx %lx %lx", signo, now.handler,
				   now.flags, now.restorer, now.mask, wanted[signo].handler, wanted[signo].flags,
				   wanted[signo].restorer, wanted[signo].mask);
	}
	return bad ? 1 : pass();
}
