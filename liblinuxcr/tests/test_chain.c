// SPDX-License-Identifier: LGPL-2.1
/*
 * Chains of images: they are found, verified, merged and restarted, and what is not
 * needed is removed. The functions __wrap_...() are put before those of the C library
 * by the linker.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <asm/unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../src/internal.h"
#include "ktap.h"
#include "synth.h"

#define PAGE		4096UL
#define BASE		0x10000000UL
#define CRASHED		99

/* End the process at the call of this number, 0 for none */
static unsigned int crash_at, calls;

/*
 * What a power failure could undo: a directory changed, an image not synced. A next
 * step that relies on it comes too early.
 */
static bool dir_changed, image_synced;
static unsigned int too_early;

/* What restart() was called with */
static struct {
	bool called;
	uint64_t sequence;
	uint32_t nr_parents;
	uint64_t parents[16];
} restarted;

long __wrap_syscall(long number, ...);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_linkat(int old_fd, const char *old, int new_fd, const char *new, int flags);
int __wrap_linkat(int old_fd, const char *old, int new_fd, const char *new, int flags);
int __real_renameat(int old_fd, const char *old, int new_fd, const char *new);
int __wrap_renameat(int old_fd, const char *old, int new_fd, const char *new);
int __real_symlinkat(const char *target, int dir_fd, const char *name);
int __wrap_symlinkat(const char *target, int dir_fd, const char *name);
int __real_unlinkat(int dir_fd, const char *name, int flags);
int __wrap_unlinkat(int dir_fd, const char *name, int flags);

static void maybe_crash(void)
{
	if (++calls == crash_at)
		_exit(CRASHED);
}

int __wrap_fsync(int fd)
{
	struct stat st;

	maybe_crash();
	if (!fstat(fd, &st) && S_ISDIR(st.st_mode))
		dir_changed = false;
	else
		image_synced = true;
	return __real_fsync(fd);
}

int __wrap_linkat(int old_fd, const char *old, int new_fd, const char *new, int flags)
{
	maybe_crash();
	too_early += dir_changed || !image_synced;
	dir_changed = true;
	return __real_linkat(old_fd, old, new_fd, new, flags);
}

int __wrap_renameat(int old_fd, const char *old, int new_fd, const char *new)
{
	maybe_crash();
	too_early += dir_changed;
	dir_changed = true;
	return __real_renameat(old_fd, old, new_fd, new);
}

int __wrap_symlinkat(const char *target, int dir_fd, const char *name)
{
	maybe_crash();
	return __real_symlinkat(target, dir_fd, name);
}

int __wrap_unlinkat(int dir_fd, const char *name, int flags)
{
	maybe_crash();
	too_early += dir_changed;
	dir_changed = true;
	return __real_unlinkat(dir_fd, name, flags);
}

static uint64_t sequence_of(int fd)
{
	struct ckpt_header header;

	if (lseek(fd, 0, SEEK_CUR) || lcr_read_header(fd, &header, NULL))
		abort();
	return header.sequence;
}

long __wrap_syscall(long number, ...)
{
	const struct restart_args *args;
	const int *fds;
	va_list list;
	uint32_t i;

	if (number != __NR_restart)
		abort();
	va_start(list, number);
	args = va_arg(list, void *);
	va_end(list);
	fds = (const void *)(uintptr_t)args->parents;
	restarted.called = true;
	restarted.sequence = sequence_of(args->image_fd);
	restarted.nr_parents = args->parents_nr;
	for (i = 0; i < args->parents_nr && i < 16; i++)
		restarted.parents[i] = sequence_of(fds[i]);
	return 4711;
}

/* A directory of its own for each test, which is the current one then */
static char dir[] = "/tmp/test_chain.XXXXXX";

static void enter_dir(void)
{
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	if (!mkdtemp(dir) || chdir(dir))
		abort();
	memset(&restarted, 0, sizeof(restarted));
}

static void leave_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (chdir("/") || system(command))
		abort();
}

static void write_synth(struct synth *synth, const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, synth->data, synth->size) != (ssize_t)synth->size)
		abort();
	close(fd);
	synth_free(synth);
}

/*
 * Image @sequence of @chain: 16 pages. All are in the first; later ones have page
 * @sequence, zeros after it, and leave the others to the parent.
 */
static void make_image(struct synth *synth, uint32_t chain, uint64_t sequence)
{
	const uint32_t mm = 10 + sequence;
	const struct ckpt_run full = {
		.addr = BASE, .nr_pages = 16, .kind = CKPT_RUN_DATA,
	};
	const struct ckpt_run runs[] = {
		{ .addr = BASE, .nr_pages = sequence, .kind = CKPT_RUN_PARENT },
		{ .addr = BASE + sequence * PAGE, .nr_pages = 1, .kind = CKPT_RUN_DATA },
		{ .addr = BASE + (sequence + 1) * PAGE, .nr_pages = 1, .kind = CKPT_RUN_ZERO },
	};
	const struct ckpt_run rest = {
		.addr = BASE + (sequence + 2) * PAGE, .nr_pages = 14 - sequence,
		.kind = CKPT_RUN_PARENT,
	};

	synth_link(synth, chain, sequence, mm);
	if (!sequence) {
		synth_pages(synth, mm, &full, 1, chain);
	} else {
		synth_pages(synth, mm, runs, 3, chain + sequence);
		synth_pages(synth, mm, &rest, 1, 0);
	}
	synth_trailer(synth);
}

static void write_image(const char *name, uint32_t chain, uint64_t sequence)
{
	struct synth synth;

	make_image(&synth, chain, sequence);
	write_synth(&synth, name);
}

/* job.000001 to job.00000COUNT, and job */
static void write_chain(unsigned int count)
{
	char name[16] = "";
	unsigned int i;

	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "job.%06u", i + 1);
		write_image(name, 1, i);
	}
	if (symlink(name, "job"))
		abort();
}

static void swap_names(const char *a, const char *b)
{
	if (rename(a, "swap") || rename(b, a) || rename("swap", b))
		abort();
}

/* Change a byte of a file. */
static void damage(const char *name, off_t offset)
{
	char byte;
	int fd = open(name, O_RDWR);

	if (fd < 0 || pread(fd, &byte, 1, offset) != 1)
		abort();
	byte ^= 1;
	if (pwrite(fd, &byte, 1, offset) != 1)
		abort();
	close(fd);
}

