// SPDX-License-Identifier: LGPL-2.1
/* Reading images: what is whole is read, and nothing that is damaged passes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/internal.h"
#include "ktap.h"
#include "synth.h"

/*
 * Verify the first @size bytes as an image. Returns 0 or an errno value, and the
 * message that came with it in @message.
 */
static char message[512];

static int verify_bytes(const struct synth *synth, size_t size, unsigned int flags)
{
	int fd = synth_file(synth, size);
	struct ckpt_image *image;
	char *error = NULL;
	int ret = 0;

	message[0] = '\0';
	image = ckpt_image_fdopen(fd, flags, &error);
	if (!image || ckpt_image_verify(image)) {
		ret = errno;
		snprintf(message, sizeof(message), "%s",
			 image ? ckpt_image_error(image) : error);
	}
	free(error);
	ckpt_image_close(image);
	close(fd);
	return ret;
}

static int verify(const struct synth *synth)
{
	return verify_bytes(synth, synth->size, 0);
}

/* Verify an image of which record @number was changed, its checksums being right */
static int verify_forged(struct synth *synth)
{
	int ret;

	synth_fix_crc(synth);
	ret = verify(synth);
	synth_free(synth);
	return ret;
}

static bool crc_is_castagnoli(void)
{
	const char *digits = "123456789";
	char buffer[1000];
	size_t i, size;

	CHECK(~lcr_crc32c(LCR_CRC32C_INIT, digits, 9) == 0xe3069283);
	for (i = 0; i < sizeof(buffer); i++)
		buffer[i] = i * i + 7;
	for (i = 0; i < 9; i++)
		for (size = 0; size < sizeof(buffer) - i; size += 13)
			CHECK(lcr_crc32c(i, buffer + i, size) ==
			      lcr_crc32c_portable(i, buffer + i, size),
			      "at %zu, %zu bytes", i, size);
	return true;
}

static bool hash_is_xxh64(void)
{
	CHECK(lcr_xxh64("", 0) == 0xef46db3751d8e999);
	CHECK(lcr_xxh64("123456789", 9) == 0x8cb841db40e6ae83);
	return true;
}

static bool whole_image_is_verified(void)
{
	struct synth synth;
	int error;

	synth_process(&synth);
	error = verify(&synth);
	CHECK(!error, "%s", message);
	error = verify_bytes(&synth, synth.size, CKPT_IMAGE_SKIP_DATA);
	CHECK(!error, "%s", message);
	synth_free(&synth);
	return true;
}

static bool records_and_pages_are_given_out(void)
{
	const struct ckpt_page_run *run;
	const struct ckpt_record *record;
	unsigned int number = 0, pages = 0, zeros = 0;
	struct ckpt_image *image;
	struct synth synth;
	int fd, ret;

	synth_process(&synth);
	fd = synth_file(&synth, synth.size);
	image = ckpt_image_fdopen(fd, 0, NULL);
	CHECK(image);
	CHECK(!memcmp(ckpt_image_header(image), &synth.header, sizeof(synth.header)));
	errno = EXDEV;
	while ((ret = ckpt_image_next(image, &record)) > 0) {
		const struct ckpt_rec *rec = synth_rec(&synth, number);

		CHECK(record->number == number);
		CHECK(record->offset == synth.start[number]);
		CHECK(record->type == rec->type && record->length == rec->length &&
		      record->objref == rec->objref && record->crc == rec->crc);
		CHECK(!memcmp(record->payload, rec + 1, record->payload_length));
		CHECK(ckpt_record_name(record->type));
		number++;
		if (record->type != CKPT_REC_PAGES)
			continue;
		while ((ret = ckpt_image_next_run(image, &run)) > 0) {
			CHECK(run->addr >= 0x10000000);
			if (run->kind == CKPT_RUN_ZERO) {
				CHECK(!run->data && !run->hash);
				CHECK(run->addr == 0x10100000);
				zeros += run->nr_pages;
				continue;
			}
			CHECK(run->kind == CKPT_RUN_DATA);
			CHECK(!memcmp(run->data, synth.data + run->offset,
				      (size_t)run->nr_pages * 4096));
			pages += run->nr_pages;
		}
		CHECK(ret == 0);
	}
	CHECK(ret == 0);
	CHECK(errno == EXDEV, "errno is left alone");
	CHECK(!ckpt_image_error(image));
	CHECK(number == synth.nr_records && pages == 4 && zeros == 600);
	CHECK(ckpt_image_next(image, &record) == 0, "the end stays the end");
	ckpt_image_close(image);
	close(fd);
	synth_free(&synth);
	return true;
}

