// SPDX-License-Identifier: GPL-2.0
/* ckpt save and ckpt check */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/internal.h"
#include "ckpt.h"

#define FD_MAX		0x7fffffffL
#define TIMEOUT_MAX	1e6
#define CHAIN_MAX	65536		/* what restart(2) takes */
#define FULL_EVERY_DEFAULT 10

/* Command line of both commands. */
struct arguments {
	struct ckpt_options opts;
	struct ckpt_external_fd *external_fds;
	pid_t pid;
	const char *file;	/* this and what follows: save only */
	bool incremental;
	bool chain_options;	/* some that need --incremental */
	uint32_t tracker;	/* CKPT_TRACKER_OFF: the best one there is */
	long full_every;
	long keep;		/* 0: all */
	const char *parent;
	bool stats;
	bool json;
};

/**
 * struct plan - what image is taken, with --incremental
 * @series:	FILE and its images
 * @image:	the new one
 * @has_parent:	it is to be an increment ...
 * @parent_uuid: ... of this one
 * @tracker:	CKPT_TRACKER_*
 * @fell_back:	for want of the one that is the default
 * @incremental: it is an increment
 * @reason:	why it may have to be full though it was not to be; or NULL
 * @removed:	old images removed
 */
struct plan {
	struct lcr_series series;
	char *image;
	bool has_parent;
	uint8_t parent_uuid[CKPT_UUID_SIZE];
	uint32_t tracker;
	bool fell_back;
	bool incremental;
	char *reason;
	size_t removed;
};

enum {
	OPTION_LEAVE_STOPPED = 0x100,
	OPTION_KILL,
	OPTION_SINGLE,
	OPTION_EXTERNAL_FD,
	OPTION_TIMEOUT,
	OPTION_INCREMENTAL,
	OPTION_TRACKER,
	OPTION_FULL_EVERY,
	OPTION_KEEP,
	OPTION_PARENT,
	OPTION_STATS,
	OPTION_JSON,
};

static const struct option save_options[] = {
	{ "leave-stopped",	no_argument,		NULL, OPTION_LEAVE_STOPPED },
	{ "kill",		no_argument,		NULL, OPTION_KILL },
	{ "single",		no_argument,		NULL, OPTION_SINGLE },
	{ "external-fd",	required_argument,	NULL, OPTION_EXTERNAL_FD },
	{ "timeout",		required_argument,	NULL, OPTION_TIMEOUT },
	{ "incremental",	no_argument,		NULL, OPTION_INCREMENTAL },
	{ "tracker",		required_argument,	NULL, OPTION_TRACKER },
	{ "full-every",		required_argument,	NULL, OPTION_FULL_EVERY },
	{ "keep",		required_argument,	NULL, OPTION_KEEP },
	{ "parent",		required_argument,	NULL, OPTION_PARENT },
	{ "stats",		no_argument,		NULL, OPTION_STATS },
	{ "json",		no_argument,		NULL, OPTION_JSON },
	{ "help",		no_argument,		NULL, 'h' },
	{ }
};

static const struct option check_options[] = {
	{ "single",		no_argument,		NULL, OPTION_SINGLE },
	{ "external-fd",	required_argument,	NULL, OPTION_EXTERNAL_FD },
	{ "timeout",		required_argument,	NULL, OPTION_TIMEOUT },
	{ "json",		no_argument,		NULL, OPTION_JSON },
	{ "help",		no_argument,		NULL, 'h' },
	{ }
};

/* What to do about an error. */
static const struct {
	int error;
	const char *advice;
} advices[] = {
	{ EOPNOTSUPP,	"The process uses what cannot be saved. It goes on, undisturbed. End or\n"
			"close what is named above, or pass a descriptor by --external-fd. It is\n"
			"saved without its descendants by --single." },
	{ EPERM,	"One may save what one may trace, see ptrace(2): own processes that are\n"
			"not set-user-ID, or with CAP_SYS_PTRACE any. This holds for each of its\n"
			"descendants." },
	{ EBUSY,	"It is being traced by a debugger, saved by somebody else, or dumping\n"
			"core: try again later." },
	{ ETIMEDOUT,	"A thread stays inside the kernel, perhaps waiting for a disk or network\n"
			"server. The process goes on; try again, or with a longer --timeout." },
	{ ESRCH,	"It has ended, or ended meanwhile." },
	{ EINTR,	"Interrupted by a signal. The process goes on." },
	{ EINVAL,	"PID has to be that of a process, not of one of its threads; and with\n"
			"--kill or --leave-stopped not that of an ancestor of ckpt." },
	{ ENOSPC,	"The process goes on; free some space or save it elsewhere." },
	{ EDQUOT,	"The process goes on; free some space or save it elsewhere." },
	{ EPIPE,	"The reader of standard output has ended. The process goes on." },
};

