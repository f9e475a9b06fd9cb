// SPDX-License-Identifier: GPL-2.0
/* ckpt kill and ckpt auto */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/pidfd.h>

#include "../src/internal.h"
#include "ckpt.h"

#define FULL_EVERY_DEFAULT	10
#define FULL_EVERY_MAX		65536
#define KEEP_DEFAULT		2
#define KEEP_MAX		1000

/* Names of images in --dir */
#define DIR_PATTERN		"%e.%p.%n.ckpt"

/* What to do about an error, where the report does not say it already. */
static const struct {
	int error;
	const char *advice;
} advices[] = {
	{ EACCES,	"One may see and set up what one may trace, see ptrace(2)." },
	{ EPERM,	"Signals may be sent to one's own processes; kernel.checkpoint_signal may\n"
			"forbid this one. To set up automatic checkpoints takes what it takes to\n"
			"trace, see ptrace(2)." },
	{ ETIMEDOUT,	"The request stands. \"ckpt status\" shows what becomes of it." },
};

static void print_advice(int error)
{
	size_t i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (advices[i].error == error)
			fprintf(stderr, "%s\n", advices[i].advice);
}

/* ---- ckpt kill ---- */

/**
 * struct target - a process to be checkpointed
 * @pid:	its ID
 * @handle:	its status, NULL if nobody waits
 * @pidfd:	to see that it ends, or -1
 * @images:	how many there had been
 * @failed:	likewise, checkpoints
 * @error:	what became of it, an errno value
 * @gone:	it has ended, and its status with it
 * @image:	the path of the image
 * @report:	what the kernel says
 */
struct target {
	pid_t pid;
	struct ckpt_auto *handle;
	int pidfd;
	uint64_t images;
	uint64_t failed;
	int error;
	bool gone;
	char *image;
	char *report;
};

struct kill_arguments {
	unsigned int flags;
	bool wait;
	bool json;
	uint64_t timeout_ms;	/* UINT64_MAX: none */
	struct target *targets;
	size_t nr_targets;
};

enum {
	OPTION_FULL = 0x100,
	OPTION_INCREMENTAL,
	OPTION_EXIT,
	OPTION_TREE,
	OPTION_SINGLE,
	OPTION_WAIT,
	OPTION_TIMEOUT,
	OPTION_JSON,
};

static const struct option kill_options[] = {
	{ "full",		no_argument,		NULL, OPTION_FULL },
	{ "incremental",	no_argument,		NULL, OPTION_INCREMENTAL },
	{ "exit",		no_argument,		NULL, OPTION_EXIT },
	{ "tree",		no_argument,		NULL, OPTION_TREE },
	{ "single",		no_argument,		NULL, OPTION_SINGLE },
	{ "wait",		no_argument,		NULL, OPTION_WAIT },
	{ "timeout",		required_argument,	NULL, OPTION_TIMEOUT },
	{ "json",		no_argument,		NULL, OPTION_JSON },
	{ "help",		no_argument,		NULL, 'h' },
	{ }
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000) + now.tv_nsec / 1000000;
}

/* Returns -1, or an exit status where there is nothing more to do. */
static int parse_kill_arguments(struct kill_arguments *args, int argc, char **argv)
{
	const char *command = argv[0];
	long pid;
	int c;

	while ((c = getopt_long(argc, argv, "h", kill_options, NULL)) >= 0) {
		switch (c) {
		case OPTION_FULL:
			args->flags |= CKPT_REQUEST_FULL;
			break;
		case OPTION_INCREMENTAL:
			args->flags |= CKPT_REQUEST_INCREMENTAL;
			break;
		case OPTION_EXIT:
			args->flags |= CKPT_REQUEST_EXIT;
			break;
		case OPTION_TREE:
			args->flags |= CKPT_REQUEST_TREE;
			break;
		case OPTION_SINGLE:
			args->flags |= CKPT_REQUEST_SINGLE;
			break;
		case OPTION_WAIT:
			args->wait = true;
			break;
		case OPTION_TIMEOUT:
			if (!parse_duration(optarg, &args->timeout_ms))
				return usage_error(command, "bad time \"%s\"", optarg);
			args->wait = true;
			break;
		case OPTION_JSON:
			args->json = true;
			args->wait = true;
			break;
		case 'h':
			return show_help(command);
		default:
			return usage_hint(command);
		}
	}
	if (!lcr_request_flags_valid(args->flags))
		return usage_error(command, "--full and --incremental, and --tree and --single,"
				   " exclude each other");
	if (optind == argc)
		return usage_error(command, "too few arguments");
	args->targets = checked_realloc(NULL, argc - optind, sizeof(*args->targets));
	for (; optind < argc; optind++) {
		if (!parse_number(argv[optind], 1, PID_MAX_LIMIT, &pid))
			return usage_error(command, "bad process ID \"%s\"", argv[optind]);
		args->targets[args->nr_targets++] = (struct target){ .pid = pid, .pidfd = -1 };
	}
	return -1;
}

