// SPDX-License-Identifier: Apache-2.0
/* Pages with contents under every protection, none included, alternating: contents and protection stay, faults too. */
#include "zdtm.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 64 };

static const int protections[] = {
	PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC,
	PROT_NONE, PROT_EXEC, PROT_WRITE,
};
enum { KINDS = sizeof(protections) / sizeof(protections[0]) };

static sigjmp_buf escape;

static void on_fault(int number)
{
	siglongjmp(escape, number);
}

static bool can_read(const volatile char *address)
{
	if (sigsetjmp(escape, 1))
		return false;
	(void)*address;
	return true;
}

static bool can_write(volatile char *address)
{
	if (sigsetjmp(escape, 1))
		return false;
	*address = *address + 0;
	return true;
}

static int check(char *page, int number, uint32_t sum)
{
	int protection = protections[number % KINDS];

	/* On x86 what can be written can be read; PROT_EXEC alone is readable unless protection keys are used. */
	if (protection != PROT_EXEC && can_read(page) != (protection != PROT_NONE))
		return fail("page %d with protection %d can%s be read", number, protection, can_read(page) ? "" : "not");
	if (can_write(page) != !!(protection & PROT_WRITE))
		return fail("page %d with protection %d can%s be written", number, protection, can_write(page) ? "" : "not");
	if (mprotect(page, PAGE, PROT_READ))
		return fail("mprotect");
	return data_check(page, PAGE, sum) ? 0 : fail("page %d with protection %d changed", number, protection);
}

int main(int argc, char **argv)
{
	uint32_t sums[PAGES];
	char *start;
	int bad = 0;

	test_init(argc, argv);
	start = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < PAGES; i++)
		sums[i] = data_fill(start + i * PAGE, PAGE, test_random());
	for (int i = 0; i < PAGES; i++)
		if (mprotect(start + i * PAGE, PAGE, protections[i % KINDS]))
			err_die("mprotect");
	signal(SIGSEGV, on_fault);

	test_ready();
	test_wait();

	for (int i = 0; i < PAGES; i++)
		bad |= check(start + i * PAGE, i, sums[i]);
	return bad ? 1 : pass();
}
