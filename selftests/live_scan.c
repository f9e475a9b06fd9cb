// SPDX-License-Identifier: GPL-2.0
/*
 * A copy of a process's memory that follows it: PAGEMAP_SCAN gets and clears the shadow
 * dirty state of all pages, over and over, and what was dirty is copied.  The process is
 * never frozen: threads of it write as fast as they can, and others move, protect, swap
 * out, merge, split, throw away and otherwise change what they write to.
 *
 * The memory consists of blocks of some pages.  From time to time one is closed: nobody
 * writes to it until the next scan is over and it has been compared with the copy.  (It
 * may still be swapped out, moved in physical memory and the like.)  So a page that is
 * lost is noticed soon, and not made good by the next write to it.  In the end all of the
 * memory is compared.
 *
 * CKPT_TEST_SECONDS in the environment says for how long, CKPT_TEST_SEED what to begin
 * with.  With CKPT_TEST_PLANT=1 one page is not copied, and the test has to fail.
 */
#include <stdatomic.h>
#include <pthread.h>

#include "ckpt_test.h"
#include "ckpt_memory.h"
#include "ckpt_scan.h"
#include "ckpt_write.h"

#define IN_HUGE		512UL		/* pages in a huge one */
#define BLOCK		16UL		/* pages */

/* What an area is, and so what can be done to it. */
enum {
	L_SMALL		= 1 << 0,	/* anonymous, pages may be moved singly */
	L_TABLES	= 1 << 1,	/* anonymous, moved by whole page tables */
	L_HUGE		= 1 << 2,	/* anonymous, huge pages */
	L_FILE		= 1 << 3,	/* private mapping of a file */
	L_MERGED	= 1 << 4,	/* anonymous, for KSM */
	L_SHARED	= 1 << 5,	/* shared anonymous */
	L_MEMFD		= 1 << 6,
	L_ANON		= L_SMALL | L_TABLES | L_HUGE,
	L_PRIVATE	= L_ANON | L_FILE | L_MERGED,
	L_ALL		= L_PRIVATE | L_SHARED | L_MEMFD,
};

/**
 * struct area - one piece of the memory
 * @kind:	L_*
 * @nr:		pages
 * @block:	its first block
 * @addr:	where it is
 * @copy:	of its pages
 */
struct area {
	unsigned int	kind;
	size_t		nr;
	size_t		block;
	char		*addr;
	char		*copy;
};

static struct area areas[] = {
	{ L_SMALL, 1024 }, { L_TABLES, 2 * IN_HUGE }, { L_HUGE, 4 * IN_HUGE },
	{ L_FILE, 256 }, { L_MERGED, 256 }, { L_SHARED, 64 }, { L_MEMFD, 64 },
};

#define MAX_BLOCKS	400
#define FILE_PAGES	256UL

/* In a block's word; the rest is the number of those who write to it. */
#define CLOSED		(1U << 31)

/**
 * struct control - shared by the process and the one that copies it
 * @stop:	1: no more changes to mappings; 2: no more writes either
 * @done:	how many threads have seen that
 * @writes:	how many there were
 * @ops:	other operations
 * @block:	CLOSED, and who writes
 */
struct control {
	_Atomic int		stop;
	_Atomic int		done;
	_Atomic uint64_t	writes;
	_Atomic uint64_t	ops;
	_Atomic uint32_t	block[MAX_BLOCKS];
};

static struct control *control;
static size_t nr_blocks;
static int data_file, memfd;
static char *file_data;

/* ---- the process ---- */

/* Each thread has one of its own. */
static __thread uint64_t random_state;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static size_t pick(size_t nr)
{
	return (random_number() >> 11) % nr;
}

static bool hold_block(size_t nr)
{
	uint32_t old = atomic_load(&control->block[nr]);

	while (!(old & CLOSED))
		if (atomic_compare_exchange_weak(&control->block[nr], &old, old + 1))
			return true;
	return false;
}

static void release(struct area *a, size_t first, size_t nr)
{
	size_t i;

	for (i = first / BLOCK; i <= (first + nr - 1) / BLOCK; i++)
		atomic_fetch_sub(&control->block[a->block + i], 1);
}

