# SPDX-License-Identifier: GPL-2.0-or-later
"""Fragments that do not add up: nothing reaches a closed port by them, and what is cut honestly
arrives (RFC 791, 1858, 3128, 5722, 6946, 7112, 8200; OpenBSD's pf_fragment and frag6).

The kernel puts fragments together ahead of every chain (priority -400), and the rules see the
whole. So a case says what the whole is: the honest message, that of a liar who overlays it, or
none. In every case six messages are cut alike: a TCP SYN, a datagram and an ICMP question, each to
an open and to a closed port; the liar of each asks for the other port. What is whole and open
arrives and is answered; what is whole and closed is counted as refused; what is never whole leaves
no count at all.

What the kernel does with pieces that meet (net/ipv4/inet_fragment.c): one that lies within what
is there already is taken for a repeat and ignored; one that sticks out discards the whole packet,
as RFC 5722 wants. IPv6 pieces that the host's own stack has to answer with an error are handed on
alone, and the daemon drops them as drop.fragment.
"""

import struct
from collections import Counter, namedtuple
from itertools import permutations

import pytest
from scapy.layers.inet import ICMP, IP, IPOption_RR
from scapy.layers.inet6 import ICMPv6TimeExceeded, IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw

from arena import CLOSED, SIZE, Report
from net import BOTH, IPV4, IPV6

Piece = namedtuple("Piece", "offset data more")
H, L = "honest", "liar"


class Result:
    """Who is whole (a tuple of H and L), for each kind; `extra` counts beside those that follow from it."""

    def __init__(self, whole=(), extra=None, answered=True, **kinds):
        self.whole = {kind: kinds.get(kind, whole) for kind in ("tcp", "udp", "icmp")}
        self.extra = Counter(extra or {})
        self.answered = answered


HONEST, LIAR, BOTH_WHOLE, NOTHING = Result((H,)), Result((L,)), Result((H, L)), Result()


def piece(data, begin, end, more=None):
    return Piece(begin, data[begin:end], end < SIZE if more is None else more)


def cut(data, *bounds):
    bounds = [0, *bounds, len(data)]
    return [piece(data, begin, end) for begin, end in zip(bounds, bounds[1:])]


def thirds(data):
    return cut(data, 32, 64)


def order(*places):
    return lambda h, l: [thirds(h)[place] for place in places]


def over(begin, end, position):
    """The three honest pieces, and as the `position`th one of the liar over [begin, end)."""
    def shape(h, l):
        parts = thirds(h)
        parts.insert(position, piece(l, begin, end, True))
        return parts
    return shape


# Without its whole TCP header a first piece of IPv6 is handed on alone (RFC 8200 4.5), and dropped.
# Where it shows the flags of a SYN the port map refuses that to the closed port.
NO_TCP = Result((H,), {"drop.fragment": 2}, tcp=())
NO_TCP_16 = Result((H,), {"drop.fragment": 1, "refused": 1}, tcp=())

# Whole, but not as long as the UDP header says, and with wrong checksums.
SHORT = Result((H,), {"drop.header": 2}, answered=False, udp=())
# Handed on alone too: the stack answers it with a parameter problem (RFC 8200 4.5).
UNEVEN = Result(extra={"drop.fragment": 4, "bogus_flags": 2})

# name: (pieces, IPv4, IPv6 where it differs)
SHAPES = {f"order_{''.join(str(place) for place in places)}": (order(*places), HONEST)
          for places in permutations(range(3))}
