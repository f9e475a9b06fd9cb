// SPDX-License-Identifier: LGPL-2.1
/*
 * Preloaded into ckpt, this plays the kernel's part of checkpoint(2) and restart(2):
 *
 *	FAKE_ERROR	errno value they fail with
 *	FAKE_LOG	their report
 *	FAKE_SLEEP	seconds a checkpoint takes
 *	FAKE_NFS	the file system has no O_TMPFILE
 *	FAKE_COMMAND	shell command that is the restarted process
 *	FAKE_PGRP	it leads a process group
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <asm/unistd.h>
#include <linux/checkpoint.h>

long syscall(long number, ...);
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

static long checkpoint(const struct checkpoint_args *args)
{
	const char *seconds = getenv("FAKE_SLEEP");

	if (args->image_fd >= 0 && write(args->image_fd, "image\n", 6) != 6)
		return -1;
	if (seconds)
		sleep(atoi(seconds));
	return finish(args->log, args->log_size, args->stats, 0);
}

static long restart(const struct restart_args *args)
{
	const char *command = getenv("FAKE_COMMAND");
	sigset_t none;
	pid_t pid;

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
