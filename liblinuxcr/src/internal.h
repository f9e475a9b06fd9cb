/* SPDX-License-Identifier: LGPL-2.1 */
/* What the files of liblinuxcr, and the tool ckpt, share beyond liblinuxcr.h. */
#ifndef LCR_INTERNAL_H
#define LCR_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <linux/checkpoint.h>
#include <linux/checkpoint_image.h>

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

/* The library's own words in place of the kernel's */
void lcr_report_set(struct ckpt_report *report, const char *text);

/* checkpoint.c */

/*
 * Copy an option structure, which begins with its size, into the one of @size
 * bytes this library knows. The first published one had @size_ver0 bytes.
 */
int lcr_copy_options(void *dst, size_t size, size_t size_ver0, const void *src);

/* Copy the caller's options, which may be NULL, and empty their report. */
int lcr_get_options(struct ckpt_options *opts, const struct ckpt_options *user);

/* auto.c */

#define LCR_NR_TRACKERS	4

/* By CKPT_TRACKER_*; CKPT_TRACKER_OFF is "auto" */
extern const char * const lcr_tracker_names[LCR_NR_TRACKERS];

/* The reverse; -1 for another name */
int lcr_tracker(const char *name);

/* prctl(PR_CHECKPOINT); ENOSYS where the kernel has none */
int lcr_prctl(unsigned long operation, unsigned long arg, unsigned long arg2);

/* What is written to /proc/PID/checkpoint for these options; its length, or -1 */
int lcr_auto_text(const struct ckpt_auto_options *opts, char *text, size_t size);

/* What /proc/PID/checkpoint says; strings of @status are in @text, which changes. */
void lcr_auto_parse(char *text, struct ckpt_auto_status *status);

/* "waiting" for CKPT_AUTO_WAITING ... */
const char *lcr_auto_state(uint32_t state);

/* Are these CKPT_REQUEST_* that go together? */
static inline bool lcr_request_flags_valid(unsigned int flags)
{
	return !(flags & ~CHECKPOINT_SIGNAL_FLAGS) &&
	       (~flags & (CKPT_REQUEST_FULL | CKPT_REQUEST_INCREMENTAL)) &&
	       (~flags & (CKPT_REQUEST_TREE | CKPT_REQUEST_SINGLE));
}

/* pages.c */

/**
 * struct lcr_place - where a PAGES record is
 * @offset:	from the beginning of the image
 * @first:	address of its first page
 * @head:	bytes of its payload before the pages
 * @objref:	whose pages it has
 * @crc:	its checksum, which covers all but the pages
 */
struct lcr_place {
	uint64_t offset;
	uint64_t first;
	uint64_t head;
	uint32_t objref;
	uint32_t crc;
};

/**
 * struct lcr_object - an address space or a shared memory object
 * @id:		ckpt_mm.id or ckpt_shmem.id, by which it is found in other images of
 *		the chain; 0 if it is in no chain
 * @type:	CKPT_REC_MM or CKPT_REC_SHMEM
 * @objref:	its number in this one
 */
struct lcr_object {
	uint64_t id;
	uint32_t type;
	uint32_t objref;
};

/**
 * struct lcr_page_table - where the pages of an image are
 * @places:	the PAGES records, by object and address
 * @nr_places:	their number
 * @objects:	what the pages belong to
 * @nr_objects:	their number
 */
struct lcr_page_table {
	struct lcr_place *places;
	size_t nr_places;
	struct lcr_object *objects;
	size_t nr_objects;
};

/**
 * struct lcr_chain_image - an image of a chain
 * @image:	what the user of the library sees of it
 * @header:	its header
 * @table:	its pages, once it has been read
 */
struct lcr_chain_image {
	struct ckpt_chain_image image;
	struct ckpt_header header;
	struct lcr_page_table table;
};

/* Read an image but for the contents of pages. 0, or -1 and a message in *error. */
int lcr_read_table(struct lcr_chain_image *image, char **error);
void lcr_free_table(struct lcr_page_table *table);

