/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of the victims: making it, filling it, looking at it; places for files; swap
 * space and merging.
 */
#ifndef CKPT_MEMORY_H
#define CKPT_MEMORY_H

#include <sys/swap.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "ckpt_test.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define KB	1024UL
#define MB	(1024 * KB)
#define PAGE	4096UL
#define HUGE	(2 * MB)

/* ---- helpers of the victims ---- */

static inline char *map(size_t len, int prot, int flags)
{
	char *area = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	V_CHECK(area != MAP_FAILED);
	return area;
}

static inline char *map_rw(size_t len)
{
	return map(len, PROT_READ | PROT_WRITE, 0);
}

/* Memory that consists of small pages. */
static inline char *map_small(size_t pages)
{
	char *area = map_rw(pages * PAGE);

	V_SYS(madvise(area, pages * PAGE, MADV_NOHUGEPAGE));
	return area;
}

/* At a multiple of 2 MB. */
static inline char *map_huge(size_t nr, int advice)
{
	char *area = map_rw((nr + 1) * HUGE);

	area = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
	V_SYS(madvise(area, nr * HUGE, advice));
	return area;
}

/* Contents that differ from page to page and from seed to seed. */
static inline uint64_t pattern(uint64_t seed, size_t i)
{
	return (seed << 32 ^ i) * 0x9e3779b97f4a7c15ULL + i;
}

static inline void fill(void *area, size_t len, uint64_t seed)
{
	uint64_t *word = area;
	size_t i;

	for (i = 0; i < len / 8; i++)
		word[i] = pattern(seed, i);
}

static inline void check_filled(int line, const void *area, size_t len, uint64_t seed)
{
	const uint64_t *word = area;
	size_t i;

	for (i = 0; i < len / 8; i++)
		if (word[i] != pattern(seed, i))
			victim_fail(line, "byte %#zx of %#zx at %p: %#lx, not %#lx",
				    i * 8, len, area, word[i], pattern(seed, i));
}

#define CHECK_FILLED(area, len, seed) check_filled(__LINE__, area, len, seed)

static inline bool all_zero(const char *area, size_t len)
{
	return !area[0] && !memcmp(area, area + 1, len - 1);
}

/* A page's entry in /proc/self/pagemap. */
#define PM_PRESENT	(1ULL << 63)
#define PM_SWAPPED	(1ULL << 62)

static inline uint64_t pagemap(const void *addr)
{
	uint64_t entry = 0;
	int fd;

	fd = V_SYS(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	V_CHECK(pread(fd, &entry, 8, (uintptr_t)addr / PAGE * 8) == 8);
	close(fd);
	return entry;
}

/*
 * The line of /proc/self/smaps about the area that @addr is in: @field's
 * number, or with @text its text.  -1 if there is no such line.
 */
static inline long smaps(const void *addr, const char *field, char *text, size_t size)
{
	unsigned long start, end, at = (unsigned long)addr;
	size_t len = strlen(field);
	bool inside = false;
	char line[1024];
	long value = -1;
	FILE *in;

	in = fopen("/proc/self/smaps", "re");
	V_CHECK(in);
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			inside = at >= start && at < end;
		} else if (inside && !strncmp(line, field, len) && line[len] == ':') {
			value = strtol(line + len + 1, NULL, 10);
			if (text)
				snprintf(text, size, "%.*s", (int)size - 1, line + len + 1);
			break;
		}
	}
	fclose(in);
	return value;
}

/* Does the area have this two-letter flag? */
static inline bool vm_flag(const void *addr, const char *flag)
{
	char flags[256] = "", word[8];

	smaps(addr, "VmFlags", flags, sizeof(flags));
	snprintf(word, sizeof(word), " %s ", flag);
	return strstr(flags, word);
}

static inline size_t in_swap(const char *area, size_t nr)
{
	size_t i, swapped = 0;

	for (i = 0; i < nr; i++)
		swapped += !!(pagemap(area + i * PAGE) & PM_SWAPPED);
	return swapped;
}

/*
 * Pages not on a list for the LRU lists yet have a reference more: they stay dirty,
 * and in memory.
 */
static inline void drain_lru(void)
{
	int node = 0, status = 0;
	void *page = (void *)((uintptr_t)&node & ~(PAGE - 1));

	syscall(__NR_move_pages, 0, 1UL, &page, &node, &status, 2);
}

/* ---- places for files ---- */

/* Where they can be read past the page cache, if there is such a place. */
static inline const char *disk_dir(void)
{
	static const char *const dirs[] = { "/mnt/disk", "/var/tmp" };
	struct statfs fs;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		if (!statfs(dirs[i], &fs) && fs.f_type == EXT4_SUPER_MAGIC &&
		    !access(dirs[i], W_OK))
			return dirs[i];
	return "/tmp";
}

/* ---- swap space and merging ---- */

#define ZRAM_SWAP	(64 * MB)
#define FILE_SWAP	(16 * MB)

static inline bool swap_on_path(const char *path, size_t size)
{
	union {
		char bytes[4096];
		uint32_t words[1024];
	} head = { .words = { [256] = 1, [257] = size / PAGE - 1 } };
	bool done;
	int fd;

	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	memcpy(head.bytes + 4086, "SWAPSPACE2", 10);
	done = pwrite(fd, &head, sizeof(head), 0) == sizeof(head) && !fsync(fd);
	close(fd);
	return done && !swapon(path, 0);
}

/* Some swap space, on a zram device. */
static inline bool swap_on(char *device, size_t size)
{
	char path[64], text[64];

	if (read_text("/sys/class/zram-control/hot_add", text, sizeof(text)) <= 0)
		return false;
	snprintf(device, size, "/dev/zram%d", atoi(text));
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", atoi(text));
	snprintf(text, sizeof(text), "%lu", ZRAM_SWAP);
	return !write_text(path, text) && swap_on_path(device, ZRAM_SWAP);
}

static inline void swap_off(const char *device)
{
	swapoff(device);
	write_text("/sys/class/zram-control/hot_remove", device + strlen("/dev/zram"));
}

/* The same in a file: pages on their way there and back are in the swap cache. */
static inline bool swap_file_on(char *path, size_t size)
{
	char *zeros = calloc(1, MB);
	size_t left = FILE_SWAP;
	int fd;

	snprintf(path, size, "%s/swap.XXXXXX", disk_dir());
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return false;
	while (left && write(fd, zeros, MB) == (ssize_t)MB)
		left -= MB;
	fsync(fd);
	close(fd);
	free(zeros);
	return !left && swap_on_path(path, FILE_SWAP);
}

static inline void swap_file_off(const char *path)
{
	swapoff(path);
	unlink(path);
}

static inline long ksm_shared(void)
{
	char text[32];

	if (read_text("/sys/kernel/mm/ksm/pages_sharing", text, sizeof(text)) <= 0)
		return -1;
	return atol(text);
}

static inline bool ksm_on(void)
{
	if (write_text("/sys/kernel/mm/ksm/run", "1"))
		return false;
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "1000");
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "10");
	return true;
}

static inline void ksm_off(void)
{
	write_text("/sys/kernel/mm/ksm/run", "2");
	write_text("/sys/kernel/mm/ksm/run", "0");
}

#endif /* CKPT_MEMORY_H */
