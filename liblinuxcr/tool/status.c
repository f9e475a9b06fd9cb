// SPDX-License-Identifier: GPL-2.0
/* ckpt status */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../src/internal.h"
#include "ckpt.h"

#define WATCH_SECONDS	1

struct arguments {
	pid_t *pids;		/* those named */
	size_t nr_pids;
	bool json;
	bool watch;
};

enum {
	OPTION_JSON = 0x100,
	OPTION_WATCH,
};

static const struct option options[] = {
	{ "json",	no_argument,	NULL, OPTION_JSON },
	{ "watch",	no_argument,	NULL, OPTION_WATCH },
	{ "help",	no_argument,	NULL, 'h' },
	{ }
};

/* Returns -1, or an exit status where there is nothing more to do. */
static int parse_arguments(struct arguments *args, int argc, char **argv)
{
	const char *command = argv[0];
	long pid;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case OPTION_JSON:
			args->json = true;
			break;
		case OPTION_WATCH:
			args->watch = true;
			break;
		case 'h':
			return show_help(command);
		default:
			return usage_hint(command);
		}
	}
	if (args->json && args->watch)
		return usage_error(command, "--json and --watch exclude each other");
	for (; optind < argc; optind++) {
		if (!parse_number(argv[optind], 1, PID_MAX_LIMIT, &pid))
			return usage_error(command, "bad process ID \"%s\"", argv[optind]);
		args->pids = checked_realloc(args->pids, args->nr_pids + 1,
					     sizeof(*args->pids));
		args->pids[args->nr_pids++] = pid;
	}
	return -1;
}

/* Is there more to say of it than of any process? */
static bool interesting(const struct ckpt_auto_status *status)
{
	return status->takes_part || status->interval_ms || status->mtbf_s ||
	       status->requests || status->images || status->failed || *status->pattern;
}

/* "12.3s ago" */
static const char *age(uint64_t time_ns)
{
	static char text[64];
	struct timespec now;
	uint64_t now_ns;

	clock_gettime(CLOCK_REALTIME, &now);
	now_ns = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
	snprintf(text, sizeof(text), "%s ago",
		 format_duration(now_ns > time_ns ? (now_ns - time_ns) / 1000000 : 0));
	return text;
}

/* The first line of a text from outside */
static void print_line(const char *text)
{
	char *line = strndup(text, strcspn(text, "\n"));

	if (!line)
		out_of_memory();
	print_text(stdout, "", line);
	putchar('\n');
	free(line);
}

static void print_heading(void)
{
	printf("%7s %-15s %-9s %7s %7s %7s %6s %10s %8s  %s\n", "PID", "COMMAND", "STATE",
	       "EVERY", "NEXT", "IMAGES", "FAILED", "SIZE", "FROZEN", "LAST");
}

static void print_row(pid_t pid, const struct ckpt_auto_status *status)
{
	printf("%7d ", (int)pid);
	print_text(stdout, "", process_comm(pid));
	printf("%*s %-9s %7s %7s %7" PRIu64 " %6" PRIu64,
	       15 - (int)strlen(process_comm(pid)), "", lcr_auto_state(status->state),
	       status->interval_now_ms ? format_duration(status->interval_now_ms) : "-",
	       status->next_ms >= 0 ? format_duration(status->next_ms) : "-",
	       status->images, status->failed);
	printf(" %10s %8s  ", status->images ? format_bytes(status->last_bytes) : "-",
	       status->images ? format_time(status->last_freeze_ns) : "-");
	if (status->last_error) {
		printf("%s: ", error_name(status->last_error));
		print_line(status->report);
	} else if (status->images) {
		printf("%s, ", age(status->last_time_ns));
		print_line(status->last_image);
	} else {
		puts("-");
	}
}

static void print_settings(const struct ckpt_auto_status *status)
{
	if (status->interval_ms)
		printf("automatic  every %s\n", format_duration(status->interval_ms));
	else if (status->mtbf_s)
		printf("automatic  every %s, for a failure every %s\n",
		       format_duration(status->interval_now_ms),
		       format_duration(status->mtbf_s * 1000));
	else
		puts("automatic  no");
	printf("images     each %s a full one, ", status->full_every > 1 ?
	       format_count(status->full_every, "image") : "of them");
	if (status->keep)
		printf("%s kept", format_count(status->keep, "chain"));
	else
		fputs("all kept", stdout);
	printf("; tracker %s%s%s\n", lcr_tracker_names[status->tracker],
	       status->across_exec ? "; across execve(2)" : "",
	       status->remove_at_exit == 1 ? "; removed at exit with status 0" :
	       status->remove_at_exit ? "; removed at its end" : "");
	fputs("pattern    ", stdout);
	print_line(*status->pattern ? status->pattern : "that of kernel.checkpoint_pattern");
}

static void print_details(pid_t pid, const struct ckpt_auto_status *status)
{
	fputs("process    ", stdout);
	print_line(process_name(pid));
	printf("takes part %s\n", status->takes_part ? "yes" : "no");
	print_settings(status);
	printf("state      %s", lcr_auto_state(status->state));
	if (status->next_ms >= 0)
		printf(", the next one in %s", format_duration(status->next_ms));
	printf("\ncounts     %s, %" PRIu64 " coalesced; %s, %s; %" PRIu64
	       " failed, the last %" PRIu64 " in a row\n",
	       format_count(status->requests, "request"), status->coalesced,
	       format_count(status->images, "image"), format_bytes(status->bytes),
	       status->failed, status->failures_in_a_row);
	if (status->images) {
		fputs("last image ", stdout);
		print_line(status->last_image);
		printf("           %s, %s: %s in %s, frozen for %s (usually %s)\n",
		       format_uuid(status->last_uuid),
		       age(status->last_time_ns), format_bytes(status->last_bytes),
		       format_time(status->last_total_ns),
		       format_time(status->last_freeze_ns), format_time(status->cost_ns));
		printf("chain      %s; the next is number %" PRIu64 "\n",
		       format_count(status->images_in_chain, "image"), status->next_number);
	}
	if (status->last_error)
		printf("failure    %s\n", strerror(status->last_error));
	print_text(stdout, "           ", status->report);
}