/* Verify a chain. Returns 0 or an errno value; what is wrong is in @message then. */
static char message[1024];

static int verify_in(const char *path, const char *const *dirs)
{
	struct ckpt_chain *chain;
	char *error = NULL;
	int ret = 0;

	message[0] = '\0';
	chain = ckpt_chain_open(path, dirs, &error);
	if (!chain || ckpt_chain_verify(chain)) {
		ret = errno;
		snprintf(message, sizeof(message), "%s",
			 chain ? ckpt_chain_error(chain) : error);
	}
	free(error);
	ckpt_chain_close(chain);
	return ret;
}

static int verify(const char *path)
{
	return verify_in(path, NULL);
}

static bool exists(const char *name)
{
	return !access(name, F_OK);
}

static int count_fds(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 64; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static bool chain_is_listed(void)
{
	const struct ckpt_chain_image *image;
	struct ckpt_chain *chain;
	int fds = count_fds();
	char path[64];
	struct stat st;
	unsigned int i;

	enter_dir();
	write_chain(4);
	errno = EXDEV;
	chain = ckpt_chain_open("job", NULL, NULL);
	CHECK(chain && errno == EXDEV, "errno is left alone");
	for (i = 0; (image = ckpt_chain_image(chain, i)); i++) {
		snprintf(path, sizeof(path), "%s/job.%06u", dir, 4 - i);
		CHECK(!strcmp(image->path, path), "%s", image->path);
		CHECK(image->header->sequence == 3 - i);
		CHECK(!stat(path, &st) && (uint64_t)st.st_size == image->bytes);
		CHECK(image->pages_here == (i == 3 ? 16 : 1));
		CHECK(image->pages_zero == (i != 3));
		CHECK(image->pages_parent == (i == 3 ? 0 : 14));
		CHECK(sequence_of(image->fd) == 3 - i);
	}
	CHECK(i == 4 && errno == EXDEV);
	CHECK(!ckpt_chain_verify(chain) && !ckpt_chain_error(chain) && errno == EXDEV);
	ckpt_chain_close(chain);
	ckpt_chain_close(NULL);
	CHECK(count_fds() == fds);
	leave_dir();
	return true;
}

static bool full_image_is_a_chain(void)
{
	struct ckpt_chain *chain;

	enter_dir();
	write_image("image", 1, 0);
	chain = ckpt_chain_open("image", NULL, NULL);
	CHECK(chain && ckpt_chain_image(chain, 0) && !ckpt_chain_image(chain, 1));
	CHECK(!ckpt_chain_verify(chain));
	ckpt_chain_close(chain);
	CHECK(verify("missing") == ENOENT);
	leave_dir();
	return true;
}

static bool parents_are_found_by_uuid(void)
{
	const char *const dirs[] = { "nowhere", "more", NULL };

	enter_dir();
	write_chain(4);
	swap_names("job.000001", "job.000003");
	CHECK(!rename("job.000002", "something else"));
	write_image("job.000002", 2, 1);		/* of another chain */
	CHECK(!mkfifo("job.fifo", 0600));
	CHECK(verify("job") == 0, "%s", message);
	CHECK(!mkdir("more", 0700) && !rename("job.000001", "more/a"));
	CHECK(verify("job") == ENOENT);
	CHECK(verify_in("job", dirs) == 0, "%s", message);
	CHECK(!chdir("more") && verify("../job") == ENOENT && !chdir(".."));
	CHECK(!symlink(dir, "again") && verify("again/again/job") == ENOENT);
	leave_dir();
	return true;
}

static bool missing_parent_is_named(void)
{
	const char *const dirs[] = { "/nowhere", NULL };
	char uuid[CKPT_UUID_SIZE], text[LCR_UUID_TEXT_SIZE];

	enter_dir();
	write_chain(4);
	CHECK(!unlink("job.000002"));
	synth_uuid((uint8_t *)uuid, 1, 1);
	lcr_uuid_text((uint8_t *)uuid, text);
	CHECK(verify_in("job", dirs) == ENOENT);
	CHECK(strstr(message, text) && strstr(message, "job.000003") &&
	      strstr(message, "number 1 of its chain") && strstr(message, "2023-11-14") &&
	      strstr(message, dir) && strstr(message, "/nowhere"), "%s", message);

	write_image("job.000002", 2, 1);		/* a foreign one in its place */
	CHECK(verify("job") == ENOENT && strstr(message, text), "%s", message);

	write_image("job.000002", 1, 1);
	damage("job.000002", 100);			/* its header cannot be read */
	CHECK(verify("job") == ENOENT);
	CHECK(strstr(message, text) && strstr(message, "job.000002: record 0 (HEADER)"),
	      "%s", message);
	leave_dir();
	return true;
}

static bool damaged_parent_is_named(void)
{
	struct synth synth;
	struct stat st;

	enter_dir();
	write_chain(3);
	CHECK(!stat("job.000001", &st));
	damage("job.000001", 400);			/* metadata */
	CHECK(verify("job") == EBADMSG && strstr(message, "job.000001: record 1 (MM)"),
	      "%s", message);
	damage("job.000001", 400);
	damage("job.000001", 3 * PAGE + 5);		/* a page */
	CHECK(verify("job") == EBADMSG && strstr(message, "job.000001: record 2 (PAGES)"),
	      "%s", message);
	damage("job.000001", 3 * PAGE + 5);
	CHECK(verify("job") == 0);
	CHECK(!truncate("job.000001", st.st_size - 1));
	CHECK(verify("job") == EBADMSG && strstr(message, "job.000001"), "%s", message);
	CHECK(!truncate("job.000001", 0));
	CHECK(verify("job") == ENOENT);
	write_image("job.000001", 1, 0);
	CHECK(!truncate("job.000001", st.st_size + 8));
	CHECK(verify("job") == EBADMSG && strstr(message, "8 bytes follow"), "%s", message);
	write_image("job.000001", 1, 0);

	make_image(&synth, 1, 2);			/* UUID right, number wrong */
	synth_uuid(((struct ckpt_header *)(synth_rec(&synth, 0) + 1))->uuid, 1, 1);
	synth_uuid(((struct ckpt_trailer_end *)(synth.data + synth.size) - 1)->uuid, 1, 1);
	synth_fix_crc(&synth);
	write_synth(&synth, "job.000002");
	CHECK(verify("job") == EBADMSG && strstr(message, "should be number 1"), "%s", message);
	leave_dir();
	return true;
}

/* An increment of one run of the parent's pages, in object @objref */
static void write_increment(uint32_t objref, uint32_t mm, uint32_t chain, uint64_t addr,
			    uint32_t nr_pages)
{
	const struct ckpt_run run = {
		.addr = addr, .nr_pages = nr_pages, .kind = CKPT_RUN_PARENT,
	};
	struct synth synth;

	synth_link(&synth, 1, 1, mm);
	((struct ckpt_mm *)(synth_rec(&synth, 1) + 1))->id = chain;
	synth_pages(&synth, objref, &run, 1, 0);
	synth_trailer(&synth);
	write_synth(&synth, "job.000002");
}

static bool pages_missing_in_a_parent_are_noticed(void)
{
	struct ckpt_chain *chain;

	enter_dir();
	write_chain(2);
	write_increment(7, 7, 1, BASE, 16);
	CHECK(verify("job") == 0, "%s", message);
	write_increment(7, 7, 1, BASE + 4 * PAGE, 13);
	CHECK(verify("job") == EBADMSG && strstr(message, "0x10010000, which"), "%s", message);
	chain = ckpt_chain_open("job", NULL, NULL);
	CHECK(chain && ckpt_chain_merge_file(chain, "out") && errno == EBADMSG);
	CHECK(strstr(ckpt_chain_error(chain), "0x10010000, which"));
	CHECK(!exists("out"));
	ckpt_chain_close(chain);
	write_increment(7, 7, 1, BASE - PAGE, 2);
	CHECK(verify("job") == EBADMSG && strstr(message, "0xffff000, which"), "%s", message);
	write_increment(7, 7, 2, BASE, 1);		/* another address space */
	CHECK(verify("job") == EBADMSG && strstr(message, "no such object"),
	      "%s", message);
	chain = ckpt_chain_open("job", NULL, NULL);
	CHECK(chain && ckpt_chain_merge_file(chain, "out") && errno == EBADMSG);
	ckpt_chain_close(chain);
	write_increment(7, 7, 0, BASE, 1);		/* one without an ID */
	CHECK(verify("job") == EBADMSG && strstr(message, "no such object"));
	write_increment(8, 7, 1, BASE, 1);		/* not an address space */
	CHECK(verify("job") == EBADMSG && strstr(message, "object 8"), "%s", message);
	leave_dir();
	return true;
}

/* ---- merge ---- */

#define MAX_LENGTH	7
#define SPACE		96	/* pages in an address space */
/* Two address spaces, shared memory that is tracked and some that is not */
#define OBJECTS		4

/* A chain with everything in it, in random order */
struct random_chain {
	unsigned int length;
	struct synth images[MAX_LENGTH];
};

static uint32_t number(uint32_t limit)
{
	return (uint32_t)random() % limit;
}

/* The object's number: another one in each image */
static uint32_t objref_of(unsigned int image, unsigned int object)
{
	return 10 + (object + image) % OBJECTS;
}

/* Put pages of these kinds, 0 being none, in runs and records of any size. */
static void random_pages(struct synth *synth, uint32_t objref, const uint8_t *kinds,
			 uint8_t fill)
{
	struct ckpt_run runs[SPACE];
	unsigned int page, nr_runs = 0;

	for (page = 0; page < SPACE; page++) {
		struct ckpt_run *last = nr_runs ? &runs[nr_runs - 1] : NULL;

		if (nr_runs && !number(40)) {
			synth_pages(synth, objref, runs, nr_runs, fill);
			nr_runs = 0;
			last = NULL;
		}
		if (!kinds[page])
			continue;
		if (last && last->kind == kinds[page] && number(8) &&
		    last->addr + last->nr_pages * PAGE == BASE + page * PAGE) {
			last->nr_pages++;
			continue;
		}
		runs[nr_runs++] = (struct ckpt_run){
			.addr = BASE + page * PAGE, .nr_pages = 1, .kind = kinds[page],
		};
	}
	if (nr_runs)
		synth_pages(synth, objref, runs, nr_runs, fill);
}

static void make_random_image(struct random_chain *chain, unsigned int i,
			      uint8_t present[OBJECTS][SPACE])
{
	struct synth *synth = &chain->images[i];
	const struct ckpt_mm second = { .id = 77 };
	/* IDs of address spaces and of shared memory have nothing to do with each other. */
	const struct ckpt_shmem tracked = { .size = SPACE * PAGE, .id = 77 };
	const struct ckpt_shmem shmem = { .size = SPACE * PAGE };
	unsigned int object, page, k;
	uint8_t kinds[SPACE];
	uint32_t run = 0;

	synth_link(synth, 5, i, objref_of(i, 0));
	synth_record(synth, CKPT_REC_MM, objref_of(i, 1), &second, sizeof(second));
	synth_record(synth, CKPT_REC_SHMEM, objref_of(i, 2), &tracked, sizeof(tracked));
	synth_record(synth, CKPT_REC_SHMEM, objref_of(i, 3), &shmem, sizeof(shmem));
	for (k = 0; k < OBJECTS; k++) {
		object = (k + i * 3) % OBJECTS;		/* in any order */
		for (page = 0; page < SPACE; page++) {
			/* Neighbours are often of the same kind. */
			if (!page || !number(4))
				run = number(8);
			kinds[page] = run < 3 ? CKPT_RUN_PARENT : run < 5 ? CKPT_RUN_DATA :
				      run < 7 ? CKPT_RUN_ZERO : 0;
			if (kinds[page] == CKPT_RUN_PARENT &&
			    (!i || object == 3 || !present[object][page]))
				kinds[page] = number(2) ? CKPT_RUN_DATA : 0;
			present[object][page] = kinds[page];
		}
		random_pages(synth, objref_of(i, object), kinds, i + 1);
	}
	synth_trailer(synth);
}

static void make_random_chain(struct random_chain *chain)
{
	uint8_t present[OBJECTS][SPACE] = { };
	unsigned int i;

	chain->length = 1 + number(MAX_LENGTH);
	for (i = 0; i < chain->length; i++)
		make_random_image(chain, i, present);
}

/*
 * What image @i says of a page, found by going through all of it. Returns its kind,
 * 0 if there is none, and its contents.
 */
static unsigned int naive_page(const struct synth *synth, uint32_t objref, uint64_t addr,
			       const uint8_t **contents)
{
	unsigned int r, n;

	for (n = 0; n < synth->nr_records; n++) {
		const struct ckpt_rec *rec = (void *)(synth->data + synth->start[n]);
		const struct ckpt_pages *pages = (void *)(rec + 1);
		const uint8_t *data = (const uint8_t *)pages + pages->data_offset;

		if (rec->type != CKPT_REC_PAGES)
			continue;
		for (r = 0; r < pages->nr_runs; r++) {
			const struct ckpt_run *run = &pages->runs[r];

			if (rec->objref == objref && addr >= run->addr &&
			    addr < run->addr + run->nr_pages * PAGE) {
				*contents = data + (addr - run->addr);
				return run->kind;
			}
			if (run->kind == CKPT_RUN_DATA)
				data += run->nr_pages * PAGE;
		}
	}
	return 0;
}

/* What the chain as a whole says of a page */
static unsigned int naive_resolve(const struct random_chain *chain, unsigned int object,
				  uint64_t addr, const uint8_t **contents)
{
	unsigned int i = chain->length, kind;

	do {
		i--;
		kind = naive_page(&chain->images[i], objref_of(i, object), addr, contents);
	} while (kind == CKPT_RUN_PARENT);
	return kind;
}

/* Are the pages in the merged image those of the chain, all of them, and once? */
static bool pages_are_right(const struct random_chain *chain, struct ckpt_image *image)
{
	const unsigned int last = chain->length - 1;
	bool seen[OBJECTS][SPACE] = { };
	const struct ckpt_page_run *run;
	const struct ckpt_record *record;
	const uint8_t *contents;
	unsigned int object, page, i, kind;
	int ret;

	while ((ret = ckpt_image_next(image, &record)) > 0) {
		for (object = 0; object < OBJECTS; object++)
			if (objref_of(last, object) == record->objref)
				break;
		while (record->type == CKPT_REC_PAGES &&
		       (ret = ckpt_image_next_run(image, &run)) > 0) {
			CHECK(object < OBJECTS);
			for (i = 0; i < run->nr_pages; i++) {
				page = (run->addr - BASE) / PAGE + i;
				CHECK(page < SPACE && !seen[object][page]);
				seen[object][page] = true;
				kind = naive_resolve(chain, object, run->addr + i * PAGE,
						     &contents);
				CHECK(kind == run->kind);
				CHECK(kind != CKPT_RUN_DATA ||
				      !memcmp((const char *)run->data + i * PAGE, contents,
					      PAGE), "object %u page %u", object, page);
			}
		}
	}
	CHECK(ret == 0, "%s", ckpt_image_error(image));
	for (object = 0; object < OBJECTS; object++)
		for (page = 0; page < SPACE; page++)
			CHECK(seen[object][page] ||
			      !naive_resolve(chain, object, BASE + page * PAGE, &contents));
	return true;
}

/* Are its metadata those of the newest image, but for the place in the chain? */
static bool metadata_are_right(const struct random_chain *chain, const char *name)
{
	const struct synth *newest = &chain->images[chain->length - 1];
	const size_t begin = newest->start[1], end = newest->start[5];
	struct ckpt_header header, old;
	uint8_t *bytes = malloc(end);
	int fd = open(name, O_RDONLY);

	CHECK(fd >= 0 && bytes && pread(fd, bytes, end, 0) == (ssize_t)end);
	CHECK(!memcmp(bytes + begin, newest->data + begin, end - begin));
	memcpy(&header, bytes + sizeof(struct ckpt_rec), sizeof(header));
	memcpy(&old, newest->data + sizeof(struct ckpt_rec), sizeof(old));
	CHECK(!header.sequence && memcmp(header.uuid, old.uuid, sizeof(old.uuid)));
	CHECK((header.uuid[6] & 0xf0) == 0x40 && (header.uuid[8] & 0xc0) == 0x80);
	old.sequence = 0;
	memset(old.parent_uuid, 0, sizeof(old.parent_uuid));
	memcpy(old.uuid, header.uuid, sizeof(old.uuid));
	CHECK(!memcmp(&header, &old, sizeof(old)));
	close(fd);
	free(bytes);
	return true;
}

static bool merge_is_right(struct random_chain *chain)
{
	struct ckpt_chain *opened;
	struct ckpt_image *image;
	char name[16] = "";
	unsigned int i;

	for (i = 0; i < chain->length; i++) {
		struct synth copy = chain->images[i];

		copy.data = malloc(copy.size);
		memcpy(copy.data, chain->images[i].data, copy.size);
		snprintf(name, sizeof(name), "%u", i);
		write_synth(&copy, name);
	}
	CHECK(verify(name) == 0, "%s", message);
	opened = ckpt_chain_open(name, NULL, NULL);
	CHECK(opened);
	CHECK(!ckpt_chain_merge_file(opened, "merged"), "%s", ckpt_chain_error(opened));
	ckpt_chain_close(opened);
	CHECK(verify("merged") == 0, "%s", message);
	CHECK(metadata_are_right(chain, "merged"));
	image = ckpt_image_open("merged", 0, NULL);
	CHECK(image && pages_are_right(chain, image));
	ckpt_image_close(image);
	return true;
}

static bool merge_equals_naive_resolution(void)
{
	struct random_chain chain;
	unsigned int round, i;

	srandom(1);
	for (round = 0; round < 200; round++) {
		enter_dir();
		make_random_chain(&chain);
		CHECK(merge_is_right(&chain), "chain %u", round);
		for (i = 0; i < chain.length; i++)
			synth_free(&chain.images[i]);
		leave_dir();
	}
	return true;
}

/**
 * struct space - an address space in an image of a tree
 * @id:		ckpt_mm.id
 * @kind:	of its page
 * @fill:	with these contents
 */
struct space {
	uint64_t id;
	uint16_t kind;
	uint8_t fill;
};

/* Image @sequence of processes with one page each, at the same address; objects 11 ... */
static void write_tree(const char *name, uint64_t sequence, const struct space *spaces,
		       unsigned int count)
{
	struct synth synth;
	unsigned int i;

	synth_init(&synth);
	synth_uuid(synth.header.uuid, 5, sequence);
	if (sequence)
		synth_uuid(synth.header.parent_uuid, 5, sequence - 1);
	synth.header.sequence = sequence;
	synth_header(&synth);
	for (i = 0; i < count; i++) {
		const struct ckpt_process process = {
			.pid = 100 + spaces[i].id, .mm = 11 + i, .parent = i ? 1 : 0,
		};
		const struct ckpt_mm mm = { .id = spaces[i].id };

		synth_record(&synth, CKPT_REC_PROCESS, 1 + i, &process, sizeof(process));
		synth_record(&synth, CKPT_REC_MM, 11 + i, &mm, sizeof(mm));
	}
	for (i = 0; i < count; i++) {
		const struct ckpt_run run = {
			.addr = BASE, .nr_pages = 1, .kind = spaces[i].kind,
		};

		synth_pages(&synth, 11 + i, &run, 1, spaces[i].fill);
	}
	synth_trailer(&synth);
	write_synth(&synth, name);
}

/* The byte that tells the contents of the page of the object; 0 if it is not there */
static unsigned int page_of(const char *name, uint32_t objref)
{
	struct ckpt_image *image = ckpt_image_open(name, 0, NULL);
	const struct ckpt_page_run *run;
	const struct ckpt_record *record;
	unsigned int fill = 0;

	while (image && ckpt_image_next(image, &record) > 0)
		if (record->type == CKPT_REC_PAGES && record->objref == objref &&
		    ckpt_image_next_run(image, &run) > 0 && run->data)
			fill = ((const uint8_t *)run->data)[1];
	ckpt_image_close(image);
	return fill;
}

static bool processes_come_and_go(void)
{
	const struct space first[] = {
		{ 1, CKPT_RUN_DATA, 0xa0 }, { 2, CKPT_RUN_DATA, 0xb0 },
		{ 3, CKPT_RUN_DATA, 0xc0 },
	};
	/* The second has ended; the fourth is new, and has its number. */
	const struct space second[] = {
		{ 1, CKPT_RUN_PARENT, 0 }, { 4, CKPT_RUN_DATA, 0xd1 },
		{ 3, CKPT_RUN_DATA, 0xc1 },
	};
	const struct space third[] = {
		{ 1, CKPT_RUN_PARENT, 0 }, { 3, CKPT_RUN_PARENT, 0 },
		{ 5, CKPT_RUN_DATA, 0xe2 }, { 4, CKPT_RUN_PARENT, 0 },
	};
	struct space wrong[] = { { 1, CKPT_RUN_PARENT, 0 }, { 2, CKPT_RUN_PARENT, 0 } };
	struct ckpt_chain *chain;

	enter_dir();
	write_tree("0", 0, first, 3);
	write_tree("1", 1, second, 3);
	write_tree("2", 2, third, 4);
	CHECK(verify("2") == 0, "%s", message);
	chain = ckpt_chain_open("2", NULL, NULL);
	CHECK(chain && !ckpt_chain_merge_file(chain, "merged"));
	ckpt_chain_close(chain);
	CHECK(verify("merged") == 0, "%s", message);
	CHECK(page_of("merged", 11) == 0xa0);
	CHECK(page_of("merged", 12) == 0xc1);
	CHECK(page_of("merged", 13) == 0xe2);
	CHECK(page_of("merged", 14) == 0xd1);

	/* One that is not in the parent cannot leave a page to it. */
	write_tree("2", 2, wrong, 2);
	CHECK(verify("2") == EBADMSG && strstr(message, "which has no such object"));
	chain = ckpt_chain_open("2", NULL, NULL);
	CHECK(chain && ckpt_chain_merge_file(chain, "merged") && errno == EBADMSG);
	ckpt_chain_close(chain);
	leave_dir();
	return true;
}

/* More pages, runs and pages in a run than a record may have */
static bool large_images_are_merged(void)
{
	const unsigned int nr_runs = CKPT_PAGES_MAX_RUNS;
	struct ckpt_run *runs = calloc(nr_runs, sizeof(*runs));
	struct ckpt_run data[] = {
		{ .addr = BASE / 2, .nr_pages = 512, .kind = CKPT_RUN_DATA },
		{ .addr = BASE / 2 + 512 * PAGE, .nr_pages = 400, .kind = CKPT_RUN_DATA },
	};
	struct ckpt_run huge = { .addr = BASE * 16, .nr_pages = UINT32_MAX, .kind = CKPT_RUN_ZERO };
	const struct ckpt_chain_image *image;
	struct ckpt_chain *chain;
	struct synth synth;
	unsigned int i, k;

	enter_dir();
	CHECK(runs);
	for (k = 0; k < 2; k++) {
		synth_link(&synth, 1, k, 5);
		if (k)
			data[1].kind = CKPT_RUN_PARENT;
		synth_pages(&synth, 5, data, 2, 3);
		for (i = 0; i < nr_runs; i++)
			runs[i] = (struct ckpt_run){
				.addr = BASE + 2 * i * PAGE, .nr_pages = 1,
				.kind = k ? CKPT_RUN_PARENT : CKPT_RUN_ZERO,
			};
		synth_pages(&synth, 5, runs, nr_runs, 0);
		runs[0].addr = runs[nr_runs - 1].addr + 2 * PAGE;
		synth_pages(&synth, 5, runs, 1, 0);
		synth_pages(&synth, 5, &huge, 1, 0);
		synth_trailer(&synth);
		write_synth(&synth, k ? "b" : "a");
	}
	free(runs);
	chain = ckpt_chain_open("b", NULL, NULL);
	CHECK(chain && !ckpt_chain_merge_file(chain, "c"));
	ckpt_chain_close(chain);
	CHECK(verify("c") == 0, "%s", message);
	chain = ckpt_chain_open("c", NULL, NULL);
	image = ckpt_chain_image(chain, 0);
	CHECK(image->pages_here == 912 && !image->pages_parent);
	CHECK(image->pages_zero == nr_runs + 1ULL + UINT32_MAX);
	ckpt_chain_close(chain);
	leave_dir();
	return true;
}

static bool merge_of_damaged_chain_leaves_files_alone(void)
{
	struct ckpt_chain *chain;
	struct stat st;

	enter_dir();
	write_chain(3);
	chain = ckpt_chain_open("job", NULL, NULL);
	CHECK(chain && !ckpt_chain_merge_file(chain, "out") && !stat("out", &st));
	CHECK((st.st_mode & 07777) == 0600);
	damage("job.000001", 4 * PAGE + 5);
	CHECK(ckpt_chain_merge_file(chain, "out") == -1 && errno == EBADMSG);
	CHECK(strstr(ckpt_chain_error(chain), "job.000001: pages at address 0x10000000"),
	      "%s", ckpt_chain_error(chain));
	CHECK(verify("out") == 0, "the old one is still there");
	CHECK(ckpt_chain_merge_file(chain, "/nowhere/out") == -1 && errno == ENOENT);
	CHECK(!ckpt_chain_error(chain), "not because of the chain");
	damage("job.000001", 4 * PAGE + 5);
	damage("job.000002", 650);			/* meanwhile */
	CHECK(ckpt_chain_merge_file(chain, "out") == -1 && errno == EBADMSG);
	CHECK(strstr(ckpt_chain_error(chain), "changed meanwhile"));
	ckpt_chain_close(chain);
	leave_dir();
	return true;
}

/* Values that are more likely to hurt than others */
static uint64_t evil(void)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 5, 77, 512, 513, BASE, BASE + PAGE, BASE + 50 * PAGE, 1ULL << 32,
		1ULL << 63, -1ULL, -PAGE,
	};

	return values[number(sizeof(values) / sizeof(values[0]))];
}

