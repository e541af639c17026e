/*
 * Many calls in one crossing from Python: what is asked of every thread, descriptor or file of a frozen
 * tree. Each row carries its own result, a value or a negative errno, so one failure hides no other.
 * Compiled together with calls.c.
 */
#include <sys/user.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { TOUCHED = 2 << 20 }; /* bytes that are populated at a time */

/* One ptrace request. With a length it is about a register set: `data` is where that lies, `addr` its type. */
struct request {
	int32_t number, tid;
	uint64_t addr, data, length;
	int64_t result;
};

static void ptrace_many(struct request *rows, long count)
{
	for (struct request *row = rows; row < rows + count; row++)
		row->result = row->length
			? ptrace_regset(row->number, row->tid, row->addr, (void *)row->data, row->length)
			: ptrace_call(row->number, row->tid, row->addr, row->data);
}

/* Waits for the next stop or end of each thread in turn. statuses[i] is its wait status, or -errno. Returns how many
 * were waited for: fewer than `count` when a signal came, which Python must see. */
static long wait_many(const int *tids, int *statuses, long count)
{
	for (long i = 0; i < count; i++) {
		long result = wait_task(tids[i], &statuses[i], 0);

		if (result == -EINTR)
			return i;
		if (result < 0)
			statuses[i] = result;
	}
	return count;
}

/* What is known of a stopped thread; engine/kernel/threads.py reads it with the same layout. The extended state
 * follows, `room` bytes in all. */
struct thread {
	int32_t tid, error;
	uint64_t mask;
	struct user_regs_struct registers;
	struct { uint64_t pointer; uint32_t size, signature, flags, pad; } rseq;
	uint64_t rseq_section;         /* rseq_cs of its rseq area; all ones when that cannot be read */
	uint32_t tls[3][4];            /* struct user_desc of the three entries of the GDT */
	uint64_t xstate_size;
};

enum { NT_PRSTATUS = 1, NT_X86_XSTATE = 0x202, GET_THREAD_AREA = 25, FIRST_TLS = 12, RSEQ_CS = 8 };

static long look_at_thread(struct thread *t, size_t room)
{
	struct iovec local = { &t->rseq_section, sizeof t->rseq_section }, remote;
	long ret = ptrace_regset(PTRACE_GETREGSET, t->tid, NT_PRSTATUS, &t->registers, sizeof t->registers);

	if (ret >= 0)
		ret = ptrace_regset(PTRACE_GETREGSET, t->tid, NT_X86_XSTATE, t + 1, room - sizeof *t);
	if (ret < 0)
		return ret;
	t->xstate_size = ret;
	for (int i = 0; i < 3 && ret >= 0; i++)
		ret = ptrace_call(GET_THREAD_AREA, t->tid, FIRST_TLS + i, (uint64_t)t->tls[i]);
	if (ret >= 0)
		ret = ptrace_call(PTRACE_GETSIGMASK, t->tid, sizeof t->mask, (uint64_t)&t->mask);
	if (ret >= 0)
		ret = ptrace_call(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, sizeof t->rseq, (uint64_t)&t->rseq);
	if (ret < 0 || !t->rseq.pointer)
		return ret;
	remote = (struct iovec){ (void *)(t->rseq.pointer + RSEQ_CS), sizeof t->rseq_section };
	if (raw_syscall(SYS_process_vm_readv, t->tid, (uint64_t)&local, 1, (uint64_t)&remote, 1, 0) < 0)
		t->rseq_section = ~0UL;
	return ret;
}

/* Facts of all threads whose tids stand in `found`, `room` bytes apart. */
static void thread_facts(void *found, long count, size_t room)
{
	for (long i = 0; i < count; i++) {
		struct thread *t = (struct thread *)((char *)found + i * room);
		long ret = look_at_thread(t, room);

		t->error = ret < 0 ? -ret : 0;
	}
}

/* One file to read, or link to be told, below an open directory. */
struct text {
	int32_t directory, link;
	uint64_t name;
	int64_t size;                  /* of the text, or -errno; -ENOBUFS when there was no room for it */
	uint64_t at;                   /* where it begins among the texts */
};

struct reading {
	struct text *rows;
	long first, last;
	char *texts;
	size_t at, end;
};

static void *read_some(void *arg)
{
	struct reading *r = arg;

	for (struct text *row = r->rows + r->first; row < r->rows + r->last; row++) {
		size_t room = r->end - r->at;

		row->at = r->at;
		row->size = row->link
			? raw_syscall(SYS_readlinkat, row->directory, row->name, (uint64_t)(r->texts + r->at), room, 0, 0)
			: slurp(row->directory, (const char *)row->name, r->texts + r->at, room);
		if (row->size >= (int64_t)room)
			row->size = -ENOBUFS;
		else if (row->size > 0)
			r->at += row->size;
	}
	return NULL;
}

