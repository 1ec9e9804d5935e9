/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections as bytes. What is read is trusted in nothing: a piece's length follows from
 * its first byte alone, the count decides only whether the end is believed.
 */
#include "sallyport/core/snapshot.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "siphash.h"

static const uint8_t magic[8] = {'S', 'A', 'L', 'L', 'Y', 'T', 'A', 'B'};

enum { KNOWN_FLAGS = CONNECTION_LEARNED | CONNECTION_FORWARDED | CONNECTION_LEASED };

/* The numbers in the file are those of the enums: who changes one changes the version. */
static_assert(DIRECTION_IN == 0 && DIRECTION_OUT == 1, "");
static_assert(TCP_SYN_SENT == 0 && TCP_SYN_RECV == 1 && TCP_ESTABLISHED == 2 && TCP_FIN_WAIT == 3, "");
static_assert(TCP_CLOSE_WAIT == 4 && TCP_LAST_ACK == 5 && TCP_TIME_WAIT == 6 && TCP_CLOSED == 7, "");
static_assert(UDP_NEW == 8 && UDP_REPLIED == 9 && ICMP_NEW == 10 && ICMP_REPLIED == 11, "");
static_assert(OTHER_NEW == 12 && OTHER_REPLIED == 13 && STATE_CUT == 14 && STATES == 15, "");
static_assert(CONNECTION_LEARNED == 1 && CONNECTION_FORWARDED == 2 && CONNECTION_LEASED == 4, "");

/* ---- bytes ---- */

static uint8_t *put(uint8_t *at, const void *bytes, size_t size) {
	memcpy(at, bytes, size);
	return at + size;
}

static uint8_t *put8(uint8_t *at, uint8_t value) {
	return put(at, &value, sizeof value);
}

static uint8_t *put16(uint8_t *at, uint16_t value) {
	value = htole16(value);
	return put(at, &value, sizeof value);
}

static uint8_t *put32(uint8_t *at, uint32_t value) {
	value = htole32(value);
	return put(at, &value, sizeof value);
}

static uint8_t *put64(uint8_t *at, uint64_t value) {
	value = htole64(value);
	return put(at, &value, sizeof value);
}

static const uint8_t *get(const uint8_t *at, void *bytes, size_t size) {
	memcpy(bytes, at, size);
	return at + size;
}

static const uint8_t *get16(const uint8_t *at, uint16_t *value) {
	at = get(at, value, sizeof *value);
	*value = le16toh(*value);
	return at;
}

static const uint8_t *get32(const uint8_t *at, uint32_t *value) {
	at = get(at, value, sizeof *value);
	*value = le32toh(*value);
	return at;
}

static const uint8_t *get64(const uint8_t *at, uint64_t *value) {
	at = get(at, value, sizeof *value);
	*value = le64toh(*value);
	return at;
}

static uint64_t sum_with(uint64_t sum, const uint8_t *piece, size_t size) {
	const uint64_t key[2] = {sum, UINT64_C(0x73616c6c79706f72)}; /* "sallypor" */
	return siphash(piece, size, key);
}

static size_t piece_written(struct snapshot_writer *writer, const uint8_t *out, const uint8_t *end) {
	size_t size = (size_t)(end - out);
	writer->sum = sum_with(writer->sum, out, size);
	return size;
}

/* ---- writing ---- */

size_t snapshot_begin(struct snapshot_writer *writer, const struct snapshot_origin *origin,
		      uint8_t out[SNAPSHOT_PIECE]) {
	*writer = (struct snapshot_writer){0};
	uint8_t *at = put(out, magic, sizeof magic);
	at = put32(at, SNAPSHOT_VERSION);
	at = put(at, origin->boot_id, sizeof origin->boot_id);
	at = put64(at, origin->network);
	at = put32(at, origin->saved);
	return piece_written(writer, out, at);
}

