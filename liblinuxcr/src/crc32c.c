// SPDX-License-Identifier: LGPL-2.1
/* CRC-32C (Castagnoli, reflected polynomial 0x82f63b78). */
#include <string.h>

#include "internal.h"

/* Four bits at a time: small, and only for machines without the instruction. */
uint32_t lcr_crc32c_portable(uint32_t crc, const void *data, size_t size)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const unsigned char *p = data;

	while (size--) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

#ifdef __x86_64__

__attribute__((target("sse4.2")))
static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t size)
{
	const unsigned char *p = data;
	uint64_t crc64 = crc;
	uint64_t word;

	for (; size >= sizeof(word); p += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		crc64 = __builtin_ia32_crc32di(crc64, word);
	}
	crc = crc64;
	while (size--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}

uint32_t lcr_crc32c(uint32_t crc, const void *data, size_t size)
{
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, data, size);
	return lcr_crc32c_portable(crc, data, size);
}

#else

uint32_t lcr_crc32c(uint32_t crc, const void *data, size_t size)
{
	return lcr_crc32c_portable(crc, data, size);
}

#endif
