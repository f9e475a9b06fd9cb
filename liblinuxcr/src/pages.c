// SPDX-License-Identifier: LGPL-2.1
/*
 * The runs of an object in an image, in the order of their addresses.
 *
 * Where the PAGES records are is found out in one pass over the image. They are read
 * again one at a time, so memory does not grow with the image but by 40 bytes a
 * record; should the file have been changed by then, their checksums tell, or the
 * checks that memory safety needs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static int compare_places(const void *left, const void *right)
{
	const struct lcr_place *a = left, *b = right;

	if (a->objref != b->objref)
		return a->objref < b->objref ? -1 : 1;
	return a->first < b->first ? -1 : a->first > b->first;
}

/* Room for one more element; the number of elements doubles at powers of two. */
static int reserve(void **array, size_t count, size_t size)
{
	void *new;

	if (count & (count - 1))
		return 0;
	new = reallocarray(*array, count ? 2 * count : 1, size);
	if (!new)
		return -1;
	*array = new;
	return 0;
}

static int compare_objects(const void *left, const void *right)
{
	const struct lcr_object *a = left, *b = right;

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static int add_object(struct lcr_page_table *table, const struct ckpt_record *record)
{
	const struct ckpt_shmem *shmem = record->payload;
	const struct ckpt_mm *mm = record->payload;

	if (reserve((void **)&table->objects, table->nr_objects, sizeof(*table->objects)))
		return -1;
	table->objects[table->nr_objects++] = (struct lcr_object){
		.id = record->type == CKPT_REC_MM ? mm->id : shmem->id,
		.type = record->type,
		.objref = record->objref,
	};
	return 0;
}

/* In the order of their IDs, which are different. */
static int sort_objects(struct lcr_page_table *table)
{
	const struct lcr_object *o = table->objects;
	size_t i;

	if (table->nr_objects)
		qsort(table->objects, table->nr_objects, sizeof(*o), compare_objects);
	for (i = 1; i < table->nr_objects; i++)
		if (o[i].id && !compare_objects(&o[i - 1], &o[i]))
			return -1;
	return 0;
}

static int add_pages(struct lcr_chain_image *image, const struct ckpt_record *record)
{
	const struct ckpt_pages *pages = record->payload;
	struct lcr_page_table *table = &image->table;
	uint32_t i;

	for (i = 0; i < pages->nr_runs; i++) {
		const struct ckpt_run *run = &pages->runs[i];

		if (run->kind == CKPT_RUN_DATA)
			image->image.pages_here += run->nr_pages;
		else if (run->kind == CKPT_RUN_ZERO)
			image->image.pages_zero += run->nr_pages;
		else
			image->image.pages_parent += run->nr_pages;
	}
	if (reserve((void **)&table->places, table->nr_places, sizeof(*table->places)))
		return -1;
	table->places[table->nr_places++] = (struct lcr_place){
		.offset = record->offset,
		.first = pages->runs[0].addr,
		.head = record->payload_length,
		.objref = record->objref,
		.crc = record->crc,
	};
	return 0;
}

static int read_table(struct lcr_chain_image *image, struct ckpt_image *reader,
		      char **error)
{
	const struct ckpt_record *record;
	int ret;

	while ((ret = ckpt_image_next(reader, &record)) > 0) {
		if ((record->type == CKPT_REC_MM || record->type == CKPT_REC_SHMEM) &&
		    add_object(&image->table, record))
			return lcr_error(error, errno, "%s: %s", image->image.path,
					 strerror(errno));
		if (record->type == CKPT_REC_PAGES && add_pages(image, record))
			return lcr_error(error, errno, "%s: %s", image->image.path,
					 strerror(errno));
		image->image.bytes = record->offset + sizeof(struct ckpt_rec) +
				     record->length;
	}
	if (ret < 0)
		return lcr_error(error, errno, "%s: %s", image->image.path,
				 ckpt_image_error(reader));
	if (sort_objects(&image->table))
		return lcr_error(error, EBADMSG, "%s: two objects have the same ID",
				 image->image.path);
	return 0;
}

int lcr_read_table(struct lcr_chain_image *image, char **error)
{
	struct ckpt_image *reader;
	char *reason = NULL;
	int ret;

	reader = ckpt_image_fdopen(image->image.fd, CKPT_IMAGE_SKIP_DATA, &reason);
	if (!reader) {
		ret = lcr_error(error, errno, "%s: %s", image->image.path,
				reason ? reason : strerror(errno));
		free(reason);
		return ret;
	}
	if (memcmp(ckpt_image_header(reader), &image->header, sizeof(image->header)))
		ret = lcr_error(error, ESTALE, "%s: changed meanwhile", image->image.path);
	else
		ret = read_table(image, reader, error);
	ckpt_image_close(reader);
	if (lseek(image->image.fd, 0, SEEK_SET) && !ret)
		ret = lcr_error(error, errno, "%s: %s", image->image.path,
				strerror(errno));
	if (image->table.nr_places)
		qsort(image->table.places, image->table.nr_places,
		      sizeof(*image->table.places), compare_places);
	return ret;
}

void lcr_free_table(struct lcr_page_table *table)
{
	free(table->places);
	free(table->objects);
	*table = (struct lcr_page_table){ };
}

void lcr_cursor_start(struct lcr_cursor *cursor, const struct lcr_chain_image *image,
		      uint32_t objref)
{
	const struct lcr_page_table *table = &image->table;
	size_t low = 0, high = table->nr_places, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (table->places[middle].objref < objref)
			low = middle + 1;
		else
			high = middle;
	}
	cursor->image = image;
	cursor->place = table->places + low;
	while (high < table->nr_places && table->places[high].objref == objref)
		high++;
	cursor->nr_places = high - low;
	cursor->run = NULL;
	cursor->has_data = false;
}