/* Change something, with the checksums made right again, but not in pages. */
static void forge(struct synth *synth)
{
	struct ckpt_rec *rec = synth_rec(synth, number(synth->nr_records));
	size_t length = rec->length;
	uint64_t value = evil();

	if (rec->type == CKPT_REC_PAGES)
		length = ((struct ckpt_pages *)(rec + 1))->nr_runs * sizeof(struct ckpt_run) +
			 sizeof(struct ckpt_pages);
	if (number(2))
		memcpy((char *)(rec + 1) + number(length / 8) * 8, &value, 8);
	else
		memcpy((char *)(rec + 1) + number(length / 4) * 4, &value, 4);
	synth_fix_crc(synth);
}

/*
 * Whatever a chain says, nothing crashes; and one that passes as right can be merged,
 * to an image that passes as well.
 */
static bool forged_chains_do_no_harm(void)
{
	unsigned int round, i, good = 0, bad = 0;
	struct random_chain chain;
	char name[16] = "";

	srandom(2);
	for (round = 0; round < 1500; round++) {
		struct ckpt_chain *opened;

		if (round % 50 == 0)
			enter_dir();
		make_random_chain(&chain);
		forge(&chain.images[number(chain.length)]);
		for (i = 0; i < chain.length; i++) {
			snprintf(name, sizeof(name), "%u", i);
			write_synth(&chain.images[i], name);
		}
		opened = ckpt_chain_open(name, NULL, NULL);
		if (opened) {
			bool right = !ckpt_chain_verify(opened);
			int ret = ckpt_chain_merge_file(opened, "merged");

			CHECK(!right || (!ret && !verify("merged")), "round %u: %s", round,
			      ckpt_chain_error(opened));
			right ? good++ : bad++;
		}
		ckpt_chain_close(opened);
		for (i = 0; i < MAX_LENGTH; i++) {
			snprintf(name, sizeof(name), "%u", i);
			unlink(name);
		}
		if (round % 50 == 49)
			leave_dir();
	}
	CHECK(good > 100 && bad > 3, "%u good, %u bad", good, bad);
	return true;
}

