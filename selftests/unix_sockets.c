// SPDX-License-Identifier: GPL-2.0
/*
 * Unix domain sockets: connections, names, messages that have not been received
 * with all they carry, and options are as they were.
 */
#include <grp.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/shm.h>
#include <sys/un.h>
#include <linux/sockios.h>

#include "ckpt_hostile.h"
#include "ckpt_socket.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS		59
#endif

CKPT_FIXTURE(unix_sockets)

/* At least this comes with one call. */
static void get_part(int fd, const char *text)
{
	char buf[4096];

	V_EQUAL(strlen(text), recv(fd, buf, strlen(text), MSG_DONTWAIT));
	V_CHECK(!memcmp(buf, text, strlen(text)));
}

static void ended(int fd)
{
	char byte;

	V_EQUAL(0, recv(fd, &byte, 1, MSG_DONTWAIT));
}

static int opt(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	V_SYS(getsockopt(fd, SOL_SOCKET, name, &value, &len));
	return value;
}

static void set_opt(int fd, int name, int value)
{
	V_SYS(setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value)));
}

/* "path", or "@abstract" */
static socklen_t address(struct sockaddr_un *addr, const char *name)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	memcpy(addr->sun_path, name, strlen(name));
	if (*name == '@')
		addr->sun_path[0] = 0;
	return offsetof(struct sockaddr_un, sun_path) + strlen(name) + (*name != '@');
}

static int bound(int type, const char *name)
{
	struct sockaddr_un addr;
	socklen_t len = address(&addr, name);
	int fd = V_SYS(socket(AF_UNIX, type, 0));

	V_SYS(bind(fd, (struct sockaddr *)&addr, len));
	return fd;
}

static int try_connect(int fd, const char *name)
{
	struct sockaddr_un addr;
	socklen_t len = address(&addr, name);

	return connect(fd, (struct sockaddr *)&addr, len);
}

static int connected(int type, const char *name)
{
	int fd = V_SYS(socket(AF_UNIX, type, 0));

	V_SYS(try_connect(fd, name));
	return fd;
}

static void has_name(const struct sockaddr_un *addr, socklen_t len, const char *name)
{
	struct sockaddr_un want;

	V_EQUAL(*name ? address(&want, name) : offsetof(struct sockaddr_un, sun_path), len);
	if (*name)
		V_CHECK(!memcmp(addr, &want, len));
}

static void names(int fd, const char *own, const char *peer)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);

	V_SYS(getsockname(fd, (struct sockaddr *)&addr, &len));
	has_name(&addr, len, own);
	len = sizeof(addr);
	if (!peer) {
		V_EQUAL(-1, getpeername(fd, (struct sockaddr *)&addr, &len));
		V_EQUAL(ENOTCONN, errno);
		return;
	}
	V_SYS(getpeername(fd, (struct sockaddr *)&addr, &len));
	has_name(&addr, len, peer);
}

/* ---- pairs ---- */

static void pair(int type)
{
	int s[2];

	V_SYS(socketpair(AF_UNIX, type, 0, s));
	put(s[0], "one");
	put(s[0], "two");
	put(s[1], "back");
	victim_ready();
	if (type == SOCK_STREAM) {
		get(s[1], "onetwo");
	} else {
		get(s[1], "one");
		get(s[1], "two");
	}
	get(s[0], "back");
	nothing(s[0]);
	nothing(s[1]);
	put(s[0], "again");
	get(s[1], "again");
	names(s[0], "", "");
	V_EQUAL(type, opt(s[0], SO_TYPE));
	V_EQUAL(POLLOUT, poll_of(s[1]));
	close(s[0]);
	if (type == SOCK_DGRAM)
		V_EQUAL(-1, send(s[1], "x", 1, MSG_NOSIGNAL));
	else
		ended(s[1]);
}

SURVIVES(unix_sockets, a_stream_pair)
{
	pair(SOCK_STREAM);
}

SURVIVES(unix_sockets, a_dgram_pair)
{
	pair(SOCK_DGRAM);
}

SURVIVES(unix_sockets, a_seqpacket_pair)
{
	pair(SOCK_SEQPACKET);
}

SURVIVES(unix_sockets, sockets_that_are_not_connected)
{
	int s = V_SYS(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	int d = V_SYS(socket(AF_UNIX, SOCK_DGRAM, 0));

	victim_ready();
	V_EQUAL(O_RDWR | O_NONBLOCK, fcntl(s, F_GETFL));
	V_EQUAL(FD_CLOEXEC, fcntl(s, F_GETFD));
	V_EQUAL(POLLOUT | POLLHUP, poll_of(s));
	V_EQUAL(-1, send(s, "x", 1, MSG_NOSIGNAL));
	V_EQUAL(ENOTCONN, errno);
	names(s, "", NULL);
	V_EQUAL(POLLOUT, poll_of(d));
	names(d, "", NULL);
}

SURVIVES(unix_sockets, empty_packets)
{
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	put(s[0], "");
	put(s[0], "x");
	victim_ready();
	ended(s[1]);
	get(s[1], "x");
	nothing(s[1]);
}

SURVIVES(unix_sockets, a_stream_read_in_part)
{
	char buf[8];
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	put(s[0], "0123456789");
	V_EQUAL(4, read(s[1], buf, 4));
	victim_ready();
	V_EQUAL(0, ioctl(s[1], SIOCINQ, buf) ?: *(int *)buf - 6);
	get(s[1], "456789");
}

/* What has been sent counts against the buffer of the sender as before. */
static void full(int type)
{
	char *buf = malloc(100000), *got = malloc(100000);
	int s[2], i, n = 0, out, now;

	V_SYS(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s));
	for (;;) {
		memset(buf, 'a' + n % 26, 5000);
		if (send(s[0], buf, 5000, MSG_NOSIGNAL) < 0)
			break;
		n++;
	}
	V_EQUAL(EAGAIN, errno);
	V_CHECK(n > 3);
	V_SYS(ioctl(s[0], SIOCOUTQ, &out));
	victim_ready();
	V_SYS(ioctl(s[0], SIOCOUTQ, &now));
	V_EQUAL(out, now);
	V_EQUAL(-1, send(s[0], buf, 5000, MSG_NOSIGNAL));
	V_EQUAL(EAGAIN, errno);
	V_CHECK(!(poll_of(s[0]) & POLLOUT));
	for (i = 0; i < n; i++) {
		memset(buf, 'a' + i % 26, 5000);
		V_EQUAL(5000, recv(s[1], got, 5000, 0));
		V_CHECK(!memcmp(buf, got, 5000));
	}
	V_EQUAL(POLLOUT, poll_of(s[0]));
	V_SYS(ioctl(s[0], SIOCOUTQ, &now));
	V_EQUAL(0, now);
}