static void json_status(struct json *json, pid_t pid, const struct ckpt_auto_status *status)
{
	json_begin(json, NULL, '{');
	json_s64(json, "pid", pid);
	json_string(json, "comm", process_comm(pid));
	json_bool(json, "takes_part", status->takes_part);
	json_u64(json, "interval_ms", status->interval_ms);
	json_u64(json, "mtbf_s", status->mtbf_s);
	json_u64(json, "full_every", status->full_every);
	json_u64(json, "keep", status->keep);
	json_string(json, "tracker", lcr_tracker_names[status->tracker]);
	json_bool(json, "across_exec", status->across_exec);
	json_u64(json, "remove_at_exit", status->remove_at_exit);
	json_string(json, "pattern", status->pattern);
	json_string(json, "state", lcr_auto_state(status->state));
	json_u64(json, "interval_now_ms", status->interval_now_ms);
	json_s64(json, "next_ms", status->next_ms);
	json_u64(json, "requests", status->requests);
	json_u64(json, "coalesced", status->coalesced);
	json_u64(json, "images", status->images);
	json_u64(json, "failed", status->failed);
	json_u64(json, "failures_in_a_row", status->failures_in_a_row);
	json_u64(json, "next_number", status->next_number);
	json_u64(json, "images_in_chain", status->images_in_chain);
	json_u64(json, "bytes", status->bytes);
	json_u64(json, "cost_ns", status->cost_ns);
	if (status->images) {
		json_u64(json, "last_bytes", status->last_bytes);
		json_u64(json, "last_freeze_ns", status->last_freeze_ns);
		json_u64(json, "last_total_ns", status->last_total_ns);
		json_string(json, "last_time", format_date(status->last_time_ns, true));
		json_string(json, "last_uuid", format_uuid(status->last_uuid));
		json_string(json, "last_image", status->last_image);
	}
	if (status->last_error)
		json_string(json, "last_error", error_name(status->last_error));
	json_lines(json, "report", status->report);
	json_end(json, '}');
}

/* One process: one that was not named need not be worth it, or be there any more. */
static int show_process(pid_t pid, struct json *json, bool named)
{
	struct ckpt_auto_status status = { .size = sizeof(status) };
	struct ckpt_auto *handle = ckpt_auto_open(pid);
	int ret = handle ? ckpt_auto_read(handle, &status) : -1;

	if (ret && named && errno == ENOSYS)
		message_no_kernel("automatic checkpoints");
	else if (ret && named)
		message("cannot see the checkpoints of process %s: %s",
			process_name(pid), strerror(errno));
	if (!ret && (named || interesting(&status))) {
		if (json)
			json_status(json, pid, &status);
		else if (named)
			print_details(pid, &status);
		else
			print_row(pid, &status);
	}
	ckpt_auto_close(handle);
	return ret;
}

static int compare_pids(const void *left, const void *right)
{
	const pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;

	return a < b ? -1 : a > b;
}

/* The processes there are. Returns their number. */
static size_t list_processes(pid_t **pids)
{
	struct dirent *entry;
	size_t count = 0;
	DIR *stream;
	long pid;

	stream = opendir("/proc");
	while (stream && (entry = readdir(stream))) {
		if (!parse_number(entry->d_name, 1, PID_MAX_LIMIT, &pid))
			continue;
		*pids = checked_realloc(*pids, count + 1, sizeof(**pids));
		(*pids)[count++] = pid;
	}
	if (stream)
		closedir(stream);
	qsort(*pids, count, sizeof(**pids), compare_pids);
	return count;
}

static int show_all(struct json *json)
{
	pid_t *pids = NULL;
	size_t i, count = list_processes(&pids);
	struct ckpt_auto *handle = ckpt_auto_open(0);

	if (!handle && errno == ENOSYS) {
		message_no_kernel("automatic checkpoints");
		free(pids);
		return STATUS_FAILED;
	}
	ckpt_auto_close(handle);
	if (!json)
		print_heading();
	for (i = 0; i < count; i++)
		show_process(pids[i], json, false);
	free(pids);
	return STATUS_OK;
}

static int show(const struct arguments *args)
{
	struct json json = { .out = stdout }, *j = args->json ? &json : NULL;
	int status = STATUS_OK;
	size_t i;

	if (j)
		json_begin(j, NULL, '[');
	if (!args->nr_pids)
		status = show_all(j);
	for (i = 0; i < args->nr_pids; i++) {
		if (i && !j)
			putchar('\n');
		if (show_process(args->pids[i], j, true))
			status = STATUS_FAILED;
	}
	if (j)
		json_end(j, ']');
	return status;
}

/* Until it is interrupted, or those named have ended, or nobody looks any more */
static int watch(const struct arguments *args)
{
	int status;

	for (;;) {
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		status = show(args);
		if (fflush(stdout) || status != STATUS_OK)
			return status;
		sleep(WATCH_SECONDS);
	}
}

int command_status(int argc, char **argv)
{
	struct arguments args = { };
	int status;

	status = parse_arguments(&args, argc, argv);
	if (status < 0)
		status = args.watch ? watch(&args) : show(&args);
	free(args.pids);
	return status;
}
