// SPDX-License-Identifier: LGPL-2.1
/* Memory that images leave out. */
#include <errno.h>
#include <unistd.h>
#include <linux/mman.h>
#include <sys/mman.h>

#include "internal.h"

#ifndef MADV_DONTCHECKPOINT
#define MADV_DONTCHECKPOINT	200
#define MADV_DOCHECKPOINT	201
#endif

static int advise(void *addr, size_t length, int advice)
{
	uintptr_t mask = sysconf(_SC_PAGESIZE) - 1;
	uintptr_t start, end;

	if (__builtin_add_overflow((uintptr_t)addr, length, &end)) {
		errno = EINVAL;
		return -1;
	}
	end &= ~mask;
	/* no whole page: then the kernel only says whether it knows the advice */
	if (__builtin_add_overflow((uintptr_t)addr, mask, &start) || (start & ~mask) > end)
		start = end;
	start &= ~mask;
	if (!madvise((void *)start, end - start, advice))
		return 0;
	if (errno == EINVAL && madvise(NULL, 0, advice))
		errno = ENOTSUP;
	return -1;
}

int ckpt_exclude(void *addr, size_t length)
{
	return advise(addr, length, MADV_DONTCHECKPOINT);
}

int ckpt_include(void *addr, size_t length)
{
	return advise(addr, length, MADV_DOCHECKPOINT);
}
