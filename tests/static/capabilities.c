// SPDX-License-Identifier: Apache-2.0
/*
 * Five capability sets and the securebits, of root with some taken away, of another user who kept a few (the ambient
 * ones too), and of a user with none at all.
 */
#include "zdtm.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { COUNT = 4 };

struct state {
	uint32_t sets[6];                 /* effective, permitted, inheritable; low words, then high words */
	uint64_t bounding, ambient;
	int securebits;
};

static const char *const names[] = { "reduced root", "user with capabilities", "user without", "locked root" };
static stage_t *started;

static struct state look(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct state now;

	memset(&now, 0, sizeof(now));
	if (syscall(SYS_capget, &header, (void *)now.sets))
		err_die("capget");
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++) {
		now.bounding |= (uint64_t)prctl(PR_CAPBSET_READ, cap) << cap;
		now.ambient |= (uint64_t)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) << cap;
	}
	now.securebits = prctl(PR_GET_SECUREBITS);
	errno = 0;                        /* of the first capability that does not exist */
	return now;
}

static void set(uint32_t effective, uint32_t permitted, uint32_t inheritable)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { { effective, permitted, inheritable }, { 0, 0, 0 } };

	if (syscall(SYS_capset, &header, sets))
		err_die("capset");
}

static void adopt(int number)
{
	uint32_t kept = 1 << CAP_FOWNER | 1 << CAP_SYS_CHROOT | 1 << CAP_KILL;

	if (number == 0 || number == 1)
		for (int cap = 1; cap < 40; cap += 3)
			if (cap != CAP_SETPCAP && prctl(PR_CAPBSET_DROP, cap))
				err_die("PR_CAPBSET_DROP");
	if (number == 0)
		set(1 << CAP_CHOWN, 0x0fff | 1 << CAP_SYS_ADMIN, 1 << CAP_SYS_ADMIN | 1 << CAP_SYS_CHROOT);
	if (number == 1 && (prctl(PR_SET_KEEPCAPS, 1) || setresgid(58467, 58467, 58467) || setresuid(18943, 18943, 18943)))
		err_die("setresuid");
	if (number == 1)
		set(1 << CAP_KILL, kept, kept);
	if (number == 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0))
		err_die("PR_CAP_AMBIENT_RAISE");
	if (number == 2 && (setresgid(58467, 58467, 58467) || setresuid(18943, 18943, 18943)))
		err_die("setresuid");
	if (number == 3 && prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE))
		err_die("PR_SET_SECUREBITS");
}

static int live(void *argument)
{
	intptr_t number = (intptr_t)argument;
	struct state before, now;
	int bad = 0;

	adopt(number);
	before = look();
	stage_step(started);
	test_wait();
	now = look();
	for (int i = 0; i < 6; i++)
		if (now.sets[i] != before.sets[i])
			bad = fail("%s: capability word %d is %x, not %x", names[number], i, now.sets[i], before.sets[i]);
	if (now.bounding != before.bounding || now.ambient != before.ambient)
		bad = fail("%s: bounding %lx, ambient %lx; not %lx, %lx", names[number], now.bounding, now.ambient,
			   before.bounding, before.ambient);
	if (now.securebits != before.securebits)
		bad = fail("%s: securebits are %x, not %x", names[number], now.securebits, before.securebits);
	return bad;
}

int main(int argc, char **argv)
{
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	for (intptr_t i = 0; i < COUNT; i++)
		children[i] = test_fork(live, (void *)i);
	stage_wait(started, COUNT);

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= test_finish(children[i]);
	return bad ? 1 : pass();
}