/* May contents be changed?  Then release() has to follow. */
static bool hold(struct area *a, size_t first, size_t nr)
{
	size_t i;

	for (i = first / BLOCK; i <= (first + nr - 1) / BLOCK; i++)
		if (!hold_block(a->block + i)) {
			if (i > first / BLOCK)
				release(a, first, i * BLOCK - first);
			return false;
		}
	return true;
}

static char *at(struct area *a, size_t page)
{
	return a->addr + page * PAGE;
}

static struct area *pick_area(unsigned int kinds)
{
	struct area *a;

	do
		a = &areas[pick(ARRAY_SIZE(areas))];
	while (!(a->kind & kinds));
	return a;
}

/* Memory comes and goes under its feet. */
static void fault(int signo, siginfo_t *info, void *context)
{
	struct area *a;

	for (a = areas; a < areas + ARRAY_SIZE(areas); a++)
		if ((char *)info->si_addr >= a->addr &&
		    (char *)info->si_addr < at(a, a->nr)) {
			sched_yield();
			return;
		}
	signal(signo, SIG_DFL);
}

/* To some blocks of one area for a while, then to others. */
static void *writer(void *arg)
{
	struct area *a = NULL;
	size_t turn, base = 0, first, i;

	random_state = (uintptr_t)arg;
	for (turn = 0; control->stop < 2; turn++) {
		if (turn % 512 == 0) {
			a = pick_area(L_ALL & ~L_MERGED);
			base = pick(a->nr / BLOCK);
		}
		first = (base + pick(8)) % (a->nr / BLOCK) * BLOCK;
		if (!hold(a, first, BLOCK))
			continue;
		for (i = 0; i < 256; i++) {
			uint64_t x = random_number();

			((volatile uint64_t *)at(a, first))[x % (BLOCK * PAGE / 8)] = x;
		}
		release(a, first, BLOCK);
		atomic_fetch_add(&control->writes, i);
		/* others shall have a chance, on a machine with few processors */
		if (turn % 32 == 0)
			sleep_ms(1);
	}
	atomic_fetch_add(&control->done, 1);
	return NULL;
}

/* -- what leaves contents as they are; also done to what is closed -- */

static void shake_pageout(struct area *a, size_t first, size_t nr)
{
	madvise(at(a, first), nr * PAGE, MADV_PAGEOUT);
}

static void shake_pageout_more(struct area *a, size_t first, size_t nr)
{
	madvise(at(a, first), (a->nr - first) * PAGE, MADV_PAGEOUT);
}

static void shake_cold(struct area *a, size_t first, size_t nr)
{
	madvise(at(a, first), nr * PAGE, MADV_COLD);
}

static void shake_willneed(struct area *a, size_t first, size_t nr)
{
	madvise(at(a, first), nr * PAGE, MADV_WILLNEED);
}

static void shake_collapse(struct area *a, size_t first, size_t nr)
{
	madvise(at(a, first / IN_HUGE * IN_HUGE), HUGE, MADV_COLLAPSE);
}

static void shake_split(struct area *a, size_t first, size_t nr)
{
	split_huge_pages(at(a, first / IN_HUGE * IN_HUGE), HUGE);
}

static void shake_nodes(struct area *a, size_t first, size_t nr)
{
	move_to_node(at(a, first), nr, pick(nr_nodes()));
}

static void shake_compact(struct area *a, size_t first, size_t nr)
{
	if (!pick(16))
		write_text("/proc/sys/vm/compact_memory", "1");
}

static void shake_unmerge(struct area *a, size_t first, size_t nr)
{
	madvise(at(a, first), nr * PAGE, pick(4) ? MADV_MERGEABLE : MADV_UNMERGEABLE);
}

/* -- what changes contents, or mappings: by one thread -- */

static char *const spare_place = (char *)0x600000000000;

