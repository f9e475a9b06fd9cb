// SPDX-License-Identifier: GPL-2.0
/*
 * Pipes and FIFOs: what is in them, and what can be seen of their ends, is as it
 * was; and what a process has in common with others is not taken from them.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <linux/userfaultfd.h>

#include "ckpt_hostile.h"

#define O_NOTIFICATION_PIPE	O_EXCL

CKPT_FIXTURE(pipes)

static char *pattern(size_t len, int seed)
{
	char *p = malloc(len + 1);
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = 'A' + (i * 7 + i / 251 + seed) % 57;
	p[len] = '\0';
	return p;
}

static void put(int fd, const void *data, size_t len)
{
	V_EQUAL(len, write(fd, data, len));
}

/* Exactly @len bytes come with one read(2) of @room bytes, and they are these. */
static void get_of(int fd, const void *data, size_t len, size_t room)
{
	char *buf = malloc(room + 1);

	V_EQUAL(len, read(fd, buf, room));
	V_CHECK(!memcmp(buf, data, len));
	free(buf);
}

static void get(int fd, const char *data)
{
	get_of(fd, data, strlen(data), 65536);
}

static int unread(int fd)
{
	int bytes;

	V_SYS(ioctl(fd, FIONREAD, &bytes));
	return bytes;
}

static int poll_of(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLHUP | POLLERR };

	V_SYS(poll(&p, 1, 0));
	return p.revents;
}

static int reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return V_SYS(open(path, flags));
}

/* ---- contents ---- */

SURVIVES(pipes, an_empty_pipe)
{
	int p[2];

	V_SYS(pipe(p));
	victim_ready();
	V_EQUAL(0, unread(p[0]));
	V_EQUAL(0, poll_of(p[0]));
	V_EQUAL(POLLOUT, poll_of(p[1]));
	put(p[1], "hello", 5);
	get(p[0], "hello");
}

SURVIVES(pipes, unread_data)
{
	int p[2];

	V_SYS(pipe(p));
	put(p[1], "some data", 9);
	victim_ready();
	V_EQUAL(9, unread(p[0]));
	V_EQUAL(POLLIN, poll_of(p[0]));
	victim_ready();
	get(p[0], "some data");
}

SURVIVES(pipes, data_read_in_part_and_written_on)
{
	int p[2];

	V_SYS(pipe(p));
	put(p[1], "0123456789", 10);
	get_of(p[0], "0123", 4, 4);
	victim_ready();
	put(p[1], "abc", 3);
	get(p[0], "456789abc");
}

SURVIVES(pipes, a_full_pipe_is_full)
{
	char *data = pattern(65536, 1);
	int p[2];

	V_SYS(pipe2(p, O_NONBLOCK));
	put(p[1], data, 65536);
	victim_ready();
	V_EQUAL(-1, write(p[1], "x", 1));
	V_EQUAL(EAGAIN, errno);
	V_EQUAL(0, poll_of(p[1]));
	get_of(p[0], data, 65536, 65536);
	V_EQUAL(-1, read(p[0], data, 1));
	V_EQUAL(EAGAIN, errno);
}

/* One byte in each page, which cannot be merged: there is no room for another. */
SURVIVES(pipes, pages_are_as_full_as_they_were)
{
	char big[4096] = "", byte;
	int p[2], i;

	V_SYS(pipe2(p, O_NONBLOCK));
	for (i = 0; i < 16; i++) {
		big[0] = 'a' + i;
		put(p[1], big, 4096);
	}
	/* the first page is read but for a byte */
	get_of(p[0], "a", 1, 1);
	for (i = 1; i < 4095; i++)
		V_EQUAL(1, read(p[0], &byte, 1));
	victim_ready();
	V_EQUAL(4096 * 15 + 1, unread(p[0]));
	V_EQUAL(-1, write(p[1], "x", 1));
	V_EQUAL(EAGAIN, errno);
	V_EQUAL(1, read(p[0], &byte, 1));
	put(p[1], "x", 1);
	for (i = 1; i < 16; i++) {
		big[0] = 'a' + i;
		get_of(p[0], big, 4096, 4096);
	}
	get(p[0], "x");
}

