/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/key: one key for both directions of a connection, its replies and its errors; and
 * the hash against the reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../../../src/core/siphash.h"
#include "../packets.h"
#include "sallyport/core/key.h"

static struct key key_of(struct raw raw, enum direction direction) {
	struct packet packet = raw_parsed(&raw);
	return key_of_packet(&packet, direction);
}

static void assert_same(struct key left, struct key right) {
	assert_memory_equal(&left, &right, sizeof left);
	assert_true(key_equal(&left, &right));
}

static const struct raw_segment ack = {.flags = TCP_ACK};

static void local_is_where_incoming_packets_go(void **state) {
	(void)state;
	struct key key = key_of(raw_tcp("192.0.2.7", 40000, "192.0.2.1", 22, &ack), DIRECTION_IN);
	struct addr local = address("192.0.2.1"), remote = address("192.0.2.7");
	assert_true(addr_equal(&key.local, &local) && addr_equal(&key.remote, &remote));
	assert_int_equal(key.local_port, 22);
	assert_int_equal(key.remote_port, 40000);
	assert_int_equal(key.protocol, PROTOCOL_TCP);
}

static void one_key_serves_both_directions(void **state) {
	(void)state;
	assert_same(key_of(raw_tcp("192.0.2.7", 40000, "192.0.2.1", 22, &ack), DIRECTION_IN),
		    key_of(raw_tcp("192.0.2.1", 22, "192.0.2.7", 40000, &ack), DIRECTION_OUT));
	assert_same(key_of(raw_udp("2001:db8::7", 53, "2001:db8::1", 5353), DIRECTION_IN),
		    key_of(raw_udp("2001:db8::1", 5353, "2001:db8::7", 53), DIRECTION_OUT));
}

static void a_reply_has_the_key_of_its_query(void **state) {
	(void)state;
	struct key asked_here = key_of(raw_icmp("192.0.2.1", "192.0.2.7", 8, 77), DIRECTION_OUT);
	assert_int_equal(asked_here.local_port, 77);
	assert_int_equal(asked_here.remote_port, 0);
	assert_same(asked_here, key_of(raw_icmp("192.0.2.7", "192.0.2.1", 0, 77), DIRECTION_IN));
	struct key asked_there = key_of(raw_icmp("2001:db8::7", "2001:db8::1", 128, 77), DIRECTION_IN);
	assert_int_equal(asked_there.remote_port, 77);
	assert_int_equal(asked_there.local_port, 0);
	assert_same(asked_there, key_of(raw_icmp("2001:db8::1", "2001:db8::7", 129, 77), DIRECTION_OUT));
}

static void hosts_that_ping_each_other_have_two_keys(void **state) {
	(void)state;
	struct key there = key_of(raw_icmp("192.0.2.1", "192.0.2.7", 8, 77), DIRECTION_OUT);
	struct key here = key_of(raw_icmp("192.0.2.7", "192.0.2.1", 8, 77), DIRECTION_IN);
	assert_false(key_equal(&here, &there));
}

static void a_key_is_for_one_kind_of_query(void **state) {
	(void)state;
	static const uint8_t pairs[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}};
	for (size_t i = 0; i < 4; i++) {
		struct key asked = key_of(raw_icmp("192.0.2.7", "192.0.2.1", pairs[i][0], 77), DIRECTION_IN);
		struct key reply = key_of(raw_icmp("192.0.2.1", "192.0.2.7", pairs[i][1], 77), DIRECTION_OUT);
		assert_same(asked, reply);
		assert_int_equal(asked.query, pairs[i][0]);
		struct key other =
		    key_of(raw_icmp("192.0.2.7", "192.0.2.1", pairs[(i + 1) % 4][0], 77), DIRECTION_IN);
		assert_false(key_equal(&asked, &other));
	}
}

static struct key inner_key(struct raw about, const char *from, const char *to, uint8_t type,
			    enum direction direction) {
	struct raw raw = raw_icmp_error(from, to, type, &about, about.length);
	struct packet packet = raw_parsed(&raw);
	assert_true(packet.inner_known);
	return key_of_inner(&packet, direction);
}

static void an_error_has_the_key_of_what_it_is_about(void **state) {
	(void)state;
	struct raw sent = raw_tcp("192.0.2.1", 40000, "198.51.100.5", 443, &ack);
	assert_same(key_of(sent, DIRECTION_OUT),
		    inner_key(sent, "203.0.113.9", "192.0.2.1", 3, DIRECTION_IN));
	struct raw received = raw_udp("2001:db8::7", 5000, "2001:db8::1", 5001);
	assert_same(key_of(received, DIRECTION_IN),
		    inner_key(received, "2001:db8::1", "2001:db8::7", 1, DIRECTION_OUT));
	struct raw asked = raw_icmp("192.0.2.1", "198.51.100.5", 8, 99);
	assert_same(key_of(asked, DIRECTION_OUT),
		    inner_key(asked, "203.0.113.9", "192.0.2.1", 11, DIRECTION_IN));
	struct raw answered = raw_icmp("192.0.2.1", "198.51.100.5", 0, 99);
	assert_same(key_of(answered, DIRECTION_OUT),
		    inner_key(answered, "203.0.113.9", "192.0.2.1", 11, DIRECTION_IN));
}

/* Appendix A of the paper, and the first of the vectors in the authors' reference code:
 * key 00 01 .. 0f, message 00 01 .. of each length. */
static void the_hash_is_siphash_2_4(void **state) {
	(void)state;
	static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
	static const struct {
		size_t length;
		uint64_t hash;
	} vectors[] = {
	    {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
	    {2, UINT64_C(0x0d6c8009d9a94f5a)},  {3, UINT64_C(0x85676696d7fb7e2d)},
	    {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
	    {15, UINT64_C(0xa129ca6149be45e5)},
	};
	uint8_t message[16];
	for (uint8_t i = 0; i < sizeof message; i++)
		message[i] = i;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
		assert_true(siphash(message, vectors[i].length, key) == vectors[i].hash);
}

static void the_hash_depends_on_every_member_and_the_secret(void **state) {
	(void)state;
	struct hash_secret secret = {{1, 2}}, other = {{1, 3}};
	struct key key = key_of(raw_tcp("2001:db8::7", 40000, "2001:db8::1", 22, &ack), DIRECTION_IN);
	uint64_t hash = key_hash(&key, &secret);
	assert_true(hash != key_hash(&key, &other));
	for (size_t i = 0; i < sizeof key; i++) {
		struct key changed = key;
		((uint8_t *)&changed)[i] ^= 1;
		assert_true(hash != key_hash(&changed, &secret));
		assert_false(key_equal(&key, &changed));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(local_is_where_incoming_packets_go),
	    cmocka_unit_test(one_key_serves_both_directions),
	    cmocka_unit_test(a_reply_has_the_key_of_its_query),
	    cmocka_unit_test(hosts_that_ping_each_other_have_two_keys),
	    cmocka_unit_test(a_key_is_for_one_kind_of_query),
	    cmocka_unit_test(an_error_has_the_key_of_what_it_is_about),
	    cmocka_unit_test(the_hash_is_siphash_2_4),
	    cmocka_unit_test(the_hash_depends_on_every_member_and_the_secret),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
