// SPDX-License-Identifier: LGPL-2.1
/*
 * A program that takes part in its checkpoints, which the kernel takes by itself:
 *
 *	$ ./hooks /var/tmp/jobs 30 &
 *	[1] 1234
 *	$ ckpt status 1234
 *	$ ckpt kill --wait 1234
 *	/var/tmp/jobs/hooks.1234.3.ckpt
 *	$ kill -9 1234		# or a power failure
 *	$ ckpt restart --latest /var/tmp/jobs
 *
 * It moves numbers from one file to another. What is in files is not in an image: after
 * a restart both have to be as they were at the same moment, between two moves. So a move
 * is a critical section, and before a checkpoint what was written is brought to the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <liblinuxcr.h>

#define START 1000000L

/* What each file is to have in it; this is in the image. */
static struct account {
	int fd;
	long balance;
} from = { .balance = START }, to;

static atomic_int was_restarted, last_error;

/* The hooks: only what may be called in a signal handler, see signal-safety(7) */
static void before(void *arg)
{
	(void)arg;
	fdatasync(from.fd);
	fdatasync(to.fd);
}

static void after(int error, void *arg)
{
	(void)arg;
	last_error = error;
}

static void restarted(void *arg)
{
	(void)arg;
	was_restarted = 1;
}

static void write_balance(const struct account *account)
{
	if (pwrite(account->fd, &account->balance, sizeof(account->balance), 0) !=
	    sizeof(account->balance)) {
		perror("write");
		exit(1);
	}
}

/* Between its first and last step the files do not fit together. */
static void move(long amount)
{
	ckpt_critical_begin();
	from.balance -= amount;
	write_balance(&from);
	to.balance += amount;
	write_balance(&to);
	ckpt_critical_end();
}

static int open_account(const char *dir, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* Every so many seconds, each tenth a full one; the last two chains are kept. */
static int begin_checkpoints(const char *dir, long seconds)
{
	char pattern[256];
	struct ckpt_auto_options opts = {
		.size = sizeof(opts),
		.interval_ms = seconds * 1000,
		.full_every = 10,
		.keep = 2,
		.pattern = pattern,
	};

	if (snprintf(pattern, sizeof(pattern), "%s/%%e.%%p.%%n.ckpt", dir) >=
	    (int)sizeof(pattern)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return ckpt_auto_set(0, &opts);
}

int main(int argc, char **argv)
{
	struct ckpt_hooks hooks = {
		.size = sizeof(hooks),
		.before = before,
		.after = after,
		.restarted = restarted,
		.limit_ms = 5000,
	};
	long seconds = argc == 3 ? atol(argv[2]) : 0;

	if (seconds <= 0 || argv[1][0] != '/') {
		fprintf(stderr, "usage: %s ABSOLUTE-DIRECTORY SECONDS\n", argv[0]);
		return 2;
	}
	from.fd = open_account(argv[1], "from");
	to.fd = open_account(argv[1], "to");
	if (from.fd < 0 || to.fd < 0) {
		perror(argv[1]);
		return 1;
	}
	if (ckpt_hooks_set(&hooks) || begin_checkpoints(argv[1], seconds)) {
		perror("hooks: no checkpoints");
		return 1;
	}
	while (from.balance > 0) {
		move(1);
		if (was_restarted) {
			was_restarted = 0;
			printf("restarted: %ld moved\n", to.balance);
			fflush(stdout);
			/* The files are from later: let them fit again. */
			write_balance(&from);
			write_balance(&to);
		}
		if (last_error) {
			fprintf(stderr, "no checkpoint: %s\n", strerror(last_error));
			last_error = 0;
		}
		usleep(1000);
	}
	printf("%ld moved\n", to.balance);
	return 0;
}
