/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes as saved connections. The first byte says in what portions the rest is read.
 * However it is cut, the same is seen and said; and what is seen is written back as the very
 * bytes that it was read from.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/core/snapshot.h"

struct reading {
	struct snapshot_writer writer;
	const uint8_t *expected; /* where the next connection was read from */
	size_t left;
	uint32_t count;
};

static void see(const struct saved_connection *connection, void *context) {
	struct reading *reading = context;
	uint8_t piece[SNAPSHOT_PIECE];
	size_t size = snapshot_add(&reading->writer, connection, piece);
	assert(size <= reading->left && memcmp(piece, reading->expected, size) == 0);
	reading->expected += size;
	reading->left -= size;
	reading->count++;
}

static const char *read_in_portions(const uint8_t *data, size_t size, size_t portion, struct reading *reading,
				    struct snapshot_origin *origin) {
	struct snapshot_reader reader;
	bool long_enough = size >= SNAPSHOT_HEADER;
	*reading = (struct reading){
	    .expected = long_enough ? data + SNAPSHOT_HEADER : NULL,
	    .left = long_enough ? size - SNAPSHOT_HEADER : 0,
	};
	snapshot_reader_init(&reader, see, reading);
	for (size_t at = 0; at < size; at += portion) {
		size_t length = portion < size - at ? portion : size - at;
		uint8_t *own = malloc(length); /* of its own size, for ASan */
		assert(own);
		memcpy(own, data + at, length);
		snapshot_read(&reader, own, length);
		free(own);
	}
	if (snapshot_origin(&reader))
		*origin = *snapshot_origin(&reader);
	return snapshot_finish(&reader);
}

/* What was found whole is what the writer makes of the same connections. */
static void check_whole(const uint8_t *data, const struct reading *reading,
			const struct snapshot_origin *origin) {
	struct snapshot_writer writer;
	struct reading again;
	struct snapshot_origin same;
	uint8_t piece[SNAPSHOT_PIECE];
	size_t size = snapshot_begin(&writer, origin, piece);
	assert(memcmp(piece, data, size) == 0);
	assert(reading->left == SNAPSHOT_TRAILER);
	size += (size_t)(reading->expected - data - SNAPSHOT_HEADER) + SNAPSHOT_TRAILER;
	assert(!read_in_portions(data, size, size, &again, &same) && again.count == reading->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct snapshot_origin origin = {0};
	struct reading whole, cut;
	if (size < 2)
		return 0;
	size_t portion = data[0] ? data[0] : 1;
	data++;
	size--;
	const char *fault = read_in_portions(data, size, size, &whole, &origin);
	const char *fault_cut = read_in_portions(data, size, portion, &cut, &origin);
	assert(fault == fault_cut && whole.count == cut.count);
	if (!fault)
		check_whole(data, &whole, &origin);
	return 0;
}
