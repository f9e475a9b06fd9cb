// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets of the internet protocols: addresses, peers, options, memberships and
 * datagrams that have not been received are as they were; what cannot be is refused.
 */
#include <net/if.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <linux/filter.h>

/* <linux/icmp.h> and <netinet/ip_icmp.h> do not go together. */
#define ICMP_FILTER		1

#include "ckpt_hostile.h"
#include "ckpt_socket.h"
#include "ckpt_tree.h"

#ifndef UDP_GRO
#define UDP_GRO			104
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT		103
#endif
#ifndef UDP_NO_CHECK6_TX
#define UDP_NO_CHECK6_TX	101
#define UDP_NO_CHECK6_RX	102
#endif
#ifndef UDPLITE_SEND_CSCOV
#define UDPLITE_SEND_CSCOV	10
#define UDPLITE_RECV_CSCOV	11
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE	51
#endif
#ifndef TCP_TX_DELAY
#define TCP_TX_DELAY		37
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL	29
#endif
#ifndef IPV6_RECVERR_RFC4884
#define IPV6_RECVERR_RFC4884	31
#endif

CKPT_FIXTURE(inet)

typedef union {
	struct sockaddr_storage storage;
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
} address_t;

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int s = V_SYS(socket(AF_INET, SOCK_DGRAM, 0));

	V_SYS(ioctl(s, SIOCSIFFLAGS, &ifr));
	close(s);
}

static socklen_t address(address_t *a, const char *ip, int port)
{
	memset(a, 0, sizeof(*a));
	if (!strchr(ip, ':')) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(port);
		V_EQUAL(1, inet_pton(AF_INET, ip, &a->in.sin_addr));
		return sizeof(a->in);
	}
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons(port);
	V_EQUAL(1, inet_pton(AF_INET6, ip, &a->in6.sin6_addr));
	return sizeof(a->in6);
}

static int made(const char *ip, int type, int protocol)
{
	return V_SYS(socket(strchr(ip, ':') ? AF_INET6 : AF_INET, type, protocol));
}

static int try_bind(int fd, const char *ip, int port)
{
	address_t a;

	return bind(fd, &a.any, address(&a, ip, port));
}

static int try_connect(int fd, const char *ip, int port)
{
	address_t a;

	return connect(fd, &a.any, address(&a, ip, port));
}

static int port_of(int fd)
{
	address_t a = { };
	socklen_t len = sizeof(a);

	V_SYS(getsockname(fd, &a.any, &len));
	return ntohs(a.in.sin_port);
}

static int bound(int type, const char *ip, int port)
{
	int fd = made(ip, type, 0), one = 1;

	/* even if connections of another test have not been forgotten yet */
	if (type == SOCK_STREAM)
		V_SYS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	V_SYS(try_bind(fd, ip, port));
	return fd;
}

/* Its own address and its peer are these; no @peer: it has none. */
static void names(int fd, const char *own, int port, const char *peer, int peer_port)
{
	address_t want, is;
	socklen_t len = sizeof(is);

	memset(&is, 0, sizeof(is));
	V_EQUAL(address(&want, own, port), ({ V_SYS(getsockname(fd, &is.any, &len)); len; }));
	V_CHECK(!memcmp(&want, &is, len));
	len = sizeof(is);
	memset(&is, 0, sizeof(is));
	if (!peer) {
		V_EQUAL(-1, getpeername(fd, &is.any, &len));
		V_EQUAL(ENOTCONN, errno);
		return;
	}
	V_SYS(getpeername(fd, &is.any, &len));
	V_EQUAL(address(&want, peer, peer_port), len);
	V_CHECK(!memcmp(&want, &is, len));
}

static void put_to(int fd, const char *ip, int port, const char *text)
{
	address_t a;

	V_EQUAL(strlen(text), sendto(fd, text, strlen(text), 0, &a.any, address(&a, ip, port)));
}

static int opt(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	V_SYS(getsockopt(fd, level, name, &value, &len));
	return value;
}

static void set_opt(int fd, int level, int name, int value)
{
	V_SYS(setsockopt(fd, level, name, &value, sizeof(value)));
}

/* ---- addresses of UDP ---- */

