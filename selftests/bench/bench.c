// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/checkpoint_image.h>

#include "bench.h"

#ifndef __NR_checkpoint
#define __NR_checkpoint	548
#endif
#ifndef __NR_restart
#define __NR_restart	549
#endif

#define CHUNK		(64 << 10)
#define HUGE_PAGE	(2 * MIB)
#define LOG_SIZE	16384
#define PAGE		4096
#define MAX_WRITES	1024	/* calls of victim_write() */
#define WRITE_SECONDS	120

const char *const page_kind_name[NR_PAGE_KINDS] = {
	[SMALL_PAGES] = "4k",
	[HUGE_PAGES] = "thp",
};

/* ---- reports ---- */

void report(const char *name, double value, const char *unit, const char *target)
{
	bool met = true;

	if (target) {
		double limit = strtod(target + 2, NULL);

		met = *target == '<' ? value <= limit : value >= limit;
	}
	printf("%s\t%.*f\t%s\t%s\t%s\n", name, value < 10 ? 3 : value < 1000 ? 1 : 0,
	       value, unit, target ? target : "", met ? "ok" : "short");
	fflush(stdout);
}

void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("# ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

void die(const char *fmt, ...)
{
	int error = errno;
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, " (%s)\n", strerror(error));
	va_end(ap);
	exit(1);
}

/* ---- samples ---- */

