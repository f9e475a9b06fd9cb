// SPDX-License-Identifier: GPL-2.0
/*
 * POSIX message queues: a restarted process has its descriptors of them again, with
 * the messages that were in them, whether the queues have outlived it or not.
 */
#include <mqueue.h>
#include <sys/resource.h>

#include "ckpt_hostile.h"

/* How a process comes back: not at all, to a queue that is there, or that is not. */
enum way { CONTINUED, RESTARTED, REBOOTED };

FIXTURE(mqueue) { struct victim v; };
FIXTURE_VARIANT(mqueue) { enum way way; };
FIXTURE_VARIANT_ADD(mqueue, continued) { .way = CONTINUED };
FIXTURE_VARIANT_ADD(mqueue, restarted) { .way = RESTARTED };
FIXTURE_VARIANT_ADD(mqueue, rebooted) { .way = REBOOTED };

#define NAME	"/ckpt_mqueue_test"

FIXTURE_SETUP(mqueue)
{
	REQUIRE_CHECKPOINT();
	mq_unlink(NAME);
	victim_init(&self->v);
}

FIXTURE_TEARDOWN(mqueue)
{
	victim_cleanup(&self->v);
	mq_unlink(NAME);
}

static long cycle(struct victim *v, int way)
{
	long err;

	if (dry_run())
		return 0;
	err = way == CONTINUED ? victim_checkpoint(v, 0) : victim_save(v);
	if (err || way == CONTINUED)
		return err;
	if (way == REBOOTED)
		mq_unlink(NAME);
	return victim_restart(v);
}

#define LIVES(promise)	SURVIVES_BY(mqueue, promise, cycle, variant->way)

static mqd_t new_queue(int flags, long maxmsg, long msgsize)
{
	struct mq_attr attr = { .mq_maxmsg = maxmsg, .mq_msgsize = msgsize };

	return V_SYS(mq_open(NAME, O_CREAT | O_EXCL | flags, 0640, &attr));
}

static void send_message(mqd_t q, const char *text, unsigned int prio)
{
	V_SYS(mq_send(q, text, strlen(text), prio));
}

static void get_message(mqd_t q, const char *text, unsigned int prio)
{
	unsigned int got_prio = -1;
	char buf[8192];

	memset(buf, 0, sizeof(buf));
	V_EQUAL(strlen(text), mq_receive(q, buf, sizeof(buf), &got_prio));
	V_CHECK(!strcmp(buf, text));
	V_EQUAL(prio, got_prio);
}

static void check_attr(mqd_t q, long flags, long maxmsg, long msgsize, long curmsgs)
{
	struct mq_attr attr;

	V_SYS(mq_getattr(q, &attr));
	V_EQUAL(flags, attr.mq_flags);
	V_EQUAL(maxmsg, attr.mq_maxmsg);
	V_EQUAL(msgsize, attr.mq_msgsize);
	V_EQUAL(curmsgs, attr.mq_curmsgs);
}

LIVES(messages)
{
	static char longest[8000];
	struct stat before, now;
	mqd_t q = new_queue(O_RDWR, 7, 8000);

	memset(longest, 'x', sizeof(longest) - 1);
	send_message(q, "first of 3", 3);
	send_message(q, "", 0);
	send_message(q, "the most urgent", MQ_PRIO_MAX - 1);
	send_message(q, "second of 3", 3);
	send_message(q, longest, 5);
	V_SYS(fstat(q, &before));
	victim_ready();
	check_attr(q, 0, 7, 8000, 5);
	V_SYS(fstat(q, &now));
	V_EQUAL(before.st_mode, now.st_mode);
	V_EQUAL(before.st_uid, now.st_uid);
	V_EQUAL(before.st_mtim.tv_sec, now.st_mtim.tv_sec);
	V_EQUAL(before.st_mtim.tv_nsec, now.st_mtim.tv_nsec);
	V_EQUAL(before.st_atim.tv_nsec, now.st_atim.tv_nsec);
	get_message(q, "the most urgent", MQ_PRIO_MAX - 1);
	get_message(q, longest, 5);
	get_message(q, "first of 3", 3);
	send_message(q, "third of 3", 3);
	get_message(q, "second of 3", 3);
	get_message(q, "third of 3", 3);
	get_message(q, "", 0);
	check_attr(q, 0, 7, 8000, 0);
	V_SYS(mq_unlink(NAME));
}

