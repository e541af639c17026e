/*
 * The interpreter: the only code of Amber that ever runs inside somebody else's process.
 *
 * It walks a list of ops at system-call level (docs/plans.md). No op knows what it is for: what an
 * eventfd or a timer is stands in Python, where the list was written. One source serves twice: as a
 * position-independent blob it is injected into frozen tasks and into skeletons; linked as a static
 * ELF its `idle` entry is the skeleton that waits to be given an arena.
 *
 * No writable data: everything it changes lies in the control block, the slots and the stack it is
 * handed. No relocations, no libc, no SSE (the task's own extended state must stay untouched).
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

enum { NR_RT_SIGRETURN = 15, NR_PAUSE = 34, NR_GETPID = 39, NR_GETTID = 186, NR_FUTEX = 202,
       NR_TGKILL = 234, NR_CLONE3 = 435, NR_PREAD64 = 17, NR_PWRITE64 = 18 };
enum { EINTR = 4, ENODATA = 61 };
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1 };

/* engine/plan/ops.py writes these numbers; tests/unit/plan/test_encode.py holds both together. */
enum code { CALL = 1, STORE, LOAD, FULL_IO, WAIT, POST, SPAWN, REPEAT, HALT, END };
enum policy { ANY = 0, MUST, EQUAL, MAY };

struct op {
	u8 code;
	u8 policy;
	u16 nr;        /* CALL, FULL_IO: the system call; LOAD, STORE: width in bytes */
	u32 dst;       /* slot of the result */
	u32 from_slot; /* bit n: arg[n] is a slot's number, not a value */
	u32 allowed;   /* MAY: up to four errnos that count as success, a byte each */
	u64 expect;    /* EQUAL: the only result that counts as success */
	u64 arg[6];
};

struct control {
	u64 pc;         /* op that runs now */
	u64 ops;        /* address of the op list */
	u64 slots;      /* address of the slots, 8 bytes each */
	i64 error;      /* negative errno of the op that failed, or 0 */
	u64 error_pc;   /* that op */
	u64 result;     /* what it returned (EQUAL) */
	u64 on_error;   /* op to go on at after a failure (the clean-up) */
	u64 frame;      /* signal frame that leads home, or 0 */
	u64 halt;       /* signal that makes a live tracer stop the task */
};

static inline i64 call(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	register u64 r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	i64 ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/*
 * The child starts with the stack that clone_args names and enters run() with its own control block.
 * It never returns into the parent's C frame, which it may not even see.
 */
static inline i64 spawn(u64 args, u64 size, u64 control)
{
	i64 ret;
	register u64 block __asm__("r12") = control;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r12, %%rdi\n\t"
			 "jmp enter\n"
			 "1:"
			 : "=a"(ret) : "a"(NR_CLONE3), "D"(args), "S"(size), "r"(block) : "rcx", "r11", "memory");
	return ret;
}

/* Only a live tracer turns the signal into a stop: it is one that the task neither catches nor blocks
 * and whose default is to be ignored, or the task is a skeleton that dies with its tracer. */
static void halt(u64 signal)
{
	call(NR_TGKILL, call(NR_GETPID, 0, 0, 0, 0, 0, 0), call(NR_GETTID, 0, 0, 0, 0, 0, 0), signal, 0, 0, 0);
}

/* Repeats a read or write until all bytes went over: arguments fd, address, length, offset. */
static i64 full_io(u64 nr, const u64 *a)
{
	int positioned = nr == NR_PREAD64 || nr == NR_PWRITE64;
	u64 done = 0;

	while (done < a[2]) {
		i64 n = call(nr, a[0], a[1] + done, a[2] - done, positioned ? a[3] + done : 0, 0, 0);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? n : -ENODATA;
		done += n;
	}
	return done;
}

static i64 load(u64 width, u64 address)
{
	switch (width) {
	case 1: return *(volatile u8 *)address;
	case 4: return *(volatile u32 *)address;
	default: return *(volatile u64 *)address;
	}
}

static void store(u64 width, u64 address, u64 value)
{
	switch (width) {
	case 1: *(volatile u8 *)address = value; break;
	case 4: *(volatile u32 *)address = value; break;
	default: *(volatile u64 *)address = value;
	}
}

