// SPDX-License-Identifier: LGPL-2.1
/*
 * Write an image made up for tests to standard output:
 *
 *	make_image [tree | CHAIN SEQUENCE PID NAME SECONDS]
 */
#include <stdlib.h>
#include <unistd.h>

#include "synth.h"

int main(int argc, char **argv)
{
	struct synth synth;
	ssize_t n;

	if (argc == 6)
		synth_job(&synth, atoi(argv[1]), atoi(argv[2]), atoi(argv[3]), argv[4],
			  atol(argv[5]));
	else if (argc == 2)
		synth_tree(&synth);
	else
		synth_process(&synth);
	n = write(STDOUT_FILENO, synth.data, synth.size);
	n -= synth.size;
	synth_free(&synth);
	return n != 0;
}
