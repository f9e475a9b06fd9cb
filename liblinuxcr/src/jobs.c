// SPDX-License-Identifier: LGPL-2.1
/*
 * The images in a directory, and which of them to restart after a failure.
 *
 * Anybody may be allowed to write to the directory, and a restart runs what is in the
 * image: so only images count that belong to the user, and that nobody else can write
 * to.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* So much earlier than the boot a file must have been changed not to be of this one */
#define BOOT_SLACK_S	2


__attribute__((format(printf, 3, 4)))
static void pass_over(const struct lcr_jobs *jobs, const char *path, const char *format, ...)
{
	va_list args;
	char *why;

	va_start(args, format);
	if (vasprintf(&why, format, args) < 0)
		why = NULL;
	va_end(args);
	jobs->passed_over(path, why ? why : "out of memory");
	free(why);
}

/* Can we trust what is in it? */
static bool is_ours(const struct lcr_jobs *jobs, const char *path, const struct stat *st)
{
	if (st->st_uid != geteuid())
		pass_over(jobs, path, "belongs to user %u, who may restart it",
			  (unsigned int)st->st_uid);
	else if (st->st_mode & 0022)
		pass_over(jobs, path, "others may write to it (mode %04o)",
			  (unsigned int)st->st_mode & 07777);
	else
		return true;
	return false;
}

/* The process ID of the root process; 0, or -1 and a message in *error */
static int read_pid(int fd, struct lcr_job_image *image, char **error)
{
	const struct ckpt_record *record;
	struct ckpt_image *reader;
	int ret;

	reader = ckpt_image_fdopen(fd, CKPT_IMAGE_SKIP_DATA, error);
	if (!reader)
		return -1;
	image->header = *ckpt_image_header(reader);
	while ((ret = ckpt_image_next(reader, &record)) > 0) {
		const struct ckpt_process *process = record->payload;

		if (record->type != CKPT_REC_PROCESS ||
		    record->objref != image->header.root)
			continue;
		image->pid = process->pid;
		break;
	}
	if (ret < 0)
		lcr_error(error, errno, "%s", ckpt_image_error(reader));
	else if (!ret)
		ret = lcr_error(error, EBADMSG, "there is no process in it");
	ckpt_image_close(reader);
	return ret < 0 ? -1 : 0;
}

/* What is no image at all is nobody's business. Returns -1 without memory. */
static int add_image(struct lcr_jobs *jobs, int fd, char *path)
{
	struct lcr_job_image image = { .path = path }, *new;
	char *error = NULL;

	if (read_pid(fd, &image, &error)) {
		if (errno != ENOEXEC)
			pass_over(jobs, path, "%s", error ? error : strerror(errno));
		free(error);
		free(path);
		return 0;
	}
	new = reallocarray(jobs->images, jobs->nr_images + 1, sizeof(*new));
	if (!new) {
		free(path);
		return -1;
	}
	image.time_ns = image.header.time_ns;
	jobs->images = new;
	new[jobs->nr_images++] = image;
	return 0;
}

/* Does it begin as an image does, or has none of it reached the disk? */
static bool begins_as_image(int fd, off_t size)
{
	static const char magic[] = CKPT_IMAGE_MAGIC;
	char begin[sizeof(struct ckpt_rec) + sizeof(magic) - 1];

	if (pread(fd, begin, sizeof(begin), 0) == sizeof(begin) &&
	    !memcmp(begin + sizeof(struct ckpt_rec), magic, sizeof(magic) - 1))
		return true;
	return !size || (lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO);
}

static bool before_boot(const struct timespec *time)
{
	struct timespec now, up;

	return !clock_gettime(CLOCK_REALTIME, &now) && !clock_gettime(CLOCK_BOOTTIME, &up) &&
	       time->tv_sec < now.tv_sec - up.tv_sec - BOOT_SLACK_S;
}

/* The kernel's temporary name of an image: .NAME.XXXXXXXX.tmp */
static bool is_temp(const char *name)
{
	const size_t length = strlen(name), extra = strlen(".01234567.tmp");
	const char *end = name + length - extra;

	return *name == '.' && length > 1 + extra && *end == '.' &&
	       strspn(end + 1, "0123456789abcdef") == 8 && !strcmp(end + 9, ".tmp");
}

/* What the kernel was writing when the machine went down */
static void remove_stale(const struct lcr_jobs *jobs, const char *path, int dir_fd,
			 const char *name, int fd, const struct stat *st)
{
	if (st->st_uid == geteuid() && before_boot(&st->st_mtim) &&
	    begins_as_image(fd, st->st_size) && !unlinkat(dir_fd, name, 0))
		pass_over(jobs, path, "removed: it was being written when the machine went down");
}

