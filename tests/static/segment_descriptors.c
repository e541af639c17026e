// SPDX-License-Identifier: Apache-2.0
/* The thread-local descriptors of the GDT, that 32-bit code sets; each thread has three of its own. */
#include "zdtm.h"

#include <asm/ldt.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { THREADS = 3, FIRST = 12, ENTRIES = 3, SET_THREAD_AREA = 243, GET_THREAD_AREA = 244 };

static stage_t *started;

/* The 32-bit system call; `where` lies below 4 GiB. */
static long call(int number, struct user_desc *where)
{
	long result;

	asm volatile("int $0x80" : "=a"(result) : "a"(number), "b"(where) : "memory", "r8", "r9", "r10", "r11");
	return result;
}

static struct user_desc *low_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
}

static void choose(struct user_desc *entry, int thread, int number)
{
	memset(entry, 0, sizeof(*entry));
	entry->entry_number = FIRST + number;
	entry->base_addr = 0x10000 * thread + 0x123 * number + 0x40000000;
	entry->limit = 1000 + thread + number;
	entry->seg_32bit = 1;
	entry->useable = 1;
	entry->limit_in_pages = number & 1;
}

static void *live(void *argument)
{
	struct user_desc *memory = low_memory();
	int thread = (intptr_t)argument, bad = 0;

	for (int i = 0; i < ENTRIES; i++) {
		choose(memory, thread, i);
		if (call(SET_THREAD_AREA, memory))
			err_die("set_thread_area");
	}
	stage_step(started);
	test_wait();
	for (int i = 0; i < ENTRIES; i++) {
		choose(&memory[1], thread, i);
		memory->entry_number = FIRST + i;
		if (call(GET_THREAD_AREA, memory) || memcmp(memory, &memory[1], sizeof(*memory)))
			bad = fail("thread %d entry %d: base %x limit %x, not %x %x", thread, i, memory->base_addr, memory->limit,
				   memory[1].base_addr, memory[1].limit);
	}
	return (void *)(intptr_t)bad;
}

int main(int argc, char **argv)
{
	struct user_desc *memory = low_memory();
	pthread_t threads[THREADS];
	int bad = 0;

	test_init(argc, argv);
	memory->entry_number = FIRST;
	if (call(GET_THREAD_AREA, memory))
		return skip("this kernel has no 32-bit system calls");
	started = stage_new();
	for (intptr_t i = 0; i < THREADS; i++)
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
