// SPDX-License-Identifier: LGPL-2.1
/*
 * Save an image to a file so that the file is complete or untouched.
 *
 * The image goes to a file without a name where the file system can do that
 * (O_TMPFILE): nothing is left behind then, however the writer ends, not even
 * after a power failure. Elsewhere it has a temporary name. Only when its
 * contents are on stable storage it gets the name it is meant to have.
 *
 * No descriptor but that of the image is open during the checkpoint, since a
 * process that saves itself would have it in its image. The directory is opened
 * again afterwards, and has to be the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/pidfd.h>
#include <sys/random.h>

#include "internal.h"

#define IMAGE_MODE	0600
#define TEMP_TRIES	100
#define TEMP_EXTRA	sizeof("..01234567")
#define KILL_WAIT_MS	10000

static void close_keep_errno(int fd)
{
	int saved_errno = errno;

	if (fd >= 0)
		close(fd);
	errno = saved_errno;
}

static void free_names(struct lcr_save *save)
{
	free(save->dir);
	free(save->name);
	free(save->temp);
	save->dir = NULL;
	save->name = NULL;
	save->temp = NULL;
}

static int set_names(struct lcr_save *save, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char *dir;

	if (!*name) {
		errno = *path ? EISDIR : ENOENT;
		return -1;
	}
	if (!slash)
		dir = strdup(".");
	else
		dir = strndup(path, slash > path ? (size_t)(slash - path) : 1);
	if (!dir)
		return -1;
	save->dir = realpath(dir, NULL);
	free(dir);
	save->name = strdup(name);
	return save->dir && save->name ? 0 : -1;
}

static int open_dir(struct lcr_save *save, struct stat *st)
{
	int fd = open(save->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && fstat(fd, st)) {
		close_keep_errno(fd);
		fd = -1;
	}
	return fd;
}

static int reopen_dir(struct lcr_save *save)
{
	struct stat st;
	int fd = open_dir(save, &st);

	if (fd >= 0 && (st.st_dev != save->dir_stat.st_dev ||
			st.st_ino != save->dir_stat.st_ino)) {
		close(fd);
		errno = ESTALE;
		fd = -1;
	}
	return fd;
}

/* Only a regular file may be replaced: never a device, or what a link points to. */
static int check_target(int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -1;
	if (S_ISREG(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode))
		errno = EISDIR;
	else
		errno = S_ISLNK(st.st_mode) ? ELOOP : EINVAL;
	return -1;
}

/* A new temporary name: that of the file between a dot and eight digits. */
static int set_temp_name(struct lcr_save *save)
{
	unsigned int random;

	free(save->temp);
	save->temp = NULL;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -1;
	if (asprintf(&save->temp, ".%.*s.%08x", (int)(NAME_MAX - TEMP_EXTRA),
		     save->name, random) < 0) {
		save->temp = NULL;
		return -1;
	}
	return 0;
}

/* Forget a name that is not ours and must not be removed. */
static void drop_temp_name(struct lcr_save *save)
{
	free(save->temp);
	save->temp = NULL;
}