/* A write goes on in the last page exactly where there is room for it. */
SURVIVES(pipes, the_place_in_the_last_page)
{
	char *data = pattern(4096, 2);
	int p[2], i;

	V_SYS(pipe2(p, O_NONBLOCK));
	V_EQUAL(4096, fcntl(p[1], F_SETPIPE_SZ, 4096));
	put(p[1], data, 4000);
	get_of(p[0], data, 3990, 3990);
	victim_ready();
	V_EQUAL(10, unread(p[0]));
	for (i = 0; i < 96; i++)
		put(p[1], "y", 1);
	V_EQUAL(-1, write(p[1], "y", 1));
	V_EQUAL(EAGAIN, errno);
}

SURVIVES(pipes, the_capacity)
{
	int p[2], q[2];

	V_SYS(pipe(p));
	V_SYS(pipe(q));
	V_EQUAL(1 << 20, fcntl(p[0], F_SETPIPE_SZ, 1 << 20));
	V_EQUAL(4096, fcntl(q[0], F_SETPIPE_SZ, 4096));
	victim_ready();
	V_EQUAL(1 << 20, fcntl(p[1], F_GETPIPE_SZ));
	V_EQUAL(4096, fcntl(q[1], F_GETPIPE_SZ));
}

SURVIVES(pipes, a_megabyte)
{
	char *data = pattern(1 << 20, 3);
	int p[2];

	V_SYS(pipe2(p, O_NONBLOCK));
	V_EQUAL(1 << 20, fcntl(p[0], F_SETPIPE_SZ, 1 << 20));
	put(p[1], data, 1 << 20);
	victim_ready();
	get_of(p[0], data, 1 << 20, 1 << 20);
}

/* ---- packets ---- */

SURVIVES(pipes, packets_keep_their_boundaries)
{
	int p[2];

	V_SYS(pipe2(p, O_DIRECT | O_NONBLOCK));
	put(p[1], "one", 3);
	put(p[1], "two", 3);
	put(p[1], "three", 5);
	victim_ready();
	get(p[0], "one");
	/* what is not read of a packet is gone */
	get_of(p[0], "t", 1, 1);
	get(p[0], "three");
	V_CHECK(fcntl(p[1], F_GETFL) & O_DIRECT);
	V_CHECK(!(fcntl(p[0], F_GETFL) & O_DIRECT));
	put(p[1], "four", 4);
	put(p[1], "five", 4);
	get(p[0], "four");
	get(p[0], "five");
}

/* The mode may be changed in between: each piece is what it was written as. */
SURVIVES(pipes, packets_and_bytes_mixed)
{
	int p[2];

	V_SYS(pipe2(p, O_NONBLOCK | O_DIRECT));
	put(p[1], "packet", 6);
	V_SYS(fcntl(p[1], F_SETFL, O_NONBLOCK));
	put(p[1], "ab", 2);
	put(p[1], "cd", 2);
	victim_ready();
	put(p[1], "ef", 2);
	get(p[0], "packet");
	get(p[0], "abcdef");
}

/* ---- foreign pages ---- */

SURVIVES(pipes, pages_spliced_from_a_file)
{
	char *data = pattern(10000, 4);
	int p[2], fd;
	loff_t off = 100;

	fd = V_SYS(open(file_name("file"), O_RDWR | O_CREAT, 0644));
	put(fd, data, 10000);
	V_SYS(pipe2(p, O_NONBLOCK));
	V_EQUAL(8000, V_SYS(splice(fd, &off, p[1], NULL, 8000, 0)));
	victim_ready();
	/* it must not go into the file's page */
	put(p[1], "end", 3);
	get_of(p[0], data + 100, 8000, 8000);
	get(p[0], "end");
	lseek(fd, 0, SEEK_SET);
	get_of(fd, data, 10000, 20000);
}

SURVIVES(pipes, pages_of_memory)
{
	char *data = pattern(10000, 5);
	struct iovec iov = { data + 5, 9000 };
	int p[2];

	V_SYS(pipe2(p, O_NONBLOCK));
	V_EQUAL(9000, V_SYS(vmsplice(p[1], &iov, 1, 0)));
	victim_ready();
	get_of(p[0], data + 5, 9000, 20000);
}

SURVIVES(pipes, pages_that_two_pipes_share)
{
	int p[2], q[2];

	V_SYS(pipe2(p, O_NONBLOCK));
	V_SYS(pipe2(q, O_NONBLOCK));
	put(p[1], "both", 4);
	V_EQUAL(4, V_SYS(tee(p[0], q[1], 100, 0)));
	victim_ready();
	put(q[1], "2", 1);
	put(p[1], "1", 1);
	get(p[0], "both1");
	get(q[0], "both2");
}