SURVIVES(unix_sockets, a_full_stream)
{
	full(SOCK_STREAM);
}

SURVIVES(unix_sockets, a_full_dgram_socket)
{
	full(SOCK_DGRAM);
}

SURVIVES(unix_sockets, large_packets)
{
	size_t len = 150000, i;
	char *data = malloc(len), *got = malloc(len + 1);
	int s[2];

	for (i = 0; i < len; i++)
		data[i] = i * 7 + i / 255;
	V_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	V_EQUAL(len, send(s[0], data, len, 0));
	victim_ready();
	V_EQUAL(len, recv(s[1], got, len + 1, 0));
	V_CHECK(!memcmp(data, got, len));
}

/* ---- ends ---- */

SURVIVES(unix_sockets, a_closed_peer)
{
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	put(s[0], "last");
	close(s[0]);
	victim_ready();
	V_EQUAL(POLLIN | POLLOUT | POLLHUP | POLLRDHUP, poll_of(s[1]));
	get(s[1], "last");
	ended(s[1]);
	V_EQUAL(-1, send(s[1], "x", 1, MSG_NOSIGNAL));
	V_EQUAL(EPIPE, errno);
	names(s[1], "", "");
}

SURVIVES(unix_sockets, half_shut)
{
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	put(s[0], "end");
	V_SYS(shutdown(s[0], SHUT_WR));
	victim_ready();
	V_EQUAL(-1, send(s[0], "x", 1, MSG_NOSIGNAL));
	V_EQUAL(EPIPE, errno);
	get(s[1], "end");
	ended(s[1]);
	put(s[1], "still");
	get(s[0], "still");
}

/* The peer went away with unread data: that is said once. */
SURVIVES(unix_sockets, a_pending_error)
{
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	put(s[1], "unread");
	close(s[0]);
	victim_ready();
	V_CHECK(poll_of(s[1]) & POLLERR);
	V_EQUAL(ECONNRESET, opt(s[1], SO_ERROR));
	V_EQUAL(0, opt(s[1], SO_ERROR));
}

/* ---- names ---- */

static void listens(const char *name)
{
	char *path = strdup(name);
	int l = bound(SOCK_STREAM, path), c, a;

	V_SYS(listen(l, 3));
	victim_ready();
	V_EQUAL(1, opt(l, SO_ACCEPTCONN));
	names(l, path, NULL);
	c = connected(SOCK_STREAM, path);
	a = V_SYS(accept(l, NULL, NULL));
	put(c, "to the server");
	get(a, "to the server");
	names(c, "", path);
	names(a, path, "");
	victim_ready();
	/* accepted ones have the name, and are not found by it */
	names(a, path, "");
	put(a, "to the client");
	get(c, "to the client");
	close(l);
	V_EQUAL(-1, try_connect(V_SYS(socket(AF_UNIX, SOCK_STREAM, 0)), path));
	V_EQUAL(ECONNREFUSED, errno);
	victim_ready();
	names(c, "", path);
	put(c, "without listener");
	get(a, "without listener");
}

SURVIVES(unix_sockets, a_listener_with_a_path)
{
	listens(file_name("socket"));
}

SURVIVES(unix_sockets, a_listener_with_an_abstract_name)
{
	char name[64];

	snprintf(name, sizeof(name), "@ckpt_test %d", getpid());
	listens(name);
}

SURVIVES(unix_sockets, a_relative_path)
{
	int l, c;

	V_SYS(chdir(victim_dir));
	l = bound(SOCK_STREAM, "./here");
	V_SYS(listen(l, 1));
	victim_ready();
	names(l, "./here", NULL);
	c = connected(SOCK_STREAM, file_name("here"));
	names(c, "", "./here");
}

SURVIVES(unix_sockets, a_path_that_was_removed)
{
	int l = bound(SOCK_STREAM, file_name("socket"));

	V_SYS(listen(l, 1));
	V_SYS(unlink(file_name("socket")));
	victim_ready();
	names(l, file_name("socket"), NULL);
	V_EQUAL(-1, try_connect(V_SYS(socket(AF_UNIX, SOCK_STREAM, 0)), file_name("socket")));
	V_EQUAL(ENOENT, errno);
	/* the name is free */
	bound(SOCK_STREAM, file_name("socket"));
}

SURVIVES(unix_sockets, a_name_given_by_the_kernel)
{
	struct sockaddr_un before, after;
	socklen_t len = sizeof(before);
	sa_family_t family = AF_UNIX;
	int s = V_SYS(socket(AF_UNIX, SOCK_DGRAM, 0)), c;

	V_SYS(bind(s, (struct sockaddr *)&family, sizeof(family)));
	V_SYS(getsockname(s, (struct sockaddr *)&before, &len));
	victim_ready();
	V_SYS(getsockname(s, (struct sockaddr *)&after, &len));
	V_CHECK(!memcmp(&before, &after, len));
	c = V_SYS(socket(AF_UNIX, SOCK_DGRAM, 0));
	V_SYS(connect(c, (struct sockaddr *)&after, len));
	put(c, "found");
	get(s, "found");
}

