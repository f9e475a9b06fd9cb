// SPDX-License-Identifier: GPL-2.0
/* ckpt restart */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../src/internal.h"
#include "ckpt.h"

#define FD_MAX		0x7fffffffL

struct arguments {
	struct ckpt_restart_options opts;
	struct ckpt_inherited_fd *fds;
	const char *file;
	const char **parents;
	const char **parent_dirs;
	bool latest;		/* file is a directory */
	bool all;		/* this and what follows: in it */
	const char *name;
	long pid;		/* 0: any */
	bool detach;
	bool stats;
	bool json;
};

enum {
	OPTION_INHERIT_FD = 0x100,
	OPTION_HOST_CLOCKS,
	OPTION_LEAVE_STOPPED,
	OPTION_PARENT,
	OPTION_PARENT_DIR,
	OPTION_LATEST,
	OPTION_ALL,
	OPTION_NAME,
	OPTION_PID,
	OPTION_STATS,
	OPTION_JSON,
};

static const struct option options[] = {
	{ "detach",		no_argument,		NULL, 'd' },
	{ "inherit-fd",		required_argument,	NULL, OPTION_INHERIT_FD },
	{ "host-clocks",	no_argument,		NULL, OPTION_HOST_CLOCKS },
	{ "leave-stopped",	no_argument,		NULL, OPTION_LEAVE_STOPPED },
	{ "parent",		required_argument,	NULL, OPTION_PARENT },
	{ "parent-dir",		required_argument,	NULL, OPTION_PARENT_DIR },
	{ "latest",		no_argument,		NULL, OPTION_LATEST },
	{ "all",		no_argument,		NULL, OPTION_ALL },
	{ "name",		required_argument,	NULL, OPTION_NAME },
	{ "pid",		required_argument,	NULL, OPTION_PID },
	{ "stats",		no_argument,		NULL, OPTION_STATS },
	{ "json",		no_argument,		NULL, OPTION_JSON },
	{ "help",		no_argument,		NULL, 'h' },
	{ }
};

/* What to do about an error, where the report does not say it already. */
static const struct {
	int error;
	const char *advice;
} advices[] = {
	{ EEXIST,	"The original itself may be there, running or not yet waited for: see\n"
			"\"ps -eL\". All IDs are free in a new pid namespace:\n"
			"\"unshare --fork --pid --mount-proc ckpt restart ...\"" },
	{ EPERM,	"Restart it as the user it belongs to. Its process ID needs\n"
			"CAP_CHECKPOINT_RESTORE, its clocks CAP_SYS_ADMIN and CAP_SYS_TIME; do\n"
			"without the latter by --host-clocks." },
	{ EBADMSG,	"\"ckpt verify\" shows what is damaged." },
	{ ENOEXEC,	"\"ckpt info\" shows from which machine it is." },
	{ EOPNOTSUPP,	"It was written by a newer kernel, and needs one like that." },
};

static const char *advice(int error)
{
	size_t i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (advices[i].error == error)
			return advices[i].advice;
	return NULL;
}

/* N, N:M, PID/N or PID/N:M */
static bool add_inherited_fd(struct arguments *args, char *text)
{
	char *colon = strchr(text, ':'), *slash = strchr(text, '/');
	long image_pid = 0, image_fd, caller_fd;

	if (colon)
		*colon++ = '\0';
	if (slash) {
		*slash++ = '\0';
		if (!parse_number(text, 1, PID_MAX_LIMIT, &image_pid))
			return false;
		text = slash;
	}
	if (!parse_number(text, 0, FD_MAX, &image_fd) ||
	    !parse_number(colon ? colon : text, 0, FD_MAX, &caller_fd))
		return false;
	args->fds = checked_realloc(args->fds, args->opts.nr_fds + 1,
				    sizeof(*args->fds));
	args->fds[args->opts.nr_fds++] = (struct ckpt_inherited_fd){
		.image_fd = image_fd,
		.caller_fd = caller_fd,
		.image_pid = image_pid,
	};
	args->opts.fds = args->fds;
	return true;
}

