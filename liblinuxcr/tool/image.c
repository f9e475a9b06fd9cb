// SPDX-License-Identifier: GPL-2.0
/* ckpt info and ckpt verify */
#include <elf.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/checkpoint_image.h>

#include "ckpt.h"
#include "image.h"

struct arguments {
	char **files;
	int nr_files;
	bool records;
	bool quiet;
	bool json;
};

enum {
	OPTION_RECORDS = 0x100,
	OPTION_JSON,
};

static const struct option info_options[] = {
	{ "records",	no_argument,	NULL, OPTION_RECORDS },
	{ "json",	no_argument,	NULL, OPTION_JSON },
	{ "help",	no_argument,	NULL, 'h' },
	{ }
};

static const struct option verify_options[] = {
	{ "quiet",	no_argument,	NULL, 'q' },
	{ "json",	no_argument,	NULL, OPTION_JSON },
	{ "help",	no_argument,	NULL, 'h' },
	{ }
};

static struct ckpt_image *open_image(const char *file, unsigned int flags,
				     char **error)
{
	if (strcmp(file, "-"))
		return ckpt_image_open(file, flags, error);
	return ckpt_image_fdopen(STDIN_FILENO, flags, error);
}

static const char *arch_name(uint32_t arch)
{
	static char number[24];

	if (arch == EM_X86_64)
		return "x86_64";
	if (arch == EM_AARCH64)
		return "aarch64";
	snprintf(number, sizeof(number), "ELF machine %" PRIu32, arch);
	return number;
}

static const char *format_uuid(const uint8_t *uuid)
{
	static char text[CKPT_UUID_SIZE * 2 + 5];
	char *p = text;
	size_t i;

	for (i = 0; i < CKPT_UUID_SIZE; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", uuid[i]);
	}
	return text;
}

/* Nanoseconds since 1970 as local time, or for programs as UTC */
static const char *format_date(uint64_t ns, bool iso)
{
	static char text[64];
	time_t seconds = ns / 1000000000;
	struct tm tm;
	size_t n;

	if (!(iso ? gmtime_r(&seconds, &tm) : localtime_r(&seconds, &tm)))
		return "?";
	n = strftime(text, sizeof(text), iso ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm);
	n += snprintf(text + n, sizeof(text) - n, ".%06" PRIu64, ns / 1000 % 1000000);
	strftime(text + n, sizeof(text) - n, iso ? "Z" : " %z", &tm);
	return text;
}

static void print_record(const struct ckpt_record *record,
			 const struct summary *summary)
{
	const char *name = ckpt_record_name(record->type);
	char type[16], *details;

	snprintf(type, sizeof(type), "0x%04" PRIx32, record->type);
	details = describe_record(record, summary);
	printf("%6" PRIu64 " %12" PRIu64 " %9" PRIu64 " %6" PRIu32 "  %-15s ",
	       record->number, record->offset, record->length, record->objref,
	       name ? name : type);
	if (!name)
		printf("unknown%s", record->flags & CKPT_REC_F_OPTIONAL ? ", optional" : "");
	print_text(stdout, "", details ? details : "");
	putchar('\n');
	free(details);
}

static void json_record(struct json *json, const struct ckpt_record *record,
			const struct summary *summary)
{
	const char *name = ckpt_record_name(record->type);
	char *details = describe_record(record, summary);

	json_begin(json, NULL, '{');
	json_u64(json, "number", record->number);
	json_u64(json, "offset", record->offset);
	json_u64(json, "length", record->length);
	json_u64(json, "type", record->type);
	if (name)
		json_string(json, "name", name);
	json_u64(json, "version", record->version);
	json_bool(json, "optional", record->flags & CKPT_REC_F_OPTIONAL);
	json_u64(json, "objref", record->objref);
	if (details && *details)
		json_string(json, "description", details);
	json_end(json, '}');
	free(details);
}

static void print_header(const char *file, const struct ckpt_header *header)
{
	printf("image      ");
	print_text(stdout, "", file);
	printf("\nformat     version %" PRIu32 ", %s, pages of %" PRIu32 " bytes\n",
	       header->version, arch_name(header->arch), header->page_size);
	printf("uuid       %s\n", format_uuid(header->uuid));
	if (header->sequence)
		printf("parent     %s, increment %" PRIu64 "\n",
		       format_uuid(header->parent_uuid), (uint64_t)header->sequence);
	printf("taken      %s\n", format_date(header->time_ns, false));
	printf("on         ");
	print_text(stdout, "", (const char *)header->hostname);
	printf(", Linux ");
	print_text(stdout, "", (const char *)header->release);
	putchar('\n');
}

static void json_header(struct json *json, const struct ckpt_header *header)
{
	json_begin(json, "header", '{');
	json_u64(json, "version", header->version);
	json_string(json, "arch", arch_name(header->arch));
	json_u64(json, "page_size", header->page_size);
	json_string(json, "uuid", format_uuid(header->uuid));
	if (header->sequence)
		json_string(json, "parent_uuid", format_uuid(header->parent_uuid));
	json_u64(json, "sequence", header->sequence);
	json_string(json, "time", format_date(header->time_ns, true));
	json_u64(json, "time_ns", header->time_ns);
	json_u64(json, "monotonic_ns", header->monotonic_ns);
	json_u64(json, "boottime_ns", header->boottime_ns);
	json_u64(json, "vdso_crc", header->vdso_crc);
	json_u64(json, "vdso_size", header->vdso_size);
	json_u64(json, "xfeatures", header->xfeatures);
	json_u64(json, "tasks", header->nr_tasks);
	json_string(json, "release", (const char *)header->release);
	json_string(json, "hostname", (const char *)header->hostname);
	json_string(json, "comm", (const char *)header->comm);
	json_end(json, '}');
}