SURVIVES(inet, udp_sockets_that_are_not_bound)
{
	int s = made("127.0.0.1", SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int t = made("::1", SOCK_DGRAM, 0);

	loopback_up();
	victim_ready();
	V_EQUAL(O_RDWR | O_NONBLOCK, fcntl(s, F_GETFL));
	V_EQUAL(FD_CLOEXEC, fcntl(s, F_GETFD));
	names(s, "0.0.0.0", 0, NULL, 0);
	names(t, "::", 0, NULL, 0);
	V_EQUAL(AF_INET6, opt(t, SOL_SOCKET, SO_DOMAIN));
	V_EQUAL(IPPROTO_UDP, opt(t, SOL_SOCKET, SO_PROTOCOL));
	V_SYS(try_bind(s, "127.0.0.1", 4711));
	put_to(made("127.0.0.1", SOCK_DGRAM, 0), "127.0.0.1", 4711, "hello");
	get(s, "hello");
}

static void bound_to(const char *ip, const char *loopback)
{
	int s, t, port;

	loopback_up();
	s = bound(SOCK_DGRAM, ip, 0);
	port = port_of(s);
	t = bound(SOCK_DGRAM, ip, 4712);
	put_to(s, loopback, 4712, "before");
	victim_ready();
	names(s, ip, port, NULL, 0);
	names(t, ip, 4712, NULL, 0);
	get(t, "before");
	nothing(t);
	put_to(t, loopback, port, "after");
	get(s, "after");
	V_EQUAL(-1, try_bind(made(ip, SOCK_DGRAM, 0), ip, 4712));
	V_EQUAL(EADDRINUSE, errno);
	close(t);
	bound(SOCK_DGRAM, ip, 4712);
}

SURVIVES(inet, udp_sockets_bound_to_an_ipv4_address)
{
	bound_to("127.0.0.1", "127.0.0.1");
}

SURVIVES(inet, udp_sockets_bound_to_all_ipv4_addresses)
{
	bound_to("0.0.0.0", "127.0.0.1");
}

SURVIVES(inet, udp_sockets_bound_to_an_ipv6_address)
{
	bound_to("::1", "::1");
}

SURVIVES(inet, udp_sockets_bound_to_all_ipv6_addresses)
{
	bound_to("::", "::1");
}

SURVIVES(inet, an_ipv4_address_in_an_ipv6_socket)
{
	int s, t;

	loopback_up();
	s = bound(SOCK_DGRAM, "::ffff:127.0.0.1", 4713);
	t = bound(SOCK_DGRAM, "127.0.0.1", 4714);
	V_SYS(try_connect(s, "::ffff:127.0.0.1", 4714));
	put_to(t, "127.0.0.1", 4713, "before");
	victim_ready();
	names(s, "::ffff:127.0.0.1", 4713, "::ffff:127.0.0.1", 4714);
	get(s, "before");
	put(s, "after");
	get(t, "after");
}

static void connected_to(const char *ip, bool bind_first)
{
	int s, t, u, port;
	address_t a = { .any.sa_family = AF_UNSPEC };

	loopback_up();
	s = made(ip, SOCK_DGRAM, 0);
	t = bound(SOCK_DGRAM, ip, 4715);
	u = bound(SOCK_DGRAM, ip, 0);
	if (bind_first)
		V_SYS(try_bind(s, ip, 4716));
	/* to a peer that is no socket of its own */
	V_SYS(try_connect(s, ip, 4715));
	port = port_of(s);
	put_to(t, ip, port, "before");
	victim_ready();
	names(s, ip, port, ip, 4715);
	get(s, "before");
	put(s, "after");
	get(t, "after");
	/* from nobody else */
	put_to(u, ip, port, "stranger");
	nothing(s);
	/* what bind(2) has not chosen is forgotten */
	V_SYS(connect(s, &a.any, sizeof(a.any)));
	if (bind_first)
		names(s, ip, 4716, NULL, 0);
	else
		names(s, strchr(ip, ':') ? "::" : "0.0.0.0", 0, NULL, 0);
}

SURVIVES(inet, connected_udp_sockets)
{
	connected_to("127.0.0.1", false);
}

SURVIVES(inet, connected_udp_sockets_of_ipv6)
{
	connected_to("::1", false);
}

SURVIVES(inet, connected_udp_sockets_that_were_bound)
{
	connected_to("127.0.0.1", true);
}

SURVIVES(inet, connected_udp_sockets_of_ipv6_that_were_bound)
{
	connected_to("::1", true);
}

/* An IPv6 socket gets IPv4 as well, also after it was connected to an IPv6 address. */
SURVIVES(inet, a_connected_socket_of_both_protocols)
{
	address_t a = { .any.sa_family = AF_UNSPEC };
	int s;

	loopback_up();
	s = made("::1", SOCK_DGRAM, 0);
	V_EQUAL(0, opt(s, SOL_IPV6, IPV6_V6ONLY));
	V_SYS(try_connect(s, "::1", 4717));
	victim_ready();
	V_EQUAL(0, opt(s, SOL_IPV6, IPV6_V6ONLY));
	V_SYS(connect(s, &a.any, sizeof(a.any)));
	V_SYS(try_bind(s, "::", 4718));
	put_to(made("127.0.0.1", SOCK_DGRAM, 0), "127.0.0.1", 4718, "IPv4");
	get(s, "IPv4");
}

SURVIVES(inet, several_sockets_of_one_address)
{
	int s[3], t, i, n = 0;
	char buf[8];

	loopback_up();
	for (i = 0; i < 3; i++) {
		s[i] = made("127.0.0.1", SOCK_DGRAM, 0);
		set_opt(s[i], SOL_SOCKET, SO_REUSEPORT, 1);
		V_SYS(try_bind(s[i], "127.0.0.1", 4719));
	}
	victim_ready();
	for (i = 0; i < 64; i++) {
		t = made("127.0.0.1", SOCK_DGRAM, 0);
		put_to(t, "127.0.0.1", 4719, "x");
		close(t);
	}
	for (i = 0; i < 3; i++) {
		names(s[i], "127.0.0.1", 4719, NULL, 0);
		V_EQUAL(POLLIN | POLLOUT, poll_of(s[i]));
		while (recv(s[i], buf, 8, MSG_DONTWAIT) == 1)
			n++;
	}
	V_EQUAL(64, n);
}

SURVIVES(inet, reused_addresses)
{
	int s[2], i;

	loopback_up();
	for (i = 0; i < 2; i++) {
		s[i] = made("::1", SOCK_DGRAM, 0);
		set_opt(s[i], SOL_SOCKET, SO_REUSEADDR, 1);
		V_SYS(try_bind(s[i], "::1", 4720));
	}
	victim_ready();
	put_to(made("::1", SOCK_DGRAM, 0), "::1", 4720, "the last");
	nothing(s[0]);
	get(s[1], "the last");
}

SURVIVES(inet, addresses_of_nobody)
{
	int s = made("127.0.0.1", SOCK_DGRAM, 0), t = made("::1", SOCK_DGRAM, 0);

	loopback_up();
	set_opt(s, SOL_IP, IP_FREEBIND, 1);
	V_SYS(try_bind(s, "192.0.2.1", 4721));
	set_opt(t, SOL_IPV6, IPV6_TRANSPARENT, 1);
	V_SYS(try_bind(t, "2001:db8::1", 4721));
	victim_ready();
	names(s, "192.0.2.1", 4721, NULL, 0);
	names(t, "2001:db8::1", 4721, NULL, 0);
	V_EQUAL(1, opt(s, SOL_IP, IP_FREEBIND));
	V_EQUAL(1, opt(t, SOL_IPV6, IPV6_TRANSPARENT));
}

SURVIVES(inet, an_address_without_port)
{
	int s = made("127.0.0.1", SOCK_DGRAM, 0);

	loopback_up();
	set_opt(s, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	V_SYS(try_bind(s, "127.0.0.2", 0));
	victim_ready();
	names(s, "127.0.0.2", 0, NULL, 0);
	V_SYS(try_connect(s, "127.0.0.1", 4722));
	names(s, "127.0.0.2", port_of(s), "127.0.0.1", 4722);
}

SURVIVES(inet, a_network_device)
{
	char name[IFNAMSIZ] = "";
	socklen_t len = sizeof(name);
	int s = made("127.0.0.1", SOCK_DGRAM, 0);

	loopback_up();
	V_SYS(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	V_SYS(try_bind(s, "0.0.0.0", 4723));
	victim_ready();
	V_SYS(getsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	V_CHECK(!strcmp(name, "lo"));
	V_EQUAL(if_nametoindex("lo"), opt(s, SOL_SOCKET, SO_BINDTOIFINDEX));
	put_to(made("127.0.0.1", SOCK_DGRAM, 0), "127.0.0.1", 4723, "x");
	get(s, "x");
}

SURVIVES(inet, shut_down)
{
	int s;

	loopback_up();
	s = bound(SOCK_DGRAM, "127.0.0.1", 4724);
	V_SYS(try_connect(s, "127.0.0.1", 4724));
	put(s, "myself");
	V_SYS(shutdown(s, SHUT_WR));
	victim_ready();
	V_EQUAL(-1, send(s, "x", 1, MSG_NOSIGNAL));
	V_EQUAL(EPIPE, errno);
	get(s, "myself");
	nothing(s);
}

/* Nobody was there: that is said once. */
SURVIVES(inet, a_pending_error)
{
	int s = made("127.0.0.1", SOCK_DGRAM, 0);

	loopback_up();
	V_SYS(try_connect(s, "127.0.0.1", 4725));
	put(s, "x");
	victim_ready();
	V_EQUAL(ECONNREFUSED, opt(s, SOL_SOCKET, SO_ERROR));
	V_EQUAL(0, opt(s, SOL_SOCKET, SO_ERROR));
	put(s, "x");
	V_EQUAL(ECONNREFUSED, opt(s, SOL_SOCKET, SO_ERROR));
}

/* ---- datagrams that wait ---- */

struct got {
	char data[70000];
	ssize_t len;
	address_t from;
	char control[512];
	struct msghdr msg;
};

static struct got *receive(int fd)
{
	static struct got got;
	struct iovec iov = { got.data, sizeof(got.data) };

	memset(&got, 0, sizeof(got));
	got.msg.msg_name = &got.from;
	got.msg.msg_namelen = sizeof(got.from);
	got.msg.msg_iov = &iov;
	got.msg.msg_iovlen = 1;
	got.msg.msg_control = got.control;
	got.msg.msg_controllen = sizeof(got.control);
	got.len = V_SYS(recvmsg(fd, &got.msg, MSG_DONTWAIT));
	return &got;
}

static void *control(struct got *got, int level, int type)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(&got->msg); c; c = CMSG_NXTHDR(&got->msg, c))
		if (c->cmsg_level == level && c->cmsg_type == type)
			return CMSG_DATA(c);
	return NULL;
}

static int control_int(struct got *got, int level, int type)
{
	int *value = control(got, level, type);

	V_CHECK(value);
	return *value;
}

static void queue(const char *ip)
{
	char *big = malloc(60000);
	address_t want;
	int s, t, i;

	loopback_up();
	s = bound(SOCK_DGRAM, ip, 4730);
	t = bound(SOCK_DGRAM, ip, 4731);
	for (i = 0; i < 60000; i++)
		big[i] = i * 13 + i / 251;
	put_to(t, ip, 4730, "first");
	put_to(t, ip, 4730, "");
	put_to(s, ip, 4730, "from myself");
	address(&want, ip, 4730);
	V_EQUAL(60000, sendto(t, big, 60000, 0, &want.any, sizeof(want)));
	put_to(t, ip, 4730, "last");
	close(t);
	victim_ready();
	V_EQUAL(POLLIN | POLLOUT, poll_of(s));
	V_EQUAL(0, ioctl(s, FIONREAD, &i));
	V_EQUAL(5, i);
	get(s, "first");
	/* it may be taken half out of the queue, into another one */
	victim_ready();
	get(s, "");
	V_EQUAL(11, receive(s)->len);
	victim_ready();
	{
		struct got *got = receive(s);

		V_EQUAL(60000, got->len);
		V_CHECK(!memcmp(got->data, big, 60000));
		V_EQUAL(address(&want, ip, 4731), got->msg.msg_namelen);
		V_CHECK(!memcmp(&want, &got->from, got->msg.msg_namelen));
	}
	get(s, "last");
	nothing(s);
	put_to(s, ip, 4730, "new");
	get(s, "new");
}

SURVIVES(inet, datagrams_that_wait)
{
	queue("127.0.0.1");
}

SURVIVES(inet, datagrams_of_ipv6_that_wait)
{
	queue("::1");
}

static void send_marked(const char *ip, int port)
{
	int t = bound(SOCK_DGRAM, ip, 4732);

	set_opt(t, SOL_SOCKET, SO_MARK, 99);
	if (strchr(ip, ':')) {
		set_opt(t, SOL_IPV6, IPV6_TCLASS, 0x48);
		set_opt(t, SOL_IPV6, IPV6_UNICAST_HOPS, 33);
	} else {
		set_opt(t, SOL_IP, IP_TOS, 0x48);
		set_opt(t, SOL_IP, IP_TTL, 33);
	}
	put_to(t, ip, port, "x");
	close(t);
}

static void stamped(struct got *got, const struct timespec *before)
{
	struct timespec *ts = control(got, SOL_SOCKET, SO_TIMESTAMPNS);
	int64_t ns;

	V_CHECK(ts);
	ns = (ts->tv_sec - before->tv_sec) * 1000000000LL + ts->tv_nsec - before->tv_nsec;
	V_CHECK(ns >= 0 && ns < 1000000000);
}

SURVIVES(inet, what_comes_with_datagrams)
{
	int s, lo = if_nametoindex("lo");
	struct in_pktinfo *info;
	struct timespec before;
	address_t *to, want;
	struct got *got;

	loopback_up();
	s = bound(SOCK_DGRAM, "0.0.0.0", 4733);
	set_opt(s, SOL_IP, IP_PKTINFO, 1);
	set_opt(s, SOL_IP, IP_RECVTTL, 1);
	set_opt(s, SOL_IP, IP_RECVTOS, 1);
	set_opt(s, SOL_IP, IP_RECVORIGDSTADDR, 1);
	set_opt(s, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	set_opt(s, SOL_SOCKET, SO_RCVMARK, 1);
	set_opt(s, SOL_SOCKET, SO_RXQ_OVFL, 1);
	/* until stamping is in force */
	sleep_ms(200);
	clock_gettime(CLOCK_REALTIME, &before);
	send_marked("127.0.0.1", 4733);
	vpage->pause_ms = 1500;
	victim_ready();
	got = receive(s);
	V_EQUAL(1, got->len);
	info = control(got, SOL_IP, IP_PKTINFO);
	V_CHECK(info);
	V_EQUAL(lo, info->ipi_ifindex);
	V_EQUAL(htonl(INADDR_LOOPBACK), info->ipi_addr.s_addr);
	V_EQUAL(htonl(INADDR_LOOPBACK), info->ipi_spec_dst.s_addr);
	V_EQUAL(33, control_int(got, SOL_IP, IP_TTL));
	V_EQUAL(0x48, *(unsigned char *)control(got, SOL_IP, IP_TOS));
	to = control(got, SOL_IP, IP_RECVORIGDSTADDR);
	V_CHECK(to && !memcmp(to, &want, address(&want, "127.0.0.1", 4733)));
	V_EQUAL(99, control_int(got, SOL_SOCKET, SO_MARK));
	stamped(got, &before);
	address(&want, "127.0.0.1", 4732);
	V_CHECK(!memcmp(&want, &got->from, sizeof(want.in)));
}

SURVIVES(inet, what_comes_with_datagrams_of_ipv6)
{
	int s, lo = if_nametoindex("lo");
	struct in6_pktinfo *info;
	struct timespec before;
	address_t want;
	struct got *got;

	loopback_up();
	s = bound(SOCK_DGRAM, "::", 4734);
	set_opt(s, SOL_IPV6, IPV6_RECVPKTINFO, 1);
	set_opt(s, SOL_IPV6, IPV6_RECVHOPLIMIT, 1);
	set_opt(s, SOL_IPV6, IPV6_RECVTCLASS, 1);
	set_opt(s, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	/* until stamping is in force */
	sleep_ms(200);
	clock_gettime(CLOCK_REALTIME, &before);
	send_marked("::1", 4734);
	send_marked("127.0.0.1", 4734);
	vpage->pause_ms = 1500;
	victim_ready();
	got = receive(s);
	info = control(got, SOL_IPV6, IPV6_PKTINFO);
	V_CHECK(info);
	V_EQUAL(lo, info->ipi6_ifindex);
	V_CHECK(!memcmp(&info->ipi6_addr, &in6addr_loopback, 16));
	V_EQUAL(33, control_int(got, SOL_IPV6, IPV6_HOPLIMIT));
	V_EQUAL(0x48, control_int(got, SOL_IPV6, IPV6_TCLASS));
	stamped(got, &before);
	address(&want, "::1", 4732);
	V_CHECK(!memcmp(&want, &got->from, sizeof(want.in6)));
	/* and of IPv4 */
	got = receive(s);
	info = control(got, SOL_IPV6, IPV6_PKTINFO);
	V_CHECK(info);
	V_EQUAL(lo, info->ipi6_ifindex);
	address(&want, "::ffff:127.0.0.1", 4732);
	V_CHECK(!memcmp(&want, &got->from, sizeof(want.in6)));
}

SURVIVES(inet, datagrams_glued_together)
{
	char data[3000];
	struct got *got;
	int s, t, i;

	loopback_up();
	s = bound(SOCK_DGRAM, "127.0.0.1", 4735);
	t = made("127.0.0.1", SOCK_DGRAM, 0);
	V_SYS(try_connect(t, "127.0.0.1", 4735));
	set_opt(s, SOL_UDP, UDP_GRO, 1);
	set_opt(t, SOL_UDP, UDP_SEGMENT, 1000);
	for (i = 0; i < 3000; i++)
		data[i] = i / 7;
	V_EQUAL(3000, send(t, data, 3000, 0));
	victim_ready();
	V_EQUAL(1000, opt(t, SOL_UDP, UDP_SEGMENT));
	V_EQUAL(1, opt(s, SOL_UDP, UDP_GRO));
	got = receive(s);
	V_EQUAL(3000, got->len);
	V_CHECK(!memcmp(data, got->data, 3000));
	V_EQUAL(1000, control_int(got, SOL_UDP, UDP_GRO));
	nothing(s);
}

SURVIVES(inet, lost_datagrams_are_counted)
{
	struct got *got;
	int s, t, i, drops;

	loopback_up();
	s = bound(SOCK_DGRAM, "127.0.0.1", 4736);
	t = made("127.0.0.1", SOCK_DGRAM, 0);
	set_opt(s, SOL_SOCKET, SO_RXQ_OVFL, 1);
	set_opt(s, SOL_SOCKET, SO_RCVBUF, 5000);
	for (i = 0; i < 50; i++)
		put_to(t, "127.0.0.1", 4736, "x");
	for (i = 0; i < 6; i++)
		V_EQUAL(1, receive(s)->len);
	put_to(t, "127.0.0.1", 4736, "y");
	victim_ready();
	for (drops = 0; !drops; i++) {
		got = receive(s);
		if (control(got, SOL_SOCKET, SO_RXQ_OVFL))
			drops = control_int(got, SOL_SOCKET, SO_RXQ_OVFL);
	}
	V_EQUAL('y', got->data[0]);
	V_EQUAL(50 - (i - 1), drops);
	nothing(s);
	put_to(t, "127.0.0.1", 4736, "z");
	V_EQUAL(drops, control_int(receive(s), SOL_SOCKET, SO_RXQ_OVFL));
}

/* ---- options ---- */

struct option {
	int level, name, value;
};

static const struct option ip_options[] = {
	{ SOL_SOCKET, SO_PRIORITY, 5 },
	{ SOL_IP, IP_TOS, 0x48 }, { SOL_IP, IP_TTL, 77 }, { SOL_IP, IP_MINTTL, 2 },
	{ SOL_IP, IP_RECVOPTS, 1 }, { SOL_IP, IP_RETOPTS, 1 }, { SOL_IP, IP_PKTINFO, 1 },
	{ SOL_IP, IP_RECVTTL, 1 }, { SOL_IP, IP_RECVTOS, 1 }, { SOL_IP, IP_PASSSEC, 1 },
	{ SOL_IP, IP_RECVORIGDSTADDR, 1 }, { SOL_IP, IP_CHECKSUM, 1 },
	{ SOL_IP, IP_RECVFRAGSIZE, 1 }, { SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE },
	{ SOL_IP, IP_RECVERR, 1 }, { SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1 },
	{ SOL_IP, IP_LOCAL_PORT_RANGE, 41000 << 16 | 40000 },
	{ SOL_IP, IP_MULTICAST_TTL, 9 }, { SOL_IP, IP_MULTICAST_LOOP, 0 },
	{ SOL_IP, IP_MULTICAST_ALL, 0 },
	{ SOL_SOCKET, SO_INCOMING_CPU, 0 },
};

static const struct option ipv6_options[] = {
	{ SOL_IPV6, IPV6_V6ONLY, 1 }, { SOL_IPV6, IPV6_FREEBIND, 1 },
	{ SOL_IPV6, IPV6_UNICAST_HOPS, 7 }, { SOL_IPV6, IPV6_MULTICAST_HOPS, 8 },
	{ SOL_IPV6, IPV6_MULTICAST_LOOP, 0 }, { SOL_IPV6, IPV6_MULTICAST_ALL, 0 },
	{ SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO }, { SOL_IPV6, IPV6_DONTFRAG, 1 },
	{ SOL_IPV6, IPV6_RECVERR, 1 }, { SOL_IPV6, IPV6_RECVERR_RFC4884, 1 },
	{ SOL_IPV6, IPV6_MINHOPCOUNT, 3 }, { SOL_IPV6, IPV6_TCLASS, 0x48 },
	{ SOL_IPV6, IPV6_AUTOFLOWLABEL, 0 }, { SOL_IPV6, IPV6_ADDR_PREFERENCES, 0x402 },
	{ SOL_IPV6, IPV6_RECVPKTINFO, 1 }, { SOL_IPV6, IPV6_RECVHOPLIMIT, 1 },
	{ SOL_IPV6, IPV6_RECVRTHDR, 1 }, { SOL_IPV6, IPV6_RECVHOPOPTS, 1 },
	{ SOL_IPV6, IPV6_RECVDSTOPTS, 1 }, { SOL_IPV6, IPV6_RECVTCLASS, 1 },
	{ SOL_IPV6, IPV6_RECVPATHMTU, 1 }, { SOL_IPV6, IPV6_RECVORIGDSTADDR, 1 },
	{ SOL_IPV6, IPV6_RECVFRAGSIZE, 1 }, { SOL_IPV6, IPV6_2292HOPLIMIT, 1 },
	{ SOL_IP, IP_TTL, 66 },
};

static const struct option udp_options[] = {
	{ SOL_SOCKET, SO_BROADCAST, 1 }, { SOL_SOCKET, SO_NO_CHECK, 1 },
	{ SOL_UDP, UDP_CORK, 1 }, { SOL_UDP, UDP_SEGMENT, 500 }, { SOL_UDP, UDP_GRO, 1 },
	{ SOL_UDP, UDP_NO_CHECK6_TX, 1 }, { SOL_UDP, UDP_NO_CHECK6_RX, 1 },
};

/* They are as they have been set in one socket, and as they were in another. */
static void options(int changed, int plain, const struct option *option, int nr)
{
	int before[64], i;

	V_CHECK(nr <= 64);
	for (i = 0; i < nr; i++) {
		before[i] = opt(plain, option[i].level, option[i].name);
		if (before[i] == option[i].value)
			continue;
		set_opt(changed, option[i].level, option[i].name, option[i].value);
	}
	/* IP_TOS has changed it. */
	if (option == ip_options)
		set_opt(changed, SOL_SOCKET, SO_PRIORITY, 5);
	for (i = 0; i < nr; i++)
		V_EQUAL(option[i].value, opt(changed, option[i].level, option[i].name));
	victim_ready();
	for (i = 0; i < nr; i++) {
		vpage->word[20] = option[i].name;
		V_EQUAL(option[i].value, opt(changed, option[i].level, option[i].name));
		V_EQUAL(before[i], opt(plain, option[i].level, option[i].name));
	}
}

#define OPTIONS(promise, ip, type, protocol, table)			\
	SURVIVES(inet, promise)						\
	{								\
		options(made(ip, type, protocol), made(ip, type, protocol), \
			table, sizeof(table) / sizeof(*table));		\
	}

OPTIONS(options_of_ipv4, "127.0.0.1", SOCK_DGRAM, 0, ip_options)
OPTIONS(options_of_ipv6, "::1", SOCK_DGRAM, 0, ipv6_options)
OPTIONS(options_of_udp, "127.0.0.1", SOCK_DGRAM, 0, udp_options)
OPTIONS(options_of_udp_over_ipv6, "::1", SOCK_DGRAM, 0, udp_options)

SURVIVES(inet, udp_lite)
{
	int s, t;

	loopback_up();
	s = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
	t = made("127.0.0.1", SOCK_DGRAM, IPPROTO_UDPLITE);
	V_SYS(try_bind(s, "127.0.0.1", 4740));
	set_opt(t, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, 20);
	set_opt(s, IPPROTO_UDPLITE, UDPLITE_RECV_CSCOV, 16);
	put_to(t, "127.0.0.1", 4740, "more than is covered");
	victim_ready();
	V_EQUAL(IPPROTO_UDPLITE, opt(s, SOL_SOCKET, SO_PROTOCOL));
	V_EQUAL(20, opt(t, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV));
	V_EQUAL(16, opt(s, IPPROTO_UDPLITE, UDPLITE_RECV_CSCOV));
	get(s, "more than is covered");
	put_to(t, "127.0.0.1", 4740, "again more than that");
	get(s, "again more than that");
	/* less than it wants covered */
	set_opt(t, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, 8);
	put_to(t, "127.0.0.1", 4740, "less");
	nothing(s);
}

SURVIVES(inet, ip_options_and_extension_headers)
{
	unsigned char nops[8] = { 1, 1, 1, 1, 1, 1, 1, 0 }, got[40];
	unsigned char hop[8] = { 0, 0, 1, 4, 0, 0, 0, 0 };
	struct in6_pktinfo info = { .ipi6_ifindex = if_nametoindex("lo") };
	int s = made("127.0.0.1", SOCK_DGRAM, 0), t = made("::1", SOCK_DGRAM, 0);
	socklen_t len = sizeof(got);

	loopback_up();
	V_SYS(setsockopt(s, SOL_IP, IP_OPTIONS, nops, sizeof(nops)));
	V_SYS(setsockopt(t, SOL_IPV6, IPV6_HOPOPTS, hop, sizeof(hop)));
	V_SYS(setsockopt(t, SOL_IPV6, IPV6_PKTINFO, &info, sizeof(info)));
	set_opt(t, SOL_IPV6, IPV6_UNICAST_IF, htonl(if_nametoindex("lo")));
	set_opt(s, SOL_IP, IP_UNICAST_IF, htonl(if_nametoindex("lo")));
	victim_ready();
	V_SYS(getsockopt(s, SOL_IP, IP_OPTIONS, got, &len));
	V_EQUAL(8, len);
	V_CHECK(!memcmp(got, nops, 8));
	len = sizeof(got);
	V_SYS(getsockopt(t, SOL_IPV6, IPV6_HOPOPTS, got, &len));
	V_EQUAL(8, len);
	V_CHECK(!memcmp(got, hop, 8));
	V_EQUAL(htonl(if_nametoindex("lo")), opt(t, SOL_IPV6, IPV6_UNICAST_IF));
	V_EQUAL(htonl(if_nametoindex("lo")), opt(s, SOL_IP, IP_UNICAST_IF));
}

/* ---- multicast ---- */

static struct group_filter *filter_of(int fd, int level, const char *group)
{
	static char buf[GROUP_FILTER_SIZE(8)];
	struct group_filter *f = (struct group_filter *)buf;
	socklen_t len = sizeof(buf);

	memset(buf, 0, sizeof(buf));
	f->gf_interface = if_nametoindex("lo");
	f->gf_numsrc = 8;
	address((address_t *)&f->gf_group, group, 0);
	V_SYS(getsockopt(fd, level, MCAST_MSFILTER, f, &len));
	return f;
}

static void source(int fd, int level, int name, const char *group, const char *from)
{
	struct group_source_req req = { .gsr_interface = if_nametoindex("lo") };

	address((address_t *)&req.gsr_group, group, 0);
	address((address_t *)&req.gsr_source, from, 0);
	V_SYS(setsockopt(fd, level, name, &req, sizeof(req)));
}

static void join(int fd, int level, int name, const char *group)
{
	struct group_req req = { .gr_interface = if_nametoindex("lo") };

	address((address_t *)&req.gr_group, group, 0);
	V_SYS(setsockopt(fd, level, name, &req, sizeof(req)));
}

SURVIVES(inet, multicast_groups)
{
	struct ip_mreqn mreq = { .imr_ifindex = if_nametoindex("lo") }, by_address = { };
	struct group_filter *f;
	address_t want;
	int s;

	loopback_up();
	s = bound(SOCK_DGRAM, "0.0.0.0", 4750);
	inet_pton(AF_INET, "127.0.0.1", &mreq.imr_address);
	V_SYS(setsockopt(s, SOL_IP, IP_MULTICAST_IF, &mreq, sizeof(mreq)));
	set_opt(s, SOL_IP, IP_MULTICAST_ALL, 0);
	join(s, SOL_IP, MCAST_JOIN_GROUP, "239.1.1.1");
	inet_pton(AF_INET, "239.1.1.2", &by_address.imr_multiaddr);
	inet_pton(AF_INET, "127.0.0.1", &by_address.imr_address);
	V_SYS(setsockopt(s, SOL_IP, IP_ADD_MEMBERSHIP, &by_address, sizeof(by_address)));
	join(s, SOL_IP, MCAST_JOIN_GROUP, "239.1.1.3");
	source(s, SOL_IP, MCAST_BLOCK_SOURCE, "239.1.1.3", "10.0.0.1");
	source(s, SOL_IP, MCAST_BLOCK_SOURCE, "239.1.1.3", "10.0.0.2");
	source(s, SOL_IP, MCAST_JOIN_SOURCE_GROUP, "239.1.1.4", "10.0.0.3");
	put_to(s, "239.1.1.1", 4750, "before");
	get(s, "before");
	victim_ready();
	put_to(s, "239.1.1.1", 4750, "one");
	put_to(s, "239.1.1.2", 4750, "two");
	put_to(s, "239.1.1.4", 4750, "not from this one");
	put_to(s, "239.1.1.5", 4750, "no member");
	get(s, "one");
	get(s, "two");
	nothing(s);
	V_EQUAL(htonl(INADDR_LOOPBACK), opt(s, SOL_IP, IP_MULTICAST_IF));
	f = filter_of(s, SOL_IP, "239.1.1.3");
	V_EQUAL(MCAST_EXCLUDE, f->gf_fmode);
	V_EQUAL(2, f->gf_numsrc);
	address(&want, "10.0.0.2", 0);
	V_CHECK(!memcmp(&f->gf_slist[1], &want, sizeof(want.in)));
	f = filter_of(s, SOL_IP, "239.1.1.4");
	V_EQUAL(MCAST_INCLUDE, f->gf_fmode);
	V_EQUAL(1, f->gf_numsrc);
	V_SYS(setsockopt(s, SOL_IP, IP_DROP_MEMBERSHIP, &by_address, sizeof(by_address)));
	join(s, SOL_IP, MCAST_LEAVE_GROUP, "239.1.1.1");
	put_to(s, "239.1.1.1", 4750, "one");
	put_to(s, "239.1.1.2", 4750, "two");
	nothing(s);
}

SURVIVES(inet, multicast_groups_of_ipv6)
{
	struct group_filter *f;
	int s;

	loopback_up();
	s = bound(SOCK_DGRAM, "::", 4751);
	set_opt(s, SOL_IPV6, IPV6_MULTICAST_IF, if_nametoindex("lo"));
	set_opt(s, SOL_IPV6, IPV6_MULTICAST_ALL, 0);
	join(s, SOL_IPV6, MCAST_JOIN_GROUP, "ff12::1");
	join(s, SOL_IPV6, MCAST_JOIN_GROUP, "ff12::2");
	source(s, SOL_IPV6, MCAST_JOIN_SOURCE_GROUP, "ff12::3", "fd00::1");
	source(s, SOL_IPV6, MCAST_BLOCK_SOURCE, "ff12::2", "fd00::2");
	/* and of IPv4 */
	join(s, SOL_IP, MCAST_JOIN_GROUP, "239.1.1.9");
	victim_ready();
	V_EQUAL(if_nametoindex("lo"), opt(s, SOL_IPV6, IPV6_MULTICAST_IF));
	f = filter_of(s, SOL_IPV6, "ff12::1");
	V_EQUAL(MCAST_EXCLUDE, f->gf_fmode);
	V_EQUAL(0, f->gf_numsrc);
	f = filter_of(s, SOL_IPV6, "ff12::2");
	V_EQUAL(MCAST_EXCLUDE, f->gf_fmode);
	V_EQUAL(1, f->gf_numsrc);
	f = filter_of(s, SOL_IPV6, "ff12::3");
	V_EQUAL(MCAST_INCLUDE, f->gf_fmode);
	V_EQUAL(1, f->gf_numsrc);
	join(s, SOL_IPV6, MCAST_LEAVE_GROUP, "ff12::1");
	join(s, SOL_IP, MCAST_LEAVE_GROUP, "239.1.1.9");
}

/* ---- raw sockets and those of ICMP ---- */

static const struct option raw_options[] = {
	{ SOL_IP, IP_HDRINCL, 1 }, { SOL_IP, IP_NODEFRAG, 1 },
	{ SOL_RAW, ICMP_FILTER, 1 << ICMP_REDIRECT }, { SOL_IP, IP_TTL, 5 },
	{ SOL_SOCKET, SO_RCVTIMEO, 0 },
};

static const struct option raw6_options[] = {
	{ SOL_RAW, IPV6_CHECKSUM, 4 }, { SOL_IPV6, IPV6_UNICAST_HOPS, 5 },
	{ SOL_IPV6, IPV6_RECVPKTINFO, 1 },
};

SURVIVES(inet, options_of_raw_sockets)
{
	options(made("127.0.0.1", SOCK_RAW, IPPROTO_ICMP),
		made("127.0.0.1", SOCK_RAW, IPPROTO_ICMP), raw_options, 4);
}

OPTIONS(options_of_raw_sockets_of_ipv6, "::1", SOCK_RAW, 58, raw6_options)
OPTIONS(options_of_other_raw_sockets_of_ipv6, "::1", SOCK_RAW, 200, raw6_options)

static void echo(int fd, const char *ip, int id)
{
	struct icmphdr request = { .type = ICMP_ECHO, .un.echo.id = htons(id) };
	address_t a;

	request.checksum = ~(htons(ICMP_ECHO << 8) + request.un.echo.id);
	V_EQUAL(sizeof(request), sendto(fd, &request, sizeof(request), 0, &a.any,
					address(&a, ip, 0)));
}

SURVIVES(inet, raw_sockets)
{
	int s, t, u, v;
	struct got *got;

	loopback_up();
	s = made("127.0.0.1", SOCK_RAW, IPPROTO_ICMP);
	t = made("127.0.0.1", SOCK_RAW, 200);
	u = made("127.0.0.1", SOCK_RAW, IPPROTO_RAW);
	v = made("127.0.0.1", SOCK_RAW, IPPROTO_ICMP);
	/* no requests, only replies */
	set_opt(s, SOL_RAW, ICMP_FILTER, 1 << ICMP_ECHO);
	V_SYS(try_bind(t, "127.0.0.1", 0));
	V_SYS(try_connect(t, "127.0.0.2", 9));
	V_SYS(try_connect(v, "127.0.0.3", 9));
	victim_ready();
	echo(s, "127.0.0.1", 7);
	got = receive(s);
	V_EQUAL(28, got->len);
	V_EQUAL(ICMP_ECHOREPLY, got->data[20]);
	nothing(s);
	names(t, "127.0.0.1", 200, "127.0.0.2", 9);
	V_EQUAL(200, opt(t, SOL_SOCKET, SO_PROTOCOL));
	names(v, "127.0.0.1", IPPROTO_ICMP, "127.0.0.3", 9);
	V_EQUAL(1, opt(u, SOL_IP, IP_HDRINCL));
	V_EQUAL(SOCK_RAW, opt(u, SOL_SOCKET, SO_TYPE));
}

SURVIVES(inet, raw_sockets_of_ipv6)
{
	struct icmp6_filter filter, now;
	socklen_t len = sizeof(now);
	int s, t;

	loopback_up();
	s = made("::1", SOCK_RAW, IPPROTO_ICMPV6);
	t = made("::1", SOCK_RAW, 200);
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	V_SYS(setsockopt(s, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)));
	V_SYS(try_bind(s, "::1", 0));
	V_SYS(try_connect(t, "::1", 9));
	victim_ready();
	V_SYS(getsockopt(s, IPPROTO_ICMPV6, ICMP6_FILTER, &now, &len));
	V_CHECK(!memcmp(&filter, &now, sizeof(now)));
	names(s, "::1", IPPROTO_ICMPV6, NULL, 0);
	names(t, "::1", 200, "::1", 9);
}

/* As ping(8) without privileges. */
SURVIVES(inet, sockets_of_icmp)
{
	struct got *got;
	int s, t;

	loopback_up();
	V_CHECK(write_text("/proc/sys/net/ipv4/ping_group_range", "0 2147483647") >= 0);
	s = made("127.0.0.1", SOCK_DGRAM, IPPROTO_ICMP);
	t = made("::1", SOCK_DGRAM, IPPROTO_ICMPV6);
	V_SYS(try_bind(s, "127.0.0.1", 77));
	V_SYS(try_connect(t, "::1", 9));
	victim_ready();
	names(s, "127.0.0.1", 77, NULL, 0);
	names(t, "::1", port_of(t), "::1", 9);
	echo(s, "127.0.0.1", 1);
	got = receive(s);
	V_EQUAL(8, got->len);
	V_EQUAL(ICMP_ECHOREPLY, got->data[0]);
	V_EQUAL(77, ntohs(((struct icmphdr *)got->data)->un.echo.id));
}

/* Packets that wait are lost, as the network may lose any, and the report tells. */
VICTIM(has_packets)
{
	loopback_up();
	V_EQUAL(7, dup2(made("127.0.0.1", SOCK_RAW, IPPROTO_ICMP), 7));
	echo(7, "127.0.0.1", 3);
	victim_ready();
	recv(7, &(char){ 0 }, 1, MSG_DONTWAIT);
}

TEST_F(inet, packets_of_raw_sockets)
{
	if (dry_run())
		SKIP(return, "needs a checkpoint");
	ASSERT_EQ(0, victim_start(&self->v, "has_packets"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "2 received packets are not saved"));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* ---- TCP that is not connected ---- */

static const struct option tcp_options[] = {
	{ SOL_SOCKET, SO_KEEPALIVE, 1 },
	{ SOL_TCP, TCP_MAXSEG, 1000 }, { SOL_TCP, TCP_NODELAY, 1 }, { SOL_TCP, TCP_CORK, 1 },
	{ SOL_TCP, TCP_KEEPIDLE, 100 }, { SOL_TCP, TCP_KEEPINTVL, 20 },
	{ SOL_TCP, TCP_KEEPCNT, 4 }, { SOL_TCP, TCP_SYNCNT, 3 }, { SOL_TCP, TCP_LINGER2, 30 },
	{ SOL_TCP, TCP_DEFER_ACCEPT, 7 }, { SOL_TCP, TCP_WINDOW_CLAMP, 50000 },
	{ SOL_TCP, TCP_QUICKACK, 0 }, { SOL_TCP, TCP_USER_TIMEOUT, 12345 },
	{ SOL_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1 }, { SOL_TCP, TCP_SAVE_SYN, 1 },
	{ SOL_TCP, TCP_NOTSENT_LOWAT, 16384 }, { SOL_TCP, TCP_INQ, 1 },
	{ SOL_TCP, TCP_TX_DELAY, 1000 }, { SOL_TCP, TCP_FASTOPEN, 5 },
	{ SOL_IP, IP_TTL, 44 }, { SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT },
};

OPTIONS(options_of_tcp, "127.0.0.1", SOCK_STREAM, 0, tcp_options)
OPTIONS(options_of_tcp_over_ipv6, "::1", SOCK_STREAM, 0, tcp_options)

static void accepts(int l, const char *ip, int port)
{
	int c = made(ip, SOCK_STREAM, 0), a;

	V_SYS(try_connect(c, ip, port));
	a = V_SYS(accept(l, NULL, NULL));
	put(c, "to the server");
	V_EQUAL(13, recv(a, (char[16]){ }, 13, MSG_WAITALL));
	put(a, "back");
	V_EQUAL(4, recv(c, (char[16]){ }, 4, MSG_WAITALL));
	close(c);
	V_EQUAL(0, recv(a, (char[1]){ }, 1, 0));
	close(a);
}

static int backlog_of(int l)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	V_SYS(getsockopt(l, SOL_TCP, TCP_INFO, &info, &len));
	V_EQUAL(10, info.tcpi_state);
	return info.tcpi_sacked;
}

static void listens(const char *ip, const char *loopback)
{
	int l = made(ip, SOCK_STREAM | SOCK_CLOEXEC, 0);

	loopback_up();
	set_opt(l, SOL_SOCKET, SO_REUSEADDR, 1);
	V_SYS(try_bind(l, ip, 4800));
	V_SYS(listen(l, 17));
	victim_ready();
	names(l, ip, 4800, NULL, 0);
	V_EQUAL(1, opt(l, SOL_SOCKET, SO_ACCEPTCONN));
	V_EQUAL(1, opt(l, SOL_SOCKET, SO_REUSEADDR));
	V_EQUAL(17, backlog_of(l));
	V_EQUAL(0, poll_of(l));
	accepts(l, loopback, 4800);
	/* connections that have ended do not matter */
	victim_ready();
	accepts(l, loopback, 4800);
	V_EQUAL(-1, try_bind(made(ip, SOCK_STREAM, 0), ip, 4800));
	V_EQUAL(EADDRINUSE, errno);
}

SURVIVES(inet, a_listener)
{
	listens("127.0.0.1", "127.0.0.1");
}

SURVIVES(inet, a_listener_at_all_addresses)
{
	listens("0.0.0.0", "127.0.0.1");
}

SURVIVES(inet, a_listener_of_ipv6)
{
	listens("::1", "::1");
}

SURVIVES(inet, a_listener_of_both_protocols)
{
	listens("::", "127.0.0.1");
}

SURVIVES(inet, a_listener_of_ipv6_beside_one_of_ipv4)
{
	int l = made("0.0.0.0", SOCK_STREAM, 0), k = made("::", SOCK_STREAM, 0);

	loopback_up();
	set_opt(l, SOL_SOCKET, SO_REUSEADDR, 1);
	set_opt(k, SOL_SOCKET, SO_REUSEADDR, 1);
	set_opt(k, SOL_IPV6, IPV6_V6ONLY, 1);
	V_SYS(try_bind(k, "::", 4801));
	V_SYS(try_bind(l, "0.0.0.0", 4801));
	V_SYS(listen(l, 1));
	V_SYS(listen(k, 1));
	victim_ready();
	accepts(l, "127.0.0.1", 4801);
	accepts(k, "::1", 4801);
}

/* What nobody has chosen goes when the socket stops to listen. */
SURVIVES(inet, a_listener_without_a_name)
{
	int l = made("127.0.0.1", SOCK_STREAM, 0), port;

	loopback_up();
	V_SYS(listen(l, 3));
	port = port_of(l);
	victim_ready();
	V_EQUAL(port, port_of(l));
	accepts(l, "127.0.0.1", port);
	V_SYS(shutdown(l, SHUT_RD));
	/* but getsockname(2) still tells of it */
	names(l, "0.0.0.0", port, NULL, 0);
	victim_ready();
	names(l, "0.0.0.0", port, NULL, 0);
	V_SYS(listen(l, 3));
	V_CHECK(port_of(l) != port);
	accepts(l, "127.0.0.1", port_of(l));
}

SURVIVES(inet, several_listeners_at_one_port)
{
	int l[3], i, c, n = 0;

	loopback_up();
	for (i = 0; i < 3; i++) {
		l[i] = made("127.0.0.1", SOCK_STREAM | SOCK_NONBLOCK, 0);
		set_opt(l[i], SOL_SOCKET, SO_REUSEPORT, 1);
		V_SYS(try_bind(l[i], "127.0.0.1", 4802));
		V_SYS(listen(l[i], 64));
	}
	victim_ready();
	for (i = 0; i < 64; i++) {
		c = made("127.0.0.1", SOCK_STREAM, 0);
		V_SYS(try_connect(c, "127.0.0.1", 4802));
		close(c);
	}
	for (i = 0; i < 3; i++) {
		V_EQUAL(POLLIN, poll_of(l[i]));
		while ((c = accept(l[i], NULL, NULL)) >= 0) {
			close(c);
			n++;
		}
	}
	V_EQUAL(64, n);
}

SURVIVES(inet, tcp_sockets_that_do_not_listen)
{
	int s = made("127.0.0.1", SOCK_STREAM, 0), t = made("::1", SOCK_STREAM, 0), l;
	address_t a;

	loopback_up();
	set_opt(s, SOL_SOCKET, SO_REUSEADDR, 1);
	V_SYS(try_bind(s, "127.0.0.1", 4803));
	victim_ready();
	names(s, "127.0.0.1", 4803, NULL, 0);
	names(t, "::", 0, NULL, 0);
	V_EQUAL(POLLOUT | POLLHUP, poll_of(t));
	V_EQUAL(-1, send(s, "x", 1, MSG_NOSIGNAL));
	V_EQUAL(EPIPE, errno);
	l = bound(SOCK_STREAM, "127.0.0.1", 4804);
	V_SYS(listen(l, 1));
	V_SYS(connect(s, &a.any, address(&a, "127.0.0.1", 4804)));
	V_SYS(accept(l, NULL, NULL));
	names(s, "127.0.0.1", 4803, "127.0.0.1", 4804);
}

/* A connection that did not come about leaves a socket as new. */
SURVIVES(inet, a_connection_that_was_refused)
{
	int s = made("127.0.0.1", SOCK_STREAM, 0), l, port;

	loopback_up();
	V_EQUAL(-1, try_connect(s, "127.0.0.1", 4805));
	V_EQUAL(ECONNREFUSED, errno);
	port = port_of(s);
	victim_ready();
	names(s, "0.0.0.0", port, NULL, 0);
	l = bound(SOCK_STREAM, "127.0.0.1", 4805);
	V_SYS(listen(l, 1));
	V_SYS(try_connect(s, "127.0.0.1", 4805));
}

SURVIVES(inet, congestion_control)
{
	char name[16] = "", before[16] = "";
	socklen_t len = sizeof(name);
	int s = made("127.0.0.1", SOCK_STREAM, 0), t = made("127.0.0.1", SOCK_STREAM, 0);

	V_SYS(getsockopt(t, SOL_TCP, TCP_CONGESTION, before, &len));
	V_CHECK(strcmp(before, "reno"));
	V_SYS(setsockopt(s, SOL_TCP, TCP_CONGESTION, "reno", 4));
	victim_ready();
	len = sizeof(name);
	V_SYS(getsockopt(s, SOL_TCP, TCP_CONGESTION, name, &len));
	V_CHECK(!strcmp(name, "reno"));
	len = sizeof(name);
	V_SYS(getsockopt(t, SOL_TCP, TCP_CONGESTION, name, &len));
	V_CHECK(!strcmp(name, before));
}

static int accepting;

static void *late_client(void *arg)
{
	victim_await(victim_reach_thread(getpid(), __NR_accept));
	V_SYS(try_connect(made("127.0.0.1", SOCK_STREAM, 0), "127.0.0.1", 4806));
	return NULL;
}

SURVIVES(inet, an_accept_that_waits)
{
	pthread_t thread;

	loopback_up();
	accepting = bound(SOCK_STREAM, "127.0.0.1", 4806);
	V_SYS(listen(accepting, 1));
	V_EQUAL(0, pthread_create(&thread, NULL, late_client, NULL));
	V_SYS(accept(accepting, NULL, NULL));
	V_EQUAL(0, pthread_join(thread, NULL));
}

/* ---- a server with workers ---- */

FIXTURE(inet_tree) { struct victim v; };
CKPT_TWICE(inet_tree);
CKPT_TREE_VICTIM(inet_tree, REQUIRE_REAL_CHECKPOINT)

#define WORKERS	3

/* Waits for clients in an epoll set of its own; ends when it is told 'x'. */
static int worker(int l)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = l };
	int set = V_SYS(epoll_create1(0)), c;
	char byte = 0;

	V_SYS(epoll_ctl(set, EPOLL_CTL_ADD, l, &e));
	while (byte != 'x') {
		V_EQUAL(1, epoll_wait(set, &e, 1, -1));
		V_EQUAL(l, e.data.fd);
		c = accept(l, NULL, NULL);
		if (c < 0)
			continue;
		if (recv(c, &byte, 1, 0) == 1)
			send(c, &byte, 1, MSG_NOSIGNAL);
		close(c);
	}
	return 0;
}

VICTIM(server)
{
	int l = made("127.0.0.1", SOCK_STREAM | SOCK_NONBLOCK, 0), i, c, status;
	pid_t pid[WORKERS];
	char byte;

	loopback_up();
	set_opt(l, SOL_SOCKET, SO_REUSEADDR, 1);
	V_SYS(try_bind(l, "127.0.0.1", 4807));
	V_SYS(listen(l, 100));
	for (i = 0; i < WORKERS; i++) {
		pid[i] = V_SYS(fork());
		if (!pid[i])
			_exit(worker(l));
	}
	for (i = 0; i < WORKERS; i++)
		V_CHECK(WAIT_FOR(proc_in_syscall(pid[i], pid[i], __NR_epoll_wait)));
	victim_ready();
	for (i = 0; i < 30 + WORKERS; i++) {
		c = made("127.0.0.1", SOCK_STREAM, 0);
		V_SYS(try_connect(c, "127.0.0.1", 4807));
		put(c, i < 30 ? "a" : "x");
		V_EQUAL(1, recv(c, &byte, 1, 0));
		V_EQUAL(i < 30 ? 'a' : 'x', byte);
		close(c);
	}
	for (i = 0; i < WORKERS; i++) {
		V_EQUAL(pid[i], V_SYS(waitpid(pid[i], &status, 0)));
		V_EQUAL(0, status);
	}
	/* nobody else has it any more */
	close(l);
	c = made("127.0.0.1", SOCK_STREAM, 0);
	V_EQUAL(-1, try_connect(c, "127.0.0.1", 4807));
}

TEST_F(inet_tree, workers_that_share_a_listener)
{
	struct victim *v = &self->v;

	ASSERT_EQ(0, victim_spawn(v, "server", NULL));
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(v));
	ASSERT_EQ(0, victim_checkpoint(v, variant->restart ? CHECKPOINT_KILL : 0));
	if (variant->restart) {
		while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
			;
		v->alive = false;
		ASSERT_EQ(0, victim_restart(v));
	}
	EXPECT_EQ(0, victim_finish(v));
}

