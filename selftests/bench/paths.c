// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel's memory management costs that nobody tracks: run on the kernel
 * with the patches and on the one without, by selftests/bench/run, which sets the
 * figures beside each other.
 *
 *	paths [-r ROUNDS]
 *
 * All paths are taken for as many pages, each several times; the least counts, which
 * no interrupt has added to. Only under "qemu/run --icount", where a nanosecond is
 * an instruction, figures of two boots can be compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>

#include "bench.h"

#define PAGE		4096UL
#define SIZE		(32 * MIB)
#define SWAP_SIZE	(64 * MIB)

#define DISK_FILE	"/var/tmp"

static unsigned int rounds = 7;

static char *memory;		/* of the round */
static char *target;		/* where it is moved to */
static pid_t child;
static int disk_file, shmem_file;
static char contents[SIZE] __attribute__((aligned(PAGE)));

static void touch(void)
{
	size_t i;

	for (i = 0; i < SIZE; i += PAGE)
		*(volatile char *)(memory + i) = 1;
}

static void look(void)
{
	size_t i;

	for (i = 0; i < SIZE; i += PAGE)
		(void)*(volatile char *)(memory + i);
}

static void unmap(void)
{
	if (munmap(memory, SIZE))
		die("munmap");
}

/* ---- page faults ---- */

static void map_small(void)
{
	memory = fresh_memory(SIZE, SMALL_PAGES);
}

static void map_huge(void)
{
	memory = fresh_memory(SIZE, HUGE_PAGES);
}

static void map_touched(void)
{
	map_small();
	touch();
}

static void map_file(int flags, int fd)
{
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap of a file");
}

static void map_disk_file(void)
{
	map_file(MAP_PRIVATE, disk_file);
}

static void map_shmem(void)
{
	map_file(MAP_SHARED, shmem_file);
}

static void map_shmem_touched(void)
{
	map_shmem();
	touch();
}

/* ---- processes ---- */

/* Being no more urgent than we are, the child begins when we wait for it. */
static void do_fork(void)
{
	child = fork();
	if (child < 0)
		die("fork");
	if (!child)
		_exit(0);
}

static void wait_for_child(void)
{
	if (waitpid(child, NULL, 0) != child)
		die("waitpid");
}

static void map_and_fork(void)
{
	map_touched();
	do_fork();
}

static void wait_and_unmap(void)
{
	wait_for_child();
	unmap();
}

/* ---- address spaces ---- */

static void do_mprotect(void)
{
	if (mprotect(memory, SIZE, PROT_READ) ||
	    mprotect(memory, SIZE, PROT_READ | PROT_WRITE))
		die("mprotect");
}

/* From the beginning of a page table to such a one, or to the middle of one. */
static void map_for_move(size_t offset)
{
	map_touched();
	target = fresh_memory(SIZE + 2 * MIB, SMALL_PAGES);
	munmap(target, SIZE + 2 * MIB);
	target += offset;
}

static void map_for_move_of_tables(void)
{
	map_for_move(0);
}

static void map_for_move_of_pages(void)
{
	map_for_move(PAGE);
}

static void do_mremap(void)
{
	char *old = memory;

	memory = mremap(old, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	if (memory == MAP_FAILED)
		die("mremap");
	target = old;
}

/* Too quick to be counted exactly if done once. */
static void do_mremap_often(void)
{
	int i;

	for (i = 0; i < 1000; i++)
		do_mremap();
}

static void nothing(void)
{
}

/* ---- swap ---- */

static char swap_device[32];

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s", path);
	close(fd);
}

/* mkswap(8): version, last page, signature */
static void swap_on(void)
{
	union {
		char bytes[PAGE];
		uint32_t words[PAGE / 4];
	} head = { .words = { [256] = 1, [257] = SWAP_SIZE / PAGE - 1 } };
	char path[64], number[16] = "";
	int fd;

	fd = open("/sys/class/zram-control/hot_add", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, number, sizeof(number) - 1) <= 0)
		die("no zram device");
	close(fd);
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", atoi(number));
	write_file(path, "64M");
	snprintf(swap_device, sizeof(swap_device), "/dev/zram%d", atoi(number));
	memcpy(head.bytes + PAGE - 10, "SWAPSPACE2", 10);
	fd = open(swap_device, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, &head, sizeof(head), 0) != sizeof(head) || fsync(fd))
		die("%s", swap_device);
	close(fd);
	if (swapon(swap_device, 0))
		die("swapon");
}

