// SPDX-License-Identifier: Apache-2.0
/*
 * What /proc says of the program itself: command line (rewritten in place, as daemons do), environment, auxiliary
 * vector, exe link, and the addresses of code, data, heap, stack, arguments and environment in stat.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static const char *const files[] = { "cmdline", "environ", "auxv", "exe", "stat" };
enum { FILES = 5, SIZE = 8192 };

struct content {
	size_t size;
	char data[SIZE];
};

/* Fields of stat that are addresses: startcode endcode startstack, start_data end_data start_brk arg env (proc(5)). */
static void keep_addresses(struct content *stat)
{
	static const int fields[] = { 26, 27, 28, 45, 46, 47, 48, 49, 50, 51 };
	char *place = strrchr(stat->data, ')') + 2, kept[SIZE] = "";

	for (int field = 3, next = 0; next < 10 && place; field++, place = strchr(place, ' ') + 1)
		if (field == fields[next]) {
			snprintf(kept + strlen(kept), SIZE - strlen(kept), "%lx ", strtoul(place, NULL, 10));
			next++;
		}
	stat->size = strlen(kept);
	memcpy(stat->data, kept, SIZE);
}

static void look(const char *name, struct content *content)
{
	char path[64];
	int fd;

	memset(content, 0, sizeof(*content));
	snprintf(path, sizeof(path), "/proc/self/%s", name);
	if (!strcmp(name, "exe")) {
		content->size = readlink(path, content->data, SIZE);
		return;
	}
	fd = open(path, O_RDONLY);
	for (ssize_t size; (size = read(fd, content->data + content->size, SIZE - 1 - content->size)) > 0;)
		content->size += size;
	close(fd);
	if (!strcmp(name, "stat"))
		keep_addresses(content);
}

int main(int argc, char **argv)
{
	static struct content before[FILES], now;
	unsigned long entry = getauxval(AT_ENTRY), random = getauxval(AT_RANDOM), page = getauxval(AT_PAGESZ);
	int bad = 0;

	test_init(argc, argv);
	if (strcmp(test_option("odd", ""), "spaces and = signs") || strcmp(test_option("empty", "?"), ""))
		err_die("the arguments are not what the description says");
	argv[0][0] = '@';
	memset(argv[argc - 1], '#', 3);
	memset(getenv("LANG"), 'L', 1);
	for (int i = 0; i < FILES; i++)
		look(files[i], &before[i]);

	test_ready();
	test_wait();

	for (int i = 0; i < FILES; i++) {
		look(files[i], &now);
		for (size_t j = 0; j < SIZE; j++)
			if (now.data[j] != before[i].data[j]) {
				bad = fail("%s differs at byte %zu of %zu: \"%s\"", files[i], j, now.size, now.data + j);
				break;
			}
		if (now.size != before[i].size)
			bad = fail("%s has %zu bytes, not %zu", files[i], now.size, before[i].size);
	}
	if (getauxval(AT_ENTRY) != entry || getauxval(AT_RANDOM) != random || getauxval(AT_PAGESZ) != page)
		bad = fail("the auxiliary vector in memory changed");
	return bad ? 1 : pass();
}
