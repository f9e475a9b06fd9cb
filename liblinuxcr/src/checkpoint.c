// SPDX-License-Identifier: LGPL-2.1
/* The system calls checkpoint(2) and restart(2). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <asm/unistd.h>

#include "internal.h"

/* Kernel and library each have their names; the values are the same. */
_Static_assert(CKPT_LEAVE_STOPPED == CHECKPOINT_LEAVE_STOPPED, "flag");
_Static_assert(CKPT_KILL == CHECKPOINT_KILL, "flag");
_Static_assert(CKPT_INCREMENTAL == CHECKPOINT_INCREMENTAL, "flag");
_Static_assert(CKPT_SINGLE == CHECKPOINT_SINGLE, "flag");
_Static_assert(CKPT_TRACKER_OFF == CHECKPOINT_TRACKER_OFF, "tracker");
_Static_assert(CKPT_TRACKER_NONE == CHECKPOINT_TRACKER_NONE, "tracker");
_Static_assert(CKPT_TRACKER_SHADOW == CHECKPOINT_TRACKER_SHADOW, "tracker");
_Static_assert(CKPT_TRACKER_WRITE_PROTECT == CHECKPOINT_TRACKER_WRITE_PROTECT, "tracker");
_Static_assert(CKPT_RESTART_HOST_CLOCKS == RESTART_HOST_CLOCKS, "flag");
_Static_assert(CKPT_RESTART_LEAVE_STOPPED == RESTART_LEAVE_STOPPED, "flag");
_Static_assert(sizeof(struct ckpt_external_fd) == sizeof(struct checkpoint_fd) &&
	       offsetof(struct ckpt_external_fd, fd) ==
	       offsetof(struct checkpoint_fd, fd), "array of descriptors");
_Static_assert(sizeof(struct ckpt_inherited_fd) == sizeof(struct restart_fd) &&
	       offsetof(struct ckpt_inherited_fd, caller_fd) ==
	       offsetof(struct restart_fd, caller_fd) &&
	       offsetof(struct ckpt_inherited_fd, image_pid) ==
	       offsetof(struct restart_fd, image_pid), "array of descriptors");

/* The first published sizes, and those with chains */
#define OPTIONS_SIZE_VER0		48
#define OPTIONS_SIZE_VER1		72
#define RESTART_OPTIONS_SIZE_VER0	40
#define RESTART_OPTIONS_SIZE_VER1	64

_Static_assert(sizeof(struct ckpt_options) == OPTIONS_SIZE_VER1, "size");
_Static_assert(sizeof(struct ckpt_restart_options) == RESTART_OPTIONS_SIZE_VER1,
	       "size");

const char *ckpt_version(void)
{
	return LIBLINUXCR_VERSION;
}

int lcr_copy_options(void *dst, size_t size, size_t size_ver0, const void *src)
{
	const unsigned char *bytes = src;
	size_t given, i;

	memset(dst, 0, size);
	if (!src)
		return 0;
	memcpy(&given, src, sizeof(given));
	if (given < size_ver0) {
		errno = EINVAL;
		return -1;
	}
	for (i = size; i < given; i++) {
		if (bytes[i]) {
			errno = E2BIG;
			return -1;
		}
	}
	memcpy(dst, src, given < size ? given : size);
	return 0;
}

int lcr_get_options(struct ckpt_options *opts, const struct ckpt_options *user)
{
	if (lcr_copy_options(opts, sizeof(*opts), OPTIONS_SIZE_VER0, user))
		return -1;
	if (opts->report)
		lcr_report_clear(opts->report);
	return 0;
}

