// SPDX-License-Identifier: GPL-2.0
/*
 * The query for what a process writes to, ckpt_dirty_open(3) and the functions that
 * belong to it, on the kernel that it is for.
 *
 * CKPT_TEST_COUNT in the environment says how many scans the test of a live mirror
 * makes.
 */
#include <pthread.h>

#include <liblinuxcr.h>

#include "ckpt_test.h"
#include "ckpt_memory.h"
#include "ckpt_chain.h"

#define ALL	UINT64_MAX
#define CLEAR	CKPT_DIRTY_CLEAR
#define EMPTY	CKPT_DIRTY_WITH_EMPTY

FIXTURE(dirty)
{
	struct ckpt_dirty *dirty;	/* about the test itself */
	struct ckpt_dirty *other;	/* about another process */
	struct victim v;
	char *area;			/* for the tests, AREA pages */
	char seen[1100];
};

#define AREA	16

FIXTURE_SETUP(dirty)
{
	victim_init(&self->v);
	self->dirty = ckpt_dirty_open(0);
	if (!self->dirty && errno == ENOTSUP)
		SKIP(return, "kernel without CONFIG_SHADOW_DIRTY");
	ASSERT_NE(NULL, self->dirty);
	self->area = mmap(NULL, AREA * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->area);
	ASSERT_EQ(0, madvise(self->area, AREA * PAGE, MADV_NOHUGEPAGE));
}

FIXTURE_TEARDOWN(dirty)
{
	victim_cleanup(&self->v);
	ckpt_dirty_close(self->dirty);
	ckpt_dirty_close(self->other);
}

/*
 * What a query says of some pages, a letter for each: w written to, e empty, - nothing.
 * So many ranges are asked for in one call.
 */
static const char *look_by(struct ckpt_dirty *dirty, const void *area, size_t pages,
			   unsigned int flags, size_t nr, char *seen)
{
	uint64_t start = (uintptr_t)area, addr = start, end = start + pages * PAGE;
	struct ckpt_dirty_range range[64];
	int i, found;

	memset(seen, '-', pages);
	seen[pages] = '\0';
	while (addr < end) {
		found = ckpt_dirty_get(dirty, &addr, end, flags, range, nr);
		if (found < 0)
			return strerror(errno);
		for (i = 0; i < found; i++) {
			if (range[i].addr < start || range[i].addr + range[i].length > addr ||
			    (range[i].addr | range[i].length) % PAGE)
				return "a range that was not asked for";
			memset(seen + (range[i].addr - start) / PAGE,
			       range[i].kind == CKPT_DIRTY_WRITTEN ? 'w' : 'e',
			       range[i].length / PAGE);
		}
	}
	return seen;
}

#define LOOK_AT(area, pages, flags)	look_by(self->dirty, area, pages, flags, 64, self->seen)
#define LOOK(flags)			LOOK_AT(self->area, AREA, flags)

static void touch(char *area, size_t page)
{
	*(volatile char *)(area + page * PAGE) += 1;
}

static void touch_all(char *area, size_t pages)
{
	while (pages--)
		touch(area, pages);
}

/* ---- what is found ---- */

TEST_F(dirty, until_it_begins_everything_has_been_written_to)
{
	touch_all(self->area, 4);
	EXPECT_STREQ("wwwwwwwwwwwwwwww", LOOK(0));
	EXPECT_STREQ("wwwwwwwwwwwwwwww", LOOK(EMPTY));
	EXPECT_STREQ("wwwwwwwwwwwwwwww", LOOK(0));
}

TEST_F(dirty, when_it_has_begun_nothing_has)
{
	touch_all(self->area, AREA);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	EXPECT_STREQ("----------------", LOOK(0));
	EXPECT_STREQ("----------------", LOOK(EMPTY));
	touch(self->area, 3);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	EXPECT_STREQ("----------------", LOOK(0));
}