static void *move(void *from, void *to, size_t len)
{
	return mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

static void exchange(struct area *a, size_t p, size_t q, size_t nr)
{
	size_t len = nr * PAGE;

	if (p == q || !hold(a, p, nr))
		return;
	if (hold(a, q, nr)) {
		V_CHECK(move(at(a, p), spare_place, len) == spare_place);
		V_CHECK(move(at(a, q), at(a, p), len) == at(a, p));
		V_CHECK(move(spare_place, at(a, q), len) == at(a, q));
		release(a, q, nr);
	}
	release(a, p, nr);
}

static void op_move(struct area *a, size_t first, size_t nr)
{
	exchange(a, first, pick(a->nr), 1);
}

static void op_move_tables(struct area *a, size_t first, size_t nr)
{
	exchange(a, first / IN_HUGE * IN_HUGE, pick(a->nr / IN_HUGE) * IN_HUGE, IN_HUGE);
}

static void op_protect(struct area *a, size_t first, size_t nr)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE | PROT_EXEC };

	V_SYS(mprotect(at(a, first), nr * PAGE, prots[pick(3)]));
	V_SYS(mprotect(at(a, first), nr * PAGE, PROT_READ | PROT_WRITE));
}

/* A child that is there for a while, and writes to its copies. */
static void op_fork(struct area *a, size_t first, size_t nr)
{
	static pid_t child;
	size_t i;

	if (child)
		V_CHECK(waitpid(child, NULL, 0) == child);
	child = V_SYS(fork());
	if (child)
		return;
	if (a->kind & L_PRIVATE)
		for (i = 0; i < nr; i++)
			at(a, first)[i * PAGE]++;
	sleep_ms(pick(30));
	_exit(0);
}

static void op_dontneed(struct area *a, size_t first, size_t nr)
{
	if (!hold(a, first, nr))
		return;
	V_SYS(madvise(at(a, first), nr * PAGE, a->kind & (L_SHARED | L_MEMFD) ? MADV_REMOVE :
								      MADV_DONTNEED));
	release(a, first, nr);
}

static void op_new_huge_page(struct area *a, size_t first, size_t nr)
{
	op_dontneed(a, first / IN_HUGE * IN_HUGE, IN_HUGE);
}

/* What is written to no more may go at any time: so all of it is. */
static void op_free(struct area *a, size_t first, size_t nr)
{
	size_t i;

	if (!hold(a, first, nr))
		return;
	V_SYS(madvise(at(a, first), nr * PAGE, MADV_FREE));
	for (i = 0; i < nr; i++)
		*(volatile uint64_t *)at(a, first + i) = random_number();
	release(a, first, nr);
}

