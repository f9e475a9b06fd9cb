// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow dirty bits: PAGEMAP_SCAN finds every page that was written to, by whatever
 * means and whatever has become of its page table entry since, and no other page where
 * the kernel can tell.
 *
 * There is at least one test for each place in the kernel where a page table entry is
 * made from another, or memory is written to without one, as far as user space can get
 * there.  It cannot get to device memory, and not to entries of huge pages that are
 * clean: those are split when PAGEMAP_SCAN clears them.  Chains of images have them, see
 * chain.c.
 */
#include <sys/resource.h>
#include <linux/perf_event.h>

#include "ckpt_test.h"
#include "ckpt_memory.h"
#include "ckpt_scan.h"
#include "ckpt_write.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE	0x08
#endif

#define GB		(1024 * MB)
#define IN_HUGE		512UL		/* pages in a huge one */
#define SEEN_MAX	4096

static int pagemap_fd;
static uint8_t seen[SEEN_MAX];		/* by the last scan */

FIXTURE(shadow_dirty) { };

FIXTURE_SETUP(shadow_dirty)
{
	REQUIRE_SHADOW_DIRTY();
	pagemap_fd = open_pagemap(getpid());
	ASSERT_LE(0, pagemap_fd);
}

FIXTURE_TEARDOWN(shadow_dirty)
{
	close(pagemap_fd);
}

/* ---- scans of this process ---- */

static long dirty(const void *addr, size_t nr)
{
	return scan_pages(pagemap_fd, addr, nr, 0, PAGE_IS_SHADOW_DIRTY,
			  nr <= SEEN_MAX ? seen : NULL);
}

/* Those that were dirty until then. */
static long clear(const void *addr, size_t nr)
{
	return scan_pages(pagemap_fd, addr, nr, PM_SCAN_CLEAR_SHADOW_DIRTY,
			  PAGE_IS_SHADOW_DIRTY, nr <= SEEN_MAX ? seen : NULL);
}

static long are(uint64_t category, const void *addr, size_t nr)
{
	return scan_pages(pagemap_fd, addr, nr, 0, category, NULL);
}

/* How many pages the last scan has wrong, if every @step-th was to be in it. */
static long wrong(size_t nr, size_t step)
{
	size_t i, bad = 0;

	for (i = 0; i < nr; i++)
		bad += seen[i] != (i % step == 0);
	return bad;
}

static long not_every(size_t step, const void *addr, size_t nr)
{
	long ret = dirty(addr, nr);

	return ret < 0 ? ret : wrong(nr, step);
}

static long clear_not_every(size_t step, const void *addr, size_t nr)
{
	long ret = clear(addr, nr);

	return ret < 0 ? ret : wrong(nr, step);
}

/* ---- contents ---- */

/* Two words of each page; what write_every() writes is between them. */
static void stamp(char *area, size_t nr, uint64_t seed)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		uint64_t *word = (uint64_t *)(area + i * PAGE);

		word[0] = pattern(seed, i);
		word[511] = ~word[0];
	}
}

static long not_stamped(const char *area, size_t nr, uint64_t seed)
{
	size_t i, bad = 0;

	for (i = 0; i < nr; i++) {
		const uint64_t *word = (const uint64_t *)(area + i * PAGE);

		bad += word[0] != pattern(seed, i) || word[511] != ~word[0];
	}
	return bad;
}

static void write_every(size_t step, char *area, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i += step)
		area[i * PAGE + 100]++;
}

static void read_all(const char *area, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		(void)*(volatile const char *)(area + i * PAGE);
}

static char *clean(char *area, size_t nr, uint64_t seed)
{
	stamp(area, nr, seed);
	V_EQUAL(nr, clear(area, nr));
	V_EQUAL(0, dirty(area, nr));
	return area;
}

static char *clean_pages(size_t nr, uint64_t seed)
{
	return clean(map_small(nr), nr, seed);
}

static char *huge_page(uint64_t seed)
{
	char *area = map_huge(1, MADV_HUGEPAGE);

	stamp(area, IN_HUGE, seed);
	return area;
}

/* False where there is no memory in one piece for it. */
static bool is_huge(const char *area)
{
	return are(PAGE_IS_HUGE, area, IN_HUGE) == (long)IN_HUGE;
}

/* ---- what PAGEMAP_SCAN says and does ---- */

