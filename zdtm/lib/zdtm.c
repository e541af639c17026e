// SPDX-License-Identifier: Apache-2.0
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int arg_count;
static char **arg_values;
static char run_directory[PATH_MAX];
static uint32_t stop_word;         /* futex: becomes 1 with SIGTERM */
static uint32_t random_state;

static void futex_wait(uint32_t *word, uint32_t while_value)
{
	syscall(SYS_futex, word, FUTEX_WAIT, while_value, NULL, NULL, 0);
}

static void futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- log: one write per line, so that lines of several processes never mix ------------------------------------------ */

static void print_line(const char *head, const char *format, va_list values, const char *tail)
{
	int saved = errno;
	char line[2048];
	size_t used = snprintf(line, sizeof(line), "%s", head);

	used += vsnprintf(line + used, sizeof(line) - used, format, values);
	if (used > sizeof(line) - 256)
		used = sizeof(line) - 256;
	used += snprintf(line + used, sizeof(line) - used, "%s\n", tail);
	if (write(STDERR_FILENO, line, used) < 0)
		_exit(3);
	errno = saved;
}

void note(const char *format, ...)
{
	char head[32];
	va_list values;

	snprintf(head, sizeof(head), "[%d] ", getpid());
	va_start(values, format);
	print_line(head, format, values, "");
	va_end(values);
}

static void describe_errno(char *text, size_t size)
{
	*text = 0;
	if (errno)
		snprintf(text, size, " (errno %d: %s)", errno, strerror(errno));
}

static void print_verdict(const char *verdict, const char *file, int line, const char *format, va_list values)
{
	char head[256], tail[128];

	describe_errno(tail, sizeof(tail));
	snprintf(head, sizeof(head), "%s: %s:%d: ", verdict, file, line);
	print_line(head, format, values, tail);
}

int test_fail(const char *file, int line, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	print_verdict("FAIL", file, line, format, values);
	va_end(values);
	return 1;
}

void test_die(const char *file, int line, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	print_verdict("ERROR", file, line, format, values);
	va_end(values);
	exit(2);
}

int skip(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	print_line("SKIP: ", format, values, "");
	va_end(values);
	return 0;
}

static void print_word(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	print_line("", format, values, "");
	va_end(values);
}

int pass(void)
{
	print_word("PASS");
	return 0;
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static void on_sigterm(int number)
{
	int saved = errno;

	(void)number;
	__atomic_store_n(&stop_word, 1, __ATOMIC_SEQ_CST);
	futex_wake(&stop_word);
	errno = saved;
}

void test_init(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_sigterm, .sa_flags = SA_RESTART };
	const char *seed;

	arg_count = argc;
	arg_values = argv;
	if (!getcwd(run_directory, sizeof(run_directory)))
		err_die("getcwd");
	if (sigaction(SIGTERM, &action, NULL))
		err_die("sigaction(SIGTERM)");
	seed = test_option("seed", NULL);
	random_state = seed ? strtoul(seed, NULL, 0) : (uint32_t)time(NULL) * 2654435761u ^ (uint32_t)getpid();
	note("random seed: --seed=%u", random_state);
	errno = 0;
}

const char *test_option(const char *name, const char *fallback)
{
	size_t length = strlen(name);

	for (int i = 1; i < arg_count; i++) {
		const char *word = arg_values[i];

		if (!strncmp(word, "--", 2) && !strncmp(word + 2, name, length) && word[2 + length] == '=')
			return word + length + 3;
	}
	return fallback;
}

void test_ready(void)
{
	print_word("READY");
	errno = 0;
}

bool test_running(void)
{
	return !__atomic_load_n(&stop_word, __ATOMIC_SEQ_CST);
}

void test_wait(void)
{
	while (test_running())
		futex_wait(&stop_word, 0);
	errno = 0;
}

/* ---- children ------------------------------------------------------------------------------------------------------ */

pid_t test_fork(int (*body)(void *), void *argument)
{
	pid_t pid = fork();

	if (pid < 0)
		err_die("fork");
	if (pid == 0)
		exit(body(argument));
	return pid;
}

int test_reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			err_die("waitpid(%d)", pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int test_finish(pid_t pid)
{
	int status;

	if (kill(pid, SIGTERM))
		return fail("kill(%d, SIGTERM)", pid);
	status = test_reap(pid);
	errno = 0;
	return status ? fail("child %d ended with status %d", pid, status) : 0;
}

/* ---- sleepers ------------------------------------------------------------------------------------------------------ */

/* The system call in which `tid` sleeps, -1 while it runs. */
static long call_of(pid_t tid)
{
	char path[64];
	long number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &number) != 1)
		number = -1;
	if (file)
		fclose(file);
	return number;
}