static int read_file(struct lcr_jobs *jobs, const char *dir, int dir_fd, const char *name)
{
	struct stat st;
	int fd, ret = 0;
	char *path;

	if ((*name == '.' && !is_temp(name)) ||
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return 0;
	if (asprintf(&path, "%s/%s", strcmp(dir, "/") ? dir : "", name) < 0)
		return -1;
	if (!is_temp(name) && !is_ours(jobs, path, &st))
		goto out;
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0) {
		if (!is_temp(name))
			pass_over(jobs, path, "%s", strerror(errno));
		goto out;
	}
	/* Not what was there a moment ago */
	if (!fstat(fd, &st) && is_temp(name)) {
		remove_stale(jobs, path, dir_fd, name, fd, &st);
	} else if (is_ours(jobs, path, &st)) {
		ret = add_image(jobs, fd, path);
		path = NULL;
	}
	close(fd);
out:
	free(path);
	return ret;
}

static int by_sequence(const void *left, const void *right)
{
	const struct lcr_job_image *a = left, *b = right;

	return a->header.sequence < b->header.sequence ? -1 :
	       a->header.sequence > b->header.sequence;
}

static int newest_first(const void *left, const void *right)
{
	const struct lcr_job_image *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns > b->time_ns ? -1 : 1;
	if (a->header.sequence != b->header.sequence)
		return -by_sequence(a, b);
	return strcmp(a->path, b->path);
}

/* An increment is newer than what it was based on, whatever the clock was set to. */
static void correct_times(struct lcr_jobs *jobs)
{
	struct lcr_job_image *child, *parent, *end = jobs->images + jobs->nr_images;

	qsort(jobs->images, jobs->nr_images, sizeof(*jobs->images), by_sequence);
	for (child = jobs->images; child < end; child++) {
		if (!child->header.sequence)
			continue;
		for (parent = jobs->images; parent < child; parent++)
			if (!memcmp(parent->header.uuid, child->header.parent_uuid,
				    CKPT_UUID_SIZE) && child->time_ns < parent->time_ns)
				child->time_ns = parent->time_ns;
	}
}

bool lcr_same_job(const struct lcr_job_image *a, const struct lcr_job_image *b)
{
	return a->pid == b->pid &&
	       !memcmp(a->header.comm, b->header.comm, sizeof(a->header.comm));
}

static void find_jobs(struct lcr_jobs *jobs)
{
	size_t i, k;

	for (i = 0; i < jobs->nr_images; i++) {
		for (k = 0; k < i; k++)
			if (lcr_same_job(&jobs->images[k], &jobs->images[i]))
				break;
		jobs->images[i].newest = k == i;
	}
}

int lcr_jobs_read(struct lcr_jobs *jobs, const char *dir,
		  void (*passed_over)(const char *path, const char *why))
{
	int saved_errno = errno, ret = 0;
	struct dirent *entry;
	DIR *stream;

	*jobs = (struct lcr_jobs){ .passed_over = passed_over };
	stream = opendir(dir);
	if (!stream)
		return -1;
	while (!ret && (errno = 0, entry = readdir(stream)))
		ret = read_file(jobs, dir, dirfd(stream), entry->d_name);
	if (!entry && errno)
		ret = -1;
	if (ret)
		saved_errno = errno;
	closedir(stream);
	if (ret) {
		lcr_jobs_free(jobs);
	} else if (jobs->nr_images) {
		correct_times(jobs);
		qsort(jobs->images, jobs->nr_images, sizeof(*jobs->images), newest_first);
		find_jobs(jobs);
	}
	errno = saved_errno;
	return ret;
}

void lcr_jobs_free(struct lcr_jobs *jobs)
{
	size_t i;

	for (i = 0; i < jobs->nr_images; i++)
		free(jobs->images[i].path);
	free(jobs->images);
	*jobs = (struct lcr_jobs){ };
}

/* The chain of an image, if it can be trusted and restarted */
static struct ckpt_chain *good_chain(const struct lcr_jobs *jobs,
				     const struct lcr_job_image *image,
				     const char *const *dirs)
{
	const struct ckpt_chain_image *member;
	struct ckpt_chain *chain;
	char *error = NULL;
	struct stat st;
	size_t i;

	chain = ckpt_chain_open(image->path, dirs, &error);
	if (!chain) {
		pass_over(jobs, image->path, "%s", error ? error : strerror(errno));
		free(error);
		return NULL;
	}
	for (i = 0; (member = ckpt_chain_image(chain, i)); i++)
		if (fstat(member->fd, &st) || !S_ISREG(st.st_mode) ||
		    !is_ours(jobs, member->path, &st))
			break;
	if (member) {
		if (i)
			pass_over(jobs, image->path, "needs %s", member->path);
	} else if (ckpt_chain_verify(chain)) {
		pass_over(jobs, image->path, "%s", ckpt_chain_error(chain));
	} else {
		return chain;
	}
	ckpt_chain_close(chain);
	return NULL;
}

struct ckpt_chain *lcr_jobs_chain(const struct lcr_jobs *jobs, size_t first,
				  const char *const *dirs)
{
	struct ckpt_chain *chain = NULL;
	size_t i;

	for (i = first; i < jobs->nr_images && !chain; i++)
		if (lcr_same_job(&jobs->images[i], &jobs->images[first]))
			chain = good_chain(jobs, &jobs->images[i], dirs);
	return chain;
}
