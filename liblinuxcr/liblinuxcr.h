/* SPDX-License-Identifier: LGPL-2.1 */
/*
 * liblinuxcr: checkpoint and restart processes, read checkpoint images.
 *
 * Needs a kernel with CONFIG_CKPT for checkpoint and restart (ENOSYS without
 * it); images can be read anywhere. Each function has a manual page in
 * section 3.
 *
 * Rules for all functions: those that return int or pid_t return -1 with errno
 * set where they fail, those that return a pointer NULL. errno is left alone
 * where they succeed. Different threads may use different objects at the same
 * time.
 *
 * Option structures begin with their own size, which the caller sets; all
 * other members are 0 for the default. They will only ever grow at the end: a
 * program compiled with an older header goes on working with a newer library,
 * and one compiled with a newer header gets E2BIG from an older library only if
 * it uses what that one does not know.
 *
 *	struct ckpt_options opts = { .size = sizeof(opts), .flags = CKPT_KILL };
 */
#ifndef LIBLINUXCR_H
#define LIBLINUXCR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LIBLINUXCR_VERSION_MAJOR	0
#define LIBLINUXCR_VERSION_MINOR	1

/* The version of the library in use, as "0.1.0". */
const char *ckpt_version(void);

/* ---- reports: what the kernel has to say about a call ---- */

/*
 * A report can be handed to any number of calls, one after the other; each
 * starts it anew. In a process that comes back from a checkpoint of itself by a
 * restart it is empty.
 */
struct ckpt_report;

/* All 0 where the call did not get that far. */
struct ckpt_stats {
	uint64_t total_ns;	/* time in the system call */
	uint64_t freeze_ns;	/* time the process was kept from running */
	uint64_t bytes;		/* of the image, written or read */
	uint64_t records;	/* in the image */
	uint64_t threads;	/* saved or restored, as the following */
	uint64_t vmas;		/* memory areas */
	uint64_t files;		/* open file descriptions */
	uint64_t pages_here;	/* pages whose contents are in the image */
	uint64_t pages_zero;	/* pages of zeros, which are not */
	uint64_t pages_parent;	/* pages left to the parent image */
	uint64_t kernel_bytes;	/* most memory the kernel took for the call */
	uint64_t log_bytes;	/* length of the whole report text */
};

/* text_size: space for the text in bytes, at most 1 MiB; 0 means 64 KiB. */
struct ckpt_report *ckpt_report_new(size_t text_size);
void ckpt_report_free(struct ckpt_report *report);

/* One line for each finding; "" if there is none. Valid until the next call. */
const char *ckpt_report_text(const struct ckpt_report *report);

/* 1 if the text was cut off since text_size was too small, else 0. */
int ckpt_report_truncated(const struct ckpt_report *report);

const struct ckpt_stats *ckpt_report_stats(const struct ckpt_report *report);

/* ---- checkpoint ---- */

/* ckpt_options.flags */
#define CKPT_LEAVE_STOPPED	(UINT64_C(1) << 1) /* stop it afterwards */
#define CKPT_KILL		(UINT64_C(1) << 2) /* kill it afterwards */
#define CKPT_INCREMENTAL	(UINT64_C(1) << 3) /* only what has changed since the parent */
#define CKPT_SINGLE		(UINT64_C(1) << 4) /* the process without its descendants */

/*
 * ckpt_options.tracker: how the kernel finds out what is written to after the
 * image, for the next increment. EOPNOTSUPP if it has not got that one.
 */
#define CKPT_TRACKER_OFF	0U	/* not at all: no increment will follow */
#define CKPT_TRACKER_NONE	1U	/* all counts as written to */
#define CKPT_TRACKER_SHADOW	2U	/* bits in the page tables; costs nothing */
#define CKPT_TRACKER_WRITE_PROTECT 3U	/* a page fault at the first write */

/* Descriptor fd of process pid, 0: the one to be checkpointed */
struct ckpt_external_fd {
	int pid;
	int fd;
};

