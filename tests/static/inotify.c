// SPDX-License-Identifier: Apache-2.0
/*
 * Inotify: watches on directories and files keep their numbers, masks and one-shots, also behind a gap; the queue is
 * empty, whatever was opened meanwhile; new watches get new numbers.
 */
#include "zdtm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY, ATTRIB, GAP, ONCE, COUNT };
static const uint32_t masks[COUNT] = {
	IN_OPEN | IN_CREATE | IN_DELETE | IN_MOVE | IN_EXCL_UNLINK, IN_ATTRIB | IN_ALL_EVENTS, IN_OPEN, IN_MODIFY | IN_ONESHOT,
};
static int fds[2], wd[COUNT];

/* Events that wait, as bits of the watches, with all masks joined in *mask. */
static unsigned int events(int fd, uint32_t *mask)
{
	char buffer[4096] __attribute__((aligned(8)));
	unsigned int found = 0;
	ssize_t size;

	*mask = 0;
	while ((size = read(fd, buffer, sizeof(buffer))) > 0)
		for (char *at = buffer; at < buffer + size; at += sizeof(struct inotify_event) + ((struct inotify_event *)at)->len) {
			struct inotify_event *event = (struct inotify_event *)at;

			if (event->mask & IN_ISDIR)
				continue;   /* somebody looks for what a run leaves behind */
			*mask |= event->mask;
			for (int i = 0; i < COUNT; i++)
				found |= (unsigned int)(event->wd == wd[i]) << i;
		}
	if (size < 0 && errno != EAGAIN)
		err_die("read");
	return found;
}

static void touch(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || write(fd, "x", 1) != 1 || close(fd))
		err_die("%s", name);
}

static int expect(const char *what, unsigned int wanted, uint32_t wanted_mask)
{
	uint32_t mask;
	unsigned int got = events(fds[0], &mask);

	if (got == wanted && mask == wanted_mask)
		return 0;
	return fail("%s: events of the watches %x, masks %x, not %x, %x", what, got, mask, wanted, wanted_mask);
}

int main(int argc, char **argv)
{
	uint32_t mask;
	int bad = 0, more;

	test_init(argc, argv);
	if (mkdir("directory", 0700) || mkdir("gap", 0700))
		err_die("mkdir");
	touch("file");
	touch("once");
	fds[0] = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	fds[1] = inotify_init();
	wd[DIRECTORY] = inotify_add_watch(fds[0], "directory", masks[DIRECTORY]);
	wd[ATTRIB] = inotify_add_watch(fds[0], "file", masks[ATTRIB]);
	wd[GAP] = inotify_add_watch(fds[0], "gap", masks[GAP]);
	wd[ONCE] = inotify_add_watch(fds[0], "once", masks[ONCE]);
	if (fds[0] < 0 || fds[1] < 0 || wd[ONCE] < 0 || inotify_rm_watch(fds[0], wd[GAP]))
		err_die("inotify");
	if (open("directory/held", O_RDWR | O_CREAT, 0600) < 0)
		err_die("directory/held");  /* a restore opens it again, and nobody shall see that */
	events(fds[0], &mask);              /* IN_IGNORED of the gap, IN_OPEN of the file */

	test_ready();
	test_wait();

	if (fcntl(fds[0], F_GETFD) != FD_CLOEXEC || fcntl(fds[1], F_GETFD) || fcntl(fds[1], F_GETFL) != O_RDONLY)
		bad = fail("flags are %x and %x", fcntl(fds[0], F_GETFL), fcntl(fds[1], F_GETFL));
	bad |= expect("before anything happened", 0, 0);
	touch("directory/new");
	bad |= expect("a new file", 1u << DIRECTORY, IN_CREATE | IN_OPEN);
	if (chmod("file", 0640))
		err_die("chmod");
	bad |= expect("a changed mode", 1u << ATTRIB, IN_ATTRIB);
	touch("once");
	bad |= expect("a one-shot", 1u << ONCE, IN_MODIFY | IN_IGNORED);
	touch("once");
	bad |= expect("a one-shot again", 0, 0);
	if (unlink("directory/new"))
		err_die("unlink");
	bad |= expect("a removed file", 1u << DIRECTORY, IN_DELETE);
	more = inotify_add_watch(fds[0], "gap", IN_OPEN);
	if (more <= wd[ONCE])
		bad = fail("a new watch has the number %d, which is not above %d", more, wd[ONCE]);
	if (inotify_add_watch(fds[0], "directory", IN_CREATE) != wd[DIRECTORY])
		bad = fail("the directory is watched under another number");
	return bad ? 1 : pass();
}
