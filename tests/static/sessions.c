// SPDX-License-Identifier: Apache-2.0
/*
 * Sessions and groups in one tree: leaders, members, and children that were born before their parent became a leader
 * and so stayed in the older session or group.  setsid() and setpgid() go on obeying the rules of the kernel.
 */
#include "zdtm.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

struct identity {
	pid_t pid, ppid, pgid, sid;
};

enum { ROOT, LEADER, BORN_EARLY, INNER, INNER_EARLY, INNER_LATE, OUTER, OUTER_EARLY, OUTER_LATE, TASKS };

static stage_t *stage;
static struct identity *wanted;         /* shared, one for each task */

static struct identity look(void)
{
	return (struct identity) { getpid(), getppid(), getpgid(0), getsid(0) };
}

static int check(int number)
{
	struct identity now = look(), *old = &wanted[number];

	if (now.pid != old->pid || now.ppid != old->ppid || now.pgid != old->pgid || now.sid != old->sid)
		return fail("task %d: pid %d parent %d group %d session %d; not %d %d %d %d", number, now.pid, now.ppid,
			    now.pgid, now.sid, old->pid, old->ppid, old->pgid, old->sid);
	if (now.pgid == now.pid && (setsid() != -1 || errno != EPERM))
		return fail("task %d, a group leader, could make a session", number);
	errno = 0;
	return 0;
}

static int stand(int number, pid_t first, pid_t second)
{
	int bad;

	wanted[number] = look();
	stage_step(stage);
	test_wait();
	bad = check(number);
	return bad | (first ? test_finish(first) : 0) | (second ? test_finish(second) : 0);
}

static int member(void *number)
{
	return stand((intptr_t)number, 0, 0);
}

static int group_leader(void *number)
{
	pid_t early = test_fork(member, (void *)((intptr_t)number + 1)), late;

	if (setpgid(0, 0))
		err_die("setpgid");
	late = test_fork(member, (void *)((intptr_t)number + 2));
	return stand((intptr_t)number, early, late);
}

static int session_leader(void *unused)
{
	pid_t early = test_fork(member, (void *)BORN_EARLY), late;

	(void)unused;
	if (setsid() != getpid())
		err_die("setsid");
	late = test_fork(group_leader, (void *)INNER);
	return stand(LEADER, early, late);
}

/* What each task must be, so that the comparison is with the intended state and not with any. */
static void check_shape(void)
{
	static const int groups[TASKS] = { ROOT, LEADER, ROOT, INNER, LEADER, INNER, OUTER, ROOT, OUTER };
	static const int sessions[TASKS] = { ROOT, LEADER, ROOT, LEADER, LEADER, LEADER, ROOT, ROOT, ROOT };

	for (int i = 0; i < TASKS; i++)
		if (wanted[i].pgid != wanted[groups[i]].pid || wanted[i].sid != wanted[sessions[i]].pid)
			err_die("task %d has group %d and session %d", i, wanted[i].pgid, wanted[i].sid);
}

int main(int argc, char **argv)
{
	pid_t leader, outer;

	test_init(argc, argv);
	stage = stage_new();
	wanted = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	leader = test_fork(session_leader, NULL);
	outer = test_fork(group_leader, (void *)OUTER);
	wanted[ROOT] = look();
	stage_wait(stage, TASKS - 1);
	check_shape();

	test_ready();
	test_wait();

	return check(ROOT) | test_finish(leader) | test_finish(outer) ? 1 : pass();
}