/* ---- ends ---- */

SURVIVES(pipes, the_end_of_file_behind_the_data)
{
	int p[2];

	V_SYS(pipe(p));
	put(p[1], "last words", 10);
	close(p[1]);
	victim_ready();
	V_EQUAL(POLLIN | POLLHUP, poll_of(p[0]));
	get(p[0], "last words");
	V_EQUAL(0, read(p[0], p, 1));
	V_EQUAL(POLLHUP, poll_of(p[0]));
}

SURVIVES(pipes, a_pipe_that_nobody_reads)
{
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	V_SYS(pipe(p));
	close(p[0]);
	victim_ready();
	V_EQUAL(POLLOUT | POLLERR, poll_of(p[1]));
	V_EQUAL(-1, write(p[1], "x", 1));
	V_EQUAL(EPIPE, errno);
}

SURVIVES(pipes, descriptions_and_descriptors)
{
	int p[2], twin, other, both;

	V_SYS(pipe(p));
	twin = V_SYS(dup(p[0]));
	other = reopen(p[0], O_RDONLY | O_NONBLOCK);
	both = reopen(p[1], O_RDWR);
	V_SYS(fcntl(p[1], F_SETFD, FD_CLOEXEC));
	victim_ready();
	V_EQUAL(O_RDONLY, fcntl(p[0], F_GETFL));
	V_EQUAL(O_WRONLY, fcntl(p[1], F_GETFL));
	V_EQUAL(O_RDONLY | O_NONBLOCK, fcntl(other, F_GETFL) & ~0100000);
	V_EQUAL(O_RDWR, fcntl(both, F_GETFL) & ~0100000);
	V_EQUAL(FD_CLOEXEC, fcntl(p[1], F_GETFD));
	V_EQUAL(0, fcntl(p[0], F_GETFD));
	/* one description */
	V_SYS(fcntl(twin, F_SETFL, O_NONBLOCK));
	V_EQUAL(O_NONBLOCK, fcntl(p[0], F_GETFL));
	/* one pipe */
	put(both, "x", 1);
	get(other, "x");
	put(p[1], "y", 1);
	get(both, "y");
	close(p[1]);
	V_EQUAL(0, poll_of(p[0]));
	close(both);
	V_EQUAL(POLLHUP, poll_of(p[0]));
	V_EQUAL(0, read(twin, p, 1));
}

SURVIVES(pipes, mode_and_owner_of_the_inode)
{
	struct stat st;
	int p[2];

	V_SYS(pipe(p));
	V_SYS(fchmod(p[0], 0640));
	V_SYS(fchown(p[0], 17, 18));
	victim_ready();
	V_SYS(fstat(p[1], &st));
	V_EQUAL(S_IFIFO | 0640, st.st_mode);
	V_EQUAL(17, st.st_uid);
	V_EQUAL(18, st.st_gid);
}

SURVIVES(pipes, reads_and_writes_without_waiting)
{
	struct iovec iov = { (char[1]){ }, 1 };
	int p[2];

	V_SYS(pipe(p));
	victim_ready();
	V_EQUAL(-1, preadv2(p[0], &iov, 1, -1, RWF_NOWAIT));
	V_EQUAL(EAGAIN, errno);
}

SURVIVES(pipes, both_ends_on_standard_descriptors)
{
	int p[2];

	V_SYS(pipe(p));
	V_SYS(dup2(p[0], 0));
	V_SYS(dup2(p[1], 1));
	close(p[0]);
	close(p[1]);
	put(1, "mine", 4);
	victim_ready();
	get(0, "mine");
	put(1, "again", 5);
	get(0, "again");
}

SURVIVES(pipes, the_rest_of_a_pipe_on_standard_input)
{
	int p[2];

	V_SYS(pipe(p));
	V_SYS(dup2(p[0], 0));
	close(p[0]);
	put(p[1], "input", 5);
	close(p[1]);
	victim_ready();
	get(0, "input");
	V_EQUAL(0, read(0, p, 1));
}

/* ---- blocking ---- */

static int blocking[2];

static void *late_writer(void *arg)
{
	victim_await(victim_reach_thread(getpid(), __NR_read));
	put(blocking[1], "at last", 7);
	return NULL;
}

