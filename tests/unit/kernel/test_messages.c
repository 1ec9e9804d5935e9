/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the kernel sends of packets (nfqueue) and copies of them (nflog), whole and spoilt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sanitizer/asan_interface.h>
#include <string.h>

#include "../../../src/kernel/copies_message.h"
#include "../../../src/kernel/netlink.h"
#include "../../../src/kernel/queue_message.h"

enum { ROOM = 4096 };

static const char ipv4[20] = {0x45, 0, 0, 60};       /* 60 bytes long by its header */
static const char ipv6[40] = {0x60, 0, 0, 0, 0, 20}; /* 60 as well */

static struct nlmsghdr *start(void *room, uint16_t type) {
	struct nlmsghdr *message = mnl_nlmsg_put_header(room);

	message->nlmsg_type = type;
	mnl_nlmsg_put_extra_header(message, sizeof(struct nfgenmsg));
	return message;
}

/* ---- nfqueue ---- */

enum { QUEUE_PACKET = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET };

static struct nlmsghdr *queue_head(void *room, uint8_t hook) {
	struct nlmsghdr *message = start(room, QUEUE_PACKET);
	struct nfqnl_msg_packet_hdr header = {.packet_id = htonl(77), .hook = hook};

	mnl_attr_put(message, NFQA_PACKET_HDR, sizeof(header), &header);
	mnl_attr_put_u32(message, NFQA_MARK, htonl(0x1234));
	mnl_attr_put_u32(message, NFQA_IFINDEX_INDEV, htonl(3));
	mnl_attr_put_u32(message, NFQA_IFINDEX_OUTDEV, htonl(4));
	return message;
}

