/* SPDX-License-Identifier: LGPL-2.1 */
/* Images made up for tests. */
#ifndef TESTS_SYNTH_H
#define TESTS_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/checkpoint_image.h>

#define SYNTH_MAX_RECORDS 64

/**
 * struct synth - an image being made
 * @data:	what there is of it
 * @size:	its length
 * @space:	memory allocated
 * @start:	where each record begins
 * @nr_records:	their number
 * @index:	for the trailer
 * @nr_index:	its length
 * @header:	change it before synth_header()
 * @end:	synth_trailer() fills in what is 0
 */
struct synth {
	uint8_t *data;
	size_t size;
	size_t space;
	size_t start[SYNTH_MAX_RECORDS];
	unsigned int nr_records;
	struct ckpt_index index[SYNTH_MAX_RECORDS];
	unsigned int nr_index;
	struct ckpt_header header;
	struct ckpt_trailer_end end;
};

void synth_init(struct synth *synth);
void synth_free(struct synth *synth);

void synth_header(struct synth *synth);
void synth_record(struct synth *synth, uint32_t type, uint32_t objref,
		  const void *payload, size_t size);
/*
 * In every page of the runs of kind CKPT_RUN_DATA are one byte of @fill and, at its
 * end, the address
 */
void synth_pages(struct synth *synth, uint32_t objref, const struct ckpt_run *runs,
		 unsigned int nr_runs, uint8_t fill);
void synth_trailer(struct synth *synth);

/* An image of a process with two threads, three files, and some pages in two records */
void synth_process(struct synth *synth);

/* An image of a tree of four processes, without memory: see "info shows a tree" */
void synth_tree(struct synth *synth);

/* The UUID of image @sequence of @chain, which is not 0 */
void synth_uuid(uint8_t *uuid, uint32_t chain, uint64_t sequence);

/*
 * The beginning of that image, the header and an address space, object @mm, which has
 * @chain as its ID. Pages and the trailer may follow.
 */
void synth_link(struct synth *synth, uint32_t chain, uint64_t sequence, uint32_t mm);

/*
 * That image, whole, of process @pid that is called @comm, @seconds after 1970: two pages,
 * of which an increment leaves one to its parent
 */
void synth_job(struct synth *synth, uint32_t chain, uint64_t sequence, uint32_t pid,
	       const char *comm, uint64_t seconds);

/* Compute the checksums of the image again, so that only other checks can fail */
void synth_fix_crc(struct synth *synth);

struct ckpt_rec *synth_rec(struct synth *synth, unsigned int number);

/* A descriptor of a file with the first @size bytes, at its beginning */
int synth_file(const struct synth *synth, size_t size);

#endif /* TESTS_SYNTH_H */
