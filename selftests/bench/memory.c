// SPDX-License-Identifier: GPL-2.0
/*
 * What checkpoint(2) and restart(2) of a process cost beside the least that one
 * can do with its memory: write(2) it to the same file system, and read(2) it
 * into fresh memory. All of it in turn, many times, in one boot.
 *
 *	memory [-r ROUNDS] [-s MIB]... [-k 4k|thp]...
 *
 * Under "qemu/run --icount" a nanosecond is an instruction, and an even number of
 * rounds gives the same figures every time.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "bench.h"

/* The sizes that have targets, in MiB, see DESIGN 8. */
#define TARGET_SIZE		256
#define CHECKPOINT_TARGET	"<=1.05"
#define RESTART_TARGET		"<=1"
#define KERNEL_MEMORY_TARGET	"<=16"

struct times {
	size_t image_size;
	struct samples write, read;
	struct samples checkpoint, restart;
	struct samples freeze;
};

static unsigned int rounds;

/* ---- one round ---- */

static double time_write(int fd, const void *memory, size_t size)
{
	uint64_t start = now_ns();

	write_all(fd, memory, size);
	return now_ns() - start;
}

static double time_read(int fd, size_t size, enum page_kind kind)
{
	void *memory = fresh_memory(size, kind);
	uint64_t start;

	if (lseek(fd, 0, SEEK_SET))
		die("lseek");
	start = now_ns();
	read_all(fd, memory, size);
	start = now_ns() - start;
	munmap(memory, size);
	return start;
}

static double time_checkpoint(struct victim *v, int image, struct checkpoint_stats *stats)
{
	uint64_t start = now_ns();

	do_checkpoint(v, image, 0, stats);
	return now_ns() - start;
}

static double time_restart(struct victim *v, int image, struct checkpoint_stats *stats)
{
	uint64_t start;

	if (lseek(image, 0, SEEK_SET))
		die("lseek");
	start = now_ns();
	do_restart(v, image, stats);
	return now_ns() - start;
}

/*
 * Each of the files is written once and read once, since the page cache treats
 * a second reader differently. Which of a pair comes first alternates.
 */
static void measure(struct times *t, struct victim *v, const void *memory, bool odd)
{
	struct checkpoint_stats saved, restored;
	double write, read, checkpoint, restart;
	int image = open_image(), plain = open_image();

	if (odd)
		write = time_write(plain, memory, t->image_size);
	checkpoint = time_checkpoint(v, image, &saved);
	if (!odd)
		write = time_write(plain, memory, t->image_size);

	victim_kill(v);
	if (odd)
		read = time_read(plain, t->image_size, v->kind);
	restart = time_restart(v, image, &restored);
	if (!odd)
		read = time_read(plain, t->image_size, v->kind);
	close(image);
	close(plain);

	sample_add(&t->write, write);
	sample_add(&t->read, read);
	sample_add(&t->checkpoint, checkpoint);
	sample_add(&t->restart, restart);
	sample_add(&t->freeze, saved.freeze_ns);
	note("%3zu MiB %-3s  write %7.2f  checkpoint %7.2f (%.3f)  read %7.2f  restart %7.2f (%.3f) ms",
	     v->size / MIB, page_kind_name[v->kind], write / 1e6, checkpoint / 1e6,
	     checkpoint / write, read / 1e6, restart / 1e6, restart / read);
}

static size_t image_size(const struct victim *v)
{
	struct checkpoint_stats stats;
	int image = open_image();

	do_checkpoint(v, image, 0, &stats);
	close(image);
	return stats.bytes;
}

static void report_one(const char *what, const struct victim *v, double value,
		       const char *unit, const char *target)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.%zuM.%s", what, v->size / MIB,
		 page_kind_name[v->kind]);
	report(name, value, unit, target);
}

static void measure_size(size_t size, enum page_kind kind)
{
	bool has_target = size == TARGET_SIZE * MIB;
	struct times t;
	struct victim v;
	unsigned int i;
	void *memory;

	victim_start(&v, size, kind);
	t = (struct times){ .image_size = image_size(&v) };
	memory = fresh_memory(t.image_size, kind);
	fill_memory(memory, t.image_size);
	for (i = 0; i <= rounds; i++) {
		if (i == 1)	/* the first one was for warming up */
			t = (struct times){ .image_size = t.image_size };
		measure(&t, &v, memory, i % 2);
	}
	if (kind == HUGE_PAGES && size >= 2 * MIB)
		report_one("restarted-huge", &v,
			   100. * victim_smaps(&v, "AnonHugePages") / size, "%", NULL);
	victim_verify(&v);
	munmap(memory, t.image_size);

	report_one("checkpoint", &v, median_ratio(&t.checkpoint, &t.write), "x write(2)",
		   has_target ? CHECKPOINT_TARGET : NULL);
	report_one("restart", &v, median_ratio(&t.restart, &t.read), "x read(2)",
		   has_target ? RESTART_TARGET : NULL);
	report_one("checkpoint-time", &v, median(&t.checkpoint) / 1e6, "ms", NULL);
	report_one("restart-time", &v, median(&t.restart) / 1e6, "ms", NULL);
	report_one("freeze", &v, median(&t.freeze) / 1e6, "ms", NULL);
}