/* ---- what is refused ---- */

CKPT_FIXTURE_REAL(inet_refused)

#define REFUSED(what, words)	IS_REFUSED(inet_refused, what, "fd 7: ", words)

REFUSED(data_held_back, "UDP_CORK")
{
	loopback_up();
	as_7(made("127.0.0.1", SOCK_DGRAM, 0));
	V_SYS(try_connect(7, "127.0.0.1", 4760));
	V_EQUAL(1, send(7, "x", 1, MSG_MORE));
	victim_ready();
	V_EQUAL(1, send(7, "y", 1, 0));
}

REFUSED(encapsulation, "UDP_ENCAP")
{
	as_7(made("127.0.0.1", SOCK_DGRAM, 0));
	set_opt(7, SOL_UDP, UDP_ENCAP, UDP_ENCAP_L2TPINUDP);
	victim_ready();
}

REFUSED(a_program_that_chooses, "SO_ATTACH_REUSEPORT_CBPF")
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { 1, &code };

	as_7(made("127.0.0.1", SOCK_DGRAM, 0));
	set_opt(7, SOL_SOCKET, SO_REUSEPORT, 1);
	V_SYS(try_bind(7, "0.0.0.0", 0));
	V_SYS(setsockopt(7, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)));
	victim_ready();
}

