// SPDX-License-Identifier: Apache-2.0
/*
 * What `zdtm bench` checkpoints: an idle process that has so much of something.
 *
 *     victim idle | memory MIB | threads N | processes N | files N
 *
 * It writes one byte to standard output when all of it is there, and then sleeps.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *sleeper(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Incompressible and without equal pages: xorshift64*. */
static void memory(long mebibytes)
{
	size_t words = (size_t)mebibytes << 17;
	uint64_t *area = mmap(NULL, words * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), x = 88172645463325252;

	if (area == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < words; i++) {
		x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
		area[i] = x * 0x2545f4914f6cdd1d;
	}
}

static void threads(long count)
{
	pthread_t thread;

	for (long i = 1; i < count; i++)
		if (pthread_create(&thread, NULL, sleeper, NULL))
			die("pthread_create");
}

static void processes(long count)
{
	for (long i = 1; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid)
			sleeper(NULL);
	}
}

static void files(long count)
{
	for (long i = 0; i < count; i++) {
		char name[32];

		snprintf(name, sizeof name, "file-%ld", i);
		if (open(name, O_RDWR | O_CREAT, 0600) < 0)
			die(name);
	}
}

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[2]) : 0;

	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "memory"))
		memory(count);
	else if (!strcmp(argv[1], "threads"))
		threads(count);
	else if (!strcmp(argv[1], "processes"))
		processes(count);
	else if (!strcmp(argv[1], "files"))
		files(count);
	if (write(1, "!", 1) != 1)
		die("write");
	close(1);
	open("/dev/null", O_WRONLY);
	sleeper(NULL);
}