SHAPES |= {
    # small pieces
    "eight_bytes_each": (lambda h, l: cut(h, *range(8, SIZE, 8)), HONEST, NO_TCP),
    "eight_bytes_each_backward": (lambda h, l: cut(h, *range(8, SIZE, 8))[::-1], HONEST, NO_TCP),
    "tiny_first_without_flags": (lambda h, l: cut(h, 8), HONEST, NO_TCP),
    "tiny_first_without_flags_last": (lambda h, l: cut(h, 8)[::-1], HONEST, NO_TCP),
    "tiny_first_with_flags": (lambda h, l: cut(h, 16), HONEST, NO_TCP_16),
    "tiny_first_with_half_the_options": (lambda h, l: cut(h, 24), HONEST),
    # repeats
    "first_repeated": (order(0, 0, 1, 2), HONEST),
    "middle_repeated": (order(0, 1, 1, 2), HONEST),
    "last_repeated": (order(0, 2, 2, 1), HONEST),
    "all_sent_twice": (order(0, 1, 2, 0, 1, 2), Result((H,), {"refused": 3})),
    # pieces that never come
    "first_missing": (order(1, 2), NOTHING),
    "middle_missing": (order(0, 2), NOTHING),
    "last_missing": (order(0, 1), NOTHING),
    # a liar of exactly a piece's size: who is first is believed, by everybody
    "liar_before_the_first": (over(0, 32, 0), LIAR),
    "liar_behind_the_first": (over(0, 32, 1), HONEST),
    "liar_behind_the_second": (over(0, 32, 2), HONEST),
    "liar_for_the_last": (lambda h, l: [*thirds(h)[:2], piece(l, 64, 96), *thirds(h)[2:]], HONEST),
    # a liar inside a piece is a repeat; a piece around the liar overlaps it
    "liar_within_the_first": (over(0, 8, 1), HONEST, Result((H,), {"drop.fragment": 2})),
    "liar_within_the_first_before_it": (over(0, 8, 0), NOTHING, Result(extra={"drop.fragment": 2}, tcp=(H,))),
    "liar_across_two_that_are_there": (over(24, 40, 2), HONEST),
    # overlaps that stick out
    "overlap_of_a_tail": (over(24, 64, 1), NOTHING),
    "overlap_of_a_head": (lambda h, l: [piece(h, 64, 96), piece(l, 32, 72), *thirds(h)[:2]], NOTHING),
    "overlap_of_both": (lambda h, l: [piece(h, 0, 32), piece(h, 64, 96), piece(l, 24, 72), piece(h, 32, 64)],
                        NOTHING),
    "overlap_by_one_unit": (lambda h, l: [piece(h, 0, 40), piece(l, 32, 64), piece(h, 64, 96)], NOTHING),
    "overlap_of_the_whole": (lambda h, l: [piece(h, 32, 64), piece(l, 0, 96, True), *thirds(h)[::2]],
                             NOTHING),
    "overlap_of_the_whole_late": (lambda h, l: [*thirds(h)[:2], piece(l, 0, 96, True), piece(h, 64, 96)],
                                  NOTHING),
    "rest_behind_an_overlap": (lambda h, l: [piece(h, 0, 32), piece(l, 24, 64), piece(h, 32, 64),
                                             piece(h, 64, 96)], NOTHING),
    "all_anew_behind_an_overlap": (lambda h, l: [piece(h, 0, 32), piece(l, 24, 64), *thirds(h)], HONEST),
    # RFC 1858 and 3128: ports or flags written over
    "ports_written_over": (lambda h, l: [piece(h, 0, 16), piece(l, 0, 16), piece(h, 16, 96)], HONEST,
                           Result((H,), {"drop.fragment": 2, "refused": 2}, tcp=())),
    "ports_written_over_backward": (lambda h, l: [piece(h, 16, 96), piece(l, 0, 16), piece(h, 0, 16)], LIAR,
                                    Result((L,), {"drop.fragment": 2, "refused": 2}, tcp=())),
    "flags_written_over": (lambda h, l: [piece(h, 0, 24), piece(h, 32, 96), piece(l, 8, 32)], NOTHING),
    "second_piece_at_offset_8": (lambda h, l: [piece(h, 0, 40), piece(l, 8, 40), piece(h, 40, 96)], HONEST),
    # ends that contradict each other
    "two_ends_the_second_shorter": (
        lambda h, l: [piece(h, 0, 32), piece(h, 64, 96), piece(h, 32, 64, False)], NOTHING),
    "two_ends_the_second_longer": (
        lambda h, l: [piece(h, 32, 64, False), piece(h, 64, 96), piece(h, 0, 32)], NOTHING, SHORT),
    "end_too_early": (lambda h, l: [piece(h, 0, 32), piece(h, 32, 64, False)], SHORT),
    "more_at_the_end": (lambda h, l: [piece(h, 0, 32), piece(h, 64, 96), piece(h, 64, 96, True),
                                      piece(h, 32, 64)], HONEST),
    "more_behind_the_end": (lambda h, l: [piece(h, 0, 32), piece(h, 64, 96), Piece(96, h[:32], True),
                                          piece(h, 32, 64)], NOTHING, HONEST),
    # lengths
    "beyond_64k": (lambda h, l: [*thirds(h)[:2], Piece(65528, h[64:], False)], NOTHING),
    "beyond_64k_first": (lambda h, l: [Piece(65528, h[64:], False), *thirds(h)[:2]], NOTHING),
    "empty_middle": (lambda h, l: [piece(h, 0, 32), Piece(32, b"", True), *thirds(h)[1:]], NOTHING, HONEST),
    "empty_last": (lambda h, l: [piece(h, 0, 96, True), Piece(96, b"", False)], NOTHING),
    "uneven_middle": (lambda h, l: [piece(h, 0, 32), Piece(32, h[32:61], True), Piece(64, h[64:], False)],
                      NOTHING, UNEVEN),
    "uneven_filled_up": (lambda h, l: [piece(h, 0, 32), Piece(32, h[32:61], True), Piece(56, h[56:], False)],
                         HONEST, UNEVEN),
}