static void swap_off(void)
{
	if (swapoff(swap_device))
		die("swapoff");
	write_file("/sys/class/zram-control/hot_remove", swap_device + strlen("/dev/zram"));
}

static void do_pageout(void)
{
	if (madvise(memory, SIZE, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
}

/* How many of the pages are in swap, by /proc/self/pagemap? */
static size_t pages_in_swap(void)
{
	static uint64_t entries[SIZE / PAGE];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t pages = 0, i;

	if (pread(fd, entries, sizeof(entries), (uintptr_t)memory / PAGE * 8) !=
	    sizeof(entries))
		die("pagemap");
	close(fd);
	for (i = 0; i < SIZE / PAGE; i++)
		pages += entries[i] >> 62 & 1;
	return pages;
}

static void check_swapped_out(void)
{
	size_t pages = pages_in_swap();

	if (pages != SIZE / PAGE)
		die("%zu pages in swap, not %zu", pages, SIZE / PAGE);
}

static void map_swapped_out(void)
{
	map_touched();
	do_pageout();
	check_swapped_out();
}

static void check_and_unmap(void)
{
	check_swapped_out();
	unmap();
}

/* ---- shared memory ---- */

static void write_shmem(void)
{
	size_t i;

	for (i = 0; i < SIZE; i += PAGE)
		if (pwrite(shmem_file, contents + i, PAGE, i) != PAGE)
			die("pwrite");
}

/* ---- measuring ---- */

static const struct path {
	const char *name;
	void (*before)(void);
	void (*path)(void);
	void (*after)(void);
} paths[] = {
	{ "fault-4k",		map_small,		touch,		unmap },
	{ "fault-thp",		map_huge,		touch,		unmap },
	{ "fault-file-read",	map_disk_file,		look,		unmap },
	{ "fault-file-copy",	map_disk_file,		touch,		unmap },
	{ "fault-shmem",	map_shmem,		touch,		unmap },
	{ "fault-after-fork",	map_and_fork,		touch,		wait_and_unmap },
	{ "fork",		map_touched,		do_fork,	wait_and_unmap },
	{ "exit",		map_and_fork,		wait_for_child,	unmap },
	{ "mprotect",		map_touched,		do_mprotect,	unmap },
	{ "munmap",		map_touched,		unmap,		nothing },
	{ "mremap-tables",	map_for_move_of_tables,	do_mremap_often, unmap },
	{ "mremap-pages",	map_for_move_of_pages,	do_mremap,	unmap },
	{ "swap-out",		map_touched,		do_pageout,	check_and_unmap },
	{ "swap-in",		map_swapped_out,	touch,		unmap },
	{ "write-shmem",	nothing,		write_shmem,	nothing },
	{ "munmap-shmem",	map_shmem_touched,	unmap,		nothing },
};

static void measure(const struct path *p)
{
	double best = 0;
	char name[64];
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		uint64_t start;
		double time;

		p->before();
		start = now_ns();
		p->path();
		time = now_ns() - start;
		p->after();
		if (!i || time < best)
			best = time;
	}
	snprintf(name, sizeof(name), "path.%s", p->name);
	report(name, best, time_unit(), NULL);
}

static void make_files(void)
{
	memset(contents, 1, sizeof(contents));
	shmem_file = memfd_create("paths", MFD_CLOEXEC);
	if (shmem_file < 0)
		die("memfd_create");
	write_all(shmem_file, contents, SIZE);
	disk_file = open(DISK_FILE, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (disk_file < 0)
		die("%s: no file", DISK_FILE);
	write_all(disk_file, contents, SIZE);
	if (fsync(disk_file))
		die("fsync");
}

/* Nothing else runs meanwhile, on a single processor. */
static void be_urgent(void)
{
	struct sched_param param = { .sched_priority = 1 };

	write_file("/proc/sys/kernel/sched_rt_runtime_us", "-1");
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		die("SCHED_FIFO");
}

int main(int argc, char **argv)
{
	size_t i;
	int c;

	bench_init(argc, argv);
	while ((c = getopt(argc, argv, "r:")) >= 0) {
		if (c == 'r')
			rounds = strtoul(optarg, NULL, 0);
		if (c != 'r' || !rounds) {
			fputs("usage: paths [-r ROUNDS]\n", stderr);
			return 2;
		}
	}

	make_files();
	swap_on();
	be_urgent();
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		measure(&paths[i]);
	swap_off();
	write_file("/proc/sys/kernel/sched_rt_runtime_us", "950000");
	return 0;
}
