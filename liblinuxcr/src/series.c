// SPDX-License-Identifier: LGPL-2.1
/*
 * Images that follow each other: FILE.000001, FILE.000002 and so on, with FILE as a
 * symbolic link to the newest. What is no longer needed can be removed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define MIN_DIGITS 6

uint64_t lcr_series_number(const char *name, const char *member)
{
	const size_t length = strlen(name);
	const char *digits = member + length + 1;
	uint64_t number;
	char *end;

	if (strncmp(member, name, length) || member[length] != '.' ||
	    strspn(digits, "0123456789") != strlen(digits) || strlen(digits) < MIN_DIGITS ||
	    (*digits == '0' && strlen(digits) > MIN_DIGITS))
		return 0;
	errno = 0;
	number = strtoull(digits, &end, 10);
	return errno || number == UINT64_MAX ? 0 : number;
}

/* What FILE points to; errno is 0 if there is no FILE. */
static char *read_link(int dir_fd, const char *name)
{
	char target[NAME_MAX + 2];
	ssize_t n;

	n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	if (n < 0) {
		if (errno == ENOENT)
			errno = 0;
		else if (errno == EINVAL)	/* not a link */
			errno = EEXIST;
		return NULL;
	}
	target[n] = '\0';
	if (!lcr_series_number(name, target)) {
		errno = EEXIST;
		return NULL;
	}
	return strdup(target);
}

static int find_next(struct lcr_series *series, DIR *stream)
{
	struct dirent *entry;
	uint64_t number;

	series->next = series->newest ?
		       lcr_series_number(series->name, series->newest) + 1 : 1;
	errno = 0;
	while ((entry = readdir(stream))) {
		number = lcr_series_number(series->name, entry->d_name);
		if (number >= series->next)
			series->next = number + 1;
		errno = 0;
	}
	return errno ? -1 : 0;
}

int lcr_series_open(struct lcr_series *series, const char *path)
{
	int saved_errno = errno, ret = -1;
	DIR *stream = NULL;

	*series = (struct lcr_series){ };
	if (lcr_split_path(path, &series->dir, &series->name))
		goto out;
	stream = opendir(series->dir);
	if (!stream)
		goto out;
	series->newest = read_link(dirfd(stream), series->name);
	if (!series->newest && errno)
		goto out;
	ret = find_next(series, stream);
out:
	if (ret)
		saved_errno = errno;
	if (stream)
		closedir(stream);
	if (ret)
		lcr_series_close(series);
	errno = saved_errno;
	return ret;
}

void lcr_series_close(struct lcr_series *series)
{
	free(series->dir);
	free(series->name);
	free(series->newest);
	*series = (struct lcr_series){ };
}

/**
 * struct member - an image of a series
 * @name:	FILE.NNNNNN
 * @number:	NNNNNN
 * @header:	its header
 * @parent:	its parent; NULL if that is not there, or it is full
 * @complete:	it ends as it has to
 * @needed:	it stays
 */
struct member {
	char *name;
	uint64_t number;
	struct ckpt_header header;
	struct member *parent;
	bool complete;
	bool needed;
};

struct members {
	struct member *all;
	size_t count;
	size_t space;
};

/* Whoever wrote it got to its end, and nothing was lost there. */
static bool is_complete(int fd, const struct ckpt_header *header)
{
	struct ckpt_trailer_end end;
	struct stat st;

	return !fstat(fd, &st) && st.st_size >= (off_t)sizeof(end) &&
	       pread(fd, &end, sizeof(end), st.st_size - sizeof(end)) == sizeof(end) &&
	       !memcmp(end.magic, CKPT_TRAILER_MAGIC, sizeof(end.magic)) &&
	       !memcmp(end.uuid, header->uuid, sizeof(end.uuid)) &&
	       end.image_bytes == (uint64_t)st.st_size;
}

/* What cannot be read as an image is none of ours, and stays. */
static int add_member(struct members *members, int dir_fd, const char *name,
		      uint64_t number)
{
	struct ckpt_header header;
	bool complete = false;
	struct member *new;
	int fd, ret;

	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	ret = lcr_read_header(fd, &header, NULL);
	if (!ret)
		complete = is_complete(fd, &header);
	close(fd);
	if (ret)
		return 0;
	if (members->count == members->space) {
		members->space = members->space ? 2 * members->space : 64;
		new = reallocarray(members->all, members->space, sizeof(*new));
		if (!new)
			return -1;
		members->all = new;
	}
	new = &members->all[members->count];
	*new = (struct member){
		.name = strdup(name),
		.number = number,
		.header = header,
		.complete = complete,
	};
	if (!new->name)
		return -1;
	members->count++;
	return 0;
}