/* ---- restart ---- */

static bool restart_finds_parents(void)
{
	struct ckpt_restart_options opts = {
		.size = sizeof(opts), .report = ckpt_report_new(0),
	};
	const char *const dirs[] = { "more", NULL };
	int fds = count_fds();

	enter_dir();
	write_chain(4);
	errno = EXDEV;
	CHECK(ckpt_restart_file("job", &opts) == 4711 && errno == EXDEV);
	CHECK(restarted.sequence == 3 && restarted.nr_parents == 3);
	CHECK(restarted.parents[0] == 2 && restarted.parents[1] == 1 &&
	      restarted.parents[2] == 0);
	CHECK(ckpt_restart_file("job.000001", NULL) == 4711 && !restarted.nr_parents);

	CHECK(!mkdir("more", 0700) && !rename("job.000001", "more/x"));
	restarted.called = false;
	CHECK(ckpt_restart_file("job", &opts) == -1 && errno == ENOENT);
	CHECK(strstr(ckpt_report_text(opts.report), "is missing, the parent of"));
	CHECK(!restarted.called);
	opts.parent_dirs = dirs;
	CHECK(ckpt_restart_file("job", &opts) == 4711 && restarted.nr_parents == 3);
	CHECK(!strcmp(ckpt_report_text(opts.report), ""));
	ckpt_report_free(opts.report);
	CHECK(count_fds() == fds);
	leave_dir();
	return true;
}

