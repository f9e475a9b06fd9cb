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

void message_no_kernel(const char *call)
{
	struct utsname name;

	message("this kernel (%s) has no %s(2): boot one with linux-cr and CONFIG_CKPT=y",
		uname(&name) ? "?" : name.release, call);
}

bool parse_number(const char *text, long min, long max, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, 10);
	return !errno && end != text && !*end && *number >= min && *number <= max;
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
