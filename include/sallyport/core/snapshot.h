/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections as bytes, so that they outlive a restart of the daemon. A format of our own:
 * every field has its place and is little-endian, no struct of memory is written.
 *
 *   header   magic "SALLYTAB", version u32, boot id 16 bytes, network u64, saved u32
 *   record   family u8 (4 or 6), protocol u8, query u8, direction u8, state u8, flags u8,
 *            local port u16, remote port u16, age u32, idle u32, interface u32,
 *            local address, remote address (4 or 16 bytes each)
 *   ...
 *   trailer  0 u8, count of records u32, sum u64
 *
 * `sum` is SipHash-2-4 with a fixed key, each piece under the sum of those before it. It
 * is against damage, not against attackers: the file is the daemon's own. The core has
 * SipHash already, and 64 bits of it take 40 ns a record. The count is at the end because
 * a walk of the table knows only then how many there were.
 *
 * Not saved: the rule (rules are asked anew when it is read back), and TCP's windows (the
 * next segments teach them).
 *
 * Both ways piece by piece: neither writer nor reader ever holds more than one.
 */
#ifndef SALLYPORT_CORE_SNAPSHOT_H
#define SALLYPORT_CORE_SNAPSHOT_H

#include "sallyport/core/table.h"

enum {
	SNAPSHOT_VERSION = 1,
	SNAPSHOT_HEADER = 40,
	SNAPSHOT_RECORD_IPV4 = 30,
	SNAPSHOT_RECORD_IPV6 = 54,
	SNAPSHOT_TRAILER = 13,
	SNAPSHOT_PIECE = 54, /* the longest of them */
};

/* Where and when it was saved. Interface indexes mean nothing in another network
 * namespace, monotonic times nothing after another boot. */
struct snapshot_origin {
	uint8_t boot_id[16];
	uint64_t network; /* the namespace's cookie; 0: the kernel tells none */
	uint32_t saved;   /* seconds of the monotonic clock */
};

struct saved_connection {
	struct key key;
	uint32_t age, idle; /* seconds before `saved`; idle <= age <= saved */
	uint32_t interface; /* as in struct connection: at most INT32_MAX */
	uint8_t state;
	uint8_t direction;
	uint8_t flags;
};

/* The caller fills nothing in and reads nothing out of these two. */
struct snapshot_writer {
	uint64_t sum;
	uint32_t count;
};

struct snapshot_reader {
	void (*see)(const struct saved_connection *, void *);
	void *context;
	struct snapshot_origin origin;
	uint64_t sum;
	uint32_t count;
	uint8_t piece[SNAPSHOT_PIECE]; /* as far as it has come in */
	uint8_t filled;
	uint8_t stage;
	const char *fault;
};

/* Each writes one piece to `out` and returns its length: the header, a record, the trailer.
 * A connection's addresses are of one family. */
size_t snapshot_begin(struct snapshot_writer *writer, const struct snapshot_origin *origin,
		      uint8_t out[SNAPSHOT_PIECE]);
size_t snapshot_add(struct snapshot_writer *writer, const struct saved_connection *connection,
		    uint8_t out[SNAPSHOT_PIECE]);
size_t snapshot_end(struct snapshot_writer *writer, uint8_t out[SNAPSHOT_PIECE]);

/* `see` gets each connection as it comes, each valid in itself; whether all of it is whole
 * is known at the end alone. So who must not use half of a damaged one reads it twice, first
 * with `see` NULL. */
void snapshot_reader_init(struct snapshot_reader *reader,
			  void (*see)(const struct saved_connection *, void *), void *context);
/* The next bytes, any number of them. NULL: good so far; else what is wrong, as the end
 * of a sentence that begins with the file's name; it stays so, and `see` is not called again. */
const char *snapshot_read(struct snapshot_reader *reader, const uint8_t *bytes, size_t size);
/* After the last bytes. NULL: whole and undamaged. */
const char *snapshot_finish(struct snapshot_reader *reader);
/* NULL as long as the header has not been read. */
const struct snapshot_origin *snapshot_origin(const struct snapshot_reader *reader);

#endif
