// SPDX-License-Identifier: Apache-2.0
/*
 * Threads count in per-processor counters by restartable sequences with a long way between load and store.  If one went
 * on in the middle instead of at its abort handler, counts of others would be lost and the sum be too small.
 */
#include "zdtm.h"

#include <pthread.h>
#include <sys/rseq.h>

enum { THREADS = 4, PROCESSORS = 1024 };

static struct {
	volatile uint64_t count;
	char alone[56];                /* on a cache line of its own */
} counters[PROCESSORS];
static uint64_t aborts[THREADS], done[THREADS];
static stage_t *started;

/* Adds one to the counter of the processor it runs on; 0, or 1 if it was interrupted and has not counted. */
static int count_one(struct rseq *area)
{
	uint32_t cpu = *(volatile uint32_t *)&area->cpu_id_start;
	volatile uint64_t *counter = &counters[cpu].count;

	asm volatile goto(
		".pushsection __rseq_cs, \"aw\"\n .balign 32\n"
		"3: .long 0, 0\n .quad 1f, 2f - 1f, 4f\n .popsection\n"
		"lea 3b(%%rip), %%rax\n mov %%rax, %[section]\n"
		"1: cmpl %[cpu], %[current]\n jnz 4f\n"
		"mov (%[counter]), %%rax\n"
		"mov $2000, %%ecx\n"
		"5: dec %%ecx\n jnz 5b\n"
		"inc %%rax\n"
		"mov %%rax, (%[counter])\n"
		"2: jmp 6f\n"
		".byte 0x0f, 0xb9, 0x3d\n .long 0x53053053\n"      /* the signature before the abort handler */
		"4: jmp %l[aborted]\n"
		"6:\n"
		: : [section] "m"(area->rseq_cs), [cpu] "r"(cpu), [current] "m"(area->cpu_id), [counter] "r"(counter)
		: "memory", "cc", "rax", "rcx" : aborted);
	return 0;
aborted:
	return 1;
}

static void *work(void *argument)
{
	struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	int number = (intptr_t)argument;

	stage_step(started);
	while (test_running() || done[number] < 1000) {
		while (count_one(area))
			aborts[number]++;
		done[number]++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t sum = 0, all_done = 0, all_aborts = 0;
	pthread_t threads[THREADS];

	test_init(argc, argv);
	if (!__rseq_size)
		return skip("the C library has registered nothing");
	started = stage_new();
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			err_die("pthread_create");
	stage_wait(started, THREADS);

	test_ready();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++) {
		all_done += done[i];
		all_aborts += aborts[i];
	}
	for (int i = 0; i < PROCESSORS; i++)
		sum += counters[i].count;
	if (sum != all_done)
		return fail("counted %lu times, the counters say %lu", all_done, sum);
	note("%lu counts, %lu interrupted", sum, all_aborts);
	return pass();
}
