// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to know which pages were written to, after the microbenchmark of
 * the 2010 thesis on incremental checkpointing: a process has 200,000 pages, all of
 * them are made clean, and it writes to some.
 *
 * - first-write: the process's time for a write to a page that is clean, and how
 *   many page faults it takes
 * - find: the time to find the pages written to, and to make them clean again
 *
 *	dirty [-r ROUNDS] [-p PAGES] [-m METHOD]...
 *
 * The methods, that is those that can be asked, are
 *
 *	untracked		nobody: what the writes alone cost
 *	checkpoint-shadow	checkpoint(2), an increment by the tracker shadow
 *	checkpoint-write-protect  the same by the tracker write-protect
 *	scan-shadow		PAGEMAP_SCAN for PAGE_IS_SHADOW_DIRTY
 *	scan-uffd-wp		PAGEMAP_SCAN for PAGE_IS_WRITTEN, userfaultfd(2) in
 *				asynchronous mode
 *	soft-dirty		/proc/PID/pagemap and clear_refs
 *
 * For checkpoint(2), find has everything in it, that is also the image with the
 * contents of the pages; the others only say which they are.
 *
 * Under "qemu/run --icount" a nanosecond is an instruction.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/checkpoint_image.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>

#include "bench.h"

#define PAGE		4096UL

/* Prime, and about the golden ratio of the pages there are: see write_pages(). */
#define STRIDE		123631UL

/* DESIGN 8 */
#define WRITE_TARGET	"<=1.02"
#define FAULTS_TARGET	"<=0"

/* Others of the process's pages that may be found: its stack, its data. */
#define OTHER_PAGES	64

static const struct {
	size_t pages;
	const char *name;
} amounts[] = {
	{      0, "0" },
	{    500, "500" },
	{   5000, "5k" },
	{  25000, "25k" },
	{  50000, "50k" },
	{ 100000, "100k" },
};

#define NR_AMOUNTS	(sizeof(amounts) / sizeof(amounts[0]))

static size_t all_pages = 200000;
static unsigned int rounds = 3;

/* ---- the process that writes ---- */

struct result {
	uint64_t ns;
	uint64_t faults;
};

struct writer {
	pid_t pid;
	uint64_t memory;
	int order, result;	/* pipes */
	int pagemap;
};

/* A different page each time, none of them near the one before. */
static void __attribute__((noinline)) write_pages(char *memory, size_t nr, char value)
{
	const size_t size = all_pages * PAGE, stride = STRIDE * PAGE % size;
	size_t at = 0;

	for (; nr; nr--) {
		*(volatile char *)(memory + at) = value;
		at += stride;
		if (at >= size)
			at -= size;
	}
}

static uint64_t faults_so_far(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* As long as the descriptor is open, first writes to the memory are noted. */
static void register_uffd_wp(void *memory)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)memory, .len = all_pages * PAGE },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		die("userfaultfd");
}

/* argv: --writer PAGES uffd|plain */
static void __attribute__((noreturn)) be_writer(char **argv)
{
	struct result result = {};
	uint64_t memory, start;
	uint32_t nr;
	char value = 1;
	size_t i;
	char *p;

	all_pages = strtoul(argv[2], NULL, 0);
	p = fresh_memory(all_pages * PAGE, SMALL_PAGES);
	memory = (uintptr_t)p;
	for (i = 0; i < all_pages; i++)
		p[i * PAGE + 8] = 1;	/* not a page of zeros, whatever else is written */
	if (!strcmp(argv[3], "uffd"))
		register_uffd_wp(p);
	if (write(1, &memory, sizeof(memory)) != sizeof(memory))
		_exit(1);

	while (read(0, &nr, sizeof(nr)) == sizeof(nr)) {
		/* From here on, the stack and the clock's page are not clean. */
		result.ns = now_ns();
		result.faults = faults_so_far();
		start = now_ns();
		write_pages(p, nr, value++);
		result.ns = now_ns() - start;
		result.faults = faults_so_far() - result.faults;
		if (write(1, &result, sizeof(result)) != sizeof(result))
			_exit(1);
	}
	_exit(0);
}

