// SPDX-License-Identifier: Apache-2.0
/*
 * Mappings in odd places: as low as the kernel allows, as high as it allows, beside the program, below the stack.
 * Whoever restores has to get out of the way.
 */
#include "zdtm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, MOST = 300 };

static struct place {
	char *address;
	uint32_t seed;
} places[MOST];
static int count;

static void take(uintptr_t address, int flags)
{
	char *start = mmap((void *)address, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (start == MAP_FAILED || (address && start != (char *)address))
		err_die("mmap at %lx", address);
	places[count] = (struct place) { start, test_random() };
	data_fill(start, PAGE, places[count++].seed);
}

static bool is_free(uintptr_t address)
{
	unsigned char resident;

	return address && mincore((void *)address, PAGE, &resident) != 0;
}

static uintptr_t lowest_allowed(void)
{
	FILE *file = fopen("/proc/sys/vm/mmap_min_addr", "r");
	uintptr_t address = 65536;

	if (file && fscanf(file, "%lu", &address) != 1)
		err_die("mmap_min_addr");
	if (file)
		fclose(file);
	return address ? address : PAGE;
}

static void take_places(void)
{
	uintptr_t top = 0x7ffffffff000, program = (uintptr_t)take & -PAGE, bits;

	take(lowest_allowed(), MAP_FIXED_NOREPLACE);
	take(lowest_allowed() + 5 * PAGE, MAP_FIXED_NOREPLACE);
	take(0x7ffff000, MAP_FIXED_NOREPLACE);
	for (bits = 22; bits < 47; bits++)                        /* one in every order of magnitude */
		take((1ul << bits) + 0x3000, MAP_FIXED_NOREPLACE);
	take(top - PAGE, MAP_FIXED_NOREPLACE);
	while (!is_free(program))
		program -= PAGE;
	take(program, MAP_FIXED_NOREPLACE);
	while (count < MOST)
		take(0, count % 2 ? 0 : MAP_32BIT);               /* wherever the kernel likes */
}

int main(int argc, char **argv)
{
	char wanted[PAGE];
	int bad = 0;

	test_init(argc, argv);
	take_places();

	test_ready();
	test_wait();

	for (int i = 0; i < count; i++) {
		data_fill(wanted, PAGE, places[i].seed);
		if (memcmp(places[i].address, wanted, PAGE))
			bad = fail("the page at %p changed", places[i].address);
	}
	return bad ? 1 : pass();
}
