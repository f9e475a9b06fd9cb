// SPDX-License-Identifier: LGPL-2.1
/*
 * Read an image, from a file or a pipe, in one forward pass.
 *
 * Nothing in the image is believed: every length is checked before it is used,
 * every record before it is given out. Reads are exact, so that what follows the
 * image in a pipe stays there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/checkpoint_image.h>

#include "internal.h"

#define METADATA_MAX	(256ULL << 20)	/* of all metadata records together */
#define PAGE_SIZE_MIN	4096U
#define PAGE_SIZE_MAX	65536U
#define SKIP_CHUNK	65536U

/* Where the pages of an object end so far */
struct object_end {
	uint32_t objref;
	bool used;
	uint64_t end;
};

enum state {
	STATE_HEADER,		/* the header is read but not given out */
	STATE_METADATA,
	STATE_PAGES,		/* only PAGES and the TRAILER may follow */
	STATE_END,		/* the trailer is read */
	STATE_FAILED,
};

/**
 * struct ckpt_image - an image being read
 * @fd:		  where from
 * @own_fd:	  close it in the end
 * @file_size:	  for a regular file: its size, else UINT64_MAX
 * @file_start:	  for a regular file: where the image begins in it
 * @flags:	  CKPT_IMAGE_*
 * @state:	  what has been read
 * @offset:	  bytes of the image read or skipped
 * @metadata:	  bytes of metadata payload so far
 * @chain:	  running crc32c over the checksums of the records
 * @header:	  the header
 * @record:	  the record given out last
 * @payload:	  its payload
 * @payload_space: size of that buffer
 * @runs:	  PAGES record: its runs, in @payload
 * @nr_runs:	  how many of them there are, 0 after any other record
 * @next_run:	  the next one to give out
 * @run:	  the one given out last
 * @data:	  contents of its pages, if it has any
 * @data_space:	  size of that buffer
 * @index:	  the page index, built while reading, to compare with the trailer's
 * @nr_index:	  its length
 * @index_space:  elements allocated
 * @ends:	  hash table by objref: the objects that have had pages
 * @nr_ends:	  how many objects are in it
 * @ends_space:	  its size, a power of two
 * @nr_threads:	  number of THREAD records
 * @error:	  what is wrong
 * @error_errno:  the same as an errno value
 */
struct ckpt_image {
	int fd;
	bool own_fd;
	uint64_t file_size;
	uint64_t file_start;
	unsigned int flags;
	enum state state;
	uint64_t offset;
	uint64_t metadata;
	uint32_t chain;
	struct ckpt_header header;
	struct ckpt_record record;
	void *payload;
	size_t payload_space;
	const struct ckpt_run *runs;
	uint32_t nr_runs;
	uint32_t next_run;
	struct ckpt_page_run run;
	void *data;
	size_t data_space;
	struct ckpt_index *index;
	size_t nr_index;
	size_t index_space;
	struct object_end *ends;
	size_t nr_ends;
	size_t ends_space;
	uint64_t nr_threads;
	char *error;
	int error_errno;
};

__attribute__((format(printf, 3, 4)))
static int fail(struct ckpt_image *image, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(&image->error, format, args) < 0)
		image->error = NULL;
	va_end(args);
	image->error_errno = error;
	image->state = STATE_FAILED;
	errno = error;
	return -1;
}

/* The same for the current record, which the message begins with. */
__attribute__((format(printf, 3, 4)))
static int fail_record(struct ckpt_image *image, int error, const char *format, ...)
{
	const struct ckpt_record *record = &image->record;
	const char *name = ckpt_record_name(record->type);
	char *text, number[32];
	va_list args;
	int ret;

	if (!name) {
		snprintf(number, sizeof(number), "type 0x%04" PRIx32, record->type);
		name = number;
	}
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	ret = fail(image, error, "record %" PRIu64 " (%s) at offset %" PRIu64 ": %s",
		   record->number, name, record->offset, text ? text : "");
	free(text);
	return ret;
}

