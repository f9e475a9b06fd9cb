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
	const char **parent_dirs;
	bool records;
	bool quiet;
	bool json;
};

enum {
	OPTION_RECORDS = 0x100,
	OPTION_PARENT_DIR,
	OPTION_JSON,
};

static const struct option info_options[] = {
	{ "records",	no_argument,		NULL, OPTION_RECORDS },
	{ "parent-dir",	required_argument,	NULL, OPTION_PARENT_DIR },
	{ "json",	no_argument,		NULL, OPTION_JSON },
	{ "help",	no_argument,		NULL, 'h' },
	{ }
};

static const struct option verify_options[] = {
	{ "quiet",	no_argument,		NULL, 'q' },
	{ "parent-dir",	required_argument,	NULL, OPTION_PARENT_DIR },
	{ "json",	no_argument,		NULL, OPTION_JSON },
	{ "help",	no_argument,		NULL, 'h' },
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

/* What can be read only once cannot be looked at as a chain. */
static bool is_stream(const char *file)
{
	struct stat st;

	return !strcmp(file, "-") || (!stat(file, &st) && !S_ISREG(st.st_mode));
}

/* The chain that an image ends, unless it comes from a pipe */
static struct ckpt_chain *open_chain(const struct arguments *args, const char *file,
				     char **error)
{
	*error = NULL;
	if (is_stream(file))
		return NULL;
	return ckpt_chain_open(file, args->parent_dirs, error);
}

static void print_chain(const struct ckpt_chain *chain)
{
	const struct ckpt_chain_image *image;
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; (image = ckpt_chain_image(chain, i)); i++)
		bytes += image->bytes;
	printf("chain      %zu images, %s\n"
	       "number  taken                            %10s %10s %10s %10s  file\n",
	       i, format_bytes(bytes), "size", "pages", "parent", "zero");
	for (i = 0; (image = ckpt_chain_image(chain, i)); i++) {
		printf("%6" PRIu64 "  %s %10s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "  ",
		       (uint64_t)image->header->sequence,
		       format_date(image->header->time_ns, false),
		       format_bytes(image->bytes), image->pages_here,
		       image->pages_parent, image->pages_zero);
		print_text(stdout, "", image->path);
		putchar('\n');
	}
}

