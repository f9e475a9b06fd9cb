// SPDX-License-Identifier: LGPL-2.1
/*
 * Checkpoints that the kernel takes by itself: SIGCKPT, prctl(PR_CHECKPOINT) and
 * /proc/PID/checkpoint.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>

#include "internal.h"

/* Kernel and library each have their names; the values are the same. */
_Static_assert(CKPT_REQUEST_FULL == CHECKPOINT_SIGNAL_FULL, "flag");
_Static_assert(CKPT_REQUEST_INCREMENTAL == CHECKPOINT_SIGNAL_INCREMENTAL, "flag");
_Static_assert(CKPT_REQUEST_EXIT == CHECKPOINT_SIGNAL_EXIT, "flag");
_Static_assert(CKPT_REQUEST_TREE == CHECKPOINT_SIGNAL_TREE, "flag");
_Static_assert(CKPT_REQUEST_SINGLE == CHECKPOINT_SIGNAL_SINGLE, "flag");

/* The first published sizes */
#define AUTO_OPTIONS_SIZE_VER0	56
#define AUTO_STATUS_SIZE_VER0	216

_Static_assert(sizeof(struct ckpt_auto_options) == AUTO_OPTIONS_SIZE_VER0, "size");
_Static_assert(sizeof(struct ckpt_auto_status) == AUTO_STATUS_SIZE_VER0, "size");

#define PATTERN_SYSCTL	"/proc/sys/kernel/checkpoint_pattern"

#define PATTERN_MAX	255	/* bytes that the kernel takes */
#define SETTINGS_MAX	1023	/* likewise, of all words together */
#define STATUS_SPACE	16384	/* more than /proc/PID/checkpoint usually has */

const char * const lcr_tracker_names[LCR_NR_TRACKERS] = {
	[CKPT_TRACKER_OFF]		= "auto",
	[CKPT_TRACKER_NONE]		= "none",
	[CKPT_TRACKER_SHADOW]		= "shadow",
	[CKPT_TRACKER_WRITE_PROTECT]	= "write-protect",
};

int lcr_tracker(const char *name)
{
	int i;

	for (i = 0; i < LCR_NR_TRACKERS; i++)
		if (!strcmp(name, lcr_tracker_names[i]))
			return i;
	return -1;
}

/* A kernel that does not know PR_CHECKPOINT says EINVAL. */
int lcr_prctl(unsigned long operation, unsigned long arg, unsigned long arg2)
{
	int ret = prctl(PR_CHECKPOINT, operation, arg, arg2, 0UL);
	int error = errno;

	if (ret >= 0 || error != EINVAL)
		return ret;
	if (prctl(PR_CHECKPOINT, PR_CHECKPOINT_GET_OPT_IN, 0UL, 0UL, 0UL) < 0)
		error = ENOSYS;
	errno = error;
	return -1;
}

/* ---- requests ---- */

int ckpt_request(pid_t pid, unsigned int flags)
{
	union sigval value = { .sival_ptr = NULL };

	if (pid < 0 || !lcr_request_flags_valid(flags)) {
		errno = EINVAL;
		return -1;
	}
	/* Elsewhere the signal of that number kills, or means something else. */
	if (access(PATTERN_SYSCTL, F_OK)) {
		errno = ENOSYS;
		return -1;
	}
	value.sival_int = flags;
	return sigqueue(pid ? pid : getpid(), SIGCKPT, value);
}

int ckpt_take(unsigned int flags)
{
	int saved_errno = errno, ret;

	if (!lcr_request_flags_valid(flags)) {
		errno = EINVAL;
		return -1;
	}
	ret = lcr_prctl(PR_CHECKPOINT_TAKE, flags, 0);
	if (ret >= 0)
		errno = saved_errno;
	return ret;
}

/* ---- settings ---- */

static int open_control(pid_t pid, int flags)
{
	char path[48] = "/proc/self";
	int fd;

	if (pid < 0) {
		errno = EINVAL;
		return -1;
	}
	if (pid)
		snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	strcat(path, "/checkpoint");
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		errno = access(PATTERN_SYSCTL, F_OK) ? ENOSYS : ESRCH;
	return fd;
}

