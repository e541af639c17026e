/*
 * Raw calls for Python: no policy, no allocation that outlives a call. cffi releases the GIL around
 * each of them. Results are as the kernel gives them: a value, or a negative errno.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static long raw_syscall(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static long ptrace_call(long request, int pid, uint64_t addr, uint64_t data)
{
	return raw_syscall(SYS_ptrace, request, pid, addr, data, 0, 0);
}

/* PTRACE_GETREGSET / SETREGSET; returns the number of bytes that went over. */
static long ptrace_regset(long request, int pid, unsigned type, void *buf, size_t size)
{
	struct iovec iov = { buf, size };
	long ret = ptrace_call(request, pid, type, (uint64_t)&iov);

	return ret < 0 ? ret : (long)iov.iov_len;
}

/* wait4(__WALL | flags): pid, or 0 when nothing is to report (WNOHANG), or -errno. */
static long wait_task(int pid, int *status, int flags)
{
	return raw_syscall(SYS_wait4, (uint64_t)(int64_t)pid, (uint64_t)status, __WALL | flags, 0, 0, 0);
}

/* Reads dirfd/name into buf: bytes read, or -errno. One open, as few reads as the file needs. */
static long slurp(int dirfd, const char *name, void *buf, size_t size)
{
	long fd = raw_syscall(SYS_openat, dirfd, (uint64_t)name, O_RDONLY | O_CLOEXEC, 0, 0, 0), n, done = 0;

	if (fd < 0)
		return fd;
	while ((size_t)done < size) {
		n = raw_syscall(SYS_read, fd, (uint64_t)buf + done, size - done, 0, 0, 0);
		if (n <= 0) {
			if (n < 0)
				done = n;
			break;
		}
		done += n;
	}
	raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	return done;
}

/* What is known of one descriptor; engine/resources/files/descriptor.py reads it with the same layout. */
struct descriptor {
	int32_t number, error;         /* error: errno when it could not be read */
	uint64_t dev, ino, rdev, size, blocks, pos;
	uint32_t mode, nlink, uid, gid;
	uint32_t flags;                /* O_*, with O_CLOEXEC when the number has it */
	int32_t mnt_id;
	int32_t named;                 /* the link, a path: 0 names this file, 1 names another one, -errno names none */
	int32_t owner, signal;         /* F_GETOWN_EX, F_GETSIG; 0 for O_PATH descriptors */
	uint32_t link, link_size;      /* place in the texts: what readlink said */
	uint32_t info, info_size;      /* fdinfo behind the common lines */
	uint32_t unused;
};

struct survey {
	int proc, pidfd;
	struct descriptor *found;
	int first, last;
	char *texts;
	size_t at, end; /* room in texts */
};

/* "fd/" or "fdinfo/" and a number */
static void descriptor_name(char *name, const char *directory, int number)
{
	char digits[12];
	int count = 0;

	while (*directory)
		*name++ = *directory++;
	do
		digits[count++] = '0' + number % 10;
	while (number /= 10);
	while (count)
		*name++ = digits[--count];
	*name = 0;
}

/* The common lines of fdinfo, in the kernel's order (fs/proc/fd.c, seq_show); returns where the others begin. */
static char *common_lines(char *text, struct descriptor *d)
{
	static const char *const keys[] = { "pos:", "flags:", "mnt_id:", "ino:" };

	for (int i = 0; i < 4; i++) {
		size_t length = strlen(keys[i]);
		unsigned long value;

		if (strncmp(text, keys[i], length))
			break;
		value = strtoul(text + length, &text, i == 1 ? 8 : 10);
		if (i == 0)
			d->pos = value;
		else if (i == 1)
			d->flags = value;
		else if (i == 2)
			d->mnt_id = value;
		text += *text == '\n';
	}
	return text;
}

/* Status, and whom the file signals: through a duplicate, because that is faster than /proc, and because no file of
 * /proc tells the second. An O_PATH descriptor has no owner: EBADF. */
static long duplicate_facts(int pidfd, int number, struct stat *st, struct descriptor *d)
{
	long fd = raw_syscall(SYS_pidfd_getfd, pidfd, number, 0, 0, 0, 0), ret;
	struct f_owner_ex owner = { 0, 0 };

	if (fd < 0)
		return fd;
	ret = raw_syscall(SYS_fstat, fd, (uint64_t)st, 0, 0, 0, 0);
	if (raw_syscall(SYS_fcntl, fd, F_GETOWN_EX, (uint64_t)&owner, 0, 0, 0) == 0) {
		d->owner = owner.pid;
		d->signal = raw_syscall(SYS_fcntl, fd, F_GETSIG, 0, 0, 0, 0);
	}
	raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	return ret;
}

/* A file of /proc that comes whole with the first read(2). */
static long read_once(int dirfd, const char *name, char *buf, size_t size)
{
	long fd = raw_syscall(SYS_openat, dirfd, (uint64_t)name, O_RDONLY | O_CLOEXEC, 0, 0, 0), ret;

	if (fd < 0)
		return fd;
	ret = raw_syscall(SYS_read, fd, (uint64_t)buf, size, 0, 0, 0);
	raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	return ret;
}

