// SPDX-License-Identifier: LGPL-2.1
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "../src/internal.h"
#include "synth.h"

#define PAGE 4096

void synth_init(struct synth *synth)
{
	*synth = (struct synth){
		.header = {
			.version = CKPT_IMAGE_VERSION,
			.arch = 62,
			.page_size = PAGE,
			.uuid = "synthetic image",
			.time_ns = 1700000000123456789,
			.root = 1,
			.release = "6.12.0",
			.hostname = "test",
			.comm = "synth",
		},
	};
	memcpy(synth->header.magic, CKPT_IMAGE_MAGIC, sizeof(synth->header.magic));
}

void synth_free(struct synth *synth)
{
	free(synth->data);
	synth->data = NULL;
}

static void *append(struct synth *synth, size_t size)
{
	void *end;

	if (synth->size + size > synth->space) {
		synth->space = 2 * (synth->size + size);
		synth->data = realloc(synth->data, synth->space);
		if (!synth->data)
			abort();
	}
	end = memset(synth->data + synth->size, 0, size);
	synth->size += size;
	return end;
}

struct ckpt_rec *synth_rec(struct synth *synth, unsigned int number)
{
	return (struct ckpt_rec *)(synth->data + synth->start[number]);
}

static void begin_record(struct synth *synth, uint32_t type, uint32_t objref,
			 size_t length)
{
	if (synth->nr_records == SYNTH_MAX_RECORDS)
		abort();
	synth->start[synth->nr_records++] = synth->size;
	*(struct ckpt_rec *)append(synth, sizeof(struct ckpt_rec)) = (struct ckpt_rec){
		.type = type,
		.version = 1,
		.length = length,
		.objref = objref,
	};
}

void synth_record(struct synth *synth, uint32_t type, uint32_t objref,
		  const void *payload, size_t size)
{
	size_t length = (size + 7) & ~7UL;

	begin_record(synth, type, objref, length);
	memcpy(append(synth, length), payload, size);
}

void synth_header(struct synth *synth)
{
	synth_record(synth, CKPT_REC_HEADER, 0, &synth->header, sizeof(synth->header));
}

void synth_pages(struct synth *synth, uint32_t objref, const struct ckpt_run *runs,
		 unsigned int nr_runs, uint8_t fill)
{
	const size_t head = sizeof(struct ckpt_rec) + sizeof(struct ckpt_pages) +
			    nr_runs * sizeof(*runs);
	const size_t page_size = synth->header.page_size;
	size_t offset = synth->size;
	size_t data = (offset + head + page_size - 1) / page_size * page_size;
	unsigned int i, page, nr_pages = 0;
	struct ckpt_pages *pages;

	for (i = 0; i < nr_runs; i++)
		if (runs[i].kind == CKPT_RUN_DATA)
			nr_pages += runs[i].nr_pages;
	synth->index[synth->nr_index++] = (struct ckpt_index){
		.offset = offset,
		.objref = objref,
		.nr_pages = nr_pages,
		.first = runs[0].addr,
		.last = runs[nr_runs - 1].addr +
			(runs[nr_runs - 1].nr_pages - 1ULL) * page_size,
	};
	begin_record(synth, CKPT_REC_PAGES, objref,
		     data - offset - sizeof(struct ckpt_rec) + nr_pages * page_size);
	pages = append(synth, data - synth->size);
	pages->nr_runs = nr_runs;
	pages->nr_pages = nr_pages;
	pages->data_offset = data - offset - sizeof(struct ckpt_rec);
	memcpy(pages->runs, runs, nr_runs * sizeof(*runs));
	for (i = 0, page = 0; i < nr_runs; i++) {
		uint64_t addr = runs[i].addr;
		unsigned int n = runs[i].kind == CKPT_RUN_DATA ? runs[i].nr_pages : 0;

		for (; n; n--, page++, addr += page_size) {
			uint8_t *contents = append(synth, page_size);

			contents[page % (page_size / 2) + 1] = fill;
			memcpy(contents + page_size - sizeof(addr), &addr, sizeof(addr));
		}
	}
}

