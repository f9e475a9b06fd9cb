// SPDX-License-Identifier: LGPL-2.1
/*
 * What a process writes to: shadow dirty tracking, by the ioctl PAGEMAP_SCAN of
 * /proc/PID/pagemap. See Documentation/admin-guide/mm/pagemap.rst of the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "internal.h"

/* Not more than the kernel collects at a time: it goes on by itself otherwise. */
#define NR_REGIONS	256

/*
 * Where address spaces end, the farthest first: with 57 bits and with 48. The kernel
 * does not take ranges that go beyond.
 */
static const uint64_t address_space_ends[] = {
	(UINT64_C(1) << 56) - 4096,
	(UINT64_C(1) << 47) - 4096,
};

/**
 * struct ckpt_dirty - a query
 * @fd:		/proc/PID/pagemap
 * @end:	of the address space
 * @page_size:	in bytes
 *
 * It does not change, so that threads can share it.
 */
struct ckpt_dirty {
	int fd;
	uint64_t end;
	uint64_t page_size;
};

static int scan(const struct ckpt_dirty *dirty, struct pm_scan_arg *arg)
{
	arg->size = sizeof(*arg);
	return ioctl(dirty->fd, PAGEMAP_SCAN, arg);
}

/* Find out where the address space ends, and whether the kernel can do it at all. */
static int probe(struct ckpt_dirty *dirty)
{
	struct pm_scan_arg arg = { .category_mask = PAGE_IS_SHADOW_DIRTY };
	size_t i;

	for (i = 0; i < sizeof(address_space_ends) / sizeof(address_space_ends[0]); i++) {
		dirty->end = address_space_ends[i];
		/* nothing to scan, but checked */
		arg.start = dirty->end;
		arg.end = dirty->end;
		if (!scan(dirty, &arg))
			return 0;
		if (errno != EFAULT)
			break;
	}
	/* no such category; no such ioctl */
	if (errno == EINVAL || errno == ENOTTY)
		errno = ENOTSUP;
	return -1;
}

static int open_pagemap(pid_t pid)
{
	char path[32] = "/proc/self", *end = path + strlen(path);
	int fd;

	if (pid)
		end = path + sprintf(path, "/proc/%d", (int)pid);
	strcpy(end, "/pagemap");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && !access("/proc/self", F_OK)) {
		*end = '\0';
		errno = access(path, F_OK) ? ESRCH : ENOTSUP;
	}
	return fd;
}

struct ckpt_dirty *ckpt_dirty_open(pid_t pid)
{
	int saved_errno = errno;
	struct ckpt_dirty *dirty;

	if (pid < 0) {
		errno = EINVAL;
		return NULL;
	}
	dirty = calloc(1, sizeof(*dirty));
	if (!dirty)
		return NULL;
	dirty->page_size = sysconf(_SC_PAGESIZE);
	dirty->fd = open_pagemap(pid);
	if (dirty->fd >= 0 && !probe(dirty)) {
		errno = saved_errno;
		return dirty;
	}
	ckpt_dirty_close(dirty);
	return NULL;
}

void ckpt_dirty_close(struct ckpt_dirty *dirty)
{
	int saved_errno = errno;

	if (dirty && dirty->fd >= 0)
		close(dirty->fd);
	free(dirty);
	errno = saved_errno;
}

int ckpt_dirty_begin(struct ckpt_dirty *dirty)
{
	struct pm_scan_arg arg = {
		.flags = PM_SCAN_CLEAR_SHADOW_DIRTY,
		.end = dirty->end,
		.category_mask = PAGE_IS_SHADOW_DIRTY,
	};

	return scan(dirty, &arg) < 0 ? -1 : 0;
}

/* Of what kind is memory of these categories? 0 if it has not been written to. */
static uint32_t kind(uint64_t categories)
{
	if (categories & PAGE_IS_SHADOW_DIRTY)
		return CKPT_DIRTY_WRITTEN;
	if ((categories & (PAGE_IS_PRESENT | PAGE_IS_SWAPPED)) &&
	    !(categories & (PAGE_IS_PFNZERO | PAGE_IS_FILE)))
		return 0;
	return CKPT_DIRTY_EMPTY;
}

/* Put a region behind the @n ranges there are, or make it part of the last one. */
static size_t add_region(struct ckpt_dirty_range *ranges, size_t n,
			 const struct page_region *region)
{
	struct ckpt_dirty_range range = {
		.addr = region->start,
		.length = region->end - region->start,
		.kind = kind(region->categories),
	};
	struct ckpt_dirty_range *last = n ? &ranges[n - 1] : NULL;

	if (!range.kind)
		return n;
	if (last && last->kind == range.kind && last->addr + last->length == range.addr) {
		last->length += range.length;
		return n;
	}
	ranges[n] = range;
	return n + 1;
}

int ckpt_dirty_get(struct ckpt_dirty *dirty, uint64_t *addr, uint64_t end,
		   unsigned int flags, struct ckpt_dirty_range *ranges, size_t nr_ranges)
{
	uint64_t limit = end < dirty->end ? end : dirty->end;
	struct page_region regions[NR_REGIONS];
	struct pm_scan_arg arg = { .vec = (uintptr_t)regions };
	int i, found, saved_errno = errno;
	size_t n = 0;

	if ((flags & ~(CKPT_DIRTY_CLEAR | CKPT_DIRTY_WITH_EMPTY)) || !nr_ranges ||
	    *addr > end || (*addr % dirty->page_size && *addr != end) ||
	    (end % dirty->page_size && end != UINT64_MAX)) {
		errno = EINVAL;
		return -1;
	}
	if (nr_ranges > INT_MAX)
		nr_ranges = INT_MAX;
	if (flags & CKPT_DIRTY_CLEAR)
		arg.flags = PM_SCAN_CLEAR_SHADOW_DIRTY;
	arg.end = limit;
	if (flags & CKPT_DIRTY_WITH_EMPTY) {
		/* all but what is present, a page of its own, and clean */
		arg.category_inverted = PAGE_IS_PRESENT;
		arg.category_anyof_mask = PAGE_IS_SHADOW_DIRTY | PAGE_IS_PRESENT |
					  PAGE_IS_PFNZERO | PAGE_IS_FILE;
		arg.return_mask = arg.category_anyof_mask | PAGE_IS_SWAPPED;
	} else {
		arg.category_mask = PAGE_IS_SHADOW_DIRTY;
		arg.return_mask = PAGE_IS_SHADOW_DIRTY;
	}

	while (n < nr_ranges && *addr < limit) {
		arg.start = *addr;
		arg.vec_len = nr_ranges - n < NR_REGIONS ? nr_ranges - n : NR_REGIONS;
		found = scan(dirty, &arg);
		if (found < 0) {
			if (!n)
				return -1;
			/* What has been cleared must be reported. */
			errno = saved_errno;
			return n;
		}
		for (i = 0; i < found; i++)
			n = add_region(ranges, n, &regions[i]);
		*addr = arg.walk_end;
	}
	if (*addr >= limit)
		*addr = end;
	return n;
}
