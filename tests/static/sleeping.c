// SPDX-License-Identifier: Apache-2.0
/* A task asleep in nanosleep() sleeps on: not shorter than asked for, and without an error that it did not expect. */
#include "zdtm.h"

#include <errno.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct timespec left = { .tv_sec = 3600, .tv_nsec = 0 };
	struct timespec start, end;
	int status;

	test_init(argc, argv);
	clock_gettime(CLOCK_MONOTONIC, &start);
	test_ready();
	do
		status = nanosleep(&left, &left);
	while (status && errno == EINTR && test_running());
	clock_gettime(CLOCK_MONOTONIC, &end);

	if (!status)
		return fail("an hour of sleep was over after %ld s", end.tv_sec - start.tv_sec);
	if (errno != EINTR)
		return fail("nanosleep");
	errno = 0;
	if (left.tv_sec > 3600 || left.tv_sec < 3600 - 600)
		return fail("%ld s of 3600 are left", left.tv_sec);
	return pass();
}
