// SPDX-License-Identifier: Apache-2.0
/* Duplicates share position and status flags, but not close-on-exec; a second open of the same file shares nothing. */
#include "zdtm.h"

#include <fcntl.h>
#include <unistd.h>

static off_t position(int fd)
{
	return lseek(fd, 0, SEEK_CUR);
}

int main(int argc, char **argv)
{
	int first, second, far, other, bad = 0;

	test_init(argc, argv);
	first = test_file("data", 10000, 1);
	second = dup(first);
	far = fcntl(first, F_DUPFD_CLOEXEC, 777);
	other = open("data", O_RDWR);
	if (second < 0 || far != 777 || other < 0)
		err_die("dup or open");
	lseek(far, 123, SEEK_SET);
	lseek(other, 5000, SEEK_SET);

	test_ready();
	test_wait();

	if (position(first) != 123 || position(second) != 123 || position(far) != 123)
		bad = fail("positions %ld %ld %ld, not 123", position(first), position(second), position(far));
	if (position(other) != 5000)
		bad = fail("the position of the second open is %ld, not 5000", position(other));
	if (fcntl(far, F_GETFD) != FD_CLOEXEC || fcntl(first, F_GETFD) || fcntl(second, F_GETFD))
		bad = fail("close-on-exec: %d %d %d", fcntl(first, F_GETFD), fcntl(second, F_GETFD), fcntl(far, F_GETFD));
	lseek(second, 77, SEEK_CUR);
	if (position(first) != 200 || position(far) != 200)
		bad = fail("the duplicates do not move together: %ld %ld", position(first), position(far));
	if (position(other) != 5000)
		bad = fail("the second open moves with the first");
	fcntl(far, F_SETFL, O_APPEND);
	if (!(fcntl(first, F_GETFL) & O_APPEND) || fcntl(other, F_GETFL) & O_APPEND)
		bad = fail("the status flags are not shared by the duplicates alone");
	return bad ? 1 : pass();
}
