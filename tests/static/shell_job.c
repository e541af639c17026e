// SPDX-License-Identifier: Apache-2.0
/* A job of a shell: its terminal keeps modes, size and session.  The foreground group is for the shell to set. */
#include "zdtm.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

struct look {
	struct termios modes;
	struct winsize size;
	pid_t session;
	dev_t device;
};

static void look_at(int fd, struct look *look)
{
	struct stat status;

	memset(look, 0, sizeof(*look));
	if (tcgetattr(fd, &look->modes) || ioctl(fd, TIOCGWINSZ, &look->size) || fstat(fd, &status))
		err_die("looking at descriptor %d", fd);
	look->device = status.st_rdev;
	look->session = tcgetsid(fd);
}

static int check(int fd, const struct look *before)
{
	struct look now;

	look_at(fd, &now);
	if (memcmp(&now.modes, &before->modes, sizeof(now.modes)))
		return fail("descriptor %d: modes %x %x %x %x", fd, now.modes.c_iflag, now.modes.c_oflag, now.modes.c_cflag,
			    now.modes.c_lflag);
	if (memcmp(&now.size, &before->size, sizeof(now.size)))
		return fail("descriptor %d: %d lines of %d", fd, now.size.ws_row, now.size.ws_col);
	if (now.session != before->session || now.device != before->device)
		return fail("descriptor %d: session %d, device %lx; not %d, %lx", fd, now.session, now.device, before->session,
			    before->device);
	return 0;
}

static int child(void *before)
{
	test_wait();
	return check(STDIN_FILENO, before);
}

int main(int argc, char **argv)
{
	struct look before;
	struct termios modes;
	int copy, bad;
	pid_t pid;

	test_init(argc, argv);
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &modes))
		return skip("there is no terminal");
	modes.c_lflag &= ~(ICANON | ECHO);
	modes.c_cc[VMIN] = 0;
	modes.c_cc[VTIME] = 3;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &modes) || ioctl(STDIN_FILENO, TIOCSWINSZ, &(struct winsize) { 33, 77, 0, 0 }))
		err_die("changing the terminal");
	look_at(STDIN_FILENO, &before);
	copy = dup(STDIN_FILENO);
	pid = test_fork(child, &before);

	test_ready();
	test_wait();

	bad = check(STDIN_FILENO, &before) | check(copy, &before);
	return bad | test_finish(pid) ? 1 : pass();
}