/* Executed again, so that it inherits nothing; its pipes are 0 and 1. */
static void writer_start(struct writer *w, const char *how)
{
	char pages[24], path[64];
	char *const argv[] = { "dirty", "--writer", pages, (char *)how, NULL };
	int order[2], result[2];

	snprintf(pages, sizeof(pages), "%zu", all_pages);
	if (pipe2(order, O_CLOEXEC) || pipe2(result, O_CLOEXEC))
		die("pipe");
	w->pid = fork();
	if (w->pid < 0)
		die("fork");
	if (!w->pid) {
		dup2(order[0], 0);
		dup2(result[1], 1);
		close_range(3, ~0U, 0);
		setsid();
		if (!chdir("/"))
			execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(order[0]);
	close(result[1]);
	w->order = order[1];
	w->result = result[0];
	if (read(w->result, &w->memory, sizeof(w->memory)) != sizeof(w->memory))
		die("no process to write");
	snprintf(path, sizeof(path), "/proc/%d/pagemap", w->pid);
	w->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (w->pagemap < 0)
		die("%s", path);
}

static struct result writer_write(struct writer *w, uint32_t pages)
{
	struct result result;

	if (write(w->order, &pages, sizeof(pages)) != sizeof(pages) ||
	    read(w->result, &result, sizeof(result)) != sizeof(result))
		die("the process that writes");
	return result;
}

static void writer_end(struct writer *w)
{
	int status;

	close(w->order);
	close(w->result);
	close(w->pagemap);
	if (waitpid(w->pid, &status, 0) != w->pid || status)
		die("the process that writes: status %#x", status);
}

/* ---- who can be asked ---- */

/*
 * @clean:	begin: make all pages clean
 * @find:	make those clean that were written to, and return their number
 * @done:	give up what @clean has got
 */
struct method {
	const char *name;
	const char *writer;
	bool shadow;
	void (*clean)(struct writer *w);
	size_t (*find)(struct writer *w);
	void (*done)(void);
};

static void nothing(struct writer *w)
{
	(void)w;
}

static size_t find_nothing(struct writer *w)
{
	(void)w;
	return 0;
}

static void done_nothing(void)
{
}

/* checkpoint(2): the parent of the next increment, and its tracker */
static uint8_t parent[CKPT_UUID_SIZE];
static uint32_t tracker;

/* Returns the number of pages in the image. */
static size_t take_image(struct writer *w, uint64_t flags)
{
	static char log[4096];
	struct checkpoint_stats stats;
	struct checkpoint_args args = {
		.flags = flags,
		.image_fd = open_image(),
		.log = (uintptr_t)log,
		.log_size = sizeof(log),
		.stats = (uintptr_t)&stats,
		.stats_size = sizeof(stats),
		.tracker = tracker,
	};
	struct ckpt_header header;

	if (flags & CHECKPOINT_INCREMENTAL)
		memcpy(args.parent_uuid, parent, sizeof(parent));
	if (syscall(__NR_checkpoint, w->pid, &args, sizeof(args)))
		die("checkpoint of %d: %s", w->pid, log);
	if (pread(args.image_fd, &header, sizeof(header), sizeof(struct ckpt_rec)) !=
	    sizeof(header))
		die("the header of an image");
	memcpy(parent, header.uuid, sizeof(parent));
	close(args.image_fd);
	return stats.pages_here;
}

static void clean_by_shadow(struct writer *w)
{
	tracker = CHECKPOINT_TRACKER_SHADOW;
	take_image(w, 0);
}

static void clean_by_write_protect(struct writer *w)
{
	tracker = CHECKPOINT_TRACKER_WRITE_PROTECT;
	take_image(w, 0);
}

static size_t find_by_checkpoint(struct writer *w)
{
	return take_image(w, CHECKPOINT_INCREMENTAL);
}

/* PAGEMAP_SCAN */
static struct page_region *regions;

/* All the memory; a scan may end early. */
static size_t scan(struct writer *w, uint64_t flags, uint64_t category)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = flags,
		.end = w->memory + all_pages * PAGE,
		.vec = (uintptr_t)regions,
		.vec_len = all_pages,
		.category_mask = category,
		.return_mask = category,
	};
	size_t pages = 0;
	int nr, i;

	for (arg.start = w->memory; arg.start < arg.end; arg.start = arg.walk_end) {
		nr = ioctl(w->pagemap, PAGEMAP_SCAN, &arg);
		if (nr < 0)
			die("PAGEMAP_SCAN");
		for (i = 0; i < nr; i++)
			pages += (regions[i].end - regions[i].start) / PAGE;
	}
	return pages;
}