/* Everything about one descriptor, or the errno that was in the way. */
static long survey_one(struct survey *s, struct descriptor *d)
{
	char name[32];
	struct stat st, other;
	long ret;

	descriptor_name(name, "fd/", d->number);
	ret = raw_syscall(SYS_readlinkat, s->proc, (uint64_t)name, (uint64_t)(s->texts + s->at), s->end - s->at, 0, 0);
	if (ret < 0)
		return ret;
	if (ret + 1 >= (long)(s->end - s->at))
		return -ENOBUFS;
	d->link = s->at, d->link_size = ret;
	s->texts[s->at + ret] = 0;
	s->at += ret + 1;
	ret = duplicate_facts(s->pidfd, d->number, &st, d);
	if (ret < 0)
		return ret;
	d->dev = st.st_dev, d->ino = st.st_ino, d->rdev = st.st_rdev, d->size = st.st_size, d->blocks = st.st_blocks;
	d->mode = st.st_mode, d->nlink = st.st_nlink, d->uid = st.st_uid, d->gid = st.st_gid;
	if (s->texts[d->link] == '/') {
		ret = raw_syscall(SYS_newfstatat, AT_FDCWD, (uint64_t)(s->texts + d->link), (uint64_t)&other,
				  AT_SYMLINK_NOFOLLOW, 0, 0);
		d->named = ret < 0 ? ret : other.st_dev != st.st_dev || other.st_ino != st.st_ino;
	}
	descriptor_name(name, "fdinfo/", d->number);
	ret = read_once(s->proc, name, s->texts + s->at, s->end - s->at);
	if (ret < 0)
		return ret;
	if (ret + 1 >= (long)(s->end - s->at))
		return -ENOBUFS;
	s->texts[s->at + ret] = 0;
	d->info = common_lines(s->texts + s->at, d) - s->texts;
	d->info_size = s->at + ret - d->info;
	s->at += d->info_size ? ret + 1 : 0;
	return 0;
}

static void *survey_some(void *arg)
{
	struct survey *s = arg;

	for (int i = s->first; i < s->last; i++)
		s->found[i].error = -survey_one(s, &s->found[i]);
	return NULL;
}

/* Facts of all descriptors whose numbers stand in `found`, in one crossing and, if they are many, two threads.
 * proc is an open /proc/PID. Texts that find no room in `texts` leave ENOBUFS. */
static long descriptor_facts(int proc, int pidfd, struct descriptor *found, int count, char *texts, size_t size)
{
	int half = count >= 64 ? count / 2 : count;
	size_t middle = half < count ? size / 2 : size;
	struct survey one = { proc, pidfd, found, 0, half, texts, 0, middle };
	struct survey two = { proc, pidfd, found, half, count, texts, middle, size };
	pthread_t helper;
	int helped = half < count && !pthread_create(&helper, NULL, survey_some, &two);

	survey_some(&one);
	if (helped)
		pthread_join(helper, NULL);
	else
		survey_some(&two);
	return 0;
}

/* One piece of memory on its way: `length` bytes at `remote` in the task, at `local` here. */
struct piece {
	uint64_t remote, local, length;
};

struct copy {
	int pid, mem; /* mem: an open /proc/PID/mem to read through instead, or -1 */
	const struct piece *pieces;
	long count;
	long next; /* taken by the threads in turn */
	long error;
	uint64_t fault;
};