REFUSED(a_filter, "SO_ATTACH_FILTER")
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, 0xffff);
	struct sock_fprog prog = { 1, &code };

	as_7(made("127.0.0.1", SOCK_DGRAM, 0));
	V_SYS(setsockopt(7, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
	victim_ready();
}

REFUSED(router_alerts, "IP_ROUTER_ALERT")
{
	as_7(made("127.0.0.1", SOCK_RAW, IPPROTO_IGMP));
	set_opt(7, SOL_IP, IP_ROUTER_ALERT, 1);
	victim_ready();
	set_opt(7, SOL_IP, IP_ROUTER_ALERT, 0);
}

/* A connection to itself: 7 is one end of it, 8 the other. */
static void connect_7_and_8(void)
{
	int l = bound(SOCK_STREAM, "127.0.0.1", 0), fd;

	V_SYS(listen(l, 1));
	as_7(made("127.0.0.1", SOCK_STREAM, 0));
	V_SYS(try_connect(7, "127.0.0.1", port_of(l)));
	fd = V_SYS(accept(l, NULL, NULL));
	V_EQUAL(8, dup2(fd, 8));
	close(fd);
	close(l);
}

REFUSED(a_connection, "established")
{
	loopback_up();
	connect_7_and_8();
	put(7, "before");
	victim_ready();
	put(7, "after");
	V_EQUAL(11, recv(8, (char[16]){ }, 11, MSG_WAITALL));
}

TEST_F(inet_refused, a_connection_is_named)
{
	char text[64], *at;

	ASSERT_EQ(0, victim_start(&self->v, "a_connection"));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	at = strstr(self->v.log, "from 127.0.0.1:");
	ASSERT_NE(NULL, at);
	snprintf(text, sizeof(text), "%.60s", at);
	EXPECT_NE(NULL, strstr(text, " to 127.0.0.1:"));
}

REFUSED(a_connection_that_the_peer_has_closed, "CLOSE_WAIT")
{
	loopback_up();
	connect_7_and_8();
	close(8);
	victim_ready();
	V_EQUAL(0, recv(7, (char[16]){ }, 11, 0));
}

REFUSED(a_connection_that_was_reset, "ended")
{
	struct linger now = { 1, 0 };

	loopback_up();
	connect_7_and_8();
	V_SYS(setsockopt(8, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	close(8);
	victim_ready();
	V_EQUAL(ECONNRESET, opt(7, SOL_SOCKET, SO_ERROR));
}

REFUSED(a_connection_that_waits, "1 connections wait to be accepted")
{
	int c;

	loopback_up();
	as_7(bound(SOCK_STREAM, "127.0.0.1", 0));
	V_SYS(listen(7, 1));
	c = made("127.0.0.1", SOCK_STREAM | SOCK_CLOEXEC, 0);
	V_SYS(try_connect(c, "127.0.0.1", port_of(7)));
	close(c);
	victim_ready();
	V_SYS(accept(7, NULL, NULL));
}

REFUSED(a_connection_being_opened, "SYN_SENT")
{
	int l, i;

	loopback_up();
	/* nobody answers any more when the queue is full */
	l = bound(SOCK_STREAM, "127.0.0.1", 0);
	V_SYS(listen(l, 0));
	as_7(l);
	for (i = 0; i < 2; i++)
		try_connect(made("127.0.0.1", SOCK_STREAM | SOCK_NONBLOCK, 0), "127.0.0.1",
			    port_of(7));
	l = made("127.0.0.1", SOCK_STREAM | SOCK_NONBLOCK, 0);
	try_connect(l, "127.0.0.1", port_of(7));
	dup2(7, 9);
	as_7(l);
	victim_ready();
}

REFUSED(unread_errors, "error queue")
{
	loopback_up();
	as_7(made("127.0.0.1", SOCK_DGRAM, 0));
	set_opt(7, SOL_IP, IP_RECVERR, 1);
	V_SYS(try_connect(7, "127.0.0.1", 4761));
	put(7, "x");
	victim_ready();
	V_EQUAL(1, recv(7, &(char){ 0 }, 1, MSG_ERRQUEUE));
}

/* ---- restarts that fail ---- */

CKPT_FIXTURE_REAL(inet_restart)

VICTIM(has_an_address)
{
	loopback_up();
	as_7(bound(SOCK_DGRAM, "127.0.0.1", 4770));
	victim_ready();
	names(7, "127.0.0.1", 4770, NULL, 0);
}

TEST_F(inet_restart, an_address_that_is_taken)
{
	int s;

	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_an_address"));
	s = bound(SOCK_DGRAM, "127.0.0.1", 4770);
	EXPECT_EQ(-EADDRINUSE, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "127.0.0.1:4770"));
	close(s);
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

VICTIM(has_a_low_port)
{
	loopback_up();
	as_7(bound(SOCK_DGRAM, "127.0.0.1", 47));
	victim_ready();
	names(7, "127.0.0.1", 47, NULL, 0);
}

TEST_F(inet_restart, a_port_needs_the_right_to_have_it)
{
	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_a_low_port"));
	EXPECT_EQ(-EACCES, restart_without(&self->v, CAP_NET_BIND_SERVICE));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

VICTIM(has_a_raw_socket)
{
	as_7(made("127.0.0.1", SOCK_RAW, IPPROTO_ICMP));
	victim_ready();
	V_EQUAL(SOCK_RAW, opt(7, SOL_SOCKET, SO_TYPE));
}

TEST_F(inet_restart, a_raw_socket_needs_the_right_to_have_it)
{
	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_a_raw_socket"));
	EXPECT_EQ(-EPERM, restart_without(&self->v, CAP_NET_RAW));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* ---- images that lie ---- */

VICTIM(has_all)
{
	int s, t;

	loopback_up();
	s = bound(SOCK_DGRAM, "::1", 4780);
	t = bound(SOCK_DGRAM, "127.0.0.1", 4781);
	set_opt(s, SOL_IPV6, IPV6_MULTICAST_IF, if_nametoindex("lo"));
	join(s, SOL_IPV6, MCAST_JOIN_GROUP, "ff12::1");
	put_to(s, "::1", 4780, "text");
	V_SYS(try_connect(t, "127.0.0.1", 4781));
	put(t, "text");
	victim_ready();
}

CKPT_IMAGE_FIXTURE(inet_lies, has_all)

/* @i is the IPv6 socket, @c the connected one. */
#define LIE(promise, error, ...)					\
	TEST_F(inet_lies, promise)					\
	{								\
		struct image *img = &self->img;				\
		struct ckpt_inet *i = find(img, CKPT_REC_INET, 0);	\
		struct ckpt_inet *c = find(img, CKPT_REC_INET, 1);	\
		struct ckpt_inet_option *o = find(img, CKPT_REC_INET_OPTION, 0); \
		struct ckpt_inet_device *d = find(img, CKPT_REC_INET_DEVICE, 0); \
		struct ckpt_inet_msg *m = find(img, CKPT_REC_INET_MSG, 0); \
		struct ckpt_inet_msg *n = find(img, CKPT_REC_INET_MSG, 1); \
		struct ckpt_sock *s = find(img, CKPT_REC_SOCK, 0);	\
									\
		ASSERT_TRUE(i && c && o && d && m && n && s);		\
		__VA_ARGS__;						\
		EXPECT_EQ(-error, try_changed(&self->v, img, 0));	\
		EXPECT_NE('\0', self->v.log[0]);			\
	}

LIE(unknown_flags, EBADMSG, i->flags |= 1U << 31)
LIE(a_bad_shutdown, EBADMSG, i->shutdown = 4)
LIE(a_bad_error, EBADMSG, i->err = 100000)
LIE(a_bad_device, EBADMSG, i->device = 0x80000000)
LIE(more_options_than_there_are, EBADMSG, i->nr_values = 0x10000000)
LIE(an_option_that_is_none, EBADMSG, i->values[0].name = 999)
LIE(an_option_of_another_level, EBADMSG, i->values[0].level = 1)
LIE(an_ipv4_address_too_long, EBADMSG, c->peer[12] = 1)
LIE(messages_missing, EBADMSG, i->nr_messages = 2)
LIE(messages_left_over, EBADMSG, i->nr_messages = 0)
LIE(a_message_longer_than_its_record, EBADMSG, m->len = 4096)
LIE(a_message_of_no_length_at_all, EBADMSG, m->len = 0xffffffff)
LIE(a_message_of_ipv6_to_ipv4, EBADMSG, n->flags |= CKPT_INET_MSG_IPV6)
LIE(a_flow_label_too_large, EBADMSG, m->flow_label = 0x100000)
LIE(an_option_longer_than_its_record, EBADMSG, o->len = 4096)
LIE(an_option_that_is_not_allowed, EBADMSG, o->name = 1)
LIE(another_device, ENODEV, strcpy((char *)d->name, "eth77"))
LIE(another_number, ENODEV, d->index = 4711)
LIE(a_name_without_end, EBADMSG, memset(d->name, 'x', 16))
LIE(another_family, EBADMSG, s->family = AF_INET)
LIE(another_protocol, EOPNOTSUPP, s->type = SOCK_RAW; s->protocol = 1)
LIE(an_address_of_somebody_else, EADDRNOTAVAIL, i->receives[0] = 0x20)
LIE(another_address, EADDRNOTAVAIL, c->address[3] = 77)

TEST_F(inet_lies, every_field)
{
	static const uint32_t types[] = {
		CKPT_REC_INET, CKPT_REC_INET_OPTION, CKPT_REC_INET_DEVICE, CKPT_REC_INET_MSG,
	};

	EXPECT_TRUE(any_word_does_no_harm(&self->v, &self->img, types, ARRAY_SIZE(types),
					  the_count(80)));
	EXPECT_EQ(0, finish_from(&self->v, &self->img));
}

/* ---- options that the kernel changes ---- */

static struct ckpt_inet_value *value_of(struct image *img, uint16_t level, uint16_t name)
{
	struct ckpt_inet *in = find(img, CKPT_REC_INET, 0);
	uint32_t i;

	for (i = 0; in && i < in->nr_values; i++)
		if (in->values[i].level == level && in->values[i].name == name)
			return &in->values[i];
	return NULL;
}

VICTIM(has_a_tcp_socket)
{
	loopback_up();
	as_7(made("127.0.0.1", SOCK_STREAM, 0));
	set_opt(7, SOL_IP, IP_TOS, 0x10);
	set_opt(7, SOL_TCP, TCP_FASTOPEN, 100);
	victim_ready();
	V_EQUAL(0x10, opt(7, SOL_IP, IP_TOS));
}

/* Congestion control like DCTCP sets a bit there that nobody else may. */
TEST_F(inet_restart, the_bits_of_congestion_control_are_not_set)
{
	struct ckpt_inet_value *tos;
	struct image img;

	ASSERT_EQ(0, victim_image(&self->v, "has_a_tcp_socket", &img));
	tos = value_of(&img, SOL_IP, IP_TOS);
	ASSERT_NE(NULL, tos);
	ASSERT_EQ(0x10, tos->value);
	tos->value |= 2;
	EXPECT_EQ(0, finish_from(&self->v, &img));
	free(img.data);
}

TEST_F(inet_restart, more_of_fastopen_than_the_system_allows)
{
	struct ckpt_inet_value *fastopen;
	struct image img;

	ASSERT_EQ(0, victim_image(&self->v, "has_a_tcp_socket", &img));
	fastopen = value_of(&img, SOL_TCP, TCP_FASTOPEN);
	ASSERT_NE(NULL, fastopen);
	ASSERT_EQ(100, fastopen->value);
	fastopen->value = 0x7fffffff;
	seal(&img);
	ASSERT_EQ(self->v.pid, try_image(&self->v, &img, 0))
		show_log(self->v.log);
	EXPECT_NE(NULL, strstr(self->v.log, "TCP_FASTOPEN"));
	EXPECT_EQ(0, victim_finish(&self->v));
	free(img.data);
}

/* ---- options of all sockets ---- */

SURVIVES(inet, a_locked_filter)
{
	int s = made("127.0.0.1", SOCK_DGRAM, 0), off = 0;

	set_opt(s, SOL_SOCKET, SO_LOCK_FILTER, 1);
	victim_ready();
	V_EQUAL(1, opt(s, SOL_SOCKET, SO_LOCK_FILTER));
	V_EQUAL(-1, setsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof(off)));
}

/* More than 32 bits of microseconds; and more than 63 of nanoseconds. */
SURVIVES(inet, long_time_outs)
{
	const struct timeval hours = { 7200, 0 }, ages = { 400LL * 365 * 86400, 0 };
	struct linger linger = { 1, 86400 };
	socklen_t len = sizeof(linger);
	int s = made("127.0.0.1", SOCK_DGRAM, 0);
	struct timeval now;

	V_SYS(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &hours, sizeof(hours)));
	V_SYS(setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &ages, sizeof(ages)));
	V_SYS(setsockopt(s, SOL_SOCKET, SO_LINGER, &linger, len));
	victim_ready();
	memset(&linger, 0, sizeof(linger));
	V_SYS(getsockopt(s, SOL_SOCKET, SO_LINGER, &linger, &len));
	V_EQUAL(1, linger.l_onoff);
	V_EQUAL(86400, linger.l_linger);
	len = sizeof(now);
	V_SYS(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &now, &len));
	V_EQUAL(7200, now.tv_sec);
	V_SYS(getsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &now, &len));
	V_CHECK(now.tv_sec >= 290LL * 365 * 86400);
}

#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET	70
#endif

REFUSED(a_budget_for_busy_polling, "SO_BUSY_POLL_BUDGET")
{
	as_7(made("127.0.0.1", SOCK_DGRAM, 0));
	set_opt(7, SOL_SOCKET, SO_BUSY_POLL_BUDGET, 8);
	victim_ready();
	set_opt(7, SOL_SOCKET, SO_BUSY_POLL_BUDGET, 0);
}

CKPT_TEST_MAIN
