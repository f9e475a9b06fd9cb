// SPDX-License-Identifier: GPL-2.0
/*
 * init of the test guest
 *
 * Runs from a small initramfs: mounts the root disk and everything a program
 * expects, then runs one command as root, as a child and not as init itself,
 * and powers the machine off. The command comes from the firmware
 * configuration device, as NUL-terminated arguments. Its standard output and
 * standard error are pipes, as under most programs that run others; what comes
 * out of them goes to two virtio ports, its exit status to a third, so that
 * none of them mixes with the kernel's console.
 *
 * What is attached to the machine decides what is set up: a third disk is
 * mounted at /mnt/disk, a 9p export called "share" at /mnt/share; with a
 * virtio console the command gets a terminal instead of the two ports; with
 * kmemleak in the kernel, memory leaks are looked for after the command.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMAND_FILE	"/sys/firmware/qemu_fw_cfg/by_name/opt/linux-cr/command/raw"
#define MAX_ARGS	4096

/* kmemleak does not report what is younger than this many seconds */
#define LEAK_MIN_AGE	5

static char *environment[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root",
	"USER=root",
	"LOGNAME=root",
	"SHELL=/bin/bash",
	"LANG=C.UTF-8",
	"TERM=linux",
	NULL
};

/* To the kernel log, and with it to the console file on the host. */
static void log_line(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int fd, len;

	len = snprintf(line, sizeof(line), "<4>linux-cr-init: ");
	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	va_end(ap);

	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, line, strlen(line)) < 0)
		perror("kmsg");
	close(fd);
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* Without the machine set up as it should be, no result means anything. */
static void die(const char *what)
{
	log_line("%s: %s", what, strerror(errno));
	power_off();
}

static bool try_mount(const char *source, const char *target, const char *type,
		      unsigned long flags, const char *data)
{
	mkdir(target, 0755);
	return mount(source, target, type, flags, data) == 0;
}

static void must_mount(const char *source, const char *target, const char *type,
		       unsigned long flags, const char *data)
{
	if (!try_mount(source, target, type, flags, data))
		die(target);
}

static void switch_to_root_disk(void)
{
	static const char *const moved[] = { "/dev", "/proc", "/sys" };
	char target[64];
	size_t i;

	must_mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
	must_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	must_mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	must_mount("/dev/vda", "/root", "ext4", 0, NULL);

	for (i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		snprintf(target, sizeof(target), "/root%s", moved[i]);
		if (mount(moved[i], target, NULL, MS_MOVE, NULL))
			die(target);
	}
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) ||
	    chroot(".") || chdir("/"))
		die("switch to the root disk");
}

static void mount_the_rest(void)
{
	const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	glob_t found = { 0 };

	must_mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		   "mode=0620,gid=5,ptmxmode=0666");
	must_mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	must_mount("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
	must_mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	must_mount("cgroup2", "/sys/fs/cgroup", "cgroup2", safe, NULL);

	/* What a kernel given with --kernel may lack */
	try_mount("mqueue", "/dev/mqueue", "mqueue", safe, NULL);
	try_mount("hugetlbfs", "/dev/hugepages", "hugetlbfs", MS_NOSUID | MS_NODEV, NULL);
	try_mount("bpf", "/sys/fs/bpf", "bpf", safe, NULL);
	try_mount("debugfs", "/sys/kernel/debug", "debugfs", safe, NULL);
	try_mount("tracefs", "/sys/kernel/tracing", "tracefs", safe, NULL);
	mkdir("/run/lock", 01777);

	/* The second disk holds the programs under test, the third is the user's. */
	if (access("/dev/vdb", F_OK) == 0)
		must_mount("/dev/vdb", "/usr/local", "ext4", MS_RDONLY, NULL);
	if (access("/dev/vdc", F_OK) == 0)
		must_mount("/dev/vdc", "/mnt/disk", "ext4", 0, NULL);
	if (glob("/sys/bus/virtio/drivers/9pnet_virtio/virtio*", 0, NULL, &found) == 0)
		must_mount("share", "/mnt/share", "9p", 0,
			   "trans=virtio,version=9p2000.L,msize=262144");
	globfree(&found);

	if (symlink("/proc/self/fd", "/dev/fd") ||
	    symlink("/proc/self/fd/0", "/dev/stdin") ||
	    symlink("/proc/self/fd/1", "/dev/stdout") ||
	    symlink("/proc/self/fd/2", "/dev/stderr"))
		die("/dev/fd");
}