static size_t find_by_scan_shadow(struct writer *w)
{
	return scan(w, PM_SCAN_CLEAR_SHADOW_DIRTY, PAGE_IS_SHADOW_DIRTY);
}

static size_t find_by_uffd_wp(struct writer *w)
{
	return scan(w, PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC, PAGE_IS_WRITTEN);
}

static void clean_by_scan_shadow(struct writer *w)
{
	regions = fresh_memory(all_pages * sizeof(*regions), SMALL_PAGES);
	fill_memory(regions, all_pages * sizeof(*regions));
	find_by_scan_shadow(w);
}

static void clean_by_uffd_wp(struct writer *w)
{
	regions = fresh_memory(all_pages * sizeof(*regions), SMALL_PAGES);
	fill_memory(regions, all_pages * sizeof(*regions));
	find_by_uffd_wp(w);
}

static void done_scan(void)
{
	munmap(regions, all_pages * sizeof(*regions));
}

/* /proc/PID/pagemap and clear_refs */
#define PAGEMAP_SOFT_DIRTY	(1ULL << 55)

static uint64_t *entries;
static int clear_refs;

static void clear_soft_dirty(void)
{
	if (write(clear_refs, "4", 1) != 1)
		die("clear_refs");
}

static void clean_by_soft_dirty(struct writer *w)
{
	char path[64];

	entries = fresh_memory(all_pages * sizeof(*entries), SMALL_PAGES);
	fill_memory(entries, all_pages * sizeof(*entries));
	snprintf(path, sizeof(path), "/proc/%d/clear_refs", w->pid);
	clear_refs = open(path, O_WRONLY | O_CLOEXEC);
	if (clear_refs < 0)
		die("%s", path);
	clear_soft_dirty();
}

static size_t find_by_soft_dirty(struct writer *w)
{
	const size_t size = all_pages * sizeof(*entries);
	size_t pages = 0, i;

	if (pread(w->pagemap, entries, size, w->memory / PAGE * sizeof(*entries)) !=
	    (ssize_t)size)
		die("pagemap");
	for (i = 0; i < all_pages; i++)
		if (entries[i] & PAGEMAP_SOFT_DIRTY)
			pages++;
	clear_soft_dirty();
	return pages;
}

static void done_soft_dirty(void)
{
	close(clear_refs);
	munmap(entries, all_pages * sizeof(*entries));
}

#define UNTRACKED	0

static const struct method methods[] = {
	[UNTRACKED] = {
		.name = "untracked",
		.writer = "plain",
		.clean = nothing,
		.find = find_nothing,
		.done = done_nothing,
	}, {
		.name = "checkpoint-shadow",
		.writer = "plain",
		.shadow = true,
		.clean = clean_by_shadow,
		.find = find_by_checkpoint,
		.done = done_nothing,
	}, {
		.name = "checkpoint-write-protect",
		.writer = "plain",
		.clean = clean_by_write_protect,
		.find = find_by_checkpoint,
		.done = done_nothing,
	}, {
		.name = "scan-shadow",
		.writer = "plain",
		.shadow = true,
		.clean = clean_by_scan_shadow,
		.find = find_by_scan_shadow,
		.done = done_scan,
	}, {
		.name = "scan-uffd-wp",
		.writer = "uffd",
		.clean = clean_by_uffd_wp,
		.find = find_by_uffd_wp,
		.done = done_scan,
	}, {
		.name = "soft-dirty",
		.writer = "plain",
		.clean = clean_by_soft_dirty,
		.find = find_by_soft_dirty,
		.done = done_soft_dirty,
	},
};

#define NR_METHODS	(sizeof(methods) / sizeof(methods[0]))

/* ---- measuring ---- */

/* Of all rounds the least, which interrupts have added the least to, or the most. */
struct times {
	double least_write, least_find;
	double most_faults;
	unsigned int rounds;
};