SURVIVES(unix_sockets, senders_of_dgrams)
{
	char buf[16], *a_name = strdup(file_name("a")), *b_name = strdup(file_name("b"));
	int a = bound(SOCK_DGRAM, a_name), b = bound(SOCK_DGRAM, b_name);
	int c = connected(SOCK_DGRAM, a_name);
	struct sockaddr_un addr;
	socklen_t len;

	V_SYS(try_connect(b, a_name));
	put(b, "from b");
	put(c, "from c");
	put(b, "from b, closed");
	close(b);
	victim_ready();
	len = sizeof(addr);
	V_EQUAL(6, recvfrom(a, buf, 16, 0, (struct sockaddr *)&addr, &len));
	has_name(&addr, len, b_name);
	len = sizeof(addr);
	V_EQUAL(6, recvfrom(a, buf, 16, 0, (struct sockaddr *)&addr, &len));
	V_EQUAL(0, len);
	victim_ready();
	len = sizeof(addr);
	V_EQUAL(14, recvfrom(a, buf, 16, 0, (struct sockaddr *)&addr, &len));
	has_name(&addr, len, b_name);
	names(c, "", a_name);
	put(c, "more");
	get(a, "more");
	/* a has no peer: others may send to it */
	names(a, a_name, NULL);
}

/* As with a system logger that was started again. */
SURVIVES(unix_sockets, a_dgram_peer_that_is_gone)
{
	char *name = strdup(file_name("log"));
	int log = bound(SOCK_DGRAM, name), c = connected(SOCK_DGRAM, name);

	close(log);
	victim_ready();
	names(c, "", name);
	V_EQUAL(-1, send(c, "x", 1, MSG_NOSIGNAL));
	V_EQUAL(ECONNREFUSED, errno);
	names(c, "", NULL);
}

/* ---- connections not yet accepted ---- */

SURVIVES(unix_sockets, connections_that_wait)
{
	char *name = strdup(file_name("socket"));
	int l = bound(SOCK_STREAM, name), c[3], a[3], i;

	V_SYS(listen(l, 3));
	for (i = 0; i < 3; i++) {
		c[i] = connected(SOCK_STREAM, name);
		put(c[i], i == 0 ? "first" : i == 1 ? "second" : "third");
	}
	close(c[1]);
	victim_ready();
	V_EQUAL(POLLIN, poll_of(l));
	for (i = 0; i < 3; i++)
		a[i] = V_SYS(accept4(l, NULL, NULL, SOCK_NONBLOCK));
	get(a[0], "first");
	get(a[1], "second");
	ended(a[1]);
	get(a[2], "third");
	nothing(a[2]);
	put(a[2], "answer");
	get(c[2], "answer");
	names(a[0], name, "");
	names(c[0], "", name);
	close(a[0]);
	ended(c[0]);
}

SURVIVES(unix_sockets, a_full_backlog)
{
	char *name = strdup(file_name("socket"));
	int l = bound(SOCK_SEQPACKET, name), c;

	V_SYS(listen(l, 0));
	connected(SOCK_SEQPACKET, name);
	c = V_SYS(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0));
	V_EQUAL(-1, try_connect(c, name));
	V_EQUAL(EAGAIN, errno);
	victim_ready();
	V_EQUAL(-1, try_connect(c, name));
	V_EQUAL(EAGAIN, errno);
	V_SYS(accept(l, NULL, NULL));
	V_SYS(try_connect(c, name));
	/* a listener that closes takes them with it */
	close(l);
	V_EQUAL(-1, recv(c, &l, 1, MSG_DONTWAIT));
	V_EQUAL(ECONNRESET, errno);
}

/* ---- what messages carry ---- */

static void send_fds(int s, const char *text, const int *fd, int nr)
{
	char control[CMSG_SPACE(8 * sizeof(int))] = "";
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(c), fd, nr * sizeof(int));
	V_EQUAL(strlen(text), sendmsg(s, &msg, 0));
}

static void get_fds(int s, const char *text, int *fd, int nr)
{
	char control[CMSG_SPACE(8 * sizeof(int))] = "", buf[256];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	V_EQUAL(strlen(text), recvmsg(s, &msg, MSG_DONTWAIT));
	V_CHECK(!memcmp(buf, text, strlen(text)));
	c = CMSG_FIRSTHDR(&msg);
	V_CHECK(c && c->cmsg_type == SCM_RIGHTS);
	V_EQUAL(CMSG_LEN(nr * sizeof(int)), c->cmsg_len);
	memcpy(fd, CMSG_DATA(c), nr * sizeof(int));
}

SURVIVES(unix_sockets, descriptors_in_messages)
{
	int s[2], p[2], fd[3], file;
	char byte;

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	V_SYS(pipe(p));
	file = V_SYS(open(file_name("file"), O_RDWR | O_CREAT, 0644));
	V_EQUAL(10, write(file, "0123456789", 10));
	V_EQUAL(4, lseek(file, 4, SEEK_SET));
	V_EQUAL(4, write(p[1], "pipe", 4));
	put(s[0], "before");
	send_fds(s[0], "files", (int[]){ p[0], file, file }, 3);
	put(s[0], "after");
	/* the reading end is in the message only */
	close(p[0]);
	victim_ready();
	get_part(s[1], "before");
	get_fds(s[1], "files", fd, 3);
	get(s[1], "after");
	V_EQUAL(4, read(fd[0], &(char[8]){ }, 8));
	/* one description */
	V_EQUAL(1, read(fd[1], &byte, 1));
	V_EQUAL('4', byte);
	V_EQUAL(1, read(fd[2], &byte, 1));
	V_EQUAL('5', byte);
	V_EQUAL(6, lseek(file, 0, SEEK_CUR));
	close(fd[0]);
	signal(SIGPIPE, SIG_IGN);
	V_EQUAL(-1, write(p[1], "x", 1));
	V_EQUAL(EPIPE, errno);
}