/* Read @size bytes, fewer only at the end of the file. Returns -1 or how many. */
static ssize_t read_upto(struct ckpt_image *image, void *buffer, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = read(image->fd, (char *)buffer + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(image, errno, "cannot read at offset %" PRIu64 ": %s",
				    image->offset, strerror(errno));
		if (n == 0)
			break;
		done += n;
		image->offset += n;
	}
	return done;
}

/* Read @size bytes of the current record. */
static int read_exact(struct ckpt_image *image, void *buffer, size_t size)
{
	ssize_t n = read_upto(image, buffer, size);

	if (n < 0)
		return -1;
	if ((size_t)n < size)
		return fail_record(image, EBADMSG,
				   "truncated: the image ends at offset %" PRIu64,
				   image->offset);
	return 0;
}

/* Pass over @size bytes of the current record. */
static int skip(struct ckpt_image *image, uint64_t size)
{
	char buffer[SKIP_CHUNK];
	size_t chunk;

	if (image->file_size != UINT64_MAX) {
		if (image->file_start + image->offset + size > image->file_size)
			return fail_record(image, EBADMSG,
					   "truncated: the image ends at offset %" PRIu64,
					   image->file_size - image->file_start);
		if (lseek(image->fd, size, SEEK_CUR) < 0)
			return fail(image, errno, "cannot seek: %s", strerror(errno));
		image->offset += size;
		return 0;
	}
	for (; size; size -= chunk) {
		chunk = size < sizeof(buffer) ? size : sizeof(buffer);
		if (read_exact(image, buffer, chunk))
			return -1;
	}
	return 0;
}

/* Make *@buffer at least @size bytes long. */
static int reserve(struct ckpt_image *image, void **buffer, size_t *space, size_t size)
{
	void *new;

	if (size <= *space)
		return 0;
	new = realloc(*buffer, size);
	if (!new)
		return fail(image, ENOMEM, "out of memory");
	*buffer = new;
	*space = size;
	return 0;
}

/*
 * Read payload up to @length bytes, @have of which are there already, and keep
 * them. Memory grows with what has really been read, whatever the image says.
 */
static int read_payload(struct ckpt_image *image, size_t have, size_t length)
{
	const size_t step = 1U << 20;
	size_t next;

	for (; have < length; have = next) {
		next = length - have > step ? have + step : length;
		if (reserve(image, &image->payload, &image->payload_space, next) ||
		    read_exact(image, (char *)image->payload + have, next - have))
			return -1;
	}
	image->record.payload = image->payload;
	image->record.payload_length = length;
	return 0;
}

static int check_crc(struct ckpt_image *image, const struct ckpt_rec *rec)
{
	struct ckpt_rec plain = *rec;
	uint32_t crc;

	plain.crc = 0;
	crc = lcr_crc32c(LCR_CRC32C_INIT, &plain, sizeof(plain));
	crc = ~lcr_crc32c(crc, image->payload, image->record.payload_length);
	if (crc != rec->crc)
		return fail_record(image, EBADMSG,
				   "damaged: checksum 0x%08" PRIx32 ", should be 0x%08" PRIx32,
				   crc, rec->crc);
	image->chain = lcr_crc32c(image->chain, &rec->crc, sizeof(rec->crc));
	return 0;
}

static int read_metadata(struct ckpt_image *image, const struct ckpt_rec *rec)
{
	const struct lcr_record_type *known = lcr_record_type(rec->type);

	if (image->state == STATE_PAGES)
		return fail_record(image, EBADMSG, "metadata after the first PAGES record");
	if (rec->length > CKPT_REC_MAX_LENGTH)
		return fail_record(image, EBADMSG, "damaged: length %" PRIu64 " is too large",
				   (uint64_t)rec->length);
	image->metadata += rec->length;
	if (image->metadata > METADATA_MAX)
		return fail_record(image, EBADMSG, "more than 256 MiB of metadata");
	if (read_payload(image, 0, rec->length) || check_crc(image, rec))
		return -1;
	if (known && rec->length < known->min_length)
		return fail_record(image, EBADMSG, "too short: %" PRIu64 " bytes, not %" PRIu32,
				   (uint64_t)rec->length, known->min_length);
	if (rec->type == CKPT_REC_THREAD)
		image->nr_threads++;
	return 0;
}

