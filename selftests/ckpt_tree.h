/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trees of processes: a test whose victim has children calls tree_adopt() at its
 * beginning and tree_kill() at its end, as the fixtures here do.
 */
#ifndef CKPT_TREE_H
#define CKPT_TREE_H

#include "ckpt_test.h"

/* Orphans come to the test, which can wait for the end of all. */
static inline int tree_adopt(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/* Waits for all children, that have been killed or are going to end. */
static inline void reap_all(void)
{
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
}

/* Kills whatever belongs to the test; a thread that ends may be about to leave it some. */
static inline void tree_kill(struct victim *v)
{
	char path[64], text[4096], *at, *end;
	long child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", getpid(), getpid());
	for (;;) {
		read_text(path, text, sizeof(text));
		for (at = text; (child = strtol(at, &end, 10)) > 0; at = end)
			kill(child, SIGKILL);
		child = waitpid(-1, NULL, __WALL | WNOHANG);
		if (child < 0)
			break;
		if (!child)
			sleep_ms(1);
	}
	v->alive = false;
}

/* As victim_cycle(), for a tree. */
static inline long tree_cycle(struct victim *v, int restart)
{
	long err;

	if (dry_run())
		return 0;
	err = victim_checkpoint(v, restart ? CHECKPOINT_KILL : 0);
	if (err || !restart)
		return err;
	reap_all();
	v->alive = false;
	return victim_restart(v);
}

/* A victim that may have children; @require() skips what cannot be. */
#define CKPT_TREE_VICTIM(name, require)					\
	FIXTURE_SETUP(name)						\
	{								\
		require();						\
		ASSERT_EQ(0, tree_adopt());				\
		victim_init(&self->v);					\
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
		tree_kill(&self->v);					\
		victim_cleanup(&self->v);				\
	}

/* As CKPT_FIXTURE() and SURVIVES(), for a tree. */
#define CKPT_TREE_FIXTURE(name)						\
	FIXTURE(name) { struct victim v; };				\
	CKPT_TWICE(name);						\
	CKPT_TREE_VICTIM(name, REQUIRE_CHECKPOINT)

#define TREE_SURVIVES(fixture, promise)					\
	SURVIVES_BY(fixture, promise, tree_cycle, variant->restart)

#endif /* CKPT_TREE_H */