struct ckpt_options {
	size_t size;		/* sizeof(struct ckpt_options) */
	uint64_t flags;		/* the ones above; ckpt_check(): CKPT_SINGLE */
	uint64_t timeout_ns;	/* to wait for them to stop; 0: 10 seconds */
	const struct ckpt_external_fd *external_fds; /* a restarter will provide them */
	size_t nr_external_fds;	/* at most 1024 */
	struct ckpt_report *report; /* or NULL */
	uint8_t parent_uuid[16]; /* CKPT_INCREMENTAL: the image before this one */
	uint32_t tracker;	/* CKPT_TRACKER_*; with CKPT_INCREMENTAL the parent's */
	uint32_t reserved;	/* 0 */
};

/*
 * Write an image of process pid (0: the caller) and all its descendants to fd,
 * beginning at its file position. opts may be NULL. Returns 0; in a restarted process
 * that had called it for itself, 1. With CKPT_INCREMENTAL, ESTALE: a full image is
 * needed. CKPT_LEAVE_STOPPED and CKPT_KILL are about all of them.
 */
int ckpt_checkpoint(pid_t pid, int fd, const struct ckpt_options *opts);

/*
 * The same into a file, which exists in full or not at all: what was there
 * before stays until the new image is on stable storage, and whenever
 * anything fails. The file has mode 0600.
 */
int ckpt_save(pid_t pid, const char *path, const struct ckpt_options *opts);

/* Find out whether pid could be checkpointed; the report says what prevents it. */
int ckpt_check(pid_t pid, const struct ckpt_options *opts);

/* ---- restart ---- */

/* ckpt_restart_options.flags */
#define CKPT_RESTART_HOST_CLOCKS	(UINT64_C(1) << 0) /* no time namespace */
#define CKPT_RESTART_LEAVE_STOPPED	(UINT64_C(1) << 1) /* begin stopped */

/*
 * A restarted process gets the caller's descriptor caller_fd as image_fd: the one that
 * has the ID image_pid in the image, 0: the first one.
 */
struct ckpt_inherited_fd {
	int image_fd;
	int caller_fd;
	int image_pid;
	unsigned int reserved;	/* 0 */
};

struct ckpt_restart_options {
	size_t size;		/* sizeof(struct ckpt_restart_options) */
	uint64_t flags;		/* CKPT_RESTART_* */
	const struct ckpt_inherited_fd *fds;
	size_t nr_fds;		/* at most 1024 */
	struct ckpt_report *report; /* or NULL */
	const int *parent_fds;	/* of an increment: files with its parent, the parent's
				 * parent and so on up to the full image
				 */
	size_t nr_parent_fds;
	const char *const *parent_dirs; /* ckpt_restart_file(): directories, and NULL */
};

/*
 * Restart a process from the image that fd, a file or pipe, is at the beginning
 * of. opts may be NULL. Returns its process ID; it is a child of the caller.
 *
 * The parents of an increment have to be in parent_fds. Without that,
 * ckpt_restart_file() looks for them in the directory of the image and then in
 * parent_dirs; of one that is missing the report says which it is.
 */
pid_t ckpt_restart(int fd, const struct ckpt_restart_options *opts);
pid_t ckpt_restart_file(const char *path, const struct ckpt_restart_options *opts);

/* ---- checkpoints that the kernel takes by itself ---- */

/*
 * The kernel checkpoints a process when it is sent SIGCKPT, when the time has come, or
 * when one of its threads asks for it. Where the images go says a pattern: the one of
 * the process, else the sysctl kernel.checkpoint_pattern. See linux-cr(7).
 *
 * All of these functions fail with ENOSYS if the kernel cannot do it.
 */

/* Flags of ckpt_request() and ckpt_take() */
#define CKPT_REQUEST_FULL	(1U << 0) /* a full image, whatever the settings say */
#define CKPT_REQUEST_INCREMENTAL (1U << 1) /* an increment, if there is a last image */
#define CKPT_REQUEST_EXIT	(1U << 2) /* kill the process once the image is safe */
#define CKPT_REQUEST_TREE	(1U << 3) /* with its descendants, as without this */
#define CKPT_REQUEST_SINGLE	(1U << 4) /* without its descendants */

/*
 * Request a checkpoint of process pid (0: the caller) by SIGCKPT. Returns 0 when the
 * request has been made; what becomes of it ckpt_auto_read() says. -1: EINVAL for a
 * negative pid, an unknown flag, FULL together with INCREMENTAL, or TREE together with
 * SINGLE; EPERM if the caller may not send it signals, or kernel.checkpoint_signal
 * forbids this one; ESRCH; EAGAIN without memory. The signal is not sent where the
 * kernel has no SIGCKPT: there it would kill.
 */