static void wait_for(u32 *word, u32 value)
{
	for (;;) {
		u32 now = __atomic_load_n(word, __ATOMIC_ACQUIRE);

		if (now >= value)
			return;
		call(NR_FUTEX, (u64)word, FUTEX_WAIT, now, 0, 0, 0);
	}
}

static void post(u32 *word, u32 count)
{
	__atomic_add_fetch(word, count, __ATOMIC_RELEASE);
	call(NR_FUTEX, (u64)word, FUTEX_WAKE, 0x7fffffff, 0, 0, 0);
}

/* 0 when the result is acceptable, else the negative errno to report. */
static i64 judge(const struct op *op, i64 result)
{
	int failed = result < 0 && result >= -4095;

	switch (op->policy) {
	case MUST:
		return failed ? result : 0;
	case EQUAL:
		return (u64)result == op->expect ? 0 : failed ? result : -4095;
	case MAY:
		for (int i = 0; failed && i < 4; i++)
			if (((op->allowed >> (8 * i)) & 0xff) == (u64)-result)
				return 0;
		return failed ? result : 0;
	}
	return 0;
}

__attribute__((used)) void run(struct control *c)
{
	u64 *slots = (u64 *)c->slots;

	for (;; c->pc++) {
		const struct op *op = (const struct op *)c->ops + c->pc;
		i64 result = 0, bad;
		u64 a[6];

		for (int i = 0; i < 6; i++)
			a[i] = op->from_slot >> i & 1 ? slots[op->arg[i]] : op->arg[i];
		if (op->code == CALL)
			result = call(op->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		else if (op->code == FULL_IO)
			result = full_io(op->nr, a);
		else if (op->code == SPAWN)
			result = spawn(a[0], a[1], a[2]);
		else if (op->code == LOAD)
			result = load(op->nr, a[0]);
		else if (op->code == STORE)
			store(op->nr, a[0], a[1]);
		else if (op->code == WAIT)
			wait_for((u32 *)a[0], a[1]);
		else if (op->code == POST)
			post((u32 *)a[0], a[1]);
		else if (op->code == HALT)
			halt(c->halt);
		else if (op->code == REPEAT) {
			/* back to op arg[0] until slot arg[1] holds arg[2], at most arg[3] times (counted in dst) */
			if (slots[op->arg[1]] != a[2] && slots[op->dst]++ < a[3])
				c->pc = a[0] - 1;
			else if (slots[op->arg[1]] != a[2])
				result = -ENODATA;
			if (result == 0)
				continue;
		} else
			return;
		if (op->code != STORE && op->code != WAIT && op->code != POST && op->code != HALT && op->code != REPEAT)
			slots[op->dst] = result;
		bad = judge(op, result);
		if (bad) {
			c->error = bad;
			c->error_pc = c->pc;
			c->result = result;
			halt(c->halt);
			c->pc = c->on_error - 1;
		}
	}
}

/* A blob is entered with rdi = control block and a stack of its own. At END it goes home by the
 * signal frame, whether or not anybody watches. */
__attribute__((naked, used, section(".text.start"))) void enter(void)
{
	__asm__ volatile("mov %rdi, %rbx\n\t"
			 "and $-16, %rsp\n\t"
			 "call run\n\t"
			 "mov 56(%rbx), %rsp\n\t" /* control.frame */
			 "test %rsp, %rsp\n\t"
			 "jz idle\n\t"
			 "add $8, %rsp\n\t" /* as if `ret` had popped the frame's return address */
			 "mov $15, %eax\n\t"
			 "syscall\n\t"
			 "hlt");
}

/* Entry of the skeleton: waits to be seized. Its `syscall` also serves the tracer's last remote call. */
__attribute__((naked, used, section(".text.idle"))) void idle(void)
{
	__asm__ volatile("mov $34, %eax\n\t"
			 "syscall\n\t"
			 "jmp idle\n\t"
			 "syscall\n\t" /* what a C library would lend: engine/rehearsal.py */
			 "ret");
}