static int get_restart_options(struct ckpt_restart_options *opts,
			       const struct ckpt_restart_options *user)
{
	if (lcr_copy_options(opts, sizeof(*opts), RESTART_OPTIONS_SIZE_VER0, user))
		return -1;
	if (opts->report)
		lcr_report_clear(opts->report);
	if ((opts->flags & ~(CKPT_RESTART_HOST_CLOCKS | CKPT_RESTART_LEAVE_STOPPED)) ||
	    opts->nr_fds > UINT32_MAX || opts->nr_parent_fds > UINT32_MAX) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

/* Put the addresses of a report where a system call expects them. */
static void attach_report(struct ckpt_report *report, __u64 *log, __u32 *log_size,
			  __u64 *stats, __u32 *stats_size)
{
	if (!report)
		return;
	*log = (uintptr_t)report->text;
	*log_size = report->text_size;
	*stats = (uintptr_t)&report->stats;
	*stats_size = sizeof(report->stats.kernel);
}

static int checkpoint(pid_t pid, int fd, uint64_t known_flags, uint64_t add_flags,
		      const struct ckpt_options *user_opts)
{
	struct checkpoint_args args = { .image_fd = fd };
	struct ckpt_options opts;

	if (lcr_get_options(&opts, user_opts))
		return -1;
	if ((opts.flags & ~known_flags) || opts.nr_external_fds > UINT32_MAX ||
	    opts.reserved) {
		errno = EINVAL;
		return -1;
	}
	args.flags = opts.flags | add_flags;
	args.timeout_ns = opts.timeout_ns;
	args.external = (uintptr_t)opts.external_fds;
	args.external_nr = opts.nr_external_fds;
	memcpy(args.parent_uuid, opts.parent_uuid, sizeof(args.parent_uuid));
	args.tracker = opts.tracker;
	attach_report(opts.report, &args.log, &args.log_size, &args.stats,
		      &args.stats_size);
	return syscall(__NR_checkpoint, pid, &args, sizeof(args));
}

int ckpt_checkpoint(pid_t pid, int fd, const struct ckpt_options *opts)
{
	return checkpoint(pid, fd, CKPT_LEAVE_STOPPED | CKPT_KILL | CKPT_INCREMENTAL |
			  CKPT_SINGLE, 0, opts);
}

int ckpt_check(pid_t pid, const struct ckpt_options *opts)
{
	return checkpoint(pid, -1, CKPT_SINGLE, CHECKPOINT_CHECK, opts);
}

static pid_t restart(int fd, const struct ckpt_restart_options *opts)
{
	struct restart_args args = { .image_fd = fd };

	args.flags = opts->flags;
	args.fds = (uintptr_t)opts->fds;
	args.fds_nr = opts->nr_fds;
	args.parents = (uintptr_t)opts->parent_fds;
	args.parents_nr = opts->nr_parent_fds;
	attach_report(opts->report, &args.log, &args.log_size, &args.stats,
		      &args.stats_size);
	return syscall(__NR_restart, &args, sizeof(args));
}

/* Put a message, which is freed, where the report of the kernel would be. */
static void report_error(struct ckpt_report *report, char *error)
{
	int saved_errno = errno;

	if (report && error)
		lcr_report_set(report, error);
	free(error);
	errno = saved_errno;
}

pid_t ckpt_restart(int fd, const struct ckpt_restart_options *user_opts)
{
	struct ckpt_restart_options opts;
	char *error = NULL;

	if (get_restart_options(&opts, user_opts))
		return -1;
	if (lcr_check_parents(fd, opts.parent_fds, opts.nr_parent_fds, &error)) {
		report_error(opts.report, error);
		return -1;
	}
	return restart(fd, &opts);
}

/* Restart an increment together with the parents that can be found. */
static pid_t restart_chain(const char *path, struct ckpt_restart_options *opts)
{
	const struct ckpt_chain_image *image;
	struct ckpt_chain *chain;
	char *error = NULL;
	pid_t pid = -1;
	size_t i;
	int *fds;

	chain = lcr_chain_find(path, opts->parent_dirs, &error);
	if (!chain) {
		report_error(opts->report, error);
		return -1;
	}
	for (i = 1; ckpt_chain_image(chain, i); i++)
		;
	fds = calloc(i, sizeof(*fds));
	if (fds) {
		opts->parent_fds = fds;
		opts->nr_parent_fds = i - 1;
		for (i = 0; i < opts->nr_parent_fds; i++)
			fds[i] = ckpt_chain_image(chain, i + 1)->fd;
		image = ckpt_chain_image(chain, 0);
		pid = restart(image->fd, opts);
		free(fds);
	}
	ckpt_chain_close(chain);
	return pid;
}

pid_t ckpt_restart_file(const char *path, const struct ckpt_restart_options *user_opts)
{
	struct ckpt_restart_options opts;
	struct ckpt_header header;
	int fd, saved_errno = errno;
	pid_t pid;

	if (get_restart_options(&opts, user_opts))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -1;
	/* What cannot be read here the kernel shall refuse: it says why. */
	if (!opts.nr_parent_fds && !lcr_read_header(fd, &header, NULL) && header.sequence) {
		errno = saved_errno;
		pid = restart_chain(path, &opts);
	} else {
		errno = saved_errno;
		pid = ckpt_restart(fd, user_opts);
	}
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return pid;
}
