// SPDX-License-Identifier: GPL-2.0
/*
 * Pseudo-terminals with both ends inside: what was written and not read, settings
 * and modes, which of the ends are still open; and the controlling terminal of a
 * session leader.
 */
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "ckpt_hostile.h"
#include "ckpt_tree.h"

CKPT_FIXTURE(pty)

/* ---- helpers of the victims ---- */

/* A new pty, unlocked, its slave raw and without echo if @raw. */
static void open_pty(int *master, int *slave, bool raw)
{
	struct termios t;

	*master = V_SYS(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
	V_SYS(unlockpt(*master));
	*slave = V_SYS(open(ptsname(*master), O_RDWR | O_NOCTTY | O_NONBLOCK));
	if (!raw)
		return;
	V_SYS(tcgetattr(*slave, &t));
	cfmakeraw(&t);
	V_SYS(tcsetattr(*slave, TCSANOW, &t));
}

static void put(int fd, const char *text)
{
	V_EQUAL(strlen(text), write(fd, text, strlen(text)));
}

/* Exactly @text has to come; a worker of the kernel brings it. */
static void expect_bytes(int line, int fd, const void *text, size_t len)
{
	static char buf[65536];
	size_t got = 0;
	ssize_t n;
	int i;

	for (i = 0; got < len && i < 5000; i++) {
		n = read(fd, buf + got, sizeof(buf) - got);
		if (n > 0)
			got += n;
		else if (n == 0 || errno != EAGAIN)
			break;
		else
			sleep_ms(1);
	}
	buf[got < sizeof(buf) ? got : sizeof(buf) - 1] = '\0';
	if (got != len || memcmp(buf, text, len))
		victim_fail(line, "read %zu bytes \"%.60s\" instead of %zu \"%.60s\" (errno %d)",
			    got, buf, len, (const char *)text, errno);
}

#define EXPECT_TEXT(fd, text) expect_bytes(__LINE__, fd, text, strlen(text))

/* One read gives exactly @text: a line, an end of file. */
static void expect_read(int line, int fd, const char *text)
{
	char buf[256];
	ssize_t n = -1;
	int i;

	for (i = 0; i < 5000; i++) {
		n = read(fd, buf, sizeof(buf) - 1);
		if (n >= 0 || errno != EAGAIN)
			break;
		sleep_ms(1);
	}
	buf[n > 0 ? n : 0] = '\0';
	if (n != (ssize_t)strlen(text) || strcmp(buf, text))
		victim_fail(line, "read %zd bytes \"%s\" instead of \"%s\" (errno %d)", n, buf,
			    text, errno);
}

#define EXPECT_READ(fd, text) expect_read(__LINE__, fd, text)

static void expect_nothing(int line, int fd)
{
	char buf[256];
	ssize_t n;

	sleep_ms(20);
	n = read(fd, buf, sizeof(buf));
	if (n != -1 || errno != EAGAIN)
		victim_fail(line, "read %zd bytes where there was nothing (errno %d)", n, errno);
}

#define EXPECT_NOTHING(fd) expect_nothing(__LINE__, fd)

/* Both directions work. */
static void talk(int master, int slave)
{
	put(master, "to the slave\n");
	EXPECT_TEXT(slave, "to the slave\n");
	put(slave, "to the master");
	EXPECT_TEXT(master, "to the master");
}

/* ---- identity ---- */

SURVIVES(pty, both_ends_stay_connected)
{
	int master, slave;

	open_pty(&master, &slave, true);
	talk(master, slave);
	victim_ready();
	talk(master, slave);
	victim_ready();
	talk(master, slave);
}

SURVIVES(pty, numbers_and_names_stay)
{
	int master[3], slave[3], nr[3], seen, i;
	char name[3][32], now[32];

	for (i = 0; i < 3; i++) {
		open_pty(&master[i], &slave[i], true);
		V_SYS(ioctl(master[i], TIOCGPTN, &nr[i]));
		V_EQUAL(0, ttyname_r(slave[i], name[i], sizeof(name[i])));
	}
	/* the numbers that are left are not the lowest ones */
	close(slave[0]);
	close(master[0]);
	victim_ready();
	for (i = 1; i < 3; i++) {
		V_SYS(ioctl(master[i], TIOCGPTN, &seen));
		V_EQUAL(nr[i], seen);
		V_EQUAL(0, ttyname_r(slave[i], now, sizeof(now)));
		V_EQUAL(0, strcmp(name[i], now));
		talk(master[i], slave[i]);
	}
}

SURVIVES(pty, owner_and_permissions_of_the_device_node_stay)
{
	struct stat st;
	int master, slave;

	open_pty(&master, &slave, true);
	V_SYS(fchown(slave, 1234, 4321));
	V_SYS(fchmod(slave, 0604));
	victim_ready();
	V_SYS(fstat(slave, &st));
	V_EQUAL(1234, st.st_uid);
	V_EQUAL(4321, st.st_gid);
	V_EQUAL(S_IFCHR | 0604, st.st_mode);
	V_SYS(stat(ptsname(master), &st));
	V_EQUAL(1234, st.st_uid);
}

SURVIVES(pty, descriptions_stay_what_they_were)
{
	int master, slave, reader, same;
	char buf[8];

	open_pty(&master, &slave, true);
	reader = V_SYS(open(ptsname(master), O_RDONLY | O_NOCTTY | O_NONBLOCK));
	same = V_SYS(dup(slave));
	V_SYS(fcntl(slave, F_SETFL, 0));
	victim_ready();
	V_EQUAL(O_RDWR, fcntl(same, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	V_EQUAL(O_RDONLY | O_NONBLOCK, fcntl(reader, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	V_SYS(fcntl(same, F_SETFL, O_NONBLOCK));
	V_EQUAL(O_NONBLOCK, fcntl(slave, F_GETFL) & O_NONBLOCK);
	V_EQUAL(-1, write(reader, "x", 1));
	V_EQUAL(EBADF, errno);
	close(slave);
	close(same);
	/* one slave is left */
	V_EQUAL(-1, read(master, buf, sizeof(buf)));
	V_EQUAL(EAGAIN, errno);
	put(master, "still");
	EXPECT_TEXT(reader, "still");
}

SURVIVES(pty, a_master_opened_on_devpts_stays_one)
{
	char link[64] = "", path[64];
	int master, slave;

	master = V_SYS(open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
	V_SYS(unlockpt(master));
	slave = V_SYS(open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK));
	victim_ready();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", master);
	V_SYS(readlink(path, link, sizeof(link) - 1));
	V_EQUAL(0, strcmp("/dev/pts/ptmx", link));
	put(slave, "x");
	EXPECT_TEXT(master, "x");
}

SURVIVES(pty, a_slave_on_stdin_belongs_to_its_master)
{
	int master, slave;

	open_pty(&master, &slave, true);
	dup2(slave, 0);
	dup2(slave, 1);
	close(slave);
	victim_ready();
	talk(master, 0);
}

/* ---- settings ---- */

SURVIVES(pty, settings_and_window_size_stay)
{
	struct winsize size = { 50, 132, 1000, 700 }, seen;
	static struct termios t, now;	/* so that what is unused in them is 0 */
	int master, slave;

	open_pty(&master, &slave, false);
	V_SYS(tcgetattr(slave, &t));
	t.c_iflag = (t.c_iflag | IXANY | IUTF8) & ~ICRNL;
	t.c_oflag &= ~ONLCR;
	t.c_lflag &= ~ECHOCTL;
	t.c_cc[VERASE] = 'h';
	t.c_cc[VMIN] = 7;
	cfsetospeed(&t, B9600);
	cfsetispeed(&t, B9600);
	V_SYS(tcsetattr(slave, TCSANOW, &t));
	V_SYS(tcgetattr(slave, &t));
	V_SYS(ioctl(slave, TIOCSWINSZ, &size));
	victim_ready();
	V_SYS(tcgetattr(slave, &now));
	V_EQUAL(0, memcmp(&t, &now, sizeof(t)));
	V_SYS(tcgetattr(master, &now));
	V_EQUAL(0, memcmp(&t, &now, sizeof(t)));
	V_SYS(ioctl(slave, TIOCGWINSZ, &seen));
	V_EQUAL(0, memcmp(&size, &seen, sizeof(size)));
	V_SYS(ioctl(master, TIOCGWINSZ, &seen));
	V_EQUAL(0, memcmp(&size, &seen, sizeof(size)));
	/* the erase character is one */
	put(master, "axhb\n");
	EXPECT_READ(slave, "ab\n");
}

SURVIVES(pty, locked_settings_stay_locked)
{
	struct termios lock = { .c_lflag = ECHO }, t;
	int master, slave;

	open_pty(&master, &slave, false);
	V_SYS(ioctl(slave, TIOCSLCKTRMIOS, &lock));
	victim_ready();
	V_SYS(tcgetattr(slave, &t));
	t.c_lflag &= ~(ECHO | ICANON);
	V_SYS(tcsetattr(slave, TCSANOW, &t));
	V_SYS(tcgetattr(slave, &t));
	V_EQUAL(ECHO, t.c_lflag & (ECHO | ICANON));
}

SURVIVES(pty, the_lock_of_the_slave_stays)
{
	int master, locked = 0;

	master = V_SYS(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	victim_ready();
	V_SYS(ioctl(master, TIOCGPTLCK, &locked));
	V_EQUAL(1, locked);
	V_EQUAL(-1, open(ptsname(master), O_RDWR | O_NOCTTY));
	V_EQUAL(EIO, errno);
	V_SYS(unlockpt(master));
	V_SYS(open(ptsname(master), O_RDWR | O_NOCTTY));
}

SURVIVES(pty, exclusive_mode_stays)
{
	int master, slave, exclusive = 0;

	open_pty(&master, &slave, true);
	V_SYS(ioctl(slave, TIOCEXCL));
	victim_ready();
	V_SYS(ioctl(slave, TIOCGEXCL, &exclusive));
	V_EQUAL(1, exclusive);
	talk(master, slave);
}

/* ---- data ---- */

SURVIVES(pty, lines_that_were_not_read_stay_lines)
{
	int master, slave;

	open_pty(&master, &slave, false);
	put(master, "one\ntwo\n\nfo");
	/* the echo tells that all has been received */
	EXPECT_TEXT(master, "one\r\ntwo\r\n\r\nfo");
	EXPECT_READ(slave, "one\n");
	victim_ready();
	EXPECT_NOTHING(master);
	EXPECT_READ(slave, "two\n");
	EXPECT_READ(slave, "\n");
	EXPECT_NOTHING(slave);
	put(master, "ur\n");
	EXPECT_READ(slave, "four\n");
	EXPECT_TEXT(master, "ur\r\n");
}

SURVIVES(pty, an_unfinished_line_can_be_edited)
{
	int master, slave;

	open_pty(&master, &slave, false);
	put(master, "abc");
	EXPECT_TEXT(master, "abc");
	victim_ready();
	put(master, "\177d\n");
	EXPECT_TEXT(master, "\b \bd\r\n");
	EXPECT_READ(slave, "abd\n");
}

SURVIVES(pty, an_end_of_file_that_was_not_read_stays)
{
	int master, slave;

	open_pty(&master, &slave, false);
	put(master, "no newline\4");
	EXPECT_TEXT(master, "no newline");
	sleep_ms(20);
	victim_ready();
	EXPECT_READ(slave, "no newline");
	EXPECT_NOTHING(slave);
	put(master, "\4");
	EXPECT_READ(slave, "");
}

SURVIVES(pty, the_next_byte_is_taken_literally)
{
	int master, slave;

	open_pty(&master, &slave, false);
	put(master, "a\26");
	EXPECT_TEXT(master, "a^\b");
	victim_ready();
	/* would be an end of file */
	put(master, "\4b\n");
	EXPECT_READ(slave, "a\4b\n");
}

SURVIVES(pty, bytes_received_before_canonical_mode_can_be_read)
{
	struct termios t;
	int master, slave;

	open_pty(&master, &slave, true);
	put(master, "raw");
	sleep_ms(50);
	V_SYS(tcgetattr(slave, &t));
	t.c_lflag |= ICANON;
	V_SYS(tcsetattr(slave, TCSANOW, &t));
	victim_ready();
	put(master, "line\n");
	EXPECT_READ(slave, "raw");
	EXPECT_READ(slave, "line\n");
}

SURVIVES(pty, raw_bytes_that_were_not_read_stay)
{
	static char all[256];
	int master, slave, i;

	open_pty(&master, &slave, true);
	for (i = 0; i < 256; i++)
		all[i] = i;
	V_EQUAL(256, write(master, all, 256));
	V_EQUAL(256, write(slave, all, 256));
	victim_ready();
	expect_bytes(__LINE__, slave, all, 256);
	expect_bytes(__LINE__, master, all, 256);
	EXPECT_NOTHING(slave);
	EXPECT_NOTHING(master);
}

/* As much as goes in, which is more than one buffer. */
static size_t fill(int fd, char *what)
{
	size_t len = 0;
	ssize_t n;
	int idle = 0;

	while (idle < 20) {
		size_t i;

		for (i = len; i < len + 512; i++)
			what[i] = 'a' + i * 7 % 23;
		n = write(fd, what + len, 512);
		if (n > 0) {
			len += n;
			idle = 0;
		} else {
			V_EQUAL(EAGAIN, errno);
			idle++;
			sleep_ms(5);
		}
	}
	V_CHECK(len > 4096 && len < 60000);
	return len;
}

SURVIVES(pty, all_that_fits_into_the_buffers_stays)
{
	static char down[65536], up[65536];
	size_t nr_down, nr_up;
	int master, slave;

	open_pty(&master, &slave, true);
	nr_down = fill(master, down);
	nr_up = fill(slave, up);
	victim_ready();
	expect_bytes(__LINE__, slave, down, nr_down);
	expect_bytes(__LINE__, master, up, nr_up);
	EXPECT_NOTHING(slave);
	EXPECT_NOTHING(master);
	talk(master, slave);
}

/* The master does not read, so the echo has to wait: for the next output. */
SURVIVES(pty, an_echo_that_has_no_room_comes_later)
{
	static char up[65536];
	int master, slave;
	size_t nr_up;

	open_pty(&master, &slave, false);
	nr_up = fill(slave, up);
	put(master, "echo\1\n");
	sleep_ms(100);
	victim_ready();
	expect_bytes(__LINE__, master, up, nr_up);
	EXPECT_NOTHING(master);
	put(slave, "!");
	EXPECT_TEXT(master, "echo^A\r\n!");
	EXPECT_READ(slave, "echo\1\n");
}

SURVIVES(pty, the_column_stays_known)
{
	struct termios t;
	int master, slave;

	open_pty(&master, &slave, false);
	V_SYS(tcgetattr(slave, &t));
	t.c_oflag |= OPOST | XTABS;
	V_SYS(tcsetattr(slave, TCSANOW, &t));
	put(slave, "abc");
	EXPECT_TEXT(master, "abc");
	victim_ready();
	put(slave, "\tx");
	EXPECT_TEXT(master, "     x");
}

/* ---- modes ---- */

SURVIVES(pty, output_that_was_stopped_stays_stopped)
{
	int master, slave;

	open_pty(&master, &slave, false);
	put(master, "\23");
	sleep_ms(50);
	victim_ready();
	V_EQUAL(-1, write(slave, "x", 1));
	V_EQUAL(EAGAIN, errno);
	put(master, "\21");
	V_CHECK(WAIT_FOR(write(slave, "x", 1) == 1));
	EXPECT_TEXT(master, "x");
}

SURVIVES(pty, output_stopped_by_tcooff_needs_tcoon)
{
	int master, slave;

	open_pty(&master, &slave, false);
	V_SYS(tcflow(slave, TCOOFF));
	victim_ready();
	put(master, "\21");
	sleep_ms(50);
	V_EQUAL(-1, write(slave, "x", 1));
	V_EQUAL(EAGAIN, errno);
	V_SYS(tcflow(slave, TCOON));
	put(slave, "x");
	EXPECT_TEXT(master, "x");
}

SURVIVES(pty, packet_mode_and_its_status_stay)
{
	int master, slave, on = 1, seen = 0;
	unsigned char buf[16];

	open_pty(&master, &slave, true);
	V_SYS(ioctl(master, TIOCPKT, &on));
	put(slave, "data");
	V_SYS(tcflush(slave, TCIFLUSH));
	victim_ready();
	V_SYS(ioctl(master, TIOCGPKT, &seen));
	V_EQUAL(1, seen);
	V_EQUAL(1, read(master, buf, sizeof(buf)));
	V_EQUAL(TIOCPKT_FLUSHREAD, buf[0]);
	sleep_ms(20);
	V_EQUAL(5, read(master, buf, sizeof(buf)));
	V_EQUAL(TIOCPKT_DATA, buf[0]);
	V_EQUAL(0, memcmp(buf + 1, "data", 4));
}

/* ---- ends that are closed ---- */

SURVIVES(pty, a_master_whose_slaves_are_closed_reads_the_rest_and_eio)
{
	char buf[16], name[32];
	int master, slave;

	open_pty(&master, &slave, true);
	put(slave, "last words");
	put(master, "unread");
	sleep_ms(20);
	close(slave);
	victim_ready();
	V_EQUAL(0, ptsname_r(master, name, sizeof(name)));
	EXPECT_TEXT(master, "last words");
	V_EQUAL(-1, read(master, buf, sizeof(buf)));
	V_EQUAL(EIO, errno);
	/* and it can be opened again */
	slave = V_SYS(open(name, O_RDWR | O_NOCTTY | O_NONBLOCK));
	EXPECT_TEXT(slave, "unread");
	V_EQUAL(-1, read(master, buf, sizeof(buf)));
	V_EQUAL(EAGAIN, errno);
	talk(master, slave);
}

SURVIVES(pty, a_slave_that_was_never_open_is_no_closed_one)
{
	char buf[16];
	int master;

	master = V_SYS(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
	victim_ready();
	V_EQUAL(-1, read(master, buf, sizeof(buf)));
	V_EQUAL(EAGAIN, errno);
}

SURVIVES(pty, a_slave_whose_master_is_closed_is_hung_up)
{
	int master, slave, reader, nr;
	char buf[16], name[32], link[64] = "", path[64];
	struct pollfd p;
	struct stat st;

	open_pty(&master, &slave, true);
	V_SYS(ioctl(master, TIOCGPTN, &nr));
	strcpy(name, ptsname(master));
	reader = V_SYS(open(name, O_RDONLY | O_NOCTTY));
	put(master, "lost");
	close(master);
	victim_ready();
	V_EQUAL(0, read(slave, buf, sizeof(buf)));
	V_EQUAL(0, read(reader, buf, sizeof(buf)));
	V_EQUAL(-1, write(slave, "x", 1));
	V_EQUAL(EIO, errno);
	V_EQUAL(-1, tcgetattr(slave, &(struct termios) { }));
	V_EQUAL(EIO, errno);
	p = (struct pollfd) { .fd = slave, .events = POLLIN };
	V_EQUAL(1, poll(&p, 1, 0));
	V_CHECK(p.revents & POLLHUP);
	V_SYS(fstat(slave, &st));
	V_EQUAL(nr, minor(st.st_rdev));
	V_EQUAL(-1, access(name, F_OK));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", slave);
	V_SYS(readlink(path, link, sizeof(link) - 1));
	strcat(name, " (deleted)");
	V_EQUAL(0, strcmp(name, link));
}

SURVIVES(pty, a_slave_that_was_hung_up_can_be_opened_again)
{
	int master, slave, again;
	char buf[16];

	V_SYS(setsid());
	signal(SIGHUP, SIG_IGN);
	master = V_SYS(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
	V_SYS(unlockpt(master));
	slave = V_SYS(open(ptsname(master), O_RDWR | O_NONBLOCK));
	V_SYS(vhangup());
	victim_ready();
	V_EQUAL(0, read(slave, buf, sizeof(buf)));
	V_EQUAL(-1, write(slave, "x", 1));
	again = V_SYS(open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK));
	put(again, "x");
	EXPECT_TEXT(master, "x");
}

/* ---- the controlling terminal ---- */

static int interrupts;

static void on_interrupt(int sig)
{
	interrupts++;
}

static void lead_session(int *master, int *slave)
{
	V_SYS(setsid());
	*master = V_SYS(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
	V_SYS(unlockpt(*master));
	*slave = V_SYS(open(ptsname(*master), O_RDWR | O_NONBLOCK));
	V_EQUAL(getpid(), tcgetsid(*slave));
}

SURVIVES(pty, the_controlling_terminal_stays)
{
	int master, slave, tty;
	char *text;

	lead_session(&master, &slave);
	signal(SIGINT, on_interrupt);
	victim_ready();
	V_EQUAL(getpid(), tcgetsid(slave));
	V_EQUAL(getpid(), tcgetpgrp(slave));
	V_EQUAL(getpid(), tcgetsid(master));
	/* its number is in the 7th field */
	text = malloc(4096);
	V_CHECK(read_text("/proc/self/stat", text, 4096) > 0);
	text = strrchr(text, ')');
	V_EQUAL(makedev(136, minor(({ struct stat st; fstat(slave, &st); st.st_rdev; }))),
		({ int nr; V_EQUAL(1, sscanf(text, ") %*c %*d %*d %*d %d", &nr)); nr; }));
	tty = V_SYS(open("/dev/tty", O_RDWR | O_NONBLOCK));
	put(tty, "hello");
	EXPECT_TEXT(master, "hello");
	put(master, "\3");
	V_CHECK(WAIT_FOR(interrupts == 1));
	/* and it can be given up */
	signal(SIGHUP, SIG_IGN);
	V_SYS(ioctl(slave, TIOCNOTTY));
	V_EQUAL(-1, open("/dev/tty", O_RDWR));
	V_EQUAL(ENXIO, errno);
}

SURVIVES(pty, a_terminal_that_was_given_up_stays_so)
{
	int master, slave;

	lead_session(&master, &slave);
	signal(SIGHUP, SIG_IGN);
	V_SYS(ioctl(slave, TIOCNOTTY));
	victim_ready();
	V_EQUAL(-1, open("/dev/tty", O_RDWR));
	V_EQUAL(ENXIO, errno);
	V_EQUAL(-1, tcgetsid(master));
	/* and can be had again */
	V_SYS(ioctl(slave, TIOCSCTTY, 0));
	V_EQUAL(getpid(), tcgetpgrp(slave));
}

SURVIVES(pty, the_terminal_opened_as_dev_tty_stays_that)
{
	char link[64] = "", path[64];
	int master, slave, tty;

	lead_session(&master, &slave);
	tty = V_SYS(open("/dev/tty", O_RDWR | O_NONBLOCK));
	close(slave);
	victim_ready();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", tty);
	V_SYS(readlink(path, link, sizeof(link) - 1));
	V_EQUAL(0, strcmp("/dev/tty", link));
	put(tty, "x");
	EXPECT_TEXT(master, "x");
	V_EQUAL(getpid(), tcgetsid(tty));
}

SURVIVES(pty, a_session_that_lost_its_terminal_has_none)
{
	int master, slave;
	char buf[8];

	signal(SIGHUP, SIG_IGN);
	lead_session(&master, &slave);
	close(master);
	victim_ready();
	V_EQUAL(0, read(slave, buf, sizeof(buf)));
	V_EQUAL(-1, open("/dev/tty", O_RDWR));
	V_EQUAL(ENXIO, errno);
}

/* ---- what is outside ---- */

FIXTURE(outside)
{
	struct victim v;
	int master;
	int slave;
};

FIXTURE_SETUP(outside)
{
	REQUIRE_REAL_CHECKPOINT();
	victim_init(&self->v);
	self->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	ASSERT_LE(0, self->master);
	ASSERT_EQ(0, unlockpt(self->master));
	self->slave = open(ptsname(self->master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ASSERT_LE(0, self->slave);
}

FIXTURE_TEARDOWN(outside)
{
	victim_cleanup(&self->v);
	close(self->slave);
	close(self->master);
}

/* Its standard input, opened once more. */
VICTIM(opens_its_terminal)
{
	char name[64];

	V_EQUAL(0, ttyname_r(0, name, sizeof(name)));
	V_EQUAL(3, V_SYS(open(name, O_RDWR | O_NOCTTY)));
	victim_ready();
	V_EQUAL(1, write(3, "x", 1));
}

TEST_F(outside, a_slave_whose_master_is_outside_is_refused_by_name)
{
	char buf[8];

	self->v.stdio[0] = self->slave;
	ASSERT_EQ(0, victim_start(&self->v, "opens_its_terminal"));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "fd 3: /dev/pts/"));
	EXPECT_NE(NULL, strstr(self->v.log, "outside"))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
	EXPECT_EQ(1, read(self->master, buf, sizeof(buf)));
}

VICTIM(has_the_master)
{
	V_EQUAL(3, V_SYS(dup(0)));
	dup2(1, 0);
	victim_ready();
	V_EQUAL(1, write(3, "\n", 1));
}

TEST_F(outside, a_master_that_is_shared_with_a_stranger_is_refused_by_name)
{
	self->v.stdio[0] = self->master;
	ASSERT_EQ(0, victim_start(&self->v, "has_the_master"));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "fd 3: /dev/ptmx: is the master"))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(outside, a_master_whose_slave_is_open_outside_is_refused_by_name)
{
	self->v.stdio[0] = self->master;
	ASSERT_EQ(0, victim_start(&self->v, "has_the_master"));
	close(self->master);
	self->master = -1;
	self->v.stdio[0] = -1;
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "slave"));
	EXPECT_NE(NULL, strstr(self->v.log, "outside"))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
}

VICTIM(inherits_its_terminal)
{
	victim_ready();
	V_EQUAL(1, write(0, "x", 1));
}

TEST_F(outside, a_terminal_on_stdin_still_comes_from_the_restarter)
{
	struct restart_args args;
	struct restart_fd fd = { .image_fd = 0, .caller_fd = self->slave };
	char buf[8];

	self->v.stdio[0] = self->slave;
	ASSERT_EQ(0, victim_start_and_save(&self->v, "inherits_its_terminal"));
	args = restart_args(&self->v, 0);
	args.fds = (uintptr_t)&fd;
	args.fds_nr = 1;
	ASSERT_EQ(0, lseek(self->v.image, 0, SEEK_SET));
	ASSERT_EQ(self->v.pid, sys_restart(&args, sizeof(args)))
		show_log(self->v.log);
	self->v.alive = true;
	ASSERT_EQ(0, victim_finish(&self->v));
	EXPECT_EQ(1, read(self->master, buf, sizeof(buf)));
}

/* ---- restarts that fail ---- */

CKPT_FIXTURE_REAL(refused)

VICTIM(has_a_pty)
{
	int master, slave, nr;

	lead_session(&master, &slave);
	V_SYS(ioctl(master, TIOCGPTN, &nr));
	vpage->word[0] = nr;
	put(slave, "\n\n");
	put(master, "line\nmore");
	victim_ready();
}

TEST_F(refused, a_number_that_is_taken)
{
	int other[64], n = 0, nr = -1;

	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_a_pty"));
	/* the lowest free ones */
	while (n < 64 && nr != 0) {
		other[n] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
		ASSERT_LE(0, other[n]);
		ASSERT_EQ(0, ioctl(other[n++], TIOCGPTN, &nr));
		if (n == 8)
			break;
	}
	EXPECT_EQ(-EBUSY, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "/dev/pts/"))
		show_log(self->v.log);
	EXPECT_EQ(-1, kill(self->v.pid, 0));
	while (n)
		close(other[--n]);
	/* nothing is left of the attempt */
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* See image.c. */
#define HOSTILE(name, must_fail, type, nth, change)			\
	TEST_F(refused, hostile_##name)					\
	{								\
		struct image img;					\
		union {							\
			void *any;					\
			struct ckpt_pty *pty;				\
			struct ckpt_tty *tty;				\
			struct ckpt_file *file;				\
			struct ckpt_tty_session *session;		\
		} p;							\
		long ret;						\
		int nr;							\
									\
		ASSERT_EQ(0, victim_image(&self->v, "has_a_pty", &img)); \
		nr = find_rec(&img, type, nth);				\
		ASSERT_LE(0, nr);					\
		p.any = payload_at(&img, nr);				\
		change;							\
		ret = try_changed(&self->v, &img, 0);			\
		if (must_fail) {					\
			EXPECT_GT(0, ret);				\
			EXPECT_NE('\0', self->v.log[0]);		\
		}							\
		EXPECT_EQ(-1, kill(self->v.pid, 0));			\
		free(img.data);						\
	}

/* The kind's own part of the FILE of the @nth end. */
static struct ckpt_file_pty *file_pty(struct image *img, int nth)
{
	return find_file(img, "pty", nth);
}

HOSTILE(index_huge, true, CKPT_REC_PTY, 0, p.pty->index = 0x7fffffff)
HOSTILE(index_negative, true, CKPT_REC_PTY, 0, p.pty->index = -1)
HOSTILE(path_dangling, true, CKPT_REC_PTY, 0, p.pty->path = 0xffffff)
HOSTILE(path_of_another_file, true, CKPT_REC_PTY, 0,
	p.pty->path = ((struct ckpt_fs *)find(&img, CKPT_REC_FS, 0))->root)
HOSTILE(master_flags, true, CKPT_REC_PTY, 0, p.pty->master_flags = O_PATH)
HOSTILE(owner_of_nobody, true, CKPT_REC_PTY, 0, p.pty->uid = -1)
HOSTILE(pty_flags, true, CKPT_REC_PTY, 0, p.pty->flags = 0xf0)
HOSTILE(owner_dangling, false, CKPT_REC_PTY, 0, p.pty->owner = 0xffffff)
HOSTILE(master_of_a_closed_one, true, CKPT_REC_PTY, 0, p.pty->flags = CKPT_PTY_MASTER_CLOSED)
HOSTILE(received_too_much, true, CKPT_REC_TTY, 1, p.tty->nr_read = 4097)
HOSTILE(received_huge, true, CKPT_REC_TTY, 1, p.tty->nr_read = 0x80000000)
HOSTILE(received_more_than_there_is, true, CKPT_REC_TTY, 1, p.tty->nr_read = 4000)
HOSTILE(lines_beyond_the_end, true, CKPT_REC_TTY, 1, p.tty->nr_canon = 4096)
HOSTILE(commit_beyond_the_end, true, CKPT_REC_TTY, 1, p.tty->nr_commit = 0xffffffff)
HOSTILE(echo_too_much, true, CKPT_REC_TTY, 1, p.tty->nr_echo = 5000)
HOSTILE(echo_commit, true, CKPT_REC_TTY, 1, p.tty->echo_commit = 100000)
HOSTILE(echo_commit_behind, false, CKPT_REC_TTY, 1, p.tty->echo_commit = -4095)
HOSTILE(echo_mark, true, CKPT_REC_TTY, 1, p.tty->echo_mark = -4097)
HOSTILE(pending_huge, true, CKPT_REC_TTY, 0, p.tty->nr_pending = 0x40000000)
HOSTILE(pending_more_than_there_is, true, CKPT_REC_TTY, 0, p.tty->nr_pending = 60000)
HOSTILE(tty_flags, true, CKPT_REC_TTY, 0, p.tty->flags = 1U << 31)
HOSTILE(all_known_flags, false, CKPT_REC_TTY, 0, p.tty->flags = 0x7ef)
HOSTILE(all_known_flags_of_the_slave, false, CKPT_REC_TTY, 1, p.tty->flags = 0x7ef)
HOSTILE(hung_up_with_data, true, CKPT_REC_TTY, 1, p.tty->flags |= CKPT_TTY_HUNG_UP)
HOSTILE(two_masters, true, CKPT_REC_TTY, 1, p.tty->end = CKPT_TTY_MASTER)
HOSTILE(termios_random, false, CKPT_REC_TTY, 1,
	memset(&p.tty->termios, 0xa5, 2 * sizeof(p.tty->termios)))
HOSTILE(delimiters_everywhere, false, CKPT_REC_TTY, 1,
	memset(p.tty->data + p.tty->nr_read, 0xff, p.tty->nr_read))
HOSTILE(file_of_no_pty, true, CKPT_REC_FD, 0, (file_pty(&img, 0)->pty = 0xffffff, (void)p))
HOSTILE(file_of_a_table, true, CKPT_REC_FILES, 0,
	(file_pty(&img, 1)->pty = rec_at(&img, nr)->objref, (void)p))
HOSTILE(file_of_no_kind, true, CKPT_REC_FD, 0, (file_pty(&img, 1)->kind = 77, (void)p))
HOSTILE(file_current_without_path, true, CKPT_REC_FD, 0,
	(file_pty(&img, 1)->kind = CKPT_FILE_PTY_CURRENT, (void)p))
HOSTILE(two_masters_open, false, CKPT_REC_FD, 0,
	(file_pty(&img, 1)->kind = CKPT_FILE_PTY_MASTER, (void)p))
HOSTILE(session_of_no_pty, true, CKPT_REC_TTY_SESSION, 0, p.session->pty = 0xffffff)
HOSTILE(session_of_init, true, CKPT_REC_TTY_SESSION, 0, p.session->pgrp = 1)
HOSTILE(session_hangs_up_init, true, CKPT_REC_TTY_SESSION, 0, p.session->old_pgrp = 1)
HOSTILE(session_of_a_group_that_is_not_there, true, CKPT_REC_TTY_SESSION, 0,
	p.session->pgrp = 4000000)

/* ---- a group of which nobody is left in the tree ---- */

FIXTURE(foreground) { struct victim v; };
CKPT_TREE_VICTIM(foreground, REQUIRE_REAL_CHECKPOINT)

VICTIM(has_a_foreground_group_outside)
{
	int master, slave, go[2], status;
	char byte;
	pid_t pid;

	lead_session(&master, &slave);
	V_SYS(pipe(go));
	pid = V_SYS(fork());
	if (!pid) {
		setpgid(0, 0);
		if (fork())
			_exit(0);
		/* It remains in the group; the test adopts it. */
		V_SYS(write(go[1], "x", 1));
		close_range(0, ~0U, 0);
		for (;;)
			pause();
	}
	V_EQUAL(1, read(go[0], &byte, 1));
	V_SYS(tcsetpgrp(slave, pid));
	V_CHECK(waitpid(pid, &status, 0) == pid);
	victim_ready();
}

TEST_F(foreground, group_outside_is_refused)
{
	ASSERT_EQ(0, victim_start(&self->v, "has_a_foreground_group_outside"));
	EXPECT_TRUE(refuses(&self->v, "controlling terminal", "its foreground process group"));
	EXPECT_EQ(0, victim_finish(&self->v));
}

CKPT_TEST_MAIN