static bool names_are_those_of_the_header(void)
{
	CHECK(!strcmp(ckpt_record_name(CKPT_REC_VMA), "VMA"));
	CHECK(!strcmp(ckpt_record_name(CKPT_REC_HEADER), "HEADER"));
	CHECK(!ckpt_record_name(0) && !ckpt_record_name(0xffff));
	return true;
}

static bool every_truncation_is_refused(void)
{
	struct synth synth;
	size_t size;
	int error;

	synth_process(&synth);
	for (size = 0; size < synth.size; size++) {
		/* in the pages a few lengths are enough */
		if (size > synth.start[synth.nr_records - 3] + 200 &&
		    size + 4300 < synth.size && size % 97)
			continue;
		error = verify_bytes(&synth, size, 0);
		CHECK(error == (size < 32 ? ENOEXEC : EBADMSG), "%zu bytes: %d", size, error);
		error = verify_bytes(&synth, size, CKPT_IMAGE_SKIP_DATA);
		CHECK(error == (size < 32 ? ENOEXEC : EBADMSG), "%zu bytes: %d", size, error);
	}
	synth_free(&synth);
	return true;
}

static bool truncation_at_a_record_is_told(void)
{
	struct synth synth;
	char expected[64];
	unsigned int i;

	synth_process(&synth);
	for (i = 1; i < synth.nr_records; i++) {
		CHECK(verify_bytes(&synth, synth.start[i], 0) == EBADMSG);
		snprintf(expected, sizeof(expected), "offset %zu, after %u records",
			 synth.start[i], i);
		CHECK(strstr(message, expected), "%s", message);
	}
	synth_free(&synth);
	return true;
}

static bool every_bit_flip_is_refused(void)
{
	struct synth synth;
	size_t bit, pages;
	int error;

	synth_process(&synth);
	pages = synth.start[synth.nr_records - 3];
	for (bit = 0; bit < synth.size * 8; bit++) {
		if (bit / 8 > pages + 200 && bit % 61)
			continue;
		synth.data[bit / 8] ^= 1 << bit % 8;
		error = verify(&synth);
		CHECK(error == EBADMSG || (error == ENOEXEC && bit < 32 * 8),
		      "bit %zu: %d %s", bit, error, message);
		synth.data[bit / 8] ^= 1 << bit % 8;
	}
	synth_free(&synth);
	return true;
}

static bool damage_is_located(void)
{
	struct synth synth;
	char expected[64];

	synth_process(&synth);
	synth.data[synth.start[2] + sizeof(struct ckpt_rec)] ^= 1;
	CHECK(verify(&synth) == EBADMSG);
	snprintf(expected, sizeof(expected), "record 2 (THREAD) at offset %zu: damaged",
		 synth.start[2]);
	CHECK(strstr(message, expected), "%s", message);
	synth.data[synth.start[2] + sizeof(struct ckpt_rec)] ^= 1;

	synth.data[synth.start[synth.nr_records - 2] - 1] ^= 1;
	CHECK(verify(&synth) == EBADMSG);
	CHECK(strstr(message, "(PAGES)") && strstr(message, "address 0x10002000"),
	      "%s", message);
	synth_free(&synth);
	return true;
}

static bool skipped_contents_are_not_checked(void)
{
	struct synth synth;

	synth_process(&synth);
	synth.data[synth.start[synth.nr_records - 2] - 1] ^= 1;
	CHECK(verify_bytes(&synth, synth.size, CKPT_IMAGE_SKIP_DATA) == 0, "%s", message);
	synth_free(&synth);
	return true;
}

