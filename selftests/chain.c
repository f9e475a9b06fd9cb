// SPDX-License-Identifier: GPL-2.0
/*
 * Incremental images: that a chain of them says what a full image would have said,
 * with every tracker, whatever the process does with its memory; and that a restart
 * from the chain finds all of it.
 *
 * CKPT_TEST_SEED in the environment repeats a run of the oracle, CKPT_TEST_ROUNDS says
 * how many images it takes.  With CKPT_TEST_PLANT=1 it loses a page on purpose, and
 * has to fail.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <linux/falloc.h>
#include <linux/mempolicy.h>

#include "ckpt_test.h"
#include "ckpt_memory.h"
#include "ckpt_write.h"
#include "ckpt_image.h"
#include "ckpt_chain.h"

CHAIN_FIXTURE(chain)

/* ---- promises about what a chain contains ---- */

/* What victim and test say to each other. */
enum {
	W_RESTART,		/* kill and restart it after this image */
	W_OBJECT,		/* in this object ... */
	W_ADDR, W_PAGES,	/* ... of so many pages from here on ... */
	W_HERE,			/* ... so many have to be in the image itself */
	W_PARENT,		/* ... and so many be left to the parent */
	W_SEED, W_STOP, W_VERIFY, W_OPS, W_FIRST_OP,
};

/* The victim goes on after an image ... */
static void saved(void)
{
	victim_ready();
	vpage->word[W_PAGES] = 0;
}

/* ... or is killed after it, and restarted from all images so far. */
static void restarted(void)
{
	vpage->word[W_RESTART] = 1;
	saved();
	vpage->word[W_RESTART] = 0;
}

/* A tracker that is one finds exactly this. */
static void expect(const void *addr, size_t pages, size_t here, size_t parent)
{
	vpage->word[W_OBJECT] = ADDRESS_SPACE;
	vpage->word[W_ADDR] = (uintptr_t)addr;
	vpage->word[W_PAGES] = pages;
	vpage->word[W_HERE] = here;
	vpage->word[W_PARENT] = parent;
}

/* Of the @object-th shared memory object; only one tracker knows about these. */
static void expect_shared(int object, size_t pages, size_t here, size_t parent)
{
	expect(NULL, pages, here, parent);
	vpage->word[W_OBJECT] = object;
}

static int check_expected(struct victim *v, struct chain *c)
{
	uint64_t addr = victim_word(v, W_ADDR), object = victim_word(v, W_OBJECT);
	size_t pages = victim_word(v, W_PAGES), here, parent;

	if (!pages || c->nr < 2)
		return 0;
	here = state_count(&c->state, object, addr, pages, CKPT_RUN_DATA);
	parent = state_count(&c->state, object, addr, pages, CKPT_RUN_PARENT);
	if (!parent && (c->tracker == CHECKPOINT_TRACKER_NONE ||
			(object != ADDRESS_SPACE && c->tracker != CHECKPOINT_TRACKER_SHADOW)))
		return 0;
	if ((long)here == victim_word(v, W_HERE) && (long)parent == victim_word(v, W_PARENT))
		return 0;
	test_log("of %zu pages from %lx on, %zu are in the image and %zu left to the parent; expected are %ld and %ld",
		 pages, addr, here, parent, victim_word(v, W_HERE), victim_word(v, W_PARENT));
	return -1;
}

/* The life of a victim with an image of the chain whenever it is ready. */
static int chain_live(struct victim *v, struct chain *c, const char *name)
{
	int event, bad = 0;
	long err;

	err = victim_spawn(v, name, NULL);
	if (err)
		return err;
	while ((event = victim_wait(v)) == VICTIM_IS_READY) {
		err = chain_step(v, c);
		if (err)
			return err;
		bad |= check_expected(v, c);
		if (victim_word(v, W_RESTART) && !dry_run()) {
			victim_kill(v);
			err = chain_restart(v, c);
			if (err)
				return err;
			chain_begin(c);
		}
		if (victim_go(v))
			return -EFAULT;
	}
	return event == VICTIM_ENDED && v->turn ? bad : -1;
}

