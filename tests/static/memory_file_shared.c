// SPDX-License-Identifier: Apache-2.0
/* Shared mappings of one file in two processes: with each other and with the file they are still one. */
#include "zdtm.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 10 };

static char *whole, *part, *view;
static stage_t *stage;
static sigjmp_buf escape;

static void on_fault(int number)
{
	siglongjmp(escape, number);
}

static bool can_write(volatile char *address)
{
	if (sigsetjmp(escape, 1))
		return false;
	*address = 0;
	return true;
}

static char *map(int fd, int protection, int first, int pages)
{
	char *start = mmap(NULL, pages * PAGE, protection, MAP_SHARED, fd, first * PAGE);

	if (start == MAP_FAILED)
		err_die("mmap");
	return start;
}

static int child(void *unused)
{
	(void)unused;
	stage_wait(stage, 1);
	if (strcmp(part + 10, "from the parent"))
		return fail("the child does not see what the parent wrote");
	strcpy(whole + 5 * PAGE, "from the child");
	return 0;
}

int main(int argc, char **argv)
{
	uint32_t sum;
	char text[32];
	int fd, reader, bad = 0;
	pid_t pid;

	test_init(argc, argv);
	stage = stage_new();
	fd = test_file("data", PAGES * PAGE, test_random());
	reader = open("data", O_RDONLY);
	whole = map(fd, PROT_READ | PROT_WRITE, 0, PAGES);
	part = map(fd, PROT_READ | PROT_WRITE, 3, 4);
	view = map(reader, PROT_READ, 5, 2);
	strcpy(whole + 7 * PAGE, "written before");
	sum = data_sum(whole, PAGES * PAGE);
	pid = test_fork(child, NULL);
	close(reader);
	signal(SIGSEGV, on_fault);

	test_ready();
	test_wait();

	if (!data_check(whole, PAGES * PAGE, sum) || memcmp(part, whole + 3 * PAGE, 4 * PAGE))
		bad = fail("the contents changed");
	strcpy(whole + 3 * PAGE + 10, "from the parent");
	stage_step(stage);
	bad |= test_reap(pid);
	if (strcmp(part + 2 * PAGE, "from the child") || strcmp(view, "from the child"))
		bad = fail("the parent does not see what the child wrote");
	if (pread(fd, text, sizeof(text), 5 * PAGE) < 0 || strcmp(text, "from the child"))
		bad = fail("the file does not hold what the child wrote");
	if (can_write(view))
		bad = fail("the view that was mapped read only can be written");
	if (!mprotect(view, PAGE, PROT_READ | PROT_WRITE))
		bad = fail("the view of a file opened read only can be made writable");
	return bad ? 1 : pass();
}