static void op_replace(struct area *a, size_t first, size_t nr)
{
	if (!hold(a, first, nr))
		return;
	V_CHECK(mmap(at(a, first), nr * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at(a, first));
	V_SYS(madvise(at(a, first), nr * PAGE, MADV_NOHUGEPAGE));
	release(a, first, nr);
}

static char *some_pages(void)
{
	static char pages[BLOCK * PAGE] __aligned(4096);

	fill(pages, sizeof(pages), random_number());
	return pages;
}

static void op_direct(struct area *a, size_t first, size_t nr)
{
	off_t from = pick(FILE_PAGES - nr) * PAGE;
	size_t len = nr * PAGE;

	if (!hold(a, first, nr))
		return;
	switch (pick(3)) {
	case 0:
		V_CHECK(pread(data_file, at(a, first), len, from) == (ssize_t)len);
		break;
	case 1:
		read_by_aio(data_file, at(a, first), len, from);
		break;
	case 2:
		read_by_uring(data_file, at(a, first), len, from);
		break;
	}
	release(a, first, nr);
}

static void op_write_by_others(struct area *a, size_t first, size_t nr)
{
	char *from = some_pages();

	if (!hold(a, first, nr))
		return;
	switch (pick(4)) {
	case 0:
	case 1:
		write_by_kernel(at(a, first), from, nr * PAGE);
		break;
	case 2:
		write_by_proc(at(a, first), from, nr * PAGE);
		break;
	case 3:
		write_by_ptrace(at(a, first), from, 64);
		break;
	}
	release(a, first, nr);
}

/* Others may be there before it. */
static void op_uffd(struct area *a, size_t first, size_t nr)
{
	size_t from = pick(a->nr);

	if (!hold(a, first, nr))
		return;
	V_SYS(madvise(at(a, first), nr * PAGE, MADV_DONTNEED));
	if (pick(2)) {
		copy_by_uffd(at(a, first), some_pages(), nr * PAGE);
	} else if (from != first && hold(a, from, 1)) {
		move_by_uffd(at(a, first), at(a, from), PAGE);
		release(a, from, 1);
	}
	release(a, first, nr);
}

static void op_make_equal(struct area *a, size_t first, size_t nr)
{
	if (!hold(a, first, nr))
		return;
	memset(at(a, first), pick(3), nr * PAGE);
	release(a, first, nr);
}

static void op_write_memfd(struct area *a, size_t first, size_t nr)
{
	if (!hold(a, first, nr))
		return;
	V_CHECK(pwrite(memfd, some_pages(), nr * PAGE, first * PAGE) == (ssize_t)(nr * PAGE));
	release(a, first, nr);
}

struct op {
	void		(*run)(struct area *a, size_t first, size_t nr);
	unsigned int	kinds;
};

static const struct op shakes[] = {
	{ shake_pageout, L_ALL }, { shake_pageout_more, L_ALL }, { shake_cold, L_ALL },
	{ shake_willneed, L_ALL }, { shake_collapse, L_HUGE }, { shake_split, L_HUGE },
	{ shake_nodes, L_ALL }, { shake_compact, L_ALL }, { shake_unmerge, L_MERGED },
};

static const struct op ops[] = {
	{ op_move, L_SMALL }, { op_move_tables, L_TABLES | L_HUGE }, { op_protect, L_ALL },
	{ op_fork, L_ALL }, { op_dontneed, L_ALL }, { op_new_huge_page, L_HUGE },
	{ op_free, L_ANON | L_MERGED }, { op_replace, L_SMALL }, { op_direct, L_ALL },
	{ op_write_by_others, L_ALL }, { op_uffd, L_SMALL }, { op_make_equal, L_MERGED },
	{ op_write_memfd, L_MEMFD },
};

static void run_one(const struct op *table, size_t nr_ops)
{
	const struct op *op = &table[pick(nr_ops)];
	struct area *a = pick_area(op->kinds);
	size_t nr = 1 + pick(BLOCK);

	op->run(a, pick(a->nr - nr + 1), nr);
	atomic_fetch_add(&control->ops, 1);
}

static void *shaker(void *arg)
{
	random_state = (uintptr_t)arg;
	while (!control->stop) {
		run_one(shakes, ARRAY_SIZE(shakes));
		sleep_ms(pick(4));
	}
	atomic_fetch_add(&control->done, 1);
	return NULL;
}

static void make_areas(void)
{
	struct area *a;

	for (a = areas; a < areas + ARRAY_SIZE(areas); a++) {
		const int prot = PROT_READ | PROT_WRITE;
		size_t len = a->nr * PAGE;

		a->block = nr_blocks;
		nr_blocks += a->nr / BLOCK;
		if (a->kind & L_HUGE)
			a->addr = map_huge(a->nr / IN_HUGE, MADV_HUGEPAGE);
		else if (a->kind & L_TABLES)
			a->addr = map_huge(a->nr / IN_HUGE, MADV_NOHUGEPAGE);
		else if (a->kind & (L_SMALL | L_MERGED))
			a->addr = map_small(a->nr);
		else if (a->kind & L_FILE)
			a->addr = mmap(NULL, len, prot, MAP_PRIVATE, data_file, 0);
		else if (a->kind & L_MEMFD)
			a->addr = mmap(NULL, len, prot, MAP_SHARED, memfd, 0);
		else
			a->addr = mmap(NULL, len, prot, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		V_CHECK(a->addr != MAP_FAILED);
		if (a->kind & L_MERGED)
			madvise(a->addr, len, MADV_MERGEABLE);
		a->copy = map_rw(len);
	}
	V_CHECK(nr_blocks <= MAX_BLOCKS);
}

#define NR_WRITERS	2

/* The process that is copied; it does not return. */
static void __noreturn live(uint64_t seed, bool churn)
{
	struct sigaction action = { .sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	pthread_t thread;
	uintptr_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	V_SYS(sigaction(SIGSEGV, &action, NULL));
	random_state = seed;
	for (i = 0; i < NR_WRITERS; i++)
		V_EQUAL(0, pthread_create(&thread, NULL, writer, (void *)random_number()));
	if (churn)
		V_EQUAL(0, pthread_create(&thread, NULL, shaker, (void *)random_number()));
	while (!control->stop) {
		if (churn)
			run_one(ops, ARRAY_SIZE(ops));
		sleep_ms(pick(4));
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
	atomic_fetch_add(&control->done, 1);
	for (;;)
		pause();
}

/* ---- the copy ---- */

/**
 * struct follower - who copies
 * @pid:	the process
 * @mem:	its /proc/PID/mem
 * @pagemap:	its /proc/PID/pagemap
 * @closed:	blocks that are closed, by number
 * @nr_closed:	their number
 * @quiet:	so many of them, the first ones, nobody writes to any more
 * @plant:	leave out one page
 * @planted:	... which has happened
 * @scans:	over all areas
 * @copied:	pages
 * @compared:	pages that had to be the same
 * @stale:	pages that were not
 */
struct follower {
	pid_t		pid;
	int		mem;
	int		pagemap;
	size_t		closed[32];
	size_t		nr_closed;
	size_t		quiet;
	bool		plant;
	bool		planted;
	uint64_t	scans;
	uint64_t	copied;
	uint64_t	compared;
	uint64_t	stale;
};

static bool read_memory(struct follower *f, struct area *a, size_t page, size_t nr, char *to)
{
	return pread(f->mem, to, nr * PAGE, (uintptr_t)at(a, page)) == (ssize_t)(nr * PAGE);
}

static bool is_quiet(struct follower *f, size_t block)
{
	size_t i;

	for (i = 0; i < f->quiet; i++)
		if (f->closed[i] == block)
			return true;
	return false;
}

/* One page that has changed and will not again before it is compared. */
static bool leave_out(struct follower *f, struct area *a, size_t page)
{
	char now[PAGE];

	if (!f->plant || f->planted || !is_quiet(f, a->block + page / BLOCK))
		return false;
	f->planted = read_memory(f, a, page, 1, now) &&
		     memcmp(now, a->copy + page * PAGE, PAGE);
	return f->planted;
}

static void copy_pages(struct follower *f, struct area *a, size_t page, size_t nr)
{
	char *copy = a->copy + page * PAGE;

	f->copied += nr;
	if (!f->plant && read_memory(f, a, page, nr, copy))
		return;
	for (; nr; nr--, page++, copy += PAGE) {
		if (leave_out(f, a, page))
			continue;
		/*
		 * Not there any more: then there was a change after the scan, and there
		 * will be a page that is dirty, or none.
		 */
		if (!read_memory(f, a, page, 1, copy))
			memset(copy, 0xa5, PAGE);
	}
}

#define CATEGORIES	(PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_PFNZERO | PAGE_IS_FILE | \
			 PAGE_IS_SHADOW_DIRTY)

static void follow_region(struct follower *f, struct area *a, const struct page_region *region)
{
	size_t page = (region->start - (uintptr_t)a->addr) / PAGE;
	size_t nr = (region->end - region->start) / PAGE;
	uint64_t is = region->categories;

	if (is & PAGE_IS_SHADOW_DIRTY)
		copy_pages(f, a, page, nr);
	else if (a->kind & L_FILE && (is & PAGE_IS_FILE || !is))
		memcpy(a->copy + page * PAGE, file_data + page * PAGE, nr * PAGE);
	else if (is & PAGE_IS_PFNZERO || !is)
		memset(a->copy + page * PAGE, 0, nr * PAGE);
}

/* All of an area, in pieces of any size. */
static long follow_area(struct follower *f, struct area *a)
{
	struct page_region *regions = calloc(a->nr, sizeof(*regions));
	struct pm_scan_arg arg = {
		.flags = PM_SCAN_CLEAR_SHADOW_DIRTY,
		.start = (uintptr_t)a->addr, .end = (uintptr_t)at(a, a->nr),
		.vec = (uintptr_t)regions,
		.return_mask = CATEGORIES,
	};
	uint64_t end;
	long ret, i;

	do {
		arg.vec_len = pick(4) ? a->nr : 1 + pick(100);
		arg.max_pages = pick(4) ? 0 : 1 + pick(a->nr);
		ret = pagemap_scan(f->pagemap, &arg);
		/* between what was found, nothing was mapped */
		end = arg.start;
		for (i = 0; i < ret; i++) {
			memset(a->copy + (end - (uintptr_t)a->addr), 0xa5, regions[i].start - end);
			end = regions[i].end;
			follow_region(f, a, &regions[i]);
		}
		arg.start = arg.walk_end;
	} while (ret >= 0 && arg.start < arg.end);
	free(regions);
	return ret < 0 ? ret : 0;
}

static void compare_pages(struct follower *f, struct area *a, size_t first, size_t nr)
{
	char *now = malloc(nr * PAGE);
	size_t i;

	if (!read_memory(f, a, first, nr, now)) {
		test_log("page %zu of area %zu cannot be read: %s", first, a - areas,
			 strerror(errno));
		f->stale += nr;
	} else {
		for (i = 0; i < nr; i++) {
			f->compared++;
			if (!memcmp(now + i * PAGE, a->copy + (first + i) * PAGE, PAGE))
				continue;
			if (f->stale++ < 8)
				test_log("scan %lu: page %zu of area %zu is stale", f->scans,
					 first + i, a - areas);
		}
	}
	free(now);
}

static void compare_block(struct follower *f, size_t block)
{
	struct area *a = areas;

	while (block >= a->block + a->nr / BLOCK)
		a++;
	compare_pages(f, a, (block - a->block) * BLOCK, BLOCK);
}

static void close_blocks(struct follower *f)
{
	size_t i, block;

	while (f->nr_closed < ARRAY_SIZE(f->closed)) {
		block = pick(nr_blocks);
		if (!(atomic_fetch_or(&control->block[block], CLOSED) & CLOSED))
			f->closed[f->nr_closed++] = block;
	}
	/* those that nobody has any more come first */
	for (f->quiet = i = 0; i < f->nr_closed; i++) {
		block = f->closed[i];
		if (atomic_load(&control->block[block]) != CLOSED)
			continue;
		f->closed[i] = f->closed[f->quiet];
		f->closed[f->quiet++] = block;
	}
}

static void compare_closed_blocks(struct follower *f)
{
	size_t i;

	for (i = 0; i < f->quiet; i++) {
		compare_block(f, f->closed[i]);
		atomic_fetch_and(&control->block[f->closed[i]], ~CLOSED);
	}
	f->nr_closed -= f->quiet;
	memmove(f->closed, f->closed + f->quiet, f->nr_closed * sizeof(f->closed[0]));
	f->quiet = 0;
}

static long follow(struct follower *f)
{
	struct area *a;
	long err;

	for (a = areas; a < areas + ARRAY_SIZE(areas); a++) {
		err = follow_area(f, a);
		if (err) {
			test_log("PAGEMAP_SCAN: %s", strerror(-err));
			return err;
		}
	}
	f->scans++;
	return 0;
}

static bool is_alive(struct follower *f)
{
	int status;

	if (waitpid(f->pid, &status, WNOHANG) != f->pid)
		return true;
	test_log("the process has ended, status %#x", status);
	f->pid = 0;
	return false;
}

/* False if it has come to an end, or does not stop. */
static bool stop_all(struct follower *f, bool churn)
{
	control->stop = 1;
	if (!WAIT_FOR(!is_alive(f) || control->done == 1 + churn))
		return false;
	control->stop = 2;
	return WAIT_FOR(!is_alive(f) || control->done == 1 + churn + NR_WRITERS) && f->pid;
}

#define MIN_SCANS	5

/* Until the time is over, or the planted page should have been noticed. */
static long follow_for(struct follower *f, int seconds)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + seconds * 1000000000LL;
	long err;

	while ((now_ns(CLOCK_MONOTONIC) < end || f->scans < MIN_SCANS) && is_alive(f)) {
		close_blocks(f);
		err = follow(f);
		if (err)
			return err;
		compare_closed_blocks(f);
		if (f->planted)
			break;
	}
	return 0;
}

FIXTURE(live_scan)
{
	struct follower f;
	char swap[32];
	bool swapping;
	bool merging;
};

FIXTURE_VARIANT(live_scan)
{
	bool churn;
};

FIXTURE_VARIANT_ADD(live_scan, writes)
{
	.churn = false,
};

FIXTURE_VARIANT_ADD(live_scan, churn)
{
	.churn = true,
};

FIXTURE_SETUP(live_scan)
{
	unsigned int seed = the_seed();
	char path[128];

	REQUIRE_SHADOW_DIRTY();
	random_state = seed * 88172645463325252ULL + 1;
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, control);
	file_data = map_rw(FILE_PAGES * PAGE);
	fill(file_data, FILE_PAGES * PAGE, seed);
	snprintf(path, sizeof(path), "%s/live_scan.XXXXXX", disk_dir());
	data_file = mkostemp(path, O_CLOEXEC);
	ASSERT_LE(0, data_file);
	ASSERT_EQ(FILE_PAGES * PAGE, write(data_file, file_data, FILE_PAGES * PAGE));
	ASSERT_EQ(0, fsync(data_file));
	close(data_file);
	data_file = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (data_file < 0)
		data_file = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, data_file);
	unlink(path);
	memfd = memfd_create("memory", MFD_CLOEXEC);
	ASSERT_EQ(0, ftruncate(memfd, 64 * PAGE));
	make_areas();
	if (variant->churn) {
		self->swapping = swap_on(self->swap, sizeof(self->swap));
		self->merging = ksm_on();
	}
	self->f.pid = fork();
	ASSERT_LE(0, self->f.pid);
	if (!self->f.pid)
		live(random_number(), variant->churn);
	snprintf(path, sizeof(path), "/proc/%d/mem", self->f.pid);
	self->f.mem = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->f.mem);
	self->f.pagemap = open_pagemap(self->f.pid);
	ASSERT_LE(0, self->f.pagemap);
}