static int open_named(struct lcr_save *save, int dir_fd)
{
	int tries;

	for (tries = 0; tries < TEMP_TRIES; tries++) {
		if (set_temp_name(save))
			return -1;
		save->fd = openat(dir_fd, save->temp, O_WRONLY | O_CREAT | O_EXCL |
				  O_NOFOLLOW | O_CLOEXEC, IMAGE_MODE);
		if (save->fd >= 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	drop_temp_name(save);
	return -1;
}

int lcr_save_begin(struct lcr_save *save, const char *path)
{
	int dir_fd = -1;

	*save = (struct lcr_save){ .fd = -1, .pidfd = -1 };

	if (set_names(save, path))
		goto fail;
	dir_fd = open_dir(save, &save->dir_stat);
	if (dir_fd < 0 || check_target(dir_fd, save->name))
		goto fail;
	save->fd = openat(dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, IMAGE_MODE);
	if (save->fd < 0 && open_named(save, dir_fd))
		goto fail;
	close(dir_fd);
	return 0;

fail:
	close_keep_errno(dir_fd);
	lcr_save_discard(save);
	return -1;
}

/* Has the process been stopped by a signal? If that cannot be found out, no. */
static bool is_stopped(pid_t pid)
{
	char name[32], stat[512];
	char *end;
	FILE *file;
	size_t n;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	file = fopen(name, "re");
	if (!file)
		return false;
	n = fread(stat, 1, sizeof(stat) - 1, file);
	fclose(file);
	stat[n] = '\0';
	end = strrchr(stat, ')');
	return end && end[1] == ' ' && end[2] == 'T';
}

int lcr_save_checkpoint(struct lcr_save *save, pid_t pid,
			const struct ckpt_options *user_opts)
{
	struct ckpt_options opts;
	int ret;

	if (lcr_get_options(&opts, user_opts))
		return -1;
	opts.size = sizeof(opts);
	if ((opts.flags & CKPT_KILL) && (opts.flags & CKPT_LEAVE_STOPPED)) {
		errno = EINVAL;
		return -1;
	}
	if ((opts.flags & CKPT_KILL) && pid && pid != getpid()) {
		save->pidfd = pidfd_open(pid, 0);
		if (save->pidfd < 0)
			return -1;
		save->was_stopped = is_stopped(pid);
		save->stopped = true;
		opts.flags ^= CKPT_KILL | CKPT_LEAVE_STOPPED;
	}

	ret = ckpt_checkpoint(pid, save->fd, &opts);
	if (ret < 0) {
		save->stopped = false;
	} else if (ret == 1) {
		/* The restarted process, where the descriptor is /dev/null. */
		close(save->fd);
		free_names(save);
	}
	return ret;
}

/* Give the image without a name a temporary one. */
static int link_temp(struct lcr_save *save, int dir_fd)
{
	char fd_name[32];
	int tries;

	snprintf(fd_name, sizeof(fd_name), "/proc/self/fd/%d", save->fd);
	for (tries = 0; tries < TEMP_TRIES; tries++) {
		if (set_temp_name(save))
			return -1;
		/* Kernels before 6.10 want a capability for the former. */
		if (!linkat(save->fd, "", dir_fd, save->temp, AT_EMPTY_PATH) ||
		    !linkat(AT_FDCWD, fd_name, dir_fd, save->temp,
			    AT_SYMLINK_FOLLOW))
			return 0;
		if (errno != EEXIST)
			break;
	}
	drop_temp_name(save);
	return -1;
}

/* The new name has to be on stable storage too. */
static int sync_dir(const struct lcr_save *save, int dir_fd)
{
	int fd, ret;

	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)	/* a directory one may write to but not read */
		return syncfs(save->fd);
	ret = fsync(fd);
	close_keep_errno(fd);
	/* Some file systems have nothing to do for a directory. */
	return ret && errno != EINVAL ? -1 : 0;
}

/* Give the image its name, for good. */
static int publish(struct lcr_save *save)
{
	int dir_fd, ret = -1;

	if (fsync(save->fd))
		return -1;
	dir_fd = reopen_dir(save);
	if (dir_fd < 0)
		return -1;
	if (!save->temp && link_temp(save, dir_fd))
		goto out;
	if (renameat(dir_fd, save->temp, dir_fd, save->name))
		goto out;
	drop_temp_name(save);
	ret = sync_dir(save, dir_fd);
out:
	close_keep_errno(dir_fd);
	return ret;
}

int lcr_save_commit(struct lcr_save *save)
{
	struct pollfd ended = { .fd = save->pidfd, .events = POLLIN };

	if (publish(save))
		goto fail;
	if (save->stopped) {
		if (pidfd_send_signal(save->pidfd, SIGKILL, NULL, 0) &&
		    errno != ESRCH)
			goto fail;
		poll(&ended, 1, KILL_WAIT_MS);
		close(save->pidfd);
	}
	close(save->fd);
	free_names(save);
	return 0;

fail:
	lcr_save_discard(save);
	return -1;
}

void lcr_save_discard(struct lcr_save *save)
{
	int saved_errno = errno;
	int dir_fd;

	if (save->temp) {
		dir_fd = reopen_dir(save);
		if (dir_fd >= 0) {
			unlinkat(dir_fd, save->temp, 0);
			close(dir_fd);
		}
	}
	if (save->stopped && !save->was_stopped)
		pidfd_send_signal(save->pidfd, SIGCONT, NULL, 0);
	if (save->pidfd >= 0)
		close(save->pidfd);
	if (save->fd >= 0)
		close(save->fd);
	free_names(save);
	errno = saved_errno;
}

int ckpt_save(pid_t pid, const char *path, const struct ckpt_options *user_opts)
{
	int saved_errno = errno;
	struct ckpt_options opts;
	struct lcr_save save;
	int ret;

	if (lcr_get_options(&opts, user_opts))
		return -1;
	if (lcr_save_begin(&save, path))
		return -1;
	ret = lcr_save_checkpoint(&save, pid, user_opts);
	if (ret < 0)
		lcr_save_discard(&save);
	else if (ret == 0)
		ret = lcr_save_commit(&save);
	if (ret >= 0)
		errno = saved_errno;
	return ret;
}
