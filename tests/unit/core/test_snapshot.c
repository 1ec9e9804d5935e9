/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/snapshot: what is written is read back, and what is damaged is refused as a whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../packets.h"
#include "sallyport/core/snapshot.h"

enum { SAVED = 100000, MOST = 300 };

static const struct snapshot_origin origin = {
    .boot_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .network = 0x1122334455667788,
    .saved = SAVED,
};

struct image {
	uint8_t bytes[MOST * SNAPSHOT_PIECE + 200];
	size_t size;
};

struct seen {
	struct saved_connection connections[MOST];
	size_t count;
};

static void see(const struct saved_connection *connection, void *context) {
	struct seen *seen = context;
	assert_in_range(seen->count, 0, MOST - 1);
	seen->connections[seen->count++] = *connection;
}

static uint32_t random_below(uint32_t bound) {
	return (uint32_t)random() % bound;
}

static struct addr random_addr(bool ipv6) {
	uint8_t bytes[16];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)random();
	bytes[0] = 0x20; /* never IPv4-mapped */
	return ipv6 ? addr_from_ipv6(bytes) : addr_from_ipv4(bytes);
}

static uint8_t random_state(uint8_t protocol) {
	if (random_below(8) == 0)
		return STATE_CUT;
	switch (protocol) {
	case PROTOCOL_TCP:
		return (uint8_t)random_below(TCP_STATES);
	case PROTOCOL_UDP:
		return random_below(2) ? UDP_NEW : UDP_REPLIED;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		return random_below(2) ? ICMP_NEW : ICMP_REPLIED;
	default:
		return random_below(2) ? OTHER_NEW : OTHER_REPLIED;
	}
}

/* As the table holds them. */
static struct saved_connection random_connection(void) {
	static const uint8_t protocols[] = {PROTOCOL_TCP,    PROTOCOL_UDP, PROTOCOL_ICMP,
					    PROTOCOL_ICMPV6, 47,           255};
	bool ipv6 = random_below(2);
	struct saved_connection connection = {
	    .key = {.local = random_addr(ipv6),
		    .remote = random_addr(ipv6),
		    .protocol = protocols[random_below(sizeof protocols)]},
	    .age = random_below(SAVED + 1),
	    .interface = (uint32_t)random(),
	    .direction = (uint8_t)random_below(2),
	    .flags =
		(uint8_t)random_below((CONNECTION_LEARNED | CONNECTION_FORWARDED | CONNECTION_LEASED) + 1),
	};
	struct key *key = &connection.key;
	if (protocol_has_ports(key->protocol)) {
		key->local_port = (uint16_t)random();
		key->remote_port = (uint16_t)random();
	} else if (key->protocol == PROTOCOL_ICMP || key->protocol == PROTOCOL_ICMPV6) {
		key->query = key->protocol == PROTOCOL_ICMP ? 8 : 128;
		*(random_below(2) ? &key->local_port : &key->remote_port) = (uint16_t)random();
	}
	connection.idle = random_below(connection.age + 1);
	connection.state = random_state(key->protocol);
	return connection;
}

static void image_begin(struct image *image, struct snapshot_writer *writer) {
	image->size = snapshot_begin(writer, &origin, image->bytes);
}

static void image_add(struct image *image, struct snapshot_writer *writer,
		      const struct saved_connection *connection) {
	size_t size = snapshot_add(writer, connection, image->bytes + image->size);
	assert_in_range(size, SNAPSHOT_RECORD_IPV4, SNAPSHOT_PIECE);
	image->size += size;
}

static void image_end(struct image *image, struct snapshot_writer *writer) {
	image->size += snapshot_end(writer, image->bytes + image->size);
}

static void write_image(struct image *image, const struct saved_connection *connections, size_t count) {
	struct snapshot_writer writer;
	image_begin(image, &writer);
	for (size_t i = 0; i < count; i++)
		image_add(image, &writer, &connections[i]);
	image_end(image, &writer);
}

/* `step` bytes at a time; 0: all at once. */
static const char *read_image(const uint8_t *bytes, size_t size, size_t step, struct seen *seen) {
	struct snapshot_reader reader;
	snapshot_reader_init(&reader, seen ? see : NULL, seen);
	for (size_t at = 0; at < size;) {
		size_t part = step && step < size - at ? step : size - at;
		uint8_t *copy = malloc(part); /* of its own size, for ASan */
		assert_non_null(copy);
		memcpy(copy, bytes + at, part);
		snapshot_read(&reader, copy, part);
		free(copy);
		at += part;
	}
	return snapshot_finish(&reader);
}

static void assert_same(const struct saved_connection *left, const struct saved_connection *right) {
	assert_true(key_equal(&left->key, &right->key));
	assert_int_equal(left->age, right->age);
	assert_int_equal(left->idle, right->idle);
	assert_int_equal(left->interface, right->interface);
	assert_int_equal(left->state, right->state);
	assert_int_equal(left->direction, right->direction);
	assert_int_equal(left->flags, right->flags);
}