TEST_F(dirty, pages_written_to_are_found_until_they_are_cleared)
{
	touch_all(self->area, AREA);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	touch(self->area, 1);
	touch(self->area, 2);
	touch(self->area, 15);
	EXPECT_STREQ("-ww------------w", LOOK(0));
	touch(self->area, 9);
	EXPECT_STREQ("-ww------w-----w", LOOK(EMPTY));
	/* only what has been asked for is cleared */
	EXPECT_STREQ("-ww-", LOOK_AT(self->area, 4, CLEAR));
	EXPECT_STREQ("---------w-----w", LOOK(CLEAR));
	EXPECT_STREQ("----------------", LOOK(CLEAR));
	touch(self->area, 1);
	EXPECT_STREQ("-w--------------", LOOK(CLEAR | EMPTY));
	EXPECT_STREQ("----------------", LOOK(CLEAR | EMPTY));
}

TEST_F(dirty, clearing_begins_too)
{
	touch_all(self->area, AREA);
	EXPECT_STREQ("wwwwwwww", LOOK_AT(self->area, 8, CLEAR));
	touch(self->area, 2);
	EXPECT_STREQ("--w-----wwwwwwww", LOOK(0));
}

TEST_F(dirty, pages_that_are_read_are_not_found)
{
	volatile char *area = self->area;
	char sum = 0;
	int i;

	touch_all(self->area, 8);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	for (i = 0; i < 12; i++)
		sum += area[i * PAGE];
	EXPECT_EQ(8, sum);
	EXPECT_STREQ("----------------", LOOK(0));
	EXPECT_STREQ("--------eeeeeeee", LOOK(EMPTY));
}

TEST_F(dirty, few_ranges_at_a_time_are_all_ranges)
{
	char other[AREA + 1];
	int i, nr;

	touch_all(self->area, AREA);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	for (nr = 1; nr < 6; nr++) {
		ASSERT_EQ(0, madvise(self->area + 4 * PAGE, 2 * PAGE, MADV_DONTNEED));
		for (i = 0; i < AREA; i += 2 + i % 3)
			touch(self->area, i);
		LOOK(EMPTY);
		EXPECT_EQ(AREA, (int)strlen(self->seen));
		EXPECT_STREQ(self->seen, look_by(self->dirty, self->area, AREA, EMPTY, nr, other));
		EXPECT_STREQ(self->seen, look_by(self->dirty, self->area, AREA, CLEAR | EMPTY, nr,
						 other));
		EXPECT_NE(NULL, strchr(other, 'w'));
		look_by(self->dirty, self->area, AREA, CLEAR, nr, other);
		EXPECT_STREQ("----------------", other);
	}
}

TEST_F(dirty, all_of_the_address_space_can_be_asked_for)
{
	uint64_t mine = (uintptr_t)self->area + 5 * PAGE, addr, last = 0;
	struct ckpt_dirty_range range[3];
	int i, n, seen = 0;

	touch_all(self->area, AREA);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	touch(self->area, 5);
	for (addr = 0; addr < ALL; ) {
		n = ckpt_dirty_get(self->dirty, &addr, ALL, CLEAR, range, 3);
		ASSERT_LE(0, n);
		for (i = 0; i < n; i++) {
			ASSERT_LE(last, range[i].addr);
			last = range[i].addr + range[i].length;
			if (mine >= range[i].addr && mine < last) {
				EXPECT_EQ(CKPT_DIRTY_WRITTEN, range[i].kind);
				EXPECT_EQ(mine, range[i].addr);
				EXPECT_EQ(PAGE, range[i].length);
				seen++;
			}
		}
	}
	EXPECT_EQ(1, seen);
}

