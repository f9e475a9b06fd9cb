// SPDX-License-Identifier: LGPL-2.1
/*
 * Chains: an increment, its parent, the parent's parent and so on to the full image.
 *
 * An image knows its parent by the UUID only, and that is how it is looked for: names
 * do not matter. Every step goes to the next lower sequence number, so a chain ends.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define TIME_TEXT_SIZE	32

int lcr_error(char **error, int number, const char *format, ...)
{
	va_list args;

	if (error) {
		va_start(args, format);
		if (vasprintf(error, format, args) < 0)
			*error = NULL;
		va_end(args);
	}
	errno = number;
	return -1;
}

char *lcr_uuid_text(const uint8_t *uuid, char *text)
{
	char *p = text;
	size_t i;

	for (i = 0; i < CKPT_UUID_SIZE; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", uuid[i]);
	}
	return text;
}

static const char *time_text(uint64_t ns, char *text)
{
	time_t seconds = ns / 1000000000;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) ||
	    !strftime(text, TIME_TEXT_SIZE, "%Y-%m-%d %H:%M:%S UTC", &tm))
		strcpy(text, "?");
	return text;
}

int lcr_read_header(int fd, struct ckpt_header *header, char **error)
{
	struct ckpt_image *image;
	char *reason = NULL;
	struct stat st;
	off_t start;
	int ret;

	if (error)
		*error = NULL;
	if (fstat(fd, &st))
		return lcr_error(error, errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return lcr_error(error, EINVAL, "not a regular file");
	start = lseek(fd, 0, SEEK_CUR);
	if (start < 0)
		return lcr_error(error, errno, "%s", strerror(errno));
	image = ckpt_image_fdopen(fd, CKPT_IMAGE_SKIP_DATA, &reason);
	if (image) {
		*header = *ckpt_image_header(image);
		ckpt_image_close(image);
		ret = 0;
	} else {
		ret = lcr_error(error, errno, "%s", reason ? reason : strerror(errno));
		free(reason);
	}
	if (lseek(fd, start, SEEK_SET) != start && !ret)
		ret = lcr_error(error, errno, "%s", strerror(errno));
	return ret;
}

/**
 * struct candidate - an image that was met in a search
 * @path:	where
 * @uuid:	its UUID
 */
struct candidate {
	char *path;
	uint8_t uuid[CKPT_UUID_SIZE];
};

/**
 * struct search - a search for images by their UUIDs
 * @own_dir:	where it begins
 * @stem:	files whose names begin like that are read first
 * @dirs:	where it goes on; ends with NULL, or is NULL
 * @stage:	what comes next: 0 and 1 the files in @own_dir with and without @stem,
 *		from 2 on @dirs
 * @images:	what was found so far
 * @nr_images:	their number
 * @space:	elements allocated
 * @bad:	about one that could not be read; NULL if there was none
 */
struct search {
	char *own_dir;
	char *stem;
	const char *const *dirs;
	size_t stage;
	struct candidate *images;
	size_t nr_images;
	size_t space;
	char *bad;
};

static void end_search(struct search *search)
{
	size_t i;

	for (i = 0; i < search->nr_images; i++)
		free(search->images[i].path);
	free(search->images);
	free(search->own_dir);
	free(search->stem);
	free(search->bad);
}

/* The last part of a path without what follows its last dot */
static char *stem_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && dot > name ? strndup(name, dot - name) : strdup(name);
}

static int add_candidate(struct search *search, const char *dir, const char *name,
			 const struct ckpt_header *header)
{
	struct candidate *new;

	if (search->nr_images == search->space) {
		search->space = search->space ? 2 * search->space : 16;
		new = reallocarray(search->images, search->space, sizeof(*new));
		if (!new)
			return -1;
		search->images = new;
	}
	new = &search->images[search->nr_images];
	if (asprintf(&new->path, "%s/%s", strcmp(dir, "/") ? dir : "", name) < 0)
		return -1;
	memcpy(new->uuid, header->uuid, sizeof(new->uuid));
	search->nr_images++;
	return 0;
}

