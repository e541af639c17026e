// SPDX-License-Identifier: Apache-2.0
/* The vsyscall page is listed as before, and calls to it give the time. */
#include "zdtm.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool find(char *line, size_t size)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	bool found = false;

	while (maps && !found && fgets(line, size, maps))
		found = strstr(line, "[vsyscall]") != NULL;
	fclose(maps);
	return found;
}

int main(int argc, char **argv)
{
	time_t (*vsyscall_time)(time_t *) = (void *)0xffffffffff600400, before, now;
	char first[256], second[256];

	test_init(argc, argv);
	if (!find(first, sizeof(first)))
		return skip("this kernel has no vsyscall page");
	before = vsyscall_time(NULL);

	test_ready();
	test_wait();

	if (!find(second, sizeof(second)) || strcmp(first, second))
		return fail("the page is \"%s\", not \"%s\"", second, first);
	now = vsyscall_time(NULL);
	if (now < before || now > time(NULL) + 1)
		return fail("the time is %ld, before it was %ld", now, before);
	return pass();
}
