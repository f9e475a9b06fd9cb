// SPDX-License-Identifier: LGPL-2.1
/*
 * ckpt_dirty_*(), ckpt_exclude() and ckpt_include() with a kernel that is made up: the
 * linker puts the functions __wrap_...() here before those of the C library.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../src/internal.h"
#include "ktap.h"

#define PAGE	4096UL
#define BASE	0x7f0000000000UL
#define PAGES	3000

/* In place of categories: no mapping there */
#define NOTHING	(~0ULL)

static struct {
	/* PAGEMAP_SCAN: the pages from BASE on, the end of the address space */
	uint64_t categories[PAGES];
	uint64_t end;
	int calls;
	int fail_at_call;
	int error;
	struct pm_scan_arg arg;

	/* madvise(): its errno value, whether it knows the advices */
	int madvise_error;
	bool madvise_unknown;
	uintptr_t start;
	size_t length;
	int advice;
} fake;

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_madvise(void *addr, size_t length, int advice);

static int fail(int error)
{
	errno = error;
	return -1;
}

static bool matches(const struct pm_scan_arg *arg, uint64_t categories)
{
	categories ^= arg->category_inverted;
	return (categories & arg->category_mask) == arg->category_mask &&
	       (!arg->category_anyof_mask || (categories & arg->category_anyof_mask));
}

static int fake_scan(struct pm_scan_arg *arg)
{
	struct page_region *region = (struct page_region *)(uintptr_t)arg->vec;
	uint64_t addr, found, *categories;
	size_t n = 0;

	fake.arg = *arg;
	if (++fake.calls == fake.fail_at_call)
		return fail(fake.error);
	if (arg->size != sizeof(*arg) || arg->start % PAGE || arg->start > arg->end)
		return fail(EINVAL);
	if (arg->end > fake.end)
		return fail(EFAULT);
	for (addr = arg->start < BASE ? BASE : arg->start;
	     addr < arg->end && addr < BASE + PAGES * PAGE; addr += PAGE) {
		categories = &fake.categories[(addr - BASE) / PAGE];
		if (*categories == NOTHING || !matches(arg, *categories))
			continue;
		found = *categories & arg->return_mask;
		if (region && n && region[n - 1].end == addr &&
		    region[n - 1].categories == found) {
			region[n - 1].end += PAGE;
		} else if (region) {
			if (n == arg->vec_len) {
				arg->walk_end = addr;
				return n;
			}
			region[n++] = (struct page_region){ addr, addr + PAGE, found };
		}
		if (arg->flags & PM_SCAN_CLEAR_SHADOW_DIRTY)
			*categories &= ~(uint64_t)PAGE_IS_SHADOW_DIRTY;
	}
	arg->walk_end = arg->end;
	return n;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	return request == PAGEMAP_SCAN ? fake_scan(arg) : __real_ioctl(fd, request, arg);
}

int __wrap_madvise(void *addr, size_t length, int advice)
{
	if (fake.madvise_unknown)
		return fail(EINVAL);
	if (!length)
		return 0;
	fake.start = (uintptr_t)addr;
	fake.length = length;
	fake.advice = advice;
	return fake.madvise_error ? fail(fake.madvise_error) : 0;
}

static void begin(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(fake.categories, 0xff, sizeof(fake.categories));
	fake.end = (1UL << 47) - PAGE;
	errno = 12345;
}

/* ---- ckpt_dirty_*() ---- */

static bool kernels_without_it_are_noticed(void)
{
	static const int errors[] = { EINVAL, ENOTTY };
	size_t i;

	for (i = 0; i < 2; i++) {
		begin();
		fake.fail_at_call = 1;
		fake.error = errors[i];
		CHECK(!ckpt_dirty_open(0) && errno == ENOTSUP);
	}
	begin();
	fake.fail_at_call = 1;
	fake.error = ESRCH;
	CHECK(!ckpt_dirty_open(0) && errno == ESRCH, "other errors are left alone");
	return true;
}

static bool processes_that_are_not_there_are_noticed(void)
{
	pid_t pid;

	begin();
	CHECK(!ckpt_dirty_open(-1) && errno == EINVAL);
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	CHECK(!ckpt_dirty_open(pid) && errno == ESRCH);
	CHECK(!ckpt_dirty_open(INT32_MAX) && errno == ESRCH);
	CHECK(!fake.calls);
	return true;
}