/* Check one run, but for its address. */
static int check_run(struct ckpt_image *image, uint32_t i, const struct ckpt_run *run)
{
	const bool is_data = run->kind == CKPT_RUN_DATA;

	if (!is_data && run->kind != CKPT_RUN_ZERO && run->kind != CKPT_RUN_PARENT)
		return fail_record(image, EBADMSG, "run %" PRIu32 ": unknown kind %u",
				   i, run->kind);
	if (run->kind == CKPT_RUN_PARENT && !image->header.sequence)
		return fail_record(image, EBADMSG,
				   "run %" PRIu32 ": pages of a parent, which a full image has not",
				   i);
	if (!run->nr_pages || (is_data && run->nr_pages > CKPT_RUN_MAX_PAGES))
		return fail_record(image, EBADMSG, "run %" PRIu32 ": %" PRIu32 " pages",
				   i, run->nr_pages);
	if (run->reserved)
		return fail_record(image, EBADMSG,
				   "run %" PRIu32 ": the reserved field is not zero", i);
	if (!is_data && run->hash)
		return fail_record(image, EBADMSG,
				   "run %" PRIu32 ": a checksum without contents", i);
	return 0;
}

/* The place of an object in a hash table, which has free ones */
static struct object_end *find_end(struct object_end *ends, size_t space, uint32_t objref)
{
	size_t i = objref * 0x9e3779b1U & (space - 1);

	while (ends[i].used && ends[i].objref != objref)
		i = (i + 1) & (space - 1);
	return &ends[i];
}

/* Where the pages of the record's object end so far; NULL without memory */
static uint64_t *object_end(struct ckpt_image *image)
{
	const uint32_t objref = image->record.objref;
	struct object_end *new, *end;
	size_t space, i;

	if (2 * image->nr_ends >= image->ends_space) {
		space = image->ends_space ? 2 * image->ends_space : 16;
		new = calloc(space, sizeof(*new));
		if (!new)
			return NULL;
		for (i = 0; i < image->ends_space; i++)
			if (image->ends[i].used)
				*find_end(new, space, image->ends[i].objref) = image->ends[i];
		free(image->ends);
		image->ends = new;
		image->ends_space = space;
	}
	end = find_end(image->ends, image->ends_space, objref);
	if (!end->used) {
		*end = (struct object_end){ .objref = objref, .used = true };
		image->nr_ends++;
	}
	return &end->end;
}