/* ---- kernel memory, as the calls say and as it is seen from outside ---- */

static volatile bool sampling;

/*
 * Memory in use that is neither page cache, nor memory of processes with their
 * page tables. The kernel's counters lag behind by some MB on each processor.
 */
static long kernel_memory(void)
{
	static const struct {
		const char *name;
		int sign;
	} fields[] = {
		{ "MemTotal:", 1 }, { "MemFree:", -1 }, { "Buffers:", -1 },
		{ "Cached:", -1 }, { "AnonPages:", -1 }, { "PageTables:", -1 },
	};
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");
	long kib = 0;
	size_t i;

	while (file && fgets(line, sizeof(line), file))
		for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			if (!strncmp(line, fields[i].name, strlen(fields[i].name)))
				kib += fields[i].sign *
				       strtol(line + strlen(fields[i].name), NULL, 10);
	if (file)
		fclose(file);
	return kib << 10;
}

/* Bring the kernel's counters up to date. */
static void refresh_counters(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1", 1) < 0)
		note("no stat_refresh");
	close(fd);
}

static void *sample_memory(void *arg)
{
	long *most = arg;

	do {
		long now;

		refresh_counters();
		now = kernel_memory();
		if (now > *most)
			*most = now;
		usleep(2000);
	} while (sampling);
	return NULL;
}

static pthread_t sampler;
static long memory_before, memory_most;

static void sampler_start(void)
{
	refresh_counters();
	memory_before = memory_most = kernel_memory();
	sampling = true;
	if (pthread_create(&sampler, NULL, sample_memory, &memory_most))
		die("pthread_create");
}

/* The most it was above what it was before, in MiB. */
static double sampler_stop(void)
{
	sampling = false;
	pthread_join(sampler, NULL);
	return (double)(memory_most - memory_before) / MIB;
}

static void measure_kernel_memory(size_t size, enum page_kind kind)
{
	struct samples write = {}, checkpoint = {}, restart = {};
	struct checkpoint_stats saved, restored;
	void *memory = fresh_memory(size, kind);
	struct victim v;
	int i, image;

	fill_memory(memory, size);
	victim_start(&v, size, kind);
	for (i = 0; i < 3; i++) {
		image = open_image();
		sampler_start();
		time_write(image, memory, size);
		sample_add(&write, sampler_stop());
		close(image);

		image = open_image();
		sampler_start();
		time_checkpoint(&v, image, &saved);
		sample_add(&checkpoint, sampler_stop());

		victim_kill(&v);
		sampler_start();
		time_restart(&v, image, &restored);
		sample_add(&restart, sampler_stop());
		close(image);
	}
	victim_kill(&v);
	munmap(memory, size);

	report_one("checkpoint-kernel-memory", &v, (double)saved.kernel_bytes / MIB,
		   "MiB", KERNEL_MEMORY_TARGET);
	report_one("restart-kernel-memory", &v, (double)restored.kernel_bytes / MIB,
		   "MiB", KERNEL_MEMORY_TARGET);
	report_one("checkpoint-kernel-memory-outside", &v, median(&checkpoint), "MiB",
		   KERNEL_MEMORY_TARGET);
	report_one("restart-kernel-memory-outside", &v, median(&restart), "MiB",
		   KERNEL_MEMORY_TARGET);
	report_one("write-kernel-memory-outside", &v, median(&write), "MiB", NULL);
}

/* ---- */

static void usage(void)
{
	fputs("usage: memory [-r ROUNDS] [-s MIB]... [-k 4k|thp]...\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	size_t sizes[8] = { 1, 64, 256 }, nr_sizes = 0, i;
	bool kinds[NR_PAGE_KINDS] = {}, any_kind = false;
	int c, kind;

	bench_init(argc, argv);
	while ((c = getopt(argc, argv, "r:s:k:")) >= 0) {
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
		case 'k':
			kinds[strcmp(optarg, "thp") ? SMALL_PAGES : HUGE_PAGES] = true;
			any_kind = true;
			break;
		default:
			usage();
		}
	}
	if (!nr_sizes)
		nr_sizes = 3;
	if (!rounds)
		rounds = 7;

	touch_all_memory();
	for (i = 0; i < nr_sizes; i++)
		for (kind = 0; kind < NR_PAGE_KINDS; kind++)
			if (kinds[kind] || !any_kind)
				measure_size(sizes[i] * MIB, kind);
	for (i = 0; i < nr_sizes; i++)
		measure_kernel_memory(sizes[i] * MIB, SMALL_PAGES);
	return 0;
}
