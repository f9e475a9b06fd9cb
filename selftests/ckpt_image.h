/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading and changing checkpoint images, after nothing but what
 * <linux/checkpoint_image.h> says about them.
 */
#ifndef CKPT_IMAGE_TEST_H
#define CKPT_IMAGE_TEST_H

#define XXH_INLINE_ALL
#include <xxhash.h>
#include <linux/checkpoint_image.h>

#include "ckpt_test.h"

#define PAGE		4096UL

static uint32_t crc_table[256];

static inline void crc_init(void)
{
	uint32_t i, j, crc;

	for (i = 0; i < 256; i++) {
		for (crc = i, j = 0; j < 8; j++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
		crc_table[i] = crc;
	}
}

/* Continue @crc, which is 0 in the beginning, over @data. */
static inline uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *byte = data;

	if (!crc_table[1])
		crc_init();
	for (crc = ~crc; len; len--)
		crc = crc_table[(crc ^ *byte++) & 0xff] ^ crc >> 8;
	return ~crc;
}

#define MAX_RECORDS	4096

/**
 * struct image - an image in memory
 * @data:	its bytes
 * @len:	their number
 * @off:	where its records begin
 * @nr:		their number
 */
struct image {
	uint8_t	*data;
	size_t	len;
	size_t	off[MAX_RECORDS];
	int	nr;
};

static inline struct ckpt_rec *rec_at(struct image *img, int nr)
{
	return (struct ckpt_rec *)(img->data + img->off[nr]);
}

static inline void *payload_at(struct image *img, int nr)
{
	return img->data + img->off[nr] + sizeof(struct ckpt_rec);
}

/* The number of the @nth record of a type, from 0, or -1. */
static inline int find_rec(struct image *img, uint32_t type, int nth)
{
	int i;

	for (i = 0; i < img->nr; i++)
		if (rec_at(img, i)->type == type && !nth--)
			return i;
	return -1;
}

static inline void *find(struct image *img, uint32_t type, int nth)
{
	int nr = find_rec(img, type, nth);

	return nr < 0 ? NULL : payload_at(img, nr);
}

/* The number of the @nth FILE record of a kind. */
static inline int find_file_rec(struct image *img, const char *kind, int nth)
{
	struct ckpt_file *file;
	int i;

	for (i = 0; i < img->nr; i++) {
		file = payload_at(img, i);
		if (rec_at(img, i)->type == CKPT_REC_FILE && !strcmp((char *)file->type, kind) &&
		    !nth--)
			return i;
	}
	return -1;
}

/* The part of that record that is the kind's own. */
static inline void *find_file(struct image *img, const char *kind, int nth)
{
	int nr = find_file_rec(img, kind, nth);

	return nr < 0 ? NULL : (struct ckpt_file *)payload_at(img, nr) + 1;
}

/* Find the records; -1 if they do not fit into each other. */
static inline int index_image(struct image *img)
{
	size_t at = 0;

	for (img->nr = 0; at < img->len; img->nr++) {
		struct ckpt_rec *rec = (void *)(img->data + at);

		if (img->nr == MAX_RECORDS || img->len - at < sizeof(*rec) ||
		    rec->length > img->len - at - sizeof(*rec) || rec->length % 8)
			return -1;
		img->off[img->nr] = at;
		at += sizeof(*rec) + rec->length;
	}
	return 0;
}

static inline int load_image(struct image *img, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -1;
	img->len = st.st_size;
	img->data = malloc(img->len + 2 * PAGE);
	if (pread(fd, img->data, img->len, 0) != (ssize_t)img->len)
		return -1;
	return index_image(img);
}

/* What a record's checksum covers of its payload. */
static inline size_t covered(struct ckpt_rec *rec)
{
	struct ckpt_pages *pages = (void *)(rec + 1);

	return rec->type == CKPT_REC_PAGES && pages->data_offset <= rec->length ?
	       pages->data_offset : rec->length;
}

static inline uint32_t rec_crc(struct ckpt_rec *rec)
{
	struct ckpt_rec copy = *rec;

	copy.crc = 0;
	return crc32c(crc32c(0, &copy, sizeof(copy)), rec + 1, covered(rec));
}

static inline uint32_t chain_crc(struct image *img)
{
	uint32_t crc = 0;
	int i;

	for (i = 0; i < img->nr - 1; i++)
		crc = crc32c(crc, &rec_at(img, i)->crc, 4);
	return crc;
}