SURVIVES(pipes, a_read_that_waits)
{
	pthread_t thread;

	V_SYS(pipe(blocking));
	V_EQUAL(0, pthread_create(&thread, NULL, late_writer, NULL));
	get(blocking[0], "at last");
	V_EQUAL(0, pthread_join(thread, NULL));
}

static char *big_data;

static void *late_reader(void *arg)
{
	char *buf = malloc(100000);
	size_t len = 0;

	victim_await(victim_reach_thread(getpid(), __NR_write));
	while (len < 100000)
		len += V_SYS(read(blocking[0], buf + len, 100000 - len));
	V_CHECK(!memcmp(buf, big_data, len));
	return NULL;
}

/* The part that was written before counts. */
SURVIVES(pipes, a_write_that_waits)
{
	pthread_t thread;

	V_SYS(pipe(blocking));
	big_data = pattern(100000, 6);
	V_EQUAL(0, pthread_create(&thread, NULL, late_reader, NULL));
	size_t done = 0;

	while (done < 100000) {
		ssize_t n = V_SYS(write(blocking[1], big_data + done, 100000 - done));

		done += n;
	}
	V_EQUAL(0, pthread_join(thread, NULL));
}

/* ---- FIFOs ---- */

SURVIVES(pipes, a_fifo)
{
	int fd, rd;

	V_SYS(mkfifo(file_name("fifo"), 0644));
	fd = V_SYS(open(file_name("fifo"), O_RDWR));
	rd = V_SYS(open(file_name("fifo"), O_RDONLY | O_NONBLOCK));
	V_EQUAL(8192, fcntl(fd, F_SETPIPE_SZ, 8192));
	put(fd, "in the fifo", 11);
	victim_ready();
	V_EQUAL(8192, fcntl(rd, F_GETPIPE_SZ));
	get(rd, "in the fifo");
	put(fd, "more", 4);
	get(fd, "more");
	close(fd);
	V_EQUAL(POLLHUP, poll_of(rd));
	/* it is still the FIFO of that name */
	fd = V_SYS(open(file_name("fifo"), O_WRONLY | O_NONBLOCK));
	put(fd, "named", 5);
	get(rd, "named");
}

SURVIVES(pipes, a_fifo_without_writer)
{
	int rd, fd;

	V_SYS(mkfifo(file_name("fifo"), 0644));
	rd = V_SYS(open(file_name("fifo"), O_RDONLY | O_NONBLOCK));
	V_EQUAL(0, poll_of(rd));
	victim_ready();
	/* not a hang-up: there was nobody yet */
	V_EQUAL(0, poll_of(rd));
	V_EQUAL(0, read(rd, &fd, 1));
	fd = V_SYS(open(file_name("fifo"), O_WRONLY));
	put(fd, "x", 1);
	close(fd);
	V_EQUAL(POLLIN | POLLHUP, poll_of(rd));
	get(rd, "x");
	V_EQUAL(POLLHUP, poll_of(rd));
	victim_ready();
	V_EQUAL(POLLHUP, poll_of(rd));
}

static void *fifo_opener(void *arg)
{
	int fd;

	victim_await(victim_reach_thread(getpid(), __NR_openat));
	fd = V_SYS(open(file_name("fifo"), O_WRONLY));
	put(fd, "open", 4);
	return NULL;
}

SURVIVES(pipes, an_open_that_waits)
{
	pthread_t thread;
	char *path;
	int fd;

	V_SYS(mkfifo(file_name("fifo"), 0644));
	path = strdup(file_name("fifo"));
	V_EQUAL(0, pthread_create(&thread, NULL, fifo_opener, NULL));
	fd = V_SYS(open(path, O_RDONLY));
	get(fd, "open");
	V_EQUAL(0, pthread_join(thread, NULL));
}

/* ---- the border ---- */

FIXTURE(border)
{
	struct victim v;
	int p[2];
};

FIXTURE_SETUP(border)
{
	REQUIRE_REAL_CHECKPOINT();
	victim_init(&self->v);
	ASSERT_EQ(0, pipe2(self->p, O_CLOEXEC));
}

FIXTURE_TEARDOWN(border)
{
	close(self->p[0]);
	close(self->p[1]);
	victim_cleanup(&self->v);
}

