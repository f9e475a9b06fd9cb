// SPDX-License-Identifier: LGPL-2.1
/* XXH64, compiled in: the library needs no other one at run time. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "internal.h"

uint64_t lcr_xxh64(const void *data, size_t size)
{
	return XXH64(data, size, 0);
}
