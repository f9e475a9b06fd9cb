// SPDX-License-Identifier: LGPL-2.1
/* The system calls checkpoint(2) and restart(2). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <asm/unistd.h>

#include "internal.h"

/* Kernel and library each have their names; the values are the same. */
_Static_assert(CKPT_LEAVE_STOPPED == CHECKPOINT_LEAVE_STOPPED, "flag");
_Static_assert(CKPT_KILL == CHECKPOINT_KILL, "flag");
_Static_assert(CKPT_RESTART_HOST_CLOCKS == RESTART_HOST_CLOCKS, "flag");
_Static_assert(CKPT_RESTART_LEAVE_STOPPED == RESTART_LEAVE_STOPPED, "flag");
_Static_assert(sizeof(int) == sizeof(__s32), "array of descriptors");
_Static_assert(sizeof(struct ckpt_inherited_fd) == sizeof(struct restart_fd) &&
	       offsetof(struct ckpt_inherited_fd, caller_fd) ==
	       offsetof(struct restart_fd, caller_fd), "array of descriptors");

/* The first published sizes */
#define OPTIONS_SIZE_VER0		48
#define RESTART_OPTIONS_SIZE_VER0	40

_Static_assert(sizeof(struct ckpt_options) == OPTIONS_SIZE_VER0, "size");
_Static_assert(sizeof(struct ckpt_restart_options) == RESTART_OPTIONS_SIZE_VER0,
	       "size");

const char *ckpt_version(void)
{
	return LIBLINUXCR_VERSION;
}

/*
 * Copy an option structure, which begins with its size, into the one of @size
 * bytes this library knows. The first published one had @size_ver0 bytes.
 */
static int copy_options(void *dst, size_t size, size_t size_ver0, const void *src)
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
	if (copy_options(opts, sizeof(*opts), OPTIONS_SIZE_VER0, user))
		return -1;
	if (opts->report)
		lcr_report_clear(opts->report);
	return 0;
}

static int get_restart_options(struct ckpt_restart_options *opts,
			       const struct ckpt_restart_options *user)
{
	if (copy_options(opts, sizeof(*opts), RESTART_OPTIONS_SIZE_VER0, user))
		return -1;
	if (opts->report)
		lcr_report_clear(opts->report);
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
	if ((opts.flags & ~known_flags) || opts.nr_external_fds > UINT32_MAX) {
		errno = EINVAL;
		return -1;
	}
	args.flags = opts.flags | add_flags;
	args.timeout_ns = opts.timeout_ns;
	args.external = (uintptr_t)opts.external_fds;
	args.external_nr = opts.nr_external_fds;
	attach_report(opts.report, &args.log, &args.log_size, &args.stats,
		      &args.stats_size);
	return syscall(__NR_checkpoint, pid, &args, sizeof(args));
}

int ckpt_checkpoint(pid_t pid, int fd, const struct ckpt_options *opts)
{
	return checkpoint(pid, fd, CKPT_LEAVE_STOPPED | CKPT_KILL, 0, opts);
}

int ckpt_check(pid_t pid, const struct ckpt_options *opts)
{
	return checkpoint(pid, -1, 0, CHECKPOINT_CHECK, opts);
}

pid_t ckpt_restart(int fd, const struct ckpt_restart_options *user_opts)
{
	struct restart_args args = { .image_fd = fd };
	struct ckpt_restart_options opts;

	if (get_restart_options(&opts, user_opts))
		return -1;
	if ((opts.flags & ~(CKPT_RESTART_HOST_CLOCKS | CKPT_RESTART_LEAVE_STOPPED)) ||
	    opts.nr_fds > UINT32_MAX) {
		errno = EINVAL;
		return -1;
	}
	args.flags = opts.flags;
	args.fds = (uintptr_t)opts.fds;
	args.fds_nr = opts.nr_fds;
	attach_report(opts.report, &args.log, &args.log_size, &args.stats,
		      &args.stats_size);
	return syscall(__NR_restart, &args, sizeof(args));
}

pid_t ckpt_restart_file(const char *path, const struct ckpt_restart_options *opts)
{
	struct ckpt_restart_options copy;
	int fd, saved_errno;
	pid_t pid;

	if (get_restart_options(&copy, opts))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -1;
	pid = ckpt_restart(fd, opts);
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return pid;
}
