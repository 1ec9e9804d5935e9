/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the connection table costs: nanoseconds an operation at several fills, and bytes a
 * connection as the kernel counts them. usage: bench_table [CONNECTIONS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sallyport/core/table.h"

enum { OPERATIONS = 2000000 };

static const uint32_t ipv6 = 1u << 31; /* numbers from here on */

static const struct hash_secret secret = {{0x243f6a8885a308d3, 0x13198a2e03707344}};

static double now_ns(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static size_t resident_bytes(void) {
	unsigned long kilobytes;
	FILE *file = fopen("/proc/self/smaps_rollup", "r"); /* statm is up to 64 pages a CPU behind */
	if (!file || fscanf(file, "%*[^\n] Rss: %lu kB", &kilobytes) != 1)
		exit(1);
	fclose(file);
	return kilobytes * 1024;
}

static struct key key_number(uint32_t number) {
	struct key key = {.local_port = 443, .remote_port = (uint16_t)(number >> 16 | 1024), .protocol = 6};
	key.local = addr_from_ipv4((const uint8_t[]){192, 0, 2, 1});
	key.remote = addr_from_ipv4((const uint8_t *)&number);
	if (number >= ipv6)
		key.local.bytes[0] = key.remote.bytes[0] = 0x20;
	return key;
}

static uint32_t next_random(uint32_t *random) {
	*random ^= *random << 13;
	*random ^= *random >> 17;
	return *random ^= *random << 5;
}

static void insert(struct table *table, uint32_t number, uint8_t state) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	connection_insert(stripe, &key, state, 1000);
	table_unlock(stripe);
}

static bool look_up(struct table *table, uint32_t number, uint32_t now) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	if (connection && now)
		connection_renew(stripe, connection, now);
	table_unlock(stripe);
	return connection;
}

/* Nanoseconds a look-up among `count` connections. `renews`: each in a second of its own,
 * the worst that can be. */
static double look_up_many(struct table *table, uint32_t first, uint32_t count, bool renews) {
	uint32_t random = 2463534242, found = 0;
	double start = now_ns();
	for (uint32_t i = 0; i < OPERATIONS; i++)
		found += look_up(table, first + next_random(&random) % count, renews ? 2000 + i : 0);
	double end = now_ns();
	if (found < OPERATIONS / 2 && first % ipv6 == 0)
		exit(1);
	return (end - start) / OPERATIONS;
}

/* What a flood meets: each insertion lets the oldest go. */
static double replace_many(uint32_t max) {
	struct table *table = table_new(max, &secret);
	if (!table)
		exit(1);
	for (uint32_t i = 0; i < 2 * max; i++)
		insert(table, i, TCP_SYN_SENT);
	double start = now_ns();
	for (uint32_t i = 0; i < OPERATIONS; i++)
		insert(table, 2 * max + i, TCP_SYN_SENT);
	double end = now_ns();
	table_free(table);
	return (end - start) / OPERATIONS;
}

static void measure(uint32_t max, uint32_t fill, uint32_t first) {
	const struct expiry expiry = {.timeouts = &default_timeouts};
	size_t before = resident_bytes();
	struct table *table = table_new(max, &secret);
	if (!table)
		exit(1);
	double start = now_ns();
	for (uint32_t i = 0; i < fill; i++)
		insert(table, first + i, TCP_ESTABLISHED);
	double inserted = now_ns();
	uint32_t count = table_usage(table).count; /* a few may find their stripe full */
	double bytes = (double)(resident_bytes() - before) / count;
	double find = look_up_many(table, first, fill, false), renew = look_up_many(table, first, fill, true);
	double miss = look_up_many(table, first + fill, fill, false);
	double looked = now_ns();
	table_expire(table, &expiry, UINT32_MAX, UINT32_MAX);
	double expired = now_ns();
	printf("%10u of %u: insert %4.0f ns, find %4.0f ns, find and renew %4.0f ns, miss %4.0f ns, "
	       "expire %4.0f ns, %.1f bytes a connection\n",
	       count, max, (inserted - start) / fill, find, renew, miss, (expired - looked) / count, bytes);
	table_free(table);
}

int main(int argc, char **argv) {
	uint32_t max = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	if (max < 1000)
		max = 1000;
	printf("an entry: %zu bytes\n", sizeof(struct connection));
	measure(max, max / 1000, 0);
	measure(max, max / 10, 0);
	measure(max, max / 2, 0);
	measure(max, max, 0);
	printf("of IPv6:\n");
	measure(max, max, ipv6);
	printf("a flood on a full table: %.0f ns an insertion\n", replace_many(max));
	return 0;
}
