// SPDX-License-Identifier: GPL-2.0
/*
 * Files of a kind that a module teaches the kernel to save: the sample module,
 * samples/checkpoint/ckpt_slate.c.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/socket.h>

#include "ckpt_tree.h"

#define MODULES		"/usr/local/lib/linux-cr/modules"
#define SLATE		"/dev/ckpt_slate"

/* ---- the module of the running kernel ---- */

static bool same_file(const char *one, const char *two)
{
	static char a[1 << 20], b[1 << 20];
	ssize_t len = read_text(one, a, sizeof(a));

	return len > 0 && read_text(two, b, sizeof(b)) == len && !memcmp(a, b, len);
}

/* Every kernel has a directory of its own, with its configuration. */
static int open_module(void)
{
	struct dirent *entry;
	char path[PATH_MAX];
	int fd = -ENOENT;
	DIR *dir;

	dir = opendir(MODULES);
	while (dir && fd < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), MODULES "/%s/config.gz", entry->d_name);
		if (!same_file(path, "/proc/config.gz"))
			continue;
		snprintf(path, sizeof(path), MODULES "/%s/ckpt_slate.ko", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return fd;
}

static int load(const char *parameters)
{
	int fd = open_module(), err;

	if (fd < 0)
		return -ENOENT;
	err = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;
	close(fd);
	return err;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "ckpt_slate", O_NONBLOCK) ? -errno : 0;
}

/* A dead process's files may be on their way still. */
static bool unloaded(void)
{
	int err = unload();

	return !err || err == -ENOENT;
}

static bool registered(void)
{
	static char text[65536];

	return read_text("/proc/checkpoint_types", text, sizeof(text)) > 0 &&
	       strstr(text, "\nsample-slate\t");
}

/* In a dry run, which may be on any kernel, nothing can be loaded. */
#define REQUIRE_MODULE()						\
	do {								\
		REQUIRE_REAL_CHECKPOINT();				\
		if (geteuid())						\
			SKIP(return, "only root loads modules");	\
	} while (0)

FIXTURE(handler_module) { struct victim v; };
CKPT_TWICE(handler_module);
FIXTURE_SETUP(handler_module)
{
	REQUIRE_MODULE();
	ASSERT_EQ(0, tree_adopt());
	victim_init(&self->v);
	ASSERT_EQ(0, load(""));
}

FIXTURE_TEARDOWN(handler_module)
{
	tree_kill(&self->v);
	victim_cleanup(&self->v);
	EXPECT_TRUE(WAIT_FOR(unloaded()));
}

static const char *slate(int fd)
{
	static char line[128];
	ssize_t len;

	len = read(fd, line, sizeof(line) - 1);
	line[len < 0 ? 0 : len] = '\0';
	return line;
}

SURVIVES(handler_module, text_and_count)
{
	int fd = V_SYS(open(SLATE, O_RDWR | O_NONBLOCK));

	V_SYS(write(fd, "one", 3));
	V_SYS(write(fd, "two and more", 12));
	victim_ready();
	V_CHECK(!strcmp(slate(fd), "2 two and more"));
	V_EQUAL(O_RDWR | O_NONBLOCK, fcntl(fd, F_GETFL) & ~0100000);
	V_SYS(write(fd, "three", 5));
	V_CHECK(!strcmp(slate(fd), "3 three"));
	victim_ready();
	V_CHECK(!strcmp(slate(fd), "3 three"));
}

TREE_SURVIVES(handler_module, one_description_of_several_processes)
{
	int fd = V_SYS(open(SLATE, O_RDWR)), copy = V_SYS(dup(fd));
	int other = V_SYS(open(SLATE, O_RDWR)), status;
	pid_t child;

	V_SYS(write(fd, "shared", 6));
	V_SYS(write(other, "other", 5));
	child = V_SYS(fork());
	if (!child) {
		while (!strstr(slate(fd), "by the parent"))
			sleep_ms(1);
		_exit(write(fd, "by the child", 12) != 12);
	}
	victim_ready();
	V_CHECK(!strcmp(slate(copy), "1 shared"));
	V_CHECK(!strcmp(slate(other), "1 other"));
	V_SYS(write(copy, "by the parent", 13));
	V_EQUAL(child, waitpid(child, &status, 0));
	V_EQUAL(0, status);
	V_CHECK(!strcmp(slate(fd), "3 by the child"));
}