static void random_connections_are_read_back_as_they_were(void **state) {
	(void)state;
	static struct saved_connection connections[MOST];
	static struct image image;
	srandom(20260);
	for (int round = 0; round < 200; round++) {
		static struct seen seen;
		size_t count = random_below(MOST + 1);
		for (size_t i = 0; i < count; i++)
			connections[i] = random_connection();
		write_image(&image, connections, count);
		seen.count = 0;
		assert_null(read_image(image.bytes, image.size, random_below(3 * SNAPSHOT_PIECE), &seen));
		assert_int_equal(seen.count, count);
		for (size_t i = 0; i < count; i++)
			assert_same(&seen.connections[i], &connections[i]);
	}
}

static void an_empty_table_is_a_good_one(void **state) {
	(void)state;
	static struct image image;
	write_image(&image, NULL, 0);
	assert_int_equal(image.size, SNAPSHOT_HEADER + SNAPSHOT_TRAILER);
	assert_null(read_image(image.bytes, image.size, 1, NULL));
}

static void the_format_stays_as_it_is(void **state) {
	(void)state;
	static const uint8_t expected[] = {
	    'S',  'A',  'L',  'L',  'Y',
	    'T',  'A',  'B',  1,    0,
	    0,    0, /* version */
	    1,    2,    3,    4,    5,
	    6,    7,    8,    9,    10,
	    11,   12,   13,   14,   15,
	    16, /* boot id */
	    0x88, 0x77, 0x66, 0x55, 0x44,
	    0x33, 0x22, 0x11, 0xa0, 0x86,
	    0x01, 0x00, /* network, saved */
	    4,    6,    0,    1,    TCP_ESTABLISHED,
	    2,    0x16, 0x00, 0x39, 0x30,
	    0x0a, 0x01, 0,    0, /* age 266 */
	    5,    0,    0,    0,    3,
	    0,    0,    0,    192,  0,
	    2,    1,    198,  51,   100,
	    7, /* and addresses */
	};
	static struct image image;
	struct saved_connection connection = {
	    .key = {.local = address("192.0.2.1"),
		    .remote = address("198.51.100.7"),
		    .local_port = 22,
		    .remote_port = 12345,
		    .protocol = PROTOCOL_TCP},
	    .age = 266,
	    .idle = 5,
	    .interface = 3,
	    .state = TCP_ESTABLISHED,
	    .direction = DIRECTION_OUT,
	    .flags = CONNECTION_FORWARDED,
	};
	write_image(&image, &connection, 1);
	assert_int_equal(image.size, sizeof expected + SNAPSHOT_TRAILER);
	assert_memory_equal(image.bytes, expected, sizeof expected);
}

static void the_origin_is_known_after_the_header(void **state) {
	(void)state;
	static struct image image;
	struct snapshot_reader reader;
	write_image(&image, NULL, 0);
	snapshot_reader_init(&reader, NULL, NULL);
	snapshot_read(&reader, image.bytes, SNAPSHOT_HEADER - 1);
	assert_null(snapshot_origin(&reader));
	snapshot_read(&reader, image.bytes + SNAPSHOT_HEADER - 1, 1);
	assert_non_null(snapshot_origin(&reader));
	assert_memory_equal(snapshot_origin(&reader)->boot_id, origin.boot_id, sizeof origin.boot_id);
	assert_int_equal(snapshot_origin(&reader)->network, origin.network);
	assert_int_equal(snapshot_origin(&reader)->saved, origin.saved);
}

static void some_connections(struct image *image) {
	struct saved_connection connections[7];
	srandom(7);
	for (size_t i = 0; i < 7; i++)
		connections[i] = random_connection();
	write_image(image, connections, 7);
}

static void every_truncation_is_refused(void **state) {
	(void)state;
	static struct image image;
	some_connections(&image);
	for (size_t size = 0; size < image.size; size++) {
		const char *fault = read_image(image.bytes, size, 0, NULL);
		assert_non_null(fault);
		assert_string_equal(fault, "is damaged: it ends too early");
	}
}

