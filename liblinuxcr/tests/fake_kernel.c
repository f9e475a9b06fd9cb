// SPDX-License-Identifier: LGPL-2.1
/*
 * Preloaded into ckpt, this plays the kernel's part of checkpoint(2) and restart(2):
 *
 *	FAKE_ERROR	errno value they fail with
 *	FAKE_LOG	their report
 *	FAKE_SLEEP	seconds a checkpoint takes
 *	FAKE_RESTARTED	a checkpoint returns in the restarted process
 *	FAKE_NFS	the file system has no O_TMPFILE
 *	FAKE_COMMAND	shell command that is the restarted process
 *	FAKE_PGRP	it leads a process group
 *	FAKE_CHAIN	file in which the process is remembered, of which real images
 *			are written then, in chains
 *	FAKE_TRACKERS	trackers that there are, as "1,3"; all of them
 *	FAKE_PARENTS	file for the UUIDs' sequence numbers of a restart, "2 1 0"
 *
 * and of checkpoints that the kernel takes by itself:
 *
 *	FAKE_STATUS	directory with the files PID in place of /proc/PID/checkpoint; what
 *			is written goes to PID.set, requests to the file signals
 *	FAKE_SIGCKPT	shell command that is run at each request, after that
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <asm/unistd.h>
#include <linux/checkpoint.h>

#include "synth.h"

#define NR_PAGES	16
#define BASE		0x10000000UL

long syscall(long number, ...);
int open(const char *path, int flags, ...);
int openat(int dir_fd, const char *path, int flags, ...);

static long finish(uint64_t log, uint32_t log_size, uint64_t stats, long result)
{
	struct checkpoint_stats *s = (void *)(uintptr_t)stats;
	const char *text = getenv("FAKE_LOG"), *error = getenv("FAKE_ERROR");

	if (log && text)
		snprintf((char *)(uintptr_t)log, log_size, "%s", text);
	if (s) {
		s->bytes = 1572864;
		s->total_ns = 12345678;
		s->log_bytes = text ? strlen(text) : 0;
	}
	if (error) {
		errno = atoi(error);
		return -1;
	}
	return result;
}

/* What is known of the process: its last image, and what tracks it */
struct state {
	uint32_t chain;
	uint64_t sequence;
	uint32_t tracker;
};

static void access_state(struct state *state, bool write)
{
	int fd = open(getenv("FAKE_CHAIN"), O_RDWR | O_CREAT, 0600);
	ssize_t n = write ? pwrite(fd, state, sizeof(*state), 0) :
			    pread(fd, state, sizeof(*state), 0);

	if (fd < 0 || n < 0)
		abort();
	close(fd);
}