static void json_chain(struct json *json, const struct ckpt_chain *chain)
{
	const struct ckpt_chain_image *image;
	size_t i;

	json_begin(json, "chain", '[');
	for (i = 0; (image = ckpt_chain_image(chain, i)); i++) {
		json_begin(json, NULL, '{');
		json_string(json, "file", image->path);
		json_string(json, "uuid", format_uuid(image->header->uuid));
		json_u64(json, "sequence", image->header->sequence);
		json_string(json, "time", format_date(image->header->time_ns, true));
		json_u64(json, "time_ns", image->header->time_ns);
		json_u64(json, "image_bytes", image->bytes);
		json_u64(json, "pages", image->pages_here);
		json_u64(json, "pages_parent", image->pages_parent);
		json_u64(json, "pages_zero", image->pages_zero);
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void show_json(const struct arguments *args, const char *file,
		      const struct ckpt_image *image, const struct summary *summary,
		      const struct ckpt_chain *chain, const char *chain_error)
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
	if (chain)
		json_chain(&json, chain);
	if (chain_error)
		json_string(&json, "chain_error", chain_error);
	json_end(&json, '}');
}

/* Returns an exit status. */
static int show(const struct arguments *args, const char *file)
{
	const struct ckpt_record *record;
	struct ckpt_chain *chain = NULL;
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
	error = NULL;
	if (!ret)
		chain = open_chain(args, file, &error);

	if (args->json) {
		show_json(args, file, image, summary, chain, chain_message(file, error));
	} else {
		print_header(file, ckpt_image_header(image));
		if (args->records)
			print_records(summary);
		summary_print(summary);
		if (chain && ckpt_chain_image(chain, 1))
			print_chain(chain);
	}
	if (ret)
		message("%s: %s", file, ckpt_image_error(image));
	else if (error)
		message("%s: %s", file, chain_message(file, error));
	ret = ret || error;
	summary_free(summary);
	ckpt_chain_close(chain);
	ckpt_image_close(image);
	free(error);
	return ret ? STATUS_FAILED : STATUS_OK;
}

/* What verify found out about an image */
struct verdict {
	int error;
	char *message;
	uint8_t uuid[CKPT_UUID_SIZE];
	uint64_t sequence;
	size_t nr_parents;
};

static void set_verdict(struct verdict *verdict, int error, const char *message)
{
	verdict->error = error;
	verdict->message = strdup(message ? message : strerror(error));
	if (!verdict->message)
		out_of_memory();
}

static void set_header(struct verdict *verdict, const struct ckpt_header *header)
{
	memcpy(verdict->uuid, header->uuid, sizeof(verdict->uuid));
	verdict->sequence = header->sequence;
}

/* An image without its parents */
static void verify_image(struct verdict *verdict, const char *file)
{
	struct ckpt_image *image;
	char *error = NULL;

	image = open_image(file, 0, &error);
	if (!image)
		set_verdict(verdict, errno, error);
	else if (ckpt_image_verify(image))
		set_verdict(verdict, errno, ckpt_image_error(image));
	else
		set_header(verdict, ckpt_image_header(image));
	ckpt_image_close(image);
	free(error);
}

static void verify_chain(struct verdict *verdict, const struct arguments *args,
			 const char *file)
{
	struct ckpt_chain *chain;
	char *error;

	chain = open_chain(args, file, &error);
	if (!chain)
		set_verdict(verdict, errno, chain_message(file, error));
	else if (ckpt_chain_verify(chain))
		set_verdict(verdict, errno, chain_message(file, ckpt_chain_error(chain)));
	else
		set_header(verdict, ckpt_chain_image(chain, 0)->header);
	while (chain && ckpt_chain_image(chain, verdict->nr_parents + 1))
		verdict->nr_parents++;
	ckpt_chain_close(chain);
	free(error);
}

static void json_verdict(struct json *json, const char *file, const struct verdict *verdict)
{
	json_begin(json, NULL, '{');
	json_string(json, "file", file);
	json_bool(json, "ok", !verdict->error);
	if (verdict->error) {
		json_string(json, "error", error_name(verdict->error));
		json_string(json, "message", verdict->message);
	} else {
		json_string(json, "uuid", format_uuid(verdict->uuid));
		json_u64(json, "sequence", verdict->sequence);
		json_u64(json, "parents", verdict->nr_parents);
	}
	json_end(json, '}');
}

static void print_verdict(const char *file, const struct verdict *verdict)
{
	if (verdict->error) {
		message("%s: %s", file, verdict->message);
		return;
	}
	print_text(stdout, "", file);
	printf(": complete and undamaged");
	if (verdict->nr_parents)
		printf(", with its %s", format_count(verdict->nr_parents, "parent"));
	else if (verdict->sequence)
		printf("; an increment, without its parents");
	putchar('\n');
}

/* Returns an exit status. */
static int verify(const struct arguments *args, const char *file, struct json *json)
{
	struct verdict verdict = { };

	if (is_stream(file))
		verify_image(&verdict, file);
	else
		verify_chain(&verdict, args, file);
	if (args->json)
		json_verdict(json, file, &verdict);
	else if (!args->quiet)
		print_verdict(file, &verdict);
	free(verdict.message);
	return verdict.error ? STATUS_FAILED : STATUS_OK;
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
		case OPTION_PARENT_DIR:
			args->parent_dirs = add_string(args->parent_dirs, optarg);
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
	if (status < 0 && args.nr_files > 1)
		status = usage_error(argv[0], "too many arguments");
	if (status < 0)
		status = show(&args, args.files[0]);
	free(args.parent_dirs);
	return status;
}

int command_verify(int argc, char **argv)
{
	struct json json = { .out = stdout };
	struct arguments args = { };
	int i, status;

	status = parse_arguments(&args, argc, argv, verify_options, "hq");
	if (status >= 0)
		goto out;
	status = STATUS_OK;
	if (args.json)
		json_begin(&json, NULL, '[');
	for (i = 0; i < args.nr_files; i++)
		if (verify(&args, args.files[i], &json))
			status = STATUS_FAILED;
	if (args.json)
		json_end(&json, ']');
out:
	free(args.parent_dirs);
	return status;
}
