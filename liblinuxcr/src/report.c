// SPDX-License-Identifier: LGPL-2.1
/* Reports: the text and the statistics a system call leaves behind. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define TEXT_SIZE_DEFAULT	(64U << 10)
#define TEXT_SIZE_MAX		(1U << 20)

_Static_assert(sizeof(struct ckpt_stats) == sizeof(struct checkpoint_stats),
	       "struct ckpt_stats is what the kernel writes");
_Static_assert(offsetof(struct ckpt_stats, log_bytes) ==
	       offsetof(struct checkpoint_stats, log_bytes),
	       "struct ckpt_stats is what the kernel writes");

struct ckpt_report *ckpt_report_new(size_t text_size)
{
	struct ckpt_report *report;

	if (!text_size)
		text_size = TEXT_SIZE_DEFAULT;
	if (text_size > TEXT_SIZE_MAX) {
		errno = EINVAL;
		return NULL;
	}
	report = calloc(1, sizeof(*report));
	if (!report)
		return NULL;
	report->text_size = text_size;
	report->text = malloc(text_size);
	if (!report->text) {
		free(report);
		return NULL;
	}
	report->text[0] = '\0';
	return report;
}

void ckpt_report_free(struct ckpt_report *report)
{
	int saved_errno = errno;

	if (report)
		free(report->text);
	free(report);
	errno = saved_errno;
}

void lcr_report_clear(struct ckpt_report *report)
{
	report->text[0] = '\0';
	memset(&report->stats, 0, sizeof(report->stats));
}

void lcr_report_set(struct ckpt_report *report, const char *text)
{
	size_t length = strlen(text);

	lcr_report_clear(report);
	report->stats.user.log_bytes = length;
	if (length >= report->text_size)
		length = report->text_size - 1;
	memcpy(report->text, text, length);
	report->text[length] = '\0';
}

const char *ckpt_report_text(const struct ckpt_report *report)
{
	return report->text;
}

int ckpt_report_truncated(const struct ckpt_report *report)
{
	return report->stats.user.log_bytes >= report->text_size;
}

const struct ckpt_stats *ckpt_report_stats(const struct ckpt_report *report)
{
	return &report->stats.user;
}