static bool has_tracker(uint32_t tracker)
{
	const char *trackers = getenv("FAKE_TRACKERS");

	return !trackers || strchr(trackers, '0' + tracker);
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* An image of 16 pages, of which an increment has one */
static int write_image(const struct checkpoint_args *args)
{
	struct ckpt_run runs[] = {
		{ .addr = BASE, .nr_pages = NR_PAGES, .kind = CKPT_RUN_DATA },
		{ .kind = CKPT_RUN_DATA, .nr_pages = 1 },
		{ .kind = CKPT_RUN_PARENT },
	};
	struct state state = { };
	uint8_t uuid[CKPT_UUID_SIZE];
	unsigned int nr_runs = 1;
	struct synth synth;
	ssize_t n;

	if (!has_tracker(args->tracker))
		return fail(EOPNOTSUPP);
	access_state(&state, false);
	if (args->flags & CHECKPOINT_INCREMENTAL) {
		synth_uuid(uuid, state.chain, state.sequence);
		if (memcmp(uuid, args->parent_uuid, sizeof(uuid)) ||
		    state.tracker != args->tracker)
			return fail(ESTALE);
		state.sequence++;
		runs[0].nr_pages = state.sequence % (NR_PAGES - 1);
		runs[0].kind = CKPT_RUN_PARENT;
		runs[1].addr = BASE + runs[0].nr_pages * 4096;
		runs[2].addr = runs[1].addr + 4096;
		runs[2].nr_pages = NR_PAGES - 1 - runs[0].nr_pages;
		nr_runs = 3;
	} else {
		state.sequence = 0;
		state.chain++;
	}
	state.tracker = args->tracker;
	access_state(&state, true);
	synth_link(&synth, state.chain, state.sequence, 10 + state.sequence);
	synth_pages(&synth, 10 + state.sequence, runs + !runs[0].nr_pages,
		    nr_runs - !runs[0].nr_pages, state.sequence + 1);
	synth_trailer(&synth);
	n = write(args->image_fd, synth.data, synth.size);
	n -= synth.size;
	synth_free(&synth);
	return n ? fail(EIO) : 0;
}

static long checkpoint(const struct checkpoint_args *args)
{
	const char *seconds = getenv("FAKE_SLEEP");

	if (args->image_fd >= 0 && getenv("FAKE_CHAIN")) {
		if (write_image(args))
			return -1;
	} else if (args->image_fd >= 0 && write(args->image_fd, "image\n", 6) != 6) {
		return -1;
	}
	if (seconds)
		sleep(atoi(seconds));
	return finish(args->log, args->log_size, args->stats, getenv("FAKE_RESTARTED") ? 1 : 0);
}

static void log_parents(const struct restart_args *args)
{
	const int *fds = (void *)(uintptr_t)args->parents;
	FILE *file = fopen(getenv("FAKE_PARENTS"), "w");
	struct ckpt_header header;
	uint32_t i;

	if (!file)
		abort();
	for (i = 0; i < args->parents_nr; i++) {
		if (pread(fds[i], &header, sizeof(header), sizeof(struct ckpt_rec)) !=
		    sizeof(header))
			abort();
		fprintf(file, "%s%u", i ? " " : "", (unsigned int)header.sequence);
	}
	fclose(file);
}

static long restart(const struct restart_args *args)
{
	const char *command = getenv("FAKE_COMMAND");
	sigset_t none;
	pid_t pid;

	if (getenv("FAKE_PARENTS"))
		log_parents(args);
	if (!command)
		return finish(args->log, args->log_size, args->stats, 0);
	pid = fork();
	if (pid == 0) {
		if (getenv("FAKE_PGRP"))
			setpgid(0, 0);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	if (getenv("FAKE_PGRP"))
		setpgid(pid, pid);
	return finish(args->log, args->log_size, args->stats, pid);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	if ((flags & O_TMPFILE) == O_TMPFILE && getenv("FAKE_NFS")) {
		errno = EOPNOTSUPP;
		return -1;
	}
	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	return openat64(dir_fd, path, flags, mode);
}

/* Of /proc/PID/checkpoint, in FAKE_STATUS; else 0 */
static int status_pid(const char *path)
{
	int pid = 0, end = 0;

	if (!getenv("FAKE_STATUS"))
		return 0;
	if (!strcmp(path, "/proc/self/checkpoint"))
		return getpid();
	if (sscanf(path, "/proc/%d/checkpoint%n", &pid, &end) != 1 || !end || path[end])
		return 0;
	return pid;
}

int open(const char *path, int flags, ...)
{
	int pid = status_pid(path);
	char name[PATH_MAX];
	va_list args;
	mode_t mode;

	if (pid) {
		snprintf(name, sizeof(name), "%s/%d%s", getenv("FAKE_STATUS"), pid,
			 flags & O_WRONLY ? ".set" : "");
		if (flags & O_WRONLY)
			return openat64(AT_FDCWD, name, flags | O_CREAT | O_TRUNC, 0600);
		return openat64(AT_FDCWD, name, flags, 0);
	}
	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	return openat64(AT_FDCWD, path, flags, mode);
}

int access(const char *path, int mode)
{
	if (!strcmp(path, "/proc/sys/kernel/checkpoint_pattern") && getenv("FAKE_STATUS"))
		return 0;
	return faccessat(AT_FDCWD, path, mode, 0);
}

int sigqueue(pid_t pid, int sig, const union sigval value)
{
	char name[PATH_MAX];
	FILE *file;

	if (sig != SIGCKPT || !getenv("FAKE_STATUS"))
		return fail(EINVAL);
	if (kill(pid, 0))
		return -1;
	snprintf(name, sizeof(name), "%s/signals", getenv("FAKE_STATUS"));
	file = fopen(name, "a");
	if (!file)
		abort();
	fprintf(file, "%d %d\n", (int)pid, value.sival_int);
	fclose(file);
	if (getenv("FAKE_SIGCKPT") && system(getenv("FAKE_SIGCKPT")))
		abort();
	return 0;
}

/* Something changes every now and then, if only the file. */
int poll(struct pollfd *fds, nfds_t nr_fds, int timeout)
{
	struct timespec time = {
		.tv_sec = timeout / 1000,
		.tv_nsec = timeout % 1000 * 1000000L,
	};

/* The C library's header says that poll() only writes to @fds. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
	if (nr_fds != 1 || fds->events != POLLPRI)
		return ppoll(fds, nr_fds, timeout < 0 ? NULL : &time, NULL);
	if (timeout)
		usleep(10000);
	fds->revents = timeout ? POLLPRI | POLLERR : 0;
	return !!timeout;
}

long syscall(long number, ...)
{
	va_list args;
	long ret;

	va_start(args, number);
	if (number == __NR_checkpoint) {
		(void)va_arg(args, pid_t);
		ret = checkpoint(va_arg(args, void *));
	} else if (number == __NR_restart) {
		ret = restart(va_arg(args, void *));
	} else {
		errno = ENOSYS;
		ret = -1;
	}
	va_end(args);
	return ret;
}
