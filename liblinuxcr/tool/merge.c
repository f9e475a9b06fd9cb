// SPDX-License-Identifier: GPL-2.0
/* ckpt merge */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "../src/internal.h"
#include "ckpt.h"

struct arguments {
	const char *file;
	const char *output;	/* NULL: the next image of the series FILE */
	const char **parent_dirs;
	bool json;
};

enum {
	OPTION_PARENT_DIR = 0x100,
	OPTION_JSON,
};

static const struct option options[] = {
	{ "output",	required_argument,	NULL, 'o' },
	{ "parent-dir",	required_argument,	NULL, OPTION_PARENT_DIR },
	{ "json",	no_argument,		NULL, OPTION_JSON },
	{ "help",	no_argument,		NULL, 'h' },
	{ }
};

/* Returns -1, or an exit status where there is nothing more to do. */
static int parse_arguments(struct arguments *args, int argc, char **argv)
{
	const char *command = argv[0];
	int c;

	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) >= 0) {
		switch (c) {
		case 'o':
			args->output = optarg;
			break;
		case OPTION_PARENT_DIR:
			args->parent_dirs = add_string(args->parent_dirs, optarg);
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
	if (!strcmp(args->file, "-"))
		return usage_error(command, "parents are not found without a file name");
	if (args->output && !strcmp(args->output, "-") && isatty(STDOUT_FILENO))
		return usage_error(command, "an image is not written to a terminal");
	return -1;
}

/* The image of the chain that the output would replace though others need it */
static const char *needed_image(const struct ckpt_chain *chain, const char *output)
{
	const struct ckpt_chain_image *image;
	struct stat out, st;
	size_t i;

	if (stat(output, &out))
		return NULL;
	for (i = 1; (image = ckpt_chain_image(chain, i)); i++)
		if (!fstat(image->fd, &st) && st.st_dev == out.st_dev &&
		    st.st_ino == out.st_ino)
			return image->path;
	return NULL;
}

static void print_failure(const struct arguments *args, const struct ckpt_chain *chain,
			  const char *output, int error)
{
	if (ckpt_chain_error(chain))
		message("cannot merge %s: %s", args->file,
			chain_message(args->file, ckpt_chain_error(chain)));
	else
		message("cannot write %s: %s%s", output, strerror(error),
			file_trouble(error));
}

static void print_json(FILE *out, const struct arguments *args,
		       const struct ckpt_chain *chain, const char *output, int error)
{
	struct json json = { .out = out };
	uint64_t images = 0;

	while (ckpt_chain_image(chain, images))
		images++;
	json_begin(&json, NULL, '{');
	json_string(&json, "file", args->file);
	json_string(&json, "image", output);
	json_u64(&json, "images", images);
	json_bool(&json, "merged", !error);
	if (error) {
		json_string(&json, "error", error_name(error));
		json_string(&json, "message", ckpt_chain_error(chain) ?
			    ckpt_chain_error(chain) : strerror(error));
	}
	json_end(&json, '}');
}

/* Returns 0 or an errno value. */
static int merge_to_file(struct ckpt_chain *chain, const char *output,
			 const struct lcr_series *series)
{
	struct lcr_save *save = saving_begin(output, series, false);
	int error;

	if (!save)
		return errno;
	if (ckpt_chain_merge(chain, save->fd)) {
		error = errno;
		saving_end(false);
		return error;
	}
	return saving_end(true) ? errno : 0;
}

/* @series: the new image is its next one, or NULL */
static int merge(const struct arguments *args, struct ckpt_chain *chain,
		 const char *output, const struct lcr_series *series)
{
	bool to_stdout = !strcmp(output, "-");
	int error = 0;

	if (!series && !to_stdout && needed_image(chain, output)) {
		message("%s is not replaced: %s needs it", output, args->file);
		return STATUS_FAILED;
	}
	if (!to_stdout) {
		error = merge_to_file(chain, output, series);
	} else {
		signal(SIGPIPE, SIG_IGN);
		if (ckpt_chain_merge(chain, STDOUT_FILENO))
			error = errno;
	}
	if (args->json)
		print_json(to_stdout ? stderr : stdout, args, chain, output, error);
	if (error)
		print_failure(args, chain, output, error);
	return error ? STATUS_FAILED : STATUS_OK;
}

/* To the next image of FILE */
static int merge_in_series(const struct arguments *args, struct ckpt_chain *chain)
{
	struct lcr_series series;
	char *output;
	int status;

	if (lcr_series_open(&series, args->file)) {
		if (errno == EEXIST)
			message("%s is not a link made by ckpt save --incremental:"
				" name a file by --output", args->file);
		else
			message("cannot write %s: %s", args->file, strerror(errno));
		return STATUS_FAILED;
	}
	if (asprintf(&output, "%s.%06" PRIu64, args->file, series.next) < 0)
		out_of_memory();
	status = merge(args, chain, output, &series);
	free(output);
	lcr_series_close(&series);
	return status;
}

int command_merge(int argc, char **argv)
{
	struct arguments args = { };
	struct ckpt_chain *chain;
	char *error;
	int status;

	status = parse_arguments(&args, argc, argv);
	if (status >= 0)
		goto out;
	chain = ckpt_chain_open(args.file, args.parent_dirs, &error);
	if (chain) {
		status = args.output ? merge(&args, chain, args.output, NULL) :
				       merge_in_series(&args, chain);
		ckpt_chain_close(chain);
	} else {
		message("cannot merge %s: %s", args.file,
			error ? chain_message(args.file, error) : strerror(errno));
		free(error);
		status = STATUS_FAILED;
	}
out:
	free(args.parent_dirs);
	return status;
}