static bool pipe_is_read_to_the_end_of_the_image(void)
{
	struct ckpt_image *image;
	struct synth synth;
	char next[5] = "";
	int fds[2], pass;

	synth_process(&synth);
	for (pass = 0; pass < 2; pass++) {
		CHECK(!pipe(fds));
		CHECK(write(fds[1], synth.data, synth.size) == (ssize_t)synth.size);
		CHECK(write(fds[1], "next", 4) == 4);
		close(fds[1]);
		image = ckpt_image_fdopen(fds[0], pass ? CKPT_IMAGE_SKIP_DATA : 0, NULL);
		CHECK(image && !ckpt_image_verify(image));
		ckpt_image_close(image);
		CHECK(read(fds[0], next, 4) == 4 && !strcmp(next, "next"));
		close(fds[0]);
	}
	synth_free(&synth);
	return true;
}

static bool image_may_begin_inside_a_file(void)
{
	struct ckpt_image *image;
	struct synth synth;
	int fd;

	synth_process(&synth);
	fd = synth_file(&synth, synth.size);
	CHECK(pwrite(fd, "junk", 4, 0) == 4);
	CHECK(pwrite(fd, synth.data, synth.size, 4) == (ssize_t)synth.size);
	CHECK(lseek(fd, 4, SEEK_SET) == 4);
	image = ckpt_image_fdopen(fd, CKPT_IMAGE_SKIP_DATA, NULL);
	CHECK(image && !ckpt_image_verify(image));
	ckpt_image_close(image);
	close(fd);
	synth_free(&synth);
	return true;
}

static bool bytes_after_the_image_are_refused(void)
{
	char path[] = "/tmp/test_image.XXXXXX";
	struct ckpt_image *image;
	struct synth synth;
	int fd = mkstemp(path);

	synth_process(&synth);
	CHECK(fd >= 0);
	CHECK(write(fd, synth.data, synth.size) == (ssize_t)synth.size);
	image = ckpt_image_open(path, 0, NULL);
	CHECK(image && !ckpt_image_verify(image));
	ckpt_image_close(image);
	CHECK(write(fd, "12345678", 8) == 8);
	image = ckpt_image_open(path, 0, NULL);
	CHECK(image && ckpt_image_verify(image) && errno == EBADMSG);
	CHECK(strstr(ckpt_image_error(image), "8 bytes follow"));
	ckpt_image_close(image);
	close(fd);
	unlink(path);
	synth_free(&synth);
	return true;
}

static bool failed_open_says_why(void)
{
	char *error = NULL;

	CHECK(!ckpt_image_open("/nonexistent/image", 0, &error) && errno == ENOENT);
	CHECK(error && strstr(error, "No such file"));
	free(error);
	CHECK(!ckpt_image_open("/dev/null", 0, &error) && errno == ENOEXEC);
	CHECK(error && strstr(error, "not a checkpoint image"));
	free(error);
	CHECK(!ckpt_image_open("/", 0, NULL) && errno == EISDIR);
	CHECK(!ckpt_image_open("/dev/null", 4, NULL) && errno == EINVAL);
	CHECK(!ckpt_image_fdopen(-1, 0, NULL) && errno == EBADF);
	return true;
}

/* An image with an extra record of a type nobody knows */
static void make_unknown(struct synth *synth, uint16_t flags)
{
	synth_init(synth);
	synth_header(synth);
	synth_record(synth, 0x7777, 5, "what is this?", 13);
	synth_rec(synth, 1)->flags = flags;
	synth_trailer(synth);
}