/* Check the runs of a PAGES record and prepare for reading their pages. */
static int begin_runs(struct ckpt_image *image, const struct ckpt_pages *pages)
{
	const uint64_t page_size = image->header.page_size;
	const uint64_t nr_pages = pages->nr_pages;
	uint64_t *end_so_far = object_end(image);
	uint64_t sum = 0, end;
	uint32_t i;

	if (!end_so_far)
		return fail(image, ENOMEM, "out of memory");
	if (pages->runs[0].addr < *end_so_far)
		return fail_record(image, EBADMSG,
				   "its address 0x%" PRIx64 " is not after those before it",
				   (uint64_t)pages->runs[0].addr);
	end = *end_so_far;
	for (i = 0; i < pages->nr_runs; i++) {
		const struct ckpt_run *run = &pages->runs[i];

		if (check_run(image, i, run))
			return -1;
		if (run->addr % page_size || run->addr < end ||
		    run->addr > UINT64_MAX - run->nr_pages * page_size)
			return fail_record(image, EBADMSG,
					   "run %" PRIu32 ": bad address 0x%" PRIx64,
					   i, (uint64_t)run->addr);
		end = run->addr + run->nr_pages * page_size;
		if (run->kind == CKPT_RUN_DATA)
			sum += run->nr_pages;
	}
	if (sum != nr_pages || nr_pages > CKPT_PAGES_MAX_PAGES ||
	    image->record.length != pages->data_offset + nr_pages * page_size)
		return fail_record(image, EBADMSG, "number of pages and length disagree");
	if (image->offset % page_size)
		return fail_record(image, EBADMSG, "the pages are not page-aligned");

	if (image->nr_index == image->index_space) {
		size_t space = image->index_space ? 2 * image->index_space : 64;
		void *new = reallocarray(image->index, space, sizeof(*image->index));

		if (!new)
			return fail(image, ENOMEM, "out of memory");
		image->index = new;
		image->index_space = space;
	}
	image->index[image->nr_index++] = (struct ckpt_index){
		.offset = image->record.offset,
		.objref = image->record.objref,
		.nr_pages = nr_pages,
		.first = pages->runs[0].addr,
		.last = end - page_size,
	};
	*end_so_far = end;
	image->runs = pages->runs;
	image->nr_runs = pages->nr_runs;
	image->next_run = 0;
	return 0;
}

static int read_pages(struct ckpt_image *image, const struct ckpt_rec *rec)
{
	struct ckpt_pages pages;
	uint64_t runs_end;

	if (rec->length < sizeof(pages))
		return fail_record(image, EBADMSG, "damaged: length %" PRIu64 " is too small",
				   (uint64_t)rec->length);
	if (read_payload(image, 0, sizeof(pages)))
		return -1;
	memcpy(&pages, image->payload, sizeof(pages));
	runs_end = sizeof(pages) + (uint64_t)pages.nr_runs * sizeof(struct ckpt_run);
	if (!pages.nr_runs || pages.nr_runs > CKPT_PAGES_MAX_RUNS ||
	    pages.data_offset < runs_end || pages.data_offset > rec->length ||
	    pages.data_offset > CKPT_REC_MAX_LENGTH)
		return fail_record(image, EBADMSG, "damaged: %" PRIu32 " runs, pages at %" PRIu64,
				   pages.nr_runs, (uint64_t)pages.data_offset);
	if (read_payload(image, sizeof(pages), pages.data_offset) ||
	    check_crc(image, rec))
		return -1;
	image->state = STATE_PAGES;
	return begin_runs(image, image->payload);
}

static int read_trailer(struct ckpt_image *image, const struct ckpt_rec *rec)
{
	const size_t index_size = image->nr_index * sizeof(struct ckpt_index);
	const size_t min_length = sizeof(struct ckpt_trailer) + index_size +
				  sizeof(struct ckpt_trailer_end);
	const uint32_t chain = ~image->chain;
	const struct ckpt_trailer *trailer;
	struct ckpt_trailer_end end;

	/* It stands for one PAGES record each: none may be missing. */
	if (rec->length < min_length || rec->length - min_length > CKPT_REC_MAX_LENGTH)
		return fail_record(image, EBADMSG,
				   "damaged, or records are missing: length %" PRIu64
				   " with %zu PAGES records before it",
				   (uint64_t)rec->length, image->nr_index);
	if (read_payload(image, 0, rec->length) || check_crc(image, rec))
		return -1;
	trailer = image->payload;
	if (trailer->nr_index != image->nr_index)
		return fail_record(image, EBADMSG,
				   "it lists %" PRIu64 " PAGES records, the image has %zu",
				   (uint64_t)trailer->nr_index, image->nr_index);
	if (index_size && memcmp(trailer->index, image->index, index_size))
		return fail_record(image, EBADMSG,
				   "the page index is not that of the PAGES records");
	memcpy(&end, (char *)image->payload + rec->length - sizeof(end), sizeof(end));
	if (memcmp(end.magic, CKPT_TRAILER_MAGIC, sizeof(end.magic)))
		return fail_record(image, EBADMSG, "it does not end as an image has to");
	if (memcmp(end.uuid, image->header.uuid, sizeof(end.uuid)))
		return fail_record(image, EBADMSG, "it belongs to another image (UUID)");
	if (end.nr_records != image->record.number + 1)
		return fail_record(image, EBADMSG,
				   "the image has %" PRIu64 " records, should have %" PRIu64,
				   image->record.number + 1, (uint64_t)end.nr_records);
	if (end.trailer_offset != image->record.offset || end.image_bytes != image->offset)
		return fail_record(image, EBADMSG,
				   "the image has %" PRIu64 " bytes, should have %" PRIu64,
				   image->offset, (uint64_t)end.image_bytes);
	if (end.crc != chain)
		return fail_record(image, EBADMSG,
				   "checksum of the image 0x%08" PRIx32
				   ", should be 0x%08" PRIx32 ": records are missing or exchanged",
				   chain, end.crc);
	image->state = STATE_END;
	return 0;
}

