/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checkpoint/restart selftests: what tests of the checkpoints that the kernel takes by
 * itself have in common. The sysctls are those of the whole guest, whose tests run
 * one after the other.
 */
#ifndef CKPT_AUTO_H
#define CKPT_AUTO_H

#include "ckpt_test.h"

#include <linux/checkpoint_image.h>

#ifndef SIGCKPT
#define SIGCKPT			16
#endif

#define SYSCTL_DIR		"/proc/sys/kernel/"
#define SYSCTL_AGENTS		"/proc/sys/user/max_checkpoint_agents"

/**
 * struct ckpt_sysctls - as they were before a test
 * @pattern:	kernel.checkpoint_pattern
 * @signal:	kernel.checkpoint_signal
 * @pause:	kernel.checkpoint_pause_ms
 * @timeout:	kernel.checkpoint_timeout_ms
 * @agents:	user.max_checkpoint_agents
 */
struct ckpt_sysctls {
	char	pattern[256];
	char	signal[16];
	char	pause[16];
	char	timeout[16];
	char	agents[24];
};

static inline bool have_sigckpt(void)
{
	return !access(SYSCTL_DIR "checkpoint_pattern", F_OK);
}

static inline void sysctls_save(struct ckpt_sysctls *s)
{
	read_text(SYSCTL_DIR "checkpoint_pattern", s->pattern, sizeof(s->pattern));
	read_text(SYSCTL_DIR "checkpoint_signal", s->signal, sizeof(s->signal));
	read_text(SYSCTL_DIR "checkpoint_pause_ms", s->pause, sizeof(s->pause));
	read_text(SYSCTL_DIR "checkpoint_timeout_ms", s->timeout, sizeof(s->timeout));
	read_text(SYSCTL_AGENTS, s->agents, sizeof(s->agents));
}

static inline void sysctls_restore(const struct ckpt_sysctls *s)
{
	write_text(SYSCTL_DIR "checkpoint_pattern", s->pattern);
	write_text(SYSCTL_DIR "checkpoint_signal", s->signal);
	write_text(SYSCTL_DIR "checkpoint_pause_ms", s->pause);
	write_text(SYSCTL_DIR "checkpoint_timeout_ms", s->timeout);
	write_text(SYSCTL_AGENTS, s->agents);
}

static inline int __printf(1, 2)
set_pattern(const char *fmt, ...)
{
	char pattern[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(pattern, sizeof(pattern), fmt, ap);
	va_end(ap);
	return write_text(SYSCTL_DIR "checkpoint_pattern", pattern);
}

/* The images of a new victim are to be in its directory, as PID.ckpt, without pauses. */
static inline int auto_prepare(struct victim *v, struct ckpt_sysctls *before)
{
	sysctls_save(before);
	victim_init(v);
	return set_pattern("%s/%%p.ckpt", v->dir) ?:
	       write_text(SYSCTL_DIR "checkpoint_pause_ms", "0");
}

/* One number of /proc/PID/checkpoint, -1 if it is not there. */
static inline long auto_value(pid_t pid, const char *field)
{
	return proc_value(pid, "checkpoint", field);
}

/* All that /proc/PID/checkpoint has to say, until the next call. */
static inline const char *auto_text(pid_t pid)
{
	static char text[8192];
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/checkpoint", pid);
	if (read_text(path, text, sizeof(text)) < 0)
		text[0] = '\0';
	return text;
}

static inline void auto_show(pid_t pid)
{
	show_log(auto_text(pid));
}

/* Is it in the report of the last checkpoint? */
static inline bool auto_reports(pid_t pid, const char *what)
{
	const char *report = strstr(auto_text(pid), "\nreport:");

	if (report && strstr(report, what))
		return true;
	test_log("not reported: %s", what);
	auto_show(pid);
	return false;
}

static inline int __printf(2, 3)
auto_set(pid_t pid, const char *fmt, ...)
{
	char path[64], words[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "/proc/%d/checkpoint", pid);
	return write_text(path, words);
}

/* Wait for so many images, or failures, of a process in all. */
#define WAIT_IMAGES(pid, nr)						\
	({								\
		bool __there = WAIT_FOR(auto_value(pid, "images") >= (nr)); \
									\
		if (!__there)						\
			auto_show(pid);					\
		__there;						\
	})

#define WAIT_FAILURES(pid, nr)						\
	({								\
		bool __there = WAIT_FOR(auto_value(pid, "failed") >= (nr)); \
									\
		if (!__there)						\
			auto_show(pid);					\
		__there;						\
	})

#define WAIT_IDLE(pid)							\
	WAIT_FOR(strstr(auto_text(pid), "state:\tidle"))

static inline int send_flags(pid_t pid, int flags)
{
	union sigval value = { .sival_int = flags };

	return sigqueue(pid, SIGCKPT, value) ? -errno : 0;
}

/* The header of an image; 0 or an error. */
static inline int image_header(const char *path, struct ckpt_header *header)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (pread(fd, header, sizeof(*header), sizeof(struct ckpt_rec)) !=
	    sizeof(*header) || memcmp(header->magic, CKPT_IMAGE_MAGIC, 8))
		err = -EBADMSG;
	close(fd);
	return err;
}

/* Let the next restart of a victim be from this file. */
static inline int use_image(struct victim *v, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (dup3(fd, v->image, O_CLOEXEC) < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Kill the victim and restart it from this file. */
static inline long restart_from(struct victim *v, const char *path)
{
	int err = use_image(v, path);

	if (err)
		return err;
	if (victim_kill(v))
		return -ESRCH;
	return victim_restart(v);
}

/* Files in a directory whose name ends like this. */
static inline int count_files(const char *dir, const char *end)
{
	size_t len = strlen(end), name;
	struct dirent *entry;
	DIR *d = opendir(dir);
	int nr = 0;

	while (d && (entry = readdir(d))) {
		name = strlen(entry->d_name);
		nr += name >= len && !strcmp(entry->d_name + name - len, end);
	}
	if (d)
		closedir(d);
	return nr;
}

#endif /* CKPT_AUTO_H */
