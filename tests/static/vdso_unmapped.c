// SPDX-License-Identifier: Apache-2.0
/* A program that has unmapped its vDSO and the data beside it: it stays without, and time comes by system calls. */
#include "zdtm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Unmaps them, if `unmap` is set; how many there were. */
static int areas(bool unmap)
{
	unsigned long starts[10], ends[10];
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[1000];
	int count = 0;

	if (!maps)
		err_die("/proc/self/maps");
	while (count < 10 && fgets(line, sizeof(line), maps))
		if ((strstr(line, "[vvar") || strstr(line, "[vdso]")) &&
		    sscanf(line, "%lx-%lx", &starts[count], &ends[count]) == 2)
			count++;
	fclose(maps);
	for (int i = 0; unmap && i < count; i++)
		if (munmap((void *)starts[i], ends[i] - starts[i]))
			err_die("munmap");
	return count;
}

int main(int argc, char **argv)
{
	struct timespec before, after;

	test_init(argc, argv);
	if (!areas(true))
		return skip("this kernel has no vDSO");
	if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &before))
		err_die("clock_gettime");

	test_ready();
	test_wait();

	if (areas(false))
		return fail("there is a vDSO again");
	if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &after) || after.tv_sec < before.tv_sec)
		return fail("clock_gettime says %ld after %ld", after.tv_sec, before.tv_sec);
	return pass();
}
