// SPDX-License-Identifier: GPL-2.0
/*
 * linux-cr beside CRIU: a process is dumped and restored by either in turn, in
 * one boot, images on tmpfs. Compared are the commands a user types, from their
 * start to their end, and CRIU's commands with the bare system calls.
 *
 *	criu [-r ROUNDS] [-s MIB]...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "bench.h"

/* The size that has a target, in MiB, see DESIGN 8. */
#define TARGET_SIZE	1
#define TARGET		">=20"

#define CRIU_DIR	IMAGE_DIR "/criu"
#define IMAGE		IMAGE_DIR "/image"
#define CRIU_LOG	CRIU_DIR "/log"

struct times {
	struct samples save, restart;
	struct samples sum;
};

static void add(struct times *t, double save, double restart)
{
	sample_add(&t->save, save);
	sample_add(&t->restart, restart);
	sample_add(&t->sum, save + restart);
}

/* Each of these ends and remakes the victim. */

static void by_criu(struct times *t, struct victim *v)
{
	char pid[16];
	char *const dump[] = { "criu", "dump", "-t", pid, "-D", CRIU_DIR,
			       "-o", "log", NULL };
	char *const restore[] = { "criu", "restore", "-d", "-D", CRIU_DIR,
				  "-o", "log", NULL };
	double save, restart;

	snprintf(pid, sizeof(pid), "%d", v->pid);
	if (mkdir(CRIU_DIR, 0700))
		die(CRIU_DIR);
	save = time_command(dump, CRIU_LOG);
	victim_reap(v);
	restart = time_command(restore, CRIU_LOG);
	remove_dir(CRIU_DIR);
	add(t, save, restart);
}

static void by_ckpt(struct times *t, struct victim *v)
{
	char pid[16];
	char *const dump[] = { "ckpt", "save", "--kill", pid, IMAGE, NULL };
	char *const restore[] = { "ckpt", "restart", "--detach",
				  "--inherit-fd", "1:0", "--inherit-fd", "2:0",
				  IMAGE, NULL };
	double save, restart;

	snprintf(pid, sizeof(pid), "%d", v->pid);
	save = time_command(dump, NULL);
	victim_reap(v);
	restart = time_command(restore, NULL);
	unlink(IMAGE);
	add(t, save, restart);
}

static void by_system_calls(struct times *t, struct victim *v)
{
	struct checkpoint_stats stats;
	double save, restart;
	uint64_t start;
	int image;

	start = now_ns();
	image = open_image();
	do_checkpoint(v, image, CHECKPOINT_KILL, &stats);
	save = now_ns() - start;
	victim_reap(v);

	start = now_ns();
	lseek(image, 0, SEEK_SET);
	do_restart(v, image, &stats);
	restart = now_ns() - start;
	close(image);
	add(t, save, restart);
}

static void measure(size_t size, unsigned int rounds)
{
	bool has_target = size == TARGET_SIZE * MIB;
	struct times criu, ckpt, calls;
	char name[64];
	struct victim v;
	unsigned int i;

	victim_start(&v, size, SMALL_PAGES);
	for (i = 0; i <= rounds; i++) {
		if (i <= 1)	/* the first one is for warming up */
			criu = ckpt = calls = (struct times){};
		by_criu(&criu, &v);
		by_ckpt(&ckpt, &v);
		by_system_calls(&calls, &v);
		note("%3zu MiB  criu %.1f + %.1f  ckpt %.1f + %.1f  system calls %.1f + %.1f ms",
		     size / MIB,
		     criu.save.value[criu.save.nr - 1] / 1e6,
		     criu.restart.value[criu.restart.nr - 1] / 1e6,
		     ckpt.save.value[ckpt.save.nr - 1] / 1e6,
		     ckpt.restart.value[ckpt.restart.nr - 1] / 1e6,
		     calls.save.value[calls.save.nr - 1] / 1e6,
		     calls.restart.value[calls.restart.nr - 1] / 1e6);
	}
	victim_verify(&v);

#define REPORT(what, value, unit, target)					\
	do {									\
		snprintf(name, sizeof(name), what ".%zuM", size / MIB);		\
		report(name, value, unit, target);				\
	} while (0)
	REPORT("criu/ckpt", median_ratio(&criu.sum, &ckpt.sum), "x faster",
	       has_target ? TARGET : NULL);
	REPORT("criu/ckpt.save", median_ratio(&criu.save, &ckpt.save), "x faster", NULL);
	REPORT("criu/ckpt.restart", median_ratio(&criu.restart, &ckpt.restart),
	       "x faster", NULL);
	REPORT("criu/system-calls", median_ratio(&criu.sum, &calls.sum), "x faster", NULL);
	REPORT("criu-dump-time", median(&criu.save) / 1e6, "ms", NULL);
	REPORT("criu-restore-time", median(&criu.restart) / 1e6, "ms", NULL);
	REPORT("ckpt-save-time", median(&ckpt.save) / 1e6, "ms", NULL);
	REPORT("ckpt-restart-time", median(&ckpt.restart) / 1e6, "ms", NULL);
}

static void usage(void)
{
	fputs("usage: criu [-r ROUNDS] [-s MIB]...\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	size_t sizes[8] = { 1, 64, 256 }, nr_sizes = 0, i;
	unsigned int rounds = 5;
	int c;

	bench_init(argc, argv);
	while ((c = getopt(argc, argv, "r:s:")) >= 0) {
		switch (c) {
		case 'r':
			rounds = strtoul(optarg, NULL, 0);
			if (!rounds || rounds >= MAX_ROUNDS)
				usage();
			break;
		case 's':
			if (nr_sizes == 8)
				usage();
			sizes[nr_sizes++] = strtoul(optarg, NULL, 0);
			break;
		default:
			usage();
		}
	}
	if (!nr_sizes)
		nr_sizes = 3;

	touch_all_memory();
	for (i = 0; i < nr_sizes; i++)
		measure(sizes[i] * MIB, rounds);
	return 0;
}