/* What is known before the request, without which nothing can be said afterwards. */
static int look_at(struct target *target)
{
	struct ckpt_auto_status status = { .size = sizeof(status) };

	target->handle = ckpt_auto_open(target->pid);
	if (!target->handle || ckpt_auto_read(target->handle, &status))
		return -1;
	target->pidfd = pidfd_open(target->pid, 0);
	if (target->pidfd < 0)
		return -1;
	target->images = status.images;
	target->failed = status.failed;
	return 0;
}

static bool ended(const struct target *target)
{
	struct pollfd fd = { .fd = target->pidfd, .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

/*
 * It may be that a checkpoint was being taken when this one was asked for, or that
 * somebody else asks for more: over is what leaves nothing to do.
 */
static bool over(const struct target *target, const struct ckpt_auto_status *status)
{
	return status->images + status->failed > target->images + target->failed &&
	       status->state != CKPT_AUTO_REQUESTED && status->state != CKPT_AUTO_RUNNING;
}

static char *checked_copy(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		out_of_memory();
	return copy;
}

/* Wait for the next change. Returns 0 or an errno value. */
static int wait_for_change(struct ckpt_auto *handle, uint64_t deadline)
{
	const uint64_t now = now_ms(), left = deadline > now ? deadline - now : 0;
	int ret;

	ret = ckpt_auto_wait(handle, deadline == UINT64_MAX ? -1 :
			     left > INT_MAX ? INT_MAX : (int)left);
	if (ret < 0)
		return errno == EINTR ? 0 : errno;
	return ret || left > INT_MAX ? 0 : ETIMEDOUT;
}

/* Sets what has become of it. */
static void wait_for(struct target *target, uint64_t deadline)
{
	struct ckpt_auto_status status = { .size = sizeof(status) };

	while (!target->error) {
		if (ckpt_auto_read(target->handle, &status)) {
			target->error = errno;
			target->gone = errno == ESRCH;
		} else if (over(target, &status)) {
			target->error = status.last_error;
			target->report = checked_copy(status.report);
			if (!target->error)
				target->image = checked_copy(status.last_image);
			break;
		} else if (ended(target) && status.state != CKPT_AUTO_RUNNING) {
			target->error = ESRCH;
		} else {
			target->error = wait_for_change(target->handle, deadline);
		}
	}
}

static void print_kill_failure(const struct kill_arguments *args, const struct target *target)
{
	if (target->error == ENOSYS) {
		message_no_kernel("SIGCKPT");
		return;
	}
	if (target->gone && (args->flags & CKPT_REQUEST_EXIT)) {
		message("process %d has ended; whether its image is safe \"ckpt verify\" can tell",
			(int)target->pid);
		return;
	}
	message("cannot checkpoint process %s: %s", process_name(target->pid),
		strerror(target->error));
	if (target->report) {
		print_text(stderr, "  ", target->report);
		if (*target->report && target->report[strlen(target->report) - 1] != '\n')
			fputc('\n', stderr);
	}
	print_advice(target->error);
}

static void print_kill_json(const struct kill_arguments *args)
{
	struct json json = { .out = stdout };
	size_t i;

	json_begin(&json, NULL, '[');
	for (i = 0; i < args->nr_targets; i++) {
		const struct target *target = &args->targets[i];

		json_begin(&json, NULL, '{');
		json_s64(&json, "pid", target->pid);
		json_bool(&json, "checkpointed", !target->error);
		if (target->image)
			json_string(&json, "image", target->image);
		if (target->error) {
			json_string(&json, "error", error_name(target->error));
			json_string(&json, "message", strerror(target->error));
		}
		json_lines(&json, "report", target->report ? target->report : "");
		json_end(&json, '}');
	}
	json_end(&json, ']');
}

/* All are asked before one is waited for. */
static int kill_all(struct kill_arguments *args)
{
	uint64_t deadline = UINT64_MAX;
	int status = STATUS_OK;
	struct target *target;

	for (target = args->targets; target < args->targets + args->nr_targets; target++)
		if ((args->wait && look_at(target)) ||
		    ckpt_request(target->pid, args->flags))
			target->error = errno;
	if (args->timeout_ms != UINT64_MAX)
		deadline = now_ms() + args->timeout_ms;
	for (target = args->targets; target < args->targets + args->nr_targets; target++) {
		if (!target->error && args->wait)
			wait_for(target, deadline);
		if (target->error) {
			print_kill_failure(args, target);
			status = STATUS_FAILED;
		} else if (target->image && !args->json) {
			print_text(stdout, "", target->image);
			putchar('\n');
			fflush(stdout);
		}
	}
	if (args->json)
		print_kill_json(args);
	return status;
}

int command_kill(int argc, char **argv)
{
	struct kill_arguments args = { .timeout_ms = UINT64_MAX };
	int status;
	size_t i;

	status = parse_kill_arguments(&args, argc, argv);
	if (status < 0)
		status = kill_all(&args);
	for (i = 0; i < args.nr_targets; i++) {
		ckpt_auto_close(args.targets[i].handle);
		if (args.targets[i].pidfd >= 0)
			close(args.targets[i].pidfd);
		free(args.targets[i].image);
		free(args.targets[i].report);
	}
	free(args.targets);
	return status;
}

/* ---- ckpt auto ---- */

struct auto_arguments {
	struct ckpt_auto_options opts;
	pid_t pid;
	bool off;
	char *pattern;
	long full_every;	/* 0: not given */
	long keep;
};

enum {
	OPTION_EVERY = 0x100,
	OPTION_MTBF,
	OPTION_OFF,
	OPTION_FULL_EVERY,
	OPTION_KEEP,
	OPTION_TRACKER,
	OPTION_ACROSS_EXEC,
	OPTION_REMOVE_AT_EXIT,
	OPTION_PATTERN,
	OPTION_DIR,
};

static const struct option auto_options[] = {
	{ "every",		required_argument,	NULL, OPTION_EVERY },
	{ "mtbf",		required_argument,	NULL, OPTION_MTBF },
	{ "off",		no_argument,		NULL, OPTION_OFF },
	{ "full-every",		required_argument,	NULL, OPTION_FULL_EVERY },
	{ "keep",		required_argument,	NULL, OPTION_KEEP },
	{ "tracker",		required_argument,	NULL, OPTION_TRACKER },
	{ "across-exec",	no_argument,		NULL, OPTION_ACROSS_EXEC },
	{ "remove-at-exit",	optional_argument,	NULL, OPTION_REMOVE_AT_EXIT },
	{ "pattern",		required_argument,	NULL, OPTION_PATTERN },
	{ "dir",		required_argument,	NULL, OPTION_DIR },
	{ "help",		no_argument,		NULL, 'h' },
	{ }
};

/* Has each image a name of its own? */
static bool numbered(const char *pattern)
{
	for (; *pattern; pattern++) {
		if (*pattern != '%')
			continue;
		if (*++pattern == 'n')
			return true;
		if (!*pattern)
			break;
	}
	return false;
}

/* The pattern for images in a directory; NULL with errno */
static char *dir_pattern(const char *dir)
{
	char *real = realpath(dir, NULL), *pattern, *to;
	const char *from;

	if (!real)
		return NULL;
	pattern = checked_realloc(NULL, 2 * strlen(real) + sizeof("/" DIR_PATTERN), 1);
	to = pattern;
	for (from = real; *from; from++) {
		*to++ = *from;
		if (*from == '%')
			*to++ = '%';
	}
	if (to[-1] != '/')
		*to++ = '/';
	strcpy(to, DIR_PATTERN);
	free(real);
	return pattern;
}

/* What is wrong with the pattern; NULL if nothing is */
static const char *wrong_pattern(const struct auto_arguments *args)
{
	const char *pattern = args->pattern;

	if (*pattern == '|')
		return "only kernel.checkpoint_pattern can name a helper";
	if (*pattern != '/')
		return "the pattern has to be an absolute path";
	if (strpbrk(pattern, " \t\n"))
		return "a pattern cannot have white space in it";
	if (args->full_every > 1 && !numbered(pattern))
		return "increments need a name each: put %n into the pattern, or --full-every 1";
	return NULL;
}

static bool parse_times(struct auto_arguments *args, int c)
{
	uint64_t ms;

	if (!parse_duration(optarg, &ms))
		return false;
	if (c == OPTION_EVERY)
		args->opts.interval_ms = ms;
	else
		args->opts.mtbf_s = ms / 1000;
	return c == OPTION_EVERY ? ms <= UINT32_MAX : ms >= 1000;
}

/* Which options go together; returns -1, or an exit status. */
static int complete_auto(struct auto_arguments *args, const char *command, bool others)
{
	const char *wrong;

	if (!!args->opts.interval_ms + !!args->opts.mtbf_s + args->off != 1)
		return usage_error(command, "one of --every, --mtbf and --off is needed");
	if (args->off && others)
		return usage_error(command, "--off goes with no other option");
	if (args->pattern) {
		wrong = wrong_pattern(args);
		if (wrong)
			return usage_error(command, "%s", wrong);
	}
	if (!args->full_every)
		args->full_every = !args->pattern || numbered(args->pattern) ?
				   FULL_EVERY_DEFAULT : 1;
	args->opts.full_every = args->full_every;
	args->opts.keep = args->keep;
	args->opts.pattern = args->pattern;
	return -1;
}

/* Returns -1, or an exit status where there is nothing more to do. */
static int parse_auto_arguments(struct auto_arguments *args, int argc, char **argv)
{
	const char *command = argv[0];
	bool others = false;
	int c, tracker;
	long pid;

	while ((c = getopt_long(argc, argv, "h", auto_options, NULL)) >= 0) {
		others |= c >= OPTION_FULL_EVERY;
		switch (c) {
		case OPTION_EVERY:
		case OPTION_MTBF:
			if (!parse_times(args, c))
				return usage_error(command, "bad time \"%s\"", optarg);
			break;
		case OPTION_OFF:
			args->off = true;
			break;
		case OPTION_FULL_EVERY:
			if (!parse_number(optarg, 1, FULL_EVERY_MAX, &args->full_every))
				return usage_error(command, "bad number \"%s\"", optarg);
			break;
		case OPTION_KEEP:
			if (!parse_number(optarg, 0, KEEP_MAX, &args->keep))
				return usage_error(command, "bad number \"%s\"", optarg);
			break;
		case OPTION_TRACKER:
			tracker = lcr_tracker(optarg);
			if (tracker < 0)
				return usage_error(command, "bad tracker \"%s\"", optarg);
			args->opts.tracker = tracker;
			break;
		case OPTION_ACROSS_EXEC:
			args->opts.across_exec = 1;
			break;
		case OPTION_REMOVE_AT_EXIT:
			args->opts.remove_at_exit = optarg ? 2 : 1;
			if (optarg && strcmp(optarg, "always"))
				return usage_error(command, "bad value \"%s\"", optarg);
			break;
		case OPTION_PATTERN:
		case OPTION_DIR:
			if (args->pattern)
				return usage_error(command,
						   "there can be one --pattern or --dir");
			args->pattern = c == OPTION_DIR ? dir_pattern(optarg) :
							  checked_copy(optarg);
			if (!args->pattern) {
				message("cannot use %s: %s", optarg, strerror(errno));
				return STATUS_FAILED;
			}
			break;
		case 'h':
			return show_help(command);
		default:
			return usage_hint(command);
		}
	}
	if (argc - optind != 1)
		return usage_error(command, argc - optind < 1 ?
				   "too few arguments" : "too many arguments");
	if (!parse_number(argv[optind], 1, PID_MAX_LIMIT, &pid))
		return usage_error(command, "bad process ID \"%s\"", argv[optind]);
	args->pid = pid;
	return complete_auto(args, command, others);
}

static int auto_set(const struct auto_arguments *args)
{
	int error;

	if (!ckpt_auto_set(args->pid, args->off ? NULL : &args->opts))
		return STATUS_OK;
	error = errno;
	if (error == ENOSYS) {
		message_no_kernel("automatic checkpoints");
		return STATUS_FAILED;
	}
	if (error == EINVAL && args->opts.tracker != CKPT_TRACKER_OFF)
		message("cannot set up checkpoints of process %s:"
			" this kernel may not have the tracker %s",
			process_name(args->pid), lcr_tracker_names[args->opts.tracker]);
	else
		message("cannot set up checkpoints of process %s: %s",
			process_name(args->pid), strerror(error));
	print_advice(error);
	return STATUS_FAILED;
}

int command_auto(int argc, char **argv)
{
	struct auto_arguments args = { .opts.size = sizeof(args.opts), .keep = KEEP_DEFAULT };
	int status;

	status = parse_auto_arguments(&args, argc, argv);
	if (status < 0)
		status = auto_set(&args);
	free(args.pattern);
	return status;
}
