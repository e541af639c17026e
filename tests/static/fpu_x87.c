// SPDX-License-Identifier: Apache-2.0
/* The x87 stack: eight values of 80 bits, the top of stack, the control word and the sticky exception flags. */
#include "zdtm.h"

#include <fenv.h>
#include <string.h>

enum { CONTROL = 0x0e7f };   /* round to zero, 64-bit precision reduced to 53, all exceptions masked */

struct environment {
	uint32_t control, status, tag, ip, selectors, operand, segment;
};

static long double wanted[8], found[8];

/* test_wait() is a plain C function that uses no x87 register, so that the stack can stay full across the call. */
static void hold(struct environment *before, struct environment *after)
{
	uint16_t control = CONTROL;

	asm volatile("fninit\n fldcw %0\n fld1\n fldz\n fdivrp\n" : : "m"(control));   /* 1/0: sets ZE */
	asm volatile("fstp %st(0)");
	for (int i = 0; i < 8; i++)
		asm volatile("fldt %0" : : "m"(wanted[i]));
	asm volatile("fnstenv %0\n fldenv %0" : "=m"(*before));
	test_ready();
	test_wait();
	asm volatile("fnstenv %0\n fldenv %0" : "=m"(*after));
	for (int i = 7; i >= 0; i--)
		asm volatile("fstpt %0" : "=m"(found[i]));
	asm volatile("fninit");
}

int main(int argc, char **argv)
{
	struct environment before, after;
	int bad = 0;

	test_init(argc, argv);
	for (int i = 0; i < 8; i++) {
		data_fill(&wanted[i], 8, test_random());
		((uint8_t *)&wanted[i])[7] |= 0x80;           /* a normal number: the integer bit is set */
		((uint8_t *)&wanted[i])[8] = test_random();
		((uint8_t *)&wanted[i])[9] = 0x3f;
	}

	hold(&before, &after);

	for (int i = 0; i < 8; i++)
		if (memcmp(&found[i], &wanted[i], 10))
			bad = fail("stack register %d is %La, not %La", i, found[i], wanted[i]);
	if ((uint16_t)after.control != CONTROL)
		bad = fail("the control word is %04x, not %04x", after.control & 0xffff, CONTROL);
	if (!(before.status & FE_DIVBYZERO) || (uint16_t)after.status != (uint16_t)before.status)
		bad = fail("the status word is %04x, not %04x", after.status & 0xffff, before.status & 0xffff);
	if ((uint16_t)after.tag != (uint16_t)before.tag)
		bad = fail("the tag word is %04x, not %04x", after.tag & 0xffff, before.tag & 0xffff);
	return bad ? 1 : pass();
}
