# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv4 options and IPv6 extension headers (RFC 791, 2113, 2675, 5095, 7045, 8200, 4302; OpenBSD's
pf_opts): whatever stands between the addresses and the ports, the ports are judged, and what hides
them reaches no closed port.

In every case a TCP SYN, a datagram and an ICMP question go to an open and to a closed port. Three
can turn a packet away: the kernel ahead of every chain, the rules (a TCP SYN to a closed port by
the port map, the rest by the daemon, with its reason), and the host's own stack behind them.
"""

from collections import Counter

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from arena import SIZE
from net import IPV4, IPV6

# How far the open ones come: to the ports, to the local stack, which drops them unanswered, or not so far.
ANSWERED, SILENT, NEVER = "answered", "silent", "never"
JUDGED = {"opened": 3, "refused": 3}
MALFORMED = {"refused": 1, "drop.header": 5}
HOP_BY_HOP, ROUTING, AUTHENTICATION, NO_NEXT, DESTINATION = 0, 43, 51, 59, 60


def judged(arena, side, build, counts, through):
    messages = arena.messages(side)
    opens = {str(one) for one in messages if one.opens}
    report = arena.judge(side, [build(one) for one in messages], 3 if through == ANSWERED else 0)
    assert report.behind == (set() if through == NEVER else opens)
    assert report.answered == (opens if through == ANSWERED else set())
    assert report.counts == Counter(counts)


def four(options):
    """The message behind an IPv4 header with these option bytes, right or wrong."""
    def build(message):
        length = 20 + len(options)
        header = IP(src=IPV4.cli, dst=IPV4.srv, proto=message.protocol(IPV4), ihl=length // 4,
                    len=length + SIZE)
        whole = IP(bytes(header)[:20] + options + message.bytes(IPV4))
        del whole.chksum  # written anew
        return whole
    return build


def route(kind):
    """A source route over one more host."""
    return bytes([kind, 7, 4, *map(int, IPV4.cli.split(".")), 0])


def six(first, chain):
    """The message behind a chain of headers; `chain` makes it from the message's protocol."""
    def build(message):
        return (IPv6(src=IPV6.cli, dst=IPV6.srv, nh=first) /
                Raw(chain(message.protocol(IPV6)) + message.bytes(IPV6)))
    return build


