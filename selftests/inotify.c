// SPDX-License-Identifier: GPL-2.0
/*
 * inotify: watches with their numbers and masks, and the events that nobody has
 * read yet; that the restart is not to be seen in them.
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/inotify.h>

#include "ckpt_hostile.h"
#include "ckpt_places.h"

CKPT_FIXTURE_ON_DISK(inotify)

/* ---- helpers of the victims ---- */

static void touch(const char *name)
{
	close(V_SYS(open(file_name(name), O_RDWR | O_CREAT, 0644)));
}

static int new_inotify(void)
{
	return V_SYS(inotify_init1(IN_NONBLOCK));
}

static int watch(int fd, const char *name, uint32_t mask)
{
	return V_SYS(inotify_add_watch(fd, *name ? file_name(name) : victim_dir, mask));
}

/* The next event, false if there is none; a read() gives all there are. */
static char buf[16384] __aligned(8);
static ssize_t buf_len, buf_at;
static struct inotify_event *event;

static bool next(int fd)
{
	if (buf_at == buf_len) {
		buf_at = 0;
		buf_len = read(fd, buf, sizeof(buf));
		if (buf_len < 0) {
			V_EQUAL(EAGAIN, errno);
			buf_len = 0;
		}
	}
	if (buf_at == buf_len)
		return false;
	event = (void *)buf + buf_at;
	buf_at += sizeof(*event) + event->len;
	return true;
}

static void expect(int line, int fd, int wd, uint32_t mask, const char *name)
{
	if (!next(fd))
		victim_fail(line, "no event");
	if (event->wd != wd || event->mask != mask ||
	    strcmp(event->len ? event->name : "", name))
		victim_fail(line, "wd %d mask %x name %s", event->wd, event->mask,
			    event->len ? event->name : "");
}

#define EXPECT_EVENT(fd, wd, mask, name)	expect(__LINE__, fd, wd, mask, name)

/* ---- watches ---- */

SURVIVES(inotify, watches_keep_number_and_mask)
{
	int fd = new_inotify(), dir, file;

	touch("file");
	dir = watch(fd, "", IN_CREATE | IN_DELETE);
	file = watch(fd, "file", IN_OPEN | IN_CLOSE);
	V_EQUAL(1, dir);
	V_EQUAL(2, file);
	victim_ready();
	V_CHECK(!next(fd));
	touch("new");
	V_SYS(unlink(file_name("new")));
	close(V_SYS(open(file_name("file"), O_RDONLY)));
	EXPECT_EVENT(fd, dir, IN_CREATE, "new");
	EXPECT_EVENT(fd, dir, IN_DELETE, "new");
	EXPECT_EVENT(fd, file, IN_OPEN, "");
	EXPECT_EVENT(fd, file, IN_CLOSE_NOWRITE, "");
	V_CHECK(!next(fd));
	/* the same file is the same watch */
	V_EQUAL(file, watch(fd, "file", IN_ATTRIB));
	V_SYS(inotify_rm_watch(fd, dir));
	EXPECT_EVENT(fd, dir, IN_IGNORED, "");
}

SURVIVES(inotify, the_next_number_is_the_next_one)
{
	int fd = new_inotify(), again = new_inotify();

	touch("a");
	touch("b");
	touch("c");
	V_EQUAL(1, watch(fd, "a", IN_OPEN));
	V_EQUAL(2, watch(fd, "b", IN_OPEN));
	V_EQUAL(3, watch(fd, "c", IN_OPEN));
	V_SYS(inotify_rm_watch(fd, 3));
	V_SYS(inotify_rm_watch(fd, 1));
	EXPECT_EVENT(fd, 3, IN_IGNORED, "");
	EXPECT_EVENT(fd, 1, IN_IGNORED, "");
	victim_ready();
	/* numbers are not used again */
	V_EQUAL(4, watch(fd, "a", IN_OPEN));
	V_EQUAL(2, watch(fd, "b", IN_OPEN));
	V_EQUAL(5, watch(fd, "c", IN_OPEN));
	V_EQUAL(1, watch(again, "c", IN_OPEN));
}