static bool parents_given_are_checked(void)
{
	struct ckpt_restart_options opts = {
		.size = sizeof(opts), .report = ckpt_report_new(0),
	};
	int i, fd, fds[3];

	enter_dir();
	write_chain(3);
	write_image("foreign", 2, 0);
	fd = open("job", O_RDONLY);
	fds[0] = open("job.000002", O_RDONLY);
	fds[1] = open("job.000001", O_RDONLY);
	fds[2] = open("foreign", O_RDONLY);
	opts.parent_fds = fds;
	opts.nr_parent_fds = 2;
	CHECK(ckpt_restart(fd, &opts) == 4711 && restarted.parents[0] == 1 &&
	      restarted.parents[1] == 0);
	CHECK(ckpt_restart_file("job", &opts) == 4711 && restarted.nr_parents == 2);
	opts.nr_parent_fds = 3;
	CHECK(ckpt_restart(fd, &opts) == -1 && errno == EINVAL);
	CHECK(strstr(ckpt_report_text(opts.report), "parent 3"));
	opts.nr_parent_fds = 1;
	CHECK(ckpt_restart(fd, &opts) == -1 && errno == EINVAL);
	CHECK(strstr(ckpt_report_text(opts.report), "is missing, the parent of the last"));
	opts.nr_parent_fds = 2;
	fds[1] = fds[2];
	CHECK(ckpt_restart(fd, &opts) == -1 && errno == ESTALE);
	CHECK(strstr(ckpt_report_text(opts.report), "parent 2 (descriptor"));
	fds[1] = 63;
	CHECK(ckpt_restart(fd, &opts) == -1 && errno == EBADF);
	close(fd);
	fds[1] = open("job.000001", O_RDONLY);
	for (i = 0; i < 3; i++)
		close(fds[i]);
	ckpt_report_free(opts.report);
	leave_dir();
	return true;
}