static void every_flipped_bit_is_refused(void **state) {
	(void)state;
	static struct image image;
	some_connections(&image);
	for (size_t bit = 0; bit < image.size * 8; bit++) {
		image.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (!read_image(image.bytes, image.size, 0, NULL))
			fail_msg("bit %zu", bit);
		image.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_null(read_image(image.bytes, image.size, 0, NULL));
}

static void whatever_follows_the_end_is_refused(void **state) {
	(void)state;
	static struct image image;
	some_connections(&image);
	image.bytes[image.size] = 0;
	assert_non_null(read_image(image.bytes, image.size + 1, 0, NULL));
	memcpy(image.bytes + image.size, image.bytes, 200); /* a second one */
	assert_non_null(read_image(image.bytes, image.size + 200, 0, NULL));
}

static void swapped_records_are_refused(void **state) {
	(void)state;
	static struct image image;
	struct saved_connection pair[2] = {random_connection(), random_connection()};
	uint8_t first[SNAPSHOT_RECORD_IPV4];
	uint8_t *records = image.bytes + SNAPSHOT_HEADER;
	for (int i = 0; i < 2; i++) {
		pair[i].key.local = address("192.0.2.1");
		pair[i].key.remote = address(i ? "192.0.2.2" : "192.0.2.3");
	}
	write_image(&image, pair, 2);
	memcpy(first, records, sizeof first);
	memmove(records, records + sizeof first, sizeof first);
	memcpy(records + sizeof first, first, sizeof first);
	assert_non_null(read_image(image.bytes, image.size, 0, NULL));
}

static void another_version_is_named_as_such(void **state) {
	(void)state;
	static struct image image;
	some_connections(&image);
	image.bytes[8] = SNAPSHOT_VERSION + 1;
	assert_string_equal(read_image(image.bytes, image.size, 0, NULL),
			    "is of another version of sallyport");
	image.bytes[0] = 's';
	assert_string_equal(read_image(image.bytes, image.size, 0, NULL), "is no table of connections");
}

/* The sum is right: so it is the field itself that is refused. */
static void assert_field_is_refused(const struct saved_connection *connection) {
	static struct image image;
	struct seen seen = {0};
	write_image(&image, connection, 1);
	const char *fault = read_image(image.bytes, image.size, 0, &seen);
	assert_non_null(fault);
	assert_string_equal(fault, "is damaged: a connection in it cannot be");
	assert_int_equal(seen.count, 0);
}

static struct saved_connection tcp_connection(void) {
	return (struct saved_connection){
	    .key = {.local = address("192.0.2.1"),
		    .remote = address("198.51.100.7"),
		    .local_port = 22,
		    .remote_port = 12345,
		    .protocol = PROTOCOL_TCP},
	    .age = 10,
	    .idle = 5,
	    .state = TCP_ESTABLISHED,
	};
}

#define refused(member, value)                                                                               \
	do {                                                                                                 \
		struct saved_connection bad = good;                                                          \
		bad.member = value;                                                                          \
		assert_field_is_refused(&bad);                                                               \
	} while (0)

static void values_that_cannot_be_are_refused(void **state) {
	(void)state;
	struct saved_connection good = tcp_connection();
	refused(key.protocol, 0);
	refused(key.protocol, 47); /* has no ports */
	refused(key.query, 8);
	refused(state, STATES);
	refused(state, 255);
	refused(direction, 2);
	refused(flags, 0x80);
	refused(idle, 11); /* more than its age */
	refused(age, SAVED + 1);
	refused(interface, 0x80000000); /* the kernel counts in int */
	good.key.protocol = PROTOCOL_UDP;
	refused(state, TCP_ESTABLISHED); /* of another protocol */
	good.state = UDP_NEW;
	refused(state, OTHER_NEW);
	good.key = (struct key){good.key.local, good.key.remote, .protocol = PROTOCOL_ICMP, .query = 8};
	good.state = ICMP_NEW;
	refused(key.query, 0); /* a reply */
	good.key.remote_port = 77;
	refused(key.local_port, 1); /* two identifiers */
}

static void a_mapped_address_is_no_ipv6_address(void **state) {
	(void)state;
	static struct image image;
	struct saved_connection connection = tcp_connection();
	struct snapshot_writer writer;
	connection.key.local = address("2001:db8::1");
	image_begin(&image, &writer); /* written as IPv6, as the local address is */
	image_add(&image, &writer, &connection);
	image_end(&image, &writer);
	assert_int_equal(image.size, SNAPSHOT_HEADER + SNAPSHOT_RECORD_IPV6 + SNAPSHOT_TRAILER);
	assert_non_null(read_image(image.bytes, image.size, 0, NULL));
}

/* Whatever the bytes are, reading them ends and leaves the bounds alone; the fuzzer does more. */
static void noise_is_refused(void **state) {
	(void)state;
	static struct image image;
	srandom(99);
	for (int round = 0; round < 5000; round++) {
		struct snapshot_writer writer;
		image_begin(&image, &writer);
		size_t size = random_below(600);
		for (size_t i = 0; i < size; i++)
			image.bytes[SNAPSHOT_HEADER + i] = (uint8_t)random_below(random_below(2) ? 7 : 256);
		assert_non_null(read_image(image.bytes, SNAPSHOT_HEADER + size, random_below(70), NULL));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_connections_are_read_back_as_they_were),
	    cmocka_unit_test(an_empty_table_is_a_good_one),
	    cmocka_unit_test(the_format_stays_as_it_is),
	    cmocka_unit_test(the_origin_is_known_after_the_header),
	    cmocka_unit_test(every_truncation_is_refused),
	    cmocka_unit_test(every_flipped_bit_is_refused),
	    cmocka_unit_test(whatever_follows_the_end_is_refused),
	    cmocka_unit_test(swapped_records_are_refused),
	    cmocka_unit_test(another_version_is_named_as_such),
	    cmocka_unit_test(values_that_cannot_be_are_refused),
	    cmocka_unit_test(a_mapped_address_is_no_ipv6_address),
	    cmocka_unit_test(noise_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