SURVIVES(inotify, flags_of_the_descriptor_stay)
{
	int fd = V_SYS(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), other = V_SYS(inotify_init1(0));

	victim_ready();
	V_EQUAL(O_RDONLY | O_NONBLOCK, fcntl(fd, F_GETFL));
	V_EQUAL(FD_CLOEXEC, fcntl(fd, F_GETFD));
	V_EQUAL(O_RDONLY, fcntl(other, F_GETFL));
	V_EQUAL(0, fcntl(other, F_GETFD));
}

SURVIVES(inotify, a_renamed_file_is_still_watched)
{
	int fd = new_inotify(), wd;
	char old[PATH_MAX];

	touch("old");
	wd = watch(fd, "old", IN_OPEN);
	snprintf(old, sizeof(old), "%s", file_name("old"));
	V_SYS(rename(old, file_name("new")));
	touch("old");
	victim_ready();
	close(V_SYS(open(file_name("old"), O_RDONLY)));
	V_CHECK(!next(fd));
	close(V_SYS(open(file_name("new"), O_RDONLY)));
	EXPECT_EVENT(fd, wd, IN_OPEN, "");
}

SURVIVES(inotify, a_file_with_two_names_is_still_watched)
{
	int fd = new_inotify(), wd;
	char one[PATH_MAX];

	touch("one");
	snprintf(one, sizeof(one), "%s", file_name("one"));
	V_SYS(link(one, file_name("two")));
	wd = watch(fd, "one", IN_OPEN);
	V_SYS(unlink(one));
	victim_ready();
	close(V_SYS(open(file_name("two"), O_RDONLY)));
	EXPECT_EVENT(fd, wd, IN_OPEN, "");
}

SURVIVES(inotify, a_symbolic_link_is_watched_not_its_target)
{
	int fd = new_inotify(), wd;

	touch("target");
	V_SYS(symlink("target", file_name("link")));
	wd = watch(fd, "link", IN_DONT_FOLLOW | IN_DELETE_SELF | IN_OPEN);
	victim_ready();
	close(V_SYS(open(file_name("target"), O_RDONLY)));
	V_CHECK(!next(fd));
	V_SYS(unlink(file_name("link")));
	EXPECT_EVENT(fd, wd, IN_DELETE_SELF, "");
	EXPECT_EVENT(fd, wd, IN_IGNORED, "");
}

SURVIVES(inotify, one_shot_shoots_once)
{
	int fd = new_inotify(), wd;

	touch("file");
	wd = watch(fd, "file", IN_OPEN | IN_ONESHOT);
	victim_ready();
	close(V_SYS(open(file_name("file"), O_RDONLY)));
	EXPECT_EVENT(fd, wd, IN_OPEN, "");
	EXPECT_EVENT(fd, wd, IN_IGNORED, "");
	close(V_SYS(open(file_name("file"), O_RDONLY)));
	V_CHECK(!next(fd));
}

SURVIVES(inotify, excluded_unlinked_children_stay_excluded)
{
	int fd = new_inotify(), wd, file, gone;

	wd = watch(fd, "", IN_CLOSE | IN_EXCL_UNLINK);
	file = V_SYS(open(file_name("file"), O_RDWR | O_CREAT, 0644));
	victim_ready();
	gone = V_SYS(open(file_name("gone"), O_RDWR | O_CREAT, 0644));
	V_SYS(unlink(file_name("gone")));
	close(gone);
	V_CHECK(!next(fd));
	close(file);
	EXPECT_EVENT(fd, wd, IN_CLOSE_WRITE, "file");
}

SURVIVES(inotify, many_watches_survive)
{
	int fd = new_inotify(), wd[200];
	char name[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wd); i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		touch(name);
		wd[i] = watch(fd, name, IN_OPEN);
	}
	victim_ready();
	for (i = 0; i < ARRAY_SIZE(wd); i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		close(V_SYS(open(file_name(name), O_RDONLY)));
		EXPECT_EVENT(fd, wd[i], IN_OPEN, "");
	}
}

/* ---- events ---- */

