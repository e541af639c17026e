// SPDX-License-Identifier: Apache-2.0
/*
 * Private mappings of a file: changed pages keep their changes, the
 * others the file's contents; the file stays as it is.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 20, SIZE = PAGES * PAGE - 999 };    /* the last page is partly beyond the end of the file */

static char original[PAGES * PAGE];

struct mapping {
	char *start;
	int first, pages, step;        /* in pages; every step-th is changed, 0: none */
	char wanted[PAGES * PAGE];
};

static void make(struct mapping *mapping, int fd, int first, int pages, int step, int protection)
{
	*mapping = (struct mapping) { .first = first, .pages = pages, .step = step };
	mapping->start = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, first * PAGE);
	if (mapping->start == MAP_FAILED)
		err_die("mmap");
	memcpy(mapping->wanted, original + first * PAGE, pages * PAGE);
	for (int page = 0; step && page < pages; page += step)
		data_fill(mapping->wanted + page * PAGE + 50, PAGE - 100, test_random());
	for (int page = 0; step && page < pages; page += step)
		memcpy(mapping->start + page * PAGE + 50, mapping->wanted + page * PAGE + 50, PAGE - 100);
	if (mprotect(mapping->start, pages * PAGE, protection))
		err_die("mprotect");
}

static int check(const struct mapping *mapping)
{
	for (int i = 0; i < mapping->pages * PAGE; i++)
		if (mapping->start[i] != mapping->wanted[i])
			return fail("the mapping of pages %d+%d differs at byte %d", mapping->first, mapping->pages, i);
	return 0;
}

int main(int argc, char **argv)
{
	static struct mapping mappings[5];
	char *contents = malloc(SIZE);
	int fd, reader, bad = 0;

	test_init(argc, argv);
	fd = test_file("data", SIZE, test_random());
	read_all(fd, original, SIZE);
	reader = open("data", O_RDONLY);
	make(&mappings[0], fd, 0, PAGES, 3, PROT_READ | PROT_WRITE);
	make(&mappings[1], reader, 5, 7, 1, PROT_READ | PROT_WRITE);
	make(&mappings[2], reader, 1, PAGES - 1, 0, PROT_READ | PROT_EXEC);
	make(&mappings[3], fd, PAGES - 1, 1, 1, PROT_READ);
	make(&mappings[4], reader, 2, 9, 4, PROT_READ);
	close(reader);

	test_ready();
	test_wait();

	for (int i = 0; i < 5; i++)
		bad |= check(&mappings[i]);
	lseek(fd, 0, SEEK_SET);
	read_all(fd, contents, SIZE);
	if (memcmp(contents, original, SIZE))
		bad = fail("the file changed");
	mappings[0].start[7] ^= 1;
	if (pread(fd, contents, 1, 7) != 1 || contents[0] != original[7])
		bad = fail("a write to the private mapping reached the file");
	return bad ? 1 : pass();
}