VICTIM(holds_an_end)
{
	move_stdin(5);
	victim_ready();
	V_CHECK(write(5, "x", 1) == 1);
	victim_ready();
}

TEST_F(border, another_process_has_the_other_end)
{
	char byte;

	self->v.stdio[0] = self->p[1];
	ASSERT_EQ(0, victim_start(&self->v, "holds_an_end"));
	close(self->p[1]);
	self->p[1] = -1;
	EXPECT_TRUE(refuses(&self->v, "fd 5: pipe:[", "outside the checkpoint reads"));
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(1, read(self->p[0], &byte, 1));
	/* once it is gone, nobody but the victim has the pipe */
	close(self->p[0]);
	self->p[0] = -1;
	EXPECT_EQ(0, victim_cycle(&self->v, true));
	EXPECT_EQ(0, victim_finish(&self->v));
}

TEST_F(border, another_process_shares_the_description)
{
	self->v.stdio[0] = self->p[1];
	ASSERT_EQ(0, victim_start(&self->v, "holds_an_end"));
	close(self->p[0]);
	self->p[0] = -1;
	EXPECT_TRUE(refuses(&self->v, "fd 5: pipe:[", "shares"));
	close(self->p[1]);
	self->p[1] = -1;
	EXPECT_EQ(0, victim_checkpoint(&self->v, 0));
}

VICTIM(has_a_notification_pipe)
{
	int p[2];

	if (pipe2(p, O_NOTIFICATION_PIPE))
		vpage->word[0] = 1;
	victim_ready();
	victim_ready();
}

TEST_F(border, a_notification_pipe)
{
	ASSERT_EQ(0, victim_start(&self->v, "has_a_notification_pipe"));
	if (victim_word(&self->v, 0))
		SKIP(return, "kernel without CONFIG_WATCH_QUEUE");
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "notification"));
}

VICTIM(has_a_fifo)
{
	V_SYS(mkfifo(file_name("fifo"), 0644));
	V_SYS(open(file_name("fifo"), O_RDWR));
	victim_ready();
	V_SYS(unlink(file_name("fifo")));
	victim_ready();
}

TEST_F(border, a_fifo_that_another_process_has)
{
	char path[128];
	int fd;

	ASSERT_EQ(0, victim_start(&self->v, "has_a_fifo"));
	snprintf(path, sizeof(path), "%s/fifo", self->v.dir);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "/fifo: a process outside"));
	close(fd);
	EXPECT_EQ(0, victim_checkpoint(&self->v, 0));
	EXPECT_EQ(0, victim_kill(&self->v));

	/* nor is it taken at the restart */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "/fifo: another process has this FIFO open"));
	close(fd);
	EXPECT_EQ(0, victim_restart(&self->v));

	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "deleted"));
}

VICTIM(has_a_fifo_of_its_own)
{
	struct stat st;
	int fd;

	V_SYS(mkfifo(file_name("fifo"), 0644));
	V_SYS(chmod(file_name("fifo"), 0606));
	V_SYS(chown(file_name("fifo"), 5, 6));
	fd = V_SYS(open(file_name("fifo"), O_RDWR));
	put(fd, "data", 4);
	victim_ready();
	V_SYS(stat(file_name("fifo"), &st));
	V_EQUAL(S_IFIFO | 0606, st.st_mode);
	V_EQUAL(5, st.st_uid);
	V_EQUAL(6, st.st_gid);
	get(fd, "data");
	fd = V_SYS(open(file_name("fifo"), O_WRONLY | O_NONBLOCK));
	put(fd, "x", 1);
}

/* A FIFO that is missing, as after a boot, is made again; not if all else fails. */
TEST_F(border, a_fifo_that_is_missing)
{
	char path[128];
	struct stat st;

	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_a_fifo_of_its_own"));
	snprintf(path, sizeof(path), "%s/fifo", self->v.dir);
	ASSERT_EQ(0, unlink(path));

	ASSERT_EQ(0, fstat(self->v.image, &st));
	ASSERT_EQ(0, ftruncate(self->v.image, st.st_size - 8));
	EXPECT_GT(0, victim_try_restart(&self->v, 0));
	EXPECT_EQ(-1, access(path, F_OK));
	ASSERT_EQ(0, pwrite(self->v.image, CKPT_TRAILER_MAGIC, 8, st.st_size - 8) - 8);

	/* far into it: a page is not what it should be */
	struct image img;

	ASSERT_EQ(0, load_image(&img, self->v.image));
	img.data[img.off[img.nr - 1] - 1] ^= 1;
	EXPECT_EQ(-EBADMSG, try_image(&self->v, &img, 0));
	EXPECT_EQ(-1, access(path, F_OK));
	img.data[img.off[img.nr - 1] - 1] ^= 1;
	EXPECT_EQ(self->v.pid, try_image(&self->v, &img, 0));
	EXPECT_EQ(0, victim_finish(&self->v));
	free(img.data);
}