static const char *advice(int error)
{
	size_t i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (advices[i].error == error)
			return advices[i].advice;
	return NULL;
}

/* N or PID/N */
static bool add_external_fd(struct arguments *args, char *text)
{
	char *slash = strchr(text, '/');
	long pid = 0, fd;

	if (slash) {
		*slash++ = '\0';
		if (!parse_number(text, 1, PID_MAX_LIMIT, &pid))
			return false;
		text = slash;
	}
	if (!parse_number(text, 0, FD_MAX, &fd))
		return false;
	args->external_fds = checked_realloc(args->external_fds,
					     args->opts.nr_external_fds + 1,
					     sizeof(*args->external_fds));
	args->external_fds[args->opts.nr_external_fds++] = (struct ckpt_external_fd){
		.pid = pid,
		.fd = fd,
	};
	args->opts.external_fds = args->external_fds;
	return true;
}

static bool set_timeout(struct arguments *args, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds > 0 && seconds <= TIMEOUT_MAX))
		return false;
	args->opts.timeout_ns = seconds * 1e9;
	if (!args->opts.timeout_ns)	/* 0 would be the default */
		args->opts.timeout_ns = 1;
	return true;
}

static bool set_tracker(struct arguments *args, const char *text)
{
	int tracker = lcr_tracker(text);

	if (tracker <= 0)
		return false;
	args->tracker = tracker;
	return true;
}

/* f218235b-76e3-45df-99d5-719461e75751 */
static bool parse_uuid(const char *text, uint8_t *uuid)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	char byte[3] = "";
	size_t i, n = 0;

	if (strlen(text) != strlen(form))
		return false;
	for (i = 0; form[i]; i++)
		if (form[i] == '-' ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	for (i = 0; form[i]; i += 2) {
		if (form[i] == '-')
			i++;
		memcpy(byte, text + i, 2);
		uuid[n++] = strtoul(byte, NULL, 16);
	}
	return true;
}

/* Options of chains that make no sense; NULL if there is none */
static const char *wrong_chain_options(const struct arguments *args)
{
	if (!args->incremental)
		return args->chain_options ?
		       "--tracker, --full-every, --keep and --parent need --incremental" : NULL;
	if (strcmp(args->file, "-"))
		return args->parent ? "--parent is for FILE \"-\" only" : NULL;
	if (args->keep || args->full_every != FULL_EVERY_DEFAULT)
		return "--full-every and --keep are not for FILE \"-\"";
	return NULL;
}

/* Returns -1, or an exit status where there is nothing more to do. */
static int parse_arguments(struct arguments *args, int argc, char **argv,
			   const struct option *options, int operands)
{
	const char *command = argv[0], *wrong;
	long pid;
	int c;

	args->full_every = FULL_EVERY_DEFAULT;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		args->chain_options |= c >= OPTION_TRACKER && c <= OPTION_PARENT;
		switch (c) {
		case OPTION_LEAVE_STOPPED:
			args->opts.flags |= CKPT_LEAVE_STOPPED;
			break;
		case OPTION_KILL:
			args->opts.flags |= CKPT_KILL;
			break;
		case OPTION_SINGLE:
			args->opts.flags |= CKPT_SINGLE;
			break;
		case OPTION_EXTERNAL_FD:
			if (!add_external_fd(args, optarg))
				return usage_error(command, "bad descriptor \"%s\"", optarg);
			break;
		case OPTION_TIMEOUT:
			if (!set_timeout(args, optarg))
				return usage_error(command, "bad timeout \"%s\"", optarg);
			break;
		case OPTION_INCREMENTAL:
			args->incremental = true;
			break;
		case OPTION_TRACKER:
			if (!set_tracker(args, optarg))
				return usage_error(command, "bad tracker \"%s\"", optarg);
			break;
		case OPTION_FULL_EVERY:
			if (!parse_number(optarg, 1, CHAIN_MAX, &args->full_every))
				return usage_error(command, "bad number \"%s\"", optarg);
			break;
		case OPTION_KEEP:
			if (!parse_number(optarg, 1, LONG_MAX, &args->keep))
				return usage_error(command, "bad number \"%s\"", optarg);
			break;
		case OPTION_PARENT:
			args->parent = optarg;
			break;
		case OPTION_STATS:
			args->stats = true;
			break;
		case OPTION_JSON:
			args->json = true;
			break;
		case 'h':
			return show_help(command);
		default:
			return usage_hint(command);
		}
	}
	if ((args->opts.flags & CKPT_KILL) && (args->opts.flags & CKPT_LEAVE_STOPPED))
		return usage_error(command, "--kill and --leave-stopped exclude each other");
	if (argc - optind != operands)
		return usage_error(command, argc - optind < operands ?
				   "too few arguments" : "too many arguments");
	if (!parse_number(argv[optind], 1, PID_MAX_LIMIT, &pid))
		return usage_error(command, "bad process ID \"%s\"", argv[optind]);
	args->pid = pid;
	if (operands > 1) {
		args->file = argv[optind + 1];
		wrong = wrong_chain_options(args);
		if (wrong)
			return usage_error(command, "%s", wrong);
	}
	return -1;
}