SURVIVES(unix_sockets, descriptors_in_dgrams_and_waiting_connections)
{
	char *name = strdup(file_name("socket"));
	int l = bound(SOCK_SEQPACKET, name), c, a, d[2], fd;

	V_SYS(listen(l, 3));
	c = connected(SOCK_SEQPACKET, name);
	V_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, d));
	put(d[1], "inside");
	send_fds(c, "socket", &d[0], 1);
	close(d[0]);
	close(c);
	victim_ready();
	a = V_SYS(accept(l, NULL, NULL));
	get_fds(a, "socket", &fd, 1);
	get(fd, "inside");
	put(fd, "back");
	get(d[1], "back");
}

/* Each is in the queue of the other, and one in its own. */
SURVIVES(unix_sockets, sockets_in_each_other)
{
	int s[2], t[2], fd[3];

	V_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	V_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, t));
	send_fds(s[0], "s1 to s1", &s[1], 1);
	send_fds(s[0], "t1 to s1", &t[1], 1);
	send_fds(t[0], "s1 to t1", &s[1], 1);
	close(t[1]);
	victim_ready();
	get_fds(s[1], "s1 to s1", &fd[0], 1);
	get_fds(fd[0], "t1 to s1", &fd[1], 1);
	get_fds(fd[1], "s1 to t1", &fd[2], 1);
	close(s[1]);
	close(fd[0]);
	put(s[0], "hello");
	get(fd[2], "hello");
	put(fd[1], "back");
	get(t[0], "back");
}

static void send_creds(int s, const char *text)
{
	char control[CMSG_SPACE(sizeof(struct ucred))] = "";
	struct ucred cred = { .pid = getpid(), .uid = 1234, .gid = 2345 };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(cred));
	memcpy(CMSG_DATA(c), &cred, sizeof(cred));
	V_EQUAL(strlen(text), sendmsg(s, &msg, 0));
}

static struct ucred get_creds(int s, const char *text)
{
	char control[CMSG_SPACE(sizeof(struct ucred))] = "", buf[256];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	struct ucred cred;

	V_EQUAL(strlen(text), recvmsg(s, &msg, MSG_DONTWAIT));
	V_CHECK(!memcmp(buf, text, strlen(text)));
	c = CMSG_FIRSTHDR(&msg);
	V_CHECK(c && c->cmsg_type == SCM_CREDENTIALS);
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	return cred;
}

SURVIVES(unix_sockets, credentials_in_messages)
{
	struct ucred cred;
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	put(s[0], "none");
	set_opt(s[1], SO_PASSCRED, 1);
	put(s[0], "mine");
	send_creds(s[0], "others");
	send_creds(s[0], "again");
	victim_ready();
	V_EQUAL(1, opt(s[1], SO_PASSCRED));
	cred = get_creds(s[1], "none");
	V_EQUAL(0, cred.pid);
	V_EQUAL(65534, cred.uid);
	/* not glued together, as they are from different senders */
	cred = get_creds(s[1], "mine");
	V_EQUAL(getpid(), cred.pid);
	V_EQUAL(0, cred.uid);
	cred = get_creds(s[1], "othersagain");
	V_EQUAL(getpid(), cred.pid);
	V_EQUAL(1234, cred.uid);
	V_EQUAL(2345, cred.gid);
	put(s[0], "new");
	cred = get_creds(s[1], "new");
	V_EQUAL(getpid(), cred.pid);
}

/* The sender has ended: its number stays in the message. */
SURVIVES(unix_sockets, credentials_of_a_process_that_has_ended)
{
	struct ucred cred;
	int s[2];
	pid_t pid;

	V_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	set_opt(s[1], SO_PASSCRED, 1);
	pid = V_SYS(fork());
	if (!pid) {
		put(s[0], "child");
		_exit(0);
	}
	V_EQUAL(pid, waitpid(pid, NULL, 0));
	victim_ready();
	cred = get_creds(s[1], "child");
	V_EQUAL(pid, cred.pid);
}

SURVIVES(unix_sockets, who_is_at_the_other_end)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	gid_t groups[4];
	int s[2];

	V_SYS(setgroups(3, (gid_t[]){ 5, 9, 7 }));
	V_SYS(setegid(44));
	V_SYS(seteuid(33));
	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	V_SYS(seteuid(0));
	V_SYS(setegid(0));
	V_SYS(setgroups(0, NULL));
	victim_ready();
	V_SYS(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &cred, &len));
	V_EQUAL(getpid(), cred.pid);
	V_EQUAL(33, cred.uid);
	V_EQUAL(44, cred.gid);
	len = sizeof(groups);
	V_SYS(getsockopt(s[0], SOL_SOCKET, SO_PEERGROUPS, groups, &len));
	V_EQUAL(3 * sizeof(gid_t), len);
	V_EQUAL(5, groups[0]);
	V_EQUAL(7, groups[1]);
	V_EQUAL(9, groups[2]);
}

