/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Places for the files of a victim: a tmpfs, a disk, and an overlay file system, merged from
 * two directories of a tmpfs and mounted for one test.
 */
#ifndef CKPT_OVERLAY_TEST_H
#define CKPT_OVERLAY_TEST_H

#include <limits.h>
#include <sys/mount.h>

#include "ckpt_test.h"

/**
 * struct overlay - where it is
 * @dir:	a directory of its own, empty if there is no overlay
 * @lower:	what it shows and does not change
 * @merged:	where it is mounted
 */
struct overlay {
	char	dir[28];
	char	lower[40];
	char	merged[40];
};

/* 0, or an error if the kernel has no overlayfs. */
static inline int overlay_mount(struct overlay *o)
{
	char upper[40], work[40], options[256];

	snprintf(o->dir, sizeof(o->dir), "/tmp/ckpt_overlay.XXXXXX");
	if (!mkdtemp(o->dir))
		return -errno;
	chmod(o->dir, 0755);
	snprintf(o->lower, sizeof(o->lower), "%s/lower", o->dir);
	snprintf(o->merged, sizeof(o->merged), "%s/merged", o->dir);
	snprintf(upper, sizeof(upper), "%s/upper", o->dir);
	snprintf(work, sizeof(work), "%s/work", o->dir);
	if (mkdir(o->lower, 0755) || mkdir(o->merged, 0755) || mkdir(upper, 0755) ||
	    mkdir(work, 0755))
		return -errno;
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", o->lower,
		 upper, work);
	return mount("overlay", o->merged, "overlay", 0, options) ? -errno : 0;
}

static inline void overlay_unmount(struct overlay *o)
{
	if (!o->dir[0])
		return;
	umount2(o->merged, MNT_DETACH);
	nftw(o->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* As CKPT_FIXTURE(), and on a disk. */
#define CKPT_FIXTURE_ON_DISK(name)					\
	FIXTURE(name)							\
	{								\
		struct victim v;					\
		struct overlay o;					\
	};								\
	FIXTURE_VARIANT(name)						\
	{								\
		bool restart;						\
		const char *parent;	/* NULL: on an overlayfs */	\
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
		if (!variant->parent && overlay_mount(&self->o)) {	\
			overlay_unmount(&self->o);			\
			SKIP(return, "no overlayfs");			\
		}							\
		victim_init_in(&self->v, variant->parent ?: self->o.merged); \
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
		victim_cleanup(&self->v);				\
		overlay_unmount(&self->o);				\
	}

/* ... and on an overlayfs */
#define CKPT_FIXTURE_EVERYWHERE(name)					\
	CKPT_FIXTURE_ON_DISK(name)					\
	FIXTURE_VARIANT_ADD(name, restarted_on_overlayfs)		\
	{								\
		.restart = true,					\
	};

#endif /* CKPT_OVERLAY_TEST_H */
