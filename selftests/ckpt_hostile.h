/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Images that lie: their checksums are right, their values are insane.  A restart from one
 * is refused, or makes a process that bears the consequences itself; in no case may the
 * kernel suffer, and whoever runs this looks at its log.
 */
#ifndef CKPT_HOSTILE_H
#define CKPT_HOSTILE_H

#include "ckpt_image.h"

/* The image of victim @name, that is dead when this returns. */
static inline int victim_image(struct victim *v, const char *name, struct image *img)
{
	return victim_start_and_save(v, name) ? -1 : load_image(img, v->image);
}

/* Whether a restart from the image as it is would go well; the process does not get to run. */
static inline bool image_is_good(struct victim *v, struct image *img)
{
	long ret;

	seal(img);
	ret = try_image(v, img, RESTART_LEAVE_STOPPED);
	end_restarted(v, ret);
	if (ret != v->pid)
		show_log(v->log);
	return ret == v->pid;
}

/* For tests of what becomes of changes of one image. */
#define CKPT_IMAGE_FIXTURE(name, program)				\
	FIXTURE(name)							\
	{								\
		struct victim v;					\
		struct image img;					\
	};								\
	FIXTURE_SETUP(name)						\
	{								\
		REQUIRE_REAL_CHECKPOINT();				\
		victim_init(&self->v);					\
		ASSERT_EQ(0, victim_image(&self->v, #program, &self->img)); \
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
		victim_cleanup(&self->v);				\
		free(self->img.data);					\
	}

/*
 * What restart() says to the changed image; -ENOMSG if it does not say what is damaged. A
 * process that comes to life may run for some time, unless that is left out by
 * RESTART_LEAVE_STOPPED, to run into trouble.
 */
static inline long try_changed(struct victim *v, struct image *img, uint64_t flags)
{
	long ret;

	seal(img);
	ret = try_image(v, img, flags);
	if (ret == -EBADMSG && !strstr(v->log, "image damaged")) {
		show_log(v->log);
		ret = -ENOMSG;
	}
	if (ret > 0 && !(flags & RESTART_LEAVE_STOPPED))
		sleep_ms(20);
	end_restarted(v, ret);
	return ret;
}

/* The same after a change of record @nr, which is taken back. */
#define EXPECT_REFUSED(error, nr, change)				\
	do {								\
		struct ckpt_rec *__rec = rec_at(&self->img, nr);	\
		size_t __len = sizeof(*__rec) + __rec->length;		\
		void *__good = malloc(__len);				\
									\
		memcpy(__good, __rec, __len);				\
		change;							\
		EXPECT_EQ(error, try_changed(&self->v, &self->img, 0))	\
			test_log("%s", #change);			\
		memcpy(__rec, __good, __len);				\
		free(__good);						\
	} while (0)

/* After all changes have been taken back: is it still a good image? */
static inline int finish_from(struct victim *v, struct image *img)
{
	long ret;

	seal(img);
	ret = try_image(v, img, 0);
	if (ret == v->pid)
		return victim_finish(v);
	test_log("restart of %d from what was a good image: %ld", v->pid, ret);
	show_log(v->log);
	return -1;
}

/* Nothing but a refusal, or a good process, may come of it. */
static inline bool no_harm(struct victim *v, struct image *img)
{
	long ret;

	seal(img);
	ret = try_image(v, img, 0);
	if (ret > 0) {
		end_restarted(v, ret);
		return true;
	}
	return ret < 0 && (v->log[0] || ret == -ENOMEM);
}

/* @count times any one word of the records of these types is replaced by something else. */
static inline bool any_word_does_no_harm(struct victim *v, struct image *img,
					 const uint32_t *types, int nr_types, int count)
{
	static const uint32_t values[] = { 0, 1, 2, 5, 12, 0x7fffffff, 0xffffffff };
	bool good = true;

	srand(the_seed());
	for (; count > 0; count--) {
		uint32_t type = types[rand() % nr_types], old, *word;
		int nr, many = 0;

		while (find_rec(img, type, many) >= 0)
			many++;
		if (!many) {
			test_log("no record of type %#x", type);
			return false;
		}
		nr = find_rec(img, type, rand() % many);
		word = (uint32_t *)payload_at(img, nr) + rand() % (rec_at(img, nr)->length / 4);
		old = *word;
		*word = rand() % 2 ? values[rand() % ARRAY_SIZE(values)] : (uint32_t)rand();
		if (!no_harm(v, img)) {
			test_log("record %d, word %td: %#x for %#x", nr,
				 word - (uint32_t *)payload_at(img, nr), *word, old);
			show_log(v->log);
			good = false;
		}
		*word = old;
	}
	return good;
}

#endif /* CKPT_HOSTILE_H */