/* What the new image says of itself */
static void json_image(struct json *json, const char *file)
{
	struct ckpt_image *image = ckpt_image_open(file, CKPT_IMAGE_SKIP_DATA, NULL);
	const struct ckpt_header *header;

	if (!image)
		return;
	header = ckpt_image_header(image);
	json_string(json, "uuid", format_uuid(header->uuid));
	json_u64(json, "sequence", header->sequence);
	ckpt_image_close(image);
}

static void json_plan(struct json *json, const struct plan *plan)
{
	json_bool(json, "incremental", plan->incremental);
	if (plan->incremental)
		json_string(json, "parent_uuid", format_uuid(plan->parent_uuid));
	else if (plan->reason)
		json_string(json, "full_reason", plan->reason);
	json_string(json, "tracker", lcr_tracker_names[plan->tracker]);
	if (plan->image) {
		json_string(json, "image", plan->image);
		json_image(json, plan->image);
		json_u64(json, "removed", plan->removed);
	}
}

static void print_json(FILE *out, const struct arguments *args, const struct plan *plan,
		       const char *key, int error)
{
	struct json json = { .out = out };

	json_begin(&json, NULL, '{');
	json_s64(&json, "pid", args->pid);
	if (args->file)
		json_string(&json, "file", args->file);
	json_bool(&json, key, !error);
	if (error) {
		json_string(&json, "error", error_name(error));
		json_string(&json, "message", strerror(error));
	} else if (args->incremental) {
		json_plan(&json, plan);
	}
	json_report(&json, args->opts.report);
	json_stats(&json, ckpt_report_stats(args->opts.report));
	json_end(&json, '}');
}

static void print_failure(const struct arguments *args, int error)
{
	if (error == ENOSYS) {
		message_no_kernel("checkpoint(2)");
		return;
	}
	message("cannot %s process %s: %s", args->file ? "save" : "check",
		process_name(args->pid), strerror(error));
	print_report(stderr, args->opts.report);
	if (advice(error))
		fprintf(stderr, "%s\n", advice(error));
}

static void print_stats(const struct arguments *args)
{
	const struct ckpt_stats *stats = ckpt_report_stats(args->opts.report);

	fprintf(stderr,
		"process %s saved: %s in %s, frozen for %s\n"
		"%s, %s, %s\n"
		"%s saved, %s of zeros and %s of the parent left out; at most %s of kernel memory\n",
		process_name(args->pid), format_bytes(stats->bytes),
		format_time(stats->total_ns), format_time(stats->freeze_ns),
		format_count(stats->threads, "thread"),
		format_count(stats->vmas, "memory area"),
		format_count(stats->files, "file"),
		format_count(stats->pages_here, "page"),
		format_count(stats->pages_zero, "page"),
		format_count(stats->pages_parent, "page"),
		format_bytes(stats->kernel_bytes));
}

/* Why there is no increment: what the kernel says, or else what ESTALE means */
static char *stale_reason(const struct ckpt_report *report, const uint8_t *parent)
{
	const char *text = ckpt_report_text(report);
	char *reason;
	int ret;

	if (*text)
		ret = asprintf(&reason, "%.*s", (int)strcspn(text, "\n"), text);
	else
		ret = asprintf(&reason, "what was written since image %s is not known",
			       format_uuid(parent));
	if (ret < 0)
		out_of_memory();
	return reason;
}