static void drop(char **text)
{
	free(*text);
	*text = NULL;
}

/* Look at one file; only a lack of memory is a failure. */
static int try_file(struct search *search, const char *dir, int dir_fd, const char *name)
{
	struct ckpt_header header;
	char *reason = NULL;
	struct stat st;
	int fd, ret = 0;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return 0;
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0) {
		reason = strdup(strerror(errno));
	} else {
		if (!lcr_read_header(fd, &header, &reason))
			ret = add_candidate(search, dir, name, &header);
		else if (errno == ENOEXEC || errno == EINVAL)
			drop(&reason);	/* not an image */
		close(fd);
	}
	if (reason && !search->bad &&
	    asprintf(&search->bad, "%s/%s: %s", dir, name, reason) < 0)
		search->bad = NULL;
	free(reason);
	return ret;
}

/* Look at the files in a directory whose names do, or do not, begin with @stem. */
static int scan_dir(struct search *search, const char *dir, const char *stem, bool begins)
{
	struct dirent *entry;
	DIR *stream;
	int ret = 0;

	stream = opendir(dir);
	if (!stream) {
		if (!search->bad &&
		    asprintf(&search->bad, "%s: %s", dir, strerror(errno)) < 0)
			search->bad = NULL;
		return 0;
	}
	while (!ret && (entry = readdir(stream)))
		if (!stem || !strncmp(entry->d_name, stem, strlen(stem)) == begins)
			ret = try_file(search, dir, dirfd(stream), entry->d_name);
	closedir(stream);
	return ret;
}

/* Returns 0 when there is nothing more to scan, 1, or -1 without memory. */
static int scan_more(struct search *search)
{
	const char *dir;

	if (search->stage < 2)
		return scan_dir(search, search->own_dir, search->stem,
				search->stage++ == 0) ? -1 : 1;
	if (!search->dirs)
		return 0;
	dir = search->dirs[search->stage - 2];
	if (!dir)
		return 0;
	search->stage++;
	return scan_dir(search, dir, NULL, true) ? -1 : 1;
}

/* The path of an image; NULL with ENOENT or ENOMEM */
static const char *find_image(struct search *search, const uint8_t *uuid)
{
	size_t i = 0;
	int ret;

	do {
		for (; i < search->nr_images; i++)
			if (!memcmp(search->images[i].uuid, uuid, CKPT_UUID_SIZE))
				return search->images[i].path;
		ret = scan_more(search);
	} while (ret > 0);
	errno = ret ? ENOMEM : ENOENT;
	return NULL;
}

/* What is missing, and where it was looked for */
static int parent_missing(const struct search *search, const struct lcr_chain_image *child,
			  char **error)
{
	char uuid[LCR_UUID_TEXT_SIZE], time[TIME_TEXT_SIZE];
	char *dirs = strdup(search->own_dir), *more;
	size_t i;

	for (i = 0; dirs && search->dirs && search->dirs[i]; i++) {
		if (asprintf(&more, "%s, %s", dirs, search->dirs[i]) < 0)
			more = NULL;
		free(dirs);
		dirs = more;
	}
	lcr_error(error, ENOENT,
		  "image %s is missing, the parent of %s: number %" PRIu64
		  " of its chain, taken before %s. It is none of the %zu images in %s%s%s%s",
		  lcr_uuid_text(child->header.parent_uuid, uuid), child->image.path,
		  (uint64_t)child->header.sequence - 1,
		  time_text(child->header.time_ns, time), search->nr_images,
		  dirs ? dirs : search->own_dir, search->bad ? " (" : "",
		  search->bad ? search->bad : "", search->bad ? ")" : "");
	free(dirs);
	return -1;
}

/* Add the image at @path, which is for free(). */
static struct lcr_chain_image *add_image(struct ckpt_chain *chain, char *path, char **error)
{
	struct lcr_chain_image *image = NULL, **images;
	char *reason = NULL;