SURVIVES(handler_module, a_slate_in_a_message)
{
	char space[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fd = V_SYS(open(SLATE, O_RDWR)), pair[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	V_SYS(write(fd, "sent", 4));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	V_EQUAL(1, sendmsg(pair[0], &msg, 0));
	close(fd);
	victim_ready();
	msg.msg_controllen = sizeof(space);
	V_EQUAL(1, recvmsg(pair[1], &msg, 0));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	V_CHECK(!strcmp(slate(fd), "1 sent"));
}

/* ---- without the handler, without the module ---- */

FIXTURE(no_handler) { struct victim v; };
FIXTURE_SETUP(no_handler)
{
	REQUIRE_MODULE();
	victim_init(&self->v);
}

FIXTURE_TEARDOWN(no_handler)
{
	victim_cleanup(&self->v);
	EXPECT_TRUE(WAIT_FOR(unloaded()));
}

VICTIM(has_a_slate)
{
	int fd = V_SYS(open(SLATE, O_RDWR));

	V_SYS(write(fd, "text", 4));
	victim_ready();
	V_CHECK(!strcmp(slate(fd), "1 text"));
}

TEST_F(no_handler, type_comes_and_goes_with_the_module)
{
	EXPECT_FALSE(registered());
	ASSERT_EQ(0, load(""));
	EXPECT_TRUE(registered());
	ASSERT_EQ(0, unload());
	EXPECT_FALSE(registered());
	ASSERT_EQ(0, load("no_handler=1"));
	EXPECT_FALSE(registered());
}

TEST_F(no_handler, checkpoint_is_refused_with_the_path_of_the_device)
{
	struct victim *v = &self->v;

	ASSERT_EQ(0, load("no_handler=1"));
	ASSERT_EQ(0, victim_start(v, "has_a_slate"));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(v, 0));
	EXPECT_NE(NULL, strstr(v->log, SLATE ": no handler for this kind of file"));
	EXPECT_EQ(0, victim_finish(v));
}

TEST_F(no_handler, restart_fails_without_the_module_and_names_what_is_missing)
{
	struct victim *v = &self->v;

	ASSERT_EQ(0, load(""));
	ASSERT_EQ(0, victim_start(v, "has_a_slate"));
	ASSERT_EQ(0, victim_checkpoint(v, 0));
	EXPECT_EQ(-EWOULDBLOCK, unload());
	ASSERT_EQ(0, victim_kill(v));
	ASSERT_TRUE(WAIT_FOR(unloaded()));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_restart(v, 0));
	EXPECT_NE(NULL, strstr(v->log, "\"sample-slate\""));
	EXPECT_NE(NULL, strstr(v->log, "load its module"));
	EXPECT_EQ(-1, kill(v->pid, 0));
	/* The device is there, but who could fill in the slate? */
	ASSERT_EQ(0, load("no_handler=1"));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_restart(v, 0));
	ASSERT_EQ(0, unload());
	ASSERT_EQ(0, load(""));
	ASSERT_EQ(0, victim_restart(v));
	EXPECT_EQ(-EWOULDBLOCK, unload());
	EXPECT_EQ(0, victim_finish(v));
}

/* Another device at its place is not opened. */
TEST_F(no_handler, restart_fails_if_another_device_is_at_the_path)
{
	struct victim *v = &self->v;

	ASSERT_EQ(0, load(""));
	ASSERT_EQ(0, victim_start_and_save(v, "has_a_slate"));
	ASSERT_EQ(0, rename(SLATE, SLATE ".moved"));
	EXPECT_EQ(-ENOENT, victim_try_restart(v, 0));
	ASSERT_EQ(0, mknod(SLATE, S_IFCHR | 0666, (5 << 8) | 1));
	EXPECT_EQ(-ESTALE, victim_try_restart(v, 0));
	EXPECT_NE(NULL, strstr(v->log, SLATE ": is not the slate device"));
	unlink(SLATE);
	ASSERT_EQ(0, rename(SLATE ".moved", SLATE));
	ASSERT_EQ(0, victim_restart(v));
	EXPECT_EQ(0, victim_finish(v));
}

/* ---- races ---- */

static volatile bool race_over;
static long race_loads;

static void *unload_and_load(void *unused)
{
	while (!race_over) {
		unload();
		if (!load(""))
			race_loads++;
	}
	return NULL;
}

TEST_F(no_handler, module_goes_and_comes_during_restarts)
{
	struct victim *v = &self->v;
	int restarted = 0, failed = 0, i;
	pthread_t thread;
	long ret;

	ASSERT_EQ(0, load(""));
	ASSERT_EQ(0, victim_start(v, "has_a_slate"));
	ASSERT_EQ(0, victim_checkpoint(v, 0));
	race_over = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, unload_and_load, NULL));
	for (i = 0; i < the_count(60); i++) {
		victim_kill(v);
		ret = victim_try_restart(v, 0);
		if (ret == v->pid) {
			restarted++;
			/* It has the device open now, so it can be saved again. */
			EXPECT_EQ(0, victim_try_checkpoint(v, 0));
			continue;
		}
		failed++;
		EXPECT_TRUE(ret == -EOPNOTSUPP || ret == -ENOENT || ret == -ENODEV ||
			    ret == -ENXIO || ret == -ESTALE);
		EXPECT_NE(NULL, strstr(v->log, "slate"));
	}
	race_over = true;
	pthread_join(thread, NULL);
	test_log("%d restarts, %d failed, %ld loads", restarted, failed, race_loads);
	victim_kill(v);
	load("");
	ASSERT_EQ(0, victim_restart(v));
	EXPECT_EQ(0, victim_finish(v));
}

CKPT_TEST_MAIN