/* Without @save, to standard output. Returns 0 or an errno value. */
static int checkpoint_once(const struct arguments *args, const struct ckpt_options *opts,
			   struct lcr_save *save)
{
	int ret = save ? lcr_save_checkpoint(save, args->pid, opts) :
			 ckpt_checkpoint(args->pid, STDOUT_FILENO, opts);
	int error = errno;

	if (!ret)
		return 0;
	/* The restarted ckpt, a descendant of the process: its work was done before. */
	if (ret == 1)
		exit(STATUS_OK);
	/* Whatever it has written: another one begins where it did. */
	if (save && lcr_save_rewind(save))
		return errno;
	return error;
}

/* An increment, if that is possible, or a full image; with one tracker */
static int checkpoint_tracked(const struct arguments *args, struct plan *plan,
			      struct ckpt_options *opts, struct lcr_save *save)
{
	int error;

	plan->tracker = opts->tracker;
	if (plan->has_parent) {
		opts->flags |= CKPT_INCREMENTAL;
		memcpy(opts->parent_uuid, plan->parent_uuid, sizeof(opts->parent_uuid));
		error = checkpoint_once(args, opts, save);
		if (error != ESTALE) {
			plan->incremental = !error;
			return error;
		}
		free(plan->reason);
		plan->reason = stale_reason(opts->report, plan->parent_uuid);
		opts->flags &= ~CKPT_INCREMENTAL;
		memset(opts->parent_uuid, 0, sizeof(opts->parent_uuid));
	}
	return checkpoint_once(args, opts, save);
}

/*
 * Take an image. A kernel that has not got a tracker says EOPNOTSUPP, but it says so
 * of processes too: only where no tracker will do it is about those.
 */
static int take_image(const struct arguments *args, struct plan *plan, struct lcr_save *save)
{
	static const uint32_t by_default[] = {
		CKPT_TRACKER_SHADOW, CKPT_TRACKER_WRITE_PROTECT, CKPT_TRACKER_NONE,
	};
	struct ckpt_options opts = args->opts;
	size_t i;
	int error;

	if (!args->incremental)
		return checkpoint_once(args, &opts, save);
	opts.tracker = args->tracker;
	if (opts.tracker != CKPT_TRACKER_OFF)
		return checkpoint_tracked(args, plan, &opts, save);
	for (i = 0; i < sizeof(by_default) / sizeof(by_default[0]); i++) {
		opts.tracker = by_default[i];
		error = checkpoint_tracked(args, plan, &opts, save);
		if (error != EOPNOTSUPP)
			break;
	}
	plan->fell_back = !error && i;
	return error;
}

/* The parent is an image in a file, or any that the user knows the UUID of. */
static void plan_parent(struct plan *plan, const char *parent)
{
	struct ckpt_image *image;
	char *error;

	plan->has_parent = parse_uuid(parent, plan->parent_uuid);
	if (plan->has_parent)
		return;
	image = ckpt_image_open(parent, CKPT_IMAGE_SKIP_DATA, &error);
	if (image) {
		plan->has_parent = true;
		memcpy(plan->parent_uuid, ckpt_image_header(image)->uuid,
		       sizeof(plan->parent_uuid));
		ckpt_image_close(image);
	} else if (asprintf(&plan->reason, "%s: %s", parent,
			    error ? error : strerror(errno)) < 0) {
		out_of_memory();
	} else {
		free(error);
	}
}

/*
 * What is FILE, and is the image that it points to one to go on from? That, and all
 * that it needs, has to be there and undamaged, as far as can be seen without the
 * contents of pages.
 */
static void plan_next(struct plan *plan, const struct arguments *args)
{
	const struct ckpt_header *header;
	struct ckpt_chain *chain;
	char *error;

	if (asprintf(&plan->image, "%s.%06" PRIu64, args->file, plan->series.next) < 0)
		out_of_memory();
	if (!plan->series.newest)
		return;
	chain = ckpt_chain_open(args->file, NULL, &error);
	if (!chain) {
		if (asprintf(&plan->reason, "%s%s%s", error ? "" : args->file,
			     error ? "" : ": ", error ? error : strerror(errno)) < 0)
			out_of_memory();
		free(error);
		return;
	}
	header = ckpt_chain_image(chain, 0)->header;
	if (header->sequence + 1 < (uint64_t)args->full_every) {
		plan->has_parent = true;
		memcpy(plan->parent_uuid, header->uuid, sizeof(plan->parent_uuid));
	}
	ckpt_chain_close(chain);
}

