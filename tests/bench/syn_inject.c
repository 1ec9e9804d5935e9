/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SYNs as fast as the host can take them in, from 32,768 made-up addresses (10.100.0.0/17) and random
 * ports: the kernel itself puts them on the receiving side of a device, by running a small XDP program on
 * live frames (linux/bpf.h, BPF_F_TEST_XDP_LIVE_FRAMES). A packet socket at the other end of a veth pair
 * costs more a packet than what is to be measured. Run it in the namespace of the receiver.
 *
 *   syn_inject DEVICE DEVICE_MAC ADDRESS PORT SECONDS      prints "PACKETS CPU_SECONDS"
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment.h"

enum { AT_ONCE = 1 << 15, MAX_SECONDS = 60 };

/* The words that each packet has its own of. Each is written twice, plain and inverted, under the same
 * checksum, whose sum so stays what it is: the address in the IP header, address and port in the segment. */
enum {
	ADDRESS = offsetof(struct segment, ip.saddr) + 2,
	ADDRESS_INVERTED_IP = offsetof(struct segment, ip.id),
	ADDRESS_INVERTED_TCP = offsetof(struct segment, tcp.seq) + 2,
	SOURCE_PORT = offsetof(struct segment, tcp.source),
	PORT_INVERTED = offsetof(struct segment, tcp.seq),
};

#define INSN(operation, target, from, offset, immediate)                                                     \
	((struct bpf_insn){.code = (operation),                                                              \
			   .dst_reg = (target),                                                              \
			   .src_reg = (from),                                                                \
			   .off = (offset),                                                                  \
			   .imm = (immediate)})
#define MOVE(target, from)                    INSN(BPF_ALU64 | BPF_MOV | BPF_X, target, from, 0, 0)
#define COMPUTE(operation, target, immediate) INSN(BPF_ALU64 | (operation) | BPF_K, target, 0, 0, immediate)
#define LOAD(target, from, offset)            INSN(BPF_LDX | BPF_MEM | BPF_W, target, from, offset, 0)
#define STORE(target, offset, from)           INSN(BPF_STX | BPF_MEM | BPF_H, target, from, offset, 0)

static int load_program(void) {
	static char log[4096];
	const struct bpf_insn program[] = {
	    LOAD(6, 1, offsetof(struct xdp_md, data)),
	    LOAD(2, 1, offsetof(struct xdp_md, data_end)),
	    MOVE(3, 6),
	    COMPUTE(BPF_ADD, 3, sizeof(struct segment)),
	    INSN(BPF_JMP | BPF_JGT | BPF_X, 3, 2, 12, 0), /* too short: as it is */
	    INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_prandom_u32),
	    MOVE(1, 0),
	    COMPUTE(BPF_AND, 1, 0xff7f), /* network order: 10.100.0.0/17 */
	    STORE(6, ADDRESS, 1),
	    COMPUTE(BPF_XOR, 1, 0xffff),
	    STORE(6, ADDRESS_INVERTED_IP, 1),
	    STORE(6, ADDRESS_INVERTED_TCP, 1),
	    COMPUTE(BPF_RSH, 0, 16),
	    COMPUTE(BPF_OR, 0, 0x0004), /* network order: 1024 and above */
	    STORE(6, SOURCE_PORT, 0),
	    COMPUTE(BPF_XOR, 0, 0xffff),
	    STORE(6, PORT_INVERTED, 0),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS),
	    INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_XDP};
	int descriptor;

	attributes.insns = (uintptr_t)program;
	attributes.insn_cnt = sizeof(program) / sizeof(*program);
	attributes.license = (uintptr_t) "GPL";
	attributes.log_buf = (uintptr_t)log;
	attributes.log_size = sizeof(log);
	attributes.log_level = 1;
	descriptor = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
	if (descriptor < 0)
		fprintf(stderr, "%s\n", log);
	return descriptor;
}

/* A veth device has a receive queue that XDP knows of only with GRO. */
static bool enable_gro(const char *device) {
	struct ethtool_value value = {.cmd = ETHTOOL_SGRO, .data = 1};
	struct ifreq request = {.ifr_data = (char *)&value};
	int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
	bool done;

	strncpy(request.ifr_name, device, IFNAMSIZ - 1);
	done = ioctl(descriptor, SIOCETHTOOL, &request) == 0;
	close(descriptor);
	return done;
}

static bool inject(int program, const char *device, const struct segment *segment) {
	struct xdp_md context = {.data_end = sizeof(*segment), .ingress_ifindex = if_nametoindex(device)};
	union bpf_attr attributes = {.test = {.prog_fd = (uint32_t)program}};

	attributes.test.data_in = (uintptr_t)segment;
	attributes.test.data_size_in = sizeof(*segment);
	attributes.test.ctx_in = (uintptr_t)&context;
	attributes.test.ctx_size_in = sizeof(context);
	attributes.test.repeat = AT_ONCE;
	attributes.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
	return syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attributes, sizeof(attributes)) == 0;
}

int main(int argc, char **argv) {
	double start, seconds = argc == 6 ? atof(argv[5]) : 0;
	struct in_addr destination;
	unsigned long packets = 0;
	struct segment segment;
	struct timespec used;
	int program;

	if (seconds <= 0 || seconds > MAX_SECONDS || inet_pton(AF_INET, argv[3], &destination) != 1 ||
	    !segment_init(&segment, argv[2], ntohl(destination.s_addr), (uint16_t)atoi(argv[4]))) {
		fprintf(stderr, "usage: syn_inject DEVICE DEVICE_MAC ADDRESS PORT SECONDS\n");
		return 2;
	}
	segment_seal(&segment, 0x0a640000, 0);
	program = load_program();
	if (program < 0 || !enable_gro(argv[1])) {
		perror("syn_inject");
		return 1;
	}
	start = segment_clock();
	while (segment_clock() < start + seconds) {
		if (!inject(program, argv[1], &segment)) {
			perror("syn_inject");
			return 1;
		}
		packets += AT_ONCE;
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	printf("%lu %.6f\n", packets, (double)used.tv_sec + (double)used.tv_nsec / 1e9);
	return 0;
}