static inline struct ckpt_trailer_end *trailer_end(struct image *img)
{
	return (void *)(img->data + img->len - sizeof(struct ckpt_trailer_end));
}

/*
 * Make all checksums but those of pages right again, after a change that leaves the
 * records there.
 */
static inline void seal(struct image *img)
{
	int i;

	for (i = 0; i < img->nr - 1; i++)
		rec_at(img, i)->crc = rec_crc(rec_at(img, i));
	trailer_end(img)->crc = chain_crc(img);
	rec_at(img, i)->crc = rec_crc(rec_at(img, i));
}

/*
 * Put a record of zeros before record @nr, which is not behind PAGES records or is
 * the trailer.  It takes one page, so that page contents stay page-aligned.
 */
static inline struct ckpt_rec *insert_page(struct image *img, int nr, uint32_t type)
{
	struct ckpt_trailer *trailer = payload_at(img, img->nr - 1);
	struct ckpt_rec *rec = rec_at(img, nr);
	size_t i, at = img->off[nr];

	for (i = 0; i < trailer->nr_index; i++)
		if (trailer->index[i].offset >= at)
			trailer->index[i].offset += PAGE;
	trailer_end(img)->nr_records++;
	trailer_end(img)->image_bytes += PAGE;
	trailer_end(img)->trailer_offset += PAGE;
	memmove(img->data + at + PAGE, img->data + at, img->len - at);
	img->len += PAGE;
	memset(rec, 0, PAGE);
	rec->type = type;
	rec->version = 1;
	rec->length = PAGE - sizeof(*rec);
	index_image(img);
	return rec;
}

/* Put a record behind the header. */
static inline void insert_record(struct image *img, uint32_t type, uint16_t version, uint16_t flags)
{
	struct ckpt_rec *rec = insert_page(img, 1, type);

	rec->version = version;
	rec->flags = flags;
	seal(img);
}

/* Put a PAGES record of one run without contents before record @nr. */
static inline void insert_run_before(struct image *img, int nr, const struct ckpt_run *run)
{
	uint32_t mm = rec_at(img, find_rec(img, CKPT_REC_MM, 0))->objref;
	struct ckpt_rec *rec = insert_page(img, nr, CKPT_REC_PAGES);
	struct ckpt_rec *last = rec_at(img, img->nr - 1);
	struct ckpt_pages *pages = (void *)(rec + 1);
	struct ckpt_trailer *trailer = (void *)(last + 1);
	uint64_t offset = (uint8_t *)rec - img->data;
	struct ckpt_index *index = trailer->index;

	rec->objref = mm;
	pages->nr_runs = 1;
	pages->data_offset = rec->length;
	pages->runs[0] = *run;

	while (index < &trailer->index[trailer->nr_index] && index->offset < offset)
		index++;
	memmove(index + 1, index, img->data + img->len - (uint8_t *)index);
	*index = (struct ckpt_index) {
		.offset = offset,
		.objref = mm,
		.first = run->addr,
		.last = run->addr + (run->nr_pages - 1) * PAGE,
	};
	trailer->nr_index++;
	last->length += sizeof(*index);
	img->len += sizeof(*index);
	trailer_end(img)->image_bytes += sizeof(*index);
	seal(img);
}

/* ... before all others */
static inline void insert_first_run(struct image *img, const struct ckpt_run *run)
{
	insert_run_before(img, find_rec(img, CKPT_REC_PAGES, 0), run);
}

/* ... behind all others */
static inline void insert_last_run(struct image *img, const struct ckpt_run *run)
{
	insert_run_before(img, img->nr - 1, run);
}

/* Restart from the first @len bytes of the changed image. */
static inline long try_bytes(struct victim *v, const uint8_t *data, size_t len, uint64_t flags)
{
	if (ftruncate(v->image, 0) || pwrite(v->image, data, len, 0) != (ssize_t)len)
		return -EIO;
	return victim_try_restart(v, flags);
}

static inline long try_image(struct victim *v, struct image *img, uint64_t flags)
{
	return try_bytes(v, img->data, img->len, flags);
}

/* Whatever came to life is ended. */
static inline void end_restarted(struct victim *v, long pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
	v->alive = false;
}

static inline bool is_refusal(long err)
{
	return err == -EBADMSG || err == -ENOEXEC || err == -EOPNOTSUPP;
}

#endif /* CKPT_IMAGE_TEST_H */