static int read_members(struct members *members, const struct lcr_series *series,
			DIR *stream)
{
	struct dirent *entry;
	uint64_t number;

	while (errno = 0, (entry = readdir(stream))) {
		number = lcr_series_number(series->name, entry->d_name);
		if (number && add_member(members, dirfd(stream), entry->d_name, number))
			return -1;
	}
	return errno ? -1 : 0;
}

static void free_members(struct members *members)
{
	size_t i;

	for (i = 0; i < members->count; i++)
		free(members->all[i].name);
	free(members->all);
}

static int newest_first(const void *left, const void *right)
{
	const struct member *a = left, *b = right;

	return a->number > b->number ? -1 : a->number < b->number;
}

static void find_parents(struct members *members)
{
	size_t i, k;

	for (i = 0; i < members->count; i++) {
		struct member *child = &members->all[i];

		for (k = 0; k < members->count && child->header.sequence; k++) {
			struct member *parent = &members->all[k];

			if (parent->header.sequence + 1 == child->header.sequence &&
			    !memcmp(parent->header.uuid, child->header.parent_uuid,
				    CKPT_UUID_SIZE)) {
				child->parent = parent;
				break;
			}
		}
	}
}

/* An image stays, and all that it needs. Can it be restarted? */
static bool keep_chain(struct member *member)
{
	bool complete = true;

	for (; ; member = member->parent) {
		member->needed = true;
		complete = complete && member->complete;
		if (!member->header.sequence)
			return complete;
		if (!member->parent)
			return false;
	}
}

static int children_first(const void *left, const void *right)
{
	const struct member *a = *(struct member * const *)left;
	const struct member *b = *(struct member * const *)right;

	if (a->header.sequence != b->header.sequence)
		return a->header.sequence > b->header.sequence ? -1 : 1;
	return a->number > b->number ? -1 : a->number < b->number;
}

/*
 * Remove the images that are not needed, the highest sequence number first.
 *
 * What stays is closed under "parent of": with an image all that it needs stays. So
 * the children of an image to be removed are to be removed too; they have a higher
 * sequence number, and go before it. Hence at any moment:
 *
 * - between two removals, each image there is has all the parents it had before, so
 *   whatever could be restarted and is still there can be;
 * - a removal itself is atomic: the name is there or is not;
 * - a power failure finds on stable storage what there was at one of these moments,
 *   since the directory is brought there after each removal. Without that the file
 *   system may forget a child's removal and remember its parent's;
 * - FILE was moved to the newest image, on stable storage, before; and what FILE
 *   points to is needed, be it the newest or not, so nothing is removed from below it.
 *
 * Whoever comes next decides anew by what there is then, and removes the rest.
 */
static int remove_others(struct members *members, int dir_fd, size_t *removed)
{
	struct member **list = calloc(members->count + 1, sizeof(*list));
	size_t i, count = 0;
	int ret = -1;

	if (!list)
		return -1;
	for (i = 0; i < members->count; i++)
		if (!members->all[i].needed)
			list[count++] = &members->all[i];
	qsort(list, count, sizeof(*list), children_first);
	for (i = 0; i < count; i++) {
		if (unlinkat(dir_fd, list[i]->name, 0) && errno != ENOENT)
			goto out;
		++*removed;
		if (lcr_sync_dir(dir_fd, -1))
			goto out;
	}
	ret = 0;
out:
	free(list);
	return ret;
}

/* Images that cannot be restarted do not count, and go when the others are enough. */
static void mark_needed(struct members *members, const char *newest, size_t keep)
{
	size_t i;

	qsort(members->all, members->count, sizeof(*members->all), newest_first);
	find_parents(members);
	for (i = 0; i < members->count && keep; i++)
		if (keep_chain(&members->all[i]))
			keep--;
	for (i = 0; i < members->count; i++)
		if (!strcmp(members->all[i].name, newest))
			keep_chain(&members->all[i]);
}

int lcr_series_retain(const struct lcr_series *series, size_t keep, size_t *removed)
{
	struct members members = { };
	int saved_errno = errno, ret = -1;
	char *newest = NULL;
	DIR *stream;

	*removed = 0;
	stream = opendir(series->dir);
	if (!stream)
		return -1;
	/* Not what it was in the beginning, nor what it was meant to be. */
	newest = read_link(dirfd(stream), series->name);
	if (!newest) {
		if (!errno)
			errno = ENOENT;
		goto out;
	}
	if (read_members(&members, series, stream))
		goto out;
	mark_needed(&members, newest, keep);
	ret = remove_others(&members, dirfd(stream), removed);
out:
	if (ret)
		saved_errno = errno;
	closedir(stream);
	free_members(&members);
	free(newest);
	errno = saved_errno;
	return ret;
}