/* The last four bytes of an IPv4-mapped address are the IPv4 address. */
static uint8_t *put_addr(uint8_t *at, const struct addr *addr, enum family family) {
	return family == FAMILY_IPV4 ? put(at, addr->bytes + 12, 4) : put(at, addr->bytes, 16);
}

size_t snapshot_add(struct snapshot_writer *writer, const struct saved_connection *connection,
		    uint8_t out[SNAPSHOT_PIECE]) {
	const struct key *key = &connection->key;
	enum family family = addr_family(&key->local);
	uint8_t *at = put8(out, (uint8_t)family);
	at = put8(at, key->protocol);
	at = put8(at, key->query);
	at = put8(at, connection->direction);
	at = put8(at, connection->state);
	at = put8(at, connection->flags);
	at = put16(at, key->local_port);
	at = put16(at, key->remote_port);
	at = put32(at, connection->age);
	at = put32(at, connection->idle);
	at = put32(at, connection->interface);
	at = put_addr(at, &key->local, family);
	at = put_addr(at, &key->remote, family);
	writer->count++;
	return piece_written(writer, out, at);
}

size_t snapshot_end(struct snapshot_writer *writer, uint8_t out[SNAPSHOT_PIECE]) {
	uint8_t *at = put8(out, 0);
	at = put32(at, writer->count);
	piece_written(writer, out, at);
	at = put64(at, writer->sum);
	return (size_t)(at - out);
}

/* ---- reading ---- */

enum stage { STAGE_HEADER, STAGE_RECORDS, STAGE_END };

void snapshot_reader_init(struct snapshot_reader *reader,
			  void (*see)(const struct saved_connection *, void *), void *context) {
	*reader = (struct snapshot_reader){.see = see, .context = context, .stage = STAGE_HEADER};
}

static const char *read_header(struct snapshot_reader *reader) {
	uint32_t version;
	const uint8_t *at = reader->piece + sizeof magic;
	if (memcmp(reader->piece, magic, sizeof magic) != 0)
		return "is no table of connections";
	at = get32(at, &version);
	if (version != SNAPSHOT_VERSION)
		return "is of another version of sallyport";
	at = get(at, reader->origin.boot_id, sizeof reader->origin.boot_id);
	at = get64(at, &reader->origin.network);
	get32(at, &reader->origin.saved);
	reader->sum = sum_with(0, reader->piece, SNAPSHOT_HEADER);
	reader->stage = STAGE_RECORDS;
	return NULL;
}

static const uint8_t *get_addr(const uint8_t *at, struct addr *addr, uint8_t family) {
	*addr = family == FAMILY_IPV4 ? addr_from_ipv4(at) : addr_from_ipv6(at);
	return at + (family == FAMILY_IPV4 ? 4 : 16);
}

static struct saved_connection record(const uint8_t *at) {
	struct saved_connection connection = {0};
	struct key *key = &connection.key;
	uint8_t family;
	at = get(at, &family, 1);
	at = get(at, &key->protocol, 1);
	at = get(at, &key->query, 1);
	at = get(at, &connection.direction, 1);
	at = get(at, &connection.state, 1);
	at = get(at, &connection.flags, 1);
	at = get16(at, &key->local_port);
	at = get16(at, &key->remote_port);
	at = get32(at, &connection.age);
	at = get32(at, &connection.idle);
	at = get32(at, &connection.interface);
	at = get_addr(at, &key->local, family);
	get_addr(at, &key->remote, family);
	return connection;
}

/* A key that packets can have. */
static bool key_fits(const struct key *key, uint8_t family) {
	if (addr_family(&key->local) != (enum family)family ||
	    addr_family(&key->remote) != (enum family)family || key->protocol == 0)
		return false;
	if (protocol_has_ports(key->protocol))
		return key->query == 0;
	if (key->query == 0)
		return key->local_port == 0 && key->remote_port == 0 && key->protocol != PROTOCOL_ICMP &&
		       key->protocol != PROTOCOL_ICMPV6;
	return icmp_is_query(key->protocol, key->query) && (key->local_port == 0 || key->remote_port == 0);
}

