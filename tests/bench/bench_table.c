/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the connection table costs: nanoseconds an operation at several fills, and bytes a
 * connection as the kernel counts them. usage: bench_table [CONNECTIONS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sallyport/core/table.h"

enum { OPERATIONS = 2000000 };

static const struct hash_secret secret = {{0x243f6a8885a308d3, 0x13198a2e03707344}};

static double now_ns(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static size_t resident_bytes(void) {
	unsigned long total, resident;
	FILE *file = fopen("/proc/self/statm", "r");
	if (!file || fscanf(file, "%lu %lu", &total, &resident) != 2)
		exit(1);
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static struct key key_number(uint32_t number) {
	struct key key = {.local_port = 443, .remote_port = (uint16_t)(number >> 16 | 1024), .protocol = 6};
	key.local = addr_from_ipv4((const uint8_t[]){192, 0, 2, 1});
	key.remote = addr_from_ipv4((const uint8_t *)&number);
	return key;
}

static uint32_t next_random(uint32_t *random) {
	*random ^= *random << 13;
	*random ^= *random >> 17;
	return *random ^= *random << 5;
}

static void insert(struct table *table, uint32_t number) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_insert(stripe, &key, 1000);
	if (connection)
		connection_touch(stripe, connection, 1000, 7440, WORTH_OPEN, true);
	table_unlock(stripe);
}

static uint32_t look_up(struct table *table, uint32_t number, uint32_t now) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	if (connection)
		connection_touch(stripe, connection, now, 7440, WORTH_OPEN, true);
	table_unlock(stripe);
	return connection != NULL;
}

static void measure(uint32_t max, uint32_t fill) {
	size_t before = resident_bytes();
	struct table *table = table_new(max, &secret);
	if (!table)
		exit(1);
	double start = now_ns();
	for (uint32_t i = 0; i < fill; i++)
		insert(table, i);
	double inserted = now_ns();
	uint32_t count = table_usage(table).count; /* a few may find their stripe full */
	double bytes = (double)(resident_bytes() - before) / count;
	uint32_t random = 2463534242, found = 0;
	double looked = now_ns();
	for (uint32_t i = 0; i < OPERATIONS; i++)
		found += look_up(table, next_random(&random) % fill, 1001 + i / 100000);
	double hits = now_ns();
	for (uint32_t i = 0; i < OPERATIONS; i++)
		found += look_up(table, fill + next_random(&random) % fill, 1001);
	double misses = now_ns();
	table_expire(table, 1000000, UINT32_MAX);
	double expired = now_ns();
	printf("%10u of %u: insert %4.0f ns, find and touch %4.0f ns, miss %4.0f ns, expire %4.0f ns, "
	       "%.0f bytes a connection%s\n",
	       count, max, (inserted - start) / fill, (hits - looked) / OPERATIONS,
	       (misses - hits) / OPERATIONS, (expired - misses) / count, bytes,
	       found ? "" : " (nothing found)");
	table_free(table);
}

int main(int argc, char **argv) {
	uint32_t max = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	if (max < 1000)
		max = 1000;
	printf("an entry: %zu bytes\n", sizeof(struct connection));
	measure(max, max / 1000);
	measure(max, max / 10);
	measure(max, max / 2);
	measure(max, max);
	return 0;
}
