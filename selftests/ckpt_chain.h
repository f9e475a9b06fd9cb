/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Chains of images: taking them, restarting from them, and what they say of each
 * page, compared with a full image of the same moment.
 */
#ifndef CKPT_CHAIN_TEST_H
#define CKPT_CHAIN_TEST_H

#include "ckpt_image.h"

#define MAX_CHAIN	64
#define ADDRESS_SPACE	0	/* object 0; shared memory objects count from 1 */
#define MAX_OBJECTS	32

/**
 * struct page_state - what a process has at one address
 * @object:	ADDRESS_SPACE or the number of the shared memory object
 * @addr:	address, or offset in the object
 * @hash:	XXH64 of the contents
 * @kind:	enum ckpt_run_kind: what the last image says of it
 * @hides:	zeros are not the same as no page: they hide a file's contents
 */
struct page_state {
	uint64_t	object;
	uint64_t	addr;
	uint64_t	hash;
	uint16_t	kind;
	bool		hides;
};

/**
 * struct state - what a process has in its memory
 * @page:	in ascending order of object and address
 * @nr:		their number
 * @max:	what there is room for
 * @id:		what the chain calls the objects, 0: it does not know them
 */
struct state {
	struct page_state	*page;
	size_t			nr, max;
	uint64_t		id[MAX_OBJECTS];
};

/**
 * struct chain - images that build on each other
 * @tracker:	enum checkpoint_tracker
 * @fd:		memfds, the full image first
 * @nr:		their number; 0: the next image is a full one
 * @uuid:	the last one's
 * @state:	what all of them together say
 * @plant:	lose one page that was written to, as a wrong tracker would
 * @planted:	its address
 */
struct chain {
	uint32_t	tracker;
	int		fd[MAX_CHAIN];
	int		nr;
	uint8_t		uuid[CKPT_UUID_SIZE];
	struct state	state;
	bool		plant;
	uint64_t	planted;
};

/* ---- the system calls ---- */

/* Does the kernel have the tracker?  Asked with a descriptor that will not do. */
static inline bool have_tracker(uint32_t tracker)
{
	struct checkpoint_args args = { .image_fd = -1, .tracker = tracker };

	return sys_checkpoint(getpid(), &args, sizeof(args)) != -EOPNOTSUPP;
}

/* An image into @fd; with @parent an increment.  Says nothing on failure. */
static inline long try_chain_image(struct victim *v, int fd, uint32_t tracker,
				   const uint8_t *parent, uint64_t flags)
{
	struct checkpoint_args args = checkpoint_args(v, flags);

	args.image_fd = fd;
	args.tracker = tracker;
	if (parent) {
		args.flags |= CHECKPOINT_INCREMENTAL;
		memcpy(args.parent_uuid, parent, CKPT_UUID_SIZE);
	}
	return sys_checkpoint(v->pid, &args, sizeof(args));
}

static inline void image_uuid(int fd, uint8_t *uuid)
{
	struct ckpt_header h;

	memset(uuid, 0, CKPT_UUID_SIZE);
	if (pread(fd, &h, sizeof(h), sizeof(struct ckpt_rec)) == sizeof(h))
		memcpy(uuid, h.uuid, CKPT_UUID_SIZE);
}

/* The next image of the chain.  Says nothing on failure. */
static inline long chain_try_image(struct victim *v, struct chain *c, uint64_t flags)
{
	int fd = memfd_create("chain", MFD_CLOEXEC);
	long err;

	err = try_chain_image(v, fd, c->tracker, c->nr ? c->uuid : NULL, flags);
	if (err) {
		close(fd);
		return err;
	}
	image_uuid(fd, c->uuid);
	c->fd[c->nr++] = fd;
	return 0;
}

static inline long chain_image(struct victim *v, struct chain *c, uint64_t flags)
{
	long err = chain_try_image(v, c, flags);

	if (err) {
		test_log("image %d of the chain: %s", c->nr, strerror(-err));
		show_log(v->log);
	}
	return err;
}

/* Forget the images: the next one is a full one. */
static inline void chain_begin(struct chain *c)
{
	while (c->nr)
		close(c->fd[--c->nr]);
	c->state.nr = 0;
}

static inline void chain_cleanup(struct chain *c)
{
	chain_begin(c);
	free(c->state.page);
	memset(&c->state, 0, sizeof(c->state));
}