void synth_trailer(struct synth *synth)
{
	struct ckpt_trailer_end *end = &synth->end;
	const size_t index_size = synth->nr_index * sizeof(struct ckpt_index);
	const size_t length = sizeof(struct ckpt_trailer) + index_size + sizeof(*end);
	struct ckpt_trailer *trailer;

	memcpy(end->uuid, synth->header.uuid, sizeof(end->uuid));
	memcpy(end->magic, CKPT_TRAILER_MAGIC, sizeof(end->magic));
	end->nr_records = synth->nr_records + 1;
	end->trailer_offset = synth->size;
	end->image_bytes = synth->size + sizeof(struct ckpt_rec) + length;

	begin_record(synth, CKPT_REC_TRAILER, 0, length);
	trailer = append(synth, length);
	trailer->nr_index = synth->nr_index;
	memcpy(trailer->index, synth->index, index_size);
	memcpy((uint8_t *)trailer + length - sizeof(*end), end, sizeof(*end));
	synth_fix_crc(synth);
}

static uint32_t crc_record(struct ckpt_rec *rec, size_t size)
{
	rec->crc = 0;
	rec->crc = ~lcr_crc32c_portable(LCR_CRC32C_INIT, rec, size);
	return rec->crc;
}

static uint32_t chain(uint32_t crc, uint32_t value)
{
	return lcr_crc32c_portable(crc, &value, sizeof(value));
}

void synth_fix_crc(struct synth *synth)
{
	uint32_t crc = LCR_CRC32C_INIT;
	unsigned int i, r;

	for (i = 0; i < synth->nr_records; i++) {
		struct ckpt_rec *rec = synth_rec(synth, i);
		struct ckpt_pages *pages = (struct ckpt_pages *)(rec + 1);
		uint8_t *data;

		if (rec->type == CKPT_REC_TRAILER) {
			struct ckpt_trailer_end *end =
				(void *)(synth->data + synth->size - sizeof(*end));

			end->crc = ~crc;
		}
		if (rec->type != CKPT_REC_PAGES) {
			crc = chain(crc, crc_record(rec, sizeof(*rec) + rec->length));
			continue;
		}
		if (pages->data_offset > rec->length || pages->nr_runs > CKPT_PAGES_MAX_RUNS ||
		    sizeof(*pages) + pages->nr_runs * sizeof(*pages->runs) > pages->data_offset)
			return;		/* forged: no checksum is right */
		data = (uint8_t *)pages + pages->data_offset;
		for (r = 0; r < pages->nr_runs; r++) {
			size_t size = (size_t)pages->runs[r].nr_pages *
				      synth->header.page_size;

			if (pages->runs[r].kind != CKPT_RUN_DATA)
				continue;
			if (size > (size_t)(synth->data + synth->size - data))
				break;		/* forged too */
			pages->runs[r].hash = lcr_xxh64(data, size);
			data += size;
		}
		crc = chain(crc, crc_record(rec, sizeof(*rec) + pages->data_offset));
	}
}

static void add_path(struct synth *synth, uint32_t objref, const char *name)
{
	const size_t size = strlen(name) + 1;
	struct ckpt_path *path = calloc(1, sizeof(*path) + size);

	if (!path)
		abort();
	path->mode = 0100000;
	path->path_len = size;
	memcpy(path->path, name, size);
	synth_record(synth, CKPT_REC_PATH, objref, path, sizeof(*path) + size);
	free(path);
}

static void add_file(struct synth *synth, uint32_t objref, uint32_t path, uint32_t flags)
{
	struct {
		struct ckpt_file file;
		struct ckpt_file_path path;
	} record = {
		.file = { .type = "regular", .flags = flags, .pos = 123 },
		.path.path = path,
	};

	synth_record(synth, CKPT_REC_FILE, objref, &record, sizeof(record));
}

static void add_terminal(struct synth *synth, uint32_t objref)
{
	struct {
		struct ckpt_file file;
		struct ckpt_file_inherit inherit;
	} record = {
		.file = { .type = "inherit", .flags = O_RDWR },
		.inherit = { .kind = CKPT_INHERIT_TTY, .name = "/dev/pts/3" },
	};

	synth_record(synth, CKPT_REC_FILE, objref, &record, sizeof(record));
}