/* Options that make no sense together; NULL if there is none */
static const char *wrong_options(const struct arguments *args)
{
	if (args->parents && args->parent_dirs)
		return "--parent and --parent-dir exclude each other";
	if (args->latest && args->parents)
		return "--latest looks for parents itself, or in --parent-dir";
	if (!args->latest && (args->all || args->name || args->pid))
		return "--all, --name and --pid need --latest";
	if (strcmp(args->file, "-"))
		return NULL;
	if (args->latest)
		return "--latest needs a directory";
	return args->parent_dirs ? "FILE \"-\" needs --parent, not --parent-dir" : NULL;
}

/* Returns -1, or an exit status where there is nothing more to do. */
static int parse_arguments(struct arguments *args, int argc, char **argv)
{
	const char *command = argv[0], *wrong;
	int c;

	while ((c = getopt_long(argc, argv, "dh", options, NULL)) >= 0) {
		switch (c) {
		case 'd':
			args->detach = true;
			break;
		case OPTION_INHERIT_FD:
			if (!add_inherited_fd(args, optarg))
				return usage_error(command, "bad descriptors \"%s\"", optarg);
			break;
		case OPTION_HOST_CLOCKS:
			args->opts.flags |= CKPT_RESTART_HOST_CLOCKS;
			break;
		case OPTION_LEAVE_STOPPED:
			args->opts.flags |= CKPT_RESTART_LEAVE_STOPPED;
			break;
		case OPTION_PARENT:
			args->parents = add_string(args->parents, optarg);
			break;
		case OPTION_PARENT_DIR:
			args->parent_dirs = add_string(args->parent_dirs, optarg);
			break;
		case OPTION_LATEST:
			args->latest = true;
			break;
		case OPTION_ALL:
			args->all = true;
			args->detach = true;
			break;
		case OPTION_NAME:
			args->name = optarg;
			break;
		case OPTION_PID:
			if (!parse_number(optarg, 1, PID_MAX_LIMIT, &args->pid))
				return usage_error(command, "bad process ID \"%s\"", optarg);
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
	if (argc - optind != 1)
		return usage_error(command, argc - optind < 1 ?
				   "too few arguments" : "too many arguments");
	args->file = argv[optind];
	wrong = wrong_options(args);
	if (wrong)
		return usage_error(command, "%s", wrong);
	args->opts.parent_dirs = args->parent_dirs;
	return -1;
}

/*
 * The image is read by the kernel only, from the descriptor as it is. One that is
 * standard input makes room for /dev/null, which the process gets in its place.
 */
static int open_image(const char *file)
{
	int fd, null_fd;

	if (strcmp(file, "-"))
		return open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd < 0)
		return -1;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
		return -1;
	close(null_fd);
	return fd;
}

/* Open the parents that were named. Says what fails. */
static bool open_parents(struct arguments *args)
{
	int *fds = NULL;
	size_t i;

	for (i = 0; args->parents && args->parents[i]; i++) {
		fds = checked_realloc(fds, i + 1, sizeof(*fds));
		fds[i] = open(args->parents[i], O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fds[i] < 0) {
			message("cannot open %s: %s", args->parents[i], strerror(errno));
			free(fds);
			return false;
		}
	}
	args->opts.parent_fds = fds;
	args->opts.nr_parent_fds = i;
	return true;
}

/* From a file, so that its parents can be looked for, unless they are known */
static pid_t restart_image(const struct arguments *args, int fd)
{
	struct stat st;

	if (args->latest || args->parents || !strcmp(args->file, "-") || fstat(fd, &st) ||
	    !S_ISREG(st.st_mode))
		return ckpt_restart(fd, &args->opts);
	return ckpt_restart_file(args->file, &args->opts);
}

static void print_json(struct json *json, const struct arguments *args, pid_t pid, int error)
{
	json_begin(json, NULL, '{');
	json_string(json, "file", args->file);
	json_bool(json, "restarted", !error);
	if (error) {
		json_string(json, "error", error_name(error));
		json_string(json, "message", strerror(error));
	} else {
		json_s64(json, "pid", pid);
	}
	json_report(json, args->opts.report);
	json_stats(json, ckpt_report_stats(args->opts.report));
	json_end(json, '}');
	fflush(json->out);
}

static void print_failure(const struct arguments *args, int error)
{
	if (error == ENOSYS) {
		message_no_kernel("restart(2)");
		return;
	}
	message("cannot restart %s: %s", args->file, strerror(error));
	print_report(stderr, args->opts.report);
	if (advice(error))
		fprintf(stderr, "%s\n", advice(error));
}

static void print_stats(const struct arguments *args, pid_t pid)
{
	const struct ckpt_stats *stats = ckpt_report_stats(args->opts.report);

	fprintf(stderr,
		"process %d restarted: %s in %s\n"
		"%s, %s, %s\n"
		"%s loaded, %s from parents; at most %s of kernel memory\n",
		(int)pid, format_bytes(stats->bytes), format_time(stats->total_ns),
		format_count(stats->threads, "thread"),
		format_count(stats->vmas, "memory area"),
		format_count(stats->files, "file"),
		format_count(stats->pages_here, "page"),
		format_count(stats->pages_parent, "page"),
		format_bytes(stats->kernel_bytes));
}

/* Signals that are passed on */
static const int forwarded[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT,
	SIGTSTP, SIGWINCH,
};

/* Those that ckpt was told to ignore, by nohup say, are not. */
static void block_signals(sigset_t *set)
{
	struct sigaction action;
	size_t i;

	/* Ignored, as the caller may have left it, it would not tell of the end. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGTTOU);	/* to take the terminal back */
	for (i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		if (!sigaction(forwarded[i], NULL, &action) &&
		    action.sa_handler != SIG_IGN)
			sigaddset(set, forwarded[i]);
	sigprocmask(SIG_BLOCK, set, NULL);
}

/*
 * The restarted process has its own copies of these descriptors by now. Keeping
 * ours would keep, say, the reader of a pipe waiting that the process closes.
 */
static void release_standard_fds(void)
{
	int fd, null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	fflush(stdout);
	fflush(stderr);
	if (null_fd < 0)
		return;
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null_fd, fd);
	if (null_fd > STDERR_FILENO)
		close(null_fd);
}

/*
 * A process that led a process group does so again, and then is not in that of
 * ckpt, which the shell put in the foreground: let it have the terminal, as a
 * shell would. fd is -1 where there is nothing to do.
 */
struct terminal {
	int fd;
	pid_t pgid;
};

static struct terminal open_terminal(pid_t pid)
{
	struct terminal terminal = { .fd = -1, .pgid = getpgid(pid) };

	if (terminal.pgid != getpgrp() && getsid(pid) == getsid(0))
		terminal.fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	return terminal;
}

/* From one process group to another; not if somebody else has it. */
static void pass_terminal(const struct terminal *terminal, pid_t from, pid_t to)
{
	if (terminal->fd >= 0 && tcgetpgrp(terminal->fd) == from)
		tcsetpgrp(terminal->fd, to);
}

static bool has_terminal(const struct terminal *terminal)
{
	return terminal->fd >= 0 && tcgetpgrp(terminal->fd) == terminal->pgid;
}

static void handle_stop(const struct terminal *terminal, int sig)
{
	/* It wanted the terminal before it could have it. */
	if ((sig == SIGTTIN || sig == SIGTTOU) && has_terminal(terminal)) {
		kill(-terminal->pgid, SIGCONT);
		return;
	}
	pass_terminal(terminal, terminal->pgid, getpgrp());
	raise(SIGSTOP);
}

static void handle_signal(const struct terminal *terminal, pid_t pid,
			  const siginfo_t *info)
{
	if (info->si_signo == SIGCONT) {
		pass_terminal(terminal, getpgrp(), terminal->pgid);
		kill(terminal->fd >= 0 ? -terminal->pgid : pid, SIGCONT);
		return;
	}
	/* What a terminal sends, all of its foreground process group has got. */
	if (info->si_code != SI_KERNEL || terminal->pgid != getpgrp())
		kill(pid, info->si_signo);
}

/* Wait for the process as a shell would, and stop when it stops. */
static int wait_for(pid_t pid, const sigset_t *signals, bool begins_stopped)
{
	struct terminal terminal = open_terminal(pid);
	siginfo_t info;
	int status;

	pass_terminal(&terminal, getpgrp(), terminal.pgid);
	for (;;) {
		while (waitpid(pid, &status, WNOHANG | WUNTRACED) == pid) {
			if (!WIFSTOPPED(status)) {
				pass_terminal(&terminal, terminal.pgid, getpgrp());
				return WIFEXITED(status) ? WEXITSTATUS(status) :
					128 + WTERMSIG(status);
			}
			if (!begins_stopped)
				handle_stop(&terminal, WSTOPSIG(status));
			begins_stopped = false;
		}
		if (sigwaitinfo(signals, &info) > 0 && info.si_signo != SIGCHLD &&
		    info.si_signo != SIGTTOU)
			handle_signal(&terminal, pid, &info);
	}
}

/* Make the process. Says what fails, and returns -1 then. */
static pid_t launch(const struct arguments *args, struct json *json, int fd, sigset_t *signals)
{
	pid_t pid;
	int error;

	/* Before there is anything that a signal could be meant for. */
	if (!args->detach)
		block_signals(signals);
	pid = restart_image(args, fd);
	error = pid < 0 ? errno : 0;
	if (args->json)
		print_json(json, args, pid, error);
	if (error)
		print_failure(args, error);
	else if (args->stats)
		print_stats(args, pid);
	return pid;
}

/* What is left to do for it; returns an exit status. */
static int attend(const struct arguments *args, pid_t pid, const sigset_t *signals)
{
	if (args->detach) {
		if (!args->json)
			printf("%d\n", (int)pid);
		return STATUS_OK;
	}
	if (args->opts.flags & CKPT_RESTART_LEAVE_STOPPED)
		message("process %d is stopped; \"kill -CONT %d\" lets it go on",
			(int)pid, (int)pid);
	release_standard_fds();
	return wait_for(pid, signals, args->opts.flags & CKPT_RESTART_LEAVE_STOPPED);
}

static int restart(struct arguments *args)
{
	struct json json = { .out = args->detach ? stdout : stderr };
	sigset_t signals;
	pid_t pid;
	int fd;

	fd = open_image(args->file);
	if (fd < 0) {
		message("cannot open %s: %s", args->file, strerror(errno));
		return STATUS_RESTART;
	}
	if (!open_parents(args))
		return STATUS_RESTART;
	pid = launch(args, &json, fd, &signals);
	close(fd);
	return pid < 0 ? STATUS_RESTART : attend(args, pid, &signals);
}

/* ---- --latest ---- */

static void pass_over(const char *path, const char *why)
{
	message("passed over %s: %s", path, why);
}

static bool is_wanted(const struct arguments *args, const struct lcr_job_image *image)
{
	const char *comm = (const char *)image->header.comm;

	if (args->pid && args->pid != (long)image->pid)
		return false;
	/* Names of processes are cut off. */
	return !args->name || !strncmp(args->name, comm, sizeof(image->header.comm) - 1);
}

/*
 * Jobs that are restarted together have no terminal: they get /dev/null in its place,
 * and ckpt goes on to use what it was given.
 */
static void give_null_fds(void)
{
	const int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	const int err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	FILE *new_out = out < 0 ? NULL : fdopen(out, "w");
	FILE *new_err = err < 0 ? NULL : fdopen(err, "w");

	if (new_out)
		stdout = new_out;
	if (new_err) {
		setvbuf(new_err, NULL, _IONBF, 0);
		stderr = new_err;
	}
	release_standard_fds();
}

/* From the newest image of a chain, all of which is open */
static pid_t launch_chain(struct arguments *args, struct json *json,
			  const struct ckpt_chain *chain, sigset_t *signals)
{
	const struct ckpt_chain_image *image = ckpt_chain_image(chain, 0), *parent;
	int *fds = NULL;
	size_t i;
	pid_t pid;

	for (i = 0; (parent = ckpt_chain_image(chain, i + 1)); i++) {
		fds = checked_realloc(fds, i + 1, sizeof(*fds));
		fds[i] = parent->fd;
	}
	args->file = image->path;
	args->opts.parent_fds = fds;
	args->opts.nr_parent_fds = i;
	pid = launch(args, json, image->fd, signals);
	args->opts.parent_fds = NULL;
	free(fds);
	return pid;
}

/* The job that the image is the newest of; -1 if there is none then */
static pid_t launch_job(struct arguments *args, struct json *json, const struct lcr_jobs *jobs,
			size_t i, sigset_t *signals)
{
	struct ckpt_chain *chain = lcr_jobs_chain(jobs, i, args->parent_dirs);
	const struct lcr_job_image *image = &jobs->images[i];
	pid_t pid;

	if (!chain) {
		message("cannot restart process %u (%s):"
			" it has no image that is complete and undamaged",
			image->pid, (const char *)image->header.comm);
		return -1;
	}
	pid = launch_chain(args, json, chain, signals);
	ckpt_chain_close(chain);
	return pid;
}

/* Each job; returns an exit status. */
static int restart_all(struct arguments *args, const struct lcr_jobs *jobs)
{
	struct json json = { };
	int status = STATUS_OK;
	size_t i;
	pid_t pid;

	give_null_fds();
	json.out = stdout;
	if (args->json)
		json_begin(&json, NULL, '[');
	for (i = 0; i < jobs->nr_images; i++) {
		if (!jobs->images[i].newest || !is_wanted(args, &jobs->images[i]))
			continue;
		pid = launch_job(args, &json, jobs, i, NULL);
		if (pid < 0)
			status = STATUS_RESTART;
		else
			attend(args, pid, NULL);
	}
	if (args->json)
		json_end(&json, ']');
	return status;
}

/* The newest of the jobs that are wanted: -1 if there is none */
static ssize_t choose_job(const struct arguments *args, const struct lcr_jobs *jobs)
{
	size_t i, others = 0;
	ssize_t chosen = -1;

	for (i = 0; i < jobs->nr_images; i++) {
		if (!jobs->images[i].newest || !is_wanted(args, &jobs->images[i]))
			continue;
		if (chosen < 0)
			chosen = i;
		else
			others++;
	}
	if (others)
		message("the newest job is process %u (%s);"
			" for the %s in %s there are --all, --name and --pid",
			jobs->images[chosen].pid,
			(const char *)jobs->images[chosen].header.comm,
			format_count(others, "other"), args->file);
	return chosen;
}

static int restart_latest(struct arguments *args)
{
	struct json json = { .out = args->detach ? stdout : stderr };
	struct lcr_jobs jobs;
	sigset_t signals;
	pid_t pid = -1;
	ssize_t i;
	int status;

	if (lcr_jobs_read(&jobs, args->file, pass_over)) {
		message("cannot read %s: %s", args->file, strerror(errno));
		return STATUS_RESTART;
	}
	if (args->all) {
		status = restart_all(args, &jobs);
		lcr_jobs_free(&jobs);
		return status;
	}
	i = choose_job(args, &jobs);
	if (i >= 0)
		pid = launch_job(args, &json, &jobs, i, &signals);
	else
		message("there is no image in %s to restart a job from", args->file);
	lcr_jobs_free(&jobs);
	return pid < 0 ? STATUS_RESTART : attend(args, pid, &signals);
}

int command_restart(int argc, char **argv)
{
	struct arguments args = { .opts.size = sizeof(args.opts) };
	int status;

	status = parse_arguments(&args, argc, argv);
	if (status < 0) {
		args.opts.report = ckpt_report_new(0);
		if (!args.opts.report)
			out_of_memory();
		status = args.latest ? restart_latest(&args) : restart(&args);
	}
	ckpt_report_free(args.opts.report);
	free((int *)args.opts.parent_fds);
	free(args.parents);
	free(args.parent_dirs);
	free(args.fds);
	return status;
}
