// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that its owner has excluded, by ckpt_exclude(3): it is in no image, a
 * restarted process has an empty mapping in its place, and nothing else suffers.
 */
#include <sys/auxv.h>

#include <liblinuxcr.h>

#include "ckpt_memory.h"
#include "ckpt_chain.h"

#define REQUIRE_EXCLUSION()						\
	do {								\
		if (ckpt_exclude(NULL, 0) && errno == ENOTSUP)		\
			SKIP(return, "kernel without MADV_DONTCHECKPOINT"); \
	} while (0)

/* What victim and test say to each other. */
enum {
	W_LOST,			/* a restart is going to take away what is excluded */
	W_INCLUDE,		/* include it again */
	W_STOP, W_AREA, W_CHILD,
};

static void exclude(char *area, size_t pages)
{
	V_SYS(ckpt_exclude(area, pages * PAGE));
}

static void include(char *area, size_t pages)
{
	V_SYS(ckpt_include(area, pages * PAGE));
}

static bool excluded(const char *area)
{
	return vm_flag(area, "nk");
}

/* Excluded memory that had been filled, after a checkpoint */
static void check_excluded(int line, const char *area, size_t pages, uint64_t seed)
{
	size_t i;

	for (i = 0; i < pages; i++)
		if (!excluded(area + i * PAGE))
			victim_fail(line, "page %zu is not excluded", i);
	if (!vpage->word[W_LOST])
		check_filled(line, area, pages * PAGE, seed);
	else if (!all_zero(area, pages * PAGE))
		victim_fail(line, "excluded memory has contents");
}

#define CHECK_EXCLUDED(area, pages, seed) check_excluded(__LINE__, area, pages, seed)

/* ---- what becomes of it ---- */

CKPT_FIXTURE(exclude)

/* The victim knows whether it will be restarted. */
static long exclude_cycle(struct victim *v, int restart)
{
	victim_set_word(v, W_LOST, restart && !dry_run());
	return victim_cycle(v, restart);
}

/* A promise about what the process itself can see. */
#define EXCLUDED(promise)						\
	VICTIM(promise);						\
	TEST_F(exclude, promise)					\
	{								\
		REQUIRE_EXCLUSION();					\
		ASSERT_EQ(0, victim_live_by(&self->v, #promise, exclude_cycle, \
					    variant->restart));		\
	}								\
	static void victim_##promise(void)

EXCLUDED(contents_are_lost_in_a_restart_and_the_mapping_stays)
{
	char before[256], after[256];
	char *area = map_small(16);

	fill(area, 16 * PAGE, 1);
	exclude(area + 4 * PAGE, 8);
	V_CHECK(!excluded(area + 3 * PAGE) && !excluded(area + 12 * PAGE));
	smaps(area + 4 * PAGE, "VmFlags", before, sizeof(before));
	victim_ready();
	smaps(area + 4 * PAGE, "VmFlags", after, sizeof(after));
	V_CHECK(!strcmp(before, after));
	V_EQUAL(8 * PAGE / KB, smaps(area + 4 * PAGE, "Size", NULL, 0));
	V_CHECK(!excluded(area + 3 * PAGE) && !excluded(area + 12 * PAGE));
	CHECK_FILLED(area, 4 * PAGE, 1);
	V_EQUAL(pattern(1, 12 * PAGE / 8), *(uint64_t *)(area + 12 * PAGE));
	V_EQUAL(pattern(1, 16 * PAGE / 8 - 1), *(uint64_t *)(area + 16 * PAGE - 8));
	if (vpage->word[W_LOST])
		V_CHECK(all_zero(area + 4 * PAGE, 8 * PAGE));
	else
		CHECK_FILLED(area, 16 * PAGE, 1);
	/* and can be used again */
	fill(area, 16 * PAGE, 2);
	CHECK_FILLED(area, 16 * PAGE, 2);
}

EXCLUDED(it_stays_excluded_over_several_generations)
{
	char *area = map_small(8);
	int i;

	exclude(area, 8);
	for (i = 1; i < 4; i++) {
		fill(area, 8 * PAGE, i);
		victim_ready();
		CHECK_EXCLUDED(area, 8, i);
	}
}