/* ---- series ---- */

static bool numbers_are_those_of_members(void)
{
	CHECK(lcr_series_number("job", "job.000001") == 1);
	CHECK(lcr_series_number("job", "job.1234567") == 1234567);
	CHECK(!lcr_series_number("job", "job.000000") && !lcr_series_number("job", "job."));
	CHECK(!lcr_series_number("job", "job.00001") && !lcr_series_number("job", "job.0000001"));
	CHECK(!lcr_series_number("job", "job.00001x") && !lcr_series_number("job", "jo.000001"));
	CHECK(!lcr_series_number("job", "jobs.000001") && !lcr_series_number("job", "job"));
	CHECK(!lcr_series_number("job", "job.99999999999999999999999"));
	return true;
}

/* Save the next image of job; with @keep, and remove what is not needed. */
static int save_next(uint32_t chain, uint64_t sequence, size_t keep)
{
	struct lcr_series series;
	struct lcr_save save;
	struct synth synth;
	size_t removed;
	int ret;

	if (lcr_series_open(&series, "job"))
		return -1;
	ret = lcr_save_begin_next(&save, &series);
	if (!ret) {
		make_image(&synth, chain, sequence);
		if (write(save.fd, synth.data, synth.size) != (ssize_t)synth.size)
			abort();
		synth_free(&synth);
		ret = lcr_save_commit(&save);
	}
	if (!ret && keep)
		ret = lcr_series_retain(&series, keep, &removed);
	lcr_series_close(&series);
	return ret;
}

