// SPDX-License-Identifier: Apache-2.0
/*
 * A loop in user space that keeps a known value in every general register and in the flags.
 * It reads one word of memory and branches with jrcxz, which leaves the flags alone; only rcx is its own.
 */
#include "zdtm.h"

#include <errno.h>
#include <signal.h>

enum { COUNT = 14, FLAGS_MASK = 0xcd5 };   /* CF PF AF ZF SF DF OF */

__attribute__((used)) static volatile int over;
__attribute__((used)) static uint64_t stack_before, stack_after, flags_found, flags_wanted = 0xc91;
__attribute__((used)) static uint64_t found[COUNT], wanted[COUNT];

void spin(void);
asm(".text\n"
    "spin:\n"
    "	push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "	mov %rsp, stack_before(%rip)\n"
    "	mov wanted+0(%rip), %rax\n   mov wanted+8(%rip), %rbx\n   mov wanted+16(%rip), %rdx\n"
    "	mov wanted+24(%rip), %rsi\n  mov wanted+32(%rip), %rdi\n  mov wanted+40(%rip), %rbp\n"
    "	mov wanted+48(%rip), %r8\n   mov wanted+56(%rip), %r9\n   mov wanted+64(%rip), %r10\n"
    "	mov wanted+72(%rip), %r11\n  mov wanted+80(%rip), %r12\n  mov wanted+88(%rip), %r13\n"
    "	mov wanted+96(%rip), %r14\n  mov wanted+104(%rip), %r15\n"
    "	pushq flags_wanted(%rip)\n   popfq\n"
    "1:	mov over(%rip), %ecx\n"
    "	jrcxz 1b\n"
    "	pushfq\n                     popq flags_found(%rip)\n   cld\n"
    "	mov %rax, found+0(%rip)\n    mov %rbx, found+8(%rip)\n   mov %rdx, found+16(%rip)\n"
    "	mov %rsi, found+24(%rip)\n   mov %rdi, found+32(%rip)\n  mov %rbp, found+40(%rip)\n"
    "	mov %r8, found+48(%rip)\n    mov %r9, found+56(%rip)\n   mov %r10, found+64(%rip)\n"
    "	mov %r11, found+72(%rip)\n   mov %r12, found+80(%rip)\n  mov %r13, found+88(%rip)\n"
    "	mov %r14, found+96(%rip)\n   mov %r15, found+104(%rip)\n"
    "	mov %rsp, stack_after(%rip)\n"
    "	pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
    "	ret\n");

static void on_term(int number)
{
	(void)number;
	over = 1;
}

int main(int argc, char **argv)
{
	static const char *const names[COUNT] = { "rax", "rbx", "rdx", "rsi", "rdi", "rbp", "r8",
						  "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
	int bad = 0;

	test_init(argc, argv);
	signal(SIGTERM, on_term);
	data_fill(wanted, sizeof(wanted), test_random());

	test_ready();
	spin();
	errno = 0;

	for (int i = 0; i < COUNT; i++)
		if (found[i] != wanted[i])
			bad = fail("%s is %016lx, not %016lx", names[i], found[i], wanted[i]);
	if ((flags_found & FLAGS_MASK) != (flags_wanted & FLAGS_MASK))
		bad = fail("the flags are %lx, not %lx", flags_found, flags_wanted);
	if (stack_before != stack_after)
		bad = fail("rsp is %lx, not %lx", stack_after, stack_before);
	return bad ? 1 : pass();
}
