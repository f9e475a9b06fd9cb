// SPDX-License-Identifier: LGPL-2.1
/*
 * Read images with random changes, by everything that reads images: nothing may
 * crash, and no change may go unnoticed by the checksums. In half of the images
 * the checksums are made right again, so that what is behind them is reached.
 *
 *	fuzz_image [ROUNDS [SEED]]
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/internal.h"
#include "../tool/image.h"
#include "synth.h"

#define MAX_CHANGES	6

static uint32_t number(uint32_t limit)
{
	return ((uint32_t)random() ^ (uint32_t)random() << 16) % limit;
}

/* Values that are more likely to hurt than others */
static uint64_t evil(void)
{
	static const uint64_t values[] = {
		0, 1, 7, 8, 0x7f, 0xff, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff,
		0x100000000, 1ULL << 62, 1ULL << 63, -1ULL, -8ULL, -4096ULL,
	};

	return values[number(sizeof(values) / sizeof(values[0]))] + number(3);
}

/* Change bytes in place; false if only payloads changed */
static void change_payload(struct synth *synth)
{
	unsigned int record = number(synth->nr_records);
	struct ckpt_rec *rec = synth_rec(synth, record);
	uint8_t *payload = (uint8_t *)(rec + 1);
	size_t length = rec->length;
	uint64_t value = evil();

	/* Pages themselves are dull. */
	if (rec->type == CKPT_REC_PAGES && number(8))
		length = 64;
	switch (number(4)) {
	case 0:
		payload[number(length)] ^= 1 << number(8);
		break;
	case 1:
		payload[number(length)] = value;
		break;
	case 2:
		memcpy(payload + number(length / 4) * 4, &value, 4);
		break;
	case 3:
		memcpy(payload + number(length / 8) * 8, &value, 8);
		break;
	}
}

static void change_anything(struct synth *synth)
{
	size_t at = number(synth->size), size;

	switch (number(4)) {
	case 0:
		synth->data[at] ^= 1 << number(8);
		break;
	case 1:
		synth->size = at + 1;
		break;
	case 2:		/* bytes are missing */
		size = number(synth->size - at);
		memmove(synth->data + at, synth->data + at + size,
			synth->size - at - size);
		synth->size -= size;
		break;
	case 3:		/* bytes appear twice */
		size = number(synth->size - at);
		if (synth->size + size > synth->space)
			break;
		memmove(synth->data + at + size, synth->data + at, synth->size - at);
		synth->size += size;
		break;
	}
}

/* Returns whether the image was read to its end. */
static bool read_all(const struct synth *synth, unsigned int flags, FILE *null)
{
	struct json json = { .out = null };
	const struct ckpt_page_run *run;
	const struct ckpt_record *record;
	struct ckpt_image *image;
	struct summary *summary;
	char *error = NULL;
	bool all = false;
	size_t i;
	int fd;

	fd = synth_file(synth, synth->size);
	image = ckpt_image_fdopen(fd, flags, &error);
	if (image) {
		summary = summary_new(ckpt_image_header(image), number(2));
		while (ckpt_image_next(image, &record) > 0) {
			summary_add(summary, record);
			while (number(4) && ckpt_image_next_run(image, &run) > 0)
				;
		}
		all = !ckpt_image_error(image);
		for (i = 0; (record = summary_record(summary, i)); i++)
			free(describe_record(record, summary));
		if (number(2))
			summary_print(summary);
		else
			summary_json(&json, summary);
		summary_free(summary);
		ckpt_image_close(image);
	} else if (!error) {
		abort();
	}
	free(error);
	close(fd);
	return all;
}

int main(int argc, char **argv)
{
	unsigned long round, rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;
	unsigned int seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	unsigned long unnoticed = 0, valid = 0;
	FILE *null = fopen("/dev/null", "w");
	int real_stdout = dup(STDOUT_FILENO);
	FILE *out = fdopen(real_stdout, "w");
	struct synth original, synth;

	if (!null || !out || !freopen("/dev/null", "w", stdout))
		return 1;
	srandom(seed);
	synth_process(&original);
	for (round = 0; round < rounds; round++) {
		bool forged = number(2);
		unsigned int i, changes = 1 + number(MAX_CHANGES);
		bool all, same;

		synth = original;
		synth.data = malloc(synth.space);
		memcpy(synth.data, original.data, original.size);
		for (i = 0; i < changes; i++) {
			if (forged)
				change_payload(&synth);
			else
				change_anything(&synth);
		}
		if (forged)
			synth_fix_crc(&synth);
		same = synth.size >= original.size &&
		       !memcmp(synth.data, original.data, original.size);
		all = read_all(&synth, number(2) ? CKPT_IMAGE_SKIP_DATA : 0, null);
		valid += all;
		if (all && !forged && !same && read_all(&synth, 0, null))
			unnoticed++;
		synth_free(&synth);
	}
	synth_free(&original);
	fprintf(out, "KTAP version 1\n1..1\n"
		"# %lu images, seed %u, %lu of them read to the end\n"
		"%sok 1 images with random changes do no harm\n",
		rounds, seed, valid, unnoticed ? "not " : "");
	return unnoticed ? 1 : 0;
}
