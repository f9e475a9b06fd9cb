// SPDX-License-Identifier: GPL-2.0
/* Messages, command lines, memory. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "ckpt.h"

void message(const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	fputs("ckpt: ", stderr);
	print_text(stderr, "", text ? text : "out of memory");
	fputc('\n', stderr);
	free(text);
}

int usage_hint(const char *command)
{
	fprintf(stderr, "Try \"ckpt%s%s --help\".\n", *command ? " " : "", command);
	return STATUS_USAGE;
}

int usage_error(const char *command, const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	message("%s", text ? text : "wrong usage");
	free(text);
	return usage_hint(command);
}

void message_no_kernel(const char *what)
{
	struct utsname name;

	message("this kernel (%s) has no %s: boot one with linux-cr and CONFIG_CKPT=y",
		uname(&name) ? "?" : name.release, what);
}

bool parse_number(const char *text, long min, long max, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, 10);
	return !errno && end != text && !*end && *number >= min && *number <= max;
}

bool parse_duration(const char *text, uint64_t *ms)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {
		{ "ms", 1 }, { "", 1000 }, { "s", 1000 }, { "m", 60e3 }, { "h", 3600e3 },
		{ "d", 24 * 3600e3 },
	};
	double value;
	char *end;
	size_t i;

	/* Not what strtod() takes beyond that: signs, infinity, hexadecimal numbers */
	if (strspn(text, "0123456789.") == 0 || strpbrk(text, "xXeE"))
		return false;
	value = strtod(text, &end);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name))
			continue;
		value *= units[i].ms;
		if (end == text || !(value >= 1 && value <= UINT32_MAX * 1000.0))
			return false;
		*ms = value + 0.5;
		return true;
	}
	return false;
}

const char *process_name(pid_t pid)
{
	static char text[64];
	const char *comm = process_comm(pid);

	if (*comm)
		snprintf(text, sizeof(text), "%d (%s)", (int)pid, comm);
	else
		snprintf(text, sizeof(text), "%d", (int)pid);
	return text;
}

const char *process_comm(pid_t pid)
{
	static char comm[32];
	char path[32];
	FILE *file;

	comm[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (file) {
		if (!fgets(comm, sizeof(comm), file))
			comm[0] = '\0';
		comm[strcspn(comm, "\n")] = '\0';
		fclose(file);
	}
	return comm;
}

void out_of_memory(void)
{
	message("out of memory");
	exit(STATUS_FAILED);
}

const char **add_string(const char **strings, const char *string)
{
	size_t count = 0;

	while (strings && strings[count])
		count++;
	strings = checked_realloc(strings, count + 2, sizeof(*strings));
	strings[count] = string;
	strings[count + 1] = NULL;
	return strings;
}

const char *chain_message(const char *file, const char *text)
{
	int saved_errno = errno;
	char *path = realpath(file, NULL);
	const size_t length = path ? strlen(path) : 0;
	struct stat st;

	if (path && text && !lstat(file, &st) && !S_ISLNK(st.st_mode) &&
	    !strncmp(text, path, length) && !strncmp(text + length, ": ", 2))
		text += length + 2;
	free(path);
	errno = saved_errno;
	return text;
}

const char *file_trouble(int error)
{
	if (error == ELOOP)
		return " (it is a symbolic link)";
	return error == EINVAL ? " (it is not a regular file)" : "";
}

void *checked_realloc(void *memory, size_t count, size_t size)
{
	void *new = reallocarray(memory, count, size);

	if (!new)
		out_of_memory();
	return new;
}
