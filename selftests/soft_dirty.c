// SPDX-License-Identifier: GPL-2.0
/*
 * Soft-dirty bits: two places where they used to get lost.  What clears them is 4 in
 * /proc/PID/clear_refs; bit 55 of an entry in /proc/PID/pagemap shows them.
 */
#include "ckpt_test.h"
#include "ckpt_memory.h"

#define GB		(1024 * MB)
#define IN_HUGE		512UL		/* pages in a huge one */
#define PM_SOFT_DIRTY	(1ULL << 55)

/* How many of @nr pages @step apart are soft-dirty. */
static size_t soft_dirty(const char *area, size_t nr, size_t step)
{
	size_t i, found = 0;

	for (i = 0; i < nr; i++)
		found += !!(pagemap(area + i * step * PAGE) & PM_SOFT_DIRTY);
	return found;
}

static void clear(void)
{
	V_EQUAL(0, write_text("/proc/self/clear_refs", "4"));
}

FIXTURE(soft_dirty)
{
	char *page;
};

FIXTURE_SETUP(soft_dirty)
{
	self->page = map_small(1);
	self->page[0] = 1;
	if (!soft_dirty(self->page, 1, 1))
		SKIP(return, "kernel without CONFIG_MEM_SOFT_DIRTY");
}

FIXTURE_TEARDOWN(soft_dirty)
{
	munmap(self->page, PAGE);
}

static char *move(char *from, char *to, size_t len)
{
	return mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

TEST_F(soft_dirty, moved_pages_are_soft_dirty)
{
	char *area = map_huge(4, MADV_NOHUGEPAGE), *to = area + 2 * HUGE + PAGE;

	memset(area, 1, HUGE);
	clear();
	ASSERT_EQ(0, soft_dirty(area, IN_HUGE, 1));
	ASSERT_EQ(to, move(area, to, HUGE));
	EXPECT_EQ(IN_HUGE, soft_dirty(to, IN_HUGE, 1));
}

/* They used to be as they were before. */
TEST_F(soft_dirty, moved_page_tables_are_soft_dirty)
{
	char *area = map_huge(4, MADV_NOHUGEPAGE), *to = area + 2 * HUGE;

	memset(area, 1, HUGE);
	clear();
	ASSERT_EQ(0, soft_dirty(area, IN_HUGE, 1));
	ASSERT_EQ(to, move(area, to, HUGE));
	EXPECT_EQ(IN_HUGE, soft_dirty(to, IN_HUGE, 1));
	clear();
	EXPECT_EQ(0, soft_dirty(to, IN_HUGE, 1));
	EXPECT_EQ(1, to[HUGE - 1]);
}

TEST_F(soft_dirty, moved_tables_of_page_tables_are_soft_dirty)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	size_t i, nr = 16, step = 60 * MB;
	char *area, *to;

	area = mmap(NULL, 4 * GB, PROT_NONE, flags, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	area = (char *)(((uintptr_t)area + GB - 1) & ~(GB - 1));
	to = area + 2 * GB;
	ASSERT_EQ(area, mmap(area, GB, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, madvise(area, GB, MADV_NOHUGEPAGE));
	for (i = 0; i < nr; i++)
		area[i * step] = i + 1;
	clear();
	ASSERT_EQ(0, soft_dirty(area, nr, step / PAGE));
	ASSERT_EQ(to, move(area, to, GB));
	EXPECT_EQ(nr, soft_dirty(to, nr, step / PAGE));
	for (i = 0; i < nr; i++)
		EXPECT_EQ(i + 1, to[i * step]);
}

TEST_F(soft_dirty, moved_huge_pages_are_soft_dirty)
{
	char *area = map_huge(4, MADV_HUGEPAGE), *to = area + 2 * HUGE;

	memset(area, 1, HUGE);
	clear();
	ASSERT_EQ(to, move(area, to, HUGE));
	EXPECT_EQ(IN_HUGE, soft_dirty(to, IN_HUGE, 1));
}

/* All but one of them used not to be. */
TEST_F(soft_dirty, merged_pages_stay_soft_dirty)
{
	size_t nr = 64, i;
	char *area = map_small(nr);

	memset(area, 42, nr * PAGE);
	clear();
	ASSERT_EQ(0, soft_dirty(area, nr, 1));
	for (i = 0; i < nr; i += 2)
		*(volatile char *)(area + i * PAGE) = 42;
	ASSERT_EQ(nr / 2, soft_dirty(area, nr, 1));
	if (madvise(area, nr * PAGE, MADV_MERGEABLE) || !ksm_on())
		SKIP(return, "kernel without KSM");
	/* the mapping, changed by that, is soft-dirty as a whole */
	EXPECT_TRUE(WAIT_FOR(ksm_shared() >= (long)nr - 1));
	write_text("/sys/kernel/mm/ksm/run", "0");
	EXPECT_EQ(nr / 2, soft_dirty(area, nr, 1));
	clear();
	EXPECT_EQ(0, soft_dirty(area, nr, 1));
	ksm_off();
}

CKPT_TEST_MAIN
