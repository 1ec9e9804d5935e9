/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes as a probe: no crash, and what is read prints as a probe that reads the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_world.h"
#include "sallyport/core/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct question *question, const struct world *world) {
	char *text = question_print(question), *again_text;
	struct question again;
	struct error err = {""};

	if (!probe_parse(text, NULL, world, &again, &err)) {
		fprintf(stderr, "%s: %s\n", text, err.text);
		abort();
	}
	again_text = question_print(&again);
	if (strcmp(text, again_text) != 0 || !addr_equal(&question->from, &again.from) ||
	    !addr_equal(&question->to, &again.to)) {
		fprintf(stderr, "%s became %s\n", text, again_text);
		abort();
	}
	free((char *)again.interface);
	free(again_text);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct world world = memory_world(NULL);
	char *text = malloc(size + 1);
	struct question question;
	struct error err = {""};

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (probe_parse(text, NULL, &world, &question, &err)) {
		check_round_trip(&question, &world);
		free((char *)question.interface);
	} else if (!err.text[0]) {
		abort();
	}
	free(text);
	return 0;
}