static int read_record(struct ckpt_image *image)
{
	struct ckpt_rec rec;
	ssize_t n;

	image->record = (struct ckpt_record){
		.number = image->record.number + 1,
		.offset = image->offset,
	};
	image->nr_runs = 0;
	n = read_upto(image, &rec, sizeof(rec));
	if (n < 0)
		return -1;
	if ((size_t)n < sizeof(rec))
		return fail(image, EBADMSG,
			    "truncated: the image ends at offset %" PRIu64
			    ", after %" PRIu64 " records, without a trailer",
			    image->offset, image->record.number);
	image->record.type = rec.type;
	image->record.version = rec.version;
	image->record.flags = rec.flags;
	image->record.length = rec.length;
	image->record.objref = rec.objref;
	image->record.crc = rec.crc;
	if (rec.flags & ~CKPT_REC_F_OPTIONAL || !rec.version)
		return fail_record(image, EBADMSG, "version %u, flags 0x%x",
				   (unsigned int)rec.version, (unsigned int)rec.flags);
	if (rec.length % 8)
		return fail_record(image, EBADMSG, "damaged: length %" PRIu64,
				   (uint64_t)rec.length);
	switch (rec.type) {
	case CKPT_REC_HEADER:
		return fail_record(image, EBADMSG, "a second header");
	case CKPT_REC_PAGES:
		return read_pages(image, &rec);
	case CKPT_REC_TRAILER:
		return read_trailer(image, &rec);
	default:
		return read_metadata(image, &rec);
	}
}

/* Is there a NUL in the @size bytes at @text? */
static bool terminated(const void *text, size_t size)
{
	return memchr(text, '\0', size);
}

static bool is_zero(const void *data, size_t size)
{
	const unsigned char *p = data;

	while (size--)
		if (*p++)
			return false;
	return true;
}

static int check_header(struct ckpt_image *image)
{
	const struct ckpt_header *header = &image->header;

	if (header->version > CKPT_IMAGE_VERSION)
		return fail(image, ENOEXEC,
			    "its format version %" PRIu32 " is newer than %d, the last one known",
			    header->version, CKPT_IMAGE_VERSION);
	if (!header->version || header->flags)
		return fail_record(image, EBADMSG, "version %" PRIu32 ", flags 0x%" PRIx32,
				   header->version, header->flags);
	if (header->page_size < PAGE_SIZE_MIN || header->page_size > PAGE_SIZE_MAX ||
	    header->page_size & (header->page_size - 1))
		return fail_record(image, EBADMSG, "page size %" PRIu32, header->page_size);
	if (!header->sequence != is_zero(header->parent_uuid, CKPT_UUID_SIZE))
		return fail_record(image, EBADMSG,
				   "sequence number %" PRIu64 " and parent disagree",
				   (uint64_t)header->sequence);
	if (!terminated(header->release, sizeof(header->release)) ||
	    !terminated(header->hostname, sizeof(header->hostname)) ||
	    !terminated(header->comm, sizeof(header->comm)))
		return fail_record(image, EBADMSG, "a name without end");
	return 0;
}