static bool state_fits(uint8_t protocol, uint8_t state) {
	if (state == STATE_CUT)
		return true;
	switch (protocol) {
	case PROTOCOL_TCP:
		return state < TCP_STATES;
	case PROTOCOL_UDP:
		return state == UDP_NEW || state == UDP_REPLIED;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		return state == ICMP_NEW || state == ICMP_REPLIED;
	default:
		return state == OTHER_NEW || state == OTHER_REPLIED;
	}
}

static bool record_fits(const struct saved_connection *connection, uint8_t family, uint32_t saved) {
	return key_fits(&connection->key, family) &&
	       state_fits(connection->key.protocol, connection->state) &&
	       connection->direction <= DIRECTION_OUT && (connection->flags & ~KNOWN_FLAGS) == 0 &&
	       connection->idle <= connection->age && connection->age <= saved &&
	       connection->interface <= INT32_MAX;
}

static const char *read_record(struct snapshot_reader *reader) {
	struct saved_connection connection = record(reader->piece);
	if (!record_fits(&connection, reader->piece[0], reader->origin.saved))
		return "is damaged: a connection in it cannot be";
	reader->sum = sum_with(reader->sum, reader->piece, reader->filled);
	reader->count++;
	if (reader->see)
		reader->see(&connection, reader->context);
	return NULL;
}

static const char *read_trailer(struct snapshot_reader *reader) {
	enum { SUMMED = SNAPSHOT_TRAILER - sizeof(uint64_t) };
	uint32_t count;
	uint64_t sum;
	get32(reader->piece + 1, &count);
	get64(reader->piece + SUMMED, &sum);
	if (count != reader->count || sum != sum_with(reader->sum, reader->piece, SUMMED))
		return "is damaged: its checksum is wrong";
	reader->stage = STAGE_END;
	return NULL;
}

/* How long the piece is that has begun; 0: there is none like it. */
static size_t piece_size(const struct snapshot_reader *reader) {
	if (reader->stage == STAGE_HEADER)
		return SNAPSHOT_HEADER;
	if (reader->stage == STAGE_END)
		return 0;
	if (reader->filled == 0)
		return 1; /* which says more */
	switch (reader->piece[0]) {
	case 0:
		return SNAPSHOT_TRAILER;
	case FAMILY_IPV4:
		return SNAPSHOT_RECORD_IPV4;
	case FAMILY_IPV6:
		return SNAPSHOT_RECORD_IPV6;
	default:
		return 0;
	}
}

static const char *read_piece(struct snapshot_reader *reader) {
	if (reader->stage == STAGE_HEADER)
		return read_header(reader);
	return reader->piece[0] ? read_record(reader) : read_trailer(reader);
}

const char *snapshot_read(struct snapshot_reader *reader, const uint8_t *bytes, size_t size) {
	while (size > 0 && !reader->fault) {
		size_t wanted = piece_size(reader), missing = wanted - reader->filled;
		if (wanted == 0) {
			reader->fault = "is damaged: something is in it that does not belong there";
			break;
		}
		size_t taken = missing < size ? missing : size;
		memcpy(reader->piece + reader->filled, bytes, taken);
		reader->filled += (uint8_t)taken;
		bytes += taken;
		size -= taken;
		if (taken == missing && wanted > 1) {
			reader->fault = read_piece(reader);
			reader->filled = 0;
		}
	}
	return reader->fault;
}

const char *snapshot_finish(struct snapshot_reader *reader) {
	if (!reader->fault && reader->stage != STAGE_END)
		reader->fault = "is damaged: it ends too early";
	return reader->fault;
}

const struct snapshot_origin *snapshot_origin(const struct snapshot_reader *reader) {
	return reader->stage == STAGE_HEADER ? NULL : &reader->origin;
}