static bool all_of_the_address_space_is_meant(void)
{
	static const uint64_t ends[] = { (1UL << 47) - PAGE, (1UL << 56) - PAGE };
	struct ckpt_dirty_range range;
	struct ckpt_dirty *dirty;
	uint64_t addr;
	size_t i;

	for (i = 0; i < 2; i++) {
		begin();
		fake.end = ends[i];
		dirty = ckpt_dirty_open(0);
		CHECK(dirty && errno == 12345);
		CHECK(!(fake.arg.flags & PM_SCAN_CLEAR_SHADOW_DIRTY), "opening changes nothing");
		CHECK(!ckpt_dirty_begin(dirty));
		CHECK(fake.arg.flags == PM_SCAN_CLEAR_SHADOW_DIRTY && !fake.arg.start);
		CHECK(fake.arg.end == ends[i] && !fake.arg.vec);
		addr = 0;
		CHECK(!ckpt_dirty_get(dirty, &addr, UINT64_MAX, 0, &range, 1));
		CHECK(addr == UINT64_MAX && fake.arg.end == ends[i]);
		CHECK(!ckpt_dirty_get(dirty, &addr, UINT64_MAX, 0, &range, 1));
		addr = ends[i] + PAGE;
		CHECK(!ckpt_dirty_get(dirty, &addr, ends[i] + 2 * PAGE, 0, &range, 1));
		CHECK(addr == ends[i] + 2 * PAGE && errno == 12345);
		ckpt_dirty_close(dirty);
	}
	return true;
}

/* What the library has to say of a page */
static uint32_t expected_kind(uint64_t categories, unsigned int flags)
{
	if (categories == NOTHING)
		return 0;
	if (categories & PAGE_IS_SHADOW_DIRTY)
		return CKPT_DIRTY_WRITTEN;
	if (!(flags & CKPT_DIRTY_WITH_EMPTY))
		return 0;
	switch (categories) {
	case PAGE_IS_PRESENT:
	case PAGE_IS_SWAPPED:
		return 0;
	default:
		return CKPT_DIRTY_EMPTY;
	}
}

static uint64_t random_categories(void)
{
	static const uint64_t choice[] = {
		NOTHING, 0,
		PAGE_IS_PRESENT, PAGE_IS_PRESENT | PAGE_IS_SHADOW_DIRTY,
		PAGE_IS_SWAPPED, PAGE_IS_SWAPPED | PAGE_IS_SHADOW_DIRTY,
		PAGE_IS_PRESENT | PAGE_IS_PFNZERO, PAGE_IS_PRESENT | PAGE_IS_FILE,
		PAGE_IS_SWAPPED | PAGE_IS_FILE,
		PAGE_IS_PRESENT | PAGE_IS_FILE | PAGE_IS_SHADOW_DIRTY,
		PAGE_IS_SHADOW_DIRTY,
	};

	return choice[random() % (sizeof(choice) / sizeof(choice[0]))];
}

