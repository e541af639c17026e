// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's own account of the address space: every line of /proc/self/maps and the flags of every mapping are as
 * before, of the program, the libraries, heap, stack, and of mappings that are locked, unreserved or growing.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, SIZE = 1 << 18 };

static char before[SIZE], now[SIZE], smaps[4 * SIZE];

static void append(char *text, const char *line, size_t length)
{
	size_t used = strlen(text);

	if (used + length >= SIZE)
		err_die("too many mappings");
	memcpy(text + used, line, length);
	text[used + length] = 0;
}

/* A mapping's flags, without two that only say how the memory was filled: accounted (ac) and soft-dirty (sd). */
static void append_flags(char *text, const char *line)
{
	for (; *line != '\n'; line += 3)
		if (strncmp(line, "ac ", 3) && strncmp(line, "sd ", 3))
			append(text, line, 3);
	append(text, "\n", 1);
}

/* The lines of smaps that begin with an address, and the flags. */
static void list(char *text)
{
	int fd = open("/proc/self/smaps", O_RDONLY);
	ssize_t size, total = 0;

	while ((size = read(fd, smaps + total, sizeof(smaps) - total - 1)) > 0)
		total += size;
	close(fd);
	smaps[total] = text[0] = 0;
	for (char *line = smaps, *end; (end = strchr(line, '\n')); line = end + 1) {
		if (!strncmp(line, "VmFlags: ", 9))
			append_flags(text, line + 9);
		else if (!(*line >= 'A' && *line <= 'Z'))
			append(text, line, end + 1 - line);
	}
}

static char *next_line(char *line)
{
	char *end = strchrnul(line, '\n');

	return end + (*end == '\n');
}

static void map(size_t pages, int protection, int flags)
{
	char *start = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *inner = mmap(start + PAGE, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, -1, 0);

	if (inner == MAP_FAILED)
		err_die("mmap with flags %x", flags);
	if (protection & PROT_WRITE)
		inner[(pages - 1) * PAGE] = 1;
}

int main(int argc, char **argv)
{
	int fd;

	test_init(argc, argv);
	map(3, PROT_READ | PROT_WRITE, 0);
	map(5, PROT_READ | PROT_WRITE, MAP_NORESERVE);
	map(7, PROT_READ | PROT_WRITE, MAP_LOCKED);
	map(9, PROT_READ | PROT_WRITE, MAP_GROWSDOWN);
	map(11, PROT_NONE, MAP_NORESERVE);
	fd = test_file("data", 5 * PAGE, 1);
	mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	mmap(NULL, 9 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 2 * PAGE);
	list(before);
	list(before);           /* the first time it may have touched new memory */

	test_ready();
	test_wait();

	list(now);
	for (char *old = before, *new = now; *old || *new; old = next_line(old), new = next_line(new)) {
		int old_length = strcspn(old, "\n"), new_length = strcspn(new, "\n");

		if (old_length != new_length || strncmp(old, new, old_length))
			return fail("\"%.*s\" became \"%.*s\"", old_length, old, new_length, new);
	}
	return pass();
}
