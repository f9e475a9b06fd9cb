// SPDX-License-Identifier: LGPL-2.1
/*
 * Make one full image out of a chain.
 *
 * The metadata are those of the newest image. Each of its runs of pages is followed
 * down the chain until an image has the contents or says that they are zeros. All
 * images have the pages of an address space in ascending order, and so are they asked
 * for: every cursor goes through its image once. Memory is needed for one PAGES record
 * to be written, and a run table and a run (2 MiB) for each image of the chain.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>

#include "internal.h"

#define RECORD_PAGES	512	/* with contents in a PAGES record, as the kernel does */

/**
 * struct writer - an image being written
 * @fd:		where to
 * @page_size:	bytes in a page
 * @uuid:	its UUID
 * @offset:	bytes written
 * @nr_records:	records written
 * @chain:	crc32c over their checksums
 * @index:	the page index so far
 * @nr_index:	its length
 * @index_space: elements allocated
 * @objref:	of the PAGES record being put together
 * @pages:	its payload before the pages, with room for all runs
 * @data:	its pages
 */
struct writer {
	int fd;
	uint32_t page_size;
	uint8_t uuid[CKPT_UUID_SIZE];
	uint64_t offset;
	uint64_t nr_records;
	uint32_t chain;
	struct ckpt_index *index;
	size_t nr_index;
	size_t index_space;
	uint32_t objref;
	struct ckpt_pages *pages;
	char *data;
};

static size_t head_size(uint32_t nr_runs)
{
	return sizeof(struct ckpt_pages) + nr_runs * sizeof(struct ckpt_run);
}

static int start_writer(struct writer *writer, int fd, uint32_t page_size)
{
	*writer = (struct writer){
		.fd = fd,
		.page_size = page_size,
		.chain = LCR_CRC32C_INIT,
	};
	writer->pages = calloc(1, head_size(CKPT_PAGES_MAX_RUNS) + page_size);
	writer->data = malloc((size_t)RECORD_PAGES * page_size);
	if (!writer->pages || !writer->data)
		return -1;
	if (getrandom(writer->uuid, sizeof(writer->uuid), 0) != sizeof(writer->uuid))
		return -1;
	/* RFC 9562, version 4 */
	writer->uuid[6] = (writer->uuid[6] & 0x0f) | 0x40;
	writer->uuid[8] = (writer->uuid[8] & 0x3f) | 0x80;
	return 0;
}

static void free_writer(struct writer *writer)
{
	free(writer->index);
	free(writer->pages);
	free(writer->data);
}