static void test_queued_packet_is_read_at_each_hook(void **state) {
	static const struct {
		uint8_t number;
		enum hook hook;
		uint32_t interface;
	} cases[] = {
	    {NF_INET_PRE_ROUTING, HOOK_IN, 3},
	    {NF_INET_LOCAL_OUT, HOOK_OUT, 4},
	    {NF_INET_POST_ROUTING, HOOK_LEARN, 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_Alignas(8) char room[ROOM];
		struct nlmsghdr *message = queue_head(room, cases[i].number);
		struct queued packet;

		mnl_attr_put(message, NFQA_PAYLOAD, sizeof(ipv4), ipv4);
		assert_int_equal(queue_message_read(room, message->nlmsg_len, &packet), QUEUE_MESSAGE_PACKET);
		assert_int_equal(packet.id, 77);
		assert_int_equal(packet.mark, 0x1234);
		assert_int_equal(packet.hook, cases[i].hook);
		assert_int_equal(packet.interface, cases[i].interface);
		assert_int_equal(packet.captured, sizeof(ipv4));
		assert_int_equal(packet.length, sizeof(ipv4));
		assert_memory_equal(packet.bytes, ipv4, sizeof(ipv4));
	}
}

static void test_cut_packet_has_its_true_length(void **state) {
	static const struct {
		uint32_t said, length;
	} cases[] = {{1500, 1500}, {65535, 65535}, {20, 20}, {19, 20}, {0, 20}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_Alignas(8) char room[ROOM];
		struct nlmsghdr *message = queue_head(room, NF_INET_LOCAL_OUT);
		struct queued packet;

		mnl_attr_put_u32(message, NFQA_CAP_LEN, htonl(cases[i].said));
		mnl_attr_put(message, NFQA_PAYLOAD, sizeof(ipv4), ipv4);
		assert_int_equal(queue_message_read(room, message->nlmsg_len, &packet), QUEUE_MESSAGE_PACKET);
		assert_int_equal(packet.length, cases[i].length);
	}
}

static void test_packet_of_a_foreign_hook_is_known_by_its_id_alone(void **state) {
	_Alignas(8) char room[ROOM];
	struct nlmsghdr *message = queue_head(room, NF_INET_FORWARD);
	struct queued packet;

	(void)state;
	mnl_attr_put(message, NFQA_PAYLOAD, sizeof(ipv4), ipv4);
	assert_int_equal(queue_message_read(room, message->nlmsg_len, &packet), QUEUE_MESSAGE_FOREIGN);
	assert_int_equal(packet.id, 77);
}

static void test_packet_without_bytes_is_known_by_its_id_alone(void **state) {
	_Alignas(8) char room[ROOM];
	struct nlmsghdr *message = queue_head(room, NF_INET_PRE_ROUTING);
	struct queued packet;

	(void)state;
	assert_int_equal(queue_message_read(room, message->nlmsg_len, &packet), QUEUE_MESSAGE_EMPTY);
	assert_int_equal(packet.id, 77);
}

static void test_queue_message_without_an_id_is_unreadable(void **state) {
	_Alignas(8) char room[ROOM];
	struct nlmsghdr *message = start(room, QUEUE_PACKET);
	struct queued packet;

	(void)state;
	mnl_attr_put(message, NFQA_PAYLOAD, sizeof(ipv4), ipv4);
	assert_int_equal(queue_message_read(room, message->nlmsg_len, &packet), QUEUE_MESSAGE_UNREADABLE);
}

static void test_other_messages_are_no_packets(void **state) {
	_Alignas(8) char room[ROOM];
	struct nlmsghdr *message = start(room, NLMSG_ERROR);
	struct queued packet;

	(void)state;
	assert_int_equal(queue_message_read(room, message->nlmsg_len, &packet), QUEUE_MESSAGE_OTHER);
}

/* A datagram that was cut: whatever is there, no packet is made of it. */
static void test_every_prefix_of_a_queue_message_is_unreadable(void **state) {
	_Alignas(8) char room[ROOM];
	struct nlmsghdr *message = queue_head(room, NF_INET_PRE_ROUTING);
	struct queued packet;

	(void)state;
	mnl_attr_put(message, NFQA_PAYLOAD, sizeof(ipv4), ipv4);
	for (size_t length = 0; length < message->nlmsg_len; length++)
		assert_int_equal(queue_message_read(room, length, &packet), QUEUE_MESSAGE_UNREADABLE);
}

static void test_payload_behind_the_end_of_its_message_is_not_read(void **state) {
	_Alignas(8) char room[ROOM];
	struct nlmsghdr *message = queue_head(room, NF_INET_PRE_ROUTING);
	struct queued packet;

	(void)state;
	mnl_attr_put(message, NFQA_PAYLOAD, sizeof(ipv4), ipv4);
	message->nlmsg_len -= 3; /* libmnl rounds it up again */
	assert_int_equal(queue_message_read(room, message->nlmsg_len, &packet), QUEUE_MESSAGE_EMPTY);
}

static void test_packet_header_behind_the_end_of_its_message_is_not_read(void **state) {
	_Alignas(8) char room[ROOM];
	struct nlmsghdr *message = start(room, QUEUE_PACKET);
	struct nfqnl_msg_packet_hdr header = {.hook = NF_INET_PRE_ROUTING};
	struct queued packet;

	(void)state;
	mnl_attr_put(message, NFQA_PAYLOAD, sizeof(ipv4), ipv4);
	mnl_attr_put(message, NFQA_PACKET_HDR, sizeof(header), &header);
	assert_int_equal(queue_message_read(room, message->nlmsg_len, &packet), QUEUE_MESSAGE_PACKET);
	message->nlmsg_len -= 3;
	assert_int_equal(queue_message_read(room, message->nlmsg_len, &packet), QUEUE_MESSAGE_UNREADABLE);
}

/* libmnl takes the length of a message for one of whole words. */
static void test_attribute_that_begins_before_the_end_of_its_message_is_not_read(void **state) {
	const struct nlattr cut = {.nla_len = sizeof(cut), .nla_type = NFQA_PAYLOAD};

	(void)state;
	for (uint32_t there = 1; there < sizeof(cut); there++) {
		_Alignas(8) char room[ROOM];
		struct nlmsghdr *message = queue_head(room, NF_INET_PRE_ROUTING);
		uint32_t length = message->nlmsg_len + there;
		struct queued packet;

		memcpy(room + message->nlmsg_len, &cut, sizeof(cut));
		message->nlmsg_len = length;
		ASAN_POISON_MEMORY_REGION(room + length, ROOM - length);
		assert_int_equal(queue_message_read(room, length, &packet), QUEUE_MESSAGE_EMPTY);
		ASAN_UNPOISON_MEMORY_REGION(room + length, ROOM - length);
	}
}

/* ---- nflog ---- */

struct sight {
	struct copied last;
	int count;
};

static void see(const struct copied *copied, void *context) {
	struct sight *sight = context;

	sight->last = *copied;
	sight->count++;
}

/* Appends one copy at `at`; returns where the next goes. */
static size_t put_copy(char *room, size_t at, uint32_t number, const void *bytes, size_t length) {
	struct nlmsghdr *message = start(room + at, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET);
	struct nfulnl_msg_packet_hdr header = {.hook = NF_INET_PRE_ROUTING};

	mnl_attr_put(message, NFULA_PACKET_HDR, sizeof(header), &header);
	mnl_attr_put_u32(message, NFULA_IFINDEX_INDEV, htonl(3));
	mnl_attr_put_u32(message, NFULA_SEQ, htonl(number));
	mnl_attr_put(message, NFULA_PAYLOAD, length, bytes);
	return at + MNL_ALIGN(message->nlmsg_len);
}

static void test_all_copies_of_a_datagram_are_seen(void **state) {
	_Alignas(8) char room[ROOM];
	struct copy_numbers numbers = {0};
	struct sight sight = {0};
	size_t length = 0;

	(void)state;
	for (uint32_t number = 0; number < 10; number++)
		length = put_copy(room, length, number, ipv4, sizeof(ipv4));
	assert_int_equal(copies_message_read(room, length, &numbers, see, &sight), 10);
	assert_int_equal(sight.count, 10);
	assert_int_equal(sight.last.hook, HOOK_IN);
	assert_int_equal(sight.last.interface, 3);
	assert_int_equal(numbers.lost, 0);
}

static void test_length_of_a_copy_is_what_its_header_says(void **state) {
	static const char lying[20] = {0x45, 0, 0, 7};
	static const struct {
		const char *bytes;
		size_t captured, length;
	} cases[] = {
	    {ipv4, sizeof(ipv4), 60},   {ipv6, sizeof(ipv6), 60}, {ipv4, 3, 3}, {ipv6, 5, 5},
	    {lying, sizeof(lying), 20},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_Alignas(8) char room[ROOM];
		struct copy_numbers numbers = {0};
		struct sight sight = {0};
		size_t length = put_copy(room, 0, 0, cases[i].bytes, cases[i].captured);

		assert_int_equal(copies_message_read(room, length, &numbers, see, &sight), 1);
		assert_int_equal(sight.last.captured, cases[i].captured);
		assert_int_equal(sight.last.length, cases[i].length);
	}
}

static void test_gaps_in_the_numbers_are_copies_lost(void **state) {
	static const struct {
		uint32_t first, second;
		uint64_t lost;
	} cases[] = {{0, 1, 0}, {0, 2, 1}, {100, 1101, 1000}, {UINT32_MAX, 0, 0}, {UINT32_MAX, 5, 5}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_Alignas(8) char room[ROOM];
		struct copy_numbers numbers = {0};
		struct sight sight = {0};
		size_t length = put_copy(room, 0, cases[i].first, ipv4, sizeof(ipv4));

		copies_message_read(room, length, &numbers, see, &sight);
		assert_int_equal(numbers.lost, 0); /* nobody knows what came before */
		length = put_copy(room, 0, cases[i].second, ipv4, sizeof(ipv4));
		copies_message_read(room, length, &numbers, see, &sight);
		assert_int_equal(numbers.lost, cases[i].lost);
	}
}

static void test_length_beyond_2_GiB_ends_the_datagram(void **state) {
	_Alignas(8) char room[ROOM];
	struct copy_numbers numbers = {0};
	struct sight sight = {0};
	size_t second = put_copy(room, 0, 0, ipv4, sizeof(ipv4));
	size_t length = put_copy(room, second, 1, ipv4, sizeof(ipv4));

	(void)state;
	((struct nlmsghdr *)(room + second))->nlmsg_len = 0xffffff00;
	assert_int_equal(copies_message_read(room, length, &numbers, see, &sight), 1);
}

static void test_every_prefix_of_a_copy_is_left_alone(void **state) {
	_Alignas(8) char room[ROOM];
	struct copy_numbers numbers = {0};
	struct sight sight = {0};
	size_t whole = put_copy(room, 0, 0, ipv4, sizeof(ipv4));

	(void)state;
	for (size_t length = 0; length < whole; length++)
		assert_int_equal(copies_message_read(room, length, &numbers, see, &sight), 0);
	assert_int_equal(sight.count, 0);
}

/* ---- dumps ---- */

static int count_message(const struct nlmsghdr *message, void *context) {
	(void)message;
	++*(int *)context;
	return MNL_CB_OK;
}

static void test_dump_with_a_length_beyond_2_GiB_is_refused_whole(void **state) {
	_Alignas(8) char room[ROOM];
	size_t second = put_copy(room, 0, 0, ipv4, sizeof(ipv4));
	size_t length = put_copy(room, second, 1, ipv4, sizeof(ipv4));
	int count = 0;

	(void)state;
	assert_int_equal(datagram_run(room, length, 0, 0, count_message, &count), MNL_CB_OK);
	assert_int_equal(count, 2);
	((struct nlmsghdr *)(room + second))->nlmsg_len = 0x80000000;
	assert_int_equal(datagram_run(room, length, 0, 0, count_message, &count), MNL_CB_ERROR);
	assert_int_equal(count, 2);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_queued_packet_is_read_at_each_hook),
	    cmocka_unit_test(test_cut_packet_has_its_true_length),
	    cmocka_unit_test(test_packet_of_a_foreign_hook_is_known_by_its_id_alone),
	    cmocka_unit_test(test_packet_without_bytes_is_known_by_its_id_alone),
	    cmocka_unit_test(test_queue_message_without_an_id_is_unreadable),
	    cmocka_unit_test(test_other_messages_are_no_packets),
	    cmocka_unit_test(test_every_prefix_of_a_queue_message_is_unreadable),
	    cmocka_unit_test(test_payload_behind_the_end_of_its_message_is_not_read),
	    cmocka_unit_test(test_packet_header_behind_the_end_of_its_message_is_not_read),
	    cmocka_unit_test(test_attribute_that_begins_before_the_end_of_its_message_is_not_read),
	    cmocka_unit_test(test_all_copies_of_a_datagram_are_seen),
	    cmocka_unit_test(test_length_of_a_copy_is_what_its_header_says),
	    cmocka_unit_test(test_gaps_in_the_numbers_are_copies_lost),
	    cmocka_unit_test(test_length_beyond_2_GiB_ends_the_datagram),
	    cmocka_unit_test(test_every_prefix_of_a_copy_is_left_alone),
	    cmocka_unit_test(test_dump_with_a_length_beyond_2_GiB_is_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
