// SPDX-License-Identifier: Apache-2.0
/* To the kernel, credentials belong to threads: each has other ids, groups, capabilities and securebits. */
#include "zdtm.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 4 };

struct state {
	uint32_t uid[3], gid[3], group_count, groups[8], securebits, caps[6];
};

static stage_t *started;

static struct state look(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct state now = { .securebits = prctl(PR_GET_SECUREBITS) };

	getresuid(&now.uid[0], &now.uid[1], &now.uid[2]);
	getresgid(&now.gid[0], &now.gid[1], &now.gid[2]);
	now.group_count = getgroups(8, now.groups);
	if (syscall(SYS_capget, &header, (void *)now.caps))
		err_die("capget");
	return now;
}

/* The system calls themselves: the library's functions would change all threads. */
static void adopt(uint32_t number)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	uint32_t groups[3] = { 100 + number, 200 + number, 4000000000 + number };
	int bits = number & 1 ? SECBIT_KEEP_CAPS : SECBIT_NO_SETUID_FIXUP;
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_setgroups, number % 4, groups) || prctl(PR_SET_SECUREBITS, bits))
		err_die("setgroups or PR_SET_SECUREBITS");
	if (syscall(SYS_setresgid, 10 + number, 20 + number, 30 + number))
		err_die("setresgid");
	if (syscall(SYS_setresuid, number ? 40 + number : 0, number < 3 ? 0 : 50 + number, 60 + number))
		err_die("setresuid");
	if (syscall(SYS_capget, &header, caps))
		err_die("capget");
	caps[0].effective = caps[0].permitted & (0x55555555u << (number & 1));
	caps[1].permitted &= ~(1u << number);
	caps[1].effective &= caps[1].permitted;
	caps[0].inheritable = 0x1200 << number & caps[0].permitted;
	if (syscall(SYS_capset, &header, caps))
		err_die("capset");
}

static void *live(void *argument)
{
	intptr_t number = (intptr_t)argument;
	struct state before, now;

	if (number)
		adopt(number);
	before = look();
	stage_step(started);
	test_wait();
	now = look();
	if (!memcmp(&now, &before, sizeof(now)))
		return NULL;
	for (size_t i = 0; i < sizeof(now) / 4; i++)
		if (((uint32_t *)&now)[i] != ((uint32_t *)&before)[i])
			fail("thread %ld: word %zu of its credentials is %x, not %x", number, i, ((uint32_t *)&now)[i],
			     ((uint32_t *)&before)[i]);
	return (void *)1;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, live, (void *)i))
			err_die("pthread_create");
	stage_wait(started, THREADS);

	test_ready();
	test_wait();

	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		bad |= result != NULL;
	}
	return bad ? 1 : pass();
}
