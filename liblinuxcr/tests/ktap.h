/* SPDX-License-Identifier: LGPL-2.1 */
/*
 * Tests that report in KTAP: a table of functions, each with the promise it
 * tests as its name. What goes wrong is said by CHECK(), which ends the test.
 */
#ifndef TESTS_KTAP_H
#define TESTS_KTAP_H

#include <stdbool.h>
#include <stdio.h>

struct test {
	const char *promise;
	bool (*run)(void);
};

#define CHECK(condition, ...) do {					\
	if (!(condition)) {						\
		printf("# %s:%d: %s:", __FILE__, __LINE__, #condition);	\
		printf(" " __VA_ARGS__);					\
		printf("\n");						\
		return false;						\
	}								\
} while (0)

/* Exit status for main() */
static inline int run_tests(const struct test *tests, unsigned int count)
{
	unsigned int i, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%u\n", count);
	for (i = 0; i < count; i++) {
		bool ok = tests[i].run();

		printf("%sok %u %s\n", ok ? "" : "not ", i + 1, tests[i].promise);
		failed += !ok;
	}
	return failed ? 1 : 0;
}

#endif /* TESTS_KTAP_H */