SURVIVES(inotify, events_not_read_stay_in_their_order)
{
	int fd = new_inotify(), wd = watch(fd, "", IN_CREATE | IN_MOVE | IN_DELETE | IN_MODIFY);
	char old[PATH_MAX], longest[NAME_MAX + 1];
	uint32_t cookie;
	int file;

	touch("one");
	snprintf(old, sizeof(old), "%s", file_name("one"));
	V_SYS(rename(old, file_name("two")));
	V_SYS(unlink(file_name("two")));
	V_SYS(mkdir(file_name("dir"), 0755));
	memset(longest, 'x', NAME_MAX);
	longest[NAME_MAX] = '\0';
	touch(longest);
	file = V_SYS(open(file_name("changed"), O_RDWR | O_CREAT, 0644));
	V_EQUAL(1, write(file, "x", 1));
	victim_ready();
	/* the same again is the same event still */
	V_EQUAL(1, write(file, "x", 1));
	EXPECT_EVENT(fd, wd, IN_CREATE, "one");
	EXPECT_EVENT(fd, wd, IN_MOVED_FROM, "one");
	cookie = event->cookie;
	V_CHECK(cookie);
	EXPECT_EVENT(fd, wd, IN_MOVED_TO, "two");
	V_EQUAL(cookie, event->cookie);
	EXPECT_EVENT(fd, wd, IN_DELETE, "two");
	V_EQUAL(0, event->cookie);
	EXPECT_EVENT(fd, wd, IN_CREATE | IN_ISDIR, "dir");
	EXPECT_EVENT(fd, wd, IN_CREATE, longest);
	EXPECT_EVENT(fd, wd, IN_CREATE, "changed");
	EXPECT_EVENT(fd, wd, IN_MODIFY, "changed");
	V_CHECK(!next(fd));
	V_EQUAL(1, write(file, "x", 1));
	EXPECT_EVENT(fd, wd, IN_MODIFY, "changed");
}

SURVIVES(inotify, events_of_a_watch_that_is_gone_stay)
{
	int fd = new_inotify(), wd;

	touch("file");
	wd = watch(fd, "file", IN_OPEN | IN_DELETE_SELF);
	V_SYS(unlink(file_name("file")));
	victim_ready();
	EXPECT_EVENT(fd, wd, IN_DELETE_SELF, "");
	EXPECT_EVENT(fd, wd, IN_IGNORED, "");
	V_CHECK(!next(fd));
}

SURVIVES(inotify, lost_events_are_reported)
{
	int fd = new_inotify(), wd, max = 0, i;
	char text[32];

	V_CHECK(read_text("/proc/sys/fs/inotify/max_queued_events", text, sizeof(text)) > 0);
	V_EQUAL(0, write_text("/proc/sys/fs/inotify/max_queued_events", "10"));
	close(fd);
	fd = new_inotify();
	V_EQUAL(0, write_text("/proc/sys/fs/inotify/max_queued_events", text));
	max = 10;
	wd = watch(fd, "", IN_CREATE);
	for (i = 0; i < max + 3; i++) {
		snprintf(text, sizeof(text), "f%d", i);
		touch(text);
	}
	victim_ready();
	for (i = 0; i < max; i++) {
		snprintf(text, sizeof(text), "f%d", i);
		EXPECT_EVENT(fd, wd, IN_CREATE, text);
	}
	EXPECT_EVENT(fd, -1, IN_Q_OVERFLOW, "");
	V_CHECK(!next(fd));
	touch("after");
	EXPECT_EVENT(fd, wd, IN_CREATE, "after");
}

/* Not even that the files of the process are opened and cut back. */
SURVIVES(inotify, the_restart_is_no_event)
{
	int fd = new_inotify(), file;

	file = V_SYS(open(file_name("file"), O_RDWR | O_CREAT, 0644));
	V_SYS(watch(fd, "file", IN_ALL_EVENTS));
	V_SYS(watch(fd, "", IN_ALL_EVENTS));
	victim_ready();
	V_CHECK(!next(fd));
	V_EQUAL(1, write(file, "x", 1));
	V_CHECK(next(fd));
}

VICTIM(watches_a_file_that_grows)
{
	int fd = new_inotify(), file;

	file = V_SYS(open(file_name("file"), O_RDWR | O_CREAT, 0644));
	watch(fd, "file", IN_ALL_EVENTS);
	victim_ready();
	V_CHECK(!next(fd));
	V_EQUAL(1, write(file, "x", 1));
	EXPECT_EVENT(fd, 1, IN_MODIFY, "");
}