LIVES(descriptors)
{
	mqd_t in = new_queue(O_RDONLY | O_NONBLOCK, 3, 100), out, copy;
	char buf[100];

	out = V_SYS(mq_open(NAME, O_WRONLY));
	copy = V_SYS(dup(in));
	victim_ready();
	check_attr(in, O_NONBLOCK, 3, 100, 0);
	check_attr(out, 0, 3, 100, 0);
	V_EQUAL(-1, mq_receive(in, buf, sizeof(buf), NULL));
	V_EQUAL(EAGAIN, errno);
	V_EQUAL(-1, mq_send(in, "x", 1, 0));
	V_EQUAL(EBADF, errno);
	V_EQUAL(-1, mq_receive(out, buf, sizeof(buf), NULL));
	V_EQUAL(EBADF, errno);
	send_message(out, "through", 1);
	get_message(copy, "through", 1);
	V_EQUAL(FD_CLOEXEC, fcntl(in, F_GETFD));
	V_SYS(mq_unlink(NAME));
}

LIVES(queue_without_a_name)
{
	mqd_t q = new_queue(O_RDWR, 3, 100), other;

	other = V_SYS(mq_open(NAME, O_RDONLY));
	V_SYS(mq_unlink(NAME));
	send_message(q, "nobody else can read it", 9);
	victim_ready();
	V_EQUAL(-1, mq_open(NAME, O_RDONLY));
	V_EQUAL(ENOENT, errno);
	get_message(other, "nobody else can read it", 9);
	check_attr(q, 0, 3, 100, 0);
}

LIVES(queue_of_another_owner)
{
	mqd_t q = new_queue(O_RDWR, 3, 100);
	struct stat st;

	V_SYS(fchown(q, 1234, 4321));
	V_SYS(fchmod(q, 0406));
	victim_ready();
	V_SYS(fstat(q, &st));
	V_EQUAL(1234, st.st_uid);
	V_EQUAL(4321, st.st_gid);
	V_EQUAL(S_IFREG | 0406, st.st_mode);
	V_SYS(mq_unlink(NAME));
}

static volatile int notified, notified_code, notified_value;

static void on_notify(int sig, siginfo_t *info, void *uc)
{
	notified++;
	notified_code = info->si_code;
	notified_value = info->si_value.sival_int;
}

LIVES(notification)
{
	struct sigaction sa = { .sa_sigaction = on_notify, .sa_flags = SA_SIGINFO };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	mqd_t q = new_queue(O_RDWR, 3, 100);

	ev.sigev_value.sival_int = 4711;
	V_SYS(sigaction(SIGUSR1, &sa, NULL));
	V_SYS(mq_notify(q, &ev));
	victim_ready();
	V_EQUAL(0, notified);
	/* taken, by this very process */
	V_EQUAL(-1, mq_notify(q, &ev));
	V_EQUAL(EBUSY, errno);
	send_message(q, "now", 1);
	V_EQUAL(1, notified);
	V_EQUAL(SI_MESGQ, notified_code);
	V_EQUAL(4711, notified_value);
	get_message(q, "now", 1);
	send_message(q, "not again", 1);
	V_EQUAL(1, notified);
	V_SYS(mq_notify(q, &ev));
	V_SYS(mq_notify(q, NULL));
	V_SYS(mq_unlink(NAME));
}

LIVES(notification_by_nothing)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	mqd_t q = new_queue(O_RDWR, 3, 100);

	V_SYS(mq_notify(q, &ev));
	victim_ready();
	V_EQUAL(-1, mq_notify(q, &ev));
	V_EQUAL(EBUSY, errno);
	V_SYS(mq_unlink(NAME));
}

VICTIM(waiting)
{
	mqd_t q = new_queue(O_RDWR, 3, 100);

	victim_reach_in(__NR_mq_timedreceive);
	get_message(q, "at last", 2);
	V_SYS(mq_unlink(NAME));
}

TEST_F(mqueue, waiting_for_a_message)
{
	mqd_t q;

	ASSERT_EQ(0, victim_start(&self->v, "waiting"));
	ASSERT_EQ(0, cycle(&self->v, variant->way));
	q = mq_open(NAME, O_WRONLY);
	ASSERT_LE(0, q);
	ASSERT_EQ(0, mq_send(q, "at last", 7, 2));
	mq_close(q);
	EXPECT_EQ(0, victim_end(&self->v));
}

/* ---- what others do ---- */

FIXTURE(mqueue_object) { struct victim v; };

FIXTURE_SETUP(mqueue_object)
{
	REQUIRE_REAL_CHECKPOINT();
	mq_unlink(NAME);
	victim_init(&self->v);
}

FIXTURE_TEARDOWN(mqueue_object)
{
	victim_cleanup(&self->v);
	mq_unlink(NAME);
}