static bool unknown_records_are_refused_unless_optional(void)
{
	const struct ckpt_rec_thread thread = { .tid = 1 };
	struct synth synth;

	make_unknown(&synth, CKPT_REC_F_OPTIONAL);
	CHECK(verify(&synth) == 0, "%s", message);
	synth_free(&synth);
	make_unknown(&synth, 0);
	CHECK(verify(&synth) == EOPNOTSUPP);
	CHECK(strstr(message, "type 0x7777"), "%s", message);
	synth_free(&synth);

	synth_init(&synth);
	synth.header.nr_tasks = 1;
	synth_header(&synth);
	synth_record(&synth, CKPT_REC_THREAD, 1, &thread, sizeof(thread));
	synth_rec(&synth, 1)->version = 2;
	synth_trailer(&synth);
	CHECK(verify(&synth) == EOPNOTSUPP);
	CHECK(strstr(message, "layout version 2"), "%s", message);
	synth_free(&synth);
	return true;
}

static bool longer_payloads_are_accepted(void)
{
	struct {
		struct ckpt_rec_thread thread;
		uint64_t later_field;
	} thread = { .thread.tid = 1, .later_field = 5 };
	struct synth synth;

	synth_init(&synth);
	synth.header.nr_tasks = 1;
	synth_header(&synth);
	synth_record(&synth, CKPT_REC_THREAD, 1, &thread, sizeof(thread));
	synth_trailer(&synth);
	CHECK(verify(&synth) == 0, "%s", message);
	synth_free(&synth);
	return true;
}

static bool short_payloads_are_refused(void)
{
	struct synth synth;

	synth_init(&synth);
	synth_header(&synth);
	synth_record(&synth, CKPT_REC_FD, 1, "1234567", 8);
	synth_trailer(&synth);
	CHECK(verify(&synth) == EBADMSG);
	CHECK(strstr(message, "too short"), "%s", message);
	synth_free(&synth);
	return true;
}

/* Cut bytes out of an image, without touching checksums */
static void cut(struct synth *synth, size_t start, size_t end)
{
	memmove(synth->data + start, synth->data + end, synth->size - end);
	synth->size -= end - start;
}

static bool missing_and_exchanged_records_are_refused(void)
{
	struct synth synth;
	unsigned int i;
	uint8_t *copy;
	size_t a, b, c;

	for (i = 0; ; i++) {
		synth_process(&synth);
		if (i == synth.nr_records)
			break;
		cut(&synth, synth.start[i],
		    i + 1 < synth.nr_records ? synth.start[i + 1] : synth.size);
		CHECK(verify(&synth), "without record %u", i);
		synth_free(&synth);
	}

	/* The two VMA records are of the same length. */
	for (i = 0; synth_rec(&synth, i)->type != CKPT_REC_VMA; i++)
		;
	a = synth.start[i];
	b = synth.start[i + 1];
	c = synth.start[i + 2];
	copy = malloc(b - a);
	CHECK(copy && b - a == c - b);
	memcpy(copy, synth.data + a, b - a);
	memmove(synth.data + a, synth.data + b, b - a);
	memcpy(synth.data + b, copy, b - a);
	CHECK(verify(&synth) == EBADMSG);
	CHECK(strstr(message, "missing or exchanged"), "%s", message);
	free(copy);
	synth_free(&synth);
	return true;
}

static struct ckpt_header *header_of(struct synth *synth)
{
	return (void *)(synth_rec(synth, 0) + 1);
}

static bool bad_headers_are_refused(void)
{
	struct synth synth;

	synth_process(&synth);
	header_of(&synth)->version = CKPT_IMAGE_VERSION + 1;
	CHECK(verify_forged(&synth) == ENOEXEC);
	CHECK(strstr(message, "format version"), "%s", message);
	synth_process(&synth);
	header_of(&synth)->page_size = 0;
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	header_of(&synth)->page_size = 4097;
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	header_of(&synth)->page_size = 1U << 31;
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	header_of(&synth)->sequence = 1;
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	memset(header_of(&synth)->comm, 'x', sizeof(header_of(&synth)->comm));
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	header_of(&synth)->nr_tasks = 3;
	CHECK(verify_forged(&synth) == EBADMSG);
	CHECK(strstr(message, "2 THREAD records"), "%s", message);
	return true;
}

/* The first PAGES record */
static struct ckpt_pages *pages_of(struct synth *synth)
{
	return (void *)(synth_rec(synth, synth->nr_records - 3) + 1);
}