/* ---- images that lie ---- */

VICTIM(a_pipe_with_all)
{
	int p[2];

	V_SYS(pipe2(p, O_DIRECT));
	put(p[1], "packet", 6);
	V_SYS(fcntl(p[1], F_SETFL, 0));
	put(p[1], "bytes", 5);
	victim_ready();
	get(p[0], "packet");
	get(p[0], "bytes");
}

CKPT_IMAGE_FIXTURE(lies, a_pipe_with_all)

#define LIE(promise, err, ...)						\
	TEST_F(lies, promise)						\
	{								\
		struct image *img = &self->img;				\
		struct ckpt_pipe *p = find(img, CKPT_REC_PIPE, 0);	\
		struct ckpt_pipe_buffer *b = find(img, CKPT_REC_PIPE_BUFFER, 1); \
		struct ckpt_pipe_buffer *c = find(img, CKPT_REC_PIPE_BUFFER, 0); \
									\
		ASSERT_NE(NULL, p);					\
		ASSERT_NE(NULL, b);					\
		ASSERT_NE(NULL, c);					\
		__VA_ARGS__;						\
		EXPECT_EQ(err, try_changed(&self->v, img, 0));		\
		EXPECT_NE('\0', self->v.log[0]);			\
	}

LIE(capacity_0, -EBADMSG, p->size = 0)
LIE(capacity_no_power_of_2, -EBADMSG, p->size = 12288)
LIE(capacity_below_a_page, -EBADMSG, p->size = 2048)
LIE(more_buffers_than_capacity, -EBADMSG, p->size = 4096)
LIE(too_many_buffers, -EBADMSG, p->nr_buffers = 17)
LIE(buffers_missing, -EBADMSG, p->nr_buffers = 3)
LIE(buffers_left_over, -EBADMSG, p->nr_buffers = 1)
LIE(unknown_flags_of_a_pipe, -EBADMSG, p->flags = 1 << 31)
LIE(bad_mode, -EBADMSG, p->node.mode = 0100644)
LIE(a_path_that_is_none, -EBADMSG, p->node.path = rec_at(img, find_rec(img, CKPT_REC_FILE, 0))->objref)
LIE(longer_than_its_record, -EBADMSG, b->len = 4096)
LIE(longer_than_all, -EBADMSG, b->len = 0xffffffff)
LIE(beyond_the_page, -EBADMSG, b->offset = 4095)
LIE(far_beyond_the_page, -EBADMSG, b->offset = 0xfffffff0)
LIE(packet_with_offset, -EBADMSG, c->offset = 1)
LIE(packet_and_bytes, -EBADMSG, b->flags |= CKPT_PIPE_BUFFER_PACKET)
LIE(unknown_flags_of_a_buffer, -EBADMSG, b->flags |= 1 << 7)
LIE(no_reserved_field, -EBADMSG, p->reserved = 1)

TEST_F(lies, every_end_of_no_pipe)
{
	struct image *img = &self->img;
	int i, nr, tried = 0;

	for (i = 0; (nr = find_rec(img, CKPT_REC_FILE, i)) >= 0; i++) {
		struct ckpt_file *f = payload_at(img, nr);
		struct ckpt_file_pipe *fp = (void *)(f + 1);
		uint32_t pipe = fp->pipe;
		unsigned int k;

		if (strcmp((char *)f->type, "pipe"))
			continue;
		uint32_t others[] = { 0, 1, rec_at(img, nr)->objref, 0xffffffff };

		for (k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
			fp->pipe = others[k];
			EXPECT_EQ(-EBADMSG, try_changed(&self->v, img, 0));
		}
		fp->pipe = pipe;
		tried++;
	}
	EXPECT_EQ(2, tried);
	EXPECT_EQ(0, finish_from(&self->v, img));
}

