// SPDX-License-Identifier: GPL-2.0
/*
 * helper_job DIRECTORY [STEPS]: a long computation with a result.
 *
 * Says every tenth of a second how far it is, by a clock that began when it did and
 * by the steps it has made. Ends after STEPS, or soon after there is a file "stop"
 * in DIRECTORY, and says how many steps that were and what came of them: the same
 * for the same number of steps, whatever happens to it on the way.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORDS		(4 << 20)	/* 32 MiB in all */
#define WINDOW		(1 << 17)	/* where it writes at a time */
#define BATCH		10000

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	uint64_t end = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;
	uint64_t step = 0, random = 1, result = 0, *word, *mem;
	int64_t began = now_ms(), said = 0;
	char stop[256];

	if (argc < 2)
		return 2;
	snprintf(stop, sizeof(stop), "%s/stop", argv[1]);
	mem = calloc(WORDS, sizeof(*mem));
	if (!mem)
		return 1;
	memset(mem, 1, WORDS * sizeof(*mem));
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (step < end) {
		uint64_t base = step / (BATCH * 50) * 4099;

		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		word = &mem[(base + (random >> 40) % WINDOW) % WORDS];
		*word = *word * 3 + step;
		result = (result << 7 | result >> 57) ^ *word;
		if (++step % BATCH)
			continue;
		if (now_ms() - said < 100)
			continue;
		said = now_ms();
		printf("t %" PRId64 " step %" PRIu64 "\n", said - began, step);
		if (!access(stop, F_OK))
			break;
	}
	for (word = mem; word < mem + WORDS; word++)
		result = (result << 7 | result >> 57) ^ *word;
	printf("result %" PRIu64 " %016" PRIx64 "\n", step, result);
	return 0;
}
