// SPDX-License-Identifier: GPL-2.0
/*
 * linux-cr beside CRIU: a process is dumped and restored by either in turn, in
 * one boot, images on tmpfs. Compared are the commands a user types, from their
 * start to their end, and CRIU's commands with the bare system calls. Then the same
 * with a tree of processes, and beside it the creation of that tree.
 *
 *	criu [-r ROUNDS] [-s MIB]... [-p PROCESSES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

/* The dead of a tree are ours, and nobody else is. */
static void reap(struct victim *v)
{
	victim_reap(v);
	while (wait(NULL) > 0)
		;
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
	reap(v);
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
	reap(v);
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
	reap(v);

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

static void measure_tree(unsigned int nr, unsigned int rounds)
{
	static void (*const ways[])(struct times *, struct victim *) = {
		by_criu, by_ckpt, by_system_calls
	};
	struct times times[3] = {}, *criu = &times[0], *ckpt = &times[1], *calls = &times[2];
	struct samples forks = {};
	struct victim v;
	unsigned int i, way;

	for (i = 0; i < rounds; i++) {
		for (way = 0; way < 3; way++) {
			double took = tree_start(&v, nr);

			if (!way)
				sample_add(&forks, took);
			ways[way](&times[way], &v);
			tree_kill(&v, nr);
		}
		note("%u processes  fork %.0f  criu %.0f + %.0f  ckpt %.0f + %.0f  system calls %.0f + %.0f ms",
		     nr, forks.value[i] / 1e6,
		     criu->save.value[i] / 1e6, criu->restart.value[i] / 1e6,
		     ckpt->save.value[i] / 1e6, ckpt->restart.value[i] / 1e6,
		     calls->save.value[i] / 1e6, calls->restart.value[i] / 1e6);
	}

	report("tree.fork-time", median(&forks) / 1e6, "ms", NULL);
	report("tree.save/fork", median_ratio(&calls->save, &forks), "x", NULL);
	report("tree.restart/fork", median_ratio(&calls->restart, &forks), "x", NULL);
	report("tree.criu-dump/fork", median_ratio(&criu->save, &forks), "x", NULL);
	report("tree.criu-restore/fork", median_ratio(&criu->restart, &forks), "x", NULL);
	report("tree.criu/ckpt.save", median_ratio(&criu->save, &ckpt->save), "x faster", NULL);
	report("tree.criu/ckpt.restart", median_ratio(&criu->restart, &ckpt->restart),
	       "x faster", NULL);
}

static void usage(void)
{
	fputs("usage: criu [-r ROUNDS] [-s MIB]... [-p PROCESSES]\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	size_t sizes[8] = { 1, 64, 256 }, nr_sizes = 0, i;
	unsigned int rounds = 5, processes = 1000;
	int c;

	bench_init(argc, argv);
	while ((c = getopt(argc, argv, "r:s:p:")) >= 0) {
		switch (c) {
		case 'p':
			processes = strtoul(optarg, NULL, 0);
			if (processes < 2)
				usage();
			break;
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
	measure_tree(processes, rounds);
	return 0;
}