/* A promise about what the chain contains, and the process finds after a restart. */
#define CHAIN(promise)							\
	VICTIM(promise);						\
	TEST_F(chain, promise)						\
	{								\
		ASSERT_EQ(0, chain_live(&self->v, &self->c, #promise));	\
	}								\
	static void victim_##promise(void)

CHAIN(an_increment_holds_only_what_was_written)
{
	size_t i, nr = 1000;
	char *area = map_small(nr);

	fill(area, nr * PAGE, 1);
	saved();
	expect(area, nr, 0, nr);
	saved();
	for (i = 0; i < 10; i++)
		area[i * 97 * PAGE + i] ^= 1;
	expect(area, nr, 10, nr - 10);
	saved();
	expect(area, nr, 0, nr);
	restarted();
	for (i = 0; i < 10; i++)
		area[i * 97 * PAGE + i] ^= 1;
	CHECK_FILLED(area, nr * PAGE, 1);
}

CHAIN(nothing_is_lost_in_a_chain_of_ten)
{
	size_t i, j, nr = 256;
	char *area = map_small(nr);

	for (i = 0; i < 9; i++) {
		for (j = i; j < nr; j += i + 1)
			fill(area + j * PAGE, PAGE, 100 * i + j);
		saved();
	}
	restarted();
	for (j = 0; j < nr; j++) {
		/* the last i for which j = i + n * (i + 1) */
		for (i = 8; (j - i) % (i + 1) || j < i; i--)
			;
		CHECK_FILLED(area + j * PAGE, PAGE, 100 * i + j);
	}
	fill(area, nr * PAGE, 5);
	CHECK_FILLED(area, nr * PAGE, 5);
}

CHAIN(a_restarted_process_begins_a_new_chain)
{
	size_t i, nr = 64;
	char *area = map_small(nr);

	fill(area, nr * PAGE, 1);
	for (i = 0; i < 3; i++) {
		saved();
		fill(area + i * PAGE, PAGE, 2 + i);
		saved();
		expect(area, nr, 0, nr);
		restarted();
	}
	for (i = 0; i < 3; i++)
		CHECK_FILLED(area + i * PAGE, PAGE, 2 + i);
	for (; i < nr; i++)
		V_EQUAL(pattern(1, i * PAGE / 8), *(uint64_t *)(area + i * PAGE));
}

CHAIN(new_mappings_are_saved)
{
	char *area[4];
	size_t i;

	saved();
	for (i = 0; i < 4; i++) {
		area[i] = map_small(16);
		fill(area[i], 16 * PAGE, i);
		saved();
	}
	restarted();
	for (i = 0; i < 4; i++)
		CHECK_FILLED(area[i], 16 * PAGE, i);
}

CHAIN(a_mapping_replaced_at_its_place_has_new_contents)
{
	size_t nr = 64;
	char *area = map_small(nr);

	fill(area, nr * PAGE, 1);
	saved();
	V_SYS(munmap(area + 16 * PAGE, 32 * PAGE));
	V_CHECK(mmap(area + 16 * PAGE, 32 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	fill(area + 20 * PAGE, PAGE, 2);
	/* reading it maps the page of zeros */
	V_EQUAL(0, area[21 * PAGE]);
	restarted();
	CHECK_FILLED(area, 16 * PAGE, 1);
	V_CHECK(all_zero(area + 16 * PAGE, 4 * PAGE));
	CHECK_FILLED(area + 20 * PAGE, PAGE, 2);
	V_CHECK(all_zero(area + 21 * PAGE, 27 * PAGE));
}

CHAIN(memory_unmapped_does_not_come_back)
{
	size_t nr = 64;
	char *area = map_small(nr);

	fill(area, nr * PAGE, 1);
	saved();
	V_SYS(munmap(area, 32 * PAGE));
	saved();
	V_CHECK(mmap(area, 32 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == area);
	restarted();
	V_CHECK(all_zero(area, 32 * PAGE));
}

CHAIN(dontneed_makes_holes)
{
	size_t nr = 64;
	char *area = map_small(nr);

	fill(area, nr * PAGE, 1);
	saved();
	V_SYS(madvise(area, 32 * PAGE, MADV_DONTNEED));
	area[3 * PAGE] = 1;
	saved();
	V_SYS(madvise(area, 8 * PAGE, MADV_DONTNEED));
	V_EQUAL(0, area[0]);
	restarted();
	V_CHECK(all_zero(area, 32 * PAGE));
	fill(area, 32 * PAGE, 1);
	CHECK_FILLED(area, nr * PAGE, 1);
}

CHAIN(pages_given_free_and_written_again_are_saved)
{
	size_t i, nr = 64;
	char *area = map_small(nr);

	fill(area, nr * PAGE, 1);
	saved();
	V_SYS(madvise(area, nr * PAGE, MADV_FREE));
	saved();
	for (i = 0; i < nr; i += 2)
		fill(area + i * PAGE, PAGE, 2);
	/* what is free still is so after this */
	V_SYS(madvise(area, nr * PAGE, MADV_PAGEOUT));
	saved();
	for (i = 0; i < nr; i += 4)
		fill(area + i * PAGE, PAGE, 3);
	restarted();
	for (i = 0; i < nr; i++) {
		if (i % 2 == 0)
			CHECK_FILLED(area + i * PAGE, PAGE, i % 4 ? 2 : 3);
		else if (!all_zero(area + i * PAGE, PAGE))
			V_EQUAL(pattern(1, i * PAGE / 8), *(uint64_t *)(area + i * PAGE));
	}
}

/* Exchange two ranges of memory by moving them. */
static void exchange(char *a, char *b, size_t len)
{
	char *between = map_huge(len / HUGE + 1, MADV_NOHUGEPAGE);

	V_SYS(munmap(between, len));
	V_CHECK(mremap(a, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, between) == between);
	V_CHECK(mremap(b, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, a) == a);
	V_CHECK(mremap(between, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, b) == b);
}

CHAIN(moved_memory_is_found_at_its_new_address)
{
	size_t nr = 64;
	char *area = map_small(nr), *other = map_small(nr);

	fill(area, nr * PAGE, 1);
	fill(other, nr * PAGE, 2);
	saved();
	exchange(area, other, 16 * PAGE);
	saved();
	exchange(area + 32 * PAGE, other + 32 * PAGE, 32 * PAGE);
	fill(area + 48 * PAGE, PAGE, 3);
	saved();
	restarted();
	CHECK_FILLED(area, 16 * PAGE, 2);
	CHECK_FILLED(other, 16 * PAGE, 1);
	CHECK_FILLED(area + 48 * PAGE, PAGE, 3);
	V_EQUAL(pattern(1, 32 * PAGE / 8), *(uint64_t *)(other + 32 * PAGE));
	V_EQUAL(pattern(2, 32 * PAGE / 8), *(uint64_t *)(area + 32 * PAGE));
}

CHAIN(moved_page_tables_are_found_at_their_new_address)
{
	char *area = map_huge(4, MADV_NOHUGEPAGE);
	size_t i;

	for (i = 0; i < 40; i++)
		fill(area + i * 50 * PAGE, PAGE, i);
	saved();
	saved();
	exchange(area, area + 2 * HUGE, HUGE);
	exchange(area + HUGE, area + 3 * HUGE, HUGE);
	saved();
	saved();
	exchange(area + HUGE, area + 2 * HUGE, HUGE);
	exchange(area, area + 3 * HUGE, HUGE);
	restarted();
	/* back where they were */
	exchange(area + HUGE, area + 2 * HUGE, HUGE);
	exchange(area, area + 3 * HUGE, HUGE);
	exchange(area + HUGE, area + 3 * HUGE, HUGE);
	exchange(area, area + 2 * HUGE, HUGE);
	for (i = 0; i < 40; i++)
		CHECK_FILLED(area + i * 50 * PAGE, PAGE, i);
}

CHAIN(moved_huge_pages_are_found_at_their_new_address)
{
	char *area = map_huge(2, MADV_HUGEPAGE);

	fill(area, HUGE, 1);
	fill(area + HUGE, HUGE, 2);
	saved();
	exchange(area, area + HUGE, HUGE);
	saved();
	exchange(area, area + HUGE, HUGE);
	area[HUGE + 5] ^= 1;
	restarted();
	area[HUGE + 5] ^= 1;
	CHECK_FILLED(area, HUGE, 1);
	CHECK_FILLED(area + HUGE, HUGE, 2);
}

CHAIN(memory_that_grew_in_place_or_moved_is_saved)
{
	char *area = map_small(32), *grown;

	fill(area, 32 * PAGE, 1);
	saved();
	grown = mremap(area, 32 * PAGE, 4 * MB, MREMAP_MAYMOVE);
	V_CHECK(grown != MAP_FAILED);
	fill(grown + 32 * PAGE, 32 * PAGE, 2);
	saved();
	V_CHECK(mremap(grown, 4 * MB, 48 * PAGE, 0) == grown);
	restarted();
	CHECK_FILLED(grown, 32 * PAGE, 1);
	CHECK_FILLED(grown + 32 * PAGE, 16 * PAGE, 2);
}

CHAIN(changes_of_protection_lose_nothing)
{
	static const int prots[] = { PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC, PROT_NONE };
	size_t i, nr = 64, len = nr * PAGE;
	char *area = map_small(nr);

	fill(area, len, 0);
	saved();
	saved();
	for (i = 0; i < 4; i++) {
		fill(area + i * PAGE, PAGE, i + 1);
		V_SYS(mprotect(area, len, prots[i]));
		expect(area, nr, 1, nr - 1);
		saved();
		V_SYS(mprotect(area, len, PROT_READ | PROT_WRITE));
		fill(area + i * PAGE, PAGE, i + 10);
		V_SYS(mprotect(area, len, prots[i]));
		V_SYS(mprotect(area, len, PROT_READ | PROT_WRITE));
		expect(area, nr, 1, nr - 1);
		saved();
	}
	/* nothing written at all */
	V_SYS(mprotect(area, len, PROT_NONE));
	V_SYS(mprotect(area, len, PROT_READ | PROT_WRITE));
	expect(area, nr, 0, nr);
	restarted();
	for (i = 0; i < 4; i++)
		CHECK_FILLED(area + i * PAGE, PAGE, i + 10);
}

CHAIN(fork_and_copy_on_write_lose_nothing)
{
	size_t i, nr = 64;
	char *area = map_small(nr);
	pid_t child;

	fill(area, nr * PAGE, 0);
	saved();
	saved();
	for (i = 0; i < 4; i++) {
		fill(area + i * PAGE, PAGE, i + 1);
		child = V_SYS(fork());
		if (!child) {
			fill(area, nr * PAGE, 77);
			_exit(0);
		}
		fill(area + (10 + i) * PAGE, PAGE, i + 1);
		V_CHECK(waitpid(child, NULL, 0) == child);
		fill(area + (20 + i) * PAGE, PAGE, i + 1);
		expect(area, nr, 3, nr - 3);
		saved();
	}
	restarted();
	for (i = 0; i < 4; i++) {
		CHECK_FILLED(area + i * PAGE, PAGE, i + 1);
		CHECK_FILLED(area + (10 + i) * PAGE, PAGE, i + 1);
		CHECK_FILLED(area + (20 + i) * PAGE, PAGE, i + 1);
	}
}

CHAIN(a_heap_that_shrank_and_grew_has_new_contents)
{
	size_t nr = 64;
	char *heap = sbrk(0);

	heap = (char *)(((uintptr_t)heap + PAGE - 1) & ~(PAGE - 1));
	V_SYS(brk(heap + nr * PAGE));
	fill(heap, nr * PAGE, 1);
	saved();
	V_SYS(brk(heap + nr / 2 * PAGE));
	V_SYS(brk(heap + nr * PAGE));
	heap[40 * PAGE] = 1;
	saved();
	V_SYS(brk(heap + 16 * PAGE));
	saved();
	V_SYS(brk(heap + nr * PAGE));
	restarted();
	CHECK_FILLED(heap, 16 * PAGE, 1);
	V_CHECK(all_zero(heap + 16 * PAGE, (nr - 16) * PAGE));
}

CHAIN(what_others_write_to_the_memory_is_saved)
{
	size_t nr = 64;
	char *area = map_small(nr), *from = map_small(4), *unused = map_small(8);

	fill(area, nr * PAGE, 1);
	fill(from, 4 * PAGE, 2);
	V_SYS(mprotect(area + 32 * PAGE, 16 * PAGE, PROT_READ));
	V_SYS(mprotect(unused, 8 * PAGE, PROT_READ));
	saved();
	saved();
	write_by_kernel(area + 8 * PAGE, from, 4 * PAGE);
	expect(area, nr, 4, nr - 4);
	saved();
	write_by_proc(area + 16 * PAGE, from, 4 * PAGE);
	write_by_proc(area + 32 * PAGE, from, 4 * PAGE);
	expect(area, nr, 8, nr - 8);
	saved();
	write_by_proc(unused, from, 4 * PAGE);
	saved();
	write_by_proc(unused, from + PAGE, PAGE);
	restarted();
	CHECK_FILLED(area + 8 * PAGE, 4 * PAGE, 2);
	CHECK_FILLED(area + 16 * PAGE, 4 * PAGE, 2);
	CHECK_FILLED(area + 32 * PAGE, 4 * PAGE, 2);
	V_EQUAL(0, memcmp(unused, from + PAGE, PAGE));
	V_EQUAL(0, memcmp(unused + PAGE, from + PAGE, 3 * PAGE));
}

static void make_work_file(const char *name, size_t len, uint64_t seed)
{
	char *buf = map_rw(len);
	int fd;

	fill(buf, len, seed);
	fd = V_SYS(open(file_name(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	V_CHECK(write(fd, buf, len) == (ssize_t)len);
	V_SYS(fsync(fd));
	close(fd);
	munmap(buf, len);
}

static void read_work_file(const char *name, char *to, size_t len, int flags)
{
	int fd = open(file_name(name), O_RDONLY | O_CLOEXEC | flags);

	/* not every file system does it */
	if (fd < 0 && flags)
		fd = open(file_name(name), O_RDONLY | O_CLOEXEC);
	V_CHECK(fd >= 0);
	V_CHECK(read(fd, to, len) == (ssize_t)len);
	close(fd);
}

CHAIN(what_read_puts_into_the_memory_is_saved)
{
	size_t nr = 64;
	char *area = map_small(nr);
	int fd[2];

	make_work_file("data", 8 * PAGE, 2);
	fill(area, nr * PAGE, 1);
	saved();
	saved();
	read_work_file("data", area, 8 * PAGE, 0);
	expect(area, nr, 8, nr - 8);
	saved();
	V_SYS(pipe2(fd, O_CLOEXEC));
	V_CHECK(write(fd[1], area, PAGE) == PAGE);
	V_CHECK(read(fd[0], area + 40 * PAGE, PAGE) == PAGE);
	close(fd[0]);
	close(fd[1]);
	expect(area, nr, 1, nr - 1);
	restarted();
	CHECK_FILLED(area, 8 * PAGE, 2);
	CHECK_FILLED(area + 40 * PAGE, PAGE, 2);
}

CHAIN(what_direct_io_puts_into_the_memory_is_saved)
{
	size_t i, nr = 64;
	char *area = map_small(nr), *huge = map_huge(1, MADV_HUGEPAGE);

	make_work_file("data", 8 * PAGE, 2);
	fill(area, nr * PAGE, 1);
	fill(huge, HUGE, 1);
	saved();
	for (i = 0; i < 4; i++) {
		saved();
		read_work_file("data", area + i * 8 * PAGE, 8 * PAGE, O_DIRECT);
		read_work_file("data", huge + i * 100 * PAGE, 8 * PAGE, O_DIRECT);
		expect(area, nr, 8, nr - 8);
		saved();
	}
	restarted();
	for (i = 0; i < 4; i++) {
		CHECK_FILLED(area + i * 8 * PAGE, 8 * PAGE, 2);
		CHECK_FILLED(huge + i * 100 * PAGE, 8 * PAGE, 2);
	}
}

CHAIN(private_mappings_of_files_keep_their_changes)
{
	size_t nr = 64;
	char *area;
	int fd;

	make_work_file("mapped", nr * PAGE, 1);
	fd = V_SYS(open(file_name("mapped"), O_RDONLY | O_CLOEXEC));
	area = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	V_CHECK(area != MAP_FAILED);
	close(fd);
	fill(area, 8 * PAGE, 2);
	saved();
	saved();
	fill(area + 4 * PAGE, PAGE, 3);
	fill(area + 40 * PAGE, PAGE, 4);
	expect(area, nr, 2, 7);
	saved();
	/* zeros that hide the file, and the file's contents again */
	memset(area + 6 * PAGE, 0, PAGE);
	memset(area + 50 * PAGE, 0, PAGE);
	V_SYS(madvise(area, PAGE, MADV_DONTNEED));
	saved();
	restarted();
	V_EQUAL(pattern(1, 0), *(uint64_t *)area);
	V_EQUAL(pattern(2, PAGE / 8), *(uint64_t *)(area + PAGE));
	CHECK_FILLED(area + 4 * PAGE, PAGE, 3);
	CHECK_FILLED(area + 40 * PAGE, PAGE, 4);
	V_CHECK(all_zero(area + 6 * PAGE, PAGE));
	V_CHECK(all_zero(area + 50 * PAGE, PAGE));
	V_EQUAL(pattern(1, 60 * PAGE / 8), *(uint64_t *)(area + 60 * PAGE));
}

CHAIN(zeros_written_over_contents_are_saved)
{
	size_t i, nr = 64;
	char *area = map_small(nr);

	fill(area, nr * PAGE, 1);
	saved();
	memset(area, 0, 32 * PAGE);
	saved();
	/* the parent has zeros, then something again, then zeros */
	saved();
	for (i = 0; i < 8; i++)
		fill(area + i * PAGE, PAGE, 2);
	saved();
	memset(area, 0, 4 * PAGE);
	saved();
	restarted();
	V_CHECK(all_zero(area, 4 * PAGE));
	for (i = 4; i < 8; i++)
		CHECK_FILLED(area + i * PAGE, PAGE, 2);
	V_CHECK(all_zero(area + 8 * PAGE, 24 * PAGE));
	V_EQUAL(pattern(1, 32 * PAGE / 8), *(uint64_t *)(area + 32 * PAGE));
}

CHAIN(reading_memory_never_touched_saves_nothing)
{
	size_t i, nr = 256;
	char *area = map_small(nr), *huge = map_huge(1, MADV_HUGEPAGE);
	long sum = 0;

	saved();
	for (i = 0; i < nr; i++)
		sum += area[i * PAGE] + huge[i * PAGE];
	V_EQUAL(0, sum);
	expect(area, nr, 0, 0);
	saved();
	area[7 * PAGE] = 1;
	huge[7 * PAGE] = 1;
	expect(area, nr, 1, 0);
	saved();
	expect(area, nr, 0, 1);
	restarted();
	V_EQUAL(1, area[7 * PAGE]);
	V_EQUAL(1, huge[7 * PAGE]);
	V_CHECK(all_zero(area + 8 * PAGE, (nr - 8) * PAGE));
}

VICTIM(swapped)
{
	size_t i, nr = 512;
	char *area = map_small(nr);

	fill(area, nr * PAGE, 0);
	saved();
	saved();
	/* in swap with nothing written since the last image */
	V_SYS(madvise(area, nr * PAGE, MADV_PAGEOUT));
	V_CHECK(in_swap(area, nr) >= 100);
	expect(area, nr, 0, nr);
	saved();
	/* written, then in swap; read back, not written */
	fill(area, 20 * PAGE, 1);
	V_SYS(madvise(area, 100 * PAGE, MADV_PAGEOUT));
	V_CHECK(in_swap(area, 20) >= 10);
	for (i = 50; i < 80; i++)
		V_CHECK(area[i * PAGE] || true);
	saved();
	/* in swap, read back, written */
	V_SYS(madvise(area, nr * PAGE, MADV_PAGEOUT));
	for (i = 100; i < 120; i++)
		V_CHECK(area[i * PAGE] || true);
	fill(area + 110 * PAGE, 20 * PAGE, 2);
	saved();
	/* moved, protected, thrown away while in swap */
	V_SYS(madvise(area, nr * PAGE, MADV_PAGEOUT));
	exchange(area, area + 200 * PAGE, 16 * PAGE);
	V_SYS(mprotect(area + 300 * PAGE, 16 * PAGE, PROT_NONE));
	V_SYS(mprotect(area + 300 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE));
	V_SYS(madvise(area + 320 * PAGE, 16 * PAGE, MADV_DONTNEED));
	if (!fork())
		_exit(area[340 * PAGE] == 123);
	V_CHECK(wait(NULL) > 0);
	saved();
	V_SYS(madvise(area, nr * PAGE, MADV_PAGEOUT));
	restarted();
	exchange(area, area + 200 * PAGE, 16 * PAGE);
	CHECK_FILLED(area, 20 * PAGE, 1);
	V_EQUAL(pattern(0, 20 * PAGE / 8), *(uint64_t *)(area + 20 * PAGE));
	CHECK_FILLED(area + 110 * PAGE, 20 * PAGE, 2);
	V_CHECK(all_zero(area + 320 * PAGE, 16 * PAGE));
	V_EQUAL(pattern(0, 400 * PAGE / 8), *(uint64_t *)(area + 400 * PAGE));
}

TEST_F(chain, swapped_pages_are_tracked)
{
	char device[32];

	if (!swap_on(device, sizeof(device)))
		SKIP(return, "no zram device to swap on");
	int ret = chain_live(&self->v, &self->c, "swapped");

	victim_kill(&self->v);
	swap_off(device);
	ASSERT_EQ(0, ret);
}

/* A huge page counts as one until the first increment, and by pages from then on. */
CHAIN(one_byte_in_a_huge_page_is_soon_one_page)
{
	char *area = map_huge(2, MADV_HUGEPAGE);

	fill(area, 2 * HUGE, 1);
	saved();
	expect(area, 1024, 0, 1024);
	saved();
	area[HUGE + 12345]++;
	expect(area, 1024, 512, 512);
	saved();
	area[HUGE + 12345]++;
	expect(area, 1024, 1, 1023);
	saved();
	area[12345]++;
	area[HUGE + 5]++;
	saved();
	V_SYS(madvise(area + HUGE / 2, HUGE, MADV_DONTNEED));
	area[HUGE] = 1;
	restarted();
	V_EQUAL(1, area[HUGE]);
	area[HUGE] = 0;
	V_CHECK(all_zero(area + HUGE / 2, HUGE));
	area[12345]--;
	CHECK_FILLED(area, HUGE / 2, 1);
	V_EQUAL(pattern(1, 3 * HUGE / 16), *(uint64_t *)(area + 3 * HUGE / 2));
}

CHAIN(pages_collapsed_into_a_huge_page_lose_nothing)
{
	char *area = map_huge(1, MADV_NOHUGEPAGE);
	size_t i;

	for (i = 0; i < 512; i += 3)
		fill(area + i * PAGE, PAGE, i);
	saved();
	saved();
	fill(area + 9 * PAGE, PAGE, 1);
	V_SYS(madvise(area, HUGE, MADV_HUGEPAGE));
	if (madvise(area, HUGE, MADV_COLLAPSE))
		errno = 0;
	saved();
	fill(area + 12 * PAGE, PAGE, 2);
	restarted();
	CHECK_FILLED(area + 9 * PAGE, PAGE, 1);
	CHECK_FILLED(area + 12 * PAGE, PAGE, 2);
	for (i = 15; i < 512; i += 3)
		CHECK_FILLED(area + i * PAGE, PAGE, i);
	V_CHECK(all_zero(area + 16 * PAGE, 2 * PAGE));
}

CHAIN(shared_memory_is_saved_however_it_was_written)
{
	size_t nr = 64, len = nr * PAGE;
	char *anon, *area, *again;
	int fd;

	anon = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	V_CHECK(anon != MAP_FAILED);
	fd = V_SYS(memfd_create("memory", 0));
	V_SYS(ftruncate(fd, len));
	area = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	again = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	V_CHECK(area != MAP_FAILED && again != MAP_FAILED);
	fill(anon, len, 1);
	fill(area, len, 2);
	saved();
	fill(anon, PAGE, 3);
	fill(again + 8 * PAGE, PAGE, 4);
	V_CHECK(pwrite(fd, anon, PAGE, 16 * PAGE) == PAGE);
	V_SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 24 * PAGE, 8 * PAGE));
	V_SYS(madvise(anon + 24 * PAGE, 8 * PAGE, MADV_REMOVE));
	saved();
	V_SYS(munmap(again, len));
	V_SYS(ftruncate(fd, 48 * PAGE));
	V_SYS(ftruncate(fd, len));
	restarted();
	CHECK_FILLED(anon, PAGE, 3);
	CHECK_FILLED(area + 8 * PAGE, PAGE, 4);
	CHECK_FILLED(area + 16 * PAGE, PAGE, 3);
	V_CHECK(all_zero(area + 24 * PAGE, 8 * PAGE));
	V_CHECK(all_zero(anon + 24 * PAGE, 8 * PAGE));
	V_CHECK(all_zero(area + 48 * PAGE, 16 * PAGE));
	V_EQUAL(pattern(2, 40 * PAGE / 8), *(uint64_t *)(area + 40 * PAGE));
}

CHAIN(shared_memory_not_written_to_is_left_to_the_parent)
{
	size_t nr = 64, len = nr * PAGE;
	char *area, *again;
	int fd, other;

	fd = V_SYS(memfd_create("memory", 0));
	V_SYS(ftruncate(fd, len));
	area = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	V_CHECK(area != MAP_FAILED);
	fill(area, len, 1);
	saved();
	expect_shared(1, nr, 0, nr);
	saved();
	/* by the processor, by a system call, through a mapping that has gone */
	area[5 * PAGE] ^= 1;
	V_CHECK(pwrite(fd, area, 1, 9 * PAGE) == 1);
	again = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	V_CHECK(again != MAP_FAILED);
	again[20 * PAGE] ^= 1;
	V_SYS(munmap(again, len));
	expect_shared(1, nr, 3, nr - 3);
	saved();
	/* while nothing maps it */
	V_SYS(munmap(area, len));
	expect_shared(1, nr, 0, nr);
	saved();
	V_CHECK(pwrite(fd, "x", 1, 30 * PAGE) == 1);
	expect_shared(1, nr, 1, nr - 1);
	saved();
	/* another comes, and then is the only one */
	other = V_SYS(memfd_create("other", 0));
	V_SYS(ftruncate(other, len));
	V_CHECK(pwrite(other, "y", 1, 3 * PAGE) == 1);
	saved();
	V_SYS(close(other));
	expect_shared(1, nr, 0, nr);
	restarted();
	area = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	V_CHECK(area != MAP_FAILED);
	area[5 * PAGE] ^= 1;
	V_EQUAL(area[0], area[9 * PAGE]);
	area[9 * PAGE] = pattern(1, 9 * PAGE / 8);
	area[20 * PAGE] ^= 1;
	V_EQUAL('x', area[30 * PAGE]);
	area[30 * PAGE] = pattern(1, 30 * PAGE / 8);
	CHECK_FILLED(area, len, 1);
}

CHAIN(shared_memory_that_comes_and_goes_is_saved)
{
	size_t nr = 16, len = nr * PAGE;
	char *area[8];
	int i;

	for (i = 0; i < 8; i++) {
		area[i] = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			       -1, 0);
		V_CHECK(area[i] != MAP_FAILED);
		fill(area[i], len, i);
		if (i >= 3)
			V_SYS(munmap(area[i - 3], len));
		saved();
	}
	fill(area[6], PAGE, 10);
	restarted();
	CHECK_FILLED(area[5], len, 5);
	CHECK_FILLED(area[6], PAGE, 10);
	V_EQUAL(pattern(6, PAGE / 8), *(uint64_t *)(area[6] + PAGE));
	CHECK_FILLED(area[7], len, 7);
}

CHAIN(a_private_mapping_of_shared_memory_keeps_its_changes)
{
	size_t nr = 32, len = nr * PAGE;
	char *shared, *private;
	int fd;

	fd = V_SYS(memfd_create("memory", 0));
	V_SYS(ftruncate(fd, len));
	shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	V_CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	fill(shared, len, 1);
	fill(private + 4 * PAGE, 4 * PAGE, 2);
	saved();
	fill(shared, 8 * PAGE, 3);
	fill(private + 6 * PAGE, PAGE, 4);
	memset(private + 7 * PAGE, 0, PAGE);
	restarted();
	CHECK_FILLED(shared, 8 * PAGE, 3);
	CHECK_FILLED(private, 4 * PAGE, 3);
	V_EQUAL(pattern(2, 0), *(uint64_t *)(private + 4 * PAGE));
	CHECK_FILLED(private + 6 * PAGE, PAGE, 4);
	V_CHECK(all_zero(private + 7 * PAGE, PAGE));
}

VICTIM(merged)
{
	size_t i, nr = 128;
	char *area = map_small(nr);

	V_SYS(madvise(area, nr * PAGE, MADV_MERGEABLE));
	for (i = 0; i < nr; i++)
		fill(area + i * PAGE, PAGE, i);
	saved();
	/* all of them are written, and merged before the next image */
	for (i = 0; i < nr; i++)
		fill(area + i * PAGE, PAGE, 1000 + i % 2);
	V_CHECK(WAIT_FOR(ksm_shared() >= 100));
	saved();
	/* merged already when they are given up again */
	fill(area, PAGE, 1);
	saved();
	V_SYS(madvise(area, nr * PAGE, MADV_UNMERGEABLE));
	saved();
	fill(area + PAGE, PAGE, 1);
	restarted();
	CHECK_FILLED(area, PAGE, 1);
	CHECK_FILLED(area + PAGE, PAGE, 1);
	for (i = 2; i < nr; i++)
		CHECK_FILLED(area + i * PAGE, PAGE, 1000 + i % 2);
}

TEST_F(chain, pages_merged_by_ksm_are_tracked)
{
	if (!ksm_on())
		SKIP(return, "kernel without KSM");
	int ret = chain_live(&self->v, &self->c, "merged");

	ksm_off();
	ASSERT_EQ(0, ret);
}

VICTIM(moved_by_uffd)
{
	size_t i, nr = 32;
	char *area = map_small(nr);

	fill(area, nr * PAGE, 0);
	for (i = 0; i < nr; i++)
		fill(area + i * PAGE, PAGE, i);
	saved();
	saved();
	for (i = 0; i < 8; i++) {
		V_SYS(madvise(area + (16 + i) * PAGE, PAGE, MADV_DONTNEED));
		V_EQUAL(0, move_by_uffd(area + (16 + i) * PAGE, area + i * PAGE, PAGE));
	}
	expect(area, nr, 8, nr - 16);
	saved();
	restarted();
	for (i = 0; i < 8; i++)
		CHECK_FILLED(area + (16 + i) * PAGE, PAGE, i);
	V_CHECK(all_zero(area, 8 * PAGE));
}

TEST_F(chain, pages_moved_by_userfaultfd_are_tracked)
{
	if (access("/proc/sys/vm/unprivileged_userfaultfd", F_OK))
		SKIP(return, "kernel without userfaultfd(2)");
	ASSERT_EQ(0, chain_live(&self->v, &self->c, "moved_by_uffd"));
}

CHAIN(fifty_thousand_pages_of_address_space_with_few_contents)
{
	size_t i, nr = 50000;
	char *area = map_small(nr);

	for (i = 0; i < nr; i += 40)
		area[i * PAGE] = i / 40 + 1;
	saved();
	for (i = 0; i < nr; i += 400)
		area[i * PAGE]++;
	saved();
	restarted();
	for (i = 0; i < nr; i += 40)
		V_EQUAL((char)(i / 40 + 1 + !(i % 400)), area[i * PAGE]);
}

/* Clean and written pages alternate: the longest tables an image can have. */
CHAIN(every_other_page_of_many_written)
{
	size_t i, nr = 4000;
	char *area = map_small(nr);

	for (i = 0; i < nr; i++)
		area[i * PAGE] = i % 100 + 1;
	saved();
	saved();
	for (i = 0; i < nr; i += 2)
		area[i * PAGE]++;
	expect(area, nr, nr / 2, nr / 2);
	saved();
	for (i = 1; i < nr; i += 2)
		area[i * PAGE]++;
	expect(area, nr, nr / 2, nr / 2);
	restarted();
	for (i = 0; i < nr; i++)
		V_EQUAL(i % 100 + 2, area[i * PAGE]);
}

/* Shared memory in front of private memory in the parent, records of both skipped. */
CHAIN(a_chain_with_many_kinds_of_contents_restarts)
{
	size_t i, nr = 600;
	char *area = map_small(nr), *shared;

	shared = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	V_CHECK(shared != MAP_FAILED);
	for (i = 0; i < nr; i++) {
		fill(area + i * PAGE, PAGE, i % 3 ? i : 0);
		if (i % 3 == 1)
			memset(area + i * PAGE, 0, PAGE);
		fill(shared + i * PAGE, PAGE, i);
	}
	saved();
	for (i = 0; i < nr; i += 7)
		fill(area + i * PAGE, PAGE, i + 1);
	for (i = 0; i < nr; i += 11)
		memset(area + i * PAGE, 0, PAGE);
	saved();
	for (i = 0; i < nr; i += 13)
		fill(area + i * PAGE, PAGE, i + 2);
	restarted();
	for (i = 0; i < nr; i++) {
		if (i % 13 == 0)
			CHECK_FILLED(area + i * PAGE, PAGE, i + 2);
		else if (i % 11 == 0)
			V_CHECK(all_zero(area + i * PAGE, PAGE));
		else if (i % 7 == 0)
			CHECK_FILLED(area + i * PAGE, PAGE, i + 1);
		else if (i % 3 == 1)
			V_CHECK(all_zero(area + i * PAGE, PAGE));
		else
			CHECK_FILLED(area + i * PAGE, PAGE, i % 3 ? i : 0);
		CHECK_FILLED(shared + i * PAGE, PAGE, i);
	}
}

/* ---- the oracle ---- */

/*
 * A victim does at random whatever can be done to memory of all kinds, and after each
 * round of that the chain is compared with a full image.  It knows a checksum of every
 * page, and verifies them when it has been restarted.
 */

/* What an area is, and so what can be done to it. */
enum {
	F_PRIVATE	= 1 << 0,	/* anonymous, in small pages, each maybe a mapping */
	F_HUGE		= 1 << 1,	/* anonymous, in huge pages */
	F_TABLES	= 1 << 2,	/* anonymous, moved by whole page tables */
	F_PROTECTED	= 1 << 3,	/* anonymous, left with any protection */
	F_FILE		= 1 << 4,	/* private mapping of a file */
	F_SHARED	= 1 << 5,	/* shared anonymous */
	F_MEMFD		= 1 << 6,
	F_HEAP		= 1 << 7,
	F_MERGED	= 1 << 8,	/* merged by KSM */
	F_SCRATCH	= 1 << 9,	/* comes and goes */
	F_THREADS	= 1 << 10,	/* threads write to it all the time */
	F_ANON		= F_PRIVATE | F_HUGE | F_TABLES,
	F_COW		= F_ANON | F_FILE | F_HEAP | F_MERGED,
	F_WRITABLE	= F_COW | F_SHARED | F_MEMFD,
};

#define AREA_PAGES	1536

/**
 * struct area - one piece of the victim's memory
 * @flags:	F_*
 * @nr:		pages
 * @addr:	where it is
 * @sum:	checksums; 0: may be anything
 */
struct area {
	unsigned int	flags;
	size_t		nr;
	char		*addr;
	uint64_t	sum[AREA_PAGES];
};

enum {
	A_SMALL, A_HUGE, A_TABLES, A_PROTECTED, A_FILE, A_SHARED, A_MEMFD, A_HEAP, A_MERGED,
	A_SCRATCH, A_THREADS, NR_AREAS
};

static struct area areas[NR_AREAS] = {
	[A_SMALL]	= { F_PRIVATE, 192 },
	[A_HUGE]	= { F_HUGE, 1024 },
	[A_TABLES]	= { F_TABLES, 1536 },
	[A_PROTECTED]	= { F_PROTECTED, 64 },
	[A_FILE]	= { F_FILE, 96 },
	[A_SHARED]	= { F_SHARED, 48 },
	[A_MEMFD]	= { F_MEMFD, 48 },
	[A_HEAP]	= { F_HEAP, 64 },
	[A_MERGED]	= { F_MERGED, 48 },
	[A_SCRATCH]	= { F_SCRATCH, 64 },
	[A_THREADS]	= { F_THREADS, 64 },
};

static uint64_t rng_state;

/* Where nothing is otherwise. */
static char *const spare_place = (char *)0x600000000000;
static char *const scratch_place = (char *)0x610000000000;
static int oracle_memfd;

/* Not the library's: it has to be the same everywhere. */
static uint64_t rng(void)
{
	uint64_t z = (rng_state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static size_t pick(size_t nr)
{
	return rng() % nr;
}

static char *at(struct area *a, size_t page)
{
	return a->addr + page * PAGE;
}

static void now_known(struct area *a, size_t first, size_t nr)
{
	for (; nr--; first++)
		a->sum[first] = XXH64(at(a, first), PAGE, 0);
}

static void now_zero(struct area *a, size_t first, size_t nr)
{
	for (; nr--; first++)
		a->sum[first] = zero_hash();
}

static void poke(struct area *a, size_t page)
{
	*(uint64_t *)(at(a, page) + pick(PAGE / 8) * 8) = rng();
	now_known(a, page, 1);
}

/* Each operation is given an area and some pages of it. */

static void op_write(struct area *a, size_t first, size_t nr)
{
	for (; nr--; first++)
		poke(a, first);
}

static void op_fill(struct area *a, size_t first, size_t nr)
{
	fill(at(a, first), nr * PAGE, rng());
	now_known(a, first, nr);
}

static void op_zero(struct area *a, size_t first, size_t nr)
{
	memset(at(a, first), 0, nr * PAGE);
	now_zero(a, first, nr);
}

static void op_write_the_same(struct area *a, size_t first, size_t nr)
{
	for (; nr--; first++)
		*(volatile char *)at(a, first) = *(volatile char *)at(a, first);
}

static void op_read(struct area *a, size_t first, size_t nr)
{
	for (; nr--; first++)
		(void)*(volatile char *)at(a, first);
}

static int advice_of(struct area *a)
{
	return a->flags & F_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
}

static void map_again(struct area *a, size_t first, size_t nr)
{
	V_CHECK(mmap(at(a, first), nr * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at(a, first));
	V_SYS(madvise(at(a, first), nr * PAGE, advice_of(a)));
	now_zero(a, first, nr);
}

static void op_replace(struct area *a, size_t first, size_t nr)
{
	V_SYS(munmap(at(a, first), nr * PAGE));
	map_again(a, first, nr);
	if (pick(2))
		poke(a, first + pick(nr));
}

static void op_dontneed(struct area *a, size_t first, size_t nr)
{
	V_SYS(madvise(at(a, first), nr * PAGE, MADV_DONTNEED));
	if (a->flags & F_FILE)
		now_known(a, first, nr);
	else
		now_zero(a, first, nr);
}

static void op_free(struct area *a, size_t first, size_t nr)
{
	V_SYS(madvise(at(a, first), nr * PAGE, MADV_FREE));
	for (; nr--; first++) {
		/* the contents may go at any time */
		a->sum[first] = 0;
		if (pick(2))
			poke(a, first);
	}
}

static void *move(void *from, void *to, size_t len)
{
	return mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

static void exchange_in(struct area *a, size_t p, size_t q, size_t nr)
{
	size_t i, len = nr * PAGE;

	V_CHECK(move(at(a, p), spare_place, len) == spare_place);
	V_CHECK(move(at(a, q), at(a, p), len) == at(a, p));
	V_CHECK(move(spare_place, at(a, q), len) == at(a, q));
	for (i = 0; i < nr; i++) {
		uint64_t sum = a->sum[p + i];

		a->sum[p + i] = a->sum[q + i];
		a->sum[q + i] = sum;
	}
}

/* One at a time, as each page may be a mapping of its own. */
static void op_move(struct area *a, size_t first, size_t nr)
{
	size_t to;

	for (; nr--; first++) {
		to = pick(a->nr);
		if (to != first)
			exchange_in(a, first, to, 1);
		if (!pick(4))
			poke(a, to);
	}
}

static void op_move_2mb(struct area *a, size_t first, size_t nr)
{
	size_t p = first / 512, q = (p + 1) % (a->nr / 512);

	exchange_in(a, p * 512, q * 512, 512);
	if (pick(2))
		poke(a, first);
}

static void op_protect(struct area *a, size_t first, size_t nr)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC,
	};
	size_t i;

	V_SYS(mprotect(a->addr, a->nr * PAGE, PROT_READ | PROT_WRITE));
	for (i = 0; i < nr; i += 2)
		poke(a, first + i);
	V_SYS(mprotect(at(a, first), nr * PAGE, prots[pick(4)]));
	V_SYS(mprotect(at(a, first / 2), nr * PAGE, prots[pick(4)]));
}

static void op_protect_and_back(struct area *a, size_t first, size_t nr)
{
	V_SYS(mprotect(at(a, first), nr * PAGE, pick(2) ? PROT_READ : PROT_NONE));
	V_SYS(mprotect(at(a, first), nr * PAGE, PROT_READ | PROT_WRITE));
	if (pick(2))
		poke(a, first);
}

static void op_fork(struct area *a, size_t first, size_t nr)
{
	size_t i;
	pid_t pid;

	if (pick(2))
		poke(a, first);
	pid = V_SYS(fork());
	if (!pid) {
		for (i = 0; i < nr; i += 2)
			memset(at(a, first + i), 77, 100);
		_exit(0);
	}
	for (i = 0; i < nr; i += 3)
		poke(a, first + i);
	V_CHECK(waitpid(pid, NULL, 0) == pid);
	for (i = 0; i < nr; i += 5)
		poke(a, first + i);
}

static void op_brk(struct area *a, size_t first, size_t nr)
{
	V_SYS(brk(at(a, first)));
	V_SYS(brk(at(a, a->nr)));
	now_zero(a, first, a->nr - first);
}

/* Where contents come from. */
static char *buffer(size_t nr)
{
	static char pages[16 * PAGE] __aligned(4096);

	fill(pages, nr * PAGE, rng());
	return pages;
}

static void op_process_vm_writev(struct area *a, size_t first, size_t nr)
{
	write_by_kernel(at(a, first), buffer(nr), nr * PAGE);
	now_known(a, first, nr);
}

static void op_proc_mem(struct area *a, size_t first, size_t nr)
{
	char *from = buffer(nr);
	size_t i;

	write_by_proc(at(a, first), from, nr * PAGE);
	for (i = 0; i < nr; i++)
		a->sum[first + i] = XXH64(from + i * PAGE, PAGE, 0);
}

#define ORACLE_FILE_PAGES	128

static void read_oracle_file(char *to, size_t nr, int flags)
{
	int fd = V_SYS(open(file_name("data"), O_RDONLY | O_CLOEXEC | flags));
	off_t from = pick(ORACLE_FILE_PAGES - nr) * PAGE;

	V_CHECK(pread(fd, to, nr * PAGE, from) == (ssize_t)(nr * PAGE));
	close(fd);
}

static void op_read_file(struct area *a, size_t first, size_t nr)
{
	read_oracle_file(at(a, first), nr, 0);
	now_known(a, first, nr);
}

static void op_read_direct(struct area *a, size_t first, size_t nr)
{
	read_oracle_file(at(a, first), nr, O_DIRECT);
	now_known(a, first, nr);
}

/* The file that read_oracle_file() reads, and where. */
static int open_oracle_file(size_t nr, off_t *from)
{
	*from = pick(ORACLE_FILE_PAGES - nr) * PAGE;
	return V_SYS(open(file_name("data"), O_RDONLY | O_CLOEXEC | O_DIRECT));
}

static void op_aio(struct area *a, size_t first, size_t nr)
{
	off_t from;
	int fd = open_oracle_file(nr, &from);

	read_by_aio(fd, at(a, first), nr * PAGE, from);
	close(fd);
	now_known(a, first, nr);
}

static void op_uring(struct area *a, size_t first, size_t nr)
{
	off_t from;
	int fd = open_oracle_file(nr, &from);
	size_t i;

	/*
	 * io_uring tells nobody that it writes to a fixed buffer.  If no page table
	 * entry says so, reclaim drops what it wrote, without any checkpoint too.
	 */
	for (i = 0; i < nr; i++)
		*(volatile char *)at(a, first + i) = 0;
	read_by_uring(fd, at(a, first), nr * PAGE, from);
	close(fd);
	now_known(a, first, nr);
}

/* Out of the memory: where a child shares a page, this makes a copy of it. */
static void op_write_direct(struct area *a, size_t first, size_t nr)
{
	int fd = V_SYS(open(file_name("out"), O_WRONLY | O_CREAT | O_CLOEXEC | O_DIRECT, 0644));
	pid_t pid = 0;

	if (pick(2))
		poke(a, first);
	if (pick(2)) {
		pid = V_SYS(fork());
		if (!pid) {
			pause();
			_exit(0);
		}
	}
	V_CHECK(pwrite(fd, at(a, first), nr * PAGE, 0) == (ssize_t)(nr * PAGE));
	close(fd);
	if (pid) {
		V_SYS(kill(pid, SIGKILL));
		V_CHECK(waitpid(pid, NULL, 0) == pid);
	}
}

/* By another process, also to what cannot be written; one page, as it takes long. */
static void op_ptrace(struct area *a, size_t first, size_t nr)
{
	char *from = buffer(1);

	write_by_ptrace(at(a, first), from, PAGE);
	a->sum[first] = XXH64(from, PAGE, 0);
}

static void op_uffd_copy(struct area *a, size_t first, size_t nr)
{
	char *from = buffer(nr);

	V_SYS(madvise(at(a, first), nr * PAGE, a->flags & F_PRIVATE ? MADV_DONTNEED : MADV_REMOVE));
	now_zero(a, first, nr);
	if (!copy_by_uffd(at(a, first), from, nr * PAGE))
		now_known(a, first, nr);
}

static void op_uffd_zero(struct area *a, size_t first, size_t nr)
{
	V_SYS(madvise(at(a, first), nr * PAGE, MADV_DONTNEED));
	zero_by_uffd(at(a, first), nr * PAGE);
	now_zero(a, first, nr);
}

static void op_populate(struct area *a, size_t first, size_t nr)
{
	V_SYS(madvise(at(a, first), nr * PAGE,
		      pick(2) ? MADV_POPULATE_WRITE : MADV_POPULATE_READ));
}

/* One page, which leaves the mapping without it behind. */
static void op_move_away(struct area *a, size_t first, size_t nr)
{
	size_t to = pick(a->nr);

	if (to == first)
		return;
	V_CHECK(mremap(at(a, first), PAGE, PAGE,
		       MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, at(a, to)) == at(a, to));
	a->sum[to] = a->sum[first];
	now_zero(a, first, 1);
}

/* In physical memory: on a machine with one node, nothing comes of it. */
static void op_move_to_node(struct area *a, size_t first, size_t nr)
{
	unsigned long nodes = 1UL << pick(nr_nodes());
	unsigned long all = (1UL << nr_nodes()) - 1;

	switch (pick(3)) {
	case 0:
		move_to_node(at(a, first), nr, pick(nr_nodes()));
		break;
	case 1:
		V_SYS(syscall(__NR_mbind, at(a, first), nr * PAGE, MPOL_BIND, &nodes, 64,
			      MPOL_MF_MOVE));
		if (pick(2))
			poke(a, first);
		/* for operations that want one mapping */
		V_SYS(syscall(__NR_mbind, at(a, first), nr * PAGE, MPOL_DEFAULT, NULL, 0, 0));
		break;
	case 2:
		V_SYS(syscall(__NR_migrate_pages, 0, 64, &all, &nodes));
		break;
	}
}

static void op_split(struct area *a, size_t first, size_t nr)
{
	split_huge_pages(at(a, first / 512 * 512), HUGE);
	if (pick(2))
		poke(a, first);
}

/* The same memory at another address, or in another process. */
static void op_write_elsewhere(struct area *a, size_t first, size_t nr)
{
	size_t len = nr * PAGE;
	char *other;
	pid_t pid;

	if (a->flags & F_MEMFD && pick(2)) {
		other = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, oracle_memfd,
			     first * PAGE);
		V_CHECK(other != MAP_FAILED);
		fill(other, len, rng());
		V_SYS(munmap(other, len));
	} else {
		uint64_t seed = rng();

		pid = V_SYS(fork());
		if (!pid) {
			fill(at(a, first), len, seed);
			_exit(0);
		}
		V_CHECK(waitpid(pid, NULL, 0) == pid);
	}
	now_known(a, first, nr);
}

static void op_pageout(struct area *a, size_t first, size_t nr)
{
	V_SYS(madvise(at(a, first), nr * PAGE, MADV_PAGEOUT));
}

static void op_pageout_all(struct area *a, size_t first, size_t nr)
{
	V_SYS(madvise(a->addr, a->nr * PAGE, MADV_PAGEOUT));
	if (pick(2))
		poke(a, first);
}

static void op_cold(struct area *a, size_t first, size_t nr)
{
	V_SYS(madvise(at(a, first), nr * PAGE, MADV_COLD));
}

static void op_new_huge_page(struct area *a, size_t first, size_t nr)
{
	first = first / 512 * 512;
	if (pick(2))
		V_SYS(madvise(at(a, first), HUGE, MADV_DONTNEED));
	else
		map_again(a, first, 512);
	now_zero(a, first, 512);
	poke(a, first + pick(512));
}

static void op_collapse(struct area *a, size_t first, size_t nr)
{
	/* it may be refused for many reasons */
	madvise(at(a, first / 512 * 512), HUGE, MADV_COLLAPSE);
}

static void op_write_memfd(struct area *a, size_t first, size_t nr)
{
	V_CHECK(pwrite(oracle_memfd, buffer(nr), nr * PAGE, first * PAGE) ==
		(ssize_t)(nr * PAGE));
	now_known(a, first, nr);
}

static void op_punch(struct area *a, size_t first, size_t nr)
{
	if (a->flags & F_MEMFD)
		V_SYS(fallocate(oracle_memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				first * PAGE, nr * PAGE));
	else
		V_SYS(madvise(at(a, first), nr * PAGE, MADV_REMOVE));
	now_zero(a, first, nr);
}

static void op_make_equal(struct area *a, size_t first, size_t nr)
{
	for (; nr--; first++) {
		fill(at(a, first), PAGE, pick(2));
		now_known(a, first, 1);
	}
}

static void op_unmerge(struct area *a, size_t first, size_t nr)
{
	V_SYS(madvise(a->addr, a->nr * PAGE, MADV_UNMERGEABLE));
	V_SYS(madvise(a->addr, a->nr * PAGE, MADV_MERGEABLE));
}

static void op_lock(struct area *a, size_t first, size_t nr)
{
	mlock(at(a, first), nr * PAGE);
	if (pick(2))
		poke(a, first);
	munlock(at(a, first), nr * PAGE);
}

static void op_uffd_move(struct area *a, size_t first, size_t nr)
{
	size_t to = pick(a->nr);

	if (to == first)
		return;
	V_SYS(madvise(at(a, to), PAGE, MADV_DONTNEED));
	now_zero(a, to, 1);
	if (move_by_uffd(at(a, to), at(a, first), PAGE))
		return;
	a->sum[to] = a->sum[first];
	now_zero(a, first, 1);
}

/* The whole area or nothing; the address of nothing is known all the same. */
static void op_scratch(struct area *a, size_t first, size_t nr)
{
	static bool there;

	if (there) {
		V_SYS(munmap(a->addr, a->nr * PAGE));
	} else {
		V_CHECK(mmap(a->addr, a->nr * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == a->addr);
		fill(at(a, first), nr * PAGE, rng());
	}
	there = !there;
}

static const struct {
	const char	*name;
	void		(*run)(struct area *a, size_t first, size_t nr);
	unsigned int	areas;
} ops[] = {
	{ "write",		op_write,		F_WRITABLE },
	{ "write",		op_write,		F_HUGE | F_TABLES },
	{ "write",		op_write,		F_WRITABLE },
	{ "fill",		op_fill,		F_WRITABLE },
	{ "zero",		op_zero,		F_WRITABLE },
	{ "write the same",	op_write_the_same,	F_WRITABLE },
	{ "read",		op_read,		F_WRITABLE },
	{ "replace",		op_replace,		F_PRIVATE },
	{ "dontneed",		op_dontneed,		F_ANON | F_FILE },
	{ "free",		op_free,		F_PRIVATE | F_HUGE },
	{ "move",		op_move,		F_PRIVATE },
	{ "move 2 MB",		op_move_2mb,		F_HUGE | F_TABLES },
	{ "protect",		op_protect,		F_PROTECTED },
	{ "protect and back",	op_protect_and_back,	F_ANON | F_FILE },
	{ "fork",		op_fork,		F_COW },
	{ "brk",		op_brk,			F_HEAP },
	{ "process_vm_writev",	op_process_vm_writev,	F_WRITABLE },
	{ "/proc/PID/mem",	op_proc_mem,		F_WRITABLE | F_PROTECTED },
	{ "read(2)",		op_read_file,		F_WRITABLE },
	{ "O_DIRECT",		op_read_direct,		F_WRITABLE },
	{ "AIO",		op_aio,			F_WRITABLE },
	{ "io_uring",		op_uring,		F_WRITABLE },
	{ "O_DIRECT from it",	op_write_direct,	F_WRITABLE },
	{ "ptrace",		op_ptrace,		F_WRITABLE | F_PROTECTED },
	{ "UFFDIO_COPY",	op_uffd_copy,		F_PRIVATE | F_SHARED | F_MEMFD },
	{ "UFFDIO_ZEROPAGE",	op_uffd_zero,		F_PRIVATE },
	{ "populate",		op_populate,		F_WRITABLE },
	{ "move away",		op_move_away,		F_PRIVATE },
	{ "move to a node",	op_move_to_node,	F_WRITABLE },
	{ "split",		op_split,		F_HUGE },
	{ "write elsewhere",	op_write_elsewhere,	F_MEMFD | F_SHARED },
	{ "pageout",		op_pageout,		F_COW },
	{ "pageout all",	op_pageout_all,		F_COW },
	{ "cold",		op_cold,		F_COW },
	{ "new huge page",	op_new_huge_page,	F_HUGE },
	{ "collapse",		op_collapse,		F_HUGE },
	{ "write to memfd",	op_write_memfd,		F_MEMFD },
	{ "punch",		op_punch,		F_MEMFD | F_SHARED },
	{ "make equal",		op_make_equal,		F_MERGED },
	{ "unmerge",		op_unmerge,		F_MERGED },
	{ "lock",		op_lock,		F_PRIVATE | F_FILE },
	{ "UFFDIO_MOVE",	op_uffd_move,		F_PRIVATE },
	{ "scratch",		op_scratch,		F_SCRATCH },
};

#define MAX_OPS	24

static void random_op(void)
{
	size_t op, first, nr;
	struct area *a;
	long *said;

	op = pick(ARRAY_SIZE(ops));
	do
		a = &areas[pick(NR_AREAS)];
	while (!(a->flags & ops[op].areas));
	nr = 1 + pick(16);
	first = pick(a->nr - nr + 1);
	said = (long *)&vpage->word[W_FIRST_OP + 4 * vpage->word[W_OPS]];
	said[0] = op;
	said[1] = a - areas;
	said[2] = first;
	said[3] = nr;
	vpage->word[W_OPS]++;
	ops[op].run(a, first, nr);
}

static void oracle_verify(void)
{
	struct area *a;
	size_t i;

	a = &areas[A_PROTECTED];
	V_SYS(mprotect(a->addr, a->nr * PAGE, PROT_READ | PROT_WRITE));
	for (a = areas; a < &areas[A_SCRATCH]; a++)
		for (i = 0; i < a->nr; i++) {
			uint64_t sum = XXH64(at(a, i), PAGE, 0);

			if (a->sum[i] && a->sum[i] != sum)
				victim_fail(__LINE__, "page %zu of area %zu, %p: %016lx, not %016lx",
					    i, a - areas, at(a, i), sum, a->sum[i]);
		}
}

/* Wrong memory may show in this way as well: say where. */
static void oracle_fault(int signo, siginfo_t *info, void *context)
{
	long nr = vpage->word[W_OPS];
	long *said = (long *)&vpage->word[W_FIRST_OP + 4 * (nr ? nr - 1 : 0)];

	victim_fail(__LINE__, "signal %d at %p in operation %ld (%s, area %ld, page %ld, %ld pages)",
		    signo, info->si_addr, nr, ops[said[0]].name, said[1], said[2], said[3]);
}

static void *oracle_writer(void *arg)
{
	struct area *a = &areas[A_THREADS];
	uint64_t seed = (uintptr_t)arg;

	for (;;) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		*(uint64_t *)(at(a, (seed >> 33) % a->nr) + (seed >> 50) % 512 * 8) = seed;
		if ((seed >> 20) % 16 == 0)
			sleep_ns(200000);
	}
	return NULL;
}

static void oracle_areas(void)
{
	static void *volatile first;
	struct area *a;
	char *heap;
	int fd;

	/* what the library needs shall be below; the compiler must not think that nobody does */
	first = malloc(1);
	free(first);
	heap = sbrk(0);

	for (a = areas; a < areas + NR_AREAS; a++)
		if (a->flags & (F_HUGE | F_TABLES))
			a->addr = map_huge(a->nr / 512, advice_of(a));
		else if (a->flags & F_SCRATCH)
			a->addr = scratch_place;
		else if (!(a->flags & (F_FILE | F_SHARED | F_MEMFD | F_HEAP)))
			a->addr = map_small(a->nr);
	for (a = areas; a < areas + NR_AREAS; a++)
		now_zero(a, 0, a->nr);

	make_work_file("data", ORACLE_FILE_PAGES * PAGE, 1);
	a = &areas[A_FILE];
	fd = V_SYS(open(file_name("data"), O_RDONLY | O_CLOEXEC));
	a->addr = mmap(NULL, a->nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	V_CHECK(a->addr != MAP_FAILED);
	close(fd);
	now_known(a, 0, a->nr);

	a = &areas[A_SHARED];
	a->addr = mmap(NULL, a->nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	V_CHECK(a->addr != MAP_FAILED);

	a = &areas[A_MEMFD];
	oracle_memfd = V_SYS(memfd_create("memory", MFD_CLOEXEC));
	V_SYS(ftruncate(oracle_memfd, a->nr * PAGE));
	a->addr = mmap(NULL, a->nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, oracle_memfd, 0);
	V_CHECK(a->addr != MAP_FAILED);

	a = &areas[A_HEAP];
	a->addr = (char *)(((uintptr_t)heap + PAGE - 1) & ~(PAGE - 1));
	V_SYS(brk(at(a, a->nr)));

	V_SYS(madvise(areas[A_MERGED].addr, areas[A_MERGED].nr * PAGE, MADV_MERGEABLE));
}

VICTIM(oracle)
{
	struct sigaction fault = { .sa_sigaction = oracle_fault, .sa_flags = SA_SIGINFO };
	pthread_t thread;
	uintptr_t i;

	V_SYS(sigaction(SIGSEGV, &fault, NULL));
	V_SYS(sigaction(SIGBUS, &fault, NULL));
	/* the seed is known only when it is running */
	victim_ready();
	rng_state = vpage->word[W_SEED];
	oracle_areas();
	for (i = 0; i < 100; i++) {
		poke(&areas[A_TABLES], pick(areas[A_TABLES].nr));
		poke(&areas[A_SMALL], pick(areas[A_SMALL].nr));
	}
	poke(&areas[A_HUGE], 3);
	poke(&areas[A_HUGE], 600);
	for (i = 1; i <= 2; i++)
		V_EQUAL(0, pthread_create(&thread, NULL, oracle_writer, (void *)i));
	while (!vpage->word[W_STOP]) {
		size_t nr = 1 + pick(MAX_OPS);

		vpage->word[W_OPS] = 0;
		while (nr--)
			random_op();
		victim_ready();
		if (vpage->word[W_VERIFY])
			oracle_verify();
		vpage->word[W_VERIFY] = 0;
	}
	oracle_verify();
}

static void show_ops(struct victim *v)
{
	long nr = victim_word(v, W_OPS), i, *op;
	struct victim_page page;

	victim_read(v, VICTIM_PAGE_ADDR, &page, sizeof(page));
	for (i = 0; i < nr && i < MAX_OPS; i++) {
		op = (long *)&page.word[W_FIRST_OP + 4 * i];
		test_log("  %s: area %ld, page %ld, %ld pages", ops[op[0] % ARRAY_SIZE(ops)].name,
			 op[1], op[2], op[3]);
	}
}

static int the_rounds(int rounds)
{
	const char *text = getenv("CKPT_TEST_ROUNDS");

	return text ? atoi(text) : rounds;
}

/* ---- a control group, to put the victim's memory under pressure ---- */

#define ORACLE_CGROUP	"/sys/fs/cgroup/ckpt-oracle"

static bool cgroup_on(void)
{
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(ORACLE_CGROUP, 0755) && errno != EEXIST)
		return false;
	if (!access(ORACLE_CGROUP "/memory.reclaim", W_OK))
		return true;
	rmdir(ORACLE_CGROUP);
	return false;
}

static int cgroup_enter(struct victim *v)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", v->pid);
	return write_text(ORACLE_CGROUP "/cgroup.procs", text);
}

#define ORACLE_CHAIN	50

/* 0, or the error of the first round that went wrong. */
static long oracle(struct victim *v, struct chain *c, unsigned int seed, int rounds,
		   bool cgroup)
{
	uint64_t here = 0, parent = 0;
	int64_t began = now_ns(CLOCK_MONOTONIC);
	int i, increments = 0;
	long err = 0;

	if (victim_start(v, "oracle"))
		return -1;
	if (cgroup && cgroup_enter(v))
		return -1;
	victim_set_word(v, W_SEED, seed);
	for (i = 0; i < rounds; i++) {
		if (victim_next(v))
			return -1;
		/* pages change their places, or lose them */
		if (i % 16 == 15)
			write_text("/proc/sys/vm/compact_memory", "1");
		if (cgroup && i % 4 == 1)
			write_text(ORACLE_CGROUP "/memory.reclaim", i % 8 == 1 ? "1M" : "16M");
		err = chain_step(v, c);
		if (err) {
			test_log("round %d of seed %u, image %d of its chain: %s", i, seed, c->nr,
				 err == -EILSEQ ? "it differs" : strerror(-err));
			show_ops(v);
			return err;
		}
		if (c->nr > 1) {
			increments++;
			here += v->stats.pages_here;
			parent += v->stats.pages_parent;
		}
		if (c->planted)
			return 0;
		if (!dry_run() && (c->nr == ORACLE_CHAIN || i == rounds - 1)) {
			victim_kill(v);
			err = chain_restart(v, c);
			if (err)
				return err;
			if (cgroup && cgroup_enter(v))
				return -1;
			chain_begin(c);
			victim_set_word(v, W_VERIFY, 1);
		}
	}
	victim_set_word(v, W_STOP, 1);
	if (victim_finish(v))
		return -1;
	test_log("%d rounds in %ld s; pages per increment: %lu in it, %lu left to the parent", i,
		 (now_ns(CLOCK_MONOTONIC) - began) / 1000000000L, here / (increments ?: 1),
		 parent / (increments ?: 1));
	return 0;
}

static long oracle_with_everything(struct victim *v, struct chain *c, int rounds)
{
	unsigned int seed = the_seed();
	char device[32];
	bool swap, ksm, cgroup;
	long err;

	swap = swap_on(device, sizeof(device));
	ksm = ksm_on();
	cgroup = cgroup_on();
	err = oracle(v, c, seed, rounds, cgroup);
	victim_kill(v);
	if (cgroup)
		rmdir(ORACLE_CGROUP);
	if (ksm)
		ksm_off();
	if (swap)
		swap_off(device);
	return err;
}

TEST_F_TIMEOUT(chain, oracle, 36000)
{
	self->c.plant = getenv("CKPT_TEST_PLANT");
	ASSERT_EQ(0, oracle_with_everything(&self->v, &self->c, the_rounds(60)));
	ASSERT_FALSE(self->c.planted);
}

/* The oracle would have noticed a tracker that loses a page. */
TEST_F(chain, oracle_notices_one_lost_page)
{
	REQUIRE_REAL_CHECKPOINT();
	self->c.plant = true;
	ASSERT_EQ(-EILSEQ, oracle_with_everything(&self->v, &self->c, 10));
	ASSERT_NE(0, self->c.planted);
}

/*
 * A mapping that grows is soft-dirty as a whole, so that its entries need not tell what
 * is written to; and when it is merged with one that is not, it is no more.
 */
CHAIN(what_is_written_is_known_after_mappings_are_merged)
{
	size_t nr = 16, len = nr * PAGE;
	char *area = map(5 * len, PROT_NONE, 0) + len;
	char *room = area + len, *last = room + len;

	V_SYS(mprotect(area, len, PROT_READ | PROT_WRITE));
	fill(area, len, 1);
	saved();
	V_CHECK(mmap(room, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == room);
	V_SYS(mprotect(area, len, PROT_READ));
	V_SYS(mprotect(area, len, PROT_READ | PROT_WRITE));
	area[3 * PAGE] ^= 1;
	V_SYS(mprotect(last, len, PROT_READ | PROT_WRITE));
	expect(area, nr, 1, nr - 1);
	saved();
	/* the same, and made read-only after it was written to */
	V_SYS(mprotect(last, len, PROT_NONE));
	V_CHECK(mmap(room, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == room);
	V_SYS(mprotect(area, len, PROT_READ));
	V_SYS(mprotect(area, len, PROT_READ | PROT_WRITE));
	area[5 * PAGE] ^= 1;
	V_SYS(mprotect(area, 2 * len, PROT_NONE));
	expect(area, nr, 1, nr - 1);
	restarted();
	V_SYS(mprotect(area, len, PROT_READ | PROT_WRITE));
	area[3 * PAGE] ^= 1;
	area[5 * PAGE] ^= 1;
	CHECK_FILLED(area, len, 1);
}

CKPT_TEST_MAIN