/* One number, two objects. */
VICTIM(a_pipe_and_shared_memory)
{
	int p[2], fd;

	V_SYS(pipe(p));
	fd = V_SYS(memfd_create("shared", 0));
	V_SYS(ftruncate(fd, 4096));
	if (*victim_arg)
		V_CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	victim_ready();
}

FIXTURE(both)
{
	struct victim v;
	struct image img;
};

FIXTURE_SETUP(both)
{
	REQUIRE_REAL_CHECKPOINT();
	victim_init(&self->v);
}

FIXTURE_TEARDOWN(both)
{
	victim_cleanup(&self->v);
	free(self->img.data);
}

static struct ckpt_file *file_of_type(struct image *img, const char *type)
{
	struct ckpt_file *f;
	int i;

	for (i = 0; (f = find(img, CKPT_REC_FILE, i)); i++)
		if (!strcmp((char *)f->type, type))
			break;
	return f;
}

static long try_both(struct victim *v, struct image *img, const char *map)
{
	struct ckpt_file_shmem *shmem;
	struct ckpt_file_pipe *pipe;
	struct ckpt_file *f[2];

	if (victim_start_with(v, "a_pipe_and_shared_memory", map) || victim_save(v) ||
	    load_image(img, v->image))
		return 1;
	f[0] = file_of_type(img, "pipe");
	f[1] = file_of_type(img, "shmem");
	if (!f[0] || !f[1])
		return 2;
	pipe = (void *)(f[0] + 1);
	shmem = (void *)(f[1] + 1);
	rec_at(img, find_rec(img, CKPT_REC_SHMEM, 0))->objref = pipe->pipe;
	shmem->shmem = pipe->pipe;
	return try_changed(v, img, 0);
}

TEST_F(both, a_pipe_that_is_shared_memory)
{
	EXPECT_EQ(-EBADMSG, try_both(&self->v, &self->img, ""));
	EXPECT_NE(NULL, strstr(self->v.log, "of another kind"));
}

TEST_F(both, shared_memory_that_is_a_pipe)
{
	EXPECT_EQ(-EBADMSG, try_both(&self->v, &self->img, "mapped"));
	EXPECT_NE(NULL, strstr(self->v.log, "of another kind"));
}

/* Nor is the number of a pipe that of one of its ends. */
TEST_F(lies, a_pipe_as_an_open_file)
{
	struct image *img = &self->img;
	struct ckpt_fd *fd = NULL;
	int i;

	/* the last one: the pipe exists by then */
	for (i = 0; find(img, CKPT_REC_FD, i); i++)
		fd = find(img, CKPT_REC_FD, i);
	ASSERT_NE(NULL, fd);
	fd->file = rec_at(img, find_rec(img, CKPT_REC_PIPE, 0))->objref;
	EXPECT_EQ(-EBADMSG, try_changed(&self->v, img, 0));
}

/* ---- who holds a pipe up ---- */

/* Memory that does not come; what uses it waits until the descriptor is closed. */
static int never_comes(char *addr, size_t len)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)addr, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg))
		return fd;
	close(fd);
	return -1;
}

struct slow_writer {
	int	pipe;
	int	uffd;
	char	*memory;
};

static void *write_slowly(void *arg)
{
	struct slow_writer *w = arg;

	return (void *)write(w->pipe, w->memory, 100);
}

/* In case somebody does wait for it. */
static void *let_it_come(void *arg)
{
	struct slow_writer *w = arg;

	sleep_ms(5000);
	close(w->uffd);
	w->uffd = -1;
	return NULL;
}

/*
 * Somebody at the other end writes from memory that does not come, and has the pipe
 * locked meanwhile: nobody waits for him while the process is frozen.
 */
TEST_F(border, a_stranger_who_holds_the_pipe_up)
{
	struct slow_writer w = { self->p[1] };
	pthread_t writer, late;
	int64_t began;

	w.memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, w.memory);
	w.uffd = never_comes(w.memory, 4096);
	if (w.uffd < 0)
		SKIP(return, "no userfaultfd");
	self->v.stdio[0] = self->p[0];
	ASSERT_EQ(0, victim_start(&self->v, "holds_an_end"));
	ASSERT_EQ(0, pthread_create(&writer, NULL, write_slowly, &w));
	ASSERT_EQ(0, pthread_create(&late, NULL, let_it_come, &w));
	sleep_ms(100);
	began = now_ns(CLOCK_MONOTONIC);
	EXPECT_TRUE(refuses(&self->v, "fd 5: ", "outside the checkpoint"));
	EXPECT_GT(3000000000LL, now_ns(CLOCK_MONOTONIC) - began);
	pthread_cancel(late);
	pthread_join(late, NULL);
	close(w.uffd);
	pthread_join(writer, NULL);
	munmap(w.memory, 4096);
}