def header(number, option=b"\x01\x04\0\0\0\0"):
    return bytes([number, (len(option) + 2) // 8 - 1]) + option


def routing(number, kind, left=1):
    return bytes([number, 2, kind, left]) + bytes(4) + bytes(IPv6(dst=IPV6.cli))[24:40]


def chain_of(count):
    return lambda number: b"".join(header(DESTINATION if left else number) for left in reversed(range(count)))


def authentication(number):
    return bytes([number, 4]) + bytes(22)


# name: (packet of a message, what is counted, how far the open ones come)
CASES4 = {
    "record_route": (four(bytes([7, 7, 4, 0, 0, 0, 0, 0])), JUDGED, ANSWERED),
    "timestamp": (four(bytes([68, 8, 5, 0, 0, 0, 0, 0])), JUDGED, ANSWERED),
    "router_alert": (four(bytes([148, 4, 0, 0])), JUDGED, ANSWERED),
    "padding_of_40_bytes": (four(bytes([1] * 40)), JUDGED, ANSWERED),
    "end_of_list_and_garbage": (four(bytes([0]) + bytes(range(200, 207))), JUDGED, ANSWERED),
    "unknown_option": (four(bytes([0x5e, 4, 1, 2])), JUDGED, ANSWERED),
    "loose_source_route": (four(route(131)), JUDGED, NEVER),   # accept_source_route is off
    "strict_source_route": (four(route(137)), JUDGED, NEVER),
    "option_of_length_0": (four(bytes([7, 0, 4, 0])), JUDGED, NEVER),
    "option_of_length_1": (four(bytes([7, 1, 4, 0])), JUDGED, NEVER),
    "option_longer_than_the_header": (four(bytes([7, 39, 4, 0])), JUDGED, NEVER),
}
CASES6 = {
    "hop_by_hop": (six(HOP_BY_HOP, header), JUDGED, ANSWERED),
    "destination_options": (six(DESTINATION, header), JUDGED, ANSWERED),
    "five_headers": (six(DESTINATION, chain_of(5)), JUDGED, ANSWERED),
    "eight_headers": (six(DESTINATION, chain_of(8)), JUDGED, ANSWERED),
    "nine_headers": (six(DESTINATION, chain_of(9)), MALFORMED, NEVER),
    "forty_headers": (six(DESTINATION, chain_of(40)), MALFORMED, NEVER),
    "hop_by_hop_behind_another": (six(DESTINATION, lambda number: header(HOP_BY_HOP) + header(number)),
                                  MALFORMED, NEVER),
    "hop_by_hop_twice": (six(HOP_BY_HOP, lambda number: header(HOP_BY_HOP) + header(number)),
                         MALFORMED, NEVER),
    "routing_0": (six(ROUTING, lambda number: routing(number, 0)), MALFORMED, NEVER),
    "routing_0_that_is_done": (six(ROUTING, lambda number: routing(number, 0, 0)),
                               MALFORMED, NEVER),
    "routing_2": (six(ROUTING, lambda number: routing(number, 2)), JUDGED, SILENT),
    "routing_4": (six(ROUTING, lambda number: routing(number, 4)), JUDGED, SILENT),
    "routing_253_that_is_done": (six(ROUTING, lambda number: routing(number, 253, 0)), JUDGED, ANSWERED),
    # a protocol of its own, like ESP: no rule is about it
    "authentication": (six(AUTHENTICATION, authentication), {"refused": 6}, NEVER),
    "unknown_header": (six(253, header), {"refused": 6}, NEVER),
    "no_next_header": (six(NO_NEXT, header), {"refused": 6}, NEVER),
    "option_that_must_be_known": (six(DESTINATION, lambda number: header(number, b"\xfe\x04\0\0\0\0")),
                                  JUDGED, SILENT),
    "hop_by_hop_option_that_must_be_known": (
        six(HOP_BY_HOP, lambda number: header(number, b"\xfe\x04\0\0\0\0")), {}, NEVER),
    "header_longer_than_the_packet": (
        six(DESTINATION, lambda number: bytes([number, 255]) + bytes(6)), {"drop.truncated": 6}, NEVER),
    "jumbo_of_a_small_packet": (
        six(HOP_BY_HOP, lambda number: header(number, b"\xc2\x04\0\0\0\x68")), {}, NEVER),
}


@pytest.mark.parametrize("name", CASES4)
def test_ipv4_options(arena, name):
    judged(arena, IPV4, *CASES4[name])


@pytest.mark.parametrize("name", CASES6)
def test_ipv6_extension_headers(arena, name):
    judged(arena, IPV6, *CASES6[name])


CASES = [(IPV4, name) for name in CASES4] + [(IPV6, name) for name in CASES6]


@pytest.mark.parametrize("side, name", CASES, ids=[f"{side.name}-{name}" for side, name in CASES])
def test_without_the_daemon(headless, side, name):
    """Nobody is asked, and still nothing closed comes through; what is open comes as far as with the daemon. The
    kernel's rules find the ports behind any number of headers, so more of that may come than with it."""
    build, _, through = (CASES4 if side.version == 4 else CASES6)[name]
    messages = headless.messages(side)
    opens = {str(one) for one in messages if one.opens}
    report = headless.judge(side, [build(one) for one in messages], 3 if through == ANSWERED else 0)
    assert report.answered <= report.behind <= opens
    assert through == NEVER or report.behind == opens
    assert through == NEVER or report.answered == (opens if through == ANSWERED else set())