static bool bad_runs_are_refused(void)
{
	struct synth synth;

	synth_process(&synth);
	pages_of(&synth)->runs[1].addr = 0x10000000;	/* overlap */
	CHECK(verify_forged(&synth) == EBADMSG);
	CHECK(strstr(message, "bad address"), "%s", message);
	synth_process(&synth);
	pages_of(&synth)->runs[1].addr = 0x0ffff000;	/* descending */
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	pages_of(&synth)->runs[1].addr++;		/* not page-aligned */
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	pages_of(&synth)->runs[1].addr = -4096UL;	/* beyond the end */
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	pages_of(&synth)->runs[0].nr_pages = 0;
	CHECK(verify_forged(&synth) == EBADMSG);
	CHECK(strstr(message, "run 0: 0 pages"), "%s", message);
	synth_process(&synth);
	pages_of(&synth)->runs[0].nr_pages = CKPT_RUN_MAX_PAGES + 1;
	CHECK(verify_forged(&synth) == EBADMSG);
	CHECK(strstr(message, "run 0: 513 pages"), "%s", message);
	synth_process(&synth);
	pages_of(&synth)->runs[1].reserved = 1;
	CHECK(verify_forged(&synth) == EBADMSG);
	CHECK(strstr(message, "run 1: the reserved field"), "%s", message);
	synth_process(&synth);
	pages_of(&synth)->nr_pages = 4;
	CHECK(verify_forged(&synth) == EBADMSG);
	CHECK(strstr(message, "disagree"), "%s", message);
	synth_process(&synth);
	pages_of(&synth)->nr_runs = 0;
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	pages_of(&synth)->data_offset -= 8;
	CHECK(verify_forged(&synth) == EBADMSG);
	return true;
}

/* An image with nothing but one record of one run */
static int verify_run(const struct ckpt_run *run, bool parent)
{
	struct synth synth;

	synth_init(&synth);
	synth.header.parent_uuid[0] = parent;
	synth.header.sequence = parent;
	synth_header(&synth);
	synth_pages(&synth, 1, run, 1, 1);
	synth_trailer(&synth);
	return verify_forged(&synth);
}

static bool runs_without_contents_are_read(void)
{
	struct ckpt_run run = {
		.addr = 0x10000000, .nr_pages = 0xffffffff, .kind = CKPT_RUN_ZERO,
	};

	CHECK(!verify_run(&run, false), "%s", message);
	CHECK(!verify_run(&run, true), "%s", message);
	run.kind = CKPT_RUN_PARENT;
	CHECK(!verify_run(&run, true), "%s", message);
	return true;
}

static bool bad_runs_without_contents_are_refused(void)
{
	const struct ckpt_run zero = {
		.addr = 0x10000000, .nr_pages = 3, .kind = CKPT_RUN_ZERO,
	};
	static const uint16_t unknown[] = { 0, CKPT_RUN_PARENT + 1, 0xffff };
	struct ckpt_run run;
	size_t i;

	run = zero;
	run.hash = 1;
	CHECK(verify_run(&run, false) == EBADMSG);
	CHECK(strstr(message, "run 0: a checksum without contents"), "%s", message);
	run = zero;
	run.reserved = 0x8000;
	CHECK(verify_run(&run, false) == EBADMSG);
	CHECK(strstr(message, "run 0: the reserved field"), "%s", message);
	run = zero;
	run.nr_pages = 0;
	CHECK(verify_run(&run, false) == EBADMSG);
	CHECK(strstr(message, "run 0: 0 pages"), "%s", message);
	run = zero;
	run.addr = -0x2000UL;
	CHECK(verify_run(&run, false) == EBADMSG);
	CHECK(strstr(message, "run 0: bad address"), "%s", message);
	run = zero;
	run.kind = CKPT_RUN_PARENT;
	CHECK(verify_run(&run, false) == EBADMSG);
	CHECK(strstr(message, "run 0: pages of a parent"), "%s", message);
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		run.kind = unknown[i];
		CHECK(verify_run(&run, true) == EBADMSG);
		CHECK(strstr(message, "run 0: unknown kind"), "%s", message);
	}
	return true;
}

