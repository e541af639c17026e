// SPDX-License-Identifier: Apache-2.0
/*
 * A chain of filters: --count of them with --size instructions each.  All refuse one call, each with an error of its
 * own; the kernel asks the newest first, so it is that one's error which is seen: the order counts.  A child's chain is
 * longer by one filter, and each sees the other's calls refused as before.  With --privileged they are installed by
 * right of CAP_SYS_ADMIN, without no_new_privs.
 */
#include "zdtm.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REFUSED = SYS_getcpu, ALSO_REFUSED = SYS_getpriority };

static int count, size, privileged;

/* `size` instructions, most of them for nothing. */
static void install(int call, int error, unsigned flags)
{
	struct sock_filter *code = calloc(size, sizeof(*code));
	struct sock_fprog program = { size, code };
	int at = 0;

	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	while (at < size - 3) {
		code[at] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 100000 + at, 0, 0);
		at++;
	}
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program))
		err_die("SECCOMP_SET_MODE_FILTER of %d instructions", size);
	free(code);
}

static int refused(int call)
{
	errno = 0;
	return syscall(call, 0, 0, 0) < 0 ? errno : 0;
}

static int status(const char *name)
{
	char line[256];
	int value = -1;
	FILE *file = fopen("/proc/self/status", "r");

	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			value = atoi(line + strlen(name));
	fclose(file);
	return value;
}

static int check(const char *who, int filters, int also)
{
	int error;

	if (status("Seccomp:") != SECCOMP_MODE_FILTER || status("Seccomp_filters:") != filters)
		return fail("%s: mode %d with %d filters, not %d", who, status("Seccomp:"), status("Seccomp_filters:"), filters);
	error = refused(REFUSED);
	if (error != 100 + count)
		return fail("%s: the refused call gives %d, not %d", who, error, 100 + count);
	error = refused(ALSO_REFUSED);
	if (error != also)
		return fail("%s: the child's call gives %d, not %d", who, error, also);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != !privileged)
		return fail("%s: no_new_privs is %d", who, privileged);
	return 0;
}

static int child(void *ready)
{
	install(ALSO_REFUSED, 99, 0);
	stage_step(ready);
	test_wait();
	return check("the child", count + 1, 99);
}

int main(int argc, char **argv)
{
	stage_t *ready;
	pid_t pid;
	int bad;

	test_init(argc, argv);
	count = atoi(test_option("count", "2"));
	size = atoi(test_option("size", "4"));
	privileged = !strcmp(test_option("privileged", "no"), "yes");
	if (!privileged && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		err_die("PR_SET_NO_NEW_PRIVS");
	for (int i = 1; i <= count; i++)
		install(REFUSED, 100 + i, i % 3 == 1 ? SECCOMP_FILTER_FLAG_LOG : 0);
	ready = stage_new();
	pid = test_fork(child, ready);
	stage_wait(ready, 1);

	test_ready();
	test_wait();

	bad = check("the parent", count, 0);
	bad |= test_finish(pid);
	return bad ? 1 : pass();
}
