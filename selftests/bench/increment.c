// SPDX-License-Identifier: GPL-2.0
/*
 * Incremental checkpoints: after a full image of a process, a part of its pages is
 * written to at random places, and an increment is taken, by each of the trackers and
 * by CRIU in turn, in one boot, images on tmpfs. Size, time and time frozen of the
 * increments are compared with those of the full image of the same kind, and with what
 * has been written to.
 *
 *	increment [-r ROUNDS] [-s MIB]
 *
 * MIB is a power of two. CRIU's times are those of its command, ours those of the
 * system call. "pre-dump" is CRIU's way to an increment with a short freeze, from which
 * alone nothing can be restored.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "bench.h"

#define PAGE		4096

/* The targets are those of DESIGN 8, at the first of the shares. */
#define BYTES_TARGET	"<=1.1"
#define BYTES_FREE	(64 << 10)
#define TIME_TARGET	"<=0.05"

/* How many of 100 pages are written to before an increment; the first is the target's. */
static const unsigned int shares[] = { 1, 10 };

#define NR_SHARES	(sizeof(shares) / sizeof(shares[0]))
#define NR_IMAGES	(1 + NR_SHARES)

/* What one image took. */
struct cost {
	double bytes, time, freeze;
};

/* The same of all rounds. */
struct costs {
	struct samples bytes, time, freeze;
};

/**
 * struct method - a way to take a full image and increments
 * @name:	of it
 * @take:	takes image @nr, 0 being the full one
 * @forget:	removes the images
 * @tracker:	for @take
 * @criu:	likewise: the command that takes increments
 * @target:	the targets are for it
 */
struct method {
	const char *name;
	struct cost (*take)(const struct method *m, const struct victim *v, unsigned int nr);
	void (*forget)(void);
	uint32_t tracker;
	const char *criu;
	bool target;
};

/* ---- checkpoint(2) ---- */

static int images[NR_IMAGES];

static struct cost take_by_call(const struct method *m, const struct victim *v,
				unsigned int nr)
{
	struct checkpoint_stats stats;
	struct cost cost;
	uint64_t start;

	images[nr] = open_image();
	start = now_ns();
	do_increment(v, images[nr], nr ? images[nr - 1] : -1, m->tracker, &stats);
	cost.time = now_ns() - start;
	cost.bytes = stats.bytes;
	cost.freeze = stats.freeze_ns;
	return cost;
}

static void forget_by_call(void)
{
	unsigned int i;

	for (i = 0; i < NR_IMAGES; i++)
		close(images[i]);
}

/* ---- CRIU ---- */

#define CRIU_DIR	IMAGE_DIR "/criu"

static double dir_bytes;

static int add_bytes(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	if (flag == FTW_F)
		dir_bytes += st->st_size;
	return 0;
}

static uint64_t varint(const uint8_t **at, const uint8_t *end)
{
	unsigned int shift = 0;
	uint64_t value = 0;

	while (*at < end && shift < 64) {
		value |= (uint64_t)(**at & 0x7f) << shift;
		shift += 7;
		if (!(*(*at)++ & 0x80))
			return value;
	}
	die("damaged statistics");
}

/*
 * Time frozen, from a dump's statistics: two magic numbers, a size, and a message in
 * the format of protocol buffers whose only field is a message of numbers, of which
 * those 1 and 2 are the times for freezing and frozen, in microseconds.
 */
static double criu_freeze(const char *dir)
{
	uint8_t data[512];
	const uint8_t *at = data + 12, *end;
	double us[3] = { -1, -1, -1 };
	char path[128];
	uint64_t tag, value;
	FILE *file;

	snprintf(path, sizeof(path), "%s/stats-dump", dir);
	file = fopen(path, "re");
	if (!file)
		die("%s", path);
	end = data + fread(data, 1, sizeof(data), file);
	fclose(file);
	if (end < data + 14 || varint(&at, end) != 0x0a)
		die("%s: not as expected", path);
	value = varint(&at, end);
	if (value > (uint64_t)(end - at))
		die("%s: too short", path);
	end = at + value;
	while (at < end) {
		tag = varint(&at, end);
		value = varint(&at, end);
		if (tag & 7)
			die("%s: not as expected", path);
		if (tag >> 3 < 3)
			us[tag >> 3] = value;
	}
	if (us[1] < 0 || us[2] < 0)
		die("%s: no times", path);
	return (us[1] + us[2]) * 1e3;
}

static struct cost take_by_criu(const struct method *m, const struct victim *v,
				unsigned int nr)
{
	char pid[16], dir[64], parent[16], log[128];
	char *argv[16] = { "criu", nr ? (char *)m->criu : "dump", "-t", pid, "-D", dir,
			   "-o", "log", "--track-mem" };
	unsigned int argc = 9;
	struct cost cost;

	snprintf(pid, sizeof(pid), "%d", v->pid);
	snprintf(dir, sizeof(dir), "%s/%u", CRIU_DIR, nr);
	snprintf(parent, sizeof(parent), "../%u", nr - 1);
	snprintf(log, sizeof(log), "%s/log", dir);
	if (!strcmp(argv[1], "dump"))
		argv[argc++] = "--leave-running";
	if (nr) {
		argv[argc++] = "--prev-images-dir";
		argv[argc++] = parent;
	} else if (mkdir(CRIU_DIR, 0700)) {
		die(CRIU_DIR);
	}
	if (mkdir(dir, 0700))
		die("%s", dir);
	cost.time = time_command(argv, log);
	cost.freeze = criu_freeze(dir);
	unlink(log);
	dir_bytes = 0;
	if (nftw(dir, add_bytes, 16, FTW_PHYS))
		die("%s", dir);
	cost.bytes = dir_bytes;
	return cost;
}

