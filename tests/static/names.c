// SPDX-License-Identifier: Apache-2.0
/* Names of threads and processes: empty, full length, with spaces, brackets, newlines and bytes that are no text. */
#include "zdtm.h"

#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>

static const char *const names[] = {
	"", "x", "fifteen bytes..", " (a) R 1 1 1", "new\nline", "\xff\xfe\x80", "tab\tcolon: %s", "Name:\tfake",
};
enum { COUNT = sizeof(names) / sizeof(names[0]) };

static stage_t *started;

static void *live(void *name)
{
	char now[16];

	prctl(PR_SET_NAME, name);
	stage_step(started);
	test_wait();
	prctl(PR_GET_NAME, now);
	return (void *)(intptr_t)(strcmp(now, name) ? fail("the name is \"%s\", not \"%s\"", now, (char *)name) : 0);
}

static int process(void *name)
{
	return live(name) != NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[COUNT];
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (int i = 0; i < COUNT; i++)
		children[i] = test_fork(process, (void *)names[i]);
	for (int i = 0; i < COUNT; i++)
		pthread_create(&threads[i], NULL, live, (void *)names[i]);
	stage_wait(started, 2 * COUNT);

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++) {
		void *result;

		pthread_join(threads[i], &result);
		bad |= test_finish(children[i]) | (result != NULL);
	}
	return bad ? 1 : pass();
}
