// SPDX-License-Identifier: LGPL-2.1
/*
 * Save an image to a file so that the file is complete or untouched.
 *
 * The image goes to a file without a name where the file system can do that
 * (O_TMPFILE): nothing is left behind then, however the writer ends. Elsewhere it
 * has a temporary name. Only when its contents are on stable storage it gets the
 * name it is meant to have; a power failure in the moment between the two can leave
 * a complete image with a temporary name.
 *
 * No descriptor but that of the image is open during the checkpoint, since a
 * process that saves itself would have it in its image. The directory is opened
 * again afterwards, and has to be the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
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
	free(save->link);
	free(save->temp);
	save->dir = NULL;
	save->name = NULL;
	save->link = NULL;
	save->temp = NULL;
}

int lcr_split_path(const char *path, char **dir, char **name)
{
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;
	char *given;

	*dir = NULL;
	*name = NULL;
	if (!*last) {
		errno = *path ? EISDIR : ENOENT;
		return -1;
	}
	if (!slash)
		given = strdup(".");
	else
		given = strndup(path, slash > path ? (size_t)(slash - path) : 1);
	if (!given)
		return -1;
	*dir = realpath(given, NULL);
	free(given);
	*name = strdup(last);
	return *dir && *name ? 0 : -1;
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

/* Open the file, the names being known. */
static int begin(struct lcr_save *save)
{
	int dir_fd;

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
	return -1;
}

int lcr_save_begin(struct lcr_save *save, const char *path)
{
	*save = (struct lcr_save){ .fd = -1, .pidfd = -1 };
	if (!lcr_split_path(path, &save->dir, &save->name) && !begin(save))
		return 0;
	lcr_save_discard(save);
	return -1;
}

int lcr_save_begin_next(struct lcr_save *save, const struct lcr_series *series)
{
	*save = (struct lcr_save){ .fd = -1, .pidfd = -1 };
	save->dir = strdup(series->dir);
	save->link = strdup(series->name);
	if (asprintf(&save->name, "%s.%06" PRIu64, series->name, series->next) < 0)
		save->name = NULL;
	if (save->dir && save->link && save->name && !begin(save))
		return 0;
	lcr_save_discard(save);
	return -1;
}

/* Is it an ancestor of the caller? */
static bool is_ancestor(pid_t pid)
{
	pid_t up = getppid();

	while (up && up != pid)
		if (!lcr_process_state(up, &up))
			return false;
	return up;
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
	/* It would be stopped itself, and never bring the image to safety. */
	if ((opts.flags & (CKPT_KILL | CKPT_LEAVE_STOPPED)) && !(opts.flags & CKPT_SINGLE) &&
	    pid && is_ancestor(pid)) {
		errno = EINVAL;
		return -1;
	}
	if ((opts.flags & (CKPT_KILL | CKPT_LEAVE_STOPPED)) && pid && pid != getpid()) {
		if (save->pidfd < 0) {
			save->pidfd = pidfd_open(pid, 0);
			if (save->pidfd < 0)
				return -1;
			save->was_stopped = lcr_process_state(pid, NULL) == 'T';
		}
		save->stopped = true;
		save->kill = opts.flags & CKPT_KILL;
		opts.flags = (opts.flags & ~CKPT_KILL) | CKPT_LEAVE_STOPPED;
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

int lcr_save_rewind(struct lcr_save *save)
{
	return ftruncate(save->fd, 0) || lseek(save->fd, 0, SEEK_SET) ? -1 : 0;
}

/* Give the image without a name one that does not exist. */
static int link_image(struct lcr_save *save, int dir_fd, const char *name)
{
	char fd_name[32];

	snprintf(fd_name, sizeof(fd_name), "/proc/self/fd/%d", save->fd);
	/* Kernels before 6.10 want a capability for the former. */
	if (!linkat(save->fd, "", dir_fd, name, AT_EMPTY_PATH))
		return 0;
	return linkat(AT_FDCWD, fd_name, dir_fd, name, AT_SYMLINK_FOLLOW);
}

/* Likewise, a temporary one */
static int link_temp(struct lcr_save *save, int dir_fd)
{
	int tries;

	for (tries = 0; tries < TEMP_TRIES; tries++) {
		if (set_temp_name(save))
			return -1;
		if (!link_image(save, dir_fd, save->temp))
			return 0;
		if (errno != EEXIST)
			break;
	}
	drop_temp_name(save);
	return -1;
}

int lcr_sync_dir(int dir_fd, int file_fd)
{
	int fd, ret;

	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)	/* a directory one may write to but not read */
		return file_fd >= 0 ? syncfs(file_fd) : -1;
	ret = fsync(fd);
	close_keep_errno(fd);
	/* Some file systems have nothing to do for a directory. */
	return ret && errno != EINVAL ? -1 : 0;
}

/*
 * Give the next image of a series its name, which nobody else may have: of two that
 * save the same FILE at a time one fails here, and no image is lost.
 */
static int publish_next(struct lcr_save *save, int dir_fd)
{
	if (!save->temp)
		return link_image(save, dir_fd, save->name);
	if (linkat(dir_fd, save->temp, dir_fd, save->name, 0))
		return -1;
	unlinkat(dir_fd, save->temp, 0);
	drop_temp_name(save);
	return 0;
}

/* Let the link point to the image, at once. */
static int move_link(struct lcr_save *save, int dir_fd)
{
	int tries;

	for (tries = 0; tries < TEMP_TRIES; tries++) {
		if (set_temp_name(save))
			return -1;
		if (!symlinkat(save->name, dir_fd, save->temp))
			break;
		if (errno != EEXIST) {
			drop_temp_name(save);
			return -1;
		}
	}
	if (renameat(dir_fd, save->temp, dir_fd, save->link))
		return -1;
	drop_temp_name(save);
	return 0;
}

/*
 * The image is on stable storage, with its name, before the link points to it; so
 * after a power failure the link points to the old image or to the new one, and
 * that is complete. An image that the link has not reached is of no use, but of no
 * harm either: its number is not given again.
 */
static int publish_in_series(struct lcr_save *save, int dir_fd)
{
	int saved_errno;

	if (publish_next(save, dir_fd))
		return -1;
	if (lcr_sync_dir(dir_fd, save->fd) || move_link(save, dir_fd)) {
		saved_errno = errno;
		unlinkat(dir_fd, save->name, 0);
		errno = saved_errno;
		return -1;
	}
	return lcr_sync_dir(dir_fd, save->fd);
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
	if (save->link) {
		ret = publish_in_series(save, dir_fd);
		goto out;
	}
	if (!save->temp && link_temp(save, dir_fd))
		goto out;
	if (renameat(dir_fd, save->temp, dir_fd, save->name))
		goto out;
	drop_temp_name(save);
	/* The new name has to be on stable storage too. */
	ret = lcr_sync_dir(dir_fd, save->fd);
out:
	close_keep_errno(dir_fd);
	return ret;
}

int lcr_save_commit(struct lcr_save *save)
{
	if (publish(save))
		goto fail;
	if (save->stopped) {
		if (save->kill && lcr_kill_tree(save->fd, save->pidfd))
			goto fail;
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
	if (save->stopped)
		lcr_continue_tree(save->fd, save->pidfd, save->was_stopped);
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