static void *copy_some(void *arg)
{
	struct copy *job = arg;
	long i;

	while ((i = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->count && !job->error) {
		struct iovec local = { (void *)job->pieces[i].local, job->pieces[i].length };
		struct iovec remote = { (void *)job->pieces[i].remote, job->pieces[i].length };

		while (local.iov_len) {
			long n = job->mem >= 0
				? raw_syscall(SYS_pread64, job->mem, (uint64_t)local.iov_base, local.iov_len,
					      (uint64_t)remote.iov_base, 0, 0)
				: raw_syscall(SYS_process_vm_readv, job->pid, (uint64_t)&local, 1, (uint64_t)&remote, 1, 0);

			if (n <= 0) {
				job->error = n ? n : -EFAULT;
				job->fault = (uint64_t)remote.iov_base;
				return NULL;
			}
			local.iov_base += n, remote.iov_base += n;
			local.iov_len -= n, remote.iov_len -= n;
		}
	}
	return NULL;
}

/* Copies all pieces out of the memory of pid with up to `threads` threads; the caller is one of them. process_vm_readv
 * is faster; through `mem` pages that relatives share stay shared, and what the task may not read is read.
 * 0, or -errno with *fault = the remote address that failed. */
static long copy_pieces(int pid, int mem, const struct piece *pieces, long count, int threads, uint64_t *fault)
{
	struct copy job = { pid, mem, pieces, count, 0, 0, 0 };
	pthread_t helpers[7];
	int started = 0;

	while (started < threads - 1 && started < 7 && !pthread_create(&helpers[started], NULL, copy_some, &job))
		started++;
	copy_some(&job);
	while (started)
		pthread_join(helpers[--started], NULL);
	*fault = job.fault;
	return job.error;
}

/* Address of a window of fd in our own memory, or -errno. */
static long map_file(int fd, uint64_t offset, uint64_t length, int writable, int populate)
{
	return raw_syscall(SYS_mmap, 0, length, PROT_READ | (writable ? PROT_WRITE : 0),
			   MAP_SHARED | (populate ? MAP_POPULATE : 0), fd, offset);
}

struct child {
	int image, keep_from, parent;
	int *fds; /* the parent's array, changed on the way */
	int fd_count;
	uint64_t blocked;
};

/* Runs in the child of spawn_skeleton, in the parent's memory (CLONE_VM): system calls only. */
static int become_skeleton(void *arg)
{
	struct child *c = arg;
	char *argv[] = { "amber-skeleton", NULL }, *envp[] = { NULL };

	/* Until it is traced, only this ends it with its parent; the plan takes it back. */
	raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	if (raw_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0) != c->parent)
		return 125;
	/* fds[i] -> keep_from + i without close-on-exec, by way of numbers that no other of them has or will have */
	c->image = raw_syscall(SYS_fcntl, c->image, F_DUPFD_CLOEXEC, c->keep_from + c->fd_count, 0, 0, 0);
	for (int i = 0; i < c->fd_count; i++) {
		c->fds[i] = raw_syscall(SYS_fcntl, c->fds[i], F_DUPFD_CLOEXEC, c->keep_from + c->fd_count, 0, 0, 0);
		if (c->fds[i] < 0)
			return 126;
	}
	for (int i = 0; i < c->fd_count; i++)
		if (raw_syscall(SYS_dup3, c->fds[i], c->keep_from + i, 0, 0, 0, 0) < 0)
			return 126;
	raw_syscall(SYS_close_range, 0, c->keep_from - 1, 0, 0, 0, 0);
	raw_syscall(SYS_close_range, c->keep_from + c->fd_count, ~0U, CLOSE_RANGE_CLOEXEC, 0, 0, 0);
	raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (uint64_t)&c->blocked, 0, 8, 0, 0);
	raw_syscall(SYS_execveat, c->image, (uint64_t)"", (uint64_t)argv, (uint64_t)envp, AT_EMPTY_PATH, 0);
	return 127;
}

/*
 * Starts the ELF in `image` (a descriptor) as a child with the pid `pid` (0: any), with only the given descriptors
 * open, at keep_from, keep_from + 1, … (keep_from > 0), and with the signals in `blocked` blocked. It dies with its
 * parent. Returns the pid once the ELF runs (or when it could not be run: then of a child that has ended), or -errno.
 */
static long spawn_skeleton(int image, int pid, int *fds, int fd_count, int keep_from, uint64_t blocked)
{
	struct child c = { image, keep_from, getpid(), fds, fd_count, blocked };
	uint64_t set_tid = pid, all = ~0UL, old;
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK,
		.exit_signal = SIGCHLD,
		.stack = (uint64_t)stack,
		.stack_size = 65536,
		.set_tid = pid ? (uint64_t)&set_tid : 0,
		.set_tid_size = pid ? 1 : 0,
	};
	long ret;

	if (stack == MAP_FAILED)
		return -ENOMEM;
	raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (uint64_t)&all, (uint64_t)&old, 8, 0, 0);
	{
		register void *child_arg __asm__("r12") = &c;
		register int (*child_fn)(void *) __asm__("r13") = become_skeleton;

		__asm__ volatile("syscall\n\t"
				 "test %%rax, %%rax\n\t"
				 "jnz 1f\n\t"
				 "mov %%r12, %%rdi\n\t"
				 "and $-16, %%rsp\n\t"
				 "call *%%r13\n\t"
				 "mov %%eax, %%edi\n\t"
				 "mov $60, %%eax\n\t"
				 "syscall\n"
				 "1:"
				 : "=a"(ret) : "a"(SYS_clone3), "D"(&args), "S"(sizeof args), "r"(child_arg), "r"(child_fn)
				 : "rcx", "r11", "memory");
	}
	raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (uint64_t)&old, 0, 8, 0, 0);
	munmap(stack, 65536);
	return ret;
}

/* Number of the first byte pattern in memory, or -1: memmem without a copy into Python. */
static long find_bytes(const void *haystack, size_t size, const void *needle, size_t length)
{
	const char *at = memmem(haystack, size, needle, length);

	return at ? at - (const char *)haystack : -1;
}

/* Marks in same[i] whether page i of a equals page i of b; returns how many do. */
static long equal_pages(uint64_t a, uint64_t b, long pages, unsigned char *same)
{
	long count = 0;

	for (long i = 0; i < pages; i++)
		count += same[i] = !memcmp((void *)(a + i * 4096), (void *)(b + i * 4096), 4096);
	return count;
}

/* CPUID, for the places of extended state components (leaf 0xd): eax, ebx, ecx, edx go to out. */
static void cpuid(unsigned leaf, unsigned subleaf, unsigned *out)
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(subleaf));
}
