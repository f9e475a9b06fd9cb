// SPDX-License-Identifier: LGPL-2.1
/* Write an image made up for tests to standard output. */
#include <unistd.h>

#include "synth.h"

int main(void)
{
	struct synth synth;
	ssize_t n;

	synth_process(&synth);
	n = write(STDOUT_FILENO, synth.data, synth.size);
	n -= synth.size;
	synth_free(&synth);
	return n != 0;
}