/**
 * struct lcr_cursor - goes through the runs of an object in an image, upwards
 * @image:	the image
 * @place:	PAGES records that are left, the first one in @head
 * @nr_places:	their number
 * @head:	struct ckpt_rec and the payload up to the pages; NULL before the first
 * @head_space:	size of that buffer
 * @run:	the run where the cursor is; NULL at the end
 * @end:	address of the end of that run
 * @offset:	of its contents, if it has any, from the beginning of the image
 * @data:	buffer for them
 * @data_space:	its size
 * @has_data:	they are in it
 */
struct lcr_cursor {
	const struct lcr_chain_image *image;
	const struct lcr_place *place;
	size_t nr_places;
	void *head;
	size_t head_space;
	const struct ckpt_run *run;
	uint64_t end;
	uint64_t offset;
	void *data;
	size_t data_space;
	bool has_data;
};

/* Begin before the first page of an object. Buffers of an earlier use are kept. */
void lcr_cursor_start(struct lcr_cursor *cursor, const struct lcr_chain_image *image,
		      uint32_t objref);
void lcr_cursor_free(struct lcr_cursor *cursor);

/* Go to the first run that ends after @addr. 1, 0 if there is none, -1 on failure. */
int lcr_cursor_seek(struct lcr_cursor *cursor, uint64_t addr, char **error);

/* The contents of the run where the cursor is, checked; NULL on failure */
const void *lcr_cursor_data(struct lcr_cursor *cursor, char **error);

/* chain.c */

/**
 * struct ckpt_chain - an increment and all that it needs
 * @images:	its images, the newest first
 * @nr_images:	their number
 * @space:	elements allocated
 * @error:	what is wrong
 */
struct ckpt_chain {
	struct lcr_chain_image **images;
	size_t nr_images;
	size_t space;
	char *error;
};

/* ckpt_chain_open() that reads no more than headers */
struct ckpt_chain *lcr_chain_find(const char *path, const char *const *dirs,
				  char **error);

/*
 * Are these the parents of the image? Only that which can be found out without
 * moving a file position; 0, or -1 and a message in *error.
 */
int lcr_check_parents(int fd, const int *parents, size_t nr_parents, char **error);

/*
 * Read the header of the image that is at the file position of a regular file,
 * which does not move. @error may be NULL.
 */
int lcr_read_header(int fd, struct ckpt_header *header, char **error);

/*
 * Where the pages of a run of kind CKPT_RUN_PARENT of object @objref in image
 * @level are to be found, in the next one: its objref there, 0 if it is missing.
 */
uint32_t lcr_parent_object(const struct ckpt_chain *chain, size_t level, uint32_t objref);

#define LCR_UUID_TEXT_SIZE	37

/* "f218235b-76e3-45df-99d5-719461e75751" into @text, which is returned */
char *lcr_uuid_text(const uint8_t *uuid, char *text);

/* Set *@error, unless @error is NULL, to a message, and errno. Returns -1. */
__attribute__((format(printf, 3, 4)))
int lcr_error(char **error, int number, const char *format, ...);

/* save.c */

struct lcr_series;

/* The absolute directory of a file, and its name in it, both for free() */
int lcr_split_path(const char *path, char **dir, char **name);

/* Bring a directory to stable storage; @fd is a file in it or -1. */
int lcr_sync_dir(int dir_fd, int fd);

/**
 * struct lcr_save - an image on its way to a file
 * @dir:	the directory of the file, absolute
 * @dir_stat:	what it was in the beginning
 * @name:	the file's name in it
 * @link:	a symbolic link that is to point to it; NULL if there is none
 * @temp:	the temporary name in it; NULL while the file has none
 * @fd:		where the image is written to
 * @pidfd:	the root process, with CKPT_KILL or CKPT_LEAVE_STOPPED; else -1
 * @was_stopped: it had been stopped before
 * @stopped:	the checkpoint stops it, with its descendants, or has done so
 * @kill:	they are to be killed in the end
 *
 * Processes that are to be killed only are when their image is on stable storage:
 * until then the checkpoint leaves them stopped.
 */