int ckpt_request(pid_t pid, unsigned int flags);

/*
 * Take a checkpoint of the calling process, and wait until the image is safe. Returns 0;
 * in the restarted process 1; or -1 with an error of ckpt_checkpoint(), or of the place
 * of the image: ENOENT, EACCES, ELOOP, ENOSPC, EPIPE (a helper failed) ... The reason
 * in words is ckpt_auto_status.report.
 */
int ckpt_take(unsigned int flags);

/* How a process is checkpointed automatically; at most one of the first two is not 0. */
struct ckpt_auto_options {
	size_t size;		/* sizeof(struct ckpt_auto_options) */
	uint64_t interval_ms;	/* from one checkpoint to the next; at most 2^32 - 1 */
	uint64_t mtbf_s;	/* mean time between failures, from which and the cost the
				 * interval is computed; seconds, at most 2^32 - 1
				 */
	uint32_t full_every;	/* each so many images a full one, 1 to 65536; 0: 1 */
	uint32_t keep;		/* chains to keep, at most 1000; 0: all */
	uint32_t tracker;	/* CKPT_TRACKER_*; CKPT_TRACKER_OFF: the best there is */
	uint32_t across_exec;	/* 1: go on after execve() */
	uint32_t remove_at_exit; /* 1: remove the images when the process exits with
				 * status 0; 2: when it ends
				 */
	uint32_t reserved;	/* 0 */
	const char *pattern;	/* where images go, an absolute path without white space, at
				 * most 255 bytes; "" or NULL: kernel.checkpoint_pattern
				 */
};

/*
 * Set up automatic checkpoints of process pid (0: the caller), in place of what was set
 * up before. With interval_ms and mtbf_s 0 the rest is for requested ones. opts NULL:
 * no automatic checkpoints, and nothing set up.
 *
 * 0, or -1: EINVAL for a value out of range, a tracker that the kernel has not got,
 * a pattern that is not an absolute path, or has no %n though full_every is not 1;
 * ENAMETOOLONG; E2BIG as for all options; EACCES or EPERM if the process may not be
 * traced; ESRCH; ENOMEM.
 */
int ckpt_auto_set(pid_t pid, const struct ckpt_auto_options *opts);

/* ckpt_auto_status.state */
#define CKPT_AUTO_IDLE		0U	/* nothing to do */
#define CKPT_AUTO_WAITING	1U	/* for the time of the next one */
#define CKPT_AUTO_REQUESTED	2U	/* about to be taken */
#define CKPT_AUTO_RUNNING	3U	/* being taken */
#define CKPT_AUTO_ENDED		4U	/* the process has ended */

/* The settings of a process, as above, and what has become of its checkpoints. */
struct ckpt_auto_status {
	size_t size;		/* sizeof(struct ckpt_auto_status), set by the caller */
	uint64_t interval_ms;
	uint64_t mtbf_s;
	uint32_t full_every;
	uint32_t keep;
	uint32_t tracker;
	uint32_t across_exec;
	uint32_t remove_at_exit;
	uint32_t takes_part;	/* 1: it has called ckpt_hooks_set(), or the like */
	const char *pattern;	/* "": kernel.checkpoint_pattern */
	uint32_t state;		/* CKPT_AUTO_* */
	int32_t last_error;	/* what the last one came to: 0 or an errno value */
	uint64_t interval_now_ms; /* the interval in use; 0: none */
	int64_t next_ms;	/* until the next automatic one; -1: there is none */
	uint64_t requests;	/* how often one was asked for */
	uint64_t coalesced;	/* of these, the ones that were one with an earlier one */
	uint64_t images;	/* that were taken and are safe */
	uint64_t failed;	/* checkpoints that were not */
	uint64_t failures_in_a_row; /* since one succeeded */
	uint64_t next_number;	/* %n of the next image */
	uint64_t images_in_chain; /* that the next increment would follow; 0: none will */
	uint64_t bytes;		/* of all images */
	uint64_t cost_ns;	/* for how long one keeps the process from running, smoothed */
	uint64_t last_bytes;	/* of the last image */
	uint64_t last_freeze_ns; /* it kept the process from running for so long */
	uint64_t last_total_ns;	/* until it was safe */
	uint64_t last_time_ns;	/* CLOCK_REALTIME when it was */
	uint8_t last_uuid[16];
	const char *last_image;	/* its path, or "|" and the helper; "": there is none */
	const char *report;	/* of the last checkpoint: lines, "" if there are none */
};

