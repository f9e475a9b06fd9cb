// SPDX-License-Identifier: GPL-2.0
/* ckpt save and ckpt check */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/internal.h"
#include "ckpt.h"

#define PID_MAX_LIMIT	(4L << 20)
#define FD_MAX		0x7fffffffL
#define TIMEOUT_MAX	1e6

/* Command line of both commands. */
struct arguments {
	struct ckpt_options opts;
	int *external_fds;
	pid_t pid;
	const char *file;	/* save only */
	bool stats;
	bool json;
};

enum {
	OPTION_LEAVE_STOPPED = 0x100,
	OPTION_KILL,
	OPTION_EXTERNAL_FD,
	OPTION_TIMEOUT,
	OPTION_STATS,
	OPTION_JSON,
};

static const struct option save_options[] = {
	{ "leave-stopped",	no_argument,		NULL, OPTION_LEAVE_STOPPED },
	{ "kill",		no_argument,		NULL, OPTION_KILL },
	{ "external-fd",	required_argument,	NULL, OPTION_EXTERNAL_FD },
	{ "timeout",		required_argument,	NULL, OPTION_TIMEOUT },
	{ "stats",		no_argument,		NULL, OPTION_STATS },
	{ "json",		no_argument,		NULL, OPTION_JSON },
	{ "help",		no_argument,		NULL, 'h' },
	{ }
};

static const struct option check_options[] = {
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
			"close what is named above, or pass a descriptor by --external-fd." },
	{ EPERM,	"One may save what one may trace, see ptrace(2): own processes that are\n"
			"not set-user-ID, or with CAP_SYS_PTRACE any." },
	{ EBUSY,	"It is being traced by a debugger or saved by somebody else, or waits for\n"
			"a vfork child: try again later." },
	{ ETIMEDOUT,	"A thread stays inside the kernel, perhaps waiting for a disk or network\n"
			"server. The process goes on; try again, or with a longer --timeout." },
	{ ESRCH,	"It has ended, or ended meanwhile." },
	{ EINTR,	"Interrupted by a signal. The process goes on." },
	{ EINVAL,	"PID has to be that of a process, not of one of its threads." },
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

/* "123 (name)" */
static const char *process_name(pid_t pid)
{
	static char text[64];
	char path[32], comm[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (file) {
		if (!fgets(comm, sizeof(comm), file))
			comm[0] = '\0';
		comm[strcspn(comm, "\n")] = '\0';
		fclose(file);
	}
	if (*comm)
		snprintf(text, sizeof(text), "%d (%s)", (int)pid, comm);
	else
		snprintf(text, sizeof(text), "%d", (int)pid);
	return text;
}

static bool add_external_fd(struct arguments *args, const char *text)
{
	long fd;

	if (!parse_number(text, 0, FD_MAX, &fd))
		return false;
	args->external_fds = checked_realloc(args->external_fds,
					     args->opts.nr_external_fds + 1,
					     sizeof(int));
	args->external_fds[args->opts.nr_external_fds++] = fd;
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

/* Returns -1, or an exit status where there is nothing more to do. */
static int parse_arguments(struct arguments *args, int argc, char **argv,
			   const struct option *options, int operands)
{
	const char *command = argv[0];
	long pid;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case OPTION_LEAVE_STOPPED:
			args->opts.flags |= CKPT_LEAVE_STOPPED;
			break;
		case OPTION_KILL:
			args->opts.flags |= CKPT_KILL;
			break;
		case OPTION_EXTERNAL_FD:
			if (!add_external_fd(args, optarg))
				return usage_error(command, "bad descriptor \"%s\"", optarg);
			break;
		case OPTION_TIMEOUT:
			if (!set_timeout(args, optarg))
				return usage_error(command, "bad timeout \"%s\"", optarg);
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
	if (operands > 1)
		args->file = argv[optind + 1];
	return -1;
}

static void print_json(FILE *out, const struct arguments *args, const char *key,
		       int error)
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
	}
	json_report(&json, args->opts.report);
	json_stats(&json, ckpt_report_stats(args->opts.report));
	json_end(&json, '}');
}