static bool only_pages_of_data_are_counted(void)
{
	struct synth synth;
	struct ckpt_pages *pages;

	synth_process(&synth);
	pages = (void *)(synth_rec(&synth, synth.nr_records - 2) + 1);
	CHECK(pages->nr_pages == 1 && pages->runs[0].kind == CKPT_RUN_ZERO);
	pages->nr_pages += pages->runs[0].nr_pages;
	CHECK(verify_forged(&synth) == EBADMSG);
	CHECK(strstr(message, "disagree"), "%s", message);
	return true;
}

static struct ckpt_trailer_end *end_of(struct synth *synth)
{
	return (void *)(synth->data + synth->size - sizeof(struct ckpt_trailer_end));
}

static bool bad_trailers_are_refused(void)
{
	struct synth synth;
	struct ckpt_trailer *trailer;

	synth_process(&synth);
	end_of(&synth)->uuid[0] ^= 1;
	CHECK(verify_forged(&synth) == EBADMSG);
	CHECK(strstr(message, "another image"), "%s", message);
	synth_process(&synth);
	end_of(&synth)->nr_records--;
	CHECK(verify_forged(&synth) == EBADMSG);
	CHECK(strstr(message, "records, should have"), "%s", message);
	synth_process(&synth);
	end_of(&synth)->image_bytes++;
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	end_of(&synth)->magic[0]++;
	CHECK(verify_forged(&synth) == EBADMSG);
	synth_process(&synth);
	trailer = (void *)(synth_rec(&synth, synth.nr_records - 1) + 1);
	trailer->index[1].first += 4096;
	CHECK(verify_forged(&synth) == EBADMSG);
	CHECK(strstr(message, "page index"), "%s", message);
	synth_process(&synth);
	trailer = (void *)(synth_rec(&synth, synth.nr_records - 1) + 1);
	trailer->nr_index = 1;
	CHECK(verify_forged(&synth) == EBADMSG);
	return true;
}

static bool records_out_of_order_are_refused(void)
{
	const struct ckpt_run run = {
		.addr = 0x1000, .nr_pages = 1, .kind = CKPT_RUN_DATA,
	};
	const struct ckpt_fd fd = { .fd = 1 };
	struct synth synth;

	synth_init(&synth);
	synth_header(&synth);
	synth_pages(&synth, 1, &run, 1, 1);
	synth_record(&synth, CKPT_REC_FD, 1, &fd, sizeof(fd));
	synth_trailer(&synth);
	CHECK(verify(&synth) == EBADMSG);
	CHECK(strstr(message, "metadata after"), "%s", message);
	synth_free(&synth);

	synth_init(&synth);
	synth_header(&synth);
	synth_header(&synth);
	synth_trailer(&synth);
	CHECK(verify(&synth) == EBADMSG);
	CHECK(strstr(message, "second header"), "%s", message);
	synth_free(&synth);
	return true;
}

static bool pages_out_of_order_are_refused(void)
{
	const struct ckpt_run runs[] = {
		{ .addr = 0x1000, .nr_pages = 2, .kind = CKPT_RUN_DATA },
		{ .addr = 0x3000, .nr_pages = 1, .kind = CKPT_RUN_ZERO },
		{ .addr = 0x2000, .nr_pages = 1, .kind = CKPT_RUN_ZERO },
	};
	struct synth synth;
	unsigned int i;

	/* Other objects may come in between. */
	for (i = 1; i < 3; i++) {
		unsigned int k;

		synth_init(&synth);
		synth_header(&synth);
		for (k = 1; k < 40; k++)
			synth_pages(&synth, k, &runs[0], 1, 1);
		synth_pages(&synth, 7, &runs[i], 1, 1);
		synth_trailer(&synth);
		CHECK(verify(&synth) == (i == 1 ? 0 : EBADMSG), "%s", message);
		synth_free(&synth);
	}
	CHECK(strstr(message, "address 0x2000 is not after"), "%s", message);
	return true;
}