EXCLUDED(a_private_mapping_of_a_file_shows_the_file)
{
	char path[128], *area, *buf = map_rw(8 * PAGE);
	int fd;

	snprintf(path, sizeof(path), "%s/file", victim_dir);
	fd = V_SYS(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	fill(buf, 8 * PAGE, 1);
	V_CHECK(write(fd, buf, 8 * PAGE) == 8 * PAGE);
	area = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	V_CHECK(area != MAP_FAILED);
	close(fd);
	fill(area + 2 * PAGE, 4 * PAGE, 2);
	exclude(area, 4);
	victim_ready();
	V_CHECK(excluded(area) && excluded(area + 3 * PAGE) && !excluded(area + 4 * PAGE));
	CHECK_FILLED(area, 2 * PAGE, 1);
	if (vpage->word[W_LOST])
		CHECK_FILLED(area, 4 * PAGE, 1);
	else
		V_EQUAL(pattern(2, 0), *(uint64_t *)(area + 2 * PAGE));
	/* written to and not excluded */
	V_EQUAL(pattern(2, 2 * PAGE / 8), *(uint64_t *)(area + 4 * PAGE));
	V_EQUAL(pattern(1, 6 * PAGE / 8), *(uint64_t *)(area + 6 * PAGE));
}

EXCLUDED(half_of_a_huge_page_can_be_excluded)
{
	char *area = map_rw(3 * HUGE);

	area = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
	V_SYS(madvise(area, 2 * HUGE, MADV_HUGEPAGE));
	fill(area, 2 * HUGE, 1);
	exclude(area + HUGE / 2, HUGE / PAGE);
	victim_ready();
	CHECK_FILLED(area, HUGE / 2, 1);
	V_EQUAL(pattern(1, 3 * HUGE / 16), *(uint64_t *)(area + 3 * HUGE / 2));
	V_EQUAL(pattern(1, HUGE / 4 - 1), *(uint64_t *)(area + 2 * HUGE - 8));
	V_CHECK(excluded(area + HUGE / 2) && excluded(area + HUGE));
	if (vpage->word[W_LOST])
		V_CHECK(all_zero(area + HUGE / 2, HUGE));
	else
		CHECK_FILLED(area, 2 * HUGE, 1);
}

EXCLUDED(memory_of_every_protection_can_be_excluded)
{
	char *none = map_small(4), *read_only = map_small(4), *locked = map_small(4);

	fill(none, 4 * PAGE, 1);
	fill(read_only, 4 * PAGE, 2);
	fill(locked, 4 * PAGE, 3);
	V_SYS(mprotect(none, 4 * PAGE, PROT_NONE));
	V_SYS(mprotect(read_only, 4 * PAGE, PROT_READ));
	V_SYS(mlock(locked, 4 * PAGE));
	exclude(none, 4);
	exclude(read_only, 4);
	exclude(locked, 4);
	victim_ready();
	V_CHECK(vm_flag(locked, "lo"));
	V_SYS(mprotect(none, 4 * PAGE, PROT_READ));
	CHECK_EXCLUDED(none, 4, 1);
	CHECK_EXCLUDED(read_only, 4, 2);
	CHECK_EXCLUDED(locked, 4, 3);
}

EXCLUDED(what_is_moved_stays_excluded)
{
	char *area = map_small(8), *to = map_small(16);

	fill(area, 8 * PAGE, 1);
	exclude(area, 8);
	V_CHECK(mremap(area, 8 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	V_CHECK(excluded(to + 11 * PAGE) && !excluded(to + 12 * PAGE));
	victim_ready();
	CHECK_EXCLUDED(to, 8, 1);
	V_CHECK(excluded(to + 11 * PAGE) && all_zero(to + 8 * PAGE, 4 * PAGE));
}

EXCLUDED(memory_mapped_in_its_place_is_not_excluded)
{
	char *area = map_small(8);

	fill(area, 8 * PAGE, 1);
	exclude(area, 8);
	V_SYS(munmap(area + 2 * PAGE, 4 * PAGE));
	V_CHECK(mmap(area + 2 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area + 2 * PAGE);
	fill(area + 2 * PAGE, 4 * PAGE, 2);
	victim_ready();
	CHECK_FILLED(area + 2 * PAGE, 4 * PAGE, 2);
	V_CHECK(!excluded(area + 2 * PAGE) && !excluded(area + 5 * PAGE));
	CHECK_EXCLUDED(area, 2, 1);
}

EXCLUDED(what_is_included_again_is_saved)
{
	char *area = map_small(8);

	fill(area, 8 * PAGE, 1);
	exclude(area, 8);
	victim_ready();
	CHECK_EXCLUDED(area, 8, 1);
	fill(area, 8 * PAGE, 2);
	include(area, 8);
	V_CHECK(!excluded(area));
	victim_ready();
	CHECK_FILLED(area, 8 * PAGE, 2);
	V_CHECK(!excluded(area) && !excluded(area + 7 * PAGE));
}

/* Only pages that are meant as a whole are excluded or included. */
EXCLUDED(whole_pages_are_excluded)
{
	char *area = map_small(8);

	fill(area, 8 * PAGE, 1);
	V_SYS(ckpt_exclude(area + 1, 4 * PAGE - 2));
	V_CHECK(!excluded(area) && excluded(area + PAGE) && excluded(area + 2 * PAGE) &&
		!excluded(area + 3 * PAGE));
	V_SYS(ckpt_include(area + PAGE, 2 * PAGE - 1));
	V_CHECK(!excluded(area + PAGE) && excluded(area + 2 * PAGE));
	V_SYS(ckpt_exclude(area + 5 * PAGE + 10, PAGE));
	V_CHECK(!excluded(area + 5 * PAGE) && !excluded(area + 6 * PAGE));
	victim_ready();
	CHECK_FILLED(area, 2 * PAGE, 1);
	V_CHECK(excluded(area + 2 * PAGE));
	V_EQUAL(vpage->word[W_LOST] ? 0 : pattern(1, 2 * PAGE / 8),
		*(uint64_t *)(area + 2 * PAGE));
	V_EQUAL(pattern(1, 3 * PAGE / 8), *(uint64_t *)(area + 3 * PAGE));
}

/* ---- what can be excluded ---- */

#define V_REFUSED(error, call)						\
	do {								\
		errno = 0;						\
		V_EQUAL(-1, call);					\
		V_EQUAL(error, errno);					\
	} while (0)

EXCLUDED(only_private_memory_can_be_excluded)
{
	char *area, path[128];
	int fd;

	area = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	V_CHECK(area != MAP_FAILED);
	V_REFUSED(EINVAL, ckpt_exclude(area, 2 * PAGE));
	V_REFUSED(EINVAL, ckpt_include(area, 2 * PAGE));
	V_CHECK(!excluded(area));

	snprintf(path, sizeof(path), "%s/file", victim_dir);
	fd = V_SYS(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	V_SYS(ftruncate(fd, PAGE));
	/* shared although it cannot be written to */
	V_SYS(close(fd));
	fd = V_SYS(open(path, O_RDONLY | O_CLOEXEC));
	area = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	V_CHECK(area != MAP_FAILED);
	close(fd);
	V_REFUSED(EINVAL, ckpt_exclude(area, PAGE));

	area = (char *)getauxval(AT_SYSINFO_EHDR);
	V_CHECK(area);
	V_REFUSED(EINVAL, ckpt_exclude(area, PAGE));

	area = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
	V_CHECK(area != MAP_FAILED);
	V_REFUSED(EINVAL, ckpt_exclude(area, HUGE));
	V_SYS(munmap(area, HUGE));
	victim_ready();
}

EXCLUDED(holes_are_reported)
{
	char *area = map_small(8);

	fill(area, 8 * PAGE, 1);
	V_SYS(munmap(area + 3 * PAGE, PAGE));
	V_REFUSED(ENOMEM, ckpt_exclude(area, 8 * PAGE));
	V_CHECK(excluded(area) && excluded(area + 7 * PAGE));
	victim_ready();
	CHECK_EXCLUDED(area, 3, 1);
	V_REFUSED(ENOMEM, ckpt_include(area, 8 * PAGE));
	V_CHECK(!excluded(area) && !excluded(area + 7 * PAGE));
}

/* ---- images ---- */

#define CACHE		(16 * MB)

VICTIM(cache)
{
	char *area = map_rw(CACHE);

	fill(area, CACHE, 0x5a5a);
	exclude(area, CACHE / PAGE);
	vpage->word[W_AREA] = (uintptr_t)area;
	victim_ready();
	CHECK_EXCLUDED(area, CACHE / PAGE, 0x5a5a);
}

/* How often the image has the beginning of a page of @seed, from @addr on */
static int count_pages(struct image *img, uint64_t seed, size_t pages)
{
	int count = 0;
	size_t at, i;

	for (at = 0; at + 8 <= img->len; at += 8)
		for (i = 0; i < pages; i++)
			count += *(uint64_t *)(img->data + at) == pattern(seed, i * PAGE / 8);
	return count;
}

TEST_F(exclude, images_do_not_have_it)
{
	struct image *img = calloc(1, sizeof(*img));
	struct victim *v = &self->v;
	struct state s = { };
	uint64_t area;

	REQUIRE_EXCLUSION();
	ASSERT_EQ(0, victim_start(v, "cache"));
	area = victim_word(v, W_AREA);
	victim_set_word(v, W_LOST, variant->restart && !dry_run());
	ASSERT_EQ(0, victim_cycle(v, false));
	if (!dry_run()) {
		EXPECT_GT(3 * MB, (size_t)v->stats.bytes);
		EXPECT_GT(512ULL, v->stats.pages_here);
		EXPECT_GT(512ULL, v->stats.pages_zero);
		ASSERT_EQ(0, read_state(v->image, NULL, &s));
		EXPECT_EQ(0, state_count(&s, ADDRESS_SPACE, area, CACHE / PAGE, CKPT_RUN_DATA));
		EXPECT_EQ(0, state_count(&s, ADDRESS_SPACE, area, CACHE / PAGE, CKPT_RUN_ZERO));
		EXPECT_EQ(0, load_image(img, v->image));
		EXPECT_EQ(0, count_pages(img, 0x5a5a, 16));
		free(img->data);
	}
	free(s.page);
	free(img);
	ASSERT_EQ(0, victim_cycle(v, variant->restart));
	ASSERT_EQ(0, victim_finish(v));
}

/* ---- processes ---- */

/* Has a child for a while. */
VICTIM(forks)
{
	char *area = map_rw(CACHE);
	pid_t child;

	fill(area, CACHE, 1);
	exclude(area, CACHE / PAGE);
	child = V_SYS(fork());
	if (!child) {
		fill(area, CACHE, 2);
		for (;;)
			pause();
	}
	vpage->word[W_AREA] = (uintptr_t)area;
	vpage->word[W_CHILD] = child;
	victim_ready();
	V_CHECK(waitpid(child, NULL, 0) == child);
	CHECK_FILLED(area, CACHE, 1);
	/* each for itself */
	child = V_SYS(fork());
	if (!child) {
		include(area, CACHE / PAGE);
		_exit(!excluded(area) ? 0 : 1);
	}
	vpage->word[W_CHILD] = -1;
	V_CHECK(waitpid(child, (int *)&vpage->word[W_CHILD], 0) == child);
	V_EQUAL(0, (int)vpage->word[W_CHILD]);
	V_CHECK(excluded(area));
}

TEST_F(exclude, a_child_inherits_it)
{
	struct victim *v = &self->v, child;

	REQUIRE_EXCLUSION();
	ASSERT_EQ(0, victim_start(v, "forks"));
	child = *v;
	child.pid = victim_word(v, W_CHILD);
	child.image = memfd_create("image", MFD_CLOEXEC);
	if (!dry_run()) {
		EXPECT_EQ(0, victim_checkpoint(&child, 0));
		EXPECT_LT(0ULL, child.stats.pages_here);
		EXPECT_GT(512ULL, child.stats.pages_here);
	}
	close(child.image);
	kill(child.pid, SIGKILL);
	ASSERT_EQ(0, victim_finish(v));
}

/* ---- chains ---- */

CHAIN_FIXTURE(excluded)

#define WORK_PAGES	64

/*
 * Writes to all pages of its memory before each image.  From the image on that the
 * argument says it has excluded the first half.
 */
VICTIM(writes)
{
	char *area = map_small(WORK_PAGES);
	int round, first = atoi(victim_arg);

	vpage->word[W_AREA] = (uintptr_t)area;
	for (round = 0; !vpage->word[W_STOP]; round++) {
		if (round == first)
			exclude(area, WORK_PAGES / 2);
		if (vpage->word[W_INCLUDE]) {
			include(area, WORK_PAGES / 2);
			vpage->word[W_INCLUDE] = 0;
		}
		fill(area, WORK_PAGES * PAGE, round);
		victim_ready();
		V_EQUAL(pattern(round, WORK_PAGES / 2 * PAGE / 8),
			*(uint64_t *)(area + WORK_PAGES / 2 * PAGE));
		if (excluded(area))
			CHECK_EXCLUDED(area, WORK_PAGES / 2, round);
		else
			CHECK_FILLED(area, WORK_PAGES * PAGE, round);
		vpage->word[W_LOST] = 0;
	}
}

static int writes_finish(struct victim *v)
{
	victim_set_word(v, W_STOP, 1);
	return victim_finish(v);
}

/* How many pages of the halves the last image has, in whatever way */
static size_t has(struct victim *v, struct chain *c, int half)
{
	uint64_t addr = victim_word(v, W_AREA) + half * WORK_PAGES / 2 * PAGE;
	size_t i, count = 0;

	for (i = 0; i < WORK_PAGES / 2; i++)
		count += !!state_find(&c->state, ADDRESS_SPACE, addr + i * PAGE);
	return count;
}

TEST_F(excluded, increments_do_not_have_it)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	int i;

	REQUIRE_REAL_CHECKPOINT();
	REQUIRE_EXCLUSION();
	ASSERT_EQ(0, victim_start_with(v, "writes", "0"));
	for (i = 0; i < 4; i++) {
		if (i)
			ASSERT_EQ(0, victim_next(v));
		if (i == 3)
			victim_set_word(v, W_LOST, 1);
		ASSERT_EQ(0, chain_step(v, c));
		EXPECT_EQ(0, has(v, c, 0));
		EXPECT_EQ(WORK_PAGES / 2, has(v, c, 1));
	}
	ASSERT_EQ(0, victim_kill(v));
	ASSERT_EQ(0, chain_restart(v, c));
	ASSERT_EQ(0, writes_finish(v));
}

TEST_F(excluded, what_a_parent_has_of_it_does_not_come_back)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	int i;

	REQUIRE_REAL_CHECKPOINT();
	REQUIRE_EXCLUSION();
	ASSERT_EQ(0, victim_start_with(v, "writes", "2"));
	for (i = 0; i < 4; i++) {
		if (i)
			ASSERT_EQ(0, victim_next(v));
		if (i == 3)
			victim_set_word(v, W_LOST, 1);
		ASSERT_EQ(0, chain_step(v, c));
		EXPECT_EQ(i < 2 ? WORK_PAGES / 2 : 0, has(v, c, 0));
		EXPECT_EQ(WORK_PAGES / 2, has(v, c, 1));
	}
	ASSERT_EQ(0, victim_kill(v));
	ASSERT_EQ(0, chain_restart(v, c));
	ASSERT_EQ(0, writes_finish(v));
}

TEST_F(excluded, when_it_is_included_again_a_full_image_is_needed)
{
	struct checkpoint_args args;
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	int i;

	REQUIRE_REAL_CHECKPOINT();
	REQUIRE_EXCLUSION();
	ASSERT_EQ(0, victim_start_with(v, "writes", "0"));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, victim_next(v));
	ASSERT_EQ(0, chain_step(v, c));
	victim_set_word(v, W_INCLUDE, 1);
	ASSERT_EQ(0, victim_next(v));
	EXPECT_EQ(-ESTALE, chain_try_image(v, c, 0));
	EXPECT_NE('\0', v->log[0]);
	args = checkpoint_args(v, CHECKPOINT_CHECK | CHECKPOINT_INCREMENTAL);
	args.tracker = c->tracker;
	memcpy(args.parent_uuid, c->uuid, CKPT_UUID_SIZE);
	EXPECT_EQ(-ESTALE, sys_checkpoint(v->pid, &args, sizeof(args)));
	/* and goes on to be */
	ASSERT_EQ(0, victim_next(v));
	EXPECT_EQ(-ESTALE, chain_try_image(v, c, 0));

	chain_begin(c);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, chain_step(v, c));
		EXPECT_EQ(WORK_PAGES / 2, has(v, c, 0));
		EXPECT_EQ(WORK_PAGES / 2, has(v, c, 1));
		if (i < 2)
			ASSERT_EQ(0, victim_next(v));
	}
	ASSERT_EQ(0, victim_kill(v));
	ASSERT_EQ(0, chain_restart(v, c));
	ASSERT_EQ(0, writes_finish(v));
}