static void set_up_host(void)
{
	static const char name[] = "guest";
	struct rlimit files = { 1024, 524288 };
	struct ifreq lo = { .ifr_name = "lo" };
	int fd;

	if (sethostname(name, sizeof(name) - 1))
		die("hostname");
	setrlimit(RLIMIT_NOFILE, &files);

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	if (ioctl(fd, SIOCGIFFLAGS, &lo))
		die("lo");
	lo.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &lo))
		die("lo");
	close(fd);
}

/* Run a program to its end; it has nowhere to write to. */
static void run_quietly(const char *path, char *const argv[])
{
	pid_t pid = fork();

	if (pid == 0) {
		execv(path, argv);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* The library under test is on another disk than the dynamic linker's cache. */
static void update_linker_cache(void)
{
	char *const argv[] = { "ldconfig", "-X", NULL };

	if (access("/usr/local/lib", F_OK) == 0)
		run_quietly("/sbin/ldconfig", argv);
}

static int open_port(const char *wanted)
{
	char path[300], name[64];
	struct dirent *entry;
	int fd, port = -1;
	ssize_t len;
	DIR *dir;

	dir = opendir("/sys/class/virtio-ports");
	while (dir && port < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name",
			 entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		len = read(fd, name, sizeof(name) - 1);
		close(fd);
		if (len <= 0)
			continue;
		name[len] = '\0';
		name[strcspn(name, "\n")] = '\0';
		if (strcmp(name, wanted))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		port = open(path, O_RDWR | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return port;
}

static char **read_command(void)
{
	static char buffer[65536];
	static char *argv[MAX_ARGS + 1];
	size_t len = 0, pos;
	int fd, argc = 0;
	ssize_t got;

	fd = open(COMMAND_FILE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(COMMAND_FILE);
	while (len < sizeof(buffer) - 1 &&
	       (got = read(fd, buffer + len, sizeof(buffer) - 1 - len)) > 0)
		len += got;
	close(fd);

	for (pos = 0; pos < len && argc < MAX_ARGS; pos += strlen(buffer + pos) + 1)
		argv[argc++] = buffer + pos;
	if (!argc)
		die("no command");
	return argv;
}

static void connect_terminal(void)
{
	int tty = open("/dev/hvc0", O_RDWR);

	if (tty < 0 || ioctl(tty, TIOCSCTTY, 0))
		_exit(127);
	dup2(tty, 0);
	dup2(tty, 1);
	dup2(tty, 2);
	if (tty > 2)
		close(tty);
}

/* The command's output on its way: from a pipe to a virtio port. */
struct stream {
	int from;
	int to;
};

static void open_stream(struct stream *stream, const char *port, int *write_end)
{
	int ends[2];

	stream->to = open_port(port);
	if (stream->to < 0 || pipe2(ends, O_CLOEXEC))
		die(port);
	stream->from = ends[0];
	*write_end = ends[1];
}

/* Pass on what is there; at the end of the pipe, close both sides. */
static void pass_on(struct stream *stream)
{
	static char buffer[65536];
	ssize_t got, put, done;

	got = read(stream->from, buffer, sizeof(buffer));
	for (done = 0; done < got; done += put) {
		put = write(stream->to, buffer + done, got - done);
		if (put <= 0)
			break;
	}
	if (got <= 0) {
		close(stream->from);
		close(stream->to);
		stream->from = -1;
	}
}

static pid_t start_command(char **argv, struct stream streams[2])
{
	bool terminal = access("/dev/hvc0", F_OK) == 0;
	int out = -1, err = -1;
	sigset_t none;
	pid_t pid;

	if (!terminal) {
		open_stream(&streams[0], "stdout", &out);
		open_stream(&streams[1], "stderr", &err);
	}

	pid = fork();
	if (pid) {
		close(out);
		close(err);
		return pid;
	}

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (terminal) {
		connect_terminal();
	} else {
		int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

		dup2(in, 0);
		dup2(out, 1);
		dup2(err, 2);
	}
	if (chdir("/root"))
		_exit(127);
	execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/*
 * Reap everything that has ended. True if the command was among it; its status
 * then is what a shell would make of it.
 */
static bool reap(pid_t command, int *result)
{
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != command)
			continue;
		ended = true;
		*result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
						WEXITSTATUS(status);
	}
	return ended;
}

/*
 * Run the command to its end, and what it left running no longer; all output
 * that there was has been passed on then.
 */
static int run_command(char **argv)
{
	struct stream streams[2] = { { -1, -1 }, { -1, -1 } };
	struct signalfd_siginfo info;
	bool ended = false;
	sigset_t child;
	int signals, result = 0;
	pid_t command;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		die("signalfd");

	command = start_command(argv, streams);
	while (!ended || streams[0].from >= 0 || streams[1].from >= 0) {
		struct pollfd polled[] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = streams[0].from, .events = POLLIN },
			{ .fd = streams[1].from, .events = POLLIN },
		};

		if (poll(polled, 3, -1) < 0 && errno != EINTR)
			die("poll");
		if (polled[1].revents)
			pass_on(&streams[0]);
		if (polled[2].revents)
			pass_on(&streams[1]);
		while (read(signals, &info, sizeof(info)) > 0)
			;
		if (reap(command, &result)) {
			ended = true;
			kill(-1, SIGKILL);
		}
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return result;
}

static bool scan_for_leaks(void)
{
	char byte;
	bool found;
	int fd;

	fd = open("/sys/kernel/debug/kmemleak", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	found = write(fd, "scan", 4) == 4 && read(fd, &byte, 1) == 1;
	close(fd);
	return found;
}

/*
 * One scan can see a pointer in flight and call its object lost, so only what
 * a second one finds again is reported.
 */
static void report_leaks(void)
{
	char line[512];
	FILE *leaks;

	if (access("/sys/kernel/debug/kmemleak", W_OK))
		return;
	sleep(LEAK_MIN_AGE);
	if (!scan_for_leaks())
		return;
	sleep(1);
	if (!scan_for_leaks())
		return;

	leaks = fopen("/sys/kernel/debug/kmemleak", "re");
	while (leaks && fgets(line, sizeof(line), leaks)) {
		line[strcspn(line, "\n")] = '\0';
		log_line("kmemleak: %s", line);
	}
	if (leaks)
		fclose(leaks);
}

static unsigned long read_taint(void)
{
	unsigned long taint = 0;
	FILE *file = fopen("/proc/sys/kernel/tainted", "re");

	if (file) {
		if (fscanf(file, "%lu", &taint) != 1)
			taint = 0;
		fclose(file);
	}
	return taint;
}

static void unmount(void)
{
	sync();
	umount2("/mnt/share", MNT_DETACH);
	if (access("/dev/vdc", F_OK) == 0 && umount("/mnt/disk"))
		mount(NULL, "/mnt/disk", NULL, MS_REMOUNT | MS_RDONLY, NULL);
}

int main(void)
{
	int control, status;

	environ = environment;
	umask(0);
	switch_to_root_disk();
	mount_the_rest();
	set_up_host();
	update_linker_cache();
	umask(022);

	control = open_port("status");
	if (control < 0)
		die("status port");

	status = run_command(read_command());
	unmount();
	report_leaks();
	dprintf(control, "%d %lu\n", status, read_taint());
	close(control);
	power_off();
}