FIXTURE_TEARDOWN(live_scan)
{
	if (self->f.pid > 0) {
		kill(self->f.pid, SIGKILL);
		waitpid(self->f.pid, NULL, 0);
	}
	if (self->merging)
		ksm_off();
	if (self->swapping)
		swap_off(self->swap);
}

static void report(const struct follower *f)
{
	test_log("%lu scans, %lu pages copied, %lu compared, %lu stale; %lu writes, %lu other operations",
		 f->scans, f->copied, f->compared, f->stale, control->writes, control->ops);
}

TEST_F_TIMEOUT(live_scan, no_page_is_stale, 36000)
{
	struct follower *f = &self->f;
	struct area *a;

	f->plant = getenv("CKPT_TEST_PLANT");
	ASSERT_EQ(0, follow_for(f, the_seconds(10)));
	ASSERT_TRUE(stop_all(f, variant->churn));
	ASSERT_EQ(0, follow(f));
	for (a = areas; a < areas + ARRAY_SIZE(areas); a++)
		compare_pages(f, a, 0, a->nr);
	report(f);
	EXPECT_EQ(0, f->stale);
	EXPECT_LT(0, f->compared);
	EXPECT_LT(0, control->writes);
	EXPECT_FALSE(f->planted);
}

TEST_F(live_scan, one_page_left_out_is_noticed)
{
	struct follower *f = &self->f;

	f->plant = true;
	ASSERT_EQ(0, follow_for(f, WAIT_SECONDS));
	report(f);
	EXPECT_TRUE(f->planted);
	EXPECT_EQ(1, f->stale);
}

CKPT_TEST_MAIN