SURVIVES(unix_sockets, out_of_band_data)
{
	char byte;
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	put(s[0], "before");
	V_EQUAL(1, send(s[0], "!", 1, MSG_OOB));
	put(s[0], "after");
	victim_ready();
	V_CHECK(poll_of(s[1]) & POLLPRI);
	get(s[1], "before");
	V_EQUAL(1, recv(s[1], &byte, 1, MSG_OOB));
	V_EQUAL('!', byte);
	/* the place is still marked */
	victim_ready();
	V_CHECK(!(poll_of(s[1]) & POLLPRI));
	V_EQUAL(-1, recv(s[1], &byte, 1, MSG_OOB));
	V_EQUAL(EINVAL, errno);
	get(s[1], "after");
}

SURVIVES(unix_sockets, the_mark_of_out_of_band_data)
{
	int s[2], at;
	char byte;

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	put(s[0], "before");
	V_EQUAL(1, send(s[0], "!", 1, MSG_OOB));
	put(s[0], "after");
	V_EQUAL(1, recv(s[1], &byte, 1, MSG_OOB));
	victim_ready();
	V_SYS(ioctl(s[1], SIOCATMARK, &at));
	V_EQUAL(0, at);
	/* up to the mark */
	get(s[1], "before");
	V_SYS(ioctl(s[1], SIOCATMARK, &at));
	V_EQUAL(1, at);
	get(s[1], "after");
}

SURVIVES(unix_sockets, time_stamps)
{
	char control[256] = "", buf[16];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct timespec ts, before;
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	set_opt(s[1], SO_TIMESTAMPNS, 1);
	clock_gettime(CLOCK_REALTIME, &before);
	put(s[0], "x");
	vpage->pause_ms = 1500;
	victim_ready();
	V_EQUAL(1, opt(s[1], SO_TIMESTAMPNS));
	V_EQUAL(1, recvmsg(s[1], &msg, 0));
	V_CHECK(CMSG_FIRSTHDR(&msg)->cmsg_type == SO_TIMESTAMPNS);
	memcpy(&ts, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(ts));
	V_CHECK((ts.tv_sec - before.tv_sec) * 1000000000LL + ts.tv_nsec - before.tv_nsec <
		1000000000LL);
}

/* ---- options ---- */

SURVIVES(unix_sockets, options)
{
	struct linger linger = { 1, 17 };
	struct timeval tv = { 3, 200000 };
	socklen_t len = sizeof(tv);
	int s[2], defaults;

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	set_opt(s[0], SO_SNDBUF, 10000);
	set_opt(s[0], SO_RCVBUFFORCE, 5000000);
	defaults = opt(s[1], SO_SNDBUF);
	set_opt(s[0], SO_REUSEADDR, 1);
	set_opt(s[0], SO_KEEPALIVE, 1);
	set_opt(s[0], SO_OOBINLINE, 1);
	set_opt(s[0], SO_PRIORITY, 5);
	set_opt(s[0], SO_RCVLOWAT, 3);
	set_opt(s[0], SO_MARK, 77);
	set_opt(s[0], SO_PEEK_OFF, 2);
	V_SYS(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	V_SYS(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	V_SYS(fchmod(s[0], 0600));
	V_SYS(fchown(s[0], 8, 9));
	victim_ready();
	V_EQUAL(20000, opt(s[0], SO_SNDBUF));
	V_EQUAL(10000000, opt(s[0], SO_RCVBUF));
	V_EQUAL(defaults, opt(s[1], SO_SNDBUF));
	V_EQUAL(1, opt(s[0], SO_REUSEADDR));
	V_EQUAL(0, opt(s[1], SO_REUSEADDR));
	V_EQUAL(1, opt(s[0], SO_KEEPALIVE));
	V_EQUAL(1, opt(s[0], SO_OOBINLINE));
	V_EQUAL(5, opt(s[0], SO_PRIORITY));
	V_EQUAL(3, opt(s[0], SO_RCVLOWAT));
	V_EQUAL(77, opt(s[0], SO_MARK));
	V_EQUAL(2, opt(s[0], SO_PEEK_OFF));
	V_EQUAL(3, opt(s[0], SO_BUF_LOCK));
	V_EQUAL(0, opt(s[1], SO_BUF_LOCK));
	len = sizeof(linger);
	V_SYS(getsockopt(s[0], SOL_SOCKET, SO_LINGER, &linger, &len));
	V_EQUAL(1, linger.l_onoff);
	V_EQUAL(17, linger.l_linger);
	len = sizeof(tv);
	V_SYS(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &len));
	V_EQUAL(3, tv.tv_sec);
	V_EQUAL(200000, tv.tv_usec);
	V_SYS(getsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, &len));
	V_EQUAL(0, tv.tv_sec);
	V_SYS(getsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, &len));
	V_EQUAL(0, tv.tv_usec);

	struct stat st;

	V_SYS(fstat(s[0], &st));
	V_EQUAL(S_IFSOCK | 0600, st.st_mode);
	V_EQUAL(8, st.st_uid);
	V_EQUAL(9, st.st_gid);
}

/* ---- blocking ---- */

static int waiting[2];

static void *late_sender(void *arg)
{
	victim_await(victim_reach_thread(getpid(), __NR_recvfrom));
	put(waiting[1], "at last");
	return NULL;
}

static void receive_late(int type)
{
	pthread_t thread;
	char buf[16];

	V_SYS(socketpair(AF_UNIX, type, 0, waiting));
	V_EQUAL(0, pthread_create(&thread, NULL, late_sender, NULL));
	V_EQUAL(7, recv(waiting[0], buf, sizeof(buf), 0));
	V_EQUAL(0, pthread_join(thread, NULL));
}

static void *late_client(void *arg)
{
	victim_await(victim_reach_thread(getpid(), __NR_accept));
	connected(SOCK_STREAM, arg);
	return NULL;
}

SURVIVES(unix_sockets, a_receive_that_waits)
{
	receive_late(SOCK_STREAM);
}