void synth_process(struct synth *synth)
{
	const struct ckpt_process process = {
		.pid = 4711, .ppid = 1, .pgid = 4711, .sid = 4700, .nr_threads = 2,
		.mm = 10, .files = 11, .fs = 12,
	};
	const struct ckpt_rec_thread threads[] = {
		{ .process = 1, .tid = 4711, .comm = "synth" },
		{ .process = 1, .tid = 4712, .comm = "wor\033ker" },
	};
	const struct ckpt_vma vmas[] = {
		{ .start = 0x400000, .end = 0x410000, .type = CKPT_VMA_FILE,
		  .prot = 5, .file = 20 },
		{ .start = 0x10000000, .end = 0x10800000, .type = CKPT_VMA_ANON,
		  .prot = 3 },
	};
	const struct ckpt_mm mm = { .exe = 20, .nr_vmas = 2 };
	const struct ckpt_fs fs = { .root = 30, .pwd = 31, .umask = 022 };
	const struct ckpt_files files = { .nr_fds = 3 };
	const struct ckpt_fd fds[] = {
		{ .fd = 0, .file = 21 },
		{ .fd = 1, .file = 21 },
		{ .fd = 7, .file = 22, .flags = CKPT_FD_CLOEXEC },
	};
	const struct ckpt_run first[] = {
		{ .addr = 0x10000000, .nr_pages = 1, .kind = CKPT_RUN_DATA },
		{ .addr = 0x10002000, .nr_pages = 2, .kind = CKPT_RUN_DATA },
	};
	const struct ckpt_run second[] = {
		{ .addr = 0x10100000, .nr_pages = 600, .kind = CKPT_RUN_ZERO },
		{ .addr = 0x10400000, .nr_pages = 1, .kind = CKPT_RUN_DATA },
	};
	unsigned int i;

	synth_init(synth);
	synth->header.nr_tasks = 2;
	synth_header(synth);
	synth_record(synth, CKPT_REC_PROCESS, 1, &process, sizeof(process));
	for (i = 0; i < 2; i++)
		synth_record(synth, CKPT_REC_THREAD, 2 + i, &threads[i], sizeof(threads[i]));
	add_path(synth, 30, "/");
	add_path(synth, 31, "/home/user");
	add_path(synth, 32, "/usr/bin/synth");
	add_path(synth, 33, "/home/user/log");
	add_file(synth, 20, 32, O_RDONLY);
	add_file(synth, 22, 33, O_WRONLY | O_APPEND);
	add_terminal(synth, 21);
	synth_record(synth, CKPT_REC_MM, 10, &mm, sizeof(mm));
	for (i = 0; i < 2; i++)
		synth_record(synth, CKPT_REC_VMA, 10, &vmas[i], sizeof(vmas[i]));
	synth_record(synth, CKPT_REC_FILES, 11, &files, sizeof(files));
	for (i = 0; i < 3; i++)
		synth_record(synth, CKPT_REC_FD, 11, &fds[i], sizeof(fds[i]));
	synth_record(synth, CKPT_REC_FS, 12, &fs, sizeof(fs));
	synth_pages(synth, 10, first, 2, 0xaa);
	synth_pages(synth, 10, second, 2, 0xbb);
	synth_trailer(synth);
}

