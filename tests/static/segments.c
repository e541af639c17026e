// SPDX-License-Identifier: Apache-2.0
/* The base of gs, and that of fs, of every thread: read through the segment and asked of the kernel. */
#include "zdtm.h"

#include <asm/prctl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 8 };

static stage_t *started;

static uint64_t base_of(int what)
{
	uint64_t base;

	if (syscall(SYS_arch_prctl, what, &base))
		err_die("arch_prctl");
	return base;
}

static uint64_t read_gs(void)
{
	uint64_t value;

	asm volatile("mov %%gs:8, %0" : "=r"(value));
	return value;
}

static void *live(void *argument)
{
	uint64_t number = (uintptr_t)argument, data[2] = { 0, number * 1111 }, fs = base_of(ARCH_GET_FS);
	uint64_t gs = number % 4 == 3 ? 0 : (uint64_t)data;

	if (syscall(SYS_arch_prctl, ARCH_SET_GS, gs))
		err_die("ARCH_SET_GS");
	stage_step(started);
	test_wait();

	if (base_of(ARCH_GET_GS) != gs || base_of(ARCH_GET_FS) != fs)
		return (void *)(intptr_t)fail("thread %lu: gs %lx fs %lx, not %lx %lx", number, base_of(ARCH_GET_GS),
					      base_of(ARCH_GET_FS), gs, fs);
	if (gs && read_gs() != number * 1111)
		return (void *)(intptr_t)fail("thread %lu reads %lu through gs, not %lu", number, read_gs(), number * 1111);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, live, (void *)i);
	stage_wait(started, THREADS);

	test_ready();
	test_wait();

	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		bad |= result != NULL;
	}
	return bad ? 1 : pass();
}
