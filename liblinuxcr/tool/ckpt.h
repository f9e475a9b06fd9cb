/* SPDX-License-Identifier: GPL-2.0 */
/* What the commands of ckpt share. */
#ifndef CKPT_TOOL_H
#define CKPT_TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "liblinuxcr.h"

/* Exit statuses; restart adds those of the restarted process. */
enum {
	STATUS_OK	= 0,
	STATUS_FAILED	= 1,
	STATUS_USAGE	= 2,
	STATUS_RESTART	= 125,	/* restart: there is no restarted process */
};

/* Each gets the arguments after its name, argv[0] being the name. */
int command_save(int argc, char **argv);
int command_restart(int argc, char **argv);
int command_check(int argc, char **argv);
int command_info(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_merge(int argc, char **argv);
int command_kill(int argc, char **argv);
int command_auto(int argc, char **argv);
int command_status(int argc, char **argv);

/* The help text of a command, and STATUS_OK */
int show_help(const char *command);

/* util.c */

/* "ckpt: " and the message on stderr */
__attribute__((format(printf, 1, 2)))
void message(const char *format, ...);

/* message(), the way to the help text, and STATUS_USAGE to return */
__attribute__((format(printf, 2, 3)))
int usage_error(const char *command, const char *format, ...);

/* For an option getopt_long() does not know: it has said so already. */
int usage_hint(const char *command);

/* A decimal number from @min to @max, or false */
bool parse_number(const char *text, long min, long max, long *number);

/* "10m", "1.5h", "500ms", "30" for seconds: at least 1 ms, at most 2^32 s; or false */
bool parse_duration(const char *text, uint64_t *ms);

/* What the kernel needs when it has not got what is ours */
void message_no_kernel(const char *what);

#define PID_MAX_LIMIT	(4L << 20)

/* "123 (name)" and "name", valid until the next call; "123" and "" if it is not there */
const char *process_name(pid_t pid);
const char *process_comm(pid_t pid);

__attribute__((noreturn))
void out_of_memory(void);

/* An allocation that does not fail */
void *checked_realloc(void *memory, size_t count, size_t size);

/* An array of strings that ends with NULL, one longer; empty if it is NULL */
const char **add_string(const char **strings, const char *string);

/*
 * What the library says of a chain, without the path of FILE where that is the image
 * itself and not a link to it. NULL if it says nothing.
 */
const char *chain_message(const char *file, const char *text);

/* saving.c */

struct lcr_save;
struct lcr_series;

/*
 * Begin a file, or the next image of a series, and end it: @good is whether it is to
 * stay. In between, signals end ckpt. @stops: a process may be stopped meanwhile.
 * There is one such file at a time, and no other after it. -1 or NULL with errno.
 */
struct lcr_save *saving_begin(const char *file, const struct lcr_series *series, bool stops);
int saving_end(bool good);

/* Why a file cannot be written, "" if errno says it all */
const char *file_trouble(int error);

/* output.c */

/* Text from outside: control characters as \xNN; each line begins with @indent */
void print_text(FILE *out, const char *indent, const char *text);

/* The following are valid until eleven more have been called. */

/* "1.5 MiB" for 1572864 */
const char *format_bytes(uint64_t bytes);

/* "12.3 ms" for 12345678 */
const char *format_time(uint64_t ns);

/* "500ms", "12.3s", "10m00s", "1h30m", "2d03h" */
const char *format_duration(uint64_t ms);

/* "2 pages" for 2 and "page" */
const char *format_count(uint64_t count, const char *noun);

/* "f218235b-76e3-45df-99d5-719461e75751" */
const char *format_uuid(const uint8_t *uuid);

/* Nanoseconds since 1970 as local time, or for programs as UTC */
const char *format_date(uint64_t ns, bool iso);

/* The report of a call, if there is one */
void print_report(FILE *out, const struct ckpt_report *report);

/* JSON: a value in an object has a key, one in an array has the key NULL. */
struct json {
	FILE *out;
	int depth;
	bool empty;	/* nothing in the object or array yet */
};

void json_begin(struct json *json, const char *key, char bracket);
void json_end(struct json *json, char bracket);
void json_string(struct json *json, const char *key, const char *text);
void json_u64(struct json *json, const char *key, uint64_t value);
void json_s64(struct json *json, const char *key, int64_t value);
void json_bool(struct json *json, const char *key, bool value);
void json_stats(struct json *json, const struct ckpt_stats *stats);
void json_report(struct json *json, const struct ckpt_report *report);

/* The lines of a text as an array */
void json_lines(struct json *json, const char *key, const char *lines);

/* "EPERM" for EPERM */
const char *error_name(int error);

#endif /* CKPT_TOOL_H */
