/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/stripe_key: what tells connections apart in one chain, and gives their keys back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/core/stripe.h"
#include "../packets.h"

enum { FAMILIES = 4, SPOILT = sizeof(struct key) + 1, KEYS = FAMILIES * SPOILT };

struct chain {
	struct connection pool[KEYS];
	struct wide_key wide[KEYS];
	struct stripe stripe;
};

/* Addresses that end alike, each of either family; one byte of the key is another, or none. */
static struct key key_like(uint32_t number) {
	uint32_t families = number / SPOILT, spoilt = number % SPOILT;
	struct key key = {.local = address(families & 1 ? "2001:db8::c000:201" : "192.0.2.1"),
			  .remote = address(families & 2 ? "2001:db8::c633:6407" : "198.51.100.7"),
			  .local_port = 22,
			  .remote_port = 40000,
			  .protocol = PROTOCOL_TCP};
	if (spoilt < sizeof key)
		((uint8_t *)&key)[spoilt] ^= 0x40;
	return key;
}

/* The keys from `first` on, KEYS of them, around the end. */
static void link_keys(struct chain *chain, uint32_t first) {
	chain->stripe.pool = chain->pool;
	chain->stripe.wide = chain->wide;
	for (uint32_t i = 0; i < KEYS; i++) {
		struct key key = key_like((first + i) % KEYS);
		chain->pool[i].next = i + 1 < KEYS ? i + 2 : NONE;
		entry_set_key(&chain->stripe, &chain->pool[i], &key);
	}
}

static void assert_all_found(struct chain *chain, uint32_t first) {
	for (uint32_t i = 0; i < KEYS; i++) {
		struct key wanted = key_like((first + i) % KEYS);
		struct key key = entry_key(&chain->stripe, &chain->pool[i]);
		assert_true(key_equal(&key, &wanted));
		assert_ptr_equal(chain_find(&chain->stripe, 1, &wanted), &chain->pool[i]);
	}
}

static void every_byte_of_a_key_of_either_family_tells_it_apart(void **state) {
	static struct chain chain;
	(void)state;
	link_keys(&chain, 0);
	assert_all_found(&chain, 0);
}

static void nothing_stays_of_the_key_that_an_entry_had_before(void **state) {
	static struct chain chain;
	(void)state;
	for (uint32_t first = 0; first < KEYS; first += SPOILT) {
		link_keys(&chain, first);
		assert_all_found(&chain, first);
	}
}

static void a_key_that_is_not_there_is_not_found(void **state) {
	static struct chain chain;
	(void)state;
	link_keys(&chain, 0);
	struct key key = key_like(SPOILT - 1);
	key.remote_port++;
	assert_null(chain_find(&chain.stripe, 1, &key));
	assert_null(chain_find(&chain.stripe, NONE, &key));
}

static void the_interface_beside_it_is_left_alone(void **state) {
	static struct chain chain;
	(void)state;
	chain.pool[0].interface = INT32_MAX;
	link_keys(&chain, KEYS - 1);
	assert_true(chain.pool[0].is_ipv6);
	assert_int_equal(chain.pool[0].interface, INT32_MAX);
	link_keys(&chain, SPOILT - 1);
	assert_false(chain.pool[0].is_ipv6);
	assert_int_equal(chain.pool[0].interface, INT32_MAX);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_byte_of_a_key_of_either_family_tells_it_apart),
	    cmocka_unit_test(nothing_stays_of_the_key_that_an_entry_had_before),
	    cmocka_unit_test(a_key_that_is_not_there_is_not_found),
	    cmocka_unit_test(the_interface_beside_it_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
