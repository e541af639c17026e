// SPDX-License-Identifier: Apache-2.0
/* Five hundred descriptors of five kinds under odd numbers up to 15000; each knows what it is and where it stands. */
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { COUNT = 500, KINDS = 5 };
enum kind { PIPE, EVENT, FILE_READ, FILE_WRITE, DEVICE };

static struct {
	int fd, kind, close_on_exec, other;
	off_t position;
} all[COUNT];

/* Moves `fd` to a number of its own: dense at first, then with gaps, the last ones far away. */
static int place(int fd, int index)
{
	int number = index < 200 ? 10 + index : index < 490 ? 400 + index * 3 : 15000 - index * 7;

	all[index].close_on_exec = test_random() & 1 ? FD_CLOEXEC : 0;
	if (dup3(fd, number, all[index].close_on_exec ? O_CLOEXEC : 0) != number)
		err_die("dup3 to %d", number);
	close(fd);
	return number;
}

static void make(int index)
{
	int ends[2], kind = index % KINDS;

	all[index].kind = kind;
	all[index].position = test_random() % 5000;
	if (kind == PIPE && pipe(ends))
		err_die("pipe");
	if (kind == PIPE) {
		all[index].other = fcntl(ends[1], F_DUPFD, 5000);      /* out of the way of what comes */
		close(ends[1]);
		all[index].fd = place(ends[0], index);
		write_all(all[index].other, &index, sizeof(index));
		return;
	}
	all[index].fd = place(kind == EVENT ? eventfd(index, EFD_NONBLOCK) :
			      kind == DEVICE ? open("/dev/zero", O_RDONLY) :
			      open("data", kind == FILE_READ ? O_RDONLY : O_RDWR | O_APPEND), index);
	if (kind == FILE_READ || kind == FILE_WRITE)
		lseek(all[index].fd, all[index].position, SEEK_SET);
}

static int check(int index)
{
	int fd = all[index].fd, number = -1;
	uint64_t count = 0;

	if (fcntl(fd, F_GETFD) != all[index].close_on_exec)
		return fail("descriptor %d: flags %d, not %d", fd, fcntl(fd, F_GETFD), all[index].close_on_exec);
	if (all[index].kind == PIPE && (read(fd, &number, sizeof(number)) != sizeof(number) || number != index))
		return fail("descriptor %d: pipe with %d, not %d", fd, number, index);
	if (all[index].kind == EVENT && (read(fd, &count, sizeof(count)) != sizeof(count) || count != (uint64_t)index))
		return fail("descriptor %d: eventfd with %lu, not %d", fd, count, index);
	if (all[index].kind == DEVICE && (read(fd, &number, sizeof(number)) != sizeof(number) || number != 0))
		return fail("descriptor %d is not /dev/zero", fd);
	if ((all[index].kind == FILE_READ || all[index].kind == FILE_WRITE) && lseek(fd, 0, SEEK_CUR) != all[index].position)
		return fail("descriptor %d is at %ld, not at %ld", fd, lseek(fd, 0, SEEK_CUR), all[index].position);
	return close(fd);
}

int main(int argc, char **argv)
{
	int bad = 0, extra = 0;

	test_init(argc, argv);
	close(test_file("data", 5000, 1));
	for (int i = 0; i < COUNT; i++)
		make(i);
	errno = 0;

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++) {
		bad |= check(i);
		if (all[i].kind == PIPE)
			close(all[i].other);
	}
	for (int fd = 3; fd < 20000; fd++)
		extra += fcntl(fd, F_GETFD) >= 0;
	errno = 0;
	if (extra)
		bad = fail("there are %d descriptors too many", extra);
	return bad ? 1 : pass();
}
