// SPDX-License-Identifier: Apache-2.0
/* All sixteen resource limits, soft and hard, small, odd, 64 bits wide and infinite; a child has its own. */
#include "zdtm.h"

#include <sys/resource.h>

static int check(const struct rlimit *wanted)
{
	struct rlimit now;
	int bad = 0;

	for (int which = 0; which < RLIM_NLIMITS; which++) {
		if (getrlimit(which, &now))
			return fail("getrlimit(%d)", which);
		if (now.rlim_cur != wanted[which].rlim_cur || now.rlim_max != wanted[which].rlim_max)
			bad = fail("limit %d is %lu of %lu, not %lu of %lu", which, now.rlim_cur, now.rlim_max,
				   wanted[which].rlim_cur, wanted[which].rlim_max);
	}
	return bad;
}

/* Lowers every limit, as far as the program can go on; `part` makes parent and child differ. */
static void lower(struct rlimit *limits, unsigned int part)
{
	for (unsigned int which = 0; which < RLIM_NLIMITS; which++) {
		if (getrlimit(which, &limits[which]))
			err_die("getrlimit(%u)", which);
		if (limits[which].rlim_max == RLIM_INFINITY && which % 3)
			limits[which].rlim_max = (7ul << 40) + which + part;
		if (limits[which].rlim_cur == RLIM_INFINITY && which % 2)
			limits[which].rlim_cur = (5ul << 40) + which + part;
		else if (limits[which].rlim_cur != RLIM_INFINITY && limits[which].rlim_cur > 1000)
			limits[which].rlim_cur -= which + part;
		if (limits[which].rlim_cur > limits[which].rlim_max)
			limits[which].rlim_cur = limits[which].rlim_max;
		if (setrlimit(which, &limits[which]))
			err_die("setrlimit(%u)", which);
	}
}

static stage_t *lowered;

static int child(void *unused)
{
	struct rlimit limits[RLIM_NLIMITS];

	(void)unused;
	lower(limits, 33);
	stage_step(lowered);
	test_wait();
	return check(limits);
}

int main(int argc, char **argv)
{
	struct rlimit limits[RLIM_NLIMITS];
	pid_t pid;

	test_init(argc, argv);
	lowered = stage_new();
	pid = test_fork(child, NULL);
	lower(limits, 0);
	stage_wait(lowered, 1);

	test_ready();
	test_wait();

	return check(limits) | test_finish(pid) ? 1 : pass();
}
