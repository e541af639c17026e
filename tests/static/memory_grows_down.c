// SPDX-License-Identifier: Apache-2.0
/* A MAP_GROWSDOWN region and the main stack, both grown already: contents stay, and they go on growing when touched. */
#include "zdtm.h"

#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

enum { PAGE = 4096, SPACE = 1000, GROWN = 50 };

static sigjmp_buf escape;
static char handler_stack[65536];

static void on_fault(int number)
{
	siglongjmp(escape, number);
}

/* Touches the pages from `top` downwards; false at the first that cannot grow. */
static bool grow(volatile char *top, int pages)
{
	if (sigsetjmp(escape, 1))
		return false;
	for (int page = 1; page <= pages; page++)
		top[-page * PAGE] = page;
	return true;
}

static bool is_intact(const volatile char *top, int pages)
{
	for (int page = 1; page <= pages; page++)
		if (top[-page * PAGE] != (char)page)
			return false;
	return true;
}

/* Three megabytes in a frame of its own; what it held has to be there still while it waits. */
static __attribute__((noinline)) int wait_deep_in_the_stack(void)
{
	char *deep = alloca(3 << 20);
	uint32_t sum = data_fill(deep, 3 << 20, test_random());

	test_ready();
	test_wait();
	return data_check(deep, 3 << 20, sum) ? 0 : fail("the contents of the stack changed");
}

int main(int argc, char **argv)
{
	char *space, *top;
	int bad;

	test_init(argc, argv);
	sigaltstack(&(stack_t) { .ss_sp = handler_stack, .ss_size = sizeof(handler_stack) }, NULL);
	sigaction(SIGSEGV, &(struct sigaction) { .sa_handler = on_fault, .sa_flags = SA_ONSTACK }, NULL);
	space = mmap(NULL, SPACE * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	top = space + SPACE * PAGE;
	munmap(space, SPACE * PAGE);
	space = mmap(top - PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	if (space == MAP_FAILED || !grow(top, GROWN))
		err_die("the region does not grow");

	bad = wait_deep_in_the_stack();

	if (!is_intact(top, GROWN))
		bad = fail("the contents of the grown region changed");
	if (!grow(top, 2 * GROWN) || !is_intact(top, 2 * GROWN))
		bad = fail("the region does not grow any more");
	return bad ? 1 : pass();
}
