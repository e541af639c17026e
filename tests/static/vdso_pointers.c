// SPDX-License-Identifier: Apache-2.0
/*
 * A process and its child hold pointers into the vDSO, found as a program without a C library would: by AT_SYSINFO_EHDR
 * and the symbol table.  Afterwards every pointer still leads to its function, the table still says so, and the data
 * pages below the code can be read.
 */
#include "zdtm.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { GETTIME, GETTIMEOFDAY, TIME, GETCPU, GETRES, FUNCTIONS };
static const char *const names[] = {
	"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_getcpu", "__vdso_clock_getres",
};
static const clockid_t clocks[] = {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
};
enum { CLOCKS = sizeof(clocks) / sizeof(clocks[0]) };
static void *pointers[FUNCTIONS];
static int64_t before[CLOCKS];

/* The dynamic section of what is mapped at `base`, its pointers made real. */
static const Elf64_Dyn *dynamic(const char *base, const char **load)
{
	const Elf64_Ehdr *header = (const void *)base;
	const Elf64_Phdr *segment = (const void *)(base + header->e_phoff);
	const Elf64_Dyn *found = NULL;

	for (int i = 0; i < header->e_phnum; i++) {
		if (segment[i].p_type == PT_LOAD)
			*load = base + segment[i].p_offset - segment[i].p_vaddr;
		if (segment[i].p_type == PT_DYNAMIC)
			found = (const void *)(base + segment[i].p_offset);
	}
	return found;
}

static void *find(const char *name)
{
	const char *load = NULL, *strings = NULL;
	const Elf64_Sym *symbols = NULL;
	const Elf64_Dyn *entry = dynamic((const char *)getauxval(AT_SYSINFO_EHDR), &load);

	for (; entry && entry->d_tag != DT_NULL; entry++) {
		if (entry->d_tag == DT_STRTAB)
			strings = load + entry->d_un.d_ptr;
		if (entry->d_tag == DT_SYMTAB)
			symbols = (const void *)(load + entry->d_un.d_ptr);
	}
	/* the table of names follows that of symbols, as linkers lay them out */
	for (const Elf64_Sym *symbol = symbols; symbols && (const char *)symbol < strings; symbol++)
		if (symbol->st_shndx != SHN_UNDEF && !strcmp(strings + symbol->st_name, name))
			return (void *)(load + symbol->st_value);
	return NULL;
}

static int64_t nanoseconds(struct timespec time)
{
	return time.tv_sec * 1000000000 + time.tv_nsec;
}

/* The call, the vDSO, the call again: the three must be in order, and nothing earlier than what was before. */
static int check_clock(int i)
{
	int (*get)(clockid_t, struct timespec *) = pointers[GETTIME];
	int (*resolution)(clockid_t, struct timespec *) = pointers[GETRES];
	struct timespec first, middle, last, said, real;

	if (syscall(SYS_clock_gettime, clocks[i], &first) || get(clocks[i], &middle) ||
	    syscall(SYS_clock_gettime, clocks[i], &last))
		return fail("clock_gettime(%d)", clocks[i]);
	if (nanoseconds(first) > nanoseconds(middle) || nanoseconds(middle) > nanoseconds(last))
		return fail("clock %d: %ld, by the calls around it %ld and %ld", clocks[i], nanoseconds(middle),
			    nanoseconds(first), nanoseconds(last));
	if (nanoseconds(middle) < before[i])
		return fail("clock %d went back by %ld ns", clocks[i], before[i] - nanoseconds(middle));
	before[i] = nanoseconds(middle);
	if (resolution && (resolution(clocks[i], &said) || syscall(SYS_clock_getres, clocks[i], &real) ||
			   nanoseconds(said) != nanoseconds(real)))
		return fail("clock %d: a resolution of %ld ns", clocks[i], nanoseconds(said));
	return 0;
}

static int check_rest(void)
{
	int (*get_time_of_day)(struct timeval *, void *) = pointers[GETTIMEOFDAY];
	int (*get_cpu)(unsigned int *, unsigned int *, void *) = pointers[GETCPU];
	time_t (*get_time)(time_t *) = pointers[TIME];
	time_t stored = 0, now = get_time(&stored);
	unsigned int cpu = ~0U, node = ~0U;
	struct timeval day;

	if (stored != now || get_time_of_day(&day, NULL) || labs(day.tv_sec - now) > 1)
		return fail("gettimeofday says %ld, time says %ld and %ld", day.tv_sec, now, stored);
	if (get_cpu(&cpu, &node, NULL) || cpu >= (unsigned int)sysconf(_SC_NPROCESSORS_CONF))
		return fail("getcpu says processor %u", cpu);
	return 0;
}

static int check(void)
{
	for (int i = 0; i < CLOCKS; i++)
		if (check_clock(i))
			return 1;
	return check_rest();
}

static int check_table(void)
{
	for (int i = 0; i < FUNCTIONS; i++)
		if (find(names[i]) != pointers[i])
			return fail("%s is at %p now, was at %p", names[i], find(names[i]), pointers[i]);
	return 0;
}

/* Where the kernel's data begin; NULL if it has none. */
static char *find_data(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[1000], *found = NULL;

	if (!maps)
		err_die("/proc/self/maps");
	while (!found && fgets(line, sizeof(line), maps))
		if (strstr(line, "[vvar]"))
			found = (char *)strtoul(line, NULL, 16);
	fclose(maps);
	return found;
}

static int child(void *unused)
{
	(void)unused;
	test_wait();
	return check_table() || check();
}

int main(int argc, char **argv)
{
	char *data;
	pid_t pid;

	test_init(argc, argv);
	for (int i = 0; i < FUNCTIONS; i++)
		pointers[i] = find(names[i]);
	if (!pointers[GETTIME] || !pointers[GETTIMEOFDAY] || !pointers[TIME] || !pointers[GETCPU])
		err_die("the vDSO lacks a function");
	if (check())
		err_die("the vDSO is wrong from the beginning");
	data = find_data();
	pid = test_fork(child, NULL);

	test_ready();
	test_wait();

	if (check_table() || check())
		return 1;
	if (data)
		note("a byte of the data: %d", *(volatile char *)data);
	return test_finish(pid) ? 1 : pass();
}