static void forget_by_criu(void)
{
	remove_dir(CRIU_DIR);
}

/* ---- */

static const struct method methods[] = {
	{
		.name = "shadow",
		.take = take_by_call, .forget = forget_by_call,
		.tracker = CHECKPOINT_TRACKER_SHADOW,
		.target = true,
	}, {
		.name = "write-protect",
		.take = take_by_call, .forget = forget_by_call,
		.tracker = CHECKPOINT_TRACKER_WRITE_PROTECT,
		.target = true,
	}, {
		.name = "criu-dump",
		.take = take_by_criu, .forget = forget_by_criu,
		.criu = "dump",
	}, {
		.name = "criu-pre-dump",
		.take = take_by_criu, .forget = forget_by_criu,
		.criu = "pre-dump",
	},
};

#define NR_METHODS	(sizeof(methods) / sizeof(methods[0]))

static struct costs all[NR_METHODS][NR_IMAGES];

static size_t dirty_pages(const struct victim *v, unsigned int image)
{
	return v->size / PAGE * shares[image - 1] / 100;
}

static void measure(const struct victim *v, bool warming_up)
{
	unsigned int m, i;

	for (m = 0; m < NR_METHODS; m++) {
		for (i = 0; i < NR_IMAGES; i++) {
			struct cost cost;

			if (i)
				victim_write(v, dirty_pages(v, i));
			cost = methods[m].take(&methods[m], v, i);
			note("%-13s %3u %%  %8.2f MiB in %8.2f ms, frozen %8.2f ms",
			     methods[m].name, i ? shares[i - 1] : 100, cost.bytes / MIB,
			     cost.time / 1e6, cost.freeze / 1e6);
			if (warming_up)
				continue;
			sample_add(&all[m][i].bytes, cost.bytes);
			sample_add(&all[m][i].time, cost.time);
			sample_add(&all[m][i].freeze, cost.freeze);
		}
		methods[m].forget();
	}
}

static void report_one(const struct victim *v, unsigned int image, const char *method,
		       const char *what, double value, const char *unit,
		       const char *target)
{
	char name[96], share[8] = "full";

	if (image)
		snprintf(share, sizeof(share), "%u%%", shares[image - 1]);
	snprintf(name, sizeof(name), "increment.%zuM.%s.%s.%s", v->size / MIB, share, method,
		 what);
	report(name, value, unit, target);
}

static void report_method(const struct victim *v, unsigned int nr)
{
	const struct method *m = &methods[nr];
	const struct costs *full = &all[nr][0], *c;
	unsigned int i;

	for (i = 1; i < NR_IMAGES; i++) {
		bool has_target = m->target && i == 1;

		c = &all[nr][i];
		report_one(v, i, m->name, "bytes", (median(&c->bytes) - BYTES_FREE) /
			   (dirty_pages(v, i) * PAGE), "x dirty + 64 KiB",
			   has_target ? BYTES_TARGET : NULL);
		report_one(v, i, m->name, "time", median_ratio(&c->time, &full->time),
			   "x full", has_target ? TIME_TARGET : NULL);
		report_one(v, i, m->name, "freeze", median_ratio(&c->freeze, &full->freeze),
			   "x full", NULL);
	}
	for (i = 0; i < NR_IMAGES; i++) {
		c = &all[nr][i];
		report_one(v, i, m->name, "size", median(&c->bytes) / MIB, "MiB", NULL);
		report_one(v, i, m->name, "took", median(&c->time) / 1e6, "ms", NULL);
		report_one(v, i, m->name, "frozen", median(&c->freeze) / 1e6, "ms", NULL);
	}
}

/* A command of CRIU beside the first method. */
static void report_criu(const struct victim *v, unsigned int nr)
{
	char names[64];
	unsigned int i;

	snprintf(names, sizeof(names), "%s/%s", methods[nr].name, methods[0].name);
	for (i = 0; i < NR_IMAGES; i++) {
		report_one(v, i, names, "time", median_ratio(&all[nr][i].time, &all[0][i].time),
			   "x faster", NULL);
		report_one(v, i, names, "freeze",
			   median_ratio(&all[nr][i].freeze, &all[0][i].freeze), "x shorter",
			   NULL);
	}
}

int main(int argc, char **argv)
{
	unsigned int rounds = 7, i;
	size_t mib = 512;
	struct victim v;

	bench_init(argc, argv);
	bench_options(argc, argv, &rounds, &mib);

	touch_all_memory();
	victim_start(&v, mib * MIB, SMALL_PAGES);
	for (i = 0; i <= rounds; i++)
		measure(&v, i == 0);
	victim_verify(&v);
	for (i = 0; i < NR_METHODS; i++)
		report_method(&v, i);
	for (i = 0; i < NR_METHODS; i++)
		if (methods[i].criu)
			report_criu(&v, i);
	return 0;
}