static int write_all(struct writer *writer, const void *data, size_t size)
{
	const char *p = data;
	ssize_t n;

	while (size) {
		n = write(writer->fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		size -= n;
		writer->offset += n;
	}
	return 0;
}

/* Write struct ckpt_rec and the @size bytes of payload that its checksum covers. */
static int write_record(struct writer *writer, struct ckpt_rec rec, const void *payload,
			size_t size)
{
	rec.crc = 0;
	rec.crc = lcr_crc32c(LCR_CRC32C_INIT, &rec, sizeof(rec));
	rec.crc = ~lcr_crc32c(rec.crc, payload, size);
	if (rec.type != CKPT_REC_TRAILER)
		writer->chain = lcr_crc32c(writer->chain, &rec.crc, sizeof(rec.crc));
	writer->nr_records++;
	return write_all(writer, &rec, sizeof(rec)) || write_all(writer, payload, size) ? -1 : 0;
}

static int add_index(struct writer *writer)
{
	const struct ckpt_pages *pages = writer->pages;
	const struct ckpt_run *last = &pages->runs[pages->nr_runs - 1];
	struct ckpt_index *new;

	if (writer->nr_index == writer->index_space) {
		writer->index_space = writer->index_space ? 2 * writer->index_space : 64;
		new = reallocarray(writer->index, writer->index_space, sizeof(*new));
		if (!new)
			return -1;
		writer->index = new;
	}
	writer->index[writer->nr_index++] = (struct ckpt_index){
		.offset = writer->offset,
		.objref = writer->objref,
		.nr_pages = pages->nr_pages,
		.first = pages->runs[0].addr,
		.last = last->addr + (last->nr_pages - 1ULL) * writer->page_size,
	};
	return 0;
}

/* Write the PAGES record that has been put together, if there is one. */
static int write_pages(struct writer *writer)
{
	struct ckpt_pages *pages = writer->pages;
	const size_t head = head_size(pages->nr_runs);
	const size_t data_size = (size_t)pages->nr_pages * writer->page_size;
	uint64_t begin = writer->offset + sizeof(struct ckpt_rec);
	const char *data = writer->data;
	struct ckpt_rec rec = {
		.type = CKPT_REC_PAGES,
		.version = 1,
		.objref = writer->objref,
	};
	uint32_t i;

	if (!pages->nr_runs)
		return 0;
	for (i = 0; i < pages->nr_runs; i++) {
		struct ckpt_run *run = &pages->runs[i];
		const size_t size = (size_t)run->nr_pages * writer->page_size;

		if (run->kind != CKPT_RUN_DATA)
			continue;
		run->hash = lcr_xxh64(data, size);
		data += size;
	}
	pages->data_offset = head + -(begin + head) % writer->page_size;
	memset((char *)pages + head, 0, pages->data_offset - head);
	rec.length = pages->data_offset + data_size;
	if (add_index(writer) || write_record(writer, rec, pages, pages->data_offset) ||
	    write_all(writer, writer->data, data_size))
		return -1;
	pages->nr_runs = 0;
	pages->nr_pages = 0;
	return 0;
}

/* Can a run of @nr_pages pages be longer by @more? */
static bool run_fits(uint32_t kind, uint64_t nr_pages, uint64_t more)
{
	return nr_pages + more <= (kind == CKPT_RUN_DATA ? CKPT_RUN_MAX_PAGES : UINT32_MAX);
}

/* Add pages, for whose contents there is room. */
static int add_run(struct writer *writer, uint64_t addr, uint32_t nr_pages, uint16_t kind)
{
	struct ckpt_pages *pages = writer->pages;
	struct ckpt_run *last = pages->nr_runs ? &pages->runs[pages->nr_runs - 1] : NULL;

	if (last && last->kind == kind && run_fits(kind, last->nr_pages, nr_pages) &&
	    last->addr + (uint64_t)last->nr_pages * writer->page_size == addr) {
		last->nr_pages += nr_pages;
		return 0;
	}
	if (pages->nr_runs == CKPT_PAGES_MAX_RUNS && write_pages(writer))
		return -1;
	pages->runs[pages->nr_runs++] = (struct ckpt_run){
		.addr = addr,
		.nr_pages = nr_pages,
		.kind = kind,
	};
	return 0;
}

/* Add pages of object @objref; @data is NULL for pages of zeros. */
static int put_pages(struct writer *writer, uint32_t objref, uint64_t addr,
		     uint64_t nr_pages, const char *data)
{
	struct ckpt_pages *pages = writer->pages;
	uint32_t count;

	if (objref != writer->objref && write_pages(writer))
		return -1;
	writer->objref = objref;
	if (!data)
		return add_run(writer, addr, nr_pages, CKPT_RUN_ZERO);
	while (nr_pages) {
		if (pages->nr_pages == RECORD_PAGES && write_pages(writer))
			return -1;
		count = RECORD_PAGES - pages->nr_pages;
		if (count > nr_pages)
			count = nr_pages;
		/* This may write what is there, and so has to be before the contents. */
		if (add_run(writer, addr, count, CKPT_RUN_DATA))
			return -1;
		memcpy(writer->data + (size_t)pages->nr_pages * writer->page_size, data,
		       (size_t)count * writer->page_size);
		pages->nr_pages += count;
		nr_pages -= count;
		addr += (uint64_t)count * writer->page_size;
		data += (size_t)count * writer->page_size;
	}
	return 0;
}

static int write_trailer(struct writer *writer)
{
	const size_t index_size = writer->nr_index * sizeof(*writer->index);
	const size_t size = sizeof(struct ckpt_trailer) + index_size +
			    sizeof(struct ckpt_trailer_end);
	struct ckpt_trailer *trailer = calloc(1, size);
	struct ckpt_trailer_end end = {
		.nr_records = writer->nr_records + 1,
		.image_bytes = writer->offset + sizeof(struct ckpt_rec) + size,
		.trailer_offset = writer->offset,
		.crc = ~writer->chain,
		.magic = CKPT_TRAILER_MAGIC,
	};
	struct ckpt_rec rec = {
		.type = CKPT_REC_TRAILER,
		.version = 1,
		.length = size,
	};
	int ret;

	if (!trailer)
		return -1;
	memcpy(end.uuid, writer->uuid, sizeof(end.uuid));
	trailer->nr_index = writer->nr_index;
	if (index_size)
		memcpy(trailer->index, writer->index, index_size);
	memcpy((char *)trailer + size - sizeof(end), &end, sizeof(end));
	ret = write_record(writer, rec, trailer, size);
	free(trailer);
	return ret;
}

/**
 * struct merge - a chain being merged
 * @chain:	the chain
 * @writer:	its end
 * @cursors:	in each image, at the object in question
 * @nr_ready:	how many of them have been started for it
 * @objref:	the object's number in the last of these images
 * @error:	what is wrong with the chain
 */
struct merge {
	struct ckpt_chain *chain;
	struct writer writer;
	struct lcr_cursor *cursors;
	size_t nr_ready;
	uint32_t objref;
	char *error;
};

/* Have the cursor of image @level started. */
static int prepare_level(struct merge *merge, size_t level)
{
	const struct ckpt_chain *chain = merge->chain;
	uint32_t objref;

	if (level < merge->nr_ready)
		return 0;
	objref = lcr_parent_object(chain, level - 1, merge->objref);
	if (!objref)
		return lcr_error(&merge->error, EBADMSG,
				 "%s: object %" PRIu32
				 " has pages of the parent, which has no such object",
				 chain->images[level - 1]->image.path, merge->objref);
	lcr_cursor_start(&merge->cursors[level], chain->images[level], objref);
	merge->objref = objref;
	merge->nr_ready++;
	return 0;
}

/*
 * Find the image that says what is at @addr, and put in *@end where its run ends, if
 * that is before. Returns its cursor, or NULL.
 */
static struct lcr_cursor *resolve(struct merge *merge, uint64_t addr, uint64_t *end)
{
	const struct ckpt_chain *chain = merge->chain;
	struct lcr_cursor *cursor;
	size_t level;
	int ret;

	for (level = 0; ; level++) {
		if (prepare_level(merge, level))
			return NULL;
		cursor = &merge->cursors[level];
		ret = lcr_cursor_seek(cursor, addr, &merge->error);
		if (ret < 0)
			return NULL;
		if (!ret || cursor->run->addr > addr) {
			lcr_error(&merge->error, EBADMSG,
				  "%s: has no page at address 0x%" PRIx64
				  ", which %s leaves to it",
				  chain->images[level]->image.path, addr,
				  chain->images[level - 1]->image.path);
			return NULL;
		}
		if (cursor->end < *end)
			*end = cursor->end;
		if (cursor->run->kind != CKPT_RUN_PARENT)
			return cursor;
	}
}

static int merge_run(struct merge *merge, uint32_t objref, uint64_t addr, uint64_t run_end)
{
	const uint32_t page_size = merge->writer.page_size;
	struct lcr_cursor *cursor;
	const char *data;
	uint64_t end;

	for (; addr < run_end; addr = end) {
		end = run_end;
		cursor = resolve(merge, addr, &end);
		if (!cursor)
			return -1;
		data = NULL;
		if (cursor->run->kind == CKPT_RUN_DATA) {
			data = lcr_cursor_data(cursor, &merge->error);
			if (!data)
				return -1;
			data += addr - cursor->run->addr;
		}
		if (put_pages(&merge->writer, objref, addr, (end - addr) / page_size, data))
			return -1;
	}
	return 0;
}

static int merge_object(struct merge *merge, uint32_t objref)
{
	struct lcr_cursor *newest = &merge->cursors[0];
	uint64_t addr = 0;
	int ret;

	lcr_cursor_start(newest, merge->chain->images[0], objref);
	merge->nr_ready = 1;
	merge->objref = objref;
	while ((ret = lcr_cursor_seek(newest, addr, &merge->error)) > 0) {
		addr = newest->end;
		if (merge_run(merge, objref, newest->run->addr, addr))
			return -1;
	}
	return ret;
}

static int copy_record(struct merge *merge, const struct ckpt_record *record)
{
	struct ckpt_rec rec = {
		.type = record->type,
		.version = record->version,
		.flags = record->flags,
		.length = record->length,
		.objref = record->objref,
	};
	struct ckpt_header header;

	if (record->type != CKPT_REC_HEADER)
		return write_record(&merge->writer, rec, record->payload,
				    record->payload_length);
	memcpy(&header, record->payload, sizeof(header));
	memcpy(header.uuid, merge->writer.uuid, sizeof(header.uuid));
	memset(header.parent_uuid, 0, sizeof(header.parent_uuid));
	header.sequence = 0;
	rec.length = sizeof(header);
	return write_record(&merge->writer, rec, &header, sizeof(header));
}

/* Copy what stands before the first PAGES record of the newest image. */
static int copy_metadata(struct merge *merge)
{
	const struct lcr_chain_image *image = merge->chain->images[0];
	const struct ckpt_record *record;
	struct ckpt_image *reader;
	char *reason = NULL;
	int ret;

	reader = ckpt_image_fdopen(image->image.fd, CKPT_IMAGE_SKIP_DATA, &reason);
	if (!reader) {
		ret = lcr_error(&merge->error, errno, "%s: %s", image->image.path,
				reason ? reason : strerror(errno));
		free(reason);
		return ret;
	}
	while ((ret = ckpt_image_next(reader, &record)) > 0) {
		if (record->type == CKPT_REC_PAGES || record->type == CKPT_REC_TRAILER) {
			ret = 0;
			break;
		}
		if (copy_record(merge, record)) {
			ckpt_image_close(reader);
			return -1;
		}
	}
	if (ret < 0)
		lcr_error(&merge->error, errno, "%s: %s", image->image.path,
			  ckpt_image_error(reader));
	ckpt_image_close(reader);
	if (lseek(image->image.fd, 0, SEEK_SET) && !ret)
		ret = -1;
	return ret;
}

static int merge_all(struct merge *merge)
{
	const struct lcr_page_table *table = &merge->chain->images[0]->table;
	size_t i;

	if (copy_metadata(merge))
		return -1;
	for (i = 0; i < table->nr_places; i++)
		if ((!i || table->places[i].objref != table->places[i - 1].objref) &&
		    merge_object(merge, table->places[i].objref))
			return -1;
	return write_pages(&merge->writer) || write_trailer(&merge->writer) ? -1 : 0;
}

int ckpt_chain_merge(struct ckpt_chain *chain, int fd)
{
	struct merge merge = { .chain = chain };
	int saved_errno = errno, ret = -1;
	size_t i;

	merge.cursors = calloc(chain->nr_images, sizeof(*merge.cursors));
	if (merge.cursors &&
	    !start_writer(&merge.writer, fd, chain->images[0]->header.page_size))
		ret = merge_all(&merge);
	if (ret)
		saved_errno = errno;
	for (i = 0; merge.cursors && i < chain->nr_images; i++)
		lcr_cursor_free(&merge.cursors[i]);
	free(merge.cursors);
	free_writer(&merge.writer);
	free(chain->error);
	chain->error = merge.error;
	errno = saved_errno;
	return ret;
}

int ckpt_chain_merge_file(struct ckpt_chain *chain, const char *path)
{
	struct lcr_save save;

	free(chain->error);
	chain->error = NULL;
	if (lcr_save_begin(&save, path))
		return -1;
	if (ckpt_chain_merge(chain, save.fd)) {
		lcr_save_discard(&save);
		return -1;
	}
	return lcr_save_commit(&save);
}