/* ---- FIFOs that are made again ---- */

/* User and group 100000 of the file system are root there; see mount_setattr(2). */
static int map_owners(const char *dir)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	int go[2], tree, err = -1;
	char path[64];
	pid_t pid;

	if (pipe(go) || chown(dir, 100000, 100000))
		return -1;
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWUSER) || write(go[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(go[1]);
	tree = syscall(__NR_open_tree, AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (pid > 0 && read(go[0], path, 1) == 1 && tree >= 0) {
		snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
		err = write_text(path, "100000 0 65536");
		snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
		err = err ?: write_text(path, "100000 0 65536");
		snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		attr.userns_fd = open(path, O_RDONLY | O_CLOEXEC);
		err = err ?: syscall(__NR_mount_setattr, tree, "", AT_EMPTY_PATH, &attr,
				     sizeof(attr));
		err = err ?: syscall(__NR_move_mount, tree, "", AT_FDCWD, dir,
				     MOVE_MOUNT_F_EMPTY_PATH);
		close(attr.userns_fd);
	}
	close(tree);
	close(go[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err;
}

TEST_F(border, a_fifo_that_is_missing_where_owners_are_mapped)
{
	char path[128];

	if (map_owners(self->v.dir))
		SKIP(return, "no mounts that map owners");
	EXPECT_EQ(0, victim_start_and_save(&self->v, "has_a_fifo_of_its_own"));
	snprintf(path, sizeof(path), "%s/fifo", self->v.dir);
	EXPECT_EQ(0, unlink(path));
	EXPECT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
	umount2(self->v.dir, MNT_DETACH);
	EXPECT_EQ(0, chown(self->v.dir, 0, 0));
}

/* struct posix_acl_xattr_header and its entries: user 1234 may do what others may not */
static const struct {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} entry[5];
} acl = { 2, { { 1, 7, -1 }, { 2, 7, 1234 }, { 4, 5, -1 }, { 16, 7, -1 }, { 32, 5, -1 } } };

/* A FIFO that is made again lets nobody in whom it did not. */
TEST_F(border, a_fifo_that_is_missing_inherits_no_access_control_list)
{
	char path[128];

	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_a_fifo_of_its_own"));
	snprintf(path, sizeof(path), "%s/fifo", self->v.dir);
	ASSERT_EQ(0, unlink(path));
	if (setxattr(self->v.dir, "system.posix_acl_default", &acl, sizeof(acl), 0))
		SKIP(return, "no access control lists on this file system");
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(-1, getxattr(path, "system.posix_acl_access", NULL, 0));
	EXPECT_EQ(ENODATA, errno);
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* By its mode alone it would let in its group. */
VICTIM(has_a_fifo_with_a_list)
{
	V_SYS(mkfifo(file_name("fifo"), 0640));
	V_SYS(setxattr(file_name("fifo"), "system.posix_acl_access", &acl, sizeof(acl), 0));
	V_SYS(open(file_name("fifo"), O_RDWR));
	victim_ready();
}

TEST_F(border, a_fifo_that_is_missing_had_an_access_control_list)
{
	char path[128];
	struct stat st;

	if (setxattr(self->v.dir, "system.posix_acl_default", &acl, sizeof(acl), 0))
		SKIP(return, "no access control lists on this file system");
	ASSERT_EQ(0, removexattr(self->v.dir, "system.posix_acl_default"));
	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_a_fifo_with_a_list"));
	snprintf(path, sizeof(path), "%s/fifo", self->v.dir);
	ASSERT_EQ(0, unlink(path));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "access control list"));
	EXPECT_EQ(-1, stat(path, &st));

	/* Of one that is there nothing is changed. */
	ASSERT_EQ(0, mkfifo(path, 0600));
	EXPECT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, stat(path, &st));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(0, victim_finish(&self->v));
}

CKPT_TEST_MAIN