void synth_tree(struct synth *synth)
{
	const struct ckpt_process processes[] = {
		{ .pid = 4711, .ppid = 1, .pgid = 4711, .sid = 4700, .nr_threads = 2,
		  .flags = CKPT_PROCESS_OUTER_SESSION, .mm = 20, .files = 30 },
		{ .pid = 4713, .ppid = 4711, .pgid = 4711, .sid = 4700, .nr_threads = 1,
		  .flags = CKPT_PROCESS_OUTER_SESSION | CKPT_PROCESS_SUBREAPER,
		  .mm = 21, .files = 30, .parent = 1, .parent_tid = 4711 },
		{ .pid = 4714, .ppid = 4711, .pgid = 4711, .sid = 4700, .nr_threads = 1,
		  .flags = CKPT_PROCESS_OUTER_SESSION | CKPT_PROCESS_ZOMBIE,
		  .parent = 1, .parent_tid = 4712, .exit_code = 3 << 8 },
		{ .pid = 4715, .ppid = 4713, .pgid = 4715, .sid = 4715, .nr_threads = 2,
		  .flags = CKPT_PROCESS_SESSION_LEADER, .mm = 22, .files = 32,
		  .exit_signal = 17, .parent = 2, .parent_tid = 4713 },
	};
	const struct ckpt_rec_thread threads[] = {
		{ .process = 1, .tid = 4711, .comm = "shell", .files = 30 },
		{ .process = 1, .tid = 4712, .comm = "helper", .files = 31 },
		{ .process = 2, .tid = 4713, .comm = "job", .files = 30,
		  .vfork_tid = 4715 },
		{ .process = 3, .tid = 4714, .comm = "done" },
		{ .process = 4, .tid = 4715, .comm = "gone", .exit_code = 9,
		  .flags = CKPT_THREAD_ENDED },
		{ .process = 4, .tid = 4716, .comm = "goes on", .files = 32 },
	};
	const struct ckpt_process_signals stopped = { .stop_signal = 19 };
	const struct ckpt_files files = { .nr_fds = 1 };
	const struct ckpt_fd fd = { .fd = 2, .file = 40 };
	unsigned int i;

	synth_init(synth);
	synth->header.nr_tasks = 6;
	synth_header(synth);
	for (i = 0; i < 4; i++)
		synth_record(synth, CKPT_REC_PROCESS, 1 + i, &processes[i],
			     sizeof(processes[i]));
	for (i = 0; i < 6; i++)
		synth_record(synth, CKPT_REC_THREAD, 10 + i, &threads[i], sizeof(threads[i]));
	synth_record(synth, CKPT_REC_PROCESS_SIGNALS, 2, &stopped, sizeof(stopped));
	add_terminal(synth, 40);
	for (i = 30; i < 33; i++) {
		synth_record(synth, CKPT_REC_FILES, i, &files, sizeof(files));
		synth_record(synth, CKPT_REC_FD, i, &fd, sizeof(fd));
	}
	synth_trailer(synth);
}

void synth_uuid(uint8_t *uuid, uint32_t chain, uint64_t sequence)
{
	memset(uuid, 0, CKPT_UUID_SIZE);
	memcpy(uuid, &chain, sizeof(chain));
	memcpy(uuid + 8, &sequence, sizeof(sequence));
}

void synth_link(struct synth *synth, uint32_t chain, uint64_t sequence, uint32_t mm)
{
	const struct ckpt_mm record = { .id = chain };

	synth_init(synth);
	synth_uuid(synth->header.uuid, chain, sequence);
	if (sequence)
		synth_uuid(synth->header.parent_uuid, chain, sequence - 1);
	synth->header.sequence = sequence;
	synth->header.time_ns += sequence * 1000000000;
	synth_header(synth);
	synth_record(synth, CKPT_REC_MM, mm, &record, sizeof(record));
}

void synth_job(struct synth *synth, uint32_t chain, uint64_t sequence, uint32_t pid,
	       const char *comm, uint64_t seconds)
{
	const struct ckpt_process process = { .pid = pid, .mm = 10 };
	const struct ckpt_mm mm = { .id = chain };
	const struct ckpt_run runs[] = {
		{ .addr = 0x10000000, .nr_pages = 1, .kind = CKPT_RUN_DATA },
		{ .addr = 0x10001000, .nr_pages = 1,
		  .kind = sequence ? CKPT_RUN_PARENT : CKPT_RUN_DATA },
	};

	synth_init(synth);
	synth_uuid(synth->header.uuid, chain, sequence);
	if (sequence)
		synth_uuid(synth->header.parent_uuid, chain, sequence - 1);
	synth->header.sequence = sequence;
	synth->header.time_ns = seconds * 1000000000;
	memset(synth->header.comm, 0, sizeof(synth->header.comm));
	snprintf((char *)synth->header.comm, sizeof(synth->header.comm), "%s", comm);
	synth_header(synth);
	synth_record(synth, CKPT_REC_PROCESS, 1, &process, sizeof(process));
	synth_record(synth, CKPT_REC_MM, 10, &mm, sizeof(mm));
	synth_pages(synth, 10, runs, 2, sequence + 1);
	synth_trailer(synth);
}

int synth_file(const struct synth *synth, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0 || pwrite(fd, synth->data, size, 0) != (ssize_t)size)
		abort();
	return fd;
}