/* Does what makes a chain no chain only if it is done to excluded memory. */
VICTIM(includes_too_much)
{
	char *area = map_small(8), *cache = map_small(8);

	fill(area, 8 * PAGE, 1);
	fill(cache, 8 * PAGE, 2);
	exclude(cache, 8);
	victim_ready();
	include(area, 8);
	V_SYS(munmap(cache, 4 * PAGE));
	V_CHECK(mmap(cache, 4 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == cache);
	fill(cache, 2 * PAGE, 3);
	victim_ready();
	CHECK_FILLED(area, 8 * PAGE, 1);
	CHECK_FILLED(cache, 2 * PAGE, 3);
	V_CHECK(all_zero(cache + 2 * PAGE, 2 * PAGE));
	CHECK_EXCLUDED(cache + 4 * PAGE, 4, 0);
}

TEST_F(excluded, memory_that_was_not_excluded_may_be_included)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;

	REQUIRE_REAL_CHECKPOINT();
	REQUIRE_EXCLUSION();
	ASSERT_EQ(0, victim_start(v, "includes_too_much"));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, victim_next(v));
	victim_set_word(v, W_LOST, 1);
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(2, c->nr);
	ASSERT_EQ(0, victim_kill(v));
	ASSERT_EQ(0, chain_restart(v, c));
	ASSERT_EQ(0, victim_finish(v));
}

CKPT_TEST_MAIN
