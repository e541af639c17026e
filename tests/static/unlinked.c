// SPDX-License-Identifier: Apache-2.0
/*
 * Files without a name, deleted or (-DTEMPORARY) made with O_TMPFILE; empty, odd in size, with a hole.  Contents,
 * owner, mode, times and position stay, writing goes on, and no name comes back.
 */
#include "zdtm.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef TEMPORARY
enum { HAS_HAD_NAME = false };
#else
enum { HAS_HAD_NAME = true };
#endif

static const struct {
	size_t size, hole;                /* bytes of data, after a hole */
	mode_t mode;
	uid_t owner;
} cases[] = { { 0, 0, 0600, 0 }, { 4097, 0, 0641, 18943 }, { 10, 100000, 04755, 0 }, { 300000, 0, 0, 7 } };
enum { COUNT = sizeof(cases) / sizeof(cases[0]) };

static int make(int number)
{
	static const struct timespec times[2] = { { 1000000000, 123456789 }, { 1111111111, 987654321 } };
	int fd = HAS_HAD_NAME ? test_file("name", 0, 0) : open(".", O_TMPFILE | O_RDWR, 0600);
	char *data = malloc(cases[number].size + 1);

	data_fill(data, cases[number].size, number);
	if (fd < 0 || lseek(fd, cases[number].hole, SEEK_SET) < 0)
		err_die("file %d", number);
	write_all(fd, data, cases[number].size);
	lseek(fd, 5, SEEK_SET);
	if (HAS_HAD_NAME && unlink("name"))
		err_die("unlink");
	if (fchown(fd, cases[number].owner, cases[number].owner + 1) || fchmod(fd, cases[number].mode) || futimens(fd, times))
		err_die("attributes of file %d", number);
	free(data);
	return fd;
}

static int check_attributes(int number, int fd)
{
	struct stat status;

	if (fstat(fd, &status) || status.st_nlink)
		return fail("file %d has %lu names", number, status.st_nlink);
	if (status.st_size != (off_t)(cases[number].size ? cases[number].hole + cases[number].size : 0))
		return fail("file %d has %ld bytes", number, status.st_size);
	if ((status.st_mode & 07777) != cases[number].mode || status.st_uid != cases[number].owner ||
	    status.st_gid != cases[number].owner + 1)
		return fail("file %d: mode %o, owner %u:%u", number, status.st_mode, status.st_uid, status.st_gid);
#ifdef TIMES      /* to save the contents without a trace, they must be read without changing the time of access */
	if (status.st_atime != 1000000000)
		return fail("file %d: time of access %ld", number, status.st_atime);
#endif
	if (status.st_mtime != 1111111111)
		return fail("file %d: time of change %ld", number, status.st_mtime);
	if (lseek(fd, 0, SEEK_CUR) != 5)
		return fail("file %d: position %ld, not 5", number, lseek(fd, 0, SEEK_CUR));
	return 0;
}

static int check_contents(int number, int fd)
{
	size_t size = cases[number].size, hole = cases[number].hole;
	char *data = malloc(hole + size + 1), *wanted = calloc(1, hole + size + 1);

	data_fill(wanted + hole, size, number);
	if (pread(fd, data, hole + size + 1, 0) != (ssize_t)(size ? hole + size : 0))
		return fail("reading file %d", number);
	for (size_t i = 0; size && i < hole + size; i++)
		if (data[i] != wanted[i])
			return fail("file %d: byte %zu changed", number, i);
	if (pwrite(fd, "news", 4, 2) != 4 || pread(fd, data, 4, 2) != 4 || data[3] != 's')
		return fail("file %d cannot be written any more", number);
	return 0;
}

static int count_names(void)
{
	DIR *directory = opendir(".");
	int count = -2;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	int fds[COUNT], bad = 0;

	test_init(argc, argv);
	for (int i = 0; i < COUNT; i++)
		fds[i] = make(i);

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= check_attributes(i, fds[i]) || check_contents(i, fds[i]);
	if (count_names())
		bad = fail("%d names are in the directory, not none", count_names());
	return bad ? 1 : pass();
}