struct lcr_save {
	char *dir;
	struct stat dir_stat;
	char *name;
	char *link;
	char *temp;
	int fd;
	int pidfd;
	bool was_stopped;
	bool stopped;
	bool kill;
};

/*
 * lcr_save_begin(), lcr_save_checkpoint(), then lcr_save_commit(); in place of
 * the third, and where the second failed, lcr_save_discard(). The last two free
 * what @save holds, also if they fail; so does the second where it returns 1.
 */
int lcr_save_begin(struct lcr_save *save, const char *path);
/* Likewise, the next image of a series: never in place of another file */
int lcr_save_begin_next(struct lcr_save *save, const struct lcr_series *series);
int lcr_save_checkpoint(struct lcr_save *save, pid_t pid,
			const struct ckpt_options *opts);
/* After a checkpoint that failed: begin the file anew, for another one */
int lcr_save_rewind(struct lcr_save *save);
int lcr_save_commit(struct lcr_save *save);
void lcr_save_discard(struct lcr_save *save);

/* tree.c */

/* The letter of its state in /proc/PID/stat, and its parent; 0 if there is none */
char lcr_process_state(pid_t pid, pid_t *ppid);

/*
 * Kill the root process and its descendants in the image in @fd, by which they have been
 * stopped, and wait until they have ended. -1 if the root cannot be killed. If the image
 * cannot be read it is about the root only.
 */
int lcr_kill_tree(int fd, int root_pidfd);

/* Likewise, let those go on that had not been stopped before. */
void lcr_continue_tree(int fd, int root_pidfd, bool root_was_stopped);

/* series.c */

/**
 * struct lcr_series - images FILE.000001, FILE.000002 ..., and FILE, a symbolic link
 *		       to the newest of them
 * @dir:	their directory, absolute
 * @name:	FILE in it
 * @newest:	what FILE points to; NULL if there is no FILE
 * @next:	a number higher than that of any image there is or was
 */
struct lcr_series {
	char *dir;
	char *name;
	char *newest;
	uint64_t next;
};

/* EEXIST if there is a FILE that is no such link */
int lcr_series_open(struct lcr_series *series, const char *path);
void lcr_series_close(struct lcr_series *series);

/* The number in FILE.NNNNNN; 0 for all other names */
uint64_t lcr_series_number(const char *name, const char *member);

/*
 * Remove what is not needed to restart one of the newest @keep images. *@removed is
 * how many images were, also on failure.
 */
int lcr_series_retain(const struct lcr_series *series, size_t keep, size_t *removed);

/* jobs.c */

/**
 * struct lcr_job_image - an image in a directory of images of several jobs
 * @path:	where it is
 * @header:	its header
 * @pid:	the process ID of its root process
 * @time_ns:	when it was taken, and not before its parent
 * @newest:	there is no newer one of the same job
 */
struct lcr_job_image {
	char *path;
	struct ckpt_header header;
	uint32_t pid;
	uint64_t time_ns;
	bool newest;
};

/**
 * struct lcr_jobs - the images in a directory that belong to the user
 * @images:	these, the newest first
 * @nr_images:	their number
 * @passed_over: is told what cannot be used, and why
 */
struct lcr_jobs {
	struct lcr_job_image *images;
	size_t nr_images;
	void (*passed_over)(const char *path, const char *why);
};

/* Also removes what was being written when the machine went down */
int lcr_jobs_read(struct lcr_jobs *jobs, const char *dir,
		  void (*passed_over)(const char *path, const char *why));
void lcr_jobs_free(struct lcr_jobs *jobs);

/* Are they of the same process, as far as its ID and name can tell? */
bool lcr_same_job(const struct lcr_job_image *a, const struct lcr_job_image *b);

/*
 * The newest chain of the job of image @first that is complete and undamaged, from
 * that image on; NULL if there is none
 */
struct ckpt_chain *lcr_jobs_chain(const struct lcr_jobs *jobs, size_t first,
				  const char *const *dirs);

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
