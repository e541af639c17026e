// SPDX-License-Identifier: Apache-2.0
/*
 * The checkpoint comes while the task waits inside a handler, on the alternate stack, inside a second handler.
 * All leave in order: values on both stacks, signal masks, and the interrupted computation are as they were.
 */
#include "zdtm.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { STACK_SIZE = 100000 };

static char *stack;
static volatile int bad, order;

static bool is_blocked(int signo)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, signo);
}

static void on_inner(int number, siginfo_t *info, void *context)
{
	char local[3000];
	uint32_t sum = data_fill(local, sizeof(local), test_random());
	stack_t now;

	(void)context;
	test_ready();
	test_wait();

	if (number != SIGUSR2 || info->si_value.sival_int != 77 || !data_check(local, sizeof(local), sum))
		bad = fail("the inner handler's arguments or variables changed");
	if (local < stack || local >= stack + STACK_SIZE)
		bad = fail("the inner handler is not on the alternate stack");
	if (sigaltstack(NULL, &now) || now.ss_flags != SS_ONSTACK || now.ss_sp != stack || now.ss_size != STACK_SIZE)
		bad = fail("the alternate stack is %p, size %zu, flags %x", now.ss_sp, now.ss_size, now.ss_flags);
	if (!is_blocked(SIGUSR1) || !is_blocked(SIGUSR2) || !is_blocked(SIGHUP))
		bad = fail("the mask inside the inner handler changed");
	order = order * 10 + 1;
}

static void on_outer(int number)
{
	volatile int local = 4711;

	sigqueue(getpid(), SIGUSR2, (union sigval) { .sival_int = 77 });
	if (number != SIGUSR1 || local != 4711)
		bad = fail("the outer handler's argument or variable changed");
	if (!is_blocked(SIGUSR1) || is_blocked(SIGUSR2) || is_blocked(SIGHUP))
		bad = fail("the mask inside the outer handler changed");
	order = order * 10 + 2;
}

int main(int argc, char **argv)
{
	struct sigaction inner = { .sa_sigaction = on_inner, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	double sum = 0;

	test_init(argc, argv);
	stack = malloc(STACK_SIZE);
	sigaltstack(&(stack_t) { .ss_sp = stack, .ss_size = STACK_SIZE }, NULL);
	sigaddset(&inner.sa_mask, SIGHUP);
	sigaction(SIGUSR1, &(struct sigaction) { .sa_handler = on_outer, .sa_flags = SA_ONSTACK }, NULL);
	sigaction(SIGUSR2, &inner, NULL);
	for (int i = 1; i <= 100; i++) {
		if (i == 50)
			raise(SIGUSR1);
		sum += 1.0 / i;
	}

	if (order != 12)
		bad = fail("the handlers were left in the order %d, not 12", order);
	if (is_blocked(SIGUSR1) || is_blocked(SIGUSR2) || is_blocked(SIGHUP))
		bad = fail("a signal is still blocked after the handlers");
	if (sum < 5.1873 || sum > 5.1874)
		bad = fail("the interrupted sum is %f, not 5.18737", sum);
	return bad ? 1 : pass();
}