/* Restart from @image and its @nr @parents, the nearest first. */
static inline long try_chain_restart(struct victim *v, int image, const int *parents, int nr,
				     uint64_t flags)
{
	struct restart_args args = restart_args(v, flags);
	long ret;
	int i;

	for (i = 0; i < nr; i++)
		lseek(parents[i], 0, SEEK_SET);
	lseek(image, 0, SEEK_SET);
	args.image_fd = image;
	args.parents = nr ? (uintptr_t)parents : 0;
	args.parents_nr = nr;
	ret = sys_restart(&args, sizeof(args));
	if (ret == v->pid) {
		v->alive = true;
		/* as it was when that image was taken */
		victim_read(v, PAGE_FIELD(ready), &v->turn, sizeof(v->turn));
	}
	return ret;
}

/* The parents of the last image, as restart() wants them; their number. */
static inline int chain_parents(const struct chain *c, int *parents)
{
	int i;

	for (i = 0; i < c->nr - 1; i++)
		parents[i] = c->fd[c->nr - 2 - i];
	return i;
}

static inline long chain_try_restart(struct victim *v, struct chain *c, uint64_t flags)
{
	int parents[MAX_CHAIN];
	int nr = chain_parents(c, parents);

	return try_chain_restart(v, c->fd[nr], parents, nr, flags);
}

static inline long chain_restart(struct victim *v, struct chain *c)
{
	long ret = chain_try_restart(v, c, 0);

	if (ret == v->pid)
		return 0;
	test_log("restart of %d from %d images: %ld (%s)", v->pid, c->nr, ret,
		 ret < 0 ? strerror(-ret) : "another pid");
	show_log(v->log);
	return ret < 0 ? ret : -ECHILD;
}

/* ---- what images say ---- */

static inline uint64_t zero_hash(void)
{
	static const uint8_t zeros[PAGE];
	static uint64_t hash;

	if (!hash)
		hash = XXH64(zeros, PAGE, 0);
	return hash;
}

static inline int page_order(const struct page_state *a, const struct page_state *b)
{
	if (a->object != b->object)
		return a->object < b->object ? -1 : 1;
	return a->addr == b->addr ? 0 : a->addr < b->addr ? -1 : 1;
}

