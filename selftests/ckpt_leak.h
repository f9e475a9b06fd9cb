/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does something leave kernel memory behind each time?  Compares /proc/slabinfo
 * and the pages of vmalloc() before and after many times.
 */
#ifndef CKPT_LEAK_H
#define CKPT_LEAK_H

#include <dirent.h>

#include "ckpt_test.h"

#define MAX_CACHES	400

struct memory_use {
	int	nr;
	struct {
		char name[64];
		long objects;
	} cache[MAX_CACHES];
	long	vmalloc_kb;
};

/*
 * /proc/slabinfo counts all objects of the slabs that a CPU has at hand as used.
 * This makes them give those up. The files stay open: opening takes memory, which
 * is given back late.
 */
static inline void shrink_slabs(void)
{
	static int fds[MAX_CACHES], nr = -1;
	struct dirent *entry;
	char path[300];
	DIR *dir;
	int i;

	if (nr < 0) {
		nr = 0;
		dir = opendir("/sys/kernel/slab");
		while (dir && nr < MAX_CACHES && (entry = readdir(dir))) {
			/* other names of a cache are links */
			if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", entry->d_name);
			fds[nr] = open(path, O_WRONLY | O_CLOEXEC);
			if (fds[nr] >= 0)
				nr++;
		}
		if (dir)
			closedir(dir);
	}
	for (i = 0; i < nr; i++)
		if (pwrite(fds[i], "1", 1, 0) != 1)
			test_log("a slab cannot be shrunk: %s", strerror(errno));
}

static inline void read_memory_use(struct memory_use *use)
{
	char line[512];
	FILE *in;

	shrink_slabs();
	use->nr = 0;
	in = fopen("/proc/slabinfo", "re");
	while (in && use->nr < MAX_CACHES && fgets(line, sizeof(line), in))
		if (sscanf(line, "%63s %ld", use->cache[use->nr].name,
			   &use->cache[use->nr].objects) == 2)
			use->nr++;
	if (in)
		fclose(in);

	use->vmalloc_kb = 0;
	in = fopen("/proc/meminfo", "re");
	while (in && fgets(line, sizeof(line), in))
		if (sscanf(line, "VmallocUsed: %ld kB", &use->vmalloc_kb) == 1)
			break;
	if (in)
		fclose(in);
}

/* Freed addresses of vmalloc(), and what debugging knows of other objects. */
static inline bool kept_for_later(const char *cache)
{
	static const char *const names[] = {
		"vmap_area", "debug_objects_cache", "kmemleak_object",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(cache, names[i]))
			return true;
	return false;
}

/* Did any cache grow by @objects or more? */
static inline bool grew(const struct memory_use *before, const struct memory_use *after,
			long objects, bool report)
{
	bool found = after->vmalloc_kb - before->vmalloc_kb >= objects * 4;
	int i, j;

	if (found && report)
		test_log("vmalloc() grew by %ld kB", after->vmalloc_kb - before->vmalloc_kb);
	for (i = 0; i < after->nr; i++)
		for (j = 0; j < before->nr; j++) {
			long more = after->cache[i].objects - before->cache[j].objects;

			if (strcmp(after->cache[i].name, before->cache[j].name) || more < objects)
				continue;
			if (kept_for_later(after->cache[i].name))
				continue;
			found = true;
			if (report)
				test_log("slab %s grew by %ld objects", after->cache[i].name, more);
		}
	return found;
}

/* Memory is given back some time later, after RCU grace periods. */
static inline bool nothing_left(const struct memory_use *before, long objects)
{
	struct memory_use after;
	bool ok;

	ok = WAIT_FOR((read_memory_use(&after), !grew(before, &after, objects, false)));
	if (!ok)
		grew(before, &after, objects, true);
	return ok;
}

#endif /* CKPT_LEAK_H */
