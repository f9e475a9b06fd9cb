// SPDX-License-Identifier: GPL-2.0
/*
 * Restart of a process from chains of images of different lengths: full images
 * followed by increments, between which 1 % of its pages are written to at random
 * places. Beside each of them a full image of the same moment is restarted, all in
 * turn, many times, in one boot, images on tmpfs.
 *
 *	chain [-r ROUNDS] [-s MIB]
 *
 * MIB is a power of two.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

#define PAGE		4096

/* Increments after the full image. */
static const unsigned int lengths[] = { 1, 10, 100 };

#define NR_LENGTHS	(sizeof(lengths) / sizeof(lengths[0]))
#define LONGEST		100

static int chain[1 + LONGEST];		/* the full image first */
static int full[NR_LENGTHS];		/* at the moment of the last increment */

static struct samples by_chain[NR_LENGTHS], by_full[NR_LENGTHS];

static void take_images(const struct victim *v)
{
	struct checkpoint_stats stats;
	unsigned int i, n = 0;

	for (i = 0; i <= LONGEST; i++) {
		if (i)
			victim_write(v, v->size / PAGE / 100);
		chain[i] = open_image();
		do_increment(v, chain[i], i ? chain[i - 1] : -1, CHECKPOINT_TRACKER_SHADOW,
			     &stats);
		if (i != lengths[n])
			continue;
		full[n] = open_image();
		do_checkpoint(v, full[n++], 0, &stats);
	}
}

/* Whoever is there is to be gone, also one that was restarted: it looks after itself. */
static void end_victim(struct victim *v, bool verify)
{
	if (verify)
		victim_verify(v);
	else
		victim_kill(v);
}

static double time_restart(const struct victim *v, unsigned int length)
{
	struct checkpoint_stats stats;
	int parents[LONGEST];
	uint64_t start;
	unsigned int i;

	for (i = 0; i < length; i++)
		parents[i] = chain[length - 1 - i];
	for (i = 0; i <= length; i++)
		if (lseek(chain[i], 0, SEEK_SET))
			die("lseek");
	start = now_ns();
	do_chain_restart(v, chain[length], parents, length, &stats);
	return now_ns() - start;
}

static double time_full(const struct victim *v, unsigned int n)
{
	struct checkpoint_stats stats;
	uint64_t start;

	if (lseek(full[n], 0, SEEK_SET))
		die("lseek");
	start = now_ns();
	do_restart(v, full[n], &stats);
	return now_ns() - start;
}

/* In the first round, for warming up, they see whether they are what they were. */
static void measure(struct victim *v, bool first)
{
	double of_chain, of_full;
	unsigned int n;

	for (n = 0; n < NR_LENGTHS; n++) {
		end_victim(v, first);
		of_chain = time_restart(v, lengths[n]);
		end_victim(v, first);
		of_full = time_full(v, n);
		note("%3u increments %8.2f ms, full image %8.2f ms (%.3f)", lengths[n],
		     of_chain / 1e6, of_full / 1e6, of_chain / of_full);
		if (first)
			continue;
		sample_add(&by_chain[n], of_chain);
		sample_add(&by_full[n], of_full);
	}
}

static void report_length(const struct victim *v, unsigned int n, const char *what,
			  double value, const char *unit)
{
	char name[64];

	snprintf(name, sizeof(name), "chain-restart%s.%u.%zuM", what, lengths[n],
		 v->size / MIB);
	report(name, value, unit, NULL);
}

int main(int argc, char **argv)
{
	unsigned int rounds = 9, i, n;
	size_t mib = 256;
	struct victim v;

	bench_init(argc, argv);
	bench_options(argc, argv, &rounds, &mib);

	touch_all_memory();
	victim_start(&v, mib * MIB, SMALL_PAGES);
	take_images(&v);
	for (i = 0; i <= rounds; i++)
		measure(&v, i == 0);
	victim_verify(&v);

	for (n = 0; n < NR_LENGTHS; n++) {
		report_length(&v, n, "", median_ratio(&by_chain[n], &by_chain[0]),
			      "x length 1");
		report_length(&v, n, "-full", median_ratio(&by_chain[n], &by_full[n]),
			      "x full image");
		report_length(&v, n, "-time", median(&by_chain[n]) / 1e6, "ms");
	}
	report_length(&v, NR_LENGTHS - 1, "-full-time", median(&by_full[NR_LENGTHS - 1]) / 1e6,
		      "ms");
	return 0;
}