TEST_F(shadow_dirty, all_pages_are_dirty_until_they_are_cleared)
{
	size_t nr = 1000;
	char *area = map_small(nr);

	stamp(area, nr, 1);
	EXPECT_EQ(nr, dirty(area, nr));
	EXPECT_EQ(nr, clear(area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	EXPECT_EQ(0, clear(area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
}

TEST_F(shadow_dirty, exactly_what_was_written_is_dirty)
{
	size_t nr = 1000;
	char *area = clean_pages(nr, 1);

	write_every(7, area, nr);
	EXPECT_EQ(0, not_every(7, area, nr));
	/* with another scan in between, which cleared nothing */
	EXPECT_EQ(0, clear_not_every(7, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(3, area, nr);
	EXPECT_EQ(0, clear_not_every(3, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
}

TEST_F(shadow_dirty, reading_does_not_count)
{
	size_t nr = 200;
	char *area = clean_pages(nr, 1);
	int fd[2];

	read_all(area, nr);
	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(4 * PAGE, write(fd[1], area, 4 * PAGE));
	EXPECT_EQ(0, dirty(area, nr));
	close(fd[0]);
	close(fd[1]);
}

TEST_F(shadow_dirty, writing_to_clean_pages_takes_no_fault)
{
	size_t nr = 4000;
	char *area = clean_pages(nr, 1);
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	write_every(1, area, nr);
	getrusage(RUSAGE_SELF, &after);
	/* the stack and the like may have some */
	EXPECT_GT(10, after.ru_minflt - before.ru_minflt);
	EXPECT_EQ(nr, dirty(area, nr));
}

TEST_F(shadow_dirty, unknown_flags_and_categories_are_refused)
{
	char *area = map_small(1);
	struct pm_scan_arg good = {
		.flags = PM_SCAN_CLEAR_SHADOW_DIRTY,
		.start = (uintptr_t)area, .end = (uintptr_t)area + PAGE,
		.category_mask = PAGE_IS_SHADOW_DIRTY,
	}, arg;

	arg = good;
	EXPECT_EQ(0, pagemap_scan(pagemap_fd, &arg));
	arg = good;
	arg.flags |= PM_SCAN_CLEAR_SHADOW_DIRTY << 1;
	EXPECT_EQ(-EINVAL, pagemap_scan(pagemap_fd, &arg));
	arg = good;
	arg.category_mask |= PAGE_IS_SHADOW_DIRTY << 1;
	EXPECT_EQ(-EINVAL, pagemap_scan(pagemap_fd, &arg));
	arg = good;
	arg.return_mask |= PAGE_IS_SHADOW_DIRTY << 1;
	EXPECT_EQ(-EINVAL, pagemap_scan(pagemap_fd, &arg));
}

TEST_F(shadow_dirty, pages_that_were_not_reported_stay_dirty)
{
	struct page_region region[4];
	struct pm_scan_arg arg = {
		.flags = PM_SCAN_CLEAR_SHADOW_DIRTY,
		.vec = (uintptr_t)region, .vec_len = 4,
		.category_mask = PAGE_IS_SHADOW_DIRTY,
		.return_mask = PAGE_IS_SHADOW_DIRTY,
	};
	size_t nr = 400, i, found = 0;
	char *area = clean_pages(nr, 1);
	long ret;

	/* there is room for some regions only */
	write_every(10, area, nr);
	arg.start = (uintptr_t)area;
	arg.end = (uintptr_t)area + nr * PAGE;
	do {
		ret = pagemap_scan(pagemap_fd, &arg);
		ASSERT_LE(0, ret);
		for (i = 0; i < (size_t)ret; i++, found++) {
			EXPECT_EQ((uintptr_t)area + found * 10 * PAGE, region[i].start);
			EXPECT_EQ(region[i].start + PAGE, region[i].end);
		}
		EXPECT_EQ(nr / 10 - found, dirty(area, nr));
		arg.start = arg.walk_end;
	} while (arg.walk_end < arg.end);
	EXPECT_EQ(nr / 10, found);

	/* some pages only are wanted */
	write_every(1, area, nr);
	arg.start = (uintptr_t)area;
	arg.max_pages = 100;
	ASSERT_EQ(1, pagemap_scan(pagemap_fd, &arg));
	EXPECT_EQ((uintptr_t)area + 100 * PAGE, region[0].end);
	EXPECT_EQ(region[0].end, arg.walk_end);
	EXPECT_EQ(0, dirty(area, 100));
	EXPECT_EQ(nr - 100, dirty(area + 100 * PAGE, nr - 100));
}

TEST_F(shadow_dirty, pages_that_do_not_match_stay_dirty)
{
	size_t nr = 100;
	char *area = clean_pages(nr, 1);
	struct pm_scan_arg arg = {
		.flags = PM_SCAN_CLEAR_SHADOW_DIRTY,
		.start = (uintptr_t)area, .end = (uintptr_t)area + nr * PAGE,
		.category_mask = PAGE_IS_SHADOW_DIRTY | PAGE_IS_FILE,
	};

	write_every(3, area, nr);
	ASSERT_EQ(0, pagemap_scan(pagemap_fd, &arg));
	EXPECT_EQ(0, not_every(3, area, nr));
	/* no place to report, and whatever is present: all match */
	arg.category_mask = PAGE_IS_PRESENT;
	ASSERT_EQ(0, pagemap_scan(pagemap_fd, &arg));
	EXPECT_EQ(0, dirty(area, nr));
}

TEST_F(shadow_dirty, another_process_can_be_tracked)
{
	size_t nr = 64, i;
	char *area = map_small(nr);
	int go[2], done[2], fd;
	char c;
	pid_t pid;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(done));
	stamp(area, nr, 1);
	pid = fork();
	if (!pid) {
		close(go[1]);
		for (i = 2; read(go[0], &c, 1) == 1; i++) {
			write_every(i, area, nr);
			V_EQUAL(1, write(done[1], &c, 1));
		}
		_exit(0);
	}
	close(go[0]);
	fd = open_pagemap(pid);
	EXPECT_EQ(nr, scan_pages(fd, area, nr, PM_SCAN_CLEAR_SHADOW_DIRTY,
				 PAGE_IS_SHADOW_DIRTY, NULL));
	for (i = 2; i < 5; i++) {
		ASSERT_EQ(1, write(go[1], "g", 1));
		ASSERT_EQ(1, read(done[0], &c, 1));
		EXPECT_LT(0, scan_pages(fd, area, nr, PM_SCAN_CLEAR_SHADOW_DIRTY,
					PAGE_IS_SHADOW_DIRTY, seen));
		EXPECT_EQ(0, wrong(nr, i));
	}
	close(go[1]);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	close(fd);
	close(done[0]);
	close(done[1]);
}

VICTIM(idle)
{
	victim_ready();
}

TEST_F(shadow_dirty, exec_ends_the_tracking)
{
	void *page = (void *)VICTIM_PAGE_ADDR;
	int ready[2], fd;
	char c, dir[] = "/tmp/ckpt_test.XXXXXX";
	pid_t pid;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		close(pagemap_fd);
		pagemap_fd = open_pagemap(getpid());
		clean_pages(8, 1);
		close(pagemap_fd);
		execl("/proc/self/exe", "victim", "--victim", "idle", dir, "", NULL);
		_exit(124);
	}
	/* the pipe's other end is closed by exec */
	close(ready[1]);
	ASSERT_EQ(0, read(ready[0], &c, 1));
	close(ready[0]);
	fd = open_pagemap(pid);
	/* also where nothing is, as in any process that is not tracked */
	ASSERT_TRUE(WAIT_FOR(scan_pages(fd, page, 1, 0, PAGE_IS_SHADOW_DIRTY, NULL) == 1));
	EXPECT_EQ(1, scan_pages(fd, page, 1, PM_SCAN_CLEAR_SHADOW_DIRTY,
				PAGE_IS_SHADOW_DIRTY, NULL));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	close(fd);
	rmdir(dir);
}

TEST_F(shadow_dirty, a_checkpoint_that_tracks_makes_all_pages_dirty)
{
	void *page = (void *)VICTIM_PAGE_ADDR;
	struct checkpoint_args args;
	struct victim v;
	int fd;

	REQUIRE_REAL_CHECKPOINT();
	victim_init(&v);
	ASSERT_EQ(0, victim_start(&v, "idle"));
	fd = open_pagemap(v.pid);
	EXPECT_EQ(1, scan_pages(fd, page, 1, PM_SCAN_CLEAR_SHADOW_DIRTY,
				PAGE_IS_SHADOW_DIRTY, NULL));
	EXPECT_EQ(0, scan_pages(fd, page, 1, 0, PAGE_IS_SHADOW_DIRTY, NULL));
	args = checkpoint_args(&v, 0);
	args.tracker = CHECKPOINT_TRACKER_SHADOW;
	ASSERT_EQ(0, sys_checkpoint(v.pid, &args, sizeof(args)));
	EXPECT_EQ(1, scan_pages(fd, page, 1, 0, PAGE_IS_SHADOW_DIRTY, NULL));
	/* and user space can take it back */
	EXPECT_EQ(1, scan_pages(fd, page, 1, PM_SCAN_CLEAR_SHADOW_DIRTY,
				PAGE_IS_SHADOW_DIRTY, NULL));
	EXPECT_EQ(0, scan_pages(fd, page, 1, 0, PAGE_IS_SHADOW_DIRTY, NULL));
	close(fd);
	victim_cleanup(&v);
}

TEST_F(shadow_dirty, soft_dirty_bits_are_independent)
{
	size_t nr = 120;
	char *area = clean_pages(nr, 1);

	if (!are(PAGE_IS_SOFT_DIRTY, area, nr))
		SKIP(return, "kernel without CONFIG_MEM_SOFT_DIRTY");
	ASSERT_EQ(0, write_text("/proc/self/clear_refs", "4"));
	write_every(3, area, nr);
	EXPECT_EQ(0, not_every(3, area, nr));
	EXPECT_EQ(nr / 3, are(PAGE_IS_SOFT_DIRTY, area, nr));
	/* clearing one leaves the other */
	EXPECT_EQ(0, clear_not_every(3, area, nr));
	EXPECT_EQ(nr / 3, are(PAGE_IS_SOFT_DIRTY, area, nr));
	write_every(5, area, nr);
	ASSERT_EQ(0, write_text("/proc/self/clear_refs", "4"));
	EXPECT_EQ(0, are(PAGE_IS_SOFT_DIRTY, area, nr));
	EXPECT_EQ(0, not_every(5, area, nr));
}

TEST_F(shadow_dirty, write_protection_by_userfaultfd_is_independent)
{
	size_t nr = 120;
	char *area = clean_pages(nr, 1);
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)area, nr * PAGE }, .mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		SKIP(return, "kernel without asynchronous write protection");
	EXPECT_EQ(nr, scan_pages(pagemap_fd, area, nr, PM_SCAN_WP_MATCHING, PAGE_IS_WRITTEN,
				 NULL));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(4, area, nr);
	EXPECT_EQ(0, not_every(4, area, nr));
	EXPECT_EQ(nr / 4, are(PAGE_IS_WRITTEN, area, nr));
	EXPECT_EQ(0, clear_not_every(4, area, nr));
	EXPECT_EQ(nr / 4, are(PAGE_IS_WRITTEN, area, nr));
	write_every(3, area, nr);
	/* both at once, of those that are both */
	EXPECT_EQ(nr / 3, scan_pages(pagemap_fd, area, nr,
				     PM_SCAN_WP_MATCHING | PM_SCAN_CLEAR_SHADOW_DIRTY,
				     PAGE_IS_WRITTEN | PAGE_IS_SHADOW_DIRTY, seen));
	EXPECT_EQ(0, wrong(nr, 3));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(6, area, nr);
	EXPECT_EQ(0, not_every(6, area, nr));
	close(fd);
	EXPECT_EQ(0, not_every(6, area, nr));
}

/* ---- where entries come from ---- */

TEST_F(shadow_dirty, memory_given_up_is_absent_and_born_dirty_again)
{
	size_t nr = 100;
	char *area = clean_pages(nr, 1);

	ASSERT_EQ(0, madvise(area, nr * PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, are(PAGE_IS_PRESENT, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(5, area, nr);
	EXPECT_EQ(0, not_every(5, area, nr));
	ASSERT_EQ(area, mmap(area, nr * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, dirty(area, nr));
	EXPECT_EQ(0, are(PAGE_IS_PRESENT, area, nr));
	write_every(3, area, nr);
	EXPECT_EQ(0, not_every(3, area, nr));
	ASSERT_EQ(0, madvise(area, nr * PAGE, MADV_POPULATE_WRITE));
	EXPECT_EQ(nr, dirty(area, nr));
}

TEST_F(shadow_dirty, the_page_of_zeros_is_not_dirty)
{
	size_t nr = 100;
	char *area = clean_pages(nr, 1), *huge = map_huge(1, MADV_HUGEPAGE);

	ASSERT_EQ(0, madvise(area, nr * PAGE, MADV_DONTNEED));
	read_all(area, nr);
	EXPECT_EQ(nr, are(PAGE_IS_PFNZERO, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(4, area, nr);
	EXPECT_EQ(0, not_every(4, area, nr));

	read_all(huge, 1);
	EXPECT_EQ(IN_HUGE, are(PAGE_IS_PFNZERO, huge, IN_HUGE));
	EXPECT_EQ(0, clear(huge, IN_HUGE));
	/* written to, it is a page or all pages */
	huge[7 * PAGE] = 1;
	EXPECT_LE(1, clear(huge, IN_HUGE));
	EXPECT_EQ(1, seen[7]);
	EXPECT_EQ(0, dirty(huge, IN_HUGE));
}

TEST_F(shadow_dirty, private_mappings_of_files)
{
	char path[128];
	size_t nr = 64;
	char *area;
	int fd;

	snprintf(path, sizeof(path), "%s/shadow_dirty.XXXXXX", disk_dir());
	fd = mkostemp(path, O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, nr * PAGE));
	area = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, area);
	clear(area, nr);
	read_all(area, nr);
	EXPECT_EQ(nr, are(PAGE_IS_FILE, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(4, area, nr);
	EXPECT_EQ(0, not_every(4, area, nr));
	EXPECT_EQ(0, clear_not_every(4, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(8, area, nr);
	EXPECT_EQ(0, not_every(8, area, nr));
	/* the file's contents again */
	ASSERT_EQ(0, madvise(area, nr * PAGE, MADV_DONTNEED));
	read_all(area, nr);
	EXPECT_EQ(0, dirty(area, nr));
	unlink(path);
	close(fd);
}

TEST_F(shadow_dirty, shared_memory_is_always_dirty)
{
	size_t nr = 32;
	char *area;
	int fd;

	fd = memfd_create("memory", MFD_CLOEXEC);
	ASSERT_EQ(0, ftruncate(fd, nr * PAGE));
	area = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, area);
	write_every(4, area, nr);
	clear(area, nr);
	EXPECT_EQ(nr, clear(area, nr));
	EXPECT_EQ(nr, dirty(area, nr));
	madvise(area, nr * PAGE, MADV_DONTNEED);
	EXPECT_EQ(nr, dirty(area, nr));
	close(fd);

	area = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	EXPECT_EQ(nr, clear(area, nr));
	EXPECT_EQ(nr, dirty(area, nr));
}

TEST_F(shadow_dirty, what_cannot_be_tracked_is_always_dirty)
{
	struct uring u;
	char *area, *buffer = map_small(1);
	aio_context_t context = 0;
	int fd;

	/* rings of the kernel: mappings that are not ordinary memory */
	if (uring_open(&u, buffer, PAGE)) {
		clear(u.sqes, 1);
		EXPECT_EQ(1, dirty(u.sqes, 1));
		uring_close(&u);
	}
	if (!syscall(__NR_io_setup, 1, &context)) {
		clear((void *)context, 1);
		EXPECT_EQ(1, dirty((void *)context, 1));
		syscall(__NR_io_destroy, context);
	}
	area = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	if (area != MAP_FAILED) {
		clear(area, 4);
		EXPECT_EQ(4, dirty(area, 4));
	}
	fd = syscall(__NR_memfd_secret, O_CLOEXEC);
	if (fd >= 0) {
		ASSERT_EQ(0, ftruncate(fd, PAGE));
		area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ASSERT_NE(MAP_FAILED, area);
		clear(area, 1);
		EXPECT_EQ(1, dirty(area, 1));
		close(fd);
	}
	EXPECT_EQ(1, clear(buffer, 1));
	EXPECT_TRUE(WAIT_FOR(clear(buffer, 1) == 0));
}

TEST_F(shadow_dirty, huge_pages_of_hugetlb_are_always_dirty)
{
	static const char file[] = "/proc/sys/vm/nr_hugepages";
	char *area;

	if (write_text(file, "2"))
		SKIP(return, "kernel without hugetlbfs");
	area = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
		    -1, 0);
	if (area != MAP_FAILED) {
		area[0] = 1;
		clear(area, IN_HUGE);
		EXPECT_EQ(IN_HUGE, clear(area, IN_HUGE));
		EXPECT_EQ(IN_HUGE, dirty(area, IN_HUGE));
		munmap(area, HUGE);
	}
	write_text(file, "0");
	if (area == MAP_FAILED)
		SKIP(return, "no memory in pieces of 2 MB");
}

/* ---- entries that change ---- */

TEST_F(shadow_dirty, changes_of_protection_carry)
{
	size_t nr = 300, len = nr * PAGE;
	char *area = clean_pages(nr, 1);

	write_every(3, area, nr);
	ASSERT_EQ(0, mprotect(area, len, PROT_READ));
	EXPECT_EQ(0, not_every(3, area, nr));
	EXPECT_EQ(0, clear_not_every(3, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	ASSERT_EQ(0, mprotect(area, len, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(5, area, nr);
	ASSERT_EQ(0, mprotect(area, len, PROT_NONE));
	EXPECT_EQ(0, not_every(5, area, nr));
	EXPECT_EQ(0, clear_not_every(5, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	ASSERT_EQ(0, mprotect(area, len, PROT_READ | PROT_WRITE | PROT_EXEC));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(2, area, nr);
	EXPECT_EQ(0, not_every(2, area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
}

TEST_F(shadow_dirty, changes_of_a_huge_pages_protection_carry)
{
	char *area = huge_page(1);

	if (!is_huge(area))
		SKIP(return, "no huge pages");
	/* begin to track, without clearing anything of it */
	clear(map_small(1), 1);
	ASSERT_EQ(0, mprotect(area, HUGE, PROT_READ));
	EXPECT_EQ(IN_HUGE, dirty(area, IN_HUGE));
	ASSERT_EQ(0, mprotect(area, HUGE, PROT_NONE));
	EXPECT_EQ(IN_HUGE, dirty(area, IN_HUGE));
	ASSERT_EQ(0, mprotect(area, HUGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(IN_HUGE, dirty(area, IN_HUGE));
	EXPECT_TRUE(is_huge(area));
}

TEST_F(shadow_dirty, a_child_is_not_tracked_until_it_tracks_itself)
{
	size_t nr = 200;
	char *area = clean_pages(nr, 1);
	int status;
	pid_t pid;

	write_every(2, area, nr);
	pid = fork();
	if (!pid) {
		pagemap_fd = open_pagemap(getpid());
		V_EQUAL(nr, dirty(area, nr));
		V_EQUAL(nr, clear(area, nr));
		V_EQUAL(0, dirty(area, nr));
		write_every(4, area, nr);
		V_EQUAL(0, clear_not_every(4, area, nr));
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, not_every(2, area, nr));
}

TEST_F(shadow_dirty, fork_and_copy_on_write_carry)
{
	size_t nr = 200;
	char *area = clean_pages(nr, 1);
	pid_t pid;

	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(0, dirty(area, nr));
	/* copies */
	write_every(6, area, nr);
	EXPECT_EQ(0, not_every(6, area, nr));
	EXPECT_EQ(0, clear_not_every(6, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	/* pages that nobody else has any more */
	write_every(9, area, nr);
	EXPECT_EQ(0, not_every(9, area, nr));
	/* dirty before */
	pid = fork();
	if (!pid)
		_exit(0);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(0, clear_not_every(9, area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
}

TEST_F(shadow_dirty, madv_free_carries_and_loses_nothing)
{
	size_t nr = 256, i;
	char *area = clean_pages(nr, 1), device[32];
	bool swap = swap_on(device, sizeof(device));

	write_every(2, area, nr);
	ASSERT_EQ(0, madvise(area, nr * PAGE, MADV_FREE));
	EXPECT_EQ(0, not_every(2, area, nr));
	clear(area, nr);
	for (i = 0; i < nr; i += 4)
		stamp(area + i * PAGE, 1, i);
	EXPECT_EQ(0, not_every(4, area, nr));
	clear(area, nr);
	/* those that were not written to again go, and no other */
	ASSERT_EQ(0, madvise(area, nr * PAGE, MADV_PAGEOUT));
	for (i = 0; i < nr; i += 4)
		EXPECT_EQ(0, not_stamped(area + i * PAGE, 1, i));
	EXPECT_EQ(0, dirty(area, nr));
	if (swap)
		swap_off(device);
}

TEST_F(shadow_dirty, madv_free_of_a_huge_page_carries)
{
	char *area = huge_page(1);

	if (!is_huge(area))
		SKIP(return, "no huge pages");
	/* begin to track, without clearing anything of it */
	clear(map_small(1), 1);
	ASSERT_EQ(0, madvise(area, HUGE, MADV_FREE));
	EXPECT_EQ(IN_HUGE, dirty(area, IN_HUGE));
}

TEST_F(shadow_dirty, moved_page_tables_are_dirty)
{
	char *place = map_huge(8, MADV_NOHUGEPAGE), *area, *moved;
	size_t nr = 2 * IN_HUGE;

	area = clean(place, nr, 1);
	moved = mremap(area, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + 4 * HUGE);
	ASSERT_EQ(place + 4 * HUGE, moved);
	EXPECT_EQ(nr, dirty(moved, nr));
	EXPECT_EQ(nr, clear(moved, nr));
	EXPECT_EQ(0, dirty(moved, nr));
	/* not by tables */
	area = mremap(moved, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + 3 * PAGE);
	ASSERT_EQ(place + 3 * PAGE, area);
	EXPECT_EQ(nr, dirty(area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
}

/* Somewhere at a multiple of 1 GB. */
static char *map_gigabytes(size_t nr)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	char *area = mmap(NULL, (nr + 1) * GB, PROT_NONE, flags, -1, 0);

	V_CHECK(area != MAP_FAILED);
	area = (char *)(((uintptr_t)area + GB - 1) & ~(GB - 1));
	V_CHECK(mmap(area, GB, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0) == area);
	V_SYS(madvise(area, GB, MADV_NOHUGEPAGE));
	return area;
}

TEST_F(shadow_dirty, moved_tables_of_page_tables_are_dirty)
{
	char *area = map_gigabytes(3), *moved;
	size_t i, nr = 16;

	for (i = 0; i < nr; i++)
		stamp(area + i * 60 * MB, 1, i);
	EXPECT_EQ(nr, clear(area, GB / PAGE));
	EXPECT_EQ(0, dirty(area, GB / PAGE));
	moved = mremap(area, GB, GB, MREMAP_MAYMOVE | MREMAP_FIXED, area + 2 * GB);
	ASSERT_EQ(area + 2 * GB, moved);
	EXPECT_EQ(nr, clear(moved, GB / PAGE));
	EXPECT_EQ(0, dirty(moved, GB / PAGE));
	for (i = 0; i < nr; i++)
		EXPECT_EQ(0, not_stamped(moved + i * 60 * MB, 1, i));
}

TEST_F(shadow_dirty, moved_pages_leave_nothing_behind)
{
	size_t nr = 64, len = nr * PAGE;
	char *area = clean_pages(nr, 1), *other = map_small(nr);

	ASSERT_EQ(other, mremap(area, len, len, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
				other));
	EXPECT_EQ(nr, dirty(other, nr));
	EXPECT_EQ(0, dirty(area, nr));
	EXPECT_EQ(0, are(PAGE_IS_PRESENT, area, nr));
	EXPECT_EQ(0, not_stamped(other, nr, 1));
	write_every(3, area, nr);
	EXPECT_EQ(0, not_every(3, area, nr));
}

/* ---- huge pages ---- */

TEST_F(shadow_dirty, a_huge_page_is_known_page_by_page_once_cleared)
{
	char *area = huge_page(1);
	pid_t pid;

	if (!is_huge(area))
		SKIP(return, "no huge pages");
	EXPECT_EQ(IN_HUGE, clear(area, IN_HUGE));
	EXPECT_EQ(0, dirty(area, IN_HUGE));
	write_every(50, area, IN_HUGE);
	EXPECT_EQ(0, not_every(50, area, IN_HUGE));
	clear(area, IN_HUGE);
	/* many entries of one large page at once */
	pid = fork();
	if (!pid)
		_exit(0);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(0, dirty(area, IN_HUGE));
	write_every(64, area, IN_HUGE);
	EXPECT_EQ(0, not_every(64, area, IN_HUGE));
	EXPECT_EQ(0, not_stamped(area, IN_HUGE, 1));
}

TEST_F(shadow_dirty, part_of_a_huge_page_is_cleared)
{
	char *area = huge_page(1);

	if (!is_huge(area))
		SKIP(return, "no huge pages");
	EXPECT_EQ(20, clear(area + 10 * PAGE, 20));
	EXPECT_EQ(IN_HUGE - 20, dirty(area, IN_HUGE));
	EXPECT_EQ(0, seen[10] + seen[29]);
}

TEST_F(shadow_dirty, splitting_a_huge_page_carries)
{
	char *area = huge_page(1), *other = huge_page(2);

	if (!is_huge(area) || !is_huge(other))
		SKIP(return, "no huge pages");
	/* begin to track, without clearing anything of it */
	clear(map_small(1), 1);
	/* the entry */
	ASSERT_EQ(0, mprotect(area + 5 * PAGE, PAGE, PROT_READ));
	EXPECT_FALSE(is_huge(area));
	EXPECT_EQ(IN_HUGE, dirty(area, IN_HUGE));
	ASSERT_EQ(0, mprotect(area + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	clear(area, IN_HUGE);
	write_every(7, area, IN_HUGE);
	/* the page */
	if (!split_huge_pages(area, HUGE) || !split_huge_pages(other, HUGE))
		SKIP(return, "kernel without split_huge_pages in debugfs");
	EXPECT_EQ(0, not_every(7, area, IN_HUGE));
	EXPECT_FALSE(is_huge(other));
	EXPECT_EQ(IN_HUGE, dirty(other, IN_HUGE));
	EXPECT_EQ(0, not_stamped(area, IN_HUGE, 1));
	EXPECT_EQ(0, not_stamped(other, IN_HUGE, 2));
}

TEST_F(shadow_dirty, a_huge_page_made_of_small_ones_has_what_they_had)
{
	char *area = map_huge(1, MADV_NOHUGEPAGE);

	clean(area, IN_HUGE, 1);
	write_every(100, area, IN_HUGE);
	ASSERT_EQ(0, madvise(area, HUGE, MADV_HUGEPAGE));
	if (madvise(area, HUGE, MADV_COLLAPSE))
		SKIP(return, "not collapsed");
	EXPECT_TRUE(is_huge(area));
	EXPECT_EQ(IN_HUGE, clear(area, IN_HUGE));
	EXPECT_EQ(0, dirty(area, IN_HUGE));
	EXPECT_EQ(0, not_stamped(area, IN_HUGE, 1));
}

TEST_F(shadow_dirty, khugepaged_leaves_alone_what_is_tracked)
{
	static const char scan[] = "/sys/kernel/mm/transparent_hugepage/khugepaged/"
				   "scan_sleep_millisecs";
	char *area = map_huge(2, MADV_NOHUGEPAGE), before[32] = "";
	int status;
	pid_t pid;

	if (read_text(scan, before, sizeof(before)) <= 0)
		SKIP(return, "no huge pages");
	stamp(area, 2 * IN_HUGE, 1);
	clear(area, 2 * IN_HUGE);
	ASSERT_EQ(0, madvise(area, 2 * HUGE, MADV_HUGEPAGE));
	/* a child with the same memory, not tracked, shows when khugepaged has been there */
	pid = fork();
	if (!pid) {
		char *control = map_huge(2, MADV_NOHUGEPAGE);

		pagemap_fd = open_pagemap(getpid());
		stamp(control, 2 * IN_HUGE, 1);
		V_SYS(madvise(control, 2 * HUGE, MADV_HUGEPAGE));
		_exit(!WAIT_FOR(is_huge(control) && is_huge(control + HUGE)));
	}
	write_text(scan, "10");
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	sleep_ms(500);
	write_text(scan, before);
	if (status)
		SKIP(return, "khugepaged does nothing");
	EXPECT_EQ(0, are(PAGE_IS_HUGE, area, 2 * IN_HUGE));
	EXPECT_EQ(0, dirty(area, 2 * IN_HUGE));
}

TEST_F(shadow_dirty, a_huge_page_that_is_moved_is_dirty)
{
	char *place = map_huge(4, MADV_HUGEPAGE), *moved;

	stamp(place, IN_HUGE, 1);
	if (!is_huge(place))
		SKIP(return, "no huge pages");
	clear(map_small(1), 1);
	moved = mremap(place, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + 2 * HUGE);
	ASSERT_EQ(place + 2 * HUGE, moved);
	EXPECT_EQ(IN_HUGE, clear(moved, IN_HUGE));
	EXPECT_EQ(0, dirty(moved, IN_HUGE));
	EXPECT_EQ(0, not_stamped(moved, IN_HUGE, 1));
}

/* Large folios mapped by page: the kernel goes over their entries in batches. */
TEST_F(shadow_dirty, pages_of_64_kb_are_known_by_4_kb)
{
	static const char enabled[] =
		"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled";
	char *area, device[32];
	size_t nr = 512;
	bool swap;
	pid_t pid;

	if (write_text(enabled, "always"))
		SKIP(return, "no pages of 64 kB");
	area = map_rw(nr * PAGE);
	clean(area, nr, 1);
	write_every(3, area, nr);
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(0, not_every(3, area, nr));
	write_every(6, area, nr);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(0, clear_not_every(3, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(5, area, nr);
	ASSERT_EQ(0, mprotect(area, nr * PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(area, nr * PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, not_every(5, area, nr));
	swap = swap_on(device, sizeof(device));
	if (swap) {
		ASSERT_EQ(0, madvise(area, nr * PAGE, MADV_PAGEOUT));
		EXPECT_LT(nr / 2, in_swap(area, nr));
		EXPECT_EQ(0, not_every(5, area, nr));
		EXPECT_EQ(0, clear_not_every(5, area, nr));
		EXPECT_EQ(0, dirty(area, nr));
		EXPECT_EQ(0, not_stamped(area, nr, 1));
		EXPECT_EQ(0, dirty(area, nr));
		swap_off(device);
	}
	write_text(enabled, "never");
}

/* ---- who writes without the entry ---- */

static int data_file(char *path, size_t size, size_t nr, uint64_t seed)
{
	char *data = map_rw(nr * PAGE);
	int fd;

	stamp(data, nr, seed);
	snprintf(path, size, "%s/shadow_dirty.XXXXXX", disk_dir());
	fd = V_SYS(mkostemp(path, O_CLOEXEC));
	V_CHECK(write(fd, data, nr * PAGE) == (ssize_t)(nr * PAGE));
	V_SYS(fsync(fd));
	close(fd);
	munmap(data, nr * PAGE);
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

TEST_F(shadow_dirty, direct_io_into_pages)
{
	char path[128], *area = clean_pages(IN_HUGE, 1);
	int fd = data_file(path, sizeof(path), IN_HUGE, 2);

	if (fd < 0)
		SKIP(unlink(path); return, "no file system with O_DIRECT");
	ASSERT_EQ(HUGE, pread(fd, area, HUGE, 0));
	EXPECT_EQ(IN_HUGE, dirty(area, IN_HUGE));
	EXPECT_EQ(0, not_stamped(area, IN_HUGE, 2));
	clear(area, IN_HUGE);
	EXPECT_EQ(0, dirty(area, IN_HUGE));
	ASSERT_EQ(PAGE, pread(fd, area + 17 * PAGE, PAGE, 0));
	EXPECT_EQ(1, dirty(area, IN_HUGE));
	EXPECT_EQ(1, seen[17]);
	clear(area, IN_HUGE);
	read_by_aio(fd, area + 50 * PAGE, 2 * PAGE, 0);
	EXPECT_EQ(2, dirty(area, IN_HUGE));
	EXPECT_EQ(2, seen[50] + seen[51]);
	unlink(path);
	close(fd);
}

TEST_F(shadow_dirty, direct_io_into_huge_pages)
{
	char path[128], *area = huge_page(1);
	int fd = data_file(path, sizeof(path), IN_HUGE, 2);

	if (fd < 0)
		SKIP(unlink(path); return, "no file system with O_DIRECT");
	if (!is_huge(area))
		SKIP(unlink(path); return, "no huge pages");
	clear(area, IN_HUGE);
	EXPECT_EQ(0, dirty(area, IN_HUGE));
	ASSERT_EQ(HUGE, pread(fd, area, HUGE, 0));
	EXPECT_EQ(IN_HUGE, dirty(area, IN_HUGE));
	EXPECT_EQ(0, not_stamped(area, IN_HUGE, 2));
	clear(area, IN_HUGE);
	ASSERT_EQ(2 * PAGE, pread(fd, area + 3 * PAGE, 2 * PAGE, 0));
	EXPECT_EQ(2, dirty(area, IN_HUGE));
	EXPECT_EQ(2, seen[3] + seen[4]);
	unlink(path);
	close(fd);
}

TEST_F(shadow_dirty, direct_io_out_of_pages)
{
	char path[128], *area;
	int fd = data_file(path, sizeof(path), 64, 2);
	pid_t pid;

	if (fd < 0)
		SKIP(unlink(path); return, "no file system with O_DIRECT");
	area = clean_pages(64, 1);
	ASSERT_EQ(32 * PAGE, pwrite(fd, area, 32 * PAGE, 0));
	EXPECT_EQ(0, dirty(area, 64));
	/* pages shared with a child get unshared for it: dirty ones stay dirty */
	write_every(2, area, 64);
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	ASSERT_EQ(64 * PAGE, pwrite(fd, area, 64 * PAGE, 0));
	dirty(area, 64);
	for (size_t i = 0; i < 64; i += 2)
		EXPECT_EQ(1, seen[i]);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	clear(area, 64);
	EXPECT_EQ(0, dirty(area, 64));
	EXPECT_EQ(0, not_stamped(area, 64, 1));
	unlink(path);
	close(fd);
}

TEST_F(shadow_dirty, other_processes_and_the_kernel_write)
{
	size_t nr = 64;
	char *area = clean_pages(nr, 1), *from = map_small(1), *fresh;
	int fd[2];

	stamp(from, 1, 2);
	write_by_kernel(area + 5 * PAGE, from, PAGE);
	EXPECT_EQ(1, clear(area, nr));
	EXPECT_EQ(1, seen[5]);
	EXPECT_EQ(0, dirty(area, nr));
	write_by_proc(area + 9 * PAGE, from, PAGE);
	EXPECT_EQ(1, clear(area, nr));
	EXPECT_EQ(1, seen[9]);
	write_by_ptrace(area + 13 * PAGE, from, 64);
	EXPECT_EQ(1, clear(area, nr));
	EXPECT_EQ(1, seen[13]);
	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(PAGE, write(fd[1], from, PAGE));
	ASSERT_EQ(PAGE, read(fd[0], area + 20 * PAGE, PAGE));
	EXPECT_EQ(1, clear(area, nr));
	EXPECT_EQ(1, seen[20]);

	/* where the process itself may not */
	ASSERT_EQ(0, mprotect(area, nr * PAGE, PROT_READ));
	write_by_proc(area + 11 * PAGE, from, PAGE);
	EXPECT_EQ(1, clear(area, nr));
	EXPECT_EQ(1, seen[11]);
	write_by_ptrace(area + 12 * PAGE, from, 64);
	EXPECT_EQ(1, clear(area, nr));
	EXPECT_EQ(1, seen[12]);
	EXPECT_EQ(0, dirty(area, nr));
	EXPECT_EQ(0, memcmp(area + 11 * PAGE, from, PAGE));

	/* and there, pages that are new */
	fresh = map_small(8);
	ASSERT_EQ(0, mprotect(fresh, 8 * PAGE, PROT_READ));
	write_by_proc(fresh + 3 * PAGE, from, PAGE);
	EXPECT_EQ(1, clear(fresh, 8));
	EXPECT_EQ(1, seen[3]);
	read_all(fresh, 8);
	write_by_proc(fresh + 5 * PAGE, from, PAGE);
	EXPECT_EQ(1, dirty(fresh, 8));
	EXPECT_EQ(1, seen[5]);
	close(fd[0]);
	close(fd[1]);
}

static __attribute__((noinline)) void probed(void)
{
	__asm__ volatile("nop");
}

/* Where in the program's file the code at @addr is. */
static long file_offset(uintptr_t addr)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end, offset;
	char line[512];
	long found = -1;

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 &&
		    start <= addr && addr < end)
			found = addr - start + offset;
	if (maps)
		fclose(maps);
	return found;
}

TEST_F(shadow_dirty, breakpoints_in_code)
{
	static const char type[] = "/sys/bus/event_source/devices/uprobe/type";
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.uprobe_path = (uintptr_t)"/proc/self/exe",
		.probe_offset = file_offset((uintptr_t)probed),
	};
	char *page = (char *)((uintptr_t)probed & ~(PAGE - 1)), text[16];
	int fd;

	if (read_text(type, text, sizeof(text)) <= 0)
		SKIP(return, "kernel without uprobes");
	attr.type = atoi(text);
	probed();
	clear(page, 1);
	EXPECT_EQ(0, dirty(page, 1));
	fd = syscall(__NR_perf_event_open, &attr, getpid(), -1, -1, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, clear(page, 1));
	EXPECT_EQ(0, dirty(page, 1));
	close(fd);
}

TEST_F(shadow_dirty, pages_registered_for_io_stay_dirty)
{
	char path[128], *area;
	int fd = data_file(path, sizeof(path), 4, 2);
	size_t nr = 16;
	struct uring u;

	if (fd < 0)
		SKIP(unlink(path); return, "no file system with O_DIRECT");
	area = clean_pages(nr, 1);
	if (!uring_open(&u, area, 4 * PAGE))
		SKIP(unlink(path); return, "kernel without io_uring");
	EXPECT_EQ(4, dirty(area, nr));
	EXPECT_EQ(4, clear(area, nr));
	EXPECT_EQ(4, clear(area, nr));
	uring_read(&u, fd, area + PAGE, PAGE, PAGE);
	EXPECT_EQ(4, clear(area, nr));
	EXPECT_EQ(4, clear(area, nr));
	uring_close(&u);
	unlink(path);
	close(fd);
	/* until they are let go, which takes a moment */
	EXPECT_TRUE(WAIT_FOR(clear(area, nr) == 0));
	EXPECT_EQ(0, dirty(area, nr));
	area[2 * PAGE]++;
	EXPECT_EQ(1, dirty(area, nr));
}

/* Whoever has a reference might write, if it is not known what it is for. */
TEST_F(shadow_dirty, pages_somebody_has_got_stay_dirty)
{
	size_t nr = 16;
	char *area = clean_pages(nr, 1);
	struct iovec iov = { area, 4 * PAGE };
	int fd[2];

	write_every(1, area, nr);
	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(4 * PAGE, vmsplice(fd[1], &iov, 1, 0));
	EXPECT_EQ(nr, clear(area, nr));
	EXPECT_EQ(4, clear(area, nr));
	EXPECT_EQ(4, seen[0] + seen[1] + seen[2] + seen[3]);
	close(fd[0]);
	close(fd[1]);
	EXPECT_EQ(4, clear(area, nr));
	EXPECT_EQ(0, clear(area, nr));
}

TEST_F(shadow_dirty, userfaultfd_puts_pages_in_place)
{
	size_t nr = 16;
	char *area = map_small(nr), *from = clean_pages(nr, 1), *huge[2];

	if (uffd_open(map_small(1), PAGE) < 0)
		SKIP(return, "kernel without userfaultfd(2)");
	clear(area, nr);
	ASSERT_EQ(0, copy_by_uffd(area, from, 4 * PAGE));
	EXPECT_EQ(4, clear(area, nr));
	EXPECT_EQ(0, not_stamped(area, 4, 1));
	EXPECT_EQ(0, dirty(area, nr));
	ASSERT_EQ(0, zero_by_uffd(area + 4 * PAGE, PAGE));
	EXPECT_EQ(1, are(PAGE_IS_PFNZERO, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	if (move_by_uffd(area + 8 * PAGE, from, 4 * PAGE))
		SKIP(return, "kernel without UFFDIO_MOVE");
	EXPECT_EQ(4, clear(area, nr));
	EXPECT_EQ(4, seen[8] + seen[9] + seen[10] + seen[11]);
	EXPECT_EQ(0, not_stamped(area + 8 * PAGE, 4, 1));
	EXPECT_EQ(0, are(PAGE_IS_PRESENT, from, 4));

	huge[0] = huge_page(3);
	huge[1] = map_huge(1, MADV_HUGEPAGE);
	clear(huge[1], IN_HUGE);
	ASSERT_EQ(0, move_by_uffd(huge[1], huge[0], HUGE));
	EXPECT_EQ(IN_HUGE, clear(huge[1], IN_HUGE));
	EXPECT_EQ(0, dirty(huge[1], IN_HUGE));
	EXPECT_EQ(0, are(PAGE_IS_PRESENT, huge[0], IN_HUGE));
	EXPECT_EQ(0, not_stamped(huge[1], IN_HUGE, 3));
}

/* ---- pages that become others ---- */

TEST_F(shadow_dirty, merging_by_ksm_carries)
{
	size_t nr = 128, i;
	char *area = map_small(nr);

	for (i = 0; i < nr; i++)
		memset(area + i * PAGE, 42, PAGE);
	clear(area, nr);
	for (i = 0; i < nr; i += 4)
		area[i * PAGE] = 42;
	ASSERT_EQ(0, not_every(4, area, nr));
	if (madvise(area, nr * PAGE, MADV_MERGEABLE) || !ksm_on())
		SKIP(return, "kernel without KSM");
	EXPECT_TRUE(WAIT_FOR(ksm_shared() >= (long)nr - 1));
	write_text("/sys/kernel/mm/ksm/run", "0");
	EXPECT_EQ(0, not_every(4, area, nr));
	EXPECT_EQ(0, clear_not_every(4, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	for (i = 0; i < nr; i += 8)
		area[i * PAGE] = 1;
	EXPECT_EQ(0, not_every(8, area, nr));
	ksm_off();
	for (i = 0; i < nr; i += 8)
		EXPECT_EQ(1, area[i * PAGE]);
	for (i = 0; i < nr; i++)
		EXPECT_EQ(42, area[i * PAGE + 1]);
	dirty(area, nr);
	for (i = 0; i < nr; i += 8)
		EXPECT_EQ(1, seen[i]);
}

TEST_F(shadow_dirty, pages_that_ksm_replaces_by_zeros)
{
	static const char zeros[] = "/sys/kernel/mm/ksm/use_zero_pages";
	size_t nr = 64, i;
	char *area = map_small(nr);

	if (write_text(zeros, "1"))
		SKIP(return, "kernel without KSM");
	memset(area, 0, nr * PAGE);
	clear(area, nr);
	ASSERT_EQ(0, madvise(area, nr * PAGE, MADV_MERGEABLE));
	ksm_on();
	EXPECT_TRUE(WAIT_FOR(are(PAGE_IS_PFNZERO, area, nr) == (long)nr));
	write_text("/sys/kernel/mm/ksm/run", "0");
	EXPECT_EQ(0, dirty(area, nr));
	write_every(4, area, nr);
	EXPECT_EQ(0, not_every(4, area, nr));
	EXPECT_EQ(nr - nr / 4, are(PAGE_IS_PFNZERO, area, nr));
	EXPECT_EQ(0, clear_not_every(4, area, nr));
	ksm_off();
	write_text(zeros, "0");
	for (i = 0; i < nr; i++)
		EXPECT_EQ(i % 4 == 0, area[i * PAGE + 100]);
}

/* Physical page numbers. */
static void page_frames(const char *area, size_t nr, uint64_t *frames)
{
	V_CHECK(pread(pagemap_fd, frames, nr * 8, (uintptr_t)area / PAGE * 8) == (ssize_t)(nr * 8));
	while (nr--)
		frames[nr] &= (1ULL << 55) - 1;
}

static size_t moved_pages(const uint64_t *before, const uint64_t *after, size_t nr)
{
	size_t moved = 0;

	while (nr--)
		moved += before[nr] != after[nr];
	return moved;
}

TEST_F(shadow_dirty, compaction_carries)
{
	static uint64_t before[SEEN_MAX], after[SEEN_MAX];
	size_t nr = SEEN_MAX, moved = 0, tries;
	char *area;

	if (access("/proc/sys/vm/compact_memory", W_OK))
		SKIP(return, "kernel without compaction");
	for (tries = 0; !moved && tries < 8; tries++) {
		area = clean_pages(nr, 1);
		write_every(10, area, nr);
		page_frames(area, nr, before);
		write_text("/proc/sys/vm/compact_memory", "1");
		page_frames(area, nr, after);
		moved = moved_pages(before, after, nr);
		EXPECT_EQ(0, clear_not_every(10, area, nr));
		EXPECT_EQ(0, dirty(area, nr));
		EXPECT_EQ(0, not_stamped(area, nr, 1));
	}
	test_log("%zu of %zu pages moved", moved, nr);
	EXPECT_LT(0, moved);
}

TEST_F(shadow_dirty, migration_to_another_node_carries)
{
	static uint64_t before[SEEN_MAX], after[SEEN_MAX];
	char *area, *huge = huge_page(2);
	size_t nr = 512;
	int node;

	if (nr_nodes() < 2)
		SKIP(return, "machine with one node");
	area = clean_pages(nr, 1);
	for (node = 0; node < 4; node++) {
		write_every(3, area, nr);
		page_frames(area, nr, before);
		move_to_node(area, nr, node % 2);
		page_frames(area, nr, after);
		EXPECT_EQ(0, clear_not_every(3, area, nr));
		EXPECT_EQ(0, dirty(area, nr));
		EXPECT_EQ(0, not_stamped(area, nr, 1));
		if (node)
			EXPECT_LT(nr / 2, moved_pages(before, after, nr));
	}
	/* in one piece */
	if (!is_huge(huge))
		SKIP(return, "no huge pages");
	for (node = 0; node < 2; node++) {
		move_to_node(huge, 1, node);
		EXPECT_EQ(IN_HUGE, dirty(huge, IN_HUGE));
	}
	EXPECT_EQ(0, not_stamped(huge, IN_HUGE, 2));
}

/* ---- swap ---- */

FIXTURE(in_swap)
{
	char device[128];
};

/* By way of the swap cache, and past it. */
FIXTURE_VARIANT(in_swap)
{
	bool (*on)(char *path, size_t size);
	void (*off)(const char *path);
};

FIXTURE_VARIANT_ADD(in_swap, zram)
{
	.on = swap_on, .off = swap_off,
};

FIXTURE_VARIANT_ADD(in_swap, file)
{
	.on = swap_file_on, .off = swap_file_off,
};

FIXTURE_SETUP(in_swap)
{
	REQUIRE_SHADOW_DIRTY();
	pagemap_fd = open_pagemap(getpid());
	if (!variant->on(self->device, sizeof(self->device)))
		SKIP(return, "nothing to swap to");
}

FIXTURE_TEARDOWN(in_swap)
{
	variant->off(self->device);
	close(pagemap_fd);
}

/* Most of them are, at least. */
/* Most of the pages: somebody may be busy with one or the other at any time. */
static bool page_out(char *area, size_t nr)
{
	int i;

	for (i = 0; i < 50; i++) {
		drain_lru();
		V_SYS(madvise(area, nr * PAGE, MADV_PAGEOUT));
		if (in_swap(area, nr) > nr / 2)
			return true;
		sleep_ms(20);
	}
	return false;
}

TEST_F(in_swap, clean_pages_are_clean_there_and_after)
{
	size_t nr = 512;
	char *area = clean_pages(nr, 1);

	ASSERT_TRUE(page_out(area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	EXPECT_EQ(0, clear(area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(3, area, nr);
	EXPECT_EQ(0, not_every(3, area, nr));
}

TEST_F(in_swap, dirty_pages_are_dirty_there_and_after)
{
	size_t nr = 512;
	char *area = clean_pages(nr, 1);

	write_every(3, area, nr);
	ASSERT_TRUE(page_out(area, nr));
	EXPECT_EQ(0, not_every(3, area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
	EXPECT_EQ(0, clear_not_every(3, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
}

TEST_F(in_swap, pages_are_cleared_there)
{
	size_t nr = 512;
	char *area = clean_pages(nr, 1);

	write_every(5, area, nr);
	ASSERT_TRUE(page_out(area, nr));
	EXPECT_EQ(0, clear_not_every(5, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
	EXPECT_EQ(0, dirty(area, nr));
	write_every(4, area, nr);
	EXPECT_EQ(0, not_every(4, area, nr));
}

/* What was cleared is still dirty for the kernel, and has to be written to swap again. */
TEST_F(in_swap, clearing_loses_no_contents)
{
	size_t nr = 512, i;
	char *area = clean_pages(nr, 1);

	for (i = 2; i < 8; i++) {
		ASSERT_TRUE(page_out(area, nr));
		EXPECT_EQ(0, not_stamped(area, nr, i - 1));
		stamp(area, nr, i);
		clear(area, nr);
	}
	ASSERT_TRUE(page_out(area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, i - 1));
}

TEST_F(in_swap, swapoff_carries)
{
	size_t nr = 256;
	char *area = clean_pages(nr, 1);

	write_every(3, area, nr);
	ASSERT_TRUE(page_out(area, nr));
	ASSERT_EQ(0, swapoff(self->device));
	EXPECT_EQ(0, in_swap(area, nr));
	EXPECT_EQ(0, clear_not_every(3, area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
}

TEST_F(in_swap, changes_of_protection_carry)
{
	size_t nr = 256;
	char *area = clean_pages(nr, 1);

	write_every(3, area, nr);
	ASSERT_TRUE(page_out(area, nr));
	ASSERT_EQ(0, mprotect(area, nr * PAGE, PROT_NONE));
	ASSERT_EQ(0, mprotect(area, nr * PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, not_every(3, area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
	EXPECT_EQ(0, not_every(3, area, nr));
}

TEST_F(in_swap, fork_carries)
{
	size_t nr = 256;
	char *area = clean_pages(nr, 1);
	int status;
	pid_t pid;

	write_every(3, area, nr);
	ASSERT_TRUE(page_out(area, nr));
	pid = fork();
	if (!pid) {
		pagemap_fd = open_pagemap(getpid());
		V_EQUAL(nr, clear(area, nr));
		V_EQUAL(0, not_stamped(area, nr, 1));
		write_every(4, area, nr);
		V_EQUAL(0, not_every(4, area, nr));
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, not_every(3, area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
	EXPECT_EQ(0, not_every(3, area, nr));
}

TEST_F(in_swap, pages_moved_are_dirty)
{
	size_t nr = 64, len = nr * PAGE;
	char *area = clean_pages(nr, 1), *other = map_small(nr);

	ASSERT_TRUE(page_out(area, nr));
	ASSERT_EQ(other, mremap(area, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, other));
	EXPECT_EQ(nr, clear(other, nr));
	EXPECT_EQ(0, dirty(other, nr));
	EXPECT_EQ(0, not_stamped(other, nr, 1));
	if (uffd_open(map_small(1), PAGE) < 0)
		return;
	area = map_small(nr);
	ASSERT_TRUE(page_out(other, nr));
	if (move_by_uffd(area, other, len))
		SKIP(return, "kernel without UFFDIO_MOVE");
	EXPECT_EQ(nr, clear(area, nr));
	EXPECT_EQ(0, dirty(area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
}

TEST_F(in_swap, page_tables_moved_are_dirty)
{
	char *area = map_huge(3, MADV_NOHUGEPAGE);

	clean(area, IN_HUGE, 1);
	ASSERT_TRUE(page_out(area, IN_HUGE));
	ASSERT_EQ(area + 2 * HUGE, mremap(area, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED,
					  area + 2 * HUGE));
	area += 2 * HUGE;
	EXPECT_EQ(IN_HUGE, clear(area, IN_HUGE));
	EXPECT_EQ(0, dirty(area, IN_HUGE));
	EXPECT_EQ(0, not_stamped(area, IN_HUGE, 1));
}

TEST_F(in_swap, huge_pages)
{
	char *area = huge_page(1);

	if (!is_huge(area))
		SKIP(return, "no huge pages");
	clear(map_small(1), 1);
	ASSERT_TRUE(page_out(area, IN_HUGE));
	EXPECT_EQ(IN_HUGE, dirty(area, IN_HUGE));
	EXPECT_EQ(0, not_stamped(area, IN_HUGE, 1));
	EXPECT_EQ(IN_HUGE, clear(area, IN_HUGE));
	EXPECT_EQ(0, dirty(area, IN_HUGE));

	/* mapped by page, but still one */
	area = huge_page(2);
	clear(area, IN_HUGE);
	write_every(64, area, IN_HUGE);
	ASSERT_TRUE(page_out(area, IN_HUGE));
	EXPECT_EQ(0, not_every(64, area, IN_HUGE));
	EXPECT_EQ(0, not_stamped(area, IN_HUGE, 2));
	EXPECT_EQ(0, not_every(64, area, IN_HUGE));
}

TEST_F(in_swap, changed_pages_of_a_file)
{
	size_t nr = 64;
	char path[128], *area;
	int fd = data_file(path, sizeof(path), nr, 1);

	ASSERT_LE(0, fd);
	area = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, area);
	clear(area, nr);
	write_every(2, area, nr);
	EXPECT_EQ(0, clear_not_every(2, area, nr));
	write_every(4, area, nr);
	ASSERT_EQ(0, madvise(area, nr * PAGE, MADV_PAGEOUT));
	EXPECT_LT(nr / 4, in_swap(area, nr));
	EXPECT_EQ(0, not_every(4, area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
	EXPECT_EQ(0, not_every(4, area, nr));
	unlink(path);
	close(fd);
}

TEST_F(in_swap, shared_memory)
{
	size_t nr = 32;
	char *area = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);

	ASSERT_NE(MAP_FAILED, area);
	stamp(area, nr, 1);
	clear(area, nr);
	ASSERT_EQ(0, madvise(area, nr * PAGE, MADV_PAGEOUT));
	EXPECT_EQ(nr, clear(area, nr));
	EXPECT_EQ(nr, dirty(area, nr));
	EXPECT_EQ(0, not_stamped(area, nr, 1));
}

CKPT_TEST_MAIN
