// SPDX-License-Identifier: Apache-2.0
/*
 * All vector registers hold known bits while the task spins, or (-DASLEEP) sleeps in a system call.
 * WIDTH is the size of a register in bytes: 16 SSE, 32 AVX, 64 AVX-512 with its mask registers.
 */
#include "zdtm.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#define EACH16(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15)
#define UPPER16(F) F(16) F(17) F(18) F(19) F(20) F(21) F(22) F(23) F(24) F(25) F(26) F(27) F(28) F(29) F(30) F(31)
#define MASKS(F) F(1) F(2) F(3) F(4) F(5) F(6) F(7)

#if WIDTH == 16
#define NEEDS "sse2"
#define LOAD(n)  "movups 16*" #n "(%[in]), %%xmm" #n "\n"
#define STORE(n) "movups %%xmm" #n ", 16*" #n "(%[out])\n"
#define ALL(F, MASK) EACH16(F)
#elif WIDTH == 32
#define NEEDS "avx"
#define LOAD(n)  "vmovups 32*" #n "(%[in]), %%ymm" #n "\n"
#define STORE(n) "vmovups %%ymm" #n ", 32*" #n "(%[out])\n"
#define ALL(F, MASK) EACH16(F)
#else
#define NEEDS "avx512bw"
#define LOAD(n)  "vmovups 64*" #n "(%[in]), %%zmm" #n "\n"
#define STORE(n) "vmovups %%zmm" #n ", 64*" #n "(%[out])\n"
#define LOAD_MASK(n)  "kmovq 64*32+8*" #n "(%[in]), %%k" #n "\n"
#define STORE_MASK(n) "kmovq %%k" #n ", 64*32+8*" #n "(%[out])\n"
#define ALL(F, MASK) EACH16(F) UPPER16(F) MASKS(MASK)
#endif

#ifdef ASLEEP
#define STAY "1: mov %[futex], %%eax\n lea %[over], %%rdi\n xor %%esi, %%esi\n" \
	     "xor %%edx, %%edx\n xor %%r10d, %%r10d\n syscall\n"
#else
#define STAY "1:"
#endif

enum { SIZE = WIDTH == 64 ? 64 * 32 + 8 * 8 : WIDTH * 16 };

static volatile int over;

static void on_term(int number)
{
	(void)number;
	over = 1;
}

static void hold(const void *in, void *out)
{
	asm volatile(ALL(LOAD, LOAD_MASK)
		     STAY " cmpl $0, %[over]\n je 1b\n"
		     ALL(STORE, STORE_MASK)
		     : : [in] "r"(in), [out] "r"(out), [over] "m"(over), [futex] "i"(SYS_futex)
		     : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3",
		       "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

int main(int argc, char **argv)
{
	static uint8_t wanted[SIZE], found[SIZE];
	int bad = 0;

	test_init(argc, argv);
	if (!__builtin_cpu_supports(NEEDS))
		return skip("this processor has no " NEEDS);
	signal(SIGTERM, on_term);
	data_fill(wanted, SIZE, test_random());
	if (WIDTH == 64)
		memset(wanted + 64 * 32, 0, 8);   /* k0 cannot be loaded as a mask for itself */

	test_ready();
	hold(wanted, found);
	errno = 0;

	for (int i = 0; i < SIZE; i++)
		if (found[i] != wanted[i])
			bad = fail("register %d byte %d is %02x, not %02x", i / WIDTH, i % WIDTH, found[i], wanted[i]);
	return bad ? 1 : pass();
}