/* Returns 0 or an errno value; *@in_file if it is about the file. */
static int save_to_file(const struct arguments *args, struct plan *plan, bool *in_file)
{
	struct lcr_save *save;
	int error;

	*in_file = true;
	if (args->incremental) {
		if (lcr_series_open(&plan->series, args->file))
			return errno;
		plan_next(plan, args);
	}
	save = saving_begin(args->file, args->incremental ? &plan->series : NULL,
			    args->opts.flags & (CKPT_KILL | CKPT_LEAVE_STOPPED));
	if (!save)
		return errno;
	error = take_image(args, plan, save);
	if (error) {
		*in_file = false;
		saving_end(false);
		return error;
	}
	return saving_end(true) ? errno : 0;
}

static int save_to_stdout(const struct arguments *args, struct plan *plan)
{
	signal(SIGPIPE, SIG_IGN);
	if (args->parent)
		plan_parent(plan, args->parent);
	return take_image(args, plan, NULL);
}

/* Say what is not as it was asked for. */
static void print_plan(const struct plan *plan)
{
	if (plan->reason && !plan->incremental)
		message("took a full image: %s", plan->reason);
	/* The increments that follow need not say so again. */
	if (plan->fell_back && !plan->incremental)
		message("this kernel cannot track by %s: tracking by %s",
			lcr_tracker_names[CKPT_TRACKER_SHADOW], lcr_tracker_names[plan->tracker]);
}

/* Returns an exit status. */
static int retain(const struct arguments *args, struct plan *plan)
{
	if (!args->keep)
		return STATUS_OK;
	if (!lcr_series_retain(&plan->series, args->keep, &plan->removed))
		return STATUS_OK;
	message("process %s saved; cannot remove old images of %s: %s",
		process_name(args->pid), args->file, strerror(errno));
	return STATUS_FAILED;
}

static int save(const struct arguments *args)
{
	bool to_stdout = !strcmp(args->file, "-");
	FILE *json_out = to_stdout ? stderr : stdout;
	int error, status = STATUS_OK;
	struct plan plan = { };
	bool in_file = false;

	if (to_stdout && isatty(STDOUT_FILENO))
		return usage_error("save", "an image is not written to a terminal");
	error = to_stdout ? save_to_stdout(args, &plan) :
			    save_to_file(args, &plan, &in_file);
	if (error)
		status = STATUS_FAILED;
	else if (plan.image)
		status = retain(args, &plan);

	if (args->json)
		print_json(json_out, args, &plan, "saved", error);
	if (error && in_file && error == EEXIST && args->incremental) {
		message("cannot write %s: it is not a symbolic link to an image %s.NNNNNN,"
			" or somebody else saves it", args->file, args->file);
	} else if (error && in_file) {
		message("cannot write %s: %s%s", args->file, strerror(error),
			file_trouble(error));
	} else if (error) {
		print_failure(args, error);
	} else {
		print_plan(&plan);
		if (args->stats)
			print_stats(args);
	}
	lcr_series_close(&plan.series);
	free(plan.image);
	free(plan.reason);
	return status;
}

static int check(const struct arguments *args)
{
	int error = ckpt_check(args->pid, &args->opts) ? errno : 0;

	if (args->json)
		print_json(stdout, args, NULL, "possible", error);
	if (error == EOPNOTSUPP && !args->json) {
		print_text(stdout, "", process_name(args->pid));
		puts(" cannot be checkpointed:");
		print_report(stdout, args->opts.report);
	} else if (error && !args->json) {
		print_failure(args, error);
	} else if (!args->json) {
		print_text(stdout, "", process_name(args->pid));
		puts(" can be checkpointed");
		print_report(stdout, args->opts.report);
	}
	return error ? STATUS_FAILED : STATUS_OK;
}

static int run(int argc, char **argv, const struct option *options, int operands,
	       int (*command)(const struct arguments *args))
{
	struct arguments args = { .opts.size = sizeof(args.opts) };
	int status;

	status = parse_arguments(&args, argc, argv, options, operands);
	if (status < 0) {
		args.opts.report = ckpt_report_new(0);
		if (!args.opts.report)
			out_of_memory();
		status = command(&args);
	}
	ckpt_report_free(args.opts.report);
	free(args.external_fds);
	return status;
}

int command_save(int argc, char **argv)
{
	return run(argc, argv, save_options, 2, save);
}

int command_check(int argc, char **argv)
{
	return run(argc, argv, check_options, 1, check);
}
