/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PAGEMAP_SCAN: which pages are of which category.
 */
#ifndef CKPT_SCAN_H
#define CKPT_SCAN_H

#include <sys/ioctl.h>
#include <linux/fs.h>

#include "ckpt_memory.h"

static inline int open_pagemap(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The number of regions, or -errno. */
static inline long pagemap_scan(int fd, struct pm_scan_arg *arg)
{
	long ret;

	arg->size = sizeof(*arg);
	ret = ioctl(fd, PAGEMAP_SCAN, arg);
	return ret < 0 ? -errno : ret;
}

static inline bool have_shadow_dirty(void)
{
	struct pm_scan_arg arg = { .category_mask = PAGE_IS_SHADOW_DIRTY };
	int fd = open_pagemap(getpid());
	long ret = pagemap_scan(fd, &arg);

	close(fd);
	return ret == 0;
}

#define REQUIRE_SHADOW_DIRTY()						\
	do {								\
		if (!have_shadow_dirty())				\
			SKIP(return, "kernel without CONFIG_SHADOW_DIRTY"); \
	} while (0)

/*
 * How many pages of @nr are of @category; -errno.  Each is marked in @seen, unless that
 * is NULL.
 */
static inline long scan_pages(int fd, const void *addr, size_t nr, uint64_t flags,
			      uint64_t category, uint8_t *seen)
{
	struct page_region *found = calloc(nr + 1, sizeof(*found));
	struct pm_scan_arg arg = {
		.flags = flags,
		.start = (uintptr_t)addr, .end = (uintptr_t)addr + nr * PAGE,
		.vec = (uintptr_t)found, .vec_len = nr + 1,
		.category_mask = category, .return_mask = category,
	};
	long i, ret = pagemap_scan(fd, &arg), pages = 0;
	uint64_t at;

	if (seen)
		memset(seen, 0, nr);
	for (i = 0; i < ret; i++)
		for (at = found[i].start; at < found[i].end; at += PAGE) {
			pages++;
			if (seen)
				seen[(at - (uintptr_t)addr) / PAGE] = 1;
		}
	free(found);
	return ret < 0 ? ret : pages;
}

#endif /* CKPT_SCAN_H */