/*
 * Look after the checkpoints of process pid (0: the caller), also when another process
 * gets this ID. NULL: EACCES if its memory map may not be read, ESRCH, EINVAL, ENOMEM.
 */
struct ckpt_auto;
struct ckpt_auto *ckpt_auto_open(pid_t pid);
void ckpt_auto_close(struct ckpt_auto *handle);

/*
 * Read the status. Its strings are valid until the next call for this handle. 0, or -1:
 * ESRCH when the process has ended and been waited for, EINVAL if status->size is too
 * small. A library that is older than the program leaves members it does not know 0, and
 * sets size to what it knows.
 */
int ckpt_auto_read(struct ckpt_auto *handle, struct ckpt_auto_status *status);

/*
 * Wait until something has changed since the last ckpt_auto_read() or ckpt_auto_wait():
 * a checkpoint was taken or has failed, the settings are others, the process has
 * ended. timeout_ms is as for poll(): -1 for ever. Returns 1, after the time 0, or -1:
 * EINTR.
 */
int ckpt_auto_wait(struct ckpt_auto *handle, int timeout_ms);

/* ---- taking part ---- */

#define CKPT_NO_LIMIT	0xffffffffU

/*
 * What to call before and after a checkpoint of the process; each may be NULL. They are
 * called by any thread, with all signals blocked, in the handler of SIGCKPT or in
 * ckpt_critical_end(): only what is async-signal-safe may be called, see
 * signal-safety(7). They must neither wait for another thread nor fork.
 */
struct ckpt_hooks {
	size_t size;		/* sizeof(struct ckpt_hooks) */
	void (*before)(void *arg);
	void (*after)(int error, void *arg); /* 0, or an errno value: there is no image */
	void (*restarted)(void *arg); /* in place of after(), in the restarted process */
	void *arg;
	uint32_t limit_ms;	/* from the request on, until the kernel takes it without
				 * the process; 0: 10 seconds, CKPT_NO_LIMIT: never
				 */
	uint32_t flags;		/* 0 */
};

/*
 * Take part in the checkpoints of the calling process: from here on SIGCKPT has a handler
 * that calls before(), takes the checkpoint, and calls after() or restarted(). It has to
 * be unblocked in at least one thread. hooks NULL: do not take part any more; SIGCKPT
 * has the action it had before.
 *
 * A child made by fork() takes part as well, a program that is executed does not.
 *
 * 0, or -1: EDEADLK in a hook, EINVAL, E2BIG.
 */
int ckpt_hooks_set(const struct ckpt_hooks *hooks);

/*
 * A section during which no checkpoint is taken, unless it takes longer than limit_ms:
 * then the kernel takes one, without hooks. A checkpoint that is asked for meanwhile is
 * taken in the ckpt_critical_end() with which the last section of the process ends.
 * Sections can be nested, also in different threads, and begun in signal handlers. Each
 * ends in the thread it has begun in. While a checkpoint is being taken a section
 * waits to begin.
 *
 * It has an effect only while the process takes part. Neither makes a system call unless
 * a checkpoint is asked for. errno is left alone.
 */
void ckpt_critical_begin(void);
void ckpt_critical_end(void);

/* ---- memory that images leave out ---- */

/*
 * What the caller has in this memory, length bytes from addr on, is not needed after a
 * restart: caches, buffers, what is computed again. Only pages that lie in it as a whole
 * are concerned. Their contents are in no image; the restarted process has the mapping
 * there, still excluded, with zeros, or what the file holds, in it. Children made by
 * fork() inherit it.
 *
 * ckpt_include() undoes it; the next image is a full one then (ESTALE for an increment).
 *
 * 0, or -1: ENOTSUP if the kernel cannot do it, EINVAL for what is not private memory,
 * ENOMEM if not all of it is mapped.
 */
