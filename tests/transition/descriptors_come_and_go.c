// SPDX-License-Identifier: Apache-2.0
/* Descriptors of pipes, eventfds and files opened, duplicated, used and closed at random all the time. */
#include "zdtm.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SLOTS = 60 };
enum kind { EMPTY, PIPE, EVENT, FILE_AT };

static struct slot {
	enum kind kind;
	int fd, other;
	uint32_t value;
} slots[SLOTS];

static void make(struct slot *slot)
{
	int ends[2];

	slot->kind = PIPE + test_random() % 3;
	slot->value = 1 + test_random() % 9999;
	if (slot->kind == PIPE) {
		if (pipe(ends))
			err_die("pipe");
		slot->fd = ends[0];
		slot->other = ends[1];
		write_all(slot->other, &slot->value, sizeof(slot->value));
		return;
	}
	slot->fd = slot->kind == EVENT ? eventfd(slot->value, EFD_NONBLOCK) : open("data", O_RDONLY);
	slot->other = fcntl(slot->fd, F_DUPFD_CLOEXEC, 100 + test_random() % 500);
	if (slot->fd < 0 || slot->other < 0 || (slot->kind == FILE_AT && lseek(slot->other, slot->value, SEEK_SET) < 0))
		err_die("opening or duplicating");
}

static int check_and_close(struct slot *slot)
{
	uint64_t count = 0;
	uint32_t value = 0;

	if (slot->kind == PIPE)
		read_all(slot->fd, &value, sizeof(value));
	if (slot->kind == EVENT) {
		read_all(slot->other, &count, sizeof(count));
		value = count;
	}
	if (slot->kind == FILE_AT)
		value = lseek(slot->fd, 0, SEEK_CUR);
	if (value != slot->value)
		return fail("descriptor %d of kind %d has %u, not %u", slot->fd, slot->kind, value, slot->value);
	if (close(slot->fd) || close(slot->other))
		return fail("close");
	slot->kind = EMPTY;
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t steps = 0;
	int bad = 0;

	test_init(argc, argv);
	close(test_file("data", 10000, 1));
	test_ready();
	for (; test_running() || steps < 500; steps++) {
		struct slot *slot = &slots[test_random() % SLOTS];

		if (slot->kind == EMPTY)
			make(slot);
		else if (check_and_close(slot))
			return 1;
	}
	for (int i = 0; i < SLOTS; i++)
		if (slots[i].kind != EMPTY)
			bad |= check_and_close(&slots[i]);
	note("%lu steps", steps);
	return bad ? 1 : pass();
}