static double least(double a, double b)
{
	return a < b ? a : b;
}

static void measure_round(struct times *t, const struct method *m, struct writer *w,
			  size_t pages)
{
	struct result written = writer_write(w, pages);
	uint64_t start = now_ns();
	size_t found = m->find(w);
	double find = now_ns() - start;

	t->least_find = t->rounds ? least(t->least_find, find) : find;
	t->least_write = t->rounds ? least(t->least_write, written.ns) : written.ns;
	if (written.faults > t->most_faults)
		t->most_faults = written.faults;
	t->rounds++;
	if (m != &methods[UNTRACKED] && (found < pages || found > pages + OTHER_PAGES))
		die("%s: %zu pages written to, %zu found", m->name, pages, found);
}

/* Each method gets a process of its own, so that none disturbs another. */
static void measure(struct times *t, const struct method *m)
{
	struct writer w;
	size_t amount;
	unsigned int i;

	writer_start(&w, m->writer);
	m->clean(&w);
	m->find(&w);	/* and what has been found dirty since, for whatever reason */
	for (amount = 0; amount < NR_AMOUNTS; amount++) {
		if (amounts[amount].pages > all_pages)
			continue;
		for (i = 0; i < rounds; i++)
			measure_round(&t[amount], m, &w, amounts[amount].pages);
		note("%-24s %6s pages: %12.0f to write, %6.0f faults, %12.0f to find",
		     m->name, amounts[amount].name, t[amount].least_write,
		     t[amount].most_faults, t[amount].least_find);
	}
	m->done();
	writer_end(&w);
}

static void report_one(const char *what, const struct method *m, size_t amount, double value,
		       const char *unit, const char *target)
{
	char name[80];

	snprintf(name, sizeof(name), "%s.%s.%s", what, m->name, amounts[amount].name);
	report(name, value, unit, target);
}

static void report_all(const struct method *m, const struct times *t,
		       const struct times *untracked)
{
	size_t i;

	for (i = 0; i < NR_AMOUNTS; i++) {
		if (!t[i].rounds || !amounts[i].pages)
			continue;
		report_one("first-write", m, i, t[i].least_write / amounts[i].pages,
			   time_unit(), NULL);
		if (t != untracked)
			report_one("first-write/untracked", m, i,
				   t[i].least_write / untracked[i].least_write, "x",
				   m->shadow ? WRITE_TARGET : NULL);
		report_one("first-write-faults", m, i, t[i].most_faults, "faults",
			   m->shadow ? FAULTS_TARGET : NULL);
	}
	for (i = 0; i < NR_AMOUNTS && t != untracked; i++)
		if (t[i].rounds)
			report_one("find", m, i, t[i].least_find, time_unit(), NULL);
}

static void usage(void)
{
	fputs("usage: dirty [-r ROUNDS] [-p PAGES] [-m METHOD]...\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static struct times times[NR_METHODS][NR_AMOUNTS];
	bool wanted[NR_METHODS] = {}, all = true;
	size_t i;
	int c;

	if (argc == 4 && !strcmp(argv[1], "--writer"))
		be_writer(argv);
	bench_init(argc, argv);
	while ((c = getopt(argc, argv, "r:p:m:")) >= 0) {
		switch (c) {
		case 'r':
			rounds = strtoul(optarg, NULL, 0);
			if (!rounds)
				usage();
			break;
		case 'p':
			all_pages = strtoul(optarg, NULL, 0);
			if (!all_pages || all_pages % STRIDE == 0)
				usage();
			break;
		case 'm':
			for (i = 0; i < NR_METHODS; i++)
				if (!strcmp(optarg, methods[i].name))
					break;
			if (i == NR_METHODS)
				usage();
			wanted[i] = true;
			all = false;
			break;
		default:
			usage();
		}
	}

	signal(SIGPIPE, SIG_IGN);
	wanted[UNTRACKED] = true;	/* what the others are compared with */
	for (i = 0; i < NR_METHODS; i++)
		if (wanted[i] || all)
			measure(times[i], &methods[i]);
	for (i = 0; i < NR_METHODS; i++)
		report_all(&methods[i], times[i], times[UNTRACKED]);
	return 0;
}