static bool huge_lengths_are_refused(void)
{
	static const uint64_t lengths[] = {
		CKPT_REC_MAX_LENGTH, CKPT_REC_MAX_LENGTH + 8, 1ULL << 40, 1ULL << 63,
		-8ULL, 7,
	};
	struct synth synth;
	size_t i;
	unsigned int record;

	synth_process(&synth);
	for (record = 0; record < synth.nr_records; record++) {
		uint64_t length = synth_rec(&synth, record)->length;

		for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			synth_rec(&synth, record)->length = lengths[i];
			CHECK(verify(&synth) == EBADMSG);
		}
		synth_rec(&synth, record)->length = length;
	}
	synth_free(&synth);
	return true;
}

static bool failure_is_final(void)
{
	const struct ckpt_record *record;
	struct ckpt_image *image;
	struct synth synth;
	int fd, ret;

	synth_process(&synth);
	synth.data[synth.start[3] + sizeof(struct ckpt_rec)] ^= 1;
	fd = synth_file(&synth, synth.size);
	image = ckpt_image_fdopen(fd, 0, NULL);
	CHECK(image);
	while ((ret = ckpt_image_next(image, &record)) > 0)
		CHECK(record->number < 3);
	CHECK(ret == -1 && errno == EBADMSG);
	errno = 0;
	CHECK(ckpt_image_next(image, &record) == -1 && errno == EBADMSG);
	CHECK(ckpt_image_verify(image) == -1 && ckpt_image_error(image));
	ckpt_image_close(image);
	close(fd);
	synth_free(&synth);
	return true;
}

int main(void)
{
	static const struct test tests[] = {
		{ "the checksum is CRC-32C, with and without the instruction",
		  crc_is_castagnoli },
		{ "the checksum of pages is XXH64",
		  hash_is_xxh64 },
		{ "a whole image is verified",
		  whole_image_is_verified },
		{ "all records and pages are given out, in order",
		  records_and_pages_are_given_out },
		{ "record names are those of the header",
		  names_are_those_of_the_header },
		{ "an image cut off anywhere is refused",
		  every_truncation_is_refused },
		{ "where an image was cut off is told",
		  truncation_at_a_record_is_told },
		{ "any flipped bit is found",
		  every_bit_flip_is_refused },
		{ "the message says where the damage is",
		  damage_is_located },
		{ "contents that are skipped are not checked",
		  skipped_contents_are_not_checked },
		{ "a pipe is read to the end of the image and no further",
		  pipe_is_read_to_the_end_of_the_image },
		{ "an image may begin inside a file",
		  image_may_begin_inside_a_file },
		{ "bytes after the image are refused in a file",
		  bytes_after_the_image_are_refused },
		{ "a failed open says why",
		  failed_open_says_why },
		{ "unknown records are refused unless they are optional",
		  unknown_records_are_refused_unless_optional },
		{ "payloads longer than known are accepted",
		  longer_payloads_are_accepted },
		{ "payloads too short are refused",
		  short_payloads_are_refused },
		{ "missing and exchanged records are noticed",
		  missing_and_exchanged_records_are_refused },
		{ "bad headers are refused",
		  bad_headers_are_refused },
		{ "bad page runs are refused",
		  bad_runs_are_refused },
		{ "runs without contents are read",
		  runs_without_contents_are_read },
		{ "bad runs without contents are refused",
		  bad_runs_without_contents_are_refused },
		{ "only pages with contents are counted",
		  only_pages_of_data_are_counted },
		{ "bad trailers are refused",
		  bad_trailers_are_refused },
		{ "records out of order are refused",
		  records_out_of_order_are_refused },
		{ "pages out of order are refused, over all records of an object",
		  pages_out_of_order_are_refused },
		{ "huge and odd lengths are refused",
		  huge_lengths_are_refused },
		{ "after a failure nothing more is given out",
		  failure_is_final },
	};

	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
