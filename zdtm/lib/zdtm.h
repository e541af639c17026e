// SPDX-License-Identifier: Apache-2.0
/*
 * What a test program needs to be checkpointed in the middle of what it does.
 *
 *     int main(int argc, char **argv)
 *     {
 *         test_init(argc, argv);
 *         ... set something up ...
 *         test_ready();
 *         test_wait();
 *         ... check that it is still as it was ...
 *         if (bad)
 *             return fail("the counter is %d, not 5", counter);
 *         return pass();
 *     }
 *
 * The program starts in an empty directory of its own, as leader of its own session, with standard output and error
 * appended to the log that the harness reads.  That log is the only channel to the harness and SIGTERM the only one
 * back, so the library adds no descriptor, mapping, child or timer to what is checkpointed.
 */
#ifndef ZDTM_H
#define ZDTM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- life ------------------------------------------------------------------------------------------------------ */

/* Call first: remembers the arguments and the run directory, installs the SIGTERM handler (SA_RESTART). */
void test_init(int argc, char **argv);

/* The value of --name=value on the command line, or `fallback`. */
const char *test_option(const char *name, const char *fallback);

/* Says that the state stands; checkpoints may begin.  Once, from any one process or thread. */
void test_ready(void);

/* Sleeps (futex) until SIGTERM arrives at this process.  May be called in every process, by many threads. */
void test_wait(void);

/* False once SIGTERM has arrived: for programs that work instead of sleeping. */
bool test_running(void);

/* ---- verdict: one per run, given by the root process; each returns what main() shall return ---------------------- */

#define fail(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)   /* also usable in children: any FAIL line fails the run */
int pass(void);
int skip(const char *format, ...) __attribute__((format(printf, 1, 2)));   /* before test_ready(): cannot run here */

/* Set-up went wrong: prints the text and errno, exits 2. */
#define err_die(...) test_die(__FILE__, __LINE__, __VA_ARGS__)

/* A line for the reader of the log. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

int test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
void test_die(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4), noreturn));

/* ---- children ---------------------------------------------------------------------------------------------------- */

/* Forks; the child runs body(argument) and exits with what it returns. */
pid_t test_fork(int (*body)(void *), void *argument);

/* Waits for `pid`: its exit status, or 128 + the signal that killed it. */
int test_reap(pid_t pid);

/* Sends SIGTERM to `pid` (its test_wait() returns), reaps it: 0, or fail()s and returns 1 if the status is not 0. */
int test_finish(pid_t pid);

/* ---- sleepers: children that sleep in a system call all the time ----------------------------------------------- */

typedef struct sleeper {
	int (*body)(void *);
	void *argument;
	long call;              /* SYS_… that it sleeps in */
	pid_t pid;
} sleeper_t;

void sleepers_start(sleeper_t *sleepers, int count);        /* forks each, and waits until it sleeps in its call */
int sleepers_check(const sleeper_t *sleepers, int count);   /* 0, or fail()s and returns 1 if one is not there any more */
int sleepers_reap(const sleeper_t *sleepers, int count);    /* after their calls ended: 0, or 1 if a status is not 0 */

/* Waits until process or thread `tid` sleeps in this call, or goes on with it (restart_syscall); false after 5 s. */
bool test_sleeps(pid_t tid, long call);

/* ---- stages: rendezvous between processes and threads, by a counter in shared memory ------------------------------ */

typedef struct stage {
	uint32_t now;
} stage_t;

stage_t *stage_new(void);                       /* in a MAP_SHARED page of its own: make it before forking */
void stage_reach(stage_t *stage, uint32_t number);   /* sets the counter and wakes all waiters */
void stage_step(stage_t *stage);                /* adds one and wakes: to count arrivals */
void stage_wait(stage_t *stage, uint32_t number);    /* until the counter is at least `number` */

/* ---- data ---------------------------------------------------------------------------------------------------------- */

/* Fills memory with incompressible bytes that depend on `seed`; returns their checksum. */
uint32_t data_fill(void *memory, size_t size, uint32_t seed);
uint32_t data_sum(const void *memory, size_t size);
bool data_check(const void *memory, size_t size, uint32_t sum);

/* write() and read() until all is done; err_die() on error or early end. */
void write_all(int fd, const void *memory, size_t size);
void read_all(int fd, void *memory, size_t size);

/* Next of a sequence of random numbers; seeded anew in every run (the seed is in the log), thread-safe. */
uint32_t test_random(void);

/* ---- files --------------------------------------------------------------------------------------------------------- */

/* Absolute path of `name` inside the run directory; lives until exit.  Whatever is left there is removed. */
const char *test_path(const char *name);

/* Creates the file `name` in the run directory holding `size` bytes of data_fill(seed); returns an O_RDWR descriptor. */
int test_file(const char *name, size_t size, uint32_t seed);

#endif