void sample_add(struct samples *s, double value)
{
	s->value[s->nr++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(const struct samples *s)
{
	struct samples sorted = *s;

	qsort(sorted.value, sorted.nr, sizeof(sorted.value[0]), compare);
	return (sorted.value[(sorted.nr - 1) / 2] + sorted.value[sorted.nr / 2]) / 2;
}

double median_ratio(const struct samples *a, const struct samples *b)
{
	struct samples ratio = { .nr = a->nr };
	unsigned int i;

	for (i = 0; i < a->nr; i++)
		ratio.value[i] = a->value[i] / b->value[i];
	return median(&ratio);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/* Only whoever boots the guest knows: selftests/bench/run says so. */
const char *time_unit(void)
{
	const char *unit = getenv("BENCH_TIME_UNIT");

	return unit ? unit : "ns";
}

/* ---- memory ---- */

void *fresh_memory(size_t size, enum page_kind kind)
{
	char *memory, *aligned;

	memory = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap of %zu bytes", size);
	aligned = (char *)(((uintptr_t)memory + HUGE_PAGE - 1) & -HUGE_PAGE);
	if (aligned != memory)
		munmap(memory, aligned - memory);
	munmap(aligned + size, memory + HUGE_PAGE - aligned);
	if (madvise(aligned, size, kind == HUGE_PAGES ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("madvise");
	return aligned;
}

/* Never 0, so that no page can be left out of an image. */
static uint64_t word_at(size_t i)
{
	return (i * UINT64_C(0x9e3779b97f4a7c15)) | 1;
}

void fill_memory(void *memory, size_t size)
{
	uint64_t *word = memory;
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		word[i] = word_at(i);
}

static bool memory_is_filled(const void *memory, size_t size)
{
	const uint64_t *word = memory;
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		if (word[i] != word_at(i))
			return false;
	return true;
}

void touch_all_memory(void)
{
	size_t size = sysconf(_SC_AVPHYS_PAGES) * 4096 / 10 * 9, i;
	char *memory = fresh_memory(size, HUGE_PAGES);

	for (i = 0; i < size; i += 4096)
		memory[i] = 1;
	munmap(memory, size);
}

/* ---- victims ---- */

static int null_fd;

/* What a victim was told to write: @nr pages, from the @start-th of all_pages on. */
struct written {
	size_t start, nr;
};

/* The i-th of @nr pages, which are a power of two, in an order without one. */
static size_t random_page(size_t i, size_t nr)
{
	unsigned int half = __builtin_ctzl(nr) / 2;

	i = (i * 0x9e3779b1) & (nr - 1);
	i ^= i >> half;
	i = (i * 0x85ebca6b) & (nr - 1);
	return i ^ i >> half;
}

static void add_to_pages(uint64_t *memory, size_t size, const struct written *w, uint64_t n)
{
	size_t i, nr = size / PAGE;

	for (i = w->start; i < w->start + w->nr; i++)
		memory[random_page(i % nr, nr) * PAGE / sizeof(*memory)] += n;
}

/* It adds 1 to the pages it is to write to, and takes that back in the end. */
static void __attribute__((noreturn)) be_victim(char **argv)
{
	size_t size = strtoul(argv[2], NULL, 0);
	enum page_kind kind = strtoul(argv[3], NULL, 0);
	void *memory = fresh_memory(size, kind);
	struct written written[MAX_WRITES];
	size_t nr = 0;
	sigset_t signals;
	siginfo_t info;

	prctl(PR_SET_NAME, "victim");
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	fill_memory(memory, size);
	close(3);
	while (sigwaitinfo(&signals, &info) != SIGUSR1) {
		if (info.si_signo != SIGUSR2 || nr == MAX_WRITES)
			_exit(1);
		written[nr].start = word_at(nr) >> 32;
		written[nr].nr = info.si_value.sival_int;
		add_to_pages(memory, size, &written[nr++], 1);
		kill(getppid(), SIGUSR2);
	}
	while (nr)
		add_to_pages(memory, size, &written[--nr], -1);
	_exit(memory_is_filled(memory, size) ? 0 : 1);
}

/* Its children do nothing. Says how long it took to create them. */
static void __attribute__((noreturn)) be_tree(char **argv)
{
	unsigned int i, nr = strtoul(argv[2], NULL, 0);
	uint64_t start = now_ns(), took;

	for (i = 1; i < nr; i++) {
		pid_t pid = fork();

		if (!pid) {
			close(3);
			break;
		}
		if (pid < 0)
			_exit(1);
	}
	if (i == nr) {
		took = now_ns() - start;
		if (write(3, &took, sizeof(took)) != sizeof(took))
			_exit(1);
		close(3);
	}
	for (;;)
		pause();
}

void bench_init(int argc, char **argv)
{
	sigset_t set;

	if (argc == 4 && !strcmp(argv[1], "--victim"))
		be_victim(argv);
	if (argc == 3 && !strcmp(argv[1], "--tree"))
		be_tree(argv);

	/* how a victim says that it has written */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		die("/dev/null");
	/* Restarted by a command that ends, a victim is to come back to us. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		die("PR_SET_CHILD_SUBREAPER");
	if (mkdir(IMAGE_DIR, 0700) && errno != EEXIST)
		die("%s", IMAGE_DIR);
}

void bench_options(int argc, char **argv, unsigned int *rounds, size_t *mib)
{
	bool good = true;
	int c;

	while ((c = getopt(argc, argv, "r:s:")) >= 0) {
		if (c == 'r')
			*rounds = strtoul(optarg, NULL, 0);
		else if (c == 's')
			*mib = strtoul(optarg, NULL, 0);
		else
			good = false;
	}
	if (good && *rounds && *rounds <= MAX_ROUNDS && *mib && !(*mib & (*mib - 1)))
		return;
	fprintf(stderr, "usage: %s [-r ROUNDS] [-s MIB]\n", program_invocation_short_name);
	exit(2);
}

/* Execute the benchmark again, and read what it says before it closes its 3. */
static pid_t start_alone(char *const argv[], void *said, size_t size)
{
	int ready[2];
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		dup2(null_fd, 0);
		dup2(null_fd, 1);
		dup2(null_fd, 2);
		dup2(ready[1], 3);	/* in place of null_fd */
		close_range(4, ~0U, 0);
		setsid();
		if (!chdir("/"))
			execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(ready[1]);
	if ((size && read(ready[0], said, size) != (ssize_t)size) ||
	    read(ready[0], &(char){0}, 1) != 0)
		die("victim");
	close(ready[0]);
	return pid;
}

void victim_start(struct victim *v, size_t size, enum page_kind kind)
{
	char size_text[24], kind_text[8];
	char *const argv[] = { "victim", "--victim", size_text, kind_text, NULL };

	snprintf(size_text, sizeof(size_text), "%zu", size);
	snprintf(kind_text, sizeof(kind_text), "%d", kind);
	*v = (struct victim){ .size = size, .kind = kind };
	v->pid = start_alone(argv, NULL, 0);
}

uint64_t tree_start(struct victim *v, unsigned int nr)
{
	char nr_text[16];
	char *const argv[] = { "victim", "--tree", nr_text, NULL };
	uint64_t took;

	snprintf(nr_text, sizeof(nr_text), "%u", nr);
	*v = (struct victim){ };
	v->pid = start_alone(argv, &took, sizeof(took));
	return took;
}

void tree_kill(struct victim *v, unsigned int nr)
{
	unsigned int ended = 0;

	kill(-v->pid, SIGKILL);
	while (wait(NULL) > 0)
		ended++;
	if (ended != nr)
		die("a tree of %u processes where %u are expected", ended, nr);
}

void victim_write(const struct victim *v, size_t pages)
{
	const struct timespec patience = { .tv_sec = WRITE_SECONDS };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	if (sigqueue(v->pid, SIGUSR2, (union sigval){ .sival_int = pages }) ||
	    sigtimedwait(&set, NULL, &patience) != SIGUSR2)
		die("victim %d does not write", v->pid);
}

void victim_reap(struct victim *v)
{
	if (waitpid(v->pid, NULL, 0) != v->pid)
		die("waiting for victim %d", v->pid);
}

void victim_kill(struct victim *v)
{
	kill(v->pid, SIGKILL);
	victim_reap(v);
}

void victim_verify(struct victim *v)
{
	int status;

	kill(v->pid, SIGUSR1);
	if (waitpid(v->pid, &status, 0) != v->pid)
		die("waiting for victim %d", v->pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("victim %d: its memory has changed, status %#x", v->pid, status);
}

uint64_t victim_smaps(const struct victim *v, const char *field)
{
	size_t len = strlen(field);
	char path[64], line[256];
	uint64_t kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", v->pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, len) && line[len] == ':')
			kib = strtoul(line + len + 1, NULL, 10);
	if (file)
		fclose(file);
	return kib << 10;
}

/* ---- the system calls ---- */

static char kernel_log[LOG_SIZE];

static void checkpoint(const struct victim *v, struct checkpoint_args *args,
		       struct checkpoint_stats *stats)
{
	args->log = (uintptr_t)kernel_log;
	args->log_size = sizeof(kernel_log);
	args->stats = (uintptr_t)stats;
	args->stats_size = sizeof(*stats);
	if (syscall(__NR_checkpoint, v->pid, args, sizeof(*args)))
		die("checkpoint of %d: %s", v->pid, kernel_log);
}

void do_checkpoint(const struct victim *v, int image, uint64_t flags,
		   struct checkpoint_stats *stats)
{
	struct checkpoint_args args = { .flags = flags, .image_fd = image };

	checkpoint(v, &args, stats);
}

void do_increment(const struct victim *v, int image, int parent, uint32_t tracker,
		  struct checkpoint_stats *stats)
{
	struct checkpoint_args args = { .image_fd = image, .tracker = tracker };
	struct ckpt_header header;

	if (parent >= 0) {
		if (pread(parent, &header, sizeof(header), sizeof(struct ckpt_rec)) !=
		    sizeof(header))
			die("parent image");
		args.flags = CHECKPOINT_INCREMENTAL;
		memcpy(args.parent_uuid, header.uuid, sizeof(args.parent_uuid));
	}
	checkpoint(v, &args, stats);
}

void do_restart(const struct victim *v, int image, struct checkpoint_stats *stats)
{
	do_chain_restart(v, image, NULL, 0, stats);
}

void do_chain_restart(const struct victim *v, int image, const int *parents,
		      unsigned int nr, struct checkpoint_stats *stats)
{
	static struct restart_fd fds[3];
	struct restart_args args = {
		.image_fd = image,
		.fds = (uintptr_t)fds,
		.fds_nr = 3,
		.log = (uintptr_t)kernel_log,
		.log_size = sizeof(kernel_log),
		.stats = (uintptr_t)stats,
		.stats_size = sizeof(*stats),
		.parents = nr ? (uintptr_t)parents : 0,
		.parents_nr = nr,
	};
	int i;

	for (i = 0; i < 3; i++)
		fds[i] = (struct restart_fd){ .image_fd = i, .caller_fd = null_fd };
	if (syscall(__NR_restart, &args, sizeof(args)) != v->pid)
		die("restart of %d: %s", v->pid, kernel_log);
}

/* ---- commands ---- */

#define OUTPUT		IMAGE_DIR "/output"

static void show_file(const char *path)
{
	char line[512];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		fputs(line, stderr);
	if (file)
		fclose(file);
}

double time_command(char *const argv[], const char *log)
{
	uint64_t start = now_ns(), end;
	int status;
	pid_t pid;

	pid = vfork();
	if (!pid) {
		int output = open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(null_fd, 0);
		dup2(null_fd, 1);
		dup2(output, 2);
		close_range(3, ~0U, 0);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("%s", argv[0]);
	end = now_ns();
	if (status) {
		show_file(OUTPUT);
		if (log)
			show_file(log);
		die("%s %s: status %#x", argv[0], argv[1], status);
	}
	return end - start;
}

/* ---- images ---- */

int open_image(void)
{
	int fd = open(IMAGE_DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		die("%s: no file", IMAGE_DIR);
	return fd;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void remove_dir(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		die("%s", path);
}

void write_all(int fd, const void *memory, size_t size)
{
	const char *from = memory;
	size_t done, n;

	for (done = 0; done < size; done += n) {
		n = size - done < CHUNK ? size - done : CHUNK;
		if (write(fd, from + done, n) != (ssize_t)n)
			die("write");
	}
}

void read_all(int fd, void *memory, size_t size)
{
	char *to = memory;
	size_t done, n;

	for (done = 0; done < size; done += n) {
		n = size - done < CHUNK ? size - done : CHUNK;
		if (read(fd, to + done, n) != (ssize_t)n)
			die("read");
	}
}
