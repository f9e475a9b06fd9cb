// SPDX-License-Identifier: GPL-2.0
/* Output for people and, as JSON, for programs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../src/internal.h"
#include "ckpt.h"

void print_text(FILE *out, const char *indent, const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		unsigned char c = *text;

		if (line_start)
			fputs(indent, out);
		line_start = c == '\n';
		if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
}

/* The next of a few buffers, so that one printf() can use several. */
static char *next_buffer(size_t *size)
{
	static char buffers[12][48];
	static unsigned int last;

	*size = sizeof(buffers[0]);
	return buffers[last++ % 12];
}

const char *format_bytes(uint64_t bytes)
{
	static const char * const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double value = bytes;
	size_t unit = 0, size;
	char *buffer = next_buffer(&size);

	while (value >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1024;
		unit++;
	}
	snprintf(buffer, size, "%.*f %s", unit ? 1 : 0, value, units[unit]);
	return buffer;
}

const char *format_time(uint64_t ns)
{
	size_t size;
	char *buffer = next_buffer(&size);

	if (ns < 1000000)
		snprintf(buffer, size, "%.1f us", ns / 1e3);
	else if (ns < 1000000000)
		snprintf(buffer, size, "%.1f ms", ns / 1e6);
	else
		snprintf(buffer, size, "%.2f s", ns / 1e9);
	return buffer;
}

const char *format_duration(uint64_t ms)
{
	const unsigned int seconds = ms / 1000 % 60, minutes = ms / 60000 % 60;
	const uint64_t hours = ms / 3600000;
	size_t size;
	char *buffer = next_buffer(&size);

	if (ms < 1000)
		snprintf(buffer, size, "%" PRIu64 "ms", ms);
	else if (ms < 60000)
		snprintf(buffer, size, "%" PRIu64 ".%us", ms / 1000,
			 (unsigned int)(ms % 1000 / 100));
	else if (!hours)
		snprintf(buffer, size, "%um%02us", minutes, seconds);
	else if (hours < 24)
		snprintf(buffer, size, "%uh%02um", (unsigned int)hours, minutes);
	else
		snprintf(buffer, size, "%" PRIu64 "d%02uh", hours / 24,
			 (unsigned int)(hours % 24));
	return buffer;
}

const char *format_count(uint64_t count, const char *noun)
{
	size_t size;
	char *buffer = next_buffer(&size);

	snprintf(buffer, size, "%" PRIu64 " %s%s", count, noun, count == 1 ? "" : "s");
	return buffer;
}

const char *format_uuid(const uint8_t *uuid)
{
	size_t size;

	return lcr_uuid_text(uuid, next_buffer(&size));
}

const char *format_date(uint64_t ns, bool iso)
{
	time_t seconds = ns / 1000000000;
	size_t size, n;
	char *buffer = next_buffer(&size);
	struct tm tm;

	if (!(iso ? gmtime_r(&seconds, &tm) : localtime_r(&seconds, &tm)))
		return "?";
	n = strftime(buffer, size, iso ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm);
	n += snprintf(buffer + n, size - n, ".%06" PRIu64, ns / 1000 % 1000000);
	strftime(buffer + n, size - n, iso ? "Z" : " %z", &tm);
	return buffer;
}

void print_report(FILE *out, const struct ckpt_report *report)
{
	const char *text = ckpt_report_text(report);
	size_t length = strlen(text);

	print_text(out, "  ", text);
	if (length && text[length - 1] != '\n')
		fputc('\n', out);
	if (ckpt_report_truncated(report))
		fprintf(out, "  ... (%" PRIu64 " bytes in all)\n",
			ckpt_report_stats(report)->log_bytes);
}

/* Length of the UTF-8 character at @text, 0 if it is not valid. */
static size_t utf8_length(const unsigned char *text)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length, i;
	uint32_t code;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc0 && text[0] < 0xe0)
		length = 2;
	else if (text[0] >= 0xe0 && text[0] < 0xf0)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] < 0xf8)
		length = 4;
	else
		return 0;
	code = text[0] & (0x7f >> length);
	for (i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < smallest[length] || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	return length;
}

/* What is not UTF-8 is taken as Latin-1, byte by byte. */
static void json_quote(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t length;

	fputc('"', out);
	for (; *p; p += length) {
		length = utf8_length(p);
		if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if (!length || *p < ' ' || *p == 0x7f)
			fprintf(out, "\\u%04x", *p);
		else
			fwrite(p, 1, length, out);
		if (!length)
			length = 1;
	}
	fputc('"', out);
}

static void json_key(struct json *json, const char *key)
{
	if (json->depth) {
		fprintf(json->out, "%s\n%*s", json->empty ? "" : ",",
			2 * json->depth, "");
		if (key) {
			json_quote(json->out, key);
			fputs(": ", json->out);
		}
	}
	json->empty = false;
}

void json_begin(struct json *json, const char *key, char bracket)
{
	json_key(json, key);
	fputc(bracket, json->out);
	json->depth++;
	json->empty = true;
}

void json_end(struct json *json, char bracket)
{
	json->depth--;
	if (!json->empty)
		fprintf(json->out, "\n%*s", 2 * json->depth, "");
	fputc(bracket, json->out);
	json->empty = false;
	if (!json->depth)
		fputc('\n', json->out);
}

void json_string(struct json *json, const char *key, const char *text)
{
	json_key(json, key);
	json_quote(json->out, text);
}

void json_u64(struct json *json, const char *key, uint64_t value)
{
	json_key(json, key);
	fprintf(json->out, "%" PRIu64, value);
}

void json_s64(struct json *json, const char *key, int64_t value)
{
	json_key(json, key);
	fprintf(json->out, "%" PRId64, value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	json_key(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json_stats(struct json *json, const struct ckpt_stats *stats)
{
	json_begin(json, "stats", '{');
	json_u64(json, "total_ns", stats->total_ns);
	json_u64(json, "freeze_ns", stats->freeze_ns);
	json_u64(json, "bytes", stats->bytes);
	json_u64(json, "records", stats->records);
	json_u64(json, "threads", stats->threads);
	json_u64(json, "vmas", stats->vmas);
	json_u64(json, "files", stats->files);
	json_u64(json, "pages_here", stats->pages_here);
	json_u64(json, "pages_zero", stats->pages_zero);
	json_u64(json, "pages_parent", stats->pages_parent);
	json_u64(json, "kernel_bytes", stats->kernel_bytes);
	json_end(json, '}');
}

void json_lines(struct json *json, const char *key, const char *lines)
{
	char *text = strdup(lines);
	char *line, *rest = text;

	json_begin(json, key, '[');
	while (text && (line = strsep(&rest, "\n")))
		if (*line)
			json_string(json, NULL, line);
	json_end(json, ']');
	free(text);
}

void json_report(struct json *json, const struct ckpt_report *report)
{
	json_lines(json, "report", ckpt_report_text(report));
}

const char *error_name(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "unknown";
}
