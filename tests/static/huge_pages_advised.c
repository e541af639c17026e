// SPDX-License-Identifier: Apache-2.0
/*
 * No transparent huge pages but for memory that was advised to have them:
 * a flag of PR_SET_THP_DISABLE that Linux 6.18 brought.
 */
#include "zdtm.h"

#include <errno.h>
#include <sys/prctl.h>

enum { EXCEPT_ADVISED = 2 }; /* PR_THP_DISABLE_EXCEPT_ADVISED (linux/prctl.h) */

int main(int argc, char **argv)
{
	int now;

	test_init(argc, argv);
	if (prctl(PR_SET_THP_DISABLE, 1, EXCEPT_ADVISED, 0, 0)) {
		if (errno == EINVAL)
			return skip("this kernel knows no flags of PR_SET_THP_DISABLE");
		err_die("PR_SET_THP_DISABLE");
	}

	test_ready();
	test_wait();

	now = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
	if (now != (1 | EXCEPT_ADVISED))
		return fail("PR_GET_THP_DISABLE says %d", now);
	return pass();
}