def lay(side, part, message, **fields):
    """One piece as a packet."""
    if side.version == 4:
        fields = {"flags": "MF" if part.more else 0, "proto": message.protocol(side), "src": side.cli,
                  "dst": side.srv} | fields
        return IP(id=message.number, frag=part.offset // 8, **fields) / Raw(part.data)
    fields = {"nh": message.protocol(side)} | fields
    return (IPv6(src=fields.pop("src", side.cli), dst=side.srv) /
            IPv6ExtHdrFragment(offset=part.offset // 8, m=int(part.more), id=message.number, **fields) /
            Raw(part.data))


def arriving(messages, result, side):
    """Who is whole."""
    return [message if who == H else message.liar(side)
            for message in messages for who in result.whole[message.kind]]


def judged(arena, side, cut_up, result):
    """Sends what `cut_up` makes of each message, and compares what became of them with `result`."""
    messages = arena.messages(side)
    packets = [packet for message in messages for packet in cut_up(message, message.liar(side))]
    whole = arriving(messages, result, side)
    through = {str(one) for one in whole if one.opens}
    report = arena.judge(side, packets, len(through) if result.answered else 0)
    assert report.behind == through
    assert report.answered == (through if result.answered else set())
    assert report.whole >= {str(one) for one in whole}
    assert report.counts == Counter(opened=len(through), refused=len(whole) - len(through)) + result.extra
    return report


def shaped(side, shape):
    """The packets of a shape, for a message and its liar."""
    return lambda message, liar: [lay(side, part, message)
                                  for part in shape(message.bytes(side), liar.bytes(side))]


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("side", BOTH, ids=lambda side: side.name)
def test_shape(arena, side, name):
    shape, result = SHAPES[name][0], SHAPES[name][-1 if side.version == 6 else 1]

    judged(arena, side, shaped(side, shape), result)


@pytest.mark.parametrize("side", BOTH, ids=lambda side: side.name)
def test_pieces_of_many_packets_interleaved(arena, side):
    """Six packets under way at once, their pieces dealt out in turn: each gets its own."""
    messages = arena.messages(side)
    pieces = [[lay(side, part, one) for part in thirds(one.bytes(side))] for one in messages]
    report = arena.judge(side, [packet for turn in zip(*pieces) for packet in turn], 3)
    assert report.behind == report.answered == {str(one) for one in messages if one.opens}
    assert report.counts == Counter(opened=3, refused=3)


# What differs between the pieces of one packet, IPv4: name: (fields of the second piece, result)
def fields4(name, message):
    return {
        "dont_fragment_and_more": {"flags": "MF+DF"},
        "reserved_flag": {"flags": "MF+evil"},
        "other_ttl": {"ttl": 3},
        "other_tos": {"tos": 0x10},
        "options_in_the_second": {"options": [IPOption_RR(routers=["0.0.0.0"] * 3)]},
        "other_protocol": {"proto": 17 if message.kind == "tcp" else 6},
        "other_source": {"src": IPV4.cli_b},
        "congestion_marks_mixed": {"tos": 3},  # not-ECT and CE in one packet: RFC 3168 5.3
    }[name]


@pytest.mark.parametrize("name, result", [
    ("dont_fragment_and_more", HONEST), ("reserved_flag", HONEST), ("other_ttl", HONEST),
    ("other_tos", HONEST), ("options_in_the_second", HONEST), ("other_protocol", NOTHING),
    ("other_source", NOTHING), ("congestion_marks_mixed", NOTHING)])
def test_ipv4_headers_that_differ(arena, name, result):
    def cut_up(message, _):
        parts = thirds(message.bytes(IPV4))
        return [lay(IPV4, part, message, **(fields4(name, message) if part is parts[1] else {}))
                for part in parts]
    judged(arena, IPV4, cut_up, result)


# IPv6: what stands around and inside the fragment header.

JUMBO = bytes([44, 0, 0xc2, 4, 0, 1, 0, 8])
DESTINATION, HOP_BY_HOP, ROUTING, FRAGMENT, NO_NEXT = 60, 0, 43, 44, 59


def options(number, size=8):
    """A header of `size` bytes with an option that nobody knows and all must skip (RFC 4727), in front of
    what `number` says."""
    return bytes([number, size // 8 - 1, 0x1e, size - 4]) + bytes(size - 4)


def routing(number, kind):
    """A routing header with one more address to go to."""
    return bytes([number, 2, kind, 1]) + bytes(4) + bytes(IPv6(dst=IPV6.cli))[24:40]


def fragment_header(number, ident, offset=0, more=False):
    return bytes(IPv6ExtHdrFragment(nh=number, offset=offset // 8, m=int(more), id=ident))


def six(message, data, *bounds, number=None, ahead=(44, b""), ident=0, source=IPV6.cli):
    """`data` cut into fragments whose header names `number` as what comes first in it; `ahead`: the kind and
    the bytes of what stands before the fragment header."""
    number = message.protocol(IPV6) if number is None else number
    bounds = [0, *bounds, len(data)]
    kind, chain = ahead
    return [IPv6(src=source, dst=IPV6.srv, nh=kind) /
            Raw(chain + fragment_header(number, message.number + ident, begin, end < len(data)) +
                data[begin:end])
            for begin, end in zip(bounds, bounds[1:])]


def body(one):
    return one.bytes(IPV6)


def p(one):
    return one.protocol(IPV6)


def optioned(one, size=24):
    return options(p(one), size) + body(one)


def chained(one, count):
    return b"".join(options(DESTINATION if left else p(one)) for left in reversed(range(count))) + body(one)


def wrapped(one, begin, end):
    """A fragment of it, header and all, to be wrapped into another."""
    return fragment_header(p(one), one.number + 1, begin, end < SIZE) + body(one)[begin:end]


def refused(count, **reasons):
    """None of it whole enough to pass: counts of the default, and of the daemon by reason."""
    return Result(extra={"refused": count} | {f"drop.{name}": number for name, number in reasons.items()})


# UDP and ICMP are dropped by the daemon, and so is a TCP SYN to the open port; one to the closed port
# falls to the port map, which asks nobody.
BAD_CHAIN = refused(1, header=5)
# What is left of it are pieces. nftables reads no ports in them, or those of a first piece alone, and
# finds flags there that no TCP sends.
NESTED = Result(extra={"drop.fragment": 9, "refused": 1, "bogus_flags": 2})
NO_CHAIN = refused(0, fragment=6)

# name: (packets of a message and its liar, result)
CHAINS = {
    # RFC 6946: whole packets with a fragment header. One amid pieces of the same identification overlaps
    # them for Linux, which discards all; the RFC would have them kept apart. Either way nothing is mixed.
    "atomic": (lambda m, l: six(m, body(m)), HONEST),
    "atomic_twice": (lambda m, l: six(m, body(m)) * 2, Result((H,), {"refused": 3})),
    "atomic_of_a_liar_first": (lambda m, l: six(m, body(l)) + six(m, body(m), 32, 64), BOTH_WHOLE),
    "atomic_of_a_liar_amid": (lambda m, l: six(m, body(m), 32, 64)[:1] + six(m, body(l)) +
                              six(m, body(m), 32, 64)[1:], NOTHING),
    # nested: one layer is put together ahead of the rules, the next would be behind them
    "atomic_in_atomic": (lambda m, l: six(m, wrapped(m, 0, SIZE), number=FRAGMENT),
                         Result((H,), answered=False)),  # too much for the stack
    "fragment_in_atomic": (lambda m, l: six(m, wrapped(m, 0, 48), number=FRAGMENT) +
                           six(m, wrapped(m, 48, SIZE), number=FRAGMENT, ident=2), NESTED),
    "fragment_in_fragment": (lambda m, l: six(m, wrapped(m, 0, 48), 32, number=FRAGMENT) +
                             six(m, wrapped(m, 48, SIZE), 32, number=FRAGMENT, ident=2), NESTED),
    # RFC 7112, 8200 4.5: the first piece has to hold the whole chain, transport header included
    "split_inside_options": (lambda m, l: six(m, optioned(m), 16, number=DESTINATION), NO_CHAIN),
    "split_inside_options_backward": (lambda m, l: six(m, optioned(m), 16, number=DESTINATION)[::-1],
                                      NO_CHAIN),
    "split_behind_options": (lambda m, l: six(m, optioned(m), 24, number=DESTINATION), NO_CHAIN),
    "split_inside_tcp": (lambda m, l: six(m, optioned(m), 32, number=DESTINATION), NO_TCP),
    "split_behind_transport": (lambda m, l: six(m, optioned(m), 56, number=DESTINATION), HONEST),
    "five_headers_inside": (lambda m, l: six(m, chained(m, 5), 72, number=DESTINATION), HONEST),
    "nine_headers_inside": (lambda m, l: six(m, chained(m, 9), 104, number=DESTINATION), BAD_CHAIN),
    # what stands around the fragment header
    "hop_by_hop_ahead": (lambda m, l: six(m, body(m), 32, ahead=(HOP_BY_HOP, options(FRAGMENT))), HONEST),
    "hop_by_hop_inside": (lambda m, l: six(m, optioned(m, 8), 40, number=HOP_BY_HOP),
                          Result((H,), answered=False)),  # the stack knows none there
    "routing_0_ahead": (lambda m, l: six(m, body(m), 32, ahead=(ROUTING, routing(FRAGMENT, 0))), NOTHING),
    "routing_0_inside": (lambda m, l: six(m, routing(p(m), 0) + body(m), 64, number=ROUTING), BAD_CHAIN),
    "jumbo_ahead": (lambda m, l: six(m, body(m), 32, 64, ahead=(HOP_BY_HOP, JUMBO)), NOTHING),  # RFC 2675 3
    # what differs between pieces: the first one says what it is (RFC 8200 4.5)
    "ahead_differs": (lambda m, l: six(m, body(m), 32)[:1] +
                      six(m, body(m), 32, ahead=(DESTINATION, options(FRAGMENT)))[1:], NOTHING),
    "next_header_differs": (lambda m, l: six(m, body(m), 32)[:1] + six(m, body(m), 32, number=NO_NEXT)[1:],
                            HONEST),
    "no_next_header_in_the_first": (lambda m, l: six(m, body(m), 32, number=NO_NEXT)[:1] +
                                    six(m, body(m), 32)[1:], refused(6)),
    "header_cut_short": (lambda m, l: [IPv6(src=IPV6.cli, dst=IPV6.srv, nh=FRAGMENT) /
                                       Raw(fragment_header(p(m), m.number)[:4])],
                         refused(0, truncated=6)),
    "other_source": (lambda m, l: six(m, body(m), 32)[:1] +
                     six(m, body(m), 32, source=IPV6.cli_b)[1:], NOTHING),
}


@pytest.mark.parametrize("name", CHAINS)
def test_ipv6_chain(arena, name):
    judged(arena, IPV6, *CHAINS[name])


AHEAD = {
    "destination": (DESTINATION, options(FRAGMENT)),
    "two_destination": (DESTINATION, options(DESTINATION) + options(FRAGMENT)),
    "hop_by_hop_destination": (HOP_BY_HOP, options(DESTINATION) + options(FRAGMENT)),
}
DNS = 53


@pytest.mark.parametrize("name", AHEAD)
def test_no_second_reading(arena, name):
    """The rules and the stack must read one and the same packet. Destination options ahead of a fragment
    header: put together, the chain says that the transport header is reached by way of options, but the
    stack takes the transport header itself for those options. So a datagram to an open port, whose source
    port reads as `next header 17` and whose rest reads as padding, brings one to a closed port."""
    closed = arena.message("udp", CLOSED, IPV6)
    inside = closed.bytes(IPV6)
    filler = bytes(256 - SIZE)
    outer = struct.pack("!HHHH", 17 << 8, DNS, 8 + len(inside + filler), 0) + inside + filler
    before = arena.servers.datagrams[CLOSED]
    arena.judge(IPV6, six(closed, outer, 128, number=17, ahead=AHEAD[name]))
    arena.judge(IPV6, [])  # by now the server has counted what it had before the fence
    assert arena.servers.datagrams[CLOSED] == before


@pytest.mark.parametrize("side", BOTH, ids=lambda side: side.name)
def test_a_missing_piece_leaves_nothing(arena, side):
    """The kernel gives the pieces up in its time and says so; what comes later completes nothing, and
    the daemon has never heard of any of it."""
    setting = "net/ipv4/ipfrag_time" if side.version == 4 else "net/netfilter/nf_conntrack_frag6_timeout"
    arena.net.srv.sysctl(setting, 1)
    messages = arena.messages(side)
    pieces = [[lay(side, part, one) for part in thirds(one.bytes(side))] for one in messages]
    try:
        report = arena.judge(side, [packet for parts in pieces for packet in parts[:2]])
        assert report == Report(set(), set(), set(), Counter())
        for _ in messages:
            assert arena.wire.receive(reassembly_time_exceeded) is not None
    finally:
        arena.net.srv.sysctl(setting, 30 if side.version == 4 else 60)
    report = arena.judge(side, [parts[2] for parts in pieces])
    assert report == Report(set(), set(), set(), Counter())


def reassembly_time_exceeded(packet):
    error = packet.payload
    return (isinstance(error, ICMP) and (error.type, error.code) == (11, 1) or
            isinstance(error, ICMPv6TimeExceeded) and error.code == 1)


BATCH = 12  # cases at a time: pieces that complete nothing wait in the kernel, which bounds their memory


@pytest.mark.parametrize("side", BOTH, ids=lambda side: side.name)
def test_without_the_daemon(headless, side):
    """Nobody is asked: the same shapes and chains, and still nothing closed comes through."""
    cases = [(shaped(side, row[0]), row[-1 if side.version == 6 else 1]) for row in SHAPES.values()]
    cases += CHAINS.values() if side.version == 6 else []
    for first in range(0, len(cases), BATCH):
        packets, expected = [], set()
        for cut_up, result in cases[first:first + BATCH]:
            messages = headless.messages(side)
            packets += [packet for one in messages for packet in cut_up(one, one.liar(side))]
            expected |= {str(one) for one in arriving(messages, result, side) if one.opens}
        report = headless.judge(side, packets)
        assert not {one for one in report.behind if " closed " in one}
        assert report.behind >= expected