static bool link_is(const char *expected)
{
	char target[64] = "";

	if (readlink("job", target, sizeof(target) - 1) < 0)
		return false;
	return !strcmp(target, expected);
}

static bool series_goes_on(void)
{
	int fds = count_fds();
	struct stat st;

	enter_dir();
	CHECK(!save_next(1, 0, 0) && link_is("job.000001"));
	CHECK(!stat("job", &st) && (st.st_mode & 07777) == 0600 && st.st_nlink == 1);
	CHECK(!save_next(1, 1, 0) && link_is("job.000002"));
	CHECK(verify("job") == 0);
	CHECK(!unlink("job.000002"));			/* not given again */
	CHECK(!save_next(2, 0, 0) && link_is("job.000003"));
	write_image("job.999999", 3, 0);		/* one that job does not know of */
	CHECK(!save_next(2, 1, 0) && link_is("job.1000000") && verify("job") == 0);
	CHECK(!save_next(2, 2, 0) && link_is("job.1000001") && verify("job") == 0);
	CHECK(count_fds() == fds);
	leave_dir();
	return true;
}

static bool only_links_to_members_are_moved(void)
{
	struct lcr_series series, other;
	struct lcr_save save, second;

	enter_dir();
	write_image("job", 1, 0);
	CHECK(save_next(1, 1, 0) == -1 && errno == EEXIST);
	CHECK(!unlink("job") && !symlink("elsewhere", "job"));
	CHECK(save_next(1, 1, 0) == -1 && errno == EEXIST);
	CHECK(!unlink("job") && !symlink("./job.000001", "job"));
	CHECK(save_next(1, 1, 0) == -1 && errno == EEXIST);
	CHECK(!unlink("job") && !mkdir("job", 0700));
	CHECK(save_next(1, 1, 0) == -1 && errno == EEXIST);
	CHECK(!rmdir("job"));

	/* Of two that save at a time one fails, and has nothing overwritten. */
	CHECK(!lcr_series_open(&series, "job") && !lcr_series_open(&other, "job"));
	CHECK(!lcr_save_begin_next(&save, &series));
	CHECK(!lcr_save_begin_next(&second, &other));
	CHECK(write(save.fd, "first", 5) == 5 && write(second.fd, "second", 6) == 6);
	CHECK(!lcr_save_commit(&save));
	CHECK(lcr_save_commit(&second) == -1 && errno == EEXIST);
	CHECK(link_is("job.000001") && !stat("job", &save.dir_stat) &&
	      save.dir_stat.st_size == 5);
	lcr_series_close(&series);
	lcr_series_close(&other);
	leave_dir();
	return true;
}

static unsigned int count_members(void)
{
	struct dirent *entry;
	DIR *stream = opendir(".");
	unsigned int count = 0;

	while ((entry = readdir(stream)))
		count += lcr_series_number("job", entry->d_name) != 0;
	closedir(stream);
	return count;
}

/* Three chains of three images */
static void write_three_chains(void)
{
	char name[16] = "";
	unsigned int i;

	for (i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "job.%06u", i + 1);
		write_image(name, 1 + i / 3, i % 3);
	}
	if (symlink(name, "job"))
		abort();
}

static int retain(size_t keep)
{
	struct lcr_series series;
	size_t removed;
	int ret;

	if (lcr_series_open(&series, "job"))
		return -1;
	ret = lcr_series_retain(&series, keep, &removed);
	lcr_series_close(&series);
	return ret ? -1 : (int)removed;
}