VICTIM(owner)
{
	mqd_t q = new_queue(O_RDWR, 5, 100);

	send_message(q, "one", 1);
	send_message(q, "two", 2);
	victim_ready();
	check_attr(q, 0, 5, 100, 2);
	get_message(q, "two", 2);
	get_message(q, "one", 1);
	send_message(q, "three", 3);
	victim_ready();
	get_message(q, "three", 3);
}

TEST_F(mqueue_object, open_elsewhere_is_refused)
{
	mqd_t q;

	ASSERT_EQ(0, victim_start(&self->v, "owner"));
	q = mq_open(NAME, O_RDONLY);
	ASSERT_LE(0, q);
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, NAME));
	EXPECT_NE(NULL, strstr(self->v.log, "outside"));
	mq_close(q);
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));

	/* as at the restart */
	ASSERT_EQ(0, victim_kill(&self->v));
	q = mq_open(NAME, O_RDONLY);
	EXPECT_EQ(-EBUSY, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, NAME));
	mq_close(q);
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

TEST_F(mqueue_object, is_set_back)
{
	ASSERT_EQ(0, victim_start(&self->v, "owner"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, victim_restart(&self->v));
	self->v.turn = 1;
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

TEST_F(mqueue_object, of_another_is_not_taken)
{
	struct mq_attr attr = { .mq_maxmsg = 5, .mq_msgsize = 100 };
	char buf[100];
	mqd_t q;

	ASSERT_EQ(0, victim_start_and_save(&self->v, "owner"));
	ASSERT_EQ(0, mq_unlink(NAME));
	q = mq_open(NAME, O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attr);
	ASSERT_LE(0, q);
	ASSERT_EQ(0, mq_send(q, "mine", 4, 7));
	mq_close(q);
	EXPECT_EQ(-EEXIST, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, NAME));
	q = mq_open(NAME, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(4, mq_receive(q, buf, sizeof(buf), NULL));
	mq_close(q);
}

/* Only processes of the image may be sent signals on its behalf. */
VICTIM(notified)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	mqd_t q = new_queue(O_RDWR, 5, 100);

	send_message(q, "one", 1);
	V_SYS(mq_notify(q, &ev));
	victim_ready();
}

#define HOSTILE(name, type, change)					\
	TEST_F(mqueue_object, hostile_##name)				\
	{								\
		struct image img;					\
		union {							\
			void *any;					\
			struct ckpt_mqueue *queue;			\
			struct ckpt_msg *msg;				\
		} p;							\
									\
		ASSERT_EQ(0, victim_image(&self->v, "notified", &img));	\
		ASSERT_EQ(0, mq_unlink(NAME));				\
		ASSERT_TRUE(image_is_good(&self->v, &img));		\
		ASSERT_EQ(0, mq_unlink(NAME));				\
		p.any = find(&img, type, 0);				\
		ASSERT_NE(NULL, p.any);					\
		change;							\
		EXPECT_GT(0, try_changed(&self->v, &img, 0));		\
		EXPECT_NE('\0', self->v.log[0]);			\
		EXPECT_EQ(-1, mq_unlink(NAME));				\
		free(img.data);						\
	}

HOSTILE(notified_stranger, CKPT_REC_MQUEUE, p.queue->owner = 1)
HOSTILE(signal, CKPT_REC_MQUEUE, p.queue->signo = 65)
HOSTILE(notification_by_thread, CKPT_REC_MQUEUE, p.queue->notify = SIGEV_THREAD)
HOSTILE(no_room, CKPT_REC_MQUEUE, p.queue->maxmsg = 0)
HOSTILE(much_room, CKPT_REC_MQUEUE, p.queue->maxmsg = 1L << 40)
HOSTILE(negative_size, CKPT_REC_MQUEUE, p.queue->msgsize = -1)
HOSTILE(more_messages_than_room, CKPT_REC_MQUEUE, p.queue->nr_messages = 6)
HOSTILE(missing_message, CKPT_REC_MQUEUE, p.queue->nr_messages = 2)
HOSTILE(name_without_end, CKPT_REC_MQUEUE, p.queue->name_len = 4000)
HOSTILE(name_with_slash, CKPT_REC_MQUEUE, p.queue->name[0] = '/')
HOSTILE(name_up, CKPT_REC_MQUEUE, strcpy((char *)p.queue->name, ".."); p.queue->name_len = 2)
HOSTILE(priority, CKPT_REC_MSG, p.msg->type = 32768)
HOSTILE(negative_priority, CKPT_REC_MSG, p.msg->type = -1)
HOSTILE(long_message, CKPT_REC_MSG, p.msg->size = 1ULL << 63)
HOSTILE(message_longer_than_record, CKPT_REC_MSG, p.msg->size = 90)

CKPT_TEST_MAIN