SURVIVES(unix_sockets, a_receive_of_packets_that_waits)
{
	receive_late(SOCK_SEQPACKET);
}

SURVIVES(unix_sockets, an_accept_that_waits)
{
	char *name = strdup(file_name("socket"));
	int l = bound(SOCK_STREAM, name);
	pthread_t thread;

	V_SYS(listen(l, 1));
	V_EQUAL(0, pthread_create(&thread, NULL, late_client, name));
	V_SYS(accept(l, NULL, NULL));
	V_EQUAL(0, pthread_join(thread, NULL));
}

/* ---- the border ---- */

FIXTURE(border)
{
	struct victim v;
	int s[2];
};

FIXTURE_SETUP(border)
{
	REQUIRE_REAL_CHECKPOINT();
	victim_init(&self->v);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, self->s));
}

FIXTURE_TEARDOWN(border)
{
	close(self->s[0]);
	close(self->s[1]);
	victim_cleanup(&self->v);
}

VICTIM(holds_an_end)
{
	move_stdin(5);
	victim_ready();
	victim_ready();
}

TEST_F(border, a_peer_outside)
{
	self->v.stdio[0] = self->s[1];
	ASSERT_EQ(0, victim_start(&self->v, "holds_an_end"));
	EXPECT_TRUE(refuses(&self->v, "fd 5: ", "outside the checkpoint"));
	close(self->s[1]);
	self->s[1] = -1;
	EXPECT_TRUE(refuses(&self->v, "fd 5: ", "is connected to the socket of a process outside"));
	/* once it has been closed there is nothing outside any more */
	close(self->s[0]);
	self->s[0] = -1;
	EXPECT_EQ(0, victim_cycle(&self->v, true));
}

TEST_F(border, a_socket_that_is_shared)
{
	self->v.stdio[0] = self->s[1];
	ASSERT_EQ(0, victim_start(&self->v, "holds_an_end"));
	close(self->s[0]);
	self->s[0] = -1;
	EXPECT_TRUE(refuses(&self->v, "fd 5: ", "shares"));
}

VICTIM(listens_for_outsiders)
{
	int l = bound(SOCK_STREAM, file_name("socket"));

	V_SYS(listen(l, 5));
	V_EQUAL(7, dup2(l, 7));
	close(l);
	victim_ready();
	V_SYS(accept(7, NULL, NULL));
}

TEST_F(border, a_connection_from_outside_that_waits)
{
	struct sockaddr_un addr;
	socklen_t len;
	char path[128];
	int c;

	ASSERT_EQ(0, victim_start(&self->v, "listens_for_outsiders"));
	snprintf(path, sizeof(path), "%s/socket", self->v.dir);
	len = address(&addr, path);
	c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(0, connect(c, (struct sockaddr *)&addr, len));
	EXPECT_TRUE(refuses(&self->v, "fd 7: ", "waits to be accepted"));
	close(c);
	ASSERT_EQ(0, victim_cycle(&self->v, true));
	EXPECT_EQ(0, victim_finish(&self->v));
}

TEST_F(border, a_name_that_somebody_else_has)
{
	struct sockaddr_un addr;
	char path[128];
	int s;

	ASSERT_EQ(0, victim_start_and_save(&self->v, "listens_for_outsiders"));
	snprintf(path, sizeof(path), "%s/socket", self->v.dir);
	ASSERT_EQ(0, unlink(path));
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(0, bind(s, (struct sockaddr *)&addr, address(&addr, path)));
	EXPECT_EQ(-EADDRINUSE, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, path));
	close(s);
	/* what is left of it in the file system is nobody's */
	EXPECT_EQ(0, victim_restart(&self->v));
}

/* The socket in the file system is missing, as after a boot, and made again. */
TEST_F(border, a_path_that_is_missing)
{
	struct sockaddr_un addr;
	struct stat before, after;
	struct image img;
	char path[128];
	int c;

	ASSERT_EQ(0, victim_start(&self->v, "listens_for_outsiders"));
	snprintf(path, sizeof(path), "%s/socket", self->v.dir);
	ASSERT_EQ(0, chown(path, 5, 6));
	ASSERT_EQ(0, chmod(path, 0606));
	ASSERT_EQ(0, stat(path, &before));
	ASSERT_EQ(0, victim_save(&self->v));
	ASSERT_EQ(0, unlink(path));

	/* not if the restart fails for something else */
	ASSERT_EQ(0, load_image(&img, self->v.image));
	img.data[img.off[img.nr - 1] - 1] ^= 1;
	EXPECT_EQ(-EBADMSG, try_image(&self->v, &img, 0));
	EXPECT_EQ(-1, access(path, F_OK));
	img.data[img.off[img.nr - 1] - 1] ^= 1;
	ASSERT_EQ(self->v.pid, try_image(&self->v, &img, 0));
	free(img.data);

	ASSERT_EQ(0, stat(path, &after));
	EXPECT_EQ(before.st_mode, after.st_mode);
	EXPECT_EQ(5, after.st_uid);
	EXPECT_EQ(6, after.st_gid);
	c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT_EQ(0, connect(c, (struct sockaddr *)&addr, address(&addr, path)));
	EXPECT_EQ(0, victim_finish(&self->v));
	close(c);
}

VICTIM(sends_what_cannot_be_saved)
{
	int s[2], fd = V_SYS(open("/proc/1/status", O_RDONLY));

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	V_EQUAL(7, dup2(s[1], 7));
	close(s[1]);
	send_fds(s[0], "x", &fd, 1);
	close(fd);
	victim_ready();
	get_fds(7, "x", &fd, 1);
	victim_ready();
}