int lcr_auto_text(const struct ckpt_auto_options *opts, char *text, size_t size)
{
	const char *pattern = opts->pattern ? opts->pattern : "";
	int n;

	if (opts->tracker >= LCR_NR_TRACKERS || (opts->interval_ms && opts->mtbf_s) ||
	    opts->reserved ||
	    strpbrk(pattern, " \t\n")) {
		errno = EINVAL;
		return -1;
	}
	if (strlen(pattern) > PATTERN_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* Each of the first two ends the other. */
	n = snprintf(text, size,
		     "%s=%" PRIu64 " full_every=%" PRIu32 " keep=%" PRIu32
		     " tracker=%s across_exec=%" PRIu32 " remove_at_exit=%" PRIu32
		     " pattern=%s",
		     opts->mtbf_s ? "mtbf_s" : "interval_ms",
		     opts->mtbf_s ? opts->mtbf_s : opts->interval_ms,
		     opts->full_every ? opts->full_every : 1, opts->keep,
		     lcr_tracker_names[opts->tracker], opts->across_exec,
		     opts->remove_at_exit, pattern);
	return n;
}

static int write_control(pid_t pid, const char *text, size_t length)
{
	int fd, saved_errno;
	ssize_t n;

	/* Works without /proc too. */
	if (!pid)
		return lcr_prctl(PR_CHECKPOINT_SET, (uintptr_t)text, length);
	fd = open_control(pid, O_WRONLY);
	if (fd < 0)
		return -1;
	n = write(fd, text, length);
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return n < 0 ? -1 : 0;
}

int ckpt_auto_set(pid_t pid, const struct ckpt_auto_options *user_opts)
{
	char text[SETTINGS_MAX + 1] = "off";
	struct ckpt_auto_options opts;
	int length = strlen(text), saved_errno = errno;

	if (user_opts) {
		if (lcr_copy_options(&opts, sizeof(opts), AUTO_OPTIONS_SIZE_VER0, user_opts))
			return -1;
		length = lcr_auto_text(&opts, text, sizeof(text));
		if (length < 0)
			return -1;
	}
	if (write_control(pid, text, length))
		return -1;
	errno = saved_errno;
	return 0;
}

/* ---- status ---- */

/**
 * struct ckpt_auto - /proc/PID/checkpoint, opened
 * @fd:		the file
 * @text:	what was read last; strings of the status are in it
 * @space:	its size
 */
struct ckpt_auto {
	int fd;
	char *text;
	size_t space;
};

enum kind {
	KIND_U32,
	KIND_U64,
	KIND_S64,
	KIND_ERROR,
	KIND_TRACKER,
	KIND_STATE,
	KIND_UUID,
	KIND_PATH,
	KIND_REPORT,
};

#define FIELD(name, kind) { #name, KIND_##kind, offsetof(struct ckpt_auto_status, name) }

/* The names of lines, which are those of the members */
static const struct field {
	const char *name;
	enum kind kind;
	size_t offset;
} fields[] = {
	FIELD(interval_ms, U64),
	FIELD(mtbf_s, U64),
	FIELD(full_every, U32),
	FIELD(keep, U32),
	FIELD(tracker, TRACKER),
	FIELD(across_exec, U32),
	FIELD(remove_at_exit, U32),
	FIELD(pattern, PATH),
	FIELD(takes_part, U32),
	FIELD(state, STATE),
	FIELD(interval_now_ms, U64),
	FIELD(next_ms, S64),
	FIELD(requests, U64),
	FIELD(coalesced, U64),
	FIELD(images, U64),
	FIELD(failed, U64),
	FIELD(failures_in_a_row, U64),
	FIELD(next_number, U64),
	FIELD(images_in_chain, U64),
	FIELD(bytes, U64),
	FIELD(cost_ns, U64),
	FIELD(last_bytes, U64),
	FIELD(last_freeze_ns, U64),
	FIELD(last_total_ns, U64),
	FIELD(last_time_ns, U64),
	FIELD(last_uuid, UUID),
	FIELD(last_image, PATH),
	FIELD(last_error, ERROR),
	FIELD(report, REPORT),
};

static const char * const state_names[] = {
	[CKPT_AUTO_IDLE]	= "idle",
	[CKPT_AUTO_WAITING]	= "waiting",
	[CKPT_AUTO_REQUESTED]	= "requested",
	[CKPT_AUTO_RUNNING]	= "running",
	[CKPT_AUTO_ENDED]	= "ended",
};

const char *lcr_auto_state(uint32_t state)
{
	return state <= CKPT_AUTO_ENDED ? state_names[state] : "?";
}

static uint32_t parse_state(const char *text)
{
	uint32_t i;

	for (i = CKPT_AUTO_ENDED; i; i--)
		if (!strcmp(text, state_names[i]))
			break;
	return i;
}

static void parse_uuid(const char *text, uint8_t *uuid)
{
	char byte[3] = "";
	size_t i;

	for (i = 0; i < CKPT_UUID_SIZE && text[0] && text[1]; i++, text += 2) {
		if (*text == '-')
			text++;
		memcpy(byte, text, 2);
		uuid[i] = strtoul(byte, NULL, 16);
		if (!text[1])
			break;
	}
}

static bool octal(char c)
{
	return c >= '0' && c <= '7';
}

/* The kernel writes \012 for a newline in a name, and \134 for a backslash. */
static char *unescape(char *text)
{
	char *from = text, *to = text;

	while (*from) {
		if (*from == '\\' && octal(from[1]) && octal(from[2]) && octal(from[3])) {
			*to++ = (from[1] - '0') << 6 | (from[2] - '0') << 3 |
				(from[3] - '0');
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return text;
}

/* Put a line behind those before it, which are in the same buffer, further ahead. */
static void add_line(const char **report, char **end, char *value)
{
	const size_t length = strlen(value);

	if (!*end) {
		*report = value;
		*end = value;
	}
	memmove(*end, value, length);
	*end += length;
	/* There was a newline behind the value, too. */
	*(*end)++ = '\n';
}

static void parse_value(struct ckpt_auto_status *status, const struct field *field,
			char *value, char **report_end)
{
	void *member = (char *)status + field->offset;
	int tracker;

	switch (field->kind) {
	case KIND_U32:
		*(uint32_t *)member = strtoul(value, NULL, 10);
		break;
	case KIND_U64:
		*(uint64_t *)member = strtoull(value, NULL, 10);
		break;
	case KIND_S64:
		*(int64_t *)member = strtoll(value, NULL, 10);
		break;
	case KIND_ERROR:
		*(int32_t *)member = strtol(value, NULL, 10);
		break;
	case KIND_TRACKER:
		tracker = lcr_tracker(value);
		if (tracker > 0)
			*(uint32_t *)member = tracker;
		break;
	case KIND_STATE:
		*(uint32_t *)member = parse_state(value);
		break;
	case KIND_UUID:
		parse_uuid(value, member);
		break;
	case KIND_PATH:
		*(const char **)member = unescape(value);
		break;
	case KIND_REPORT:
		add_line(member, report_end, value);
		break;
	}
}

void lcr_auto_parse(char *text, struct ckpt_auto_status *status)
{
	char *line, *value, *report_end = NULL;
	size_t i;

	*status = (struct ckpt_auto_status){
		.size = sizeof(*status),
		.pattern = "",
		.last_image = "",
		.report = "",
		.next_ms = -1,
	};
	while ((line = strsep(&text, "\n"))) {
		value = strchr(line, ':');
		if (!value)
			continue;
		*value++ = '\0';
		value += strspn(value, "\t ");
		for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			if (!strcmp(line, fields[i].name))
				parse_value(status, &fields[i], value, &report_end);
	}
	if (report_end)
		*report_end = '\0';
}

struct ckpt_auto *ckpt_auto_open(pid_t pid)
{
	struct ckpt_auto *handle = calloc(1, sizeof(*handle));
	int saved_errno = errno;

	if (!handle)
		return NULL;
	handle->fd = open_control(pid, O_RDONLY);
	if (handle->fd < 0) {
		ckpt_auto_close(handle);
		return NULL;
	}
	errno = saved_errno;
	return handle;
}

void ckpt_auto_close(struct ckpt_auto *handle)
{
	int saved_errno = errno;

	if (!handle)
		return;
	if (handle->fd >= 0)
		close(handle->fd);
	free(handle->text);
	free(handle);
	errno = saved_errno;
}

/* The whole file, with a NUL */
static int read_text(struct ckpt_auto *handle)
{
	size_t length = 0;
	ssize_t n;
	char *new;

	do {
		if (length + 1 >= handle->space) {
			new = realloc(handle->text, handle->space + STATUS_SPACE);
			if (!new)
				return -1;
			handle->text = new;
			handle->space += STATUS_SPACE;
		}
		n = pread(handle->fd, handle->text + length,
			  handle->space - length - 1, length);
		if (n > 0)
			length += n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	handle->text[length] = '\0';
	return n < 0 ? -1 : 0;
}

int ckpt_auto_wait(struct ckpt_auto *handle, int timeout_ms)
{
	struct pollfd fd = { .fd = handle->fd, .events = POLLPRI };

	return poll(&fd, 1, timeout_ms);
}

int ckpt_auto_read(struct ckpt_auto *handle, struct ckpt_auto_status *user)
{
	struct ckpt_auto_status status;
	int saved_errno = errno;
	size_t size = user->size;

	if (size < AUTO_STATUS_SIZE_VER0) {
		errno = EINVAL;
		return -1;
	}
	/* From here on, changes are new ones: rather one too often than not. */
	if (ckpt_auto_wait(handle, 0) < 0 || read_text(handle))
		return -1;
	lcr_auto_parse(handle->text, &status);
	memset(user, 0, size);
	memcpy(user, &status, size < sizeof(status) ? size : sizeof(status));
	user->size = size < sizeof(status) ? size : sizeof(status);
	errno = saved_errno;
	return 0;
}
