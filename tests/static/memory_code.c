// SPDX-License-Identifier: Apache-2.0
/*
 * Code made at run time, in memory that is executable and in memory
 * that is writable too; and the program's own, patched.
 */
#include "zdtm.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, FUNCTIONS = 100 };

typedef int (*function_t)(void);

/* mov $number, %eax; ret */
static void emit(char *place, uint32_t number)
{
	place[0] = 0xb8;
	memcpy(place + 1, &number, 4);
	place[5] = 0xc3;
}

static __attribute__((noinline, aligned(4096))) int own_function(void)
{
	asm volatile("");
	return 1;
}

static int call_all(const char *code)
{
	for (int i = 0; i < FUNCTIONS; i++) {
		int number = ((function_t)(code + i * 50))();

		if (number != i * 7919)
			return fail("function %d gives %d, not %d", i, number, i * 7919);
	}
	return 0;
}

int main(int argc, char **argv)
{
	function_t volatile own = own_function;
	char *code[2];
	int bad = 0;

	test_init(argc, argv);
	for (int i = 0; i < 2; i++) {
		int protection = PROT_READ | PROT_WRITE | (i ? PROT_EXEC : 0);

		code[i] = mmap(NULL, 2 * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (int j = 0; j < FUNCTIONS; j++)
			emit(code[i] + j * 50, j * 7919);
	}
	if (mprotect(code[0], 2 * PAGE, PROT_READ | PROT_EXEC) ||
	    mprotect((void *)own, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC))
		err_die("mprotect");
	emit((char *)own, 4711);
	if (mprotect((void *)own, PAGE, PROT_READ | PROT_EXEC))
		err_die("mprotect");

	test_ready();
	test_wait();

	bad |= call_all(code[0]) | call_all(code[1]);
	if (own() != 4711)
		bad = fail("the patched function gives %d, not 4711", own());
	return bad ? 1 : pass();
}