/* Reads all of them, in two threads if they are many, each of which has half of the room. */
static void read_many(struct text *rows, long count, char *texts, size_t size)
{
	long half = count >= 16 ? count / 2 : count;
	size_t middle = half < count ? size / 2 : size;
	struct reading one = { rows, 0, half, texts, 0, middle };
	struct reading two = { rows, half, count, texts, middle, size };
	pthread_t helper;
	int helped = half < count && !pthread_create(&helper, NULL, read_some, &two);

	read_some(&one);
	if (helped)
		pthread_join(helper, NULL);
	else
		read_some(&two);
}

/* One file to make or replace below a directory. */
struct file {
	uint64_t name, data, size;
	int64_t result;                /* 0 or -errno */
};

struct writing {
	int directory;
	struct file *files;
	long count, next; /* taken by the threads in turn */
};

/* A named pipe in the way is an error, not something to wait for. */
static long write_file(int directory, const struct file *file)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC;
	long fd = raw_syscall(SYS_openat, directory, file->name, flags, 0644, 0, 0), n = 0, closed;
	uint64_t done = 0;

	if (fd < 0)
		return fd;
	while (done < file->size) {
		n = raw_syscall(SYS_write, fd, file->data + done, file->size - done, 0, 0, 0);
		if (n > 0)
			done += n;
		else if (n != -EINTR)
			break;
	}
	closed = raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0); /* a network file system may say only here that it is full */
	return done < file->size ? (n ? n : -EIO) : closed == -EINTR ? 0 : closed;
}

static void *write_some(void *arg)
{
	struct writing *w = arg;
	long i;

	while ((i = __atomic_fetch_add(&w->next, 1, __ATOMIC_RELAXED)) < w->count)
		w->files[i].result = write_file(w->directory, &w->files[i]);
	return NULL;
}

/* Writes all of them, in two threads if they are many. */
static void write_many(int directory, struct file *files, long count)
{
	struct writing job = { directory, files, count, 0 };
	pthread_t helper;
	int helped = count >= 16 && !pthread_create(&helper, NULL, write_some, &job);

	write_some(&job);
	if (helped)
		pthread_join(helper, NULL);
}

struct area {
	uint64_t start, end;
	long error;
};

static void *touch(void *arg)
{
	struct area *a = arg;
	long ret;

	/* piece by piece, so that both cores stay at work */
	while (a->start < a->end && !a->error) {
		uint64_t size = a->end - a->start < TOUCHED ? a->end - a->start : TOUCHED;

		ret = raw_syscall(SYS_madvise, a->start, size, MADV_POPULATE_WRITE, 0, 0, 0);
		if (ret == 0)
			a->start += size;
		else if (ret != -EINTR)
			a->error = ret;
	}
	return NULL;
}

/* Gives a mapping its pages now, in two threads (MADV_POPULATE_WRITE, Linux 5.14): 0 or -errno; EFAULT says that a file
 * system had no room. */
static long populate(uint64_t address, uint64_t size)
{
	uint64_t middle = address + (size / 2 & ~4095UL);
	struct area one = { address, middle, 0 }, two = { middle, address + size, 0 };
	pthread_t helper;
	int helped = size > TOUCHED && !pthread_create(&helper, NULL, touch, &two);

	touch(&one);
	if (helped)
		pthread_join(helper, NULL);
	else
		touch(&two);
	return one.error ? one.error : two.error;
}

struct sorting {
	int kind;
	long error;
};

static int compare_tasks(const void *a, const void *b, void *arg)
{
	static const int order[] = { 0, -1, 1, 1 }; /* kcmp(2): equal, less, greater, not equal */
	struct sorting *s = arg;
	long ret = raw_syscall(SYS_kcmp, *(const int *)a, *(const int *)b, s->kind, 0, 0, 0);

	if (ret < 0)
		s->error = ret;
	return ret < 0 || ret > 3 ? 0 : order[ret];
}

/* Sorts processes by the kernel's order of what they have of a kind (kcmp(2)), and marks in same[i] whether process i
 * has the same as the one before it. 0, or -errno. */
static long sort_tasks(int *pids, unsigned char *same, long count, int kind)
{
	struct sorting s = { kind, 0 };

	qsort_r(pids, count, sizeof *pids, compare_tasks, &s);
	for (long i = 0; i < count; i++)
		same[i] = i && !compare_tasks(&pids[i - 1], &pids[i], &s);
	return s.error;
}

/* How many of the tasks behind the first have the same of a kind as the first (kcmp(2)), up to one that has not; or
 * -errno. */
static long same_as_first(const int *pids, long count, int kind)
{
	for (long i = 1; i < count; i++) {
		long ret = raw_syscall(SYS_kcmp, pids[0], pids[i], kind, 0, 0, 0);

		if (ret)
			return ret < 0 ? ret : i - 1;
	}
	return count - 1;
}
