// SPDX-License-Identifier: Apache-2.0
/*
 * mlockall(2) locks everything, also mappings whose pages nobody may
 * touch and those that reach beyond the end of their file.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* Kilobytes of locked mappings, as the status file has them. */
static long locked(void)
{
	char text[4096] = "", *line;
	int fd = open("/proc/self/status", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0 || !(line = strstr(text, "\nVmLck:")))
		err_die("/proc/self/status");
	close(fd);
	return atol(line + 7);
}

int main(int argc, char **argv)
{
	char *closed, *beyond;
	long before;

	test_init(argc, argv);
	closed = mmap(NULL, 5 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	beyond = mmap(NULL, 7 * PAGE, PROT_READ, MAP_SHARED, test_file("short", PAGE, 1), 0);
	if (closed == MAP_FAILED || beyond == MAP_FAILED || mlockall(MCL_CURRENT))
		err_die("mlockall");
	before = locked();

	test_ready();
	test_wait();

	if (locked() != before)
		return fail("%ld of %ld kB are locked", locked(), before);
	return pass();
}
