/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Places for the files of a victim: a tmpfs, a disk, and file systems that are mounted for
 * one test: an overlayfs, merged from two directories of a tmpfs, and a btrfs.
 */
#ifndef CKPT_PLACES_TEST_H
#define CKPT_PLACES_TEST_H

#include <sys/mount.h>

#include "ckpt_test.h"

/**
 * struct place - a file system that is mounted for one test
 * @dir:	a directory of its own for what it is made from, empty if there is none; that
 *		of an overlayfs has what it shows and does not change in "lower"
 * @root:	where it is mounted
 */
struct place {
	char	dir[28];
	char	root[36];
};

static inline int place_overlay(struct place *p)
{
	char lower[40], upper[40], work[40], options[256];

	snprintf(lower, sizeof(lower), "%s/lower", p->dir);
	snprintf(upper, sizeof(upper), "%s/upper", p->dir);
	snprintf(work, sizeof(work), "%s/work", p->dir);
	if (mkdir(lower, 0755) || mkdir(upper, 0755) || mkdir(work, 0755))
		return -errno;
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper,
		 work);
	return mount("overlay", p->root, "overlay", 0, options) ? -errno : 0;
}

static inline int place_btrfs(struct place *p)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "truncate -s 128M %s/disk && mkfs.btrfs -q %s/disk && mount -o loop %s/disk %s",
		 p->dir, p->dir, p->dir, p->root);
	return system(command) ? -ENODEV : 0;
}

/* 0, or an error if the kernel has no such file system. */
static inline int place_mount(struct place *p, const char *type)
{
	snprintf(p->dir, sizeof(p->dir), "/tmp/ckpt_place.XXXXXX");
	if (!mkdtemp(p->dir))
		return -errno;
	chmod(p->dir, 0755);
	snprintf(p->root, sizeof(p->root), "%s/root", p->dir);
	if (mkdir(p->root, 0755))
		return -errno;
	return !strcmp(type, "btrfs") ? place_btrfs(p) : place_overlay(p);
}

static inline void place_unmount(struct place *p)
{
	if (!p->dir[0])
		return;
	umount2(p->root, MNT_DETACH);
	nftw(p->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* As CKPT_FIXTURE(), and on a disk. */
#define CKPT_FIXTURE_ON_DISK(name)					\
	FIXTURE(name)							\
	{								\
		struct victim v;					\
		struct place place;					\
	};								\
	FIXTURE_VARIANT(name)						\
	{								\
		bool restart;						\
		const char *parent;					\
		const char *fs;		/* instead: of its own */	\
	};								\
	FIXTURE_VARIANT_ADD(name, continued)				\
	{								\
		.restart = false,					\
		.parent = "/tmp",					\
	};								\
	FIXTURE_VARIANT_ADD(name, restarted)				\
	{								\
		.restart = true,					\
		.parent = "/tmp",					\
	};								\
	FIXTURE_VARIANT_ADD(name, restarted_on_disk)			\
	{								\
		.restart = true,					\
		.parent = "/var/tmp",					\
	};								\
	FIXTURE_SETUP(name)						\
	{								\
		REQUIRE_CHECKPOINT();					\
		if (variant->fs && place_mount(&self->place, variant->fs)) { \
			place_unmount(&self->place);			\
			SKIP(return, "no %s", variant->fs);		\
		}							\
		victim_init_in(&self->v, variant->parent ?: self->place.root); \
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
		victim_cleanup(&self->v);				\
		place_unmount(&self->place);				\
	}

/* ... and on an overlayfs and a btrfs */
#define CKPT_FIXTURE_EVERYWHERE(name)					\
	CKPT_FIXTURE_ON_DISK(name)					\
	FIXTURE_VARIANT_ADD(name, restarted_on_overlayfs)		\
	{								\
		.restart = true,					\
		.fs = "overlay",					\
	};								\
	FIXTURE_VARIANT_ADD(name, restarted_on_btrfs)			\
	{								\
		.restart = true,					\
		.fs = "btrfs",						\
	};

#endif /* CKPT_PLACES_TEST_H */
