// SPDX-License-Identifier: Apache-2.0
/*
 * One process appends records to a file, another reads them behind it, by descriptions of their own; a third file is
 * rewritten in place.  Every record arrives once, in order, undamaged.
 */
#include "zdtm.h"

#include <fcntl.h>
#include <unistd.h>

enum { MOST = 3000, SLOTS = 64 };

struct record {
	uint32_t number, size;
	char data[MOST];
};

static int ready_pipe[2];

static size_t make(struct record *record, uint32_t number)
{
	record->number = number;
	record->size = (uint64_t)number * 7919 % MOST;
	data_fill(record->data, record->size, number);
	return sizeof(*record) - MOST + record->size;
}

static int read_records(void *unused)
{
	static struct record record, wanted;
	int fd = open("records", O_RDONLY);
	uint32_t number;

	(void)unused;
	close(ready_pipe[1]);
	for (uint32_t count = 1; read(ready_pipe[0], &number, sizeof(number)) == sizeof(number); count++) {
		if (number != count)
			return fail("told of record %u instead of %u", number, count);
		read_all(fd, &record, sizeof(record) - MOST);
		make(&wanted, number);
		if (record.number != number || record.size != wanted.size)
			return fail("read record %u of %u bytes instead of %u", record.number, record.size, number);
		read_all(fd, record.data, record.size);
		if (!data_check(record.data, record.size, data_sum(wanted.data, wanted.size)))
			return fail("record %u is damaged", number);
	}
	return read(fd, &record, 1) ? fail("there is a record too many") : 0;
}

static int rewrite(int fd, uint32_t number)
{
	uint32_t slot = number % SLOTS, old;

	if (number > SLOTS && (pread(fd, &old, 4, slot * 1000) != 4 || old != number - SLOTS))
		return fail("slot %u holds %u, not %u", slot, old, number - SLOTS);
	return pwrite(fd, &number, 4, slot * 1000) == 4 ? 0 : fail("pwrite");
}

int main(int argc, char **argv)
{
	static struct record record;
	int records, slots;
	uint32_t number;
	pid_t child;

	test_init(argc, argv);
	records = test_file("records", 0, 0);
	slots = test_file("slots", 0, 0);
	if (pipe(ready_pipe))
		err_die("pipe");
	child = test_fork(read_records, NULL);
	close(ready_pipe[0]);
	test_ready();
	for (number = 1; test_running() || number < 200; number++) {
		write_all(records, &record, make(&record, number));
		write_all(ready_pipe[1], &number, sizeof(number));
		if (rewrite(slots, number))
			return 1;
		usleep(100);                  /* the file shall not fill the disk */
	}
	close(ready_pipe[1]);
	note("%u records", number);
	return test_reap(child) ? 1 : pass();
}