/* One pass over [first, last), in calls for nr ranges each, against what is expected */
static bool pass(struct ckpt_dirty *dirty, size_t first, size_t last, unsigned int flags,
		 size_t nr)
{
	static uint32_t want[PAGES], got[PAGES];
	struct ckpt_dirty_range ranges[PAGES];
	uint64_t addr = BASE + first * PAGE, end = BASE + last * PAGE, at = addr;
	size_t i, page;
	int n;

	memset(want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
	for (page = first; page < last; page++)
		want[page] = expected_kind(fake.categories[page], flags);
	while (addr < end) {
		memset(ranges, 0xff, sizeof(ranges));
		n = ckpt_dirty_get(dirty, &addr, end, flags, ranges, nr);
		CHECK(n >= 0 && (size_t)n <= nr && (n || addr == end));
		for (i = 0; i < (size_t)n; i++) {
			CHECK(ranges[i].addr >= at && ranges[i].length);
			CHECK(ranges[i].addr % PAGE == 0 && ranges[i].length % PAGE == 0);
			CHECK(!ranges[i].reserved);
			CHECK(!i || ranges[i].addr > at || ranges[i].kind != ranges[i - 1].kind,
			      "ranges that should be one");
			at = ranges[i].addr + ranges[i].length;
			CHECK(at <= addr);
			page = (ranges[i].addr - BASE) / PAGE;
			while (page < (at - BASE) / PAGE)
				got[page++] = ranges[i].kind;
		}
		CHECK(nr == PAGES || !n || (size_t)n == nr || addr == end, "too early an end");
		CHECK((size_t)n == nr || ranges[n].addr == UINT64_MAX);
	}
	CHECK(!memcmp(want, got, sizeof(want)));
	for (page = 0; page < PAGES && (flags & CKPT_DIRTY_CLEAR); page++)
		CHECK(page < first || page >= last || fake.categories[page] == NOTHING ||
		      !(fake.categories[page] & PAGE_IS_SHADOW_DIRTY));
	return true;
}

static bool ranges_are_those_of_the_kernel(void)
{
	static const size_t nrs[] = { 1, 2, 7, 255, 256, 257, 600, PAGES };
	size_t first, last, page, i, round;
	struct ckpt_dirty *dirty;
	unsigned int flags;
	uint64_t now;
	int left;

	begin();
	dirty = ckpt_dirty_open(0);
	CHECK(dirty);
	srandom(1);
	for (round = 0; round < 200; round++) {
		for (page = 0, left = 0; page < PAGES; page++) {
			if (!left--) {
				left = round % 3 ? random() % 5 : 0;
				now = random_categories();
			}
			fake.categories[page] = now;
		}
		first = random() % PAGES;
		last = first + random() % (PAGES - first);
		if (round % 4 == 0) {
			first = 0;
			last = PAGES;
		}
		flags = random() % 4;
		i = random() % (sizeof(nrs) / sizeof(nrs[0]));
		if (!pass(dirty, first, last, flags, nrs[i])) {
			printf("# round %zu: pages %zu to %zu, flags %u, %zu ranges a call\n",
			       round, first, last, flags, nrs[i]);
			return false;
		}
		CHECK(errno == 12345);
	}
	ckpt_dirty_close(dirty);
	return true;
}

static bool nothing_is_lost_where_a_scan_fails(void)
{
	struct ckpt_dirty_range ranges[PAGES];
	struct ckpt_dirty *dirty;
	uint64_t addr = BASE;
	size_t page;
	int n;

	begin();
	for (page = 0; page < PAGES; page++)
		fake.categories[page] = page % 2 ? PAGE_IS_PRESENT :
					PAGE_IS_PRESENT | PAGE_IS_SHADOW_DIRTY;
	dirty = ckpt_dirty_open(0);
	CHECK(dirty);
	fake.fail_at_call = fake.calls + 2;
	fake.error = ESRCH;
	errno = 12345;
	n = ckpt_dirty_get(dirty, &addr, UINT64_MAX, CKPT_DIRTY_CLEAR, ranges, PAGES);
	CHECK(n > 0 && errno == 12345);
	for (page = 0; page < PAGES; page += 2)
		CHECK(!(fake.categories[page] & PAGE_IS_SHADOW_DIRTY) == (page < 2 * (size_t)n));
	fake.fail_at_call = fake.calls + 1;
	CHECK(ckpt_dirty_get(dirty, &addr, UINT64_MAX, CKPT_DIRTY_CLEAR, ranges, PAGES) == -1);
	CHECK(errno == ESRCH);
	fake.fail_at_call = fake.calls + 1;
	CHECK(ckpt_dirty_begin(dirty) == -1 && errno == ESRCH);
	ckpt_dirty_close(dirty);
	return true;
}

static bool wrong_arguments_are_refused(void)
{
	struct ckpt_dirty_range range;
	struct ckpt_dirty *dirty;
	uint64_t addr;
	int calls;

	begin();
	dirty = ckpt_dirty_open(0);
	CHECK(dirty);
	calls = fake.calls;
	addr = BASE;
	CHECK(ckpt_dirty_get(dirty, &addr, UINT64_MAX, 4, &range, 1) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(ckpt_dirty_get(dirty, &addr, UINT64_MAX, 0, &range, 0) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(ckpt_dirty_get(dirty, &addr, BASE + 1, 0, &range, 1) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(ckpt_dirty_get(dirty, &addr, BASE - PAGE, 0, &range, 1) == -1 && errno == EINVAL);
	CHECK(addr == BASE);
	addr = BASE + 8;
	errno = 0;
	CHECK(ckpt_dirty_get(dirty, &addr, UINT64_MAX, 0, &range, 1) == -1 && errno == EINVAL);
	CHECK(addr == BASE + 8 && fake.calls == calls);
	ckpt_dirty_close(dirty);
	ckpt_dirty_close(NULL);
	return true;
}

/* ---- ckpt_exclude(), ckpt_include() ---- */

static bool whole_pages_are_excluded(void)
{
	static const struct {
		uintptr_t addr;
		size_t length;
		uintptr_t start;
		size_t pages;
	} cases[] = {
		{ BASE, PAGE, BASE, 1 },
		{ BASE, 3 * PAGE, BASE, 3 },
		{ BASE, 2 * PAGE - 1, BASE, 1 },
		{ BASE + 1, 2 * PAGE - 1, BASE + PAGE, 1 },
		{ BASE + 1, 3 * PAGE, BASE + PAGE, 2 },
		{ BASE + PAGE - 1, PAGE + 2, BASE + PAGE, 1 },
		/* none */
		{ BASE, 0, 0, 0 },
		{ BASE, PAGE - 1, 0, 0 },
		{ BASE + 1, PAGE - 1, 0, 0 },
		{ BASE + 1, 2 * PAGE - 2, 0, 0 },
		{ BASE + 100, 1, 0, 0 },
		{ UINTPTR_MAX - 5, 5, 0, 0 },
	};
	static const int advices[] = { 200, 201 };
	int (*function)(void *addr, size_t length);
	size_t i, f;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (f = 0; f < 2; f++) {
			begin();
			function = f ? ckpt_include : ckpt_exclude;
			CHECK(!function((void *)cases[i].addr, cases[i].length), "case %zu", i);
			CHECK(fake.start == cases[i].start, "case %zu", i);
			CHECK(fake.length == cases[i].pages * PAGE, "case %zu", i);
			CHECK(!cases[i].pages || fake.advice == advices[f]);
			CHECK(errno == 12345);
		}
	}
	begin();
	CHECK(ckpt_exclude((void *)BASE, UINTPTR_MAX - 10) == -1 && errno == EINVAL);
	CHECK(!fake.length);
	return true;
}

static bool errors_of_exclusion_are_told_apart(void)
{
	static const int errors[] = { EINVAL, ENOMEM, EAGAIN };
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		begin();
		fake.madvise_error = errors[i];
		CHECK(ckpt_exclude((void *)BASE, PAGE) == -1 && errno == errors[i]);
		errno = 0;
		CHECK(ckpt_include((void *)BASE, PAGE) == -1 && errno == errors[i]);
	}
	begin();
	fake.madvise_unknown = true;
	CHECK(ckpt_exclude((void *)BASE, PAGE) == -1 && errno == ENOTSUP);
	errno = 0;
	CHECK(ckpt_include((void *)BASE, PAGE) == -1 && errno == ENOTSUP);
	errno = 0;
	CHECK(ckpt_exclude((void *)BASE, 10) == -1 && errno == ENOTSUP, "no whole page");
	return true;
}

int main(void)
{
	static const struct test tests[] = {
		{ "a kernel without shadow dirty bits is ENOTSUP",
		  kernels_without_it_are_noticed },
		{ "a process that is not there is ESRCH",
		  processes_that_are_not_there_are_noticed },
		{ "all of the address space is meant, whatever its size",
		  all_of_the_address_space_is_meant },
		{ "ranges are those of the kernel, however many fit into a call",
		  ranges_are_those_of_the_kernel },
		{ "what has been cleared is reported where a scan fails",
		  nothing_is_lost_where_a_scan_fails },
		{ "a query refuses wrong arguments",
		  wrong_arguments_are_refused },
		{ "whole pages are excluded and included",
		  whole_pages_are_excluded },
		{ "errors of exclusion are told apart",
		  errors_of_exclusion_are_told_apart },
	};

	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