static int read_header(struct ckpt_image *image)
{
	struct {
		struct ckpt_rec rec;
		uint8_t magic[8];
	} begin;
	ssize_t n;

	n = read_upto(image, &begin, sizeof(begin));
	if (n < 0)
		return -1;
	if (n == 0)
		return fail(image, ENOEXEC, "not a checkpoint image: it is empty");
	if ((size_t)n < sizeof(begin) ||
	    memcmp(begin.magic, CKPT_IMAGE_MAGIC, sizeof(begin.magic)))
		return fail(image, ENOEXEC, "not a checkpoint image");

	image->record.type = CKPT_REC_HEADER;
	image->record.version = begin.rec.version;
	image->record.flags = begin.rec.flags;
	image->record.length = begin.rec.length;
	image->record.objref = begin.rec.objref;
	image->record.crc = begin.rec.crc;
	if (begin.rec.type != CKPT_REC_HEADER)
		return fail_record(image, EBADMSG, "damaged: type 0x%04" PRIx32,
				   begin.rec.type);
	if (begin.rec.length % 8 || begin.rec.length < sizeof(image->header) ||
	    begin.rec.length > CKPT_REC_MAX_LENGTH)
		return fail_record(image, EBADMSG, "damaged: length %" PRIu64,
				   (uint64_t)begin.rec.length);
	image->metadata = begin.rec.length;
	if (reserve(image, &image->payload, &image->payload_space,
		    sizeof(image->header)))
		return -1;
	memcpy(image->payload, begin.magic, sizeof(begin.magic));
	if (read_payload(image, sizeof(begin.magic), begin.rec.length) ||
	    check_crc(image, &begin.rec))
		return -1;
	memcpy(&image->header, image->payload, sizeof(image->header));
	return check_header(image);
}

static struct ckpt_image *open_image(int fd, bool own_fd, unsigned int flags,
				     char **error)
{
	struct ckpt_image *image;
	struct stat st;
	off_t start;
	int saved_errno;

	image = calloc(1, sizeof(*image));
	if (!image)
		goto fail;
	image->fd = fd;
	image->own_fd = own_fd;
	image->flags = flags;
	image->chain = LCR_CRC32C_INIT;
	image->file_size = UINT64_MAX;

	if (flags & ~CKPT_IMAGE_SKIP_DATA) {
		fail(image, EINVAL, "unknown flag");
		goto fail;
	}
	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		start = lseek(fd, 0, SEEK_CUR);
		if (start >= 0 && start <= st.st_size) {
			image->file_start = start;
			image->file_size = st.st_size;
		}
	}
	if (read_header(image))
		goto fail;
	return image;

fail:
	saved_errno = errno;
	if (error) {
		*error = image ? image->error : NULL;
		if (*error)
			image->error = NULL;
		else
			*error = strdup(strerror(saved_errno));
	}
	if (image)
		ckpt_image_close(image);
	else if (own_fd)
		close(fd);
	errno = saved_errno;
	return NULL;
}

struct ckpt_image *ckpt_image_open(const char *path, unsigned int flags, char **error)
{
	int fd, saved_errno = errno;
	struct ckpt_image *image;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		saved_errno = errno;
		if (error)
			*error = strdup(strerror(saved_errno));
		errno = saved_errno;
		return NULL;
	}
	image = open_image(fd, true, flags, error);
	if (image)
		errno = saved_errno;
	return image;
}

struct ckpt_image *ckpt_image_fdopen(int fd, unsigned int flags, char **error)
{
	int saved_errno = errno;
	struct ckpt_image *image = open_image(fd, false, flags, error);

	if (image)
		errno = saved_errno;
	return image;
}

void ckpt_image_close(struct ckpt_image *image)
{
	int saved_errno = errno;

	if (!image)
		return;
	if (image->own_fd)
		close(image->fd);
	free(image->payload);
	free(image->data);
	free(image->index);
	free(image->ends);
	free(image->error);
	free(image);
	errno = saved_errno;
}

