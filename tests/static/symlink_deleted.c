// SPDX-License-Identifier: Apache-2.0
/* The O_PATH descriptor of a symbolic link that was deleted since still leads where the link led. */
#include "zdtm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static const char wanted[] = "somewhere/else entirely";
	char target[64] = "";
	struct stat status;
	int fd, bad = 0;

	test_init(argc, argv);
	if (symlink(wanted, "link"))
		err_die("symlink");
	fd = open("link", O_PATH | O_NOFOLLOW);
	if (fd < 0 || unlink("link"))
		err_die("open or unlink");

	test_ready();
	test_wait();

	if (readlinkat(fd, "", target, sizeof(target) - 1) < 0 || strcmp(target, wanted))
		bad = fail("the link leads to \"%s\", not to \"%s\"", target, wanted);
	if (fstat(fd, &status) || !S_ISLNK(status.st_mode) || status.st_nlink)
		bad = fail("mode %o, %lu links", status.st_mode, status.st_nlink);
	if (!faccessat(AT_FDCWD, "link", F_OK, AT_SYMLINK_NOFOLLOW))
		bad = fail("the link has a name again");
	return bad ? 1 : pass();
}
