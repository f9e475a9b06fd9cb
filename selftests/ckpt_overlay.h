/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An overlay file system for the files of a victim: merged from two directories of
 * a tmpfs, mounted for one test.
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

#endif /* CKPT_OVERLAY_TEST_H */