/* Only now, since records may refer to later ones. */
static void print_records(const struct summary *summary)
{
	const struct ckpt_record *record;
	size_t i;

	printf("\nnumber       offset    length object  type\n");
	for (i = 0; (record = summary_record(summary, i)); i++)
		print_record(record, summary);
	putchar('\n');
}

static void json_records(struct json *json, const struct summary *summary)
{
	const struct ckpt_record *record;
	size_t i;

	json_begin(json, "records", '[');
	for (i = 0; (record = summary_record(summary, i)); i++)
		json_record(json, record, summary);
	json_end(json, ']');
}

static void show_json(const struct arguments *args, const char *file,
		      const struct ckpt_image *image, const struct summary *summary)
{
	struct json json = { .out = stdout };
	const char *error = ckpt_image_error(image);

	json_begin(&json, NULL, '{');
	json_string(&json, "file", file);
	json_header(&json, ckpt_image_header(image));
	summary_json(&json, summary);
	if (args->records)
		json_records(&json, summary);
	json_bool(&json, "complete", !error);
	if (error)
		json_string(&json, "error", error);
	json_end(&json, '}');
}

/* Returns an exit status. */
static int show(const struct arguments *args, const char *file)
{
	const struct ckpt_record *record;
	struct ckpt_image *image;
	struct summary *summary;
	char *error;
	int ret;

	image = open_image(file, CKPT_IMAGE_SKIP_DATA, &error);
	if (!image) {
		message("%s: %s", file, error ? error : strerror(errno));
		free(error);
		return STATUS_FAILED;
	}
	summary = summary_new(ckpt_image_header(image), args->records);
	while ((ret = ckpt_image_next(image, &record)) > 0)
		summary_add(summary, record);

	if (args->json) {
		show_json(args, file, image, summary);
	} else {
		print_header(file, ckpt_image_header(image));
		if (args->records)
			print_records(summary);
		summary_print(summary);
	}
	if (ret)
		message("%s: %s", file, ckpt_image_error(image));
	summary_free(summary);
	ckpt_image_close(image);
	return ret ? STATUS_FAILED : STATUS_OK;
}

/* Returns an exit status. */
static int verify(const struct arguments *args, const char *file, struct json *json)
{
	struct ckpt_image *image;
	char *error = NULL;
	int ret;

	image = open_image(file, 0, &error);
	ret = image ? ckpt_image_verify(image) : -1;
	if (args->json) {
		json_begin(json, NULL, '{');
		json_string(json, "file", file);
		json_bool(json, "ok", !ret);
		if (ret) {
			json_string(json, "error", error_name(errno));
			json_string(json, "message", image ? ckpt_image_error(image) :
				    error ? error : strerror(errno));
		} else {
			json_string(json, "uuid",
				    format_uuid(ckpt_image_header(image)->uuid));
		}
		json_end(json, '}');
	} else if (ret && !args->quiet) {
		message("%s: %s", file, image ? ckpt_image_error(image) :
			error ? error : strerror(errno));
	} else if (!args->quiet) {
		print_text(stdout, "", file);
		puts(": complete and undamaged");
	}
	ckpt_image_close(image);
	free(error);
	return ret ? STATUS_FAILED : STATUS_OK;
}

/* Returns -1, or an exit status where there is nothing more to do. */
static int parse_arguments(struct arguments *args, int argc, char **argv,
			   const struct option *options, const char *letters)
{
	const char *command = argv[0];
	int c;

	while ((c = getopt_long(argc, argv, letters, options, NULL)) >= 0) {
		switch (c) {
		case OPTION_RECORDS:
			args->records = true;
			break;
		case OPTION_JSON:
			args->json = true;
			break;
		case 'q':
			args->quiet = true;
			break;
		case 'h':
			return show_help(command);
		default:
			return usage_hint(command);
		}
	}
	args->files = argv + optind;
	args->nr_files = argc - optind;
	if (!args->nr_files)
		return usage_error(command, "too few arguments");
	return -1;
}

int command_info(int argc, char **argv)
{
	struct arguments args = { };
	int status;

	status = parse_arguments(&args, argc, argv, info_options, "h");
	if (status >= 0)
		return status;
	if (args.nr_files > 1)
		return usage_error(argv[0], "too many arguments");
	return show(&args, args.files[0]);
}

int command_verify(int argc, char **argv)
{
	struct json json = { .out = stdout };
	struct arguments args = { };
	int i, status;

	status = parse_arguments(&args, argc, argv, verify_options, "hq");
	if (status >= 0)
		return status;
	status = STATUS_OK;
	if (args.json)
		json_begin(&json, NULL, '[');
	for (i = 0; i < args.nr_files; i++)
		if (verify(&args, args.files[i], &json))
			status = STATUS_FAILED;
	if (args.json)
		json_end(&json, ']');
	return status;
}