const struct ckpt_header *ckpt_image_header(const struct ckpt_image *image)
{
	return &image->header;
}

const char *ckpt_image_error(const struct ckpt_image *image)
{
	if (image->state == STATE_FAILED)
		return image->error ? image->error : strerror(image->error_errno);
	return NULL;
}

/* Read the contents of @image->run, or pass over them. */
static int read_run(struct ckpt_image *image)
{
	struct ckpt_page_run *run = &image->run;
	const uint64_t size = (uint64_t)run->nr_pages * image->header.page_size;
	uint64_t hash;

	run->offset = image->offset;
	if (image->flags & CKPT_IMAGE_SKIP_DATA)
		return skip(image, size);
	if (reserve(image, &image->data, &image->data_space, size) ||
	    read_exact(image, image->data, size))
		return -1;
	hash = lcr_xxh64(image->data, size);
	if (hash != run->hash)
		return fail_record(image, EBADMSG,
				   "pages at address 0x%" PRIx64 " (offset %" PRIu64
				   ") damaged: checksum 0x%016" PRIx64
				   ", should be 0x%016" PRIx64,
				   run->addr, run->offset, hash, run->hash);
	run->data = image->data;
	return 0;
}

int ckpt_image_next_run(struct ckpt_image *image, const struct ckpt_page_run **run)
{
	const struct ckpt_run *next;

	if (image->state == STATE_FAILED) {
		errno = image->error_errno;
		return -1;
	}
	if (image->next_run >= image->nr_runs)
		return 0;
	next = &image->runs[image->next_run];
	image->run = (struct ckpt_page_run){
		.addr = next->addr,
		.hash = next->hash,
		.nr_pages = next->nr_pages,
		.kind = next->kind,
	};
	if (next->kind == CKPT_RUN_DATA && read_run(image))
		return -1;
	image->next_run++;
	*run = &image->run;
	return 1;
}

int ckpt_image_next(struct ckpt_image *image, const struct ckpt_record **record)
{
	const struct ckpt_page_run *run;
	int saved_errno = errno;
	int ret;

	switch (image->state) {
	case STATE_HEADER:
		image->state = STATE_METADATA;
		break;
	case STATE_END:
		return 0;
	default:
		do	/* the pages nobody asked for */
			ret = ckpt_image_next_run(image, &run);
		while (ret > 0);
		if (ret < 0 || read_record(image))
			return -1;
	}
	errno = saved_errno;
	*record = &image->record;
	return 1;
}

/* Would a restart have to refuse the record? */
static int check_known(struct ckpt_image *image, const struct ckpt_record *record)
{
	const struct lcr_record_type *known = lcr_record_type(record->type);

	if (record->flags & CKPT_REC_F_OPTIONAL)
		return 0;
	if (!known)
		return fail_record(image, EOPNOTSUPP,
				   "unknown, and not optional: needs a newer version");
	if (record->version > known->version)
		return fail_record(image, EOPNOTSUPP,
				   "layout version %u, known up to %u: needs a newer version",
				   record->version, known->version);
	return 0;
}

int ckpt_image_verify(struct ckpt_image *image)
{
	const struct ckpt_record *record;
	int ret;

	while ((ret = ckpt_image_next(image, &record)) > 0)
		if (check_known(image, record))
			return -1;
	if (ret < 0)
		return -1;
	if (image->nr_threads != image->header.nr_tasks)
		return fail(image, EBADMSG,
			    "the image has %" PRIu64 " THREAD records, should have %" PRIu32,
			    image->nr_threads, image->header.nr_tasks);
	if (image->own_fd && image->file_size != UINT64_MAX &&
	    image->file_start + image->offset != image->file_size)
		return fail(image, EBADMSG,
			    "%" PRIu64 " bytes follow the end of the image",
			    image->file_size - image->file_start - image->offset);
	return 0;
}