TEST_F(border, a_descriptor_in_a_message_that_cannot_be_saved)
{
	ASSERT_EQ(0, victim_start(&self->v, "sends_what_cannot_be_saved"));
	EXPECT_TRUE(refuses(&self->v, "fd 7: sent file: /proc/1/", "status"));
	ASSERT_EQ(0, victim_next(&self->v));
}

/* ---- images that lie ---- */

VICTIM(has_all)
{
	int l = bound(SOCK_STREAM, file_name("socket")), s[2], file;

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	file = V_SYS(open(file_name("file"), O_RDWR | O_CREAT, 0644));
	send_fds(s[0], "message", &file, 1);
	V_SYS(listen(l, 1));
	connected(SOCK_STREAM, file_name("socket"));
	victim_ready();
}

CKPT_IMAGE_FIXTURE(lies, has_all)

/* The UNIX record of a listener, or of one that has messages, or waits. */
static struct ckpt_unix *find_unix(struct image *img, int what)
{
	struct ckpt_unix *u;
	int i;

	for (i = 0; (u = find(img, CKPT_REC_UNIX, i)); i++)
		if (what == 'l' ? u->state == CKPT_UNIX_LISTENING :
		    what == 'm' ? u->nr_messages : u->listener)
			return u;
	return NULL;
}

static uint32_t find_objref(struct image *img, const void *payload)
{
	return ((const struct ckpt_rec *)payload - 1)->objref;
}

#define LIE(promise, ...)						\
	TEST_F(lies, promise)						\
	{								\
		struct image *img = &self->img;				\
		struct ckpt_sock *s = find(img, CKPT_REC_SOCK, 0);	\
		struct ckpt_unix *l = find_unix(img, 'l');		\
		struct ckpt_unix *e = find_unix(img, 'e');		\
		struct ckpt_unix *r = find_unix(img, 'm');		\
		struct ckpt_unix_msg *m = find(img, CKPT_REC_UNIX_MSG, 0); \
									\
		ASSERT_TRUE(s && l && e && r && m);			\
		__VA_ARGS__;						\
		EXPECT_EQ(-EBADMSG, try_changed(&self->v, img, 0));	\
		EXPECT_NE('\0', self->v.log[0]);			\
	}

LIE(no_buffer_for_sending, s->sndbuf = 0)
LIE(a_negative_buffer, s->rcvbuf = 0x80000000)
LIE(a_bad_timeout, s->rcvtimeo_ns = -2)
LIE(more_options_than_there_are, s->nr_options = 0x10000000)
LIE(an_option_that_is_none, s->options[0].name = 999)
LIE(unknown_flags, r->flags |= 1 << 31)
LIE(an_unknown_type, r->type = SOCK_RAW)
LIE(an_unknown_state, r->state = 77)
LIE(a_name_too_long, l->name_len = 112)
LIE(a_name_without_end, l->name_len = 5)
LIE(a_listener_without_name, l->flags &= ~CKPT_UNIX_NAMED)
LIE(a_listener_with_a_peer, l->peer = e->peer)
LIE(a_listener_of_packets, l->type = SOCK_DGRAM)
LIE(too_many_groups, r->nr_groups = 0x40000000)
LIE(a_bad_error, r->err = 100000)
LIE(a_bad_shutdown, r->shutdown = 4)
LIE(messages_missing, r->nr_messages = 2)
LIE(messages_left_over, r->nr_messages = 0)
LIE(a_connection_of_no_listener, e->listener = rec_at(img, find_rec(img, CKPT_REC_UNIX_MSG, 0))->objref)
LIE(a_connection_of_itself, e->listener = 0)
LIE(a_peer_of_its_own, r->peer = rec_at(img, find_rec(img, CKPT_REC_UNIX_MSG, 0))->objref)
LIE(a_peer_that_is_none, r->peer = 0x7fffffff)
LIE(a_peer_of_somebody_else, r->peer = e->peer)
LIE(a_sender_that_is_none, m->sender = 0x7fffffff)
LIE(a_message_longer_than_its_record, m->len = 4096)
LIE(a_message_of_no_length_at_all, m->len = 0xffffffff)
LIE(too_many_descriptors, m->nr_files = 254)
LIE(a_file_that_is_none, *(uint32_t *)m->data = 0x7fffffff)
LIE(the_socket_as_a_file, *(uint32_t *)m->data = m->sender)
LIE(messages_to_a_listener, rec_at(img, find_rec(img, CKPT_REC_UNIX_MSG, 0))->objref =
    find_objref(img, l))
LIE(out_of_band_text, m->flags |= CKPT_UNIX_MSG_OOB)

TEST_F(lies, every_field)
{
	static const uint32_t types[] = { CKPT_REC_SOCK, CKPT_REC_UNIX, CKPT_REC_UNIX_MSG };

	EXPECT_TRUE(any_word_does_no_harm(&self->v, &self->img, types, ARRAY_SIZE(types),
					  the_count(60)));
	EXPECT_EQ(0, finish_from(&self->v, &self->img));
}

/* ---- marks of out-of-band data ---- */

/* Received data leave marks; of those around something there are two. */
SURVIVES(unix_sockets, marks_of_out_of_band_data)
{
	char byte;
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	put(s[0], "a");
	V_EQUAL(1, send(s[0], "!", 1, MSG_OOB));
	V_EQUAL(1, recv(s[1], &byte, 1, MSG_OOB));
	put(s[0], "b");
	V_EQUAL(1, send(s[0], "!", 1, MSG_OOB));
	V_EQUAL(1, recv(s[1], &byte, 1, MSG_OOB));
	put(s[0], "c");
	V_EQUAL(1, send(s[0], "?", 1, MSG_OOB));
	victim_ready();
	V_EQUAL(1, recv(s[1], &byte, 1, MSG_OOB));
	V_EQUAL('?', byte);
	get_part(s[1], "a");
	get_part(s[1], "b");
	get_part(s[1], "c");
	V_EQUAL(-1, recv(s[1], &byte, 1, MSG_DONTWAIT));
	V_EQUAL(EAGAIN, errno);
}

