// SPDX-License-Identifier: LGPL-2.1
/*
 * A computation that checkpoints itself every now and then.
 *
 *	$ ./selfckpt 30 self.img
 *	...
 *	checkpointed after 20 of 30 million terms
 *	^C
 *	$ ckpt restart self.img
 *	restarted after 20 of 30 million terms
 *	...
 *
 * It sums up 4 - 4/3 + 4/5 - 4/7 ..., which is pi.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <liblinuxcr.h>

#define MILLION 1000000L

/*
 * Returns 0 after a checkpoint, 1 after a restart, -1 on failure. A new image
 * takes the place of the old one only when it is complete. (ckpt_save() does all
 * of this by itself, and more; here one sees what is to be done.)
 */
static int checkpoint_myself(const char *path, struct ckpt_report *report)
{
	struct ckpt_options opts = { .size = sizeof(opts), .report = report };
	char temp[4096];
	int fd, ret;

	snprintf(temp, sizeof(temp), "%s.new", path);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;

	ret = ckpt_checkpoint(0, fd, &opts);
	if (ret == 0 && (fsync(fd) || rename(temp, path)))
		ret = -1;
	if (ret < 0)
		unlink(temp);
	close(fd);	/* after a restart it is /dev/null */
	return ret;
}

int main(int argc, char **argv)
{
	struct ckpt_report *report = ckpt_report_new(0);
	long millions = argc == 3 ? atol(argv[1]) : 0;
	double sum = 0;
	long term;

	if (millions <= 0 || !report) {
		fprintf(stderr, "usage: %s MILLIONS-OF-TERMS IMAGE\n", argv[0]);
		return 2;
	}
	for (term = 0; term < millions * MILLION; term++) {
		if (term && term % (10 * MILLION) == 0) {
			switch (checkpoint_myself(argv[2], report)) {
			case 0:
				printf("checkpointed");
				break;
			case 1:
				printf("restarted");
				break;
			default:
				fprintf(stderr, "no checkpoint: %s\n%s", strerror(errno),
					ckpt_report_text(report));
				return 1;
			}
			printf(" after %ld of %ld million terms\n", term / MILLION,
			       millions);
			fflush(stdout);
		}
		sum += (term % 2 ? -4.0 : 4.0) / (2 * term + 1);
	}
	printf("pi is about %.12f\n", sum);
	ckpt_report_free(report);
	return 0;
}