static bool needed_images_are_kept(void)
{
	enter_dir();
	write_three_chains();
	write_image("other.000001", 9, 0);
	write_image("job.old", 9, 0);
	CHECK(retain(9) == 0 && count_members() == 9);
	CHECK(retain(7) == 0 && count_members() == 9, "the first chain is still needed");
	CHECK(retain(6) == 3 && count_members() == 6);
	CHECK(retain(4) == 0 && count_members() == 6, "the parents of the fourth");
	CHECK(verify("job") == 0 && verify("job.000004") == 0);
	CHECK(retain(1) == 3 && count_members() == 3 && verify("job") == 0);
	CHECK(exists("other.000001") && exists("job.old"));
	leave_dir();

	/* Only that of the middle which is needed */
	enter_dir();
	write_three_chains();
	CHECK(!unlink("job") && !symlink("job.000008", "job"));
	CHECK(!unlink("job.000009"));
	CHECK(retain(3) == 3 && count_members() == 5 && exists("job.000006"));
	leave_dir();
	return true;
}

static bool what_job_points_to_is_kept(void)
{
	enter_dir();
	write_three_chains();
	CHECK(!unlink("job") && !symlink("job.000005", "job"));
	CHECK(retain(1) == 4 && count_members() == 5, "000004, 5 and the newest chain");
	CHECK(verify("job") == 0 && verify("job.000009") == 0);
	leave_dir();
	return true;
}

static bool what_cannot_be_restarted_does_not_count(void)
{
	struct stat st;

	enter_dir();
	write_three_chains();
	CHECK(!unlink("job.000007"));			/* of the newest chain */
	CHECK(retain(1) == 3 && count_members() == 5);
	CHECK(verify("job.000006") == 0, "the newest that can be");
	leave_dir();

	enter_dir();
	write_three_chains();
	CHECK(!truncate("job.000002", 10));
	CHECK(retain(1) == 5 && exists("job.000002"), "what cannot be read is not ours");
	CHECK(!unlink("job"));
	CHECK(retain(1) == -1 && errno == ENOENT && verify("job.000009") == 0);
	leave_dir();

	enter_dir();
	write_three_chains();
	CHECK(!stat("job.000008", &st) && !truncate("job.000008", st.st_size - 8));
	CHECK(retain(2) == 3 && count_members() == 6, "the newest two are 7 and 6");
	CHECK(!stat("job.000007", &st) && !truncate("job.000007", st.st_size + 8));
	CHECK(retain(1) == 0 && verify("job.000006") == 0, "only 6 and before");
	leave_dir();
	return true;
}

/*
 * In a child that crashes at call @at: save an image, full or not, keep @keep.
 * Returns whether it crashed.
 */
static bool crashes(unsigned int at, bool full, size_t keep)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		crash_at = at;
		calls = 0;
		_exit(save_next(full ? 4 : 3, full ? 0 : 3, keep) != 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    (WEXITSTATUS(status) && WEXITSTATUS(status) != CRASHED))
		abort();
	return WEXITSTATUS(status) == CRASHED;
}

static bool no_image_lacks_its_parent(void)
{
	struct dirent *entry;
	DIR *stream = opendir(".");

	while ((entry = readdir(stream)))
		if (lcr_series_number("job", entry->d_name))
			CHECK(verify(entry->d_name) == 0, "%s: %s", entry->d_name, message);
	closedir(stream);
	return true;
}

static bool crash_leaves_a_chain(void)
{
	unsigned int at, full;
	bool crashed;
	size_t keep;

	for (full = 0; full < 2; full++) {
		for (keep = 1; keep < 6; keep++) {
			for (at = 1, crashed = true; crashed; at++) {
				enter_dir();
				write_three_chains();
				crashed = crashes(at, full, keep);
				CHECK(verify("job") == 0, "%s", message);
				CHECK(no_image_lacks_its_parent());
				CHECK(count_members() >= keep);
				/* The next one goes on, and cleans up. */
				CHECK(!save_next(5, 0, keep) && verify("job") == 0);
				CHECK(no_image_lacks_its_parent());
				CHECK(retain(1) >= 0 && count_members() == 1);
				leave_dir();
			}
			CHECK(at > 5, "there was something to crash at");
		}
	}
	return true;
}

static bool each_step_is_on_stable_storage_before_the_next(void)
{
	unsigned int i;

	enter_dir();
	for (i = 0; i < 12; i++) {
		dir_changed = false;
		image_synced = false;
		too_early = 0;
		CHECK(!save_next(1 + i / 3, i % 3, 2));
		CHECK(!too_early && !dir_changed);
	}
	leave_dir();
	return true;
}

int main(void)
{
	static const struct test tests[] = {
		{ "a chain is found and listed, newest first",
		  chain_is_listed },
		{ "a full image is a chain of its own",
		  full_image_is_a_chain },
		{ "parents are found by UUID, whatever their names",
		  parents_are_found_by_uuid },
		{ "a missing or foreign parent is named, and where it was looked for",
		  missing_parent_is_named },
		{ "a damaged parent is named",
		  damaged_parent_is_named },
		{ "pages that a parent lacks are noticed",
		  pages_missing_in_a_parent_are_noticed },
		{ "200 random chains merge to what page-by-page resolution gives",
		  merge_equals_naive_resolution },
		{ "processes that appear and vanish between images are merged",
		  processes_come_and_go },
		{ "large images are merged within the limits of the format",
		  large_images_are_merged },
		{ "a merge that fails leaves no file, and says why",
		  merge_of_damaged_chain_leaves_files_alone },
		{ "forged chains do no harm, and what is verified can be merged",
		  forged_chains_do_no_harm },
		{ "a restart finds the parents of an increment",
		  restart_finds_parents },
		{ "parents that are given are checked",
		  parents_given_are_checked },
		{ "only FILE.NNNNNN has a number",
		  numbers_are_those_of_members },
		{ "numbers of a series increase and are not given again",
		  series_goes_on },
		{ "nothing but a link to a member is moved, and no image replaced",
		  only_links_to_members_are_moved },
		{ "images that are needed are kept, others removed",
		  needed_images_are_kept },
		{ "what FILE points to is kept, though it is old",
		  what_job_points_to_is_kept },
		{ "images that cannot be restarted do not count",
		  what_cannot_be_restarted_does_not_count },
		{ "after a crash at any step FILE can be restarted",
		  crash_leaves_a_chain },
		{ "each step is on stable storage before the next begins",
		  each_step_is_on_stable_storage_before_the_next },
	};

	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