int ckpt_exclude(void *addr, size_t length);
int ckpt_include(void *addr, size_t length);

/* ---- what a process writes to, for checkpointers and runtimes in user space ---- */

/*
 * A query for what is written to private memory of a process, without page faults.
 * Needs a kernel with CONFIG_SHADOW_DIRTY, but not with CONFIG_CKPT. Threads may use
 * the same query at the same time.
 *
 *	dirty = ckpt_dirty_open(pid);
 *	ckpt_dirty_begin(dirty);
 *	... copy all memory ...
 *	for (addr = 0; addr < UINT64_MAX; )
 *		n = ckpt_dirty_get(dirty, &addr, UINT64_MAX, CKPT_DIRTY_CLEAR, ranges, 100);
 *		... copy what is in the n ranges ...
 */
struct ckpt_dirty;

/* Whole pages that follow each other */
struct ckpt_dirty_range {
	uint64_t addr;		/* of the first page; bytes */
	uint64_t length;	/* bytes */
	uint32_t kind;		/* CKPT_DIRTY_WRITTEN, CKPT_DIRTY_EMPTY */
	uint32_t reserved;	/* 0 */
};

/* ckpt_dirty_range.kind */
#define CKPT_DIRTY_WRITTEN	1U	/* may have been written to */
#define CKPT_DIRTY_EMPTY	2U	/* zeros, or what the file holds, whatever it was before */

/* ckpt_dirty_get() flags */
#define CKPT_DIRTY_CLEAR	(1U << 0) /* from here on, they have not been written to */
#define CKPT_DIRTY_WITH_EMPTY	(1U << 1) /* find memory that is CKPT_DIRTY_EMPTY, too */

/*
 * Open a query for process pid (0: the caller). ENOTSUP if the kernel cannot do it,
 * ESRCH if there is no such process, EACCES if it may not be traced.
 */
struct ckpt_dirty *ckpt_dirty_open(pid_t pid);

/* Tracking goes on. */
void ckpt_dirty_close(struct ckpt_dirty *dirty);

/*
 * From here on, nothing has been written to. Without it everything has been, until it
 * is cleared. 0, or -1: ESRCH if the process has ended or has executed a program.
 *
 * There is one tracking of a process for all of user space: who clears takes from
 * others what they did not see. The kernel has its own, and where it uses that for
 * increments (CKPT_TRACKER_SHADOW), each notices what the other does: everything
 * counts as written to, and an increment is refused with ESTALE.
 */
int ckpt_dirty_begin(struct ckpt_dirty *dirty);

/*
 * Find what has been written to from *addr to end, which are multiples of the page size;
 * an end of UINT64_MAX is that of the address space. Returns the number of ranges, in
 * order of their addresses, at most nr_ranges, with *addr moved to where the next
 * call has to go on; that is end when all has been looked at.
 *
 * With CKPT_DIRTY_CLEAR, pages are found and cleared in one step, before they are
 * copied: what is written afterwards will be found the next time. -1 as
 * ckpt_dirty_begin(), which has to be called anew then; and EINVAL.
 */
int ckpt_dirty_get(struct ckpt_dirty *dirty, uint64_t *addr, uint64_t end,
		   unsigned int flags, struct ckpt_dirty_range *ranges, size_t nr_ranges);

/* ---- images ---- */

struct ckpt_image;
struct ckpt_header;	/* <linux/checkpoint_image.h> */

/*
 * A record of an image. For a PAGES record, payload is what stands before the
 * pages themselves; ckpt_image_next_run() gives those. The structures in
 * payloads are in <linux/checkpoint_image.h>.
 */
struct ckpt_record {
	uint64_t offset;	/* from the beginning of the image */
	uint64_t number;	/* from 0 */
	uint64_t length;	/* of the payload as it stands in the image */
	uint64_t payload_length; /* bytes at payload */
	const void *payload;	/* 8-byte aligned */
	uint32_t type;		/* CKPT_REC_* */
	uint32_t objref;
	uint32_t crc;
	uint16_t version;
	uint16_t flags;		/* CKPT_REC_F_* */
};