static void print_failure(const struct arguments *args, int error)
{
	if (error == ENOSYS) {
		message_no_kernel("checkpoint");
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
		"%s saved, %s of zeros left out; at most %s of kernel memory\n",
		process_name(args->pid), format_bytes(stats->bytes),
		format_time(stats->total_ns), format_time(stats->freeze_ns),
		format_count(stats->threads, "thread"),
		format_count(stats->vmas, "memory area"),
		format_count(stats->files, "file"),
		format_count(stats->pages_here, "page"),
		format_count(stats->pages_zero, "page"),
		format_bytes(stats->kernel_bytes));
}

/*
 * A save to a file in progress. Whoever holds the lock, the main thread to give
 * the file its name or the other one to remove it, has the last word.
 */
static struct {
	pthread_mutex_t lock;
	struct lcr_save save;
	sigset_t signals;
} saving = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Waits for a signal that ends ckpt, and lets it do so without leaving a file. */
static void *watch_signals(void *unused)
{
	int sig;

	(void)unused;
	if (sigwait(&saving.signals, &sig))
		return NULL;
	pthread_mutex_lock(&saving.lock);
	lcr_save_discard(&saving.save);
	signal(sig, SIG_DFL);
	kill(getpid(), sig);
	pthread_sigmask(SIG_UNBLOCK, &saving.signals, NULL);
	return NULL;	/* not reached: the lock stays held */
}

/* Block the signals that shall end a save, but not those the caller ignores. */
static void block_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction action;
	size_t i;

	sigemptyset(&saving.signals);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &action) &&
		    action.sa_handler != SIG_IGN)
			sigaddset(&saving.signals, signals[i]);
	pthread_sigmask(SIG_BLOCK, &saving.signals, NULL);
}

/*
 * From here on, signals end ckpt. If that leaves behind neither a file with a name
 * nor a stopped process, there is nothing to watch for.
 */
static int allow_signals(const struct arguments *args)
{
	pthread_t watcher;

	if (saving.save.temp || (args->opts.flags & CKPT_KILL))
		return pthread_create(&watcher, NULL, watch_signals, NULL);
	return pthread_sigmask(SIG_UNBLOCK, &saving.signals, NULL);
}

/* Returns 0 or an errno value; *@in_file if it is about the file. */
static int save_to_file(const struct arguments *args, bool *in_file)
{
	int ret, error;

	*in_file = true;
	block_signals();
	if (lcr_save_begin(&saving.save, args->file))
		return errno;
	error = allow_signals(args);
	if (error) {
		lcr_save_discard(&saving.save);
		return error;
	}
	ret = lcr_save_checkpoint(&saving.save, args->pid, &args->opts);
	error = errno;
	pthread_sigmask(SIG_BLOCK, &saving.signals, NULL);
	pthread_mutex_lock(&saving.lock);
	if (ret) {
		*in_file = false;
		lcr_save_discard(&saving.save);
		return error;
	}
	return lcr_save_commit(&saving.save) ? errno : 0;
}

static int save(const struct arguments *args)
{
	bool to_stdout = !strcmp(args->file, "-");
	FILE *json_out = to_stdout ? stderr : stdout;
	bool in_file = false;
	int error = 0;

	if (to_stdout) {
		if (isatty(STDOUT_FILENO))
			return usage_error("save", "an image is not written to a terminal");
		signal(SIGPIPE, SIG_IGN);
		if (ckpt_checkpoint(args->pid, STDOUT_FILENO, &args->opts))
			error = errno;
	} else {
		error = save_to_file(args, &in_file);
	}

	if (args->json)
		print_json(json_out, args, "saved", error);
	if (error && in_file) {
		message("cannot write %s: %s%s", args->file, strerror(error),
			error == ELOOP ? " (it is a symbolic link)" :
			error == EINVAL ? " (it is not a regular file)" : "");
	} else if (error) {
		print_failure(args, error);
	} else if (args->stats) {
		print_stats(args);
	}
	return error ? STATUS_FAILED : STATUS_OK;
}

static int check(const struct arguments *args)
{
	int error = ckpt_check(args->pid, &args->opts) ? errno : 0;

	if (args->json)
		print_json(stdout, args, "possible", error);
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
