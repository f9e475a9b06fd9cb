/* SPDX-License-Identifier: LGPL-2.1 */
/* What the files of liblinuxcr, and the tool ckpt, share beyond liblinuxcr.h. */
#ifndef LCR_INTERNAL_H
#define LCR_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <linux/checkpoint.h>

#include "liblinuxcr.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "images are little-endian and this library does not convert them"
#endif

/* report.c */

struct ckpt_report {
	size_t text_size;
	char *text;
	union {
		struct checkpoint_stats kernel;
		struct ckpt_stats user;
	} stats;
};

void lcr_report_clear(struct ckpt_report *report);

/* checkpoint.c */

/* Copy the caller's options, which may be NULL, and empty their report. */
int lcr_get_options(struct ckpt_options *opts, const struct ckpt_options *user);

/* save.c */

/**
 * struct lcr_save - an image on its way to a file
 * @dir:	the directory of the file, absolute
 * @dir_stat:	what it was in the beginning
 * @name:	the file's name in it
 * @temp:	the temporary name in it; NULL while the file has none
 * @fd:		where the image is written to
 * @pidfd:	the process, with CKPT_KILL; else -1
 * @was_stopped: it had been stopped before
 * @stopped:	the checkpoint stops it, or has done so
 *
 * A process that is to be killed only is when its image is on stable storage:
 * until then the checkpoint leaves it stopped.
 */
struct lcr_save {
	char *dir;
	struct stat dir_stat;
	char *name;
	char *temp;
	int fd;
	int pidfd;
	bool was_stopped;
	bool stopped;
};

/*
 * lcr_save_begin(), lcr_save_checkpoint(), then lcr_save_commit(); in place of
 * the third, and where the second failed, lcr_save_discard(). The last two free
 * what @save holds, also if they fail; so does the second where it returns 1.
 */
int lcr_save_begin(struct lcr_save *save, const char *path);
int lcr_save_checkpoint(struct lcr_save *save, pid_t pid,
			const struct ckpt_options *opts);
int lcr_save_commit(struct lcr_save *save);
void lcr_save_discard(struct lcr_save *save);

/* crc32c.c */

#define LCR_CRC32C_INIT		(~0U)

/* @crc begins as LCR_CRC32C_INIT and is inverted in the end. */
uint32_t lcr_crc32c(uint32_t crc, const void *data, size_t size);
uint32_t lcr_crc32c_portable(uint32_t crc, const void *data, size_t size);

/* xxh64.c */

uint64_t lcr_xxh64(const void *data, size_t size);

/* records.c */

/**
 * struct lcr_record_type - what the library knows about a type of record
 * @type:	CKPT_REC_*
 * @name:	the same as text
 * @version:	the highest version it knows
 * @min_length:	bytes of payload this version has at least
 */
struct lcr_record_type {
	uint32_t type;
	const char *name;
	uint16_t version;
	uint32_t min_length;
};

/* NULL for an unknown type */
const struct lcr_record_type *lcr_record_type(uint32_t type);

#endif /* LCR_INTERNAL_H */