TEST_F(dirty, what_the_kernel_and_others_write_is_found)
{
	struct iovec remote, local;
	char byte = 1;
	int fd, status;
	pid_t pid;

	touch_all(self->area, AREA);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT_EQ(1, read(fd, self->area + 2 * PAGE, 1));
	close(fd);
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_EQ(1, pwrite(fd, &byte, 1, (uintptr_t)self->area + 4 * PAGE));
	close(fd);
	pid = fork();
	if (!pid) {
		local = (struct iovec){ &byte, 1 };
		remote = (struct iovec){ self->area + 6 * PAGE, 1 };
		_exit(process_vm_writev(getppid(), &local, 1, &remote, 1, 0) != 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_STREQ("--w-w-w---------", LOOK(CLEAR));
	EXPECT_STREQ("----------------", LOOK(CLEAR));
}

TEST_F(dirty, what_was_thrown_away_is_empty)
{
	volatile char *area = self->area;

	touch_all(self->area, AREA);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	ASSERT_EQ(0, madvise(self->area, 2 * PAGE, MADV_DONTNEED));
	EXPECT_STREQ("ee--------------", LOOK(EMPTY));
	EXPECT_STREQ("----------------", LOOK(0));
	/* zeros are in it now */
	EXPECT_EQ(0, area[0]);
	EXPECT_STREQ("ee--------------", LOOK(CLEAR | EMPTY));
	area[0] = 0;
	EXPECT_STREQ("we--------------", LOOK(CLEAR | EMPTY));
	EXPECT_STREQ("-e--------------", LOOK(CLEAR | EMPTY));
	/* another mapping in its place */
	ASSERT_EQ(self->area + 8 * PAGE,
		  mmap(self->area + 8 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	touch(self->area, 9);
	EXPECT_STREQ("-e------ewee----", LOOK(EMPTY));
	/* and none */
	ASSERT_EQ(0, munmap(self->area + 12 * PAGE, 2 * PAGE));
	EXPECT_STREQ("-e------ewee----", LOOK(EMPTY));
}

TEST_F(dirty, a_private_mapping_of_a_file_is_empty_where_it_is_the_file)
{
	volatile char *area;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file", self->v.dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 6 * PAGE));
	ASSERT_EQ(1, pwrite(fd, "x", 1, PAGE));
	area = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	ASSERT_NE(MAP_FAILED, area);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	EXPECT_EQ('x', area[PAGE]);
	EXPECT_STREQ("------", LOOK_AT((char *)area, 6, 0));
	EXPECT_STREQ("eeeeee", LOOK_AT((char *)area, 6, EMPTY));
	area[PAGE]++;
	area[4 * PAGE]++;
	EXPECT_STREQ("-w--w-", LOOK_AT((char *)area, 6, 0));
	EXPECT_STREQ("eweewe", LOOK_AT((char *)area, 6, CLEAR | EMPTY));
	EXPECT_STREQ("e-ee-e", LOOK_AT((char *)area, 6, EMPTY));
	ASSERT_EQ(0, madvise((char *)area, 2 * PAGE, MADV_DONTNEED));
	EXPECT_EQ('x', area[PAGE]);
	EXPECT_STREQ("eeee-e", LOOK_AT((char *)area, 6, EMPTY));
}

TEST_F(dirty, shared_memory_has_always_been_written_to)
{
	char *area = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, area);
	touch(area, 1);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	EXPECT_STREQ("wwww", LOOK_AT(area, 4, CLEAR));
	EXPECT_STREQ("wwww", LOOK_AT(area, 4, CLEAR | EMPTY));
}

TEST_F(dirty, pages_that_were_moved_have_been_written_to)
{
	char *area;

	touch_all(self->area, AREA);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	area = mremap(self->area + 8 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      self->area + 2 * PAGE);
	ASSERT_EQ(self->area + 2 * PAGE, area);
	EXPECT_STREQ("--wwww----------", LOOK(CLEAR | EMPTY));
	EXPECT_STREQ("----------------", LOOK(EMPTY));
}

TEST_F(dirty, one_byte_in_a_huge_page_is_one_page)
{
	char expected[513], *area;

	area = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	area = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
	ASSERT_EQ(0, madvise(area, HUGE, MADV_HUGEPAGE));
	fill(area, HUGE, 1);
	memset(expected, '-', 512);
	expected[512] = '\0';
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	EXPECT_STREQ(expected, LOOK_AT(area, 512, EMPTY));
	touch(area, 77);
	expected[77] = 'w';
	EXPECT_STREQ(expected, LOOK_AT(area, 512, CLEAR | EMPTY));
	/* zeros in a huge page of their own */
	ASSERT_EQ(0, madvise(area, HUGE, MADV_DONTNEED));
	EXPECT_EQ(0, *(volatile char *)area);
	memset(expected, 'e', 512);
	EXPECT_STREQ(expected, LOOK_AT(area, 512, CLEAR | EMPTY));
}

TEST_F(dirty, pages_in_swap_space_are_neither_empty_nor_written_to)
{
	char device[32];
	bool swapped;
	int i;

	if (!swap_on(device, sizeof(device)))
		SKIP(return, "no zram device to swap on");
	touch_all(self->area, AREA);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	touch(self->area, 3);
	swapped = WAIT_FOR(!madvise(self->area, AREA * PAGE, MADV_PAGEOUT) &&
			   proc_value(getpid(), "status", "VmSwap") >= AREA * 4);
	EXPECT_STREQ("---w------------", LOOK(EMPTY));
	EXPECT_STREQ("---w------------", LOOK(CLEAR));
	EXPECT_STREQ("----------------", LOOK(EMPTY));
	touch(self->area, 5);
	EXPECT_STREQ("-----w----------", LOOK(EMPTY));
	for (i = 0; i < AREA; i++)
		EXPECT_EQ(1 + (i == 3 || i == 5), self->area[i * PAGE]);
	swap_off(device);
	EXPECT_TRUE(swapped);
}

/* ---- of whom ---- */

/* Writes to those of AREA pages that the test names. */
enum { W_AREA, W_PAGE, W_TIMES };

VICTIM(writer)
{
	char *area = map_small(AREA);

	touch_all(area, AREA);
	vpage->word[W_AREA] = (uintptr_t)area;
	for (;;) {
		victim_ready();
		touch(area, vpage->word[W_PAGE]);
		vpage->word[W_TIMES]++;
	}
}

static int writer_touch(struct victim *v, int page)
{
	return victim_set_word(v, W_PAGE, page) ? -1 : victim_next(v);
}

TEST_F(dirty, another_process_can_be_asked_about)
{
	struct victim *v = &self->v;
	char *area;

	ASSERT_EQ(0, victim_start(v, "writer"));
	area = (char *)victim_word(v, W_AREA);
	self->other = ckpt_dirty_open(v->pid);
	ASSERT_NE(NULL, self->other);
	ASSERT_EQ(0, ckpt_dirty_begin(self->other));
	EXPECT_STREQ("----------------", look_by(self->other, area, AREA, EMPTY, 64, self->seen));
	ASSERT_EQ(0, writer_touch(v, 7));
	EXPECT_STREQ("-------w--------", look_by(self->other, area, AREA, CLEAR, 64, self->seen));
	ASSERT_EQ(0, writer_touch(v, 8));
	ASSERT_EQ(0, writer_touch(v, 0));
	/* one query is as good as another */
	ckpt_dirty_close(self->other);
	self->other = ckpt_dirty_open(v->pid);
	ASSERT_NE(NULL, self->other);
	EXPECT_STREQ("w-------w-------", look_by(self->other, area, AREA, 0, 64, self->seen));

	ASSERT_EQ(0, victim_kill(v));
	EXPECT_EQ(-1, ckpt_dirty_begin(self->other));
	EXPECT_EQ(ESRCH, errno);
	EXPECT_STREQ(strerror(ESRCH), look_by(self->other, area, AREA, CLEAR, 64, self->seen));
}

TEST_F(dirty, a_query_ends_with_exec)
{
	char path[64], text[32];
	pid_t pid;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	pid = fork();
	if (!pid) {
		if (read(p[0], text, 1) == 1)
			execl("/bin/sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	self->other = ckpt_dirty_open(pid);
	ASSERT_NE(NULL, self->other);
	ASSERT_EQ(0, ckpt_dirty_begin(self->other));
	EXPECT_STREQ("eeeeeeeeeeeeeeee",
		     look_by(self->other, self->area, AREA, EMPTY, 64, self->seen));
	ASSERT_EQ(1, write(p[1], "x", 1));
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	ASSERT_TRUE(WAIT_FOR(read_text(path, text, sizeof(text)) > 0 && !strcmp(text, "sleep\n")));
	EXPECT_EQ(-1, ckpt_dirty_begin(self->other));
	EXPECT_EQ(ESRCH, errno);
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
}

/* In the child of a process that is tracked; its exit status */
static int child_looks(struct ckpt_dirty *of_parent, char *area)
{
	struct ckpt_dirty *mine = ckpt_dirty_open(0);
	char seen[AREA + 1];

	if (!mine)
		return 1;
	touch(area, 4);
	touch(area, 5);
	/* that is in the child's memory only, which is not tracked */
	if (strcmp("-w--------------", look_by(of_parent, area, AREA, 0, 64, seen)))
		return 2;
	if (strcmp("wwwwwwwwwwwwwwww", look_by(mine, area, AREA, 0, 64, seen)))
		return 3;
	if (ckpt_dirty_begin(mine))
		return 4;
	touch(area, 6);
	if (strcmp("------w---------", look_by(mine, area, AREA, CLEAR, 64, seen)))
		return 5;
	if (strcmp("-w--------------", look_by(of_parent, area, AREA, 0, 64, seen)))
		return 6;
	return 0;
}

TEST_F(dirty, a_child_has_a_query_about_its_parent)
{
	int status;
	pid_t pid;

	touch_all(self->area, AREA);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	touch(self->area, 1);
	pid = fork();
	if (!pid)
		_exit(child_looks(self->dirty, self->area));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* a copy is made of a page that both have */
	touch(self->area, 2);
	EXPECT_STREQ("-ww-------------", LOOK(CLEAR | EMPTY));
}

#define USER	1000

TEST_F(dirty, who_may_not_look_into_a_process_is_told_so)
{
	pid_t pid, parent = getpid();
	int status;

	pid = fork();
	if (!pid) {
		if (setresgid(USER, USER, USER) || setresuid(USER, USER, USER))
			_exit(1);
		if (ckpt_dirty_open(parent) || errno != EACCES)
			_exit(2);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(NULL, ckpt_dirty_open(-5));
	EXPECT_EQ(EINVAL, errno);
	/* it has been reaped */
	EXPECT_EQ(NULL, ckpt_dirty_open(pid));
	EXPECT_EQ(ESRCH, errno);
	/* kthreadd */
	EXPECT_EQ(NULL, ckpt_dirty_open(2));
	EXPECT_EQ(ESRCH, errno);
}

/* ---- together with the kernel's trackers ---- */

FIXTURE(beside)
{
	struct victim v;
	struct chain c;
	struct ckpt_dirty *dirty;
	char *area;
	char seen[AREA + 1];
};

FIXTURE_SETUP(beside)
{
	struct ckpt_dirty *mine = ckpt_dirty_open(0);

	REQUIRE_REAL_CHECKPOINT();
	if (!mine && errno == ENOTSUP)
		SKIP(return, "kernel without CONFIG_SHADOW_DIRTY");
	ASSERT_NE(NULL, mine);
	ckpt_dirty_close(mine);
	victim_init(&self->v);
	ASSERT_EQ(0, victim_start(&self->v, "writer"));
	self->area = (char *)victim_word(&self->v, W_AREA);
	self->dirty = ckpt_dirty_open(self->v.pid);
	ASSERT_NE(NULL, self->dirty);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
}

FIXTURE_TEARDOWN(beside)
{
	ckpt_dirty_close(self->dirty);
	victim_cleanup(&self->v);
	chain_cleanup(&self->c);
}

TEST_F(beside, what_checkpoints_take_away_has_been_written_to)
{
	self->c.tracker = CHECKPOINT_TRACKER_SHADOW;
	ASSERT_EQ(0, writer_touch(&self->v, 3));
	EXPECT_STREQ("---w------------", LOOK(0));
	ASSERT_EQ(0, chain_image(&self->v, &self->c, 0));
	EXPECT_STREQ("wwwwwwwwwwwwwwww", LOOK(0));
	ASSERT_EQ(0, chain_image(&self->v, &self->c, 0));
	EXPECT_STREQ("wwwwwwwwwwwwwwww", LOOK(CLEAR));
	EXPECT_STREQ("----------------", LOOK(0));
	EXPECT_EQ(-ESTALE, chain_try_image(&self->v, &self->c, 0));
	ASSERT_EQ(0, writer_touch(&self->v, 5));
	EXPECT_STREQ("-----w----------", LOOK(CLEAR));
}

TEST_F(beside, other_trackers_do_not_disturb_it)
{
	char path[64];

	self->c.tracker = CHECKPOINT_TRACKER_WRITE_PROTECT;
	ASSERT_EQ(0, chain_image(&self->v, &self->c, 0));
	ASSERT_EQ(0, writer_touch(&self->v, 3));
	ASSERT_EQ(0, chain_image(&self->v, &self->c, 0));
	ASSERT_EQ(0, writer_touch(&self->v, 4));
	EXPECT_STREQ("---ww-----------", LOOK(CLEAR));
	/* nor does it them */
	ASSERT_EQ(0, chain_image(&self->v, &self->c, 0));
	chain_begin(&self->c);
	self->c.tracker = CHECKPOINT_TRACKER_NONE;
	ASSERT_EQ(0, chain_image(&self->v, &self->c, 0));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	EXPECT_STREQ("----------------", LOOK(0));
	/* soft-dirty bits */
	ASSERT_EQ(0, writer_touch(&self->v, 6));
	snprintf(path, sizeof(path), "/proc/%d/clear_refs", self->v.pid);
	ASSERT_EQ(0, write_text(path, "4"));
	ASSERT_EQ(0, writer_touch(&self->v, 7));
	EXPECT_STREQ("------ww--------", LOOK(CLEAR));
	ASSERT_EQ(0, writer_touch(&self->v, 7));
	EXPECT_STREQ("-------w--------", LOOK(CLEAR));
}

TEST_F(beside, nothing_is_tracked_after_a_restart)
{
	struct victim *v = &self->v;

	ASSERT_EQ(0, victim_cycle(v, true));
	EXPECT_EQ(-1, ckpt_dirty_begin(self->dirty));
	EXPECT_EQ(ESRCH, errno);
	ckpt_dirty_close(self->dirty);
	self->dirty = ckpt_dirty_open(v->pid);
	ASSERT_NE(NULL, self->dirty);
	EXPECT_STREQ("wwwwwwwwwwwwwwww", LOOK(0));
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	ASSERT_EQ(0, writer_touch(v, 2));
	EXPECT_STREQ("--w-------------", LOOK(0));
}

/* Looks at itself; word 0 on: what it has seen. */
VICTIM(has_a_query)
{
	struct ckpt_dirty *dirty = ckpt_dirty_open(0);
	char seen[AREA + 1], *area;

	V_CHECK(dirty);
	area = mmap(NULL, AREA * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	V_CHECK(area != MAP_FAILED);
	touch_all(area, AREA);
	V_EQUAL(0, ckpt_dirty_begin(dirty));
	victim_ready();
	touch(area, 3);
	memcpy((void *)vpage->word, look_by(dirty, area, AREA, 0, 64, seen), sizeof(seen));
	victim_ready();
}

static const char *seen_by_itself(struct victim *v, bool restart)
{
	static long word[3];
	int i;

	if (victim_start(v, "has_a_query") || victim_cycle(v, restart) || victim_next(v))
		return "failed";
	for (i = 0; i < 3; i++)
		word[i] = victim_word(v, i);
	return victim_finish(v) ? "failed at the end" : (const char *)word;
}

TEST_F(beside, a_query_goes_on_after_a_checkpoint)
{
	ASSERT_EQ(0, victim_kill(&self->v));
	EXPECT_STREQ("---w------------", seen_by_itself(&self->v, false));
}

TEST_F(beside, everything_has_been_written_to_after_a_restart)
{
	ASSERT_EQ(0, victim_kill(&self->v));
	EXPECT_STREQ("wwwwwwwwwwwwwwww", seen_by_itself(&self->v, true));
}

/* ---- while it is written to ---- */

#define LIVE_PAGES	512
#define WRITERS		2

static char *live_area;
static volatile bool live_stop;
static unsigned long live_writes[WRITERS];

/* Writes to random pages, and now and then throws some away. */
static void *live_writer(void *arg)
{
	unsigned int seed = (unsigned long)arg + 1;
	unsigned long *writes = &live_writes[(unsigned long)arg];
	size_t page;

	while (!live_stop) {
		page = rand_r(&seed) % LIVE_PAGES;
		if (++*writes % 1000)
			((volatile unsigned long *)(live_area + page * PAGE))[rand_r(&seed) % 512] =
				*writes;
		else
			madvise(live_area + page * PAGE, 3 * PAGE, MADV_DONTNEED);
	}
	return NULL;
}

/* Bring the mirror up to date; the number of pages, or -1. */
static long live_copy(struct ckpt_dirty *dirty, char *mirror)
{
	uint64_t start = (uintptr_t)live_area, addr = start, end = start + LIVE_PAGES * PAGE;
	struct ckpt_dirty_range range[64];
	long pages = 0;
	int i, n;

	while (addr < end) {
		n = ckpt_dirty_get(dirty, &addr, end, CLEAR | EMPTY, range, 64);
		if (n < 0)
			return -1;
		for (i = 0; i < n; i++) {
			char *to = mirror + (range[i].addr - start);

			if (range[i].kind == CKPT_DIRTY_WRITTEN) {
				memcpy(to, (char *)(uintptr_t)range[i].addr, range[i].length);
				pages += range[i].length / PAGE;
			} else {
				memset(to, 0, range[i].length);
			}
		}
	}
	return pages;
}

TEST_F(dirty, a_mirror_of_memory_that_is_written_to_is_right_in_the_end)
{
	int i, count = the_count(50);
	char *mirror = calloc(LIVE_PAGES, PAGE);
	pthread_t thread[WRITERS];
	unsigned long t;
	long copied = 0;

	live_area = mmap(NULL, (LIVE_PAGES + 3) * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, live_area);
	fill(live_area, LIVE_PAGES * PAGE, 1);
	ASSERT_EQ(0, ckpt_dirty_begin(self->dirty));
	memcpy(mirror, live_area, LIVE_PAGES * PAGE);
	for (t = 0; t < WRITERS; t++)
		ASSERT_EQ(0, pthread_create(&thread[t], NULL, live_writer, (void *)t));
	for (i = 0; i < count; i++) {
		long pages = live_copy(self->dirty, mirror);

		ASSERT_LE(0, pages);
		copied += pages;
	}
	live_stop = true;
	for (t = 0; t < WRITERS; t++)
		pthread_join(thread[t], NULL);
	ASSERT_LE(0, live_copy(self->dirty, mirror));
	test_log("%lu and %lu writes, %ld pages copied", live_writes[0], live_writes[1], copied);
	EXPECT_LT(0, copied);
	EXPECT_EQ(0, memcmp(mirror, live_area, LIVE_PAGES * PAGE));
	EXPECT_EQ(0, live_copy(self->dirty, mirror));
	free(mirror);
}

CKPT_TEST_MAIN