void lcr_cursor_free(struct lcr_cursor *cursor)
{
	free(cursor->head);
	free(cursor->data);
	*cursor = (struct lcr_cursor){ };
}

static int read_at(const struct lcr_cursor *cursor, void *buffer, size_t size,
		   uint64_t offset, char **error)
{
	const struct ckpt_chain_image *image = &cursor->image->image;
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = pread(image->fd, (char *)buffer + done, size - done, offset + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return lcr_error(error, errno, "%s: cannot read at offset %" PRIu64 ": %s",
					 image->path, offset + done, strerror(errno));
		if (n == 0)
			return lcr_error(error, EBADMSG, "%s: truncated at offset %" PRIu64,
					 image->path, offset + done);
		done += n;
	}
	return 0;
}

/* Make *@buffer, whose contents are not needed, at least @size bytes long. */
static int make_space(void **buffer, size_t *space, size_t size, char **error)
{
	if (size <= *space)
		return 0;
	free(*buffer);
	*buffer = malloc(size);
	*space = *buffer ? size : 0;
	return *buffer ? 0 : lcr_error(error, ENOMEM, "out of memory");
}

static uint64_t run_size(const struct lcr_cursor *cursor)
{
	return (uint64_t)cursor->run->nr_pages * cursor->image->header.page_size;
}

static const struct ckpt_pages *head_pages(const struct lcr_cursor *cursor)
{
	return (const void *)((const char *)cursor->head + sizeof(struct ckpt_rec));
}

static void set_run(struct lcr_cursor *cursor, const struct ckpt_run *run)
{
	cursor->run = run;
	cursor->end = run->addr + run_size(cursor);
	cursor->has_data = false;
}

/* Whoever can write to the file can give other contents the same checksum. */
static bool head_is_sane(const struct lcr_cursor *cursor)
{
	const struct ckpt_pages *pages = head_pages(cursor);
	const uint64_t page_size = cursor->image->header.page_size;
	uint64_t end = 0;
	uint32_t i;

	if (!pages->nr_runs || sizeof(*pages) + (uint64_t)pages->nr_runs *
	    sizeof(struct ckpt_run) > cursor->place->head)
		return false;
	for (i = 0; i < pages->nr_runs; i++) {
		const struct ckpt_run *run = &pages->runs[i];

		if (!run->nr_pages || run->addr % page_size || run->addr < end ||
		    run->nr_pages > (UINT64_MAX - run->addr) / page_size ||
		    (run->kind == CKPT_RUN_DATA && run->nr_pages > CKPT_PAGES_MAX_PAGES))
			return false;
		end = run->addr + run->nr_pages * page_size;
	}
	return true;
}

/* Read the next PAGES record, but for the pages. */
static int read_head(struct lcr_cursor *cursor, char **error)
{
	const struct lcr_place *place = cursor->place;
	const size_t size = sizeof(struct ckpt_rec) + place->head;
	struct ckpt_rec *rec;

	if (make_space(&cursor->head, &cursor->head_space, size, error) ||
	    read_at(cursor, cursor->head, size, place->offset, error))
		return -1;
	rec = cursor->head;
	rec->crc = 0;
	if (~lcr_crc32c(LCR_CRC32C_INIT, cursor->head, size) != place->crc ||
	    !head_is_sane(cursor))
		return lcr_error(error, EBADMSG,
				 "%s: the PAGES record at offset %" PRIu64 " changed meanwhile",
				 cursor->image->image.path, place->offset);
	cursor->offset = place->offset + size;
	set_run(cursor, head_pages(cursor)->runs);
	return 0;
}

int lcr_cursor_seek(struct lcr_cursor *cursor, uint64_t addr, char **error)
{
	while (!cursor->run || cursor->end <= addr) {
		if (cursor->run) {
			const struct ckpt_pages *pages = head_pages(cursor);

			if (cursor->run->kind == CKPT_RUN_DATA)
				cursor->offset += run_size(cursor);
			if (cursor->run + 1 < pages->runs + pages->nr_runs) {
				set_run(cursor, cursor->run + 1);
				continue;
			}
			cursor->run = NULL;
			cursor->place++;
			cursor->nr_places--;
		}
		/* A record needs no look if the one after it begins early enough. */
		while (cursor->nr_places > 1 && cursor->place[1].first <= addr) {
			cursor->place++;
			cursor->nr_places--;
		}
		if (!cursor->nr_places)
			return 0;
		if (read_head(cursor, error))
			return -1;
	}
	return 1;
}

const void *lcr_cursor_data(struct lcr_cursor *cursor, char **error)
{
	const size_t size = run_size(cursor);

	if (cursor->has_data)
		return cursor->data;
	if (make_space(&cursor->data, &cursor->data_space, size, error) ||
	    read_at(cursor, cursor->data, size, cursor->offset, error))
		return NULL;
	if (lcr_xxh64(cursor->data, size) != cursor->run->hash) {
		lcr_error(error, EBADMSG,
			  "%s: pages at address 0x%" PRIx64 " (offset %" PRIu64 ") damaged",
			  cursor->image->image.path, (uint64_t)cursor->run->addr,
			  cursor->offset);
		return NULL;
	}
	cursor->has_data = true;
	return cursor->data;
}
