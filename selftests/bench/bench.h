/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmarks have in common: victims, files to write to, clocks, and
 * the lines they report in.
 *
 * A victim is a process with so much anonymous memory, all of it written, and
 * nothing else worth mentioning. It is the benchmark itself, executed again, so
 * that it inherits nothing: no children, no shared memory, /dev/null as 0 to 2.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/checkpoint.h>

#define MIB		(1UL << 20)
#define MAX_ROUNDS	100

/* ---- reports ---- */

/*
 * Prints "name value unit target ok", separated by tabs. The target begins with
 * "<=" or ">="; where the value misses it the line ends with "short". NULL if
 * the value is for information only.
 */
void report(const char *name, double value, const char *unit, const char *target);

/* Progress, to standard error. */
void __attribute__((format(printf, 1, 2))) note(const char *fmt, ...);
void __attribute__((format(printf, 1, 2), noreturn)) die(const char *fmt, ...);

/* ---- samples ---- */

struct samples {
	double value[MAX_ROUNDS];
	unsigned int nr;
};

void sample_add(struct samples *s, double value);
double median(const struct samples *s);
/* The median of a[i] / b[i], which drifts of the machine's speed do not reach. */
double median_ratio(const struct samples *a, const struct samples *b);

uint64_t now_ns(void);
/* What now_ns() counts: "ns", or "instructions" under "qemu/run --icount". */
const char *time_unit(void);

/* ---- memory ---- */

enum page_kind { SMALL_PAGES, HUGE_PAGES, NR_PAGE_KINDS };

extern const char *const page_kind_name[NR_PAGE_KINDS];

/* Fresh private memory, never touched, that is going to have such pages. */
void *fresh_memory(size_t size, enum page_kind kind);
void fill_memory(void *memory, size_t size);

/* The host gives a guest its memory at the first touch: let that be over. */
void touch_all_memory(void);

/* ---- victims ---- */

struct victim {
	pid_t pid;
	size_t size;
	enum page_kind kind;
};

void victim_start(struct victim *v, size_t size, enum page_kind kind);
/*
 * Let it write to so many of its pages, once to each, at random places. Its size has to
 * be a power of two. Returns when it has done so.
 */
void victim_write(const struct victim *v, size_t pages);
/* Wait for the end of a victim that something else has killed. */
void victim_reap(struct victim *v);
void victim_kill(struct victim *v);
/* Let it look whether its memory is what it was, and end. */
void victim_verify(struct victim *v);
/* A field of /proc/PID/smaps_rollup in bytes, for instance "AnonHugePages". */
uint64_t victim_smaps(const struct victim *v, const char *field);

/*
 * A victim that is a tree of @nr processes, itself and its children, in a session of
 * their own. Returns how long it took to create the children by fork(2), in the unit of
 * now_ns(). There may be no other victims meanwhile.
 */
uint64_t tree_start(struct victim *v, unsigned int nr);
/* It dies if there are not @nr of them any more. */
void tree_kill(struct victim *v, unsigned int nr);

/* Must be called first in main(): does not return in a victim. */
void bench_init(int argc, char **argv);
/*
 * "-r ROUNDS" and "-s MIB", a power of two, for programs that have just these. Ends
 * the program, with a usage message, if they are wrong.
 */
void bench_options(int argc, char **argv, unsigned int *rounds, size_t *mib);

/* ---- the system calls ---- */

/* They die with the kernel's report where it fails. */
void do_checkpoint(const struct victim *v, int image, uint64_t flags,
		   struct checkpoint_stats *stats);
void do_restart(const struct victim *v, int image, struct checkpoint_stats *stats);

/*
 * The same with a tracker: an increment of the image @parent, or if that is -1 a full
 * image that increments can follow.
 */
void do_increment(const struct victim *v, int image, int parent, uint32_t tracker,
		  struct checkpoint_stats *stats);
/* From an increment and its @nr @parents, the nearest first. */
void do_chain_restart(const struct victim *v, int image, const int *parents,
		      unsigned int nr, struct checkpoint_stats *stats);

/* ---- commands ---- */

/*
 * Wall time of a command in ns. It dies with what the command said, and with the file
 * @log unless that is NULL, where the command fails.
 */
double time_command(char *const argv[], const char *log);

/* ---- images ---- */

#define IMAGE_DIR	"/tmp/bench"

/* An empty file on tmpfs without a name: gone as soon as it is closed. */
int open_image(void);

/* Remove a directory with all that is in it. */
void remove_dir(const char *path);

/* write(2) and read(2) of everything, 64 KiB at a time. */
void write_all(int fd, const void *memory, size_t size);
void read_all(int fd, void *memory, size_t size);

#endif /* BENCH_H */