static inline const struct page_state *state_find(const struct state *s, uint64_t object,
						  uint64_t addr)
{
	struct page_state key = { .object = object, .addr = addr };
	size_t low = 0, high = s->nr;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = page_order(&key, &s->page[mid]);

		if (!order)
			return &s->page[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* The order of the records is part of the format. */
static inline int state_add(struct state *s, struct page_state page)
{
	if (s->nr && page_order(&s->page[s->nr - 1], &page) >= 0) {
		test_log("pages out of order: object %lu, %lx after %lx", page.object, page.addr,
			 s->page[s->nr - 1].addr);
		return -1;
	}
	if (s->nr == s->max) {
		s->max = s->max ? 2 * s->max : 4096;
		s->page = realloc(s->page, s->max * sizeof(*s->page));
	}
	s->page[s->nr++] = page;
	return 0;
}

/* The number of the object that has @objref, or -1. */
static inline int image_object(struct image *img, uint32_t objref)
{
	int i, nth;

	if (objref == rec_at(img, find_rec(img, CKPT_REC_MM, 0))->objref)
		return ADDRESS_SPACE;
	for (nth = 0; (i = find_rec(img, CKPT_REC_SHMEM, nth)) >= 0; nth++)
		if (rec_at(img, i)->objref == objref)
			return nth + 1;
	return -1;
}

/* What the chain calls object number @object of the image. */
static inline uint64_t image_object_id(struct image *img, int object)
{
	struct ckpt_shmem *shmem;
	struct ckpt_mm *mm;

	if (object == ADDRESS_SPACE) {
		mm = payload_at(img, find_rec(img, CKPT_REC_MM, 0));
		return mm->id;
	}
	shmem = payload_at(img, find_rec(img, CKPT_REC_SHMEM, object - 1));
	return shmem->id;
}

/* The page as it was in the parent, whose objects may have other numbers. */
static inline const struct page_state *parent_page(const struct state *old, uint64_t id,
						   uint64_t addr)
{
	int object;

	for (object = 0; old && id && object < MAX_OBJECTS; object++)
		if (old->id[object] == id)
			return state_find(old, object, addr);
	return NULL;
}

/* The mapping @addr is in; *@nr is where to begin looking. */
static inline struct ckpt_vma *image_vma(struct image *img, uint64_t addr, int *nr)
{
	struct ckpt_vma *vma;

	for (; *nr < img->nr; ++*nr) {
		if (rec_at(img, *nr)->type != CKPT_REC_VMA)
			continue;
		vma = payload_at(img, *nr);
		if (addr < vma->end)
			return addr >= vma->start ? vma : NULL;
	}
	return NULL;
}

static inline int state_add_run(struct state *s, struct image *img, uint64_t object,
				const struct ckpt_run *run, const uint8_t *data,
				const struct state *old, int *vma_nr)
{
	const struct page_state *before;
	struct ckpt_vma *vma;
	unsigned int i;

	for (i = 0; i < run->nr_pages; i++) {
		struct page_state page = {
			.object = object,
			.addr = run->addr + i * PAGE,
			.kind = run->kind,
		};

		if (object == ADDRESS_SPACE) {
			vma = image_vma(img, page.addr, vma_nr);
			if (!vma) {
				test_log("page %lx is in no mapping", page.addr);
				return -1;
			}
			page.hides = vma->type != CKPT_VMA_ANON;
		}
		switch (run->kind) {
		case CKPT_RUN_DATA:
			page.hash = XXH64(data + i * PAGE, PAGE, 0);
			break;
		case CKPT_RUN_ZERO:
			page.hash = zero_hash();
			break;
		case CKPT_RUN_PARENT:
			before = parent_page(old, s->id[object], page.addr);
			if (!before) {
				test_log("page %lx of object %lu is left to a parent that does not have it",
					 page.addr, object);
				return -1;
			}
			page.hash = before->hash;
			break;
		default:
			test_log("page %lx: kind %u", page.addr, run->kind);
			return -1;
		}
		if (state_add(s, page))
			return -1;
	}
	return 0;
}

/* What the image says, one with a parent together with the @old state. */
static inline int read_state(int fd, const struct state *old, struct state *s)
{
	struct image *img = calloc(1, sizeof(*img));
	int i, object, vma_nr = 0, err;
	unsigned int j;

	s->nr = 0;
	err = load_image(img, fd);
	for (i = 0; i < img->nr && !err; i++) {
		struct ckpt_pages *pages = payload_at(img, i);
		const uint8_t *data = (uint8_t *)pages + pages->data_offset;

		if (rec_at(img, i)->type != CKPT_REC_PAGES)
			continue;
		object = image_object(img, rec_at(img, i)->objref);
		if (object < 0 || object >= MAX_OBJECTS)
			err = -1;
		else
			s->id[object] = image_object_id(img, object);
		for (j = 0; j < pages->nr_runs && !err; j++) {
			err = state_add_run(s, img, object, &pages->runs[j], data, old, &vma_nr);
			if (pages->runs[j].kind == CKPT_RUN_DATA)
				data += pages->runs[j].nr_pages * PAGE;
		}
	}
	free(img->data);
	free(img);
	return err;
}

/* How many of the pages of @object from @addr on the last image has as @kind. */
static inline size_t state_count(const struct state *s, uint64_t object, uint64_t addr,
				 size_t pages, int kind)
{
	const struct page_state *page;
	size_t i, count = 0;

	for (i = 0; i < pages; i++) {
		page = state_find(s, object, addr + i * PAGE);
		count += page && page->kind == kind;
	}
	return count;
}

static inline const char *page_text(const struct page_state *page, char *text, size_t size)
{
	if (!page)
		snprintf(text, size, "no page");
	else if (page->hash == zero_hash())
		snprintf(text, size, "zeros");
	else
		snprintf(text, size, "contents %016lx", page->hash);
	return text;
}

/* Where they differ in what the process would find; the number of pages. */
static inline size_t compare_states(const struct state *chain, const struct state *full)
{
	static const char *const kinds[] = { "nothing", "data", "zeros", "as in the parent" };
	size_t i = 0, j = 0, bad = 0;

	while (i < chain->nr || j < full->nr) {
		const struct page_state *a = i < chain->nr ? &chain->page[i] : NULL;
		const struct page_state *b = j < full->nr ? &full->page[j] : NULL;
		int order = !a ? 1 : !b ? -1 : page_order(a, b);
		char text[2][40];

		if (order < 0)
			b = NULL;
		if (order > 0)
			a = NULL;
		i += !!a;
		j += !!b;
		if (a && b && a->hash == b->hash)
			continue;
		if (a && !b && !a->hides && a->hash == zero_hash())
			continue;
		if (b && !a && !b->hides && b->hash == zero_hash())
			continue;
		if (bad++ < 8)
			test_log("object %lu, %lx: the chain has %s (last image: %s), a full image has %s",
				 (a ?: b)->object, (a ?: b)->addr,
				 page_text(a, text[0], sizeof(text[0])), kinds[a ? a->kind : 0],
				 page_text(b, text[1], sizeof(text[1])));
	}
	return bad;
}

/* Put back the old contents of one page that the image has. */
static inline void plant_loss(struct chain *c, struct state *s)
{
	size_t i;

	for (i = 0; i < s->nr && c->plant && !c->planted; i++) {
		struct page_state *page = &s->page[i];
		const struct page_state *old = state_find(&c->state, page->object, page->addr);

		if (page->object == ADDRESS_SPACE && page->addr != VICTIM_PAGE_ADDR &&
		    page->kind == CKPT_RUN_DATA && old && old->hash != page->hash) {
			page->hash = old->hash;
			c->planted = page->addr;
		}
	}
}

/* Add what the last image says to c->state. */
static inline int chain_follow(struct chain *c)
{
	struct state s = { };

	if (read_state(c->fd[c->nr - 1], c->nr > 1 ? &c->state : NULL, &s))
		return -1;
	plant_loss(c, &s);
	free(c->state.page);
	c->state = s;
	return 0;
}

/*
 * Follow the last image of the chain, which left the process stopped, and take a full
 * image of the same moment: both have to say the same.  Then the process goes on.
 */
static inline long chain_compare(struct victim *v, struct chain *c)
{
	struct state full = { };
	long err;

	err = victim_checkpoint(v, 0);
	if (!err)
		err = chain_follow(c);
	if (!err)
		err = read_state(v->image, NULL, &full);
	if (!err && compare_states(&c->state, &full))
		err = -EILSEQ;
	free(full.page);
	kill(v->pid, SIGCONT);
	return err;
}

/* The next image of the chain, compared. */
static inline long chain_step(struct victim *v, struct chain *c)
{
	struct checkpoint_stats stats;
	long err;

	if (dry_run())
		return 0;
	drain_lru();
	err = chain_image(v, c, CHECKPOINT_LEAVE_STOPPED);
	if (err)
		return err;
	stats = v->stats;
	err = chain_compare(v, c);
	v->stats = stats;
	return err;
}

/* ---- the fixture: every test with every tracker ---- */

/* In a dry run one is enough. */
#define CHAIN_FIXTURE(name)						\
	FIXTURE(name)							\
	{								\
		struct victim v;					\
		struct chain c;						\
	};								\
	FIXTURE_VARIANT(name) { uint32_t tracker; };			\
	FIXTURE_VARIANT_ADD(name, shadow)				\
	{								\
		.tracker = CHECKPOINT_TRACKER_SHADOW			\
	};								\
	FIXTURE_VARIANT_ADD(name, write_protect)			\
	{								\
		.tracker = CHECKPOINT_TRACKER_WRITE_PROTECT		\
	};								\
	FIXTURE_VARIANT_ADD(name, none)					\
	{								\
		.tracker = CHECKPOINT_TRACKER_NONE			\
	};								\
	FIXTURE_SETUP(name)						\
	{								\
		REQUIRE_CHECKPOINT();					\
		if (dry_run() ? variant->tracker != CHECKPOINT_TRACKER_NONE : \
				!have_tracker(variant->tracker))	\
			SKIP(return, "kernel without this tracker");	\
		crc_init();						\
		victim_init_in(&self->v, disk_dir());			\
		self->c.tracker = variant->tracker;			\
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
		victim_cleanup(&self->v);				\
		chain_cleanup(&self->c);				\
	}

#endif /* CKPT_CHAIN_TEST_H */
