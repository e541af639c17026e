// SPDX-License-Identifier: Apache-2.0
/* Mappings made, moved, split, protected and removed at random all the time; what a mapping holds is always known. */
#include "zdtm.h"

#include <sys/mman.h>

enum { PAGE = 4096, SLOTS = 100, MOST = 40 };

static struct slot {
	char *start;
	uint32_t pages, seed;
	bool is_file;
} slots[SLOTS];
static int file;

static void make(struct slot *slot)
{
	slot->pages = 1 + test_random() % MOST;
	slot->seed = test_random();
	slot->is_file = test_random() % 4 == 0;
	slot->start = mmap(NULL, slot->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | (slot->is_file ? 0 : MAP_ANONYMOUS),
			   slot->is_file ? file : -1, 0);
	if (slot->start == MAP_FAILED)
		err_die("mmap of %u pages", slot->pages);
	for (uint32_t page = 0; page < slot->pages; page++)
		data_fill(slot->start + page * PAGE, 64, slot->seed + page);
}

static int check(const struct slot *slot)
{
	char wanted[64];

	for (uint32_t page = 0; page < slot->pages; page++) {
		data_fill(wanted, 64, slot->seed + page);
		if (!data_check(slot->start + page * PAGE, 64, data_sum(wanted, 64)))
			return fail("page %u of %u at %p changed", page, slot->pages, slot->start);
	}
	return 0;
}

/* To another place; all of it must have one protection for that. */
static void move(struct slot *slot)
{
	size_t size = slot->pages * PAGE;
	char *place = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mprotect(slot->start, size, PROT_READ | PROT_WRITE))
		err_die("mprotect");
	slot->start = mremap(slot->start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	if (slot->start == MAP_FAILED)
		err_die("mremap");
}

static void disturb(struct slot *slot)
{
	uint32_t half = slot->pages / 2;

	switch (test_random() % 4) {
	case 0:
		if (mprotect(slot->start, (half + 1) * PAGE, PROT_READ))
			err_die("mprotect");
		break;
	case 1:
		move(slot);
		break;
	case 2:
		if (half && munmap(slot->start + (slot->pages - half) * PAGE, half * PAGE))
			err_die("munmap");
		slot->pages -= half;
		break;
	case 3:
		if (munmap(slot->start, slot->pages * PAGE))
			err_die("munmap");
		make(slot);
	}
}

int main(int argc, char **argv)
{
	uint64_t steps = 0;

	test_init(argc, argv);
	file = test_file("data", MOST * PAGE, 1);
	for (int i = 0; i < SLOTS; i++)
		make(&slots[i]);
	test_ready();
	for (; test_running() || steps < 200; steps++) {
		struct slot *slot = &slots[test_random() % SLOTS];

		if (check(slot))
			return 1;
		disturb(slot);
	}
	for (int i = 0; i < SLOTS; i++)
		if (check(&slots[i]))
			return 1;
	note("%lu steps", steps);
	return pass();
}
