// SPDX-License-Identifier: Apache-2.0
/* Mappings of terabytes with a few pages in use: at both ends, across 1 GiB boundaries, at random. */
#include "zdtm.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, RANDOM_PAGES = 200, KINDS = 3 };

static const size_t SIZE = (2ul << 40) + 3 * PAGE;
static const int kinds[KINDS] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE };

struct page {
	char *address;
	uint32_t seed;
};

static struct page pages[KINDS][RANDOM_PAGES + 4];

static size_t choose(int number)
{
	uint64_t random = (uint64_t)test_random() << 32 | test_random();

	switch (number) {
	case 0: return 0;
	case 1: return SIZE - PAGE;
	case 2: return (1ul << 30) - PAGE;
	case 3: return 1ul << 39;
	default: return random % (SIZE / PAGE) * PAGE;
	}
}

static void make(int kind)
{
	char *start = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		err_die("mmap of %zu bytes", SIZE);
	for (int i = 0; i < RANDOM_PAGES + 4; i++) {
		struct page *page = &pages[kind][i];

		page->address = start + choose(i);
		page->seed = (uintptr_t)page->address >> 12;      /* the same for a page that is chosen twice */
		data_fill(page->address, PAGE, page->seed);
	}
	if (mprotect(start, SIZE, kinds[kind]))
		err_die("mprotect");
}

static int check(const struct page *page, int kind)
{
	char wanted[PAGE];

	if (kinds[kind] == PROT_NONE && mprotect(page->address, PAGE, PROT_READ))
		return fail("mprotect");
	data_fill(wanted, PAGE, page->seed);
	return memcmp(page->address, wanted, PAGE) ? fail("the page at %p, kind %d, changed", page->address, kind) : 0;
}

int main(int argc, char **argv)
{
	int bad = 0;

	test_init(argc, argv);
	for (int kind = 0; kind < KINDS; kind++)
		make(kind);

	test_ready();
	test_wait();

	for (int kind = 0; kind < KINDS; kind++)
		for (int i = 0; i < RANDOM_PAGES + 4; i++)
			bad |= check(&pages[kind][i], kind);
	return bad ? 1 : pass();
}
