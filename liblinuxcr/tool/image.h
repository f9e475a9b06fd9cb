/* SPDX-License-Identifier: GPL-2.0 */
/* What records mean: describe.c, for ckpt info. */
#ifndef CKPT_TOOL_IMAGE_H
#define CKPT_TOOL_IMAGE_H

#include "ckpt.h"

struct ckpt_header;
struct summary;

/*
 * What has been learnt about an image from the records so far. With keep_all,
 * they can be looked at again by summary_record().
 */
struct summary *summary_new(const struct ckpt_header *header, bool keep_all);
void summary_free(struct summary *summary);
void summary_add(struct summary *summary, const struct ckpt_record *record);
const struct ckpt_record *summary_record(const struct summary *summary, size_t i);
void summary_print(const struct summary *summary);
void summary_json(struct json *json, const struct summary *summary);

/* One line about the contents of a record, for free(); may be NULL */
char *describe_record(const struct ckpt_record *record, const struct summary *summary);

#endif /* CKPT_TOOL_IMAGE_H */