bool test_sleeps(pid_t tid, long call)
{
	for (int tries = 0; tries < 5000; tries++, usleep(1000)) {
		long now = call_of(tid);

		if (now == call || now == SYS_restart_syscall)
			return true;
	}
	return false;
}

void sleepers_start(sleeper_t *sleepers, int count)
{
	for (int i = 0; i < count; i++) {
		sleepers[i].pid = test_fork(sleepers[i].body, sleepers[i].argument);
		if (!test_sleeps(sleepers[i].pid, sleepers[i].call))
			err_die("sleeper %d does not come to system call %ld", i, sleepers[i].call);
	}
}

int sleepers_check(const sleeper_t *sleepers, int count)
{
	int bad = 0;

	for (int i = 0; i < count; i++)
		if (!test_sleeps(sleepers[i].pid, sleepers[i].call))
			bad = fail("sleeper %d is not in system call %ld any more", i, sleepers[i].call);
	return bad;
}

int sleepers_reap(const sleeper_t *sleepers, int count)
{
	int bad = 0;

	for (int i = 0; i < count; i++)
		bad |= test_reap(sleepers[i].pid) != 0;
	return bad;
}

/* ---- stages -------------------------------------------------------------------------------------------------------- */

stage_t *stage_new(void)
{
	stage_t *stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (stage == MAP_FAILED)
		err_die("mmap of a stage");
	return stage;
}

void stage_reach(stage_t *stage, uint32_t number)
{
	__atomic_store_n(&stage->now, number, __ATOMIC_SEQ_CST);
	futex_wake(&stage->now);
}

void stage_step(stage_t *stage)
{
	__atomic_add_fetch(&stage->now, 1, __ATOMIC_SEQ_CST);
	futex_wake(&stage->now);
}

void stage_wait(stage_t *stage, uint32_t number)
{
	uint32_t now;

	while ((now = __atomic_load_n(&stage->now, __ATOMIC_SEQ_CST)) < number)
		futex_wait(&stage->now, now);
}

/* ---- data ---------------------------------------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t state)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

uint32_t data_fill(void *memory, size_t size, uint32_t seed)
{
	uint32_t state = (seed ^ 0x9e3779b9u) ? (seed ^ 0x9e3779b9u) : 1;
	uint8_t *bytes = memory;

	for (size_t i = 0; i < size; i++) {
		state = next_random(state);
		bytes[i] = state >> 11;
	}
	return data_sum(memory, size);
}

/* FNV-1a with the position mixed in by the multiplication: swapped and shifted bytes change it. */
uint32_t data_sum(const void *memory, size_t size)
{
	const uint8_t *bytes = memory;
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return sum;
}

bool data_check(const void *memory, size_t size, uint32_t sum)
{
	return data_sum(memory, size) == sum;
}

void write_all(int fd, const void *memory, size_t size)
{
	const char *next = memory;

	while (size > 0) {
		ssize_t done = write(fd, next, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			err_die("write(%d), %zu bytes left", fd, size);
		next += done;
		size -= done;
	}
}

void read_all(int fd, void *memory, size_t size)
{
	char *next = memory;

	while (size > 0) {
		ssize_t done = read(fd, next, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			err_die("read(%d), %zu bytes missing", fd, size);
		next += done;
		size -= done;
	}
}

uint32_t test_random(void)
{
	uint32_t number = __atomic_add_fetch(&random_state, 0x9e3779b9u, __ATOMIC_RELAXED);

	number = (number ^ (number >> 16)) * 0x85ebca6bu;
	number = (number ^ (number >> 13)) * 0xc2b2ae35u;
	return number ^ (number >> 16);
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

const char *test_path(const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", run_directory, name) < 0)
		err_die("asprintf");
	return path;
}

int test_file(const char *name, size_t size, uint32_t seed)
{
	int fd = open(test_path(name), O_RDWR | O_CREAT | O_EXCL, 0600);
	char *data = malloc(size ? size : 1);

	if (fd < 0 || !data)
		err_die("cannot make the file %s", name);
	data_fill(data, size, seed);
	write_all(fd, data, size);
	free(data);
	if (lseek(fd, 0, SEEK_SET))
		err_die("lseek");
	return fd;
}