TEST_F(inotify, a_file_that_is_cut_back_is_no_event)
{
	char path[PATH_MAX];

	REQUIRE_RESTART();
	ASSERT_EQ(0, victim_start_and_save(&self->v, "watches_a_file_that_grows"));
	snprintf(path, sizeof(path), "%s/file", self->v.dir);
	ASSERT_EQ(0, write_text(path, "much later"));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_NE(NULL, strstr(self->v.log, "cut back"));
	EXPECT_EQ(0, victim_finish(&self->v));
}

static int waiting_fd;
static volatile int waiter_tid;
static char waiter_buf[4096];

static void *wait_for_event(void *unused)
{
	waiter_tid = gettid();
	return (void *)(long)read(waiting_fd, waiter_buf, sizeof(waiter_buf));
}

SURVIVES(inotify, a_read_goes_on_waiting)
{
	pthread_t thread;
	void *result;

	waiting_fd = V_SYS(inotify_init1(0));
	watch(waiting_fd, "", IN_CREATE);
	V_EQUAL(0, pthread_create(&thread, NULL, wait_for_event, NULL));
	while (!waiter_tid)
		sleep_ms(1);
	victim_await(victim_reach_thread(waiter_tid, __NR_read));
	touch("new");
	V_EQUAL(0, pthread_join(thread, &result));
	V_EQUAL(sizeof(*event) + 16, (long)result);
}

/* ---- what is refused ---- */

static int expect_refusal(struct victim *v, const char *why)
{
	long ret = victim_try_checkpoint(v, 0);

	if (ret != -EOPNOTSUPP || !strstr(v->log, "watch 1") || !strstr(v->log, why)) {
		test_log("checkpoint: %ld", ret);
		show_log(v->log);
		return -1;
	}
	return 0;
}

VICTIM(watches_a_deleted_file)
{
	int fd = new_inotify(), file;

	file = V_SYS(open(file_name("file"), O_RDWR | O_CREAT, 0644));
	watch(fd, "file", IN_MODIFY);
	V_SYS(unlink(file_name("file")));
	victim_ready();
	V_EQUAL(1, write(file, "x", 1));
	EXPECT_EVENT(fd, 1, IN_MODIFY, "");
}

TEST_F(inotify, a_watch_on_a_deleted_file_is_refused)
{
	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(&self->v, "watches_a_deleted_file"));
	EXPECT_EQ(0, expect_refusal(&self->v, "deleted"));
	EXPECT_EQ(0, victim_finish(&self->v));
}

VICTIM(watches_proc)
{
	int fd = new_inotify();

	V_EQUAL(1, inotify_add_watch(fd, "/proc/self/status", IN_OPEN));
	victim_ready();
	close(V_SYS(open("/proc/self/status", O_RDONLY)));
	EXPECT_EVENT(fd, 1, IN_OPEN, "");
}

TEST_F(inotify, a_watch_in_proc_is_refused)
{
	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(&self->v, "watches_proc"));
	EXPECT_EQ(0, expect_refusal(&self->v, "does not store files"));
	EXPECT_EQ(0, victim_finish(&self->v));
}

VICTIM(watches_a_hidden_file)
{
	int fd = new_inotify();

	V_SYS(mkdir(file_name("dir"), 0755));
	touch("dir/file");
	watch(fd, "dir/file", IN_OPEN);
	V_SYS(mount("none", file_name("dir"), "tmpfs", 0, NULL));
	victim_ready();
	V_SYS(umount(file_name("dir")));
	close(V_SYS(open(file_name("dir/file"), O_RDONLY)));
	EXPECT_EVENT(fd, 1, IN_OPEN, "");
}

TEST_F(inotify, a_watch_on_a_hidden_file_is_refused)
{
	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(&self->v, "watches_a_hidden_file"));
	EXPECT_EQ(0, expect_refusal(&self->v, "no path"));
	EXPECT_EQ(0, victim_finish(&self->v));
}