	if (chain->nr_images == chain->space) {
		chain->space = chain->space ? 2 * chain->space : 16;
		images = reallocarray(chain->images, chain->space, sizeof(*images));
		if (!images)
			goto out_of_memory;
		chain->images = images;
	}
	image = calloc(1, sizeof(*image));
	if (!image || !path)
		goto out_of_memory;
	chain->images[chain->nr_images++] = image;
	image->image.path = path;
	image->image.header = &image->header;
	image->image.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (image->image.fd < 0) {
		lcr_error(error, errno, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (lcr_read_header(image->image.fd, &image->header, &reason)) {
		lcr_error(error, errno, "%s: %s", path,
			  reason ? reason : strerror(errno));
		free(reason);
		return NULL;
	}
	return image;

out_of_memory:
	free(image);
	free(path);
	lcr_error(error, ENOMEM, "out of memory");
	return NULL;
}

/* It has the UUID: does it have the rest that a parent has to have? */
static int check_parent(const struct lcr_chain_image *child,
			const struct lcr_chain_image *parent, char **error)
{
	if (memcmp(parent->header.uuid, child->header.parent_uuid, CKPT_UUID_SIZE))
		return lcr_error(error, ESTALE, "%s: changed meanwhile", parent->image.path);
	if (parent->header.sequence + 1 != child->header.sequence)
		return lcr_error(error, EBADMSG,
				 "%s: number %" PRIu64 " of its chain; as the parent of %s it"
				 " should be number %" PRIu64,
				 parent->image.path, (uint64_t)parent->header.sequence,
				 child->image.path, (uint64_t)child->header.sequence - 1);
	if (parent->header.page_size != child->header.page_size ||
	    parent->header.arch != child->header.arch)
		return lcr_error(error, EBADMSG,
				 "%s: from another kind of machine than %s, whose parent it is",
				 parent->image.path, child->image.path);
	return 0;
}

static int find_parents(struct ckpt_chain *chain, struct search *search, char **error)
{
	struct lcr_chain_image *child, *parent;
	const char *path;

	for (child = chain->images[0]; child->header.sequence; child = parent) {
		path = find_image(search, child->header.parent_uuid);
		if (!path && errno == ENOENT)
			return parent_missing(search, child, error);
		if (!path)
			return lcr_error(error, errno, "%s", strerror(errno));
		parent = add_image(chain, strdup(path), error);
		if (!parent || check_parent(child, parent, error))
			return -1;
	}
	return 0;
}

static void move_error(struct ckpt_chain *chain, char *error)
{
	free(chain->error);
	chain->error = error;
}

struct ckpt_chain *lcr_chain_find(const char *path, const char *const *dirs, char **error)
{
	struct search search = { .dirs = dirs };
	struct ckpt_chain *chain = NULL;
	char *real, *name = NULL;
	int saved_errno = errno;
	int ret = -1;

	if (error)
		*error = NULL;
	real = realpath(path, NULL);
	if (!real) {
		lcr_error(error, errno, "%s", strerror(errno));
		return NULL;
	}
	chain = calloc(1, sizeof(*chain));
	if (!chain || lcr_split_path(real, &search.own_dir, &name)) {
		lcr_error(error, ENOMEM, "out of memory");
		goto out;
	}
	search.stem = stem_of(name);
	if (!search.stem) {
		lcr_error(error, ENOMEM, "out of memory");
		goto out;
	}
	/* The user knows the newest image by the name he gave. */
	if (add_image(chain, real, error))
		ret = find_parents(chain, &search, error);
	real = NULL;
out:
	if (ret) {
		saved_errno = errno;
		ckpt_chain_close(chain);
		chain = NULL;
	}
	end_search(&search);
	free(name);
	free(real);
	errno = saved_errno;
	return chain;
}

uint32_t lcr_parent_object(const struct ckpt_chain *chain, size_t level, uint32_t objref)
{
	const struct lcr_page_table *table = &chain->images[level]->table;
	const struct lcr_object *object = NULL;
	size_t i;

	for (i = 0; i < table->nr_objects; i++)
		if (table->objects[i].objref == objref)
			object = &table->objects[i];
	if (!object || !object->id || level + 1 == chain->nr_images)
		return 0;
	table = &chain->images[level + 1]->table;
	for (i = 0; i < table->nr_objects; i++)
		if (table->objects[i].id == object->id &&
		    table->objects[i].type == object->type)
			return table->objects[i].objref;
	return 0;
}

struct ckpt_chain *ckpt_chain_open(const char *path, const char *const *dirs, char **error)
{
	int saved_errno = errno;
	struct ckpt_chain *chain = lcr_chain_find(path, dirs, error);
	size_t i;

	if (!chain)
		return NULL;
	for (i = 0; i < chain->nr_images; i++) {
		if (lcr_read_table(chain->images[i], error)) {
			saved_errno = errno;
			ckpt_chain_close(chain);
			errno = saved_errno;
			return NULL;
		}
	}
	errno = saved_errno;
	return chain;
}

void ckpt_chain_close(struct ckpt_chain *chain)
{
	int saved_errno = errno;
	size_t i;

	if (!chain)
		return;
	for (i = 0; i < chain->nr_images; i++) {
		struct lcr_chain_image *image = chain->images[i];

		if (image->image.fd >= 0)
			close(image->image.fd);
		lcr_free_table(&image->table);
		free((char *)image->image.path);
		free(image);
	}
	free(chain->images);
	free(chain->error);
	free(chain);
	errno = saved_errno;
}

const struct ckpt_chain_image *ckpt_chain_image(const struct ckpt_chain *chain, size_t i)
{
	return i < chain->nr_images ? &chain->images[i]->image : NULL;
}

const char *ckpt_chain_error(const struct ckpt_chain *chain)
{
	return chain->error;
}

static int verify_image(const struct lcr_chain_image *image, char **error)
{
	const struct ckpt_chain_image *user = &image->image;
	struct ckpt_image *reader;
	char *reason = NULL;
	struct stat st;
	int ret = 0;

	reader = ckpt_image_fdopen(user->fd, 0, &reason);
	if (!reader) {
		ret = lcr_error(error, errno, "%s: %s", user->path,
				reason ? reason : strerror(errno));
		free(reason);
		return ret;
	}
	if (ckpt_image_verify(reader))
		ret = lcr_error(error, errno, "%s: %s", user->path,
				ckpt_image_error(reader));
	ckpt_image_close(reader);
	if (ret)
		return -1;
	if (lseek(user->fd, 0, SEEK_SET) || fstat(user->fd, &st))
		return lcr_error(error, errno, "%s: %s", user->path, strerror(errno));
	if ((uint64_t)st.st_size != user->bytes)
		return lcr_error(error, EBADMSG,
				 "%s: %" PRIu64 " bytes follow the end of the image",
				 user->path, (uint64_t)st.st_size - user->bytes);
	return 0;
}

/* Does the parent say something of all pages from @addr to @end? */
static int verify_run(struct lcr_cursor *parent, const struct lcr_chain_image *child,
		      uint64_t addr, uint64_t end, char **error)
{
	int ret;

	for (; addr < end; addr = parent->end) {
		ret = lcr_cursor_seek(parent, addr, error);
		if (ret < 0)
			return -1;
		if (!ret || parent->run->addr > addr)
			return lcr_error(error, EBADMSG,
					 "%s: has no page at address 0x%" PRIx64
					 ", which %s leaves to it",
					 parent->image->image.path, addr, child->image.path);
	}
	return 0;
}

/* Are all pages there that an object of image @level leaves to its parent? */
static int verify_object(struct ckpt_chain *chain, size_t level, uint32_t objref,
			 struct lcr_cursor *cursor, struct lcr_cursor *parent, char **error)
{
	const struct lcr_chain_image *image = chain->images[level];
	bool found = false;
	uint64_t addr;
	int ret;

	lcr_cursor_start(cursor, image, objref);
	for (addr = 0; (ret = lcr_cursor_seek(cursor, addr, error)) > 0; addr = cursor->end) {
		if (cursor->run->kind != CKPT_RUN_PARENT)
			continue;
		if (!found) {
			uint32_t there = lcr_parent_object(chain, level, objref);

			if (!there)
				return lcr_error(error, EBADMSG,
						 "%s: object %" PRIu32
						 " has pages of the parent, which has no such object",
						 image->image.path, objref);
			lcr_cursor_start(parent, chain->images[level + 1], there);
			found = true;
		}
		if (verify_run(parent, image, cursor->run->addr, cursor->end, error))
			return -1;
	}
	return ret;
}

int ckpt_chain_verify(struct ckpt_chain *chain)
{
	struct lcr_cursor cursor = { }, parent = { };
	int saved_errno = errno, ret = 0;
	char *error = NULL;
	size_t level, i;

	for (level = 0; level < chain->nr_images && !ret; level++) {
		const struct lcr_page_table *table = &chain->images[level]->table;

		ret = verify_image(chain->images[level], &error);
		for (i = 0; i < table->nr_places && !ret; i++)
			if (!i || table->places[i].objref != table->places[i - 1].objref)
				ret = verify_object(chain, level, table->places[i].objref,
						    &cursor, &parent, &error);
	}
	lcr_cursor_free(&cursor);
	lcr_cursor_free(&parent);
	if (!ret)
		errno = saved_errno;
	move_error(chain, error);
	return ret;
}

/* Read the header of the image in @fd, number @i of the descriptors given. */
static int read_parent(int fd, size_t i, struct ckpt_header *header, char **error)
{
	char *reason = NULL;
	int ret;

	ret = lcr_read_header(fd, header, &reason);
	if (ret)
		lcr_error(error, errno, "parent %zu (descriptor %d): %s", i + 1, fd,
			  reason ? reason : strerror(errno));
	free(reason);
	return ret;
}

int lcr_check_parents(int fd, const int *parents, size_t nr_parents, char **error)
{
	char wanted[LCR_UUID_TEXT_SIZE], found[LCR_UUID_TEXT_SIZE], time[TIME_TEXT_SIZE];
	struct ckpt_header child, parent;
	int saved_errno = errno;
	bool known;
	size_t i;

	if (!nr_parents)
		return 0;
	known = !lcr_read_header(fd, &child, NULL);	/* not from a pipe */
	for (i = 0; i < nr_parents; i++) {
		if (read_parent(parents[i], i, &parent, error))
			return -1;
		if (known && !child.sequence)
			return lcr_error(error, EINVAL,
					 "parent %zu (descriptor %d) is too many: image %s is full",
					 i + 1, parents[i], lcr_uuid_text(child.uuid, wanted));
		if (known && memcmp(child.parent_uuid, parent.uuid, CKPT_UUID_SIZE))
			return lcr_error(error, ESTALE,
					 "parent %zu (descriptor %d) has to be image %s,"
					 " number %" PRIu64 " of the chain, and is image %s,"
					 " number %" PRIu64 ", taken %s",
					 i + 1, parents[i],
					 lcr_uuid_text(child.parent_uuid, wanted),
					 (uint64_t)child.sequence - 1,
					 lcr_uuid_text(parent.uuid, found),
					 (uint64_t)parent.sequence,
					 time_text(parent.time_ns, time));
		child = parent;
		known = true;
	}
	if (child.sequence)
		return lcr_error(error, EINVAL,
				 "image %s is missing, the parent of the last one given:"
				 " number %" PRIu64 " of the chain, taken before %s",
				 lcr_uuid_text(child.parent_uuid, wanted),
				 (uint64_t)child.sequence - 1, time_text(child.time_ns, time));
	errno = saved_errno;
	return 0;
}
