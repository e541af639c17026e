// SPDX-License-Identifier: Apache-2.0
/*
 * Two processes exchange numbered messages of odd sizes through two
 * pipes, all the time; none is lost, torn or doubled.
 */
#include "zdtm.h"

#include <unistd.h>

enum { MOST = 20000 };

struct message {
	uint32_t number, size, sum;
	char data[MOST];
};

static int there[2], back[2];

static void send(int fd, struct message *message, uint32_t number, uint32_t size)
{
	message->number = number;
	message->size = size;
	message->sum = data_fill(message->data, size, number);
	write_all(fd, message, sizeof(*message) - MOST + size);
}

static int receive(int fd, struct message *message, uint32_t number)
{
	read_all(fd, message, sizeof(*message) - MOST);
	if (message->number != number || message->size > MOST)
		return fail("message %u of %u bytes instead of message %u", message->number, message->size, number);
	read_all(fd, message->data, message->size);
	if (!data_check(message->data, message->size, message->sum))
		return fail("message %u of %u bytes is damaged", message->number, message->size);
	return 0;
}

/* Sends every message back with one byte less; one of size 0 ends it. */
static int echo(void *unused)
{
	static struct message message;

	(void)unused;
	for (uint32_t number = 1;; number++) {
		if (receive(there[0], &message, number))
			return 1;
		if (!message.size)
			return 0;
		send(back[1], &message, number, message.size - 1);
	}
}

int main(int argc, char **argv)
{
	static struct message message;
	uint32_t number = 0, size;
	pid_t child;

	test_init(argc, argv);
	if (pipe(there) || pipe(back))
		err_die("pipe");
	child = test_fork(echo, NULL);

	test_ready();
	while (test_running() || number < 10) {
		size = 1 + test_random() % (MOST - 1);
		send(there[1], &message, ++number, size);
		if (receive(back[0], &message, number))
			return 1;
		if (message.size != size - 1)
			return fail("message %u came back with %u bytes, not %u", number, message.size, size - 1);
	}
	send(there[1], &message, ++number, 0);
	note("%u messages", number);
	return test_reap(child) ? 1 : pass();
}