VICTIM(watches_a_file)
{
	int fd = new_inotify();

	touch("file");
	V_EQUAL(1, watch(fd, "file", IN_OPEN));
	V_EQUAL(2, watch(fd, "", IN_CREATE));
	touch("event");
	victim_ready();
	EXPECT_EVENT(fd, 2, IN_CREATE, "event");
}

TEST_F(inotify, another_file_under_the_name_is_refused_at_the_restart)
{
	char path[PATH_MAX], other[PATH_MAX];

	REQUIRE_RESTART();
	ASSERT_EQ(0, victim_start_and_save(&self->v, "watches_a_file"));
	snprintf(path, sizeof(path), "%s/file", self->v.dir);
	snprintf(other, sizeof(other), "%s/other", self->v.dir);
	ASSERT_EQ(0, write_text(other, ""));
	ASSERT_EQ(0, rename(other, path));
	EXPECT_EQ(-ESTALE, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "/file"));
	ASSERT_EQ(0, unlink(path));
	EXPECT_EQ(-ENOENT, victim_try_restart(&self->v, 0));
}

/* ---- images that are not what they should be ---- */

#define HOSTILE(name, change, expected)					\
	TEST_F(inotify, hostile_##name)					\
	{								\
		struct ckpt_inotify_watch *file, *dir;			\
		struct ckpt_inotify_event *e;				\
		struct ckpt_file_inotify *head;				\
		struct image image, *img = &image;			\
									\
		REQUIRE_RESTART();					\
		ASSERT_EQ(0, victim_image(&self->v, "watches_a_file", img)); \
		file = find(img, CKPT_REC_INOTIFY_WATCH, 0);		\
		dir = find(img, CKPT_REC_INOTIFY_WATCH, 1);		\
		e = find(img, CKPT_REC_INOTIFY_EVENT, 0);		\
		head = find_file(img, "inotify", 0);			\
		ASSERT_NE(NULL, file);					\
		ASSERT_NE(NULL, dir);					\
		ASSERT_NE(NULL, e);					\
		ASSERT_NE(NULL, head);					\
		do { change; } while (0);				\
		EXPECT_EQ((expected) ?: self->v.pid,			\
			  try_changed(&self->v, img, RESTART_LEAVE_STOPPED)) \
			show_log(self->v.log);				\
		free(img->data);					\
	}

HOSTILE(number_0, file->wd = 0, -EBADMSG)
HOSTILE(number_twice, dir->wd = 1, -EBADMSG)
HOSTILE(number_negative, dir->wd = ~0U, -EBADMSG)
HOSTILE(number_large, dir->wd = INT_MAX, 0)
HOSTILE(mask, file->mask |= IN_ISDIR, -EBADMSG)
HOSTILE(mask_of_the_kernel, file->mask |= 0x08000000, -EBADMSG)
HOSTILE(path, file->path = 999999, -EBADMSG)
HOSTILE(path_twice, file->path = dir->path, -EBADMSG)
HOSTILE(watch_reserved, file->reserved = 1, -EBADMSG)
HOSTILE(next_number, head->next_wd = ~0U, -EBADMSG)
HOSTILE(next_number_at_the_end, head->next_wd = 1U << 31, 0)
HOSTILE(watches_more, head->nr_watches++, -EBADMSG)
HOSTILE(watches_less, head->nr_watches--, -EBADMSG)
HOSTILE(events_more, head->nr_events++, -EBADMSG)
HOSTILE(events_less, head->nr_events--, -EBADMSG)
HOSTILE(event_number, e->wd = 0, -EBADMSG)
HOSTILE(event_number_negative, e->wd = -2, -EBADMSG)
HOSTILE(event_name_len, e->name_len = 1000, -EBADMSG)
HOSTILE(event_name_len_max, e->name_len = ~0U, -EBADMSG)
HOSTILE(event_name_with_nul, e->name[1] = 0, -EBADMSG)
HOSTILE(overflow_with_a_name, { e->wd = -1; e->mask = IN_Q_OVERFLOW; }, -EBADMSG)
HOSTILE(overflow_without_mask, { e->wd = -1; e->name_len = 0; }, -EBADMSG)
HOSTILE(event_mask, e->mask = ~0U, 0)

CKPT_TEST_MAIN
