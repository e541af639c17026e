// SPDX-License-Identifier: Apache-2.0
/*
 * Functions of the vDSO by addresses taken before: they still work, agree with the system calls, and no clock has
 * gone back; in a thread too.
 */
#include "zdtm.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const clockid_t clocks[] = {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_MONOTONIC_RAW,
	CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
};
enum { CLOCKS = sizeof(clocks) / sizeof(clocks[0]) };

static int (*vdso_clock_gettime)(clockid_t, struct timespec *);
static int (*vdso_gettimeofday)(struct timeval *, void *);
static int (*vdso_getcpu)(unsigned int *, unsigned int *, void *);
static time_t (*vdso_time)(time_t *);

static void find(void)
{
	void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);

	if (!vdso)
		err_die("dlopen: %s", dlerror());
	vdso_clock_gettime = dlsym(vdso, "__vdso_clock_gettime");
	vdso_gettimeofday = dlsym(vdso, "__vdso_gettimeofday");
	vdso_getcpu = dlsym(vdso, "__vdso_getcpu");
	vdso_time = dlsym(vdso, "__vdso_time");
	if (!vdso_clock_gettime || !vdso_gettimeofday || !vdso_getcpu || !vdso_time)
		err_die("the vDSO lacks a function");
}

static int64_t nanoseconds(struct timespec time)
{
	return time.tv_sec * 1000000000 + time.tv_nsec;
}

/* The call, the vDSO, the call again: the three must be in order. */
static int check_clock(clockid_t clock, int64_t before)
{
	struct timespec first, middle, last;

	if (syscall(SYS_clock_gettime, clock, &first) || vdso_clock_gettime(clock, &middle) ||
	    syscall(SYS_clock_gettime, clock, &last))
		return fail("clock_gettime(%d)", clock);
	if (nanoseconds(first) > nanoseconds(middle) || nanoseconds(middle) > nanoseconds(last))
		return fail("clock %d: the vDSO says %ld, the call before %ld, the call after %ld", clock, nanoseconds(middle),
			    nanoseconds(first), nanoseconds(last));
	if (nanoseconds(middle) < before)
		return fail("clock %d went back by %ld ns", clock, before - nanoseconds(middle));
	return 0;
}

static void *check(void *before)
{
	unsigned int cpu, node;
	struct timeval now;
	int bad = 0;

	for (int i = 0; i < CLOCKS; i++)
		bad |= check_clock(clocks[i], ((int64_t *)before)[i]);
	if (vdso_gettimeofday(&now, NULL) || labs(now.tv_sec - vdso_time(NULL)) > 1)
		bad = fail("gettimeofday says %ld, time says %ld", now.tv_sec, vdso_time(NULL));
	if (vdso_getcpu(&cpu, &node, NULL) || cpu >= (unsigned int)sysconf(_SC_NPROCESSORS_CONF))
		bad = fail("getcpu says processor %u", cpu);
	return (void *)(intptr_t)bad;
}

int main(int argc, char **argv)
{
	unsigned long header = getauxval(AT_SYSINFO_EHDR);
	int64_t before[CLOCKS];
	pthread_t thread;
	void *result;

	test_init(argc, argv);
	find();
	for (int i = 0; i < CLOCKS; i++) {
		struct timespec now;

		clock_gettime(clocks[i], &now);
		before[i] = nanoseconds(now);
	}
	if (check(before))
		err_die("the vDSO is wrong from the beginning");

	test_ready();
	test_wait();

	if (*(uint32_t *)header != 0x464c457f)
		return fail("there is no ELF header at the address of the vDSO any more");
	if (check(before))
		return 1;
	if (pthread_create(&thread, NULL, check, before) || pthread_join(thread, &result) || result)
		return fail("in the thread");
	return pass();
}