/*
 * Pages that follow each other in memory. Only those of kind CKPT_RUN_DATA have
 * contents in the image; of the others, offset and hash are 0 and data is NULL.
 */
struct ckpt_page_run {
	uint64_t addr;		/* of the first page, or offset in the object; bytes */
	uint64_t offset;	/* of their contents from the beginning of the image */
	const void *data;	/* their contents, NULL with CKPT_IMAGE_SKIP_DATA */
	uint64_t hash;		/* XXH64 of their contents */
	uint32_t nr_pages;	/* of ckpt_header.page_size bytes */
	uint32_t kind;		/* CKPT_RUN_* */
};

/* ckpt_image_open() flags */
#define CKPT_IMAGE_SKIP_DATA	(1U << 0)	/* do not read contents of pages */

/*
 * Open an image and read its header. ckpt_image_fdopen() starts at the file
 * position of fd, which may be a pipe, and leaves fd open in the end. On failure
 * *error, unless error is NULL, is a message for free().
 */
struct ckpt_image *ckpt_image_open(const char *path, unsigned int flags, char **error);
struct ckpt_image *ckpt_image_fdopen(int fd, unsigned int flags, char **error);
void ckpt_image_close(struct ckpt_image *image);

const struct ckpt_header *ckpt_image_header(const struct ckpt_image *image);

/*
 * The next record, from the HEADER to the TRAILER, checked. Returns 1, at the
 * end 0, and -1 with ckpt_image_error() for what is damaged or cannot be read.
 * *record is valid until the next call.
 */
int ckpt_image_next(struct ckpt_image *image, const struct ckpt_record **record);

/* The next run of pages of the PAGES record ckpt_image_next() gave; likewise. */
int ckpt_image_next_run(struct ckpt_image *image, const struct ckpt_page_run **run);

/*
 * Read the image to its end and check all that can be checked without
 * restarting it. 0, or -1 and ckpt_image_error().
 */
int ckpt_image_verify(struct ckpt_image *image);

/* What is wrong, and where; NULL if nothing is. */
const char *ckpt_image_error(const struct ckpt_image *image);

/* "VMA" for CKPT_REC_VMA, ...; NULL for a type this library does not know. */
const char *ckpt_record_name(uint32_t type);

/* ---- chains: an increment and all that it needs ---- */

struct ckpt_chain;

/* An image of a chain. It is open for reading, at its beginning. */
struct ckpt_chain_image {
	const char *path;
	const struct ckpt_header *header;
	uint64_t bytes;		/* of the image */
	uint64_t pages_here;	/* pages whose contents are in the image */
	uint64_t pages_zero;	/* pages of zeros, which are not */
	uint64_t pages_parent;	/* pages left to the parent image */
	int fd;			/* belongs to the chain */
};

/*
 * Open the image path and, if that is an increment, its parent, the parent's parent
 * and so on up to the full image. They are looked for by their UUIDs in the
 * directory of the image, a symbolic link being followed, and then in dirs, which
 * ends with NULL or is NULL. All but the contents of pages is read and checked. On
 * failure *error, unless error is NULL, is a message for free(); it says which
 * image is missing or damaged.
 */
struct ckpt_chain *ckpt_chain_open(const char *path, const char *const *dirs,
				   char **error);
void ckpt_chain_close(struct ckpt_chain *chain);

/* The image i: 0 is the newest; NULL after the full one */
const struct ckpt_chain_image *ckpt_chain_image(const struct ckpt_chain *chain, size_t i);

/*
 * Check all images as ckpt_image_verify() does, and that every page left to a parent
 * is there. 0, or -1 and ckpt_chain_error().
 */
int ckpt_chain_verify(struct ckpt_chain *chain);

/*
 * Write a full image that is restarted as the newest one would be: to a
 * descriptor, or to a file as ckpt_save() does. 0, or -1, and ckpt_chain_error() if
 * it is because of the chain.
 */
int ckpt_chain_merge(struct ckpt_chain *chain, int fd);
int ckpt_chain_merge_file(struct ckpt_chain *chain, const char *path);

/* What is wrong, and with which image; NULL if nothing is. */
const char *ckpt_chain_error(const struct ckpt_chain *chain);

#ifdef __cplusplus
}
#endif

#endif /* LIBLINUXCR_H */