VICTIM(has_three_messages)
{
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	put(s[0], "a");
	put(s[0], "b");
	put(s[0], "c");
	victim_ready();
}

CKPT_IMAGE_FIXTURE(marks, has_three_messages)

/* @what: for each message, whether it is text, out-of-band data, or a mark of such. */
static long try_marks(struct victim *v, struct image *img, const char *what)
{
	struct ckpt_unix_msg *m;
	int i;

	for (i = 0; what[i]; i++) {
		m = find(img, CKPT_REC_UNIX_MSG, i);
		m->len = what[i] != 'm';
		m->flags = what[i] == 'o' ? m->flags | CKPT_UNIX_MSG_OOB :
					    m->flags & ~CKPT_UNIX_MSG_OOB;
	}
	return try_changed(v, img, 0);
}

#define MARKS(promise, what)						\
	TEST_F(marks, promise)						\
	{								\
		EXPECT_EQ(-EBADMSG, try_marks(&self->v, &self->img, what)); \
		EXPECT_NE(NULL, strstr(self->v.log, "out-of-band"));	\
	}

MARKS(two_in_a_row, "mmo")
MARKS(two_at_the_end, "tmm")
MARKS(nothing_else, "mmm")
MARKS(one_behind_the_data, "omt")
MARKS(one_far_behind_the_data, "otm")

TEST_F(marks, such_as_there_are)
{
	EXPECT_EQ(self->v.pid, try_marks(&self->v, &self->img, "mto"));
	EXPECT_EQ(self->v.pid, try_marks(&self->v, &self->img, "mtm"));
	EXPECT_EQ(self->v.pid, try_marks(&self->v, &self->img, "tmo"));
}

/* ---- what nobody has a descriptor of ---- */

VICTIM(sends_and_attaches)
{
	int s[2], file, id;

	id = V_SYS(shmget(IPC_PRIVATE, 4096, 0600));
	V_CHECK(shmat(id, NULL, 0) != (void *)-1);
	V_SYS(shmctl(id, IPC_RMID, NULL));
	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	file = V_SYS(open(file_name("file"), O_RDWR | O_CREAT, 0644));
	send_fds(s[0], "message", &file, 1);
	victim_ready();
}

CKPT_IMAGE_FIXTURE(segment, sends_and_attaches)

TEST_F(segment, is_not_to_be_had_by_a_message)
{
	struct ckpt_unix_msg *m = find(&self->img, CKPT_REC_UNIX_MSG, 0);
	struct ckpt_file *f;
	int i;

	ASSERT_NE(NULL, m);
	for (i = 0; (f = find(&self->img, CKPT_REC_FILE, i)); i++)
		if (!strcmp((char *)f->type, "sysvshm"))
			break;
	ASSERT_NE(NULL, f);
	*(uint32_t *)m->data = find_objref(&self->img, f);
	EXPECT_EQ(-EBADMSG, try_changed(&self->v, &self->img, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "System V"));
}

/* ---- who has gone ---- */

/* What a process sent by several calls comes with one, also if it has ended. */
SURVIVES(unix_sockets, messages_of_one_who_has_ended_stay_together)
{
	int s[2], status;
	pid_t pid;

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	set_opt(s[1], SO_PASSCRED, 1);
	pid = V_SYS(fork());
	if (!pid)
		_exit(send(s[0], "one", 3, 0) != 3 || send(s[0], "two", 3, 0) != 3 ||
		      send(s[0], "three", 5, 0) != 5);
	V_CHECK(waitpid(pid, &status, 0) == pid);
	V_EQUAL(0, status);
	victim_ready();
	get(s[1], "onetwothree");
}

VICTIM(was_sent_many_by_one_who_has_gone)
{
	int r = bound(SOCK_DGRAM, file_name("socket")), s, i;

	s = connected(SOCK_DGRAM, file_name("socket"));
	for (i = 0; i < 5; i++)
		put(s, "message");
	close(s);
	victim_ready();
	for (i = 0; i < 5; i++)
		get(r, "message");
	nothing(r);
}

CKPT_IMAGE_FIXTURE(gone, was_sent_many_by_one_who_has_gone)

TEST_F(gone, is_one_socket)
{
	const struct ckpt_unix_msg *first = find(&self->img, CKPT_REC_UNIX_MSG, 0), *m;
	const struct ckpt_unix *u;
	int i, nr = 0;

	ASSERT_NE(NULL, first);
	for (i = 0; (m = find(&self->img, CKPT_REC_UNIX_MSG, i)); i++)
		EXPECT_EQ(first->sender, m->sender);
	EXPECT_EQ(5, i);
	for (i = 0; (u = find(&self->img, CKPT_REC_UNIX, i)); i++)
		nr += !!(u->flags & CKPT_UNIX_GONE);
	EXPECT_EQ(1, nr);
	EXPECT_EQ(0, finish_from(&self->v, &self->img));
}

/* ---- what listen(2) would not do ---- */

TEST_F(lies, a_backlog_beyond_the_limit)
{
	struct ckpt_unix *l = find_unix(&self->img, 'l');

	ASSERT_NE(NULL, l);
	l->backlog = 100000000;
	EXPECT_EQ(self->v.pid, try_changed(&self->v, &self->img, RESTART_LEAVE_STOPPED));
	EXPECT_NE(NULL, strstr(self->v.log, "net.core.somaxconn")) show_log(self->v.log);
}

CKPT_TEST_MAIN
