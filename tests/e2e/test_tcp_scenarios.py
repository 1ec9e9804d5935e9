# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP scenarios that need the host's stack: who checks a segment that does not belong, and who answers.

With leases the segments of an open connection pass in the kernel, and the receiving stack checks
them (RFC 5961). With `strict` each goes through the daemon. Nobody but the stack ever answers: what
the daemon drops, it drops in silence. What can be judged without a stack is in
tests/unit/core/test_tcp_scenarios_*.c."""

import errno
import itertools
import socket
from dataclasses import dataclass

import pytest

from clients import receive
from daemon import Daemon
from leases import Key, end_lease, family_set, lease_left, wait_leased
from net import wait_for
from tcp_peer import ISN, PORTS, Peer, challenge_of, mute
from test_leases import state_of
from wire import Wire
from witness import Witness

RULES = """default in drop
default out drop
allow in tcp 9000
allow in tcp 9001 strict
allow out tcp 20000-24999
allow out tcp 25000-29999 strict
allow in tcp 30000-30999
allow in tcp 8080
allow in tcp 8081 strict
"""
# Another program's: a container's server, under the ports that the client sees.
PUBLISH = """table {family} published {{
	chain published {{
		type nat hook prerouting priority dstnat;
		tcp dport {{ 8080, 8081 }} dnat to {target}:80
	}}
}}
"""
MODES = ("lease", "strict")
HOST_PORT = {"lease": 9000, "strict": 9001}
PUBLISHED_PORT = {"lease": 8080, "strict": 8081}
OPEN_PORTS = itertools.count(30000)  # of this host
NEXT_PORT = {"lease": itertools.count(PORTS[0]), "strict": itertools.count(PORTS[0] + 5000)}
HOPS = 77  # of segments that the witness is to count
ENDED = ("CLOSED", None)  # a look at the sockets lets it go
FAR = 200_000  # outside every window here, which are not scaled

OPEN = "a port that a rule opens"
STACK, DAEMON, KERNEL = "the stack", "the daemon", "the kernel's rules"
CHALLENGE, NOTHING = "an ACK", "nothing"
ANY = "an ACK, or with older kernels nothing"

@pytest.fixture(scope="module")
def daemon(net):
    """One for all: each test has ports of its own."""
    mute(net.cli)
    net.srv.sysctl("net/ipv4/tcp_invalid_ratelimit", 0)
    net.srv.sysctl("net/ipv4/tcp_fastopen", 0x602)  # data with any SYN, without a cookie
    one = Daemon(net.srv, RULES).start()
    # Its second look at the sockets, a moment after the start, takes back what a false RST's copy says.
    wait_for(lambda: one.looks() >= 2, "the start is over")
    yield one
    one.finish()


@pytest.fixture(scope="module")
def seen(net):
    one = Witness(net.srv, odd4=f"ip ttl {{ 1, {HOPS} }}", odd6=f"ip6 hoplimit {{ 1, {HOPS} }}")
    yield one
    one.remove()


@pytest.fixture(autouse=True)
def log_where_it_fails(request, daemon):
    request.node.daemons = [daemon]


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def wire(net):
    with Wire(net) as one:
        yield one


@pytest.fixture
def listener(net, side, mode):
    with net.srv.socket(side.family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
        sock.bind((side.srv, HOST_PORT[mode]))
        sock.listen()
        sock.settimeout(3)
        yield sock


@pytest.fixture
def peer(daemon, wire, side, mode, listener):
    """It has said nothing yet."""
    return Peer(wire, side, next(NEXT_PORT[mode]), HOST_PORT[mode])


@pytest.fixture
def talk(net, peer, listener, mode):
    """An open connection with both its ends: (peer, the host's socket)."""
    peer.shake_hands()
    with listener.accept()[0] as sock:
        sock.settimeout(3)
        if mode == "lease":
            wait_leased(net.srv, key_of(peer))
        yield peer, sock


@pytest.fixture
def local_port():
    """Of the host's own connections; a test may say another."""
    return 0


@pytest.fixture
def asked(net, daemon, wire, side, mode, local_port):
    """The host asks the peer for a connection: (peer, the host's socket)."""
    peer = Peer(wire, side, next(NEXT_PORT[mode]), 0)
    with net.srv.socket(side.family) as sock:
        sock.bind((side.srv, next(OPEN_PORTS) if local_port == OPEN else 0))
        peer.host_port = sock.getsockname()[1]
        sock.setblocking(False)
        assert sock.connect_ex((side.cli, peer.port)) == errno.EINPROGRESS
        peer.take(peer.hear("S"))
        yield peer, sock


@pytest.fixture
def published(net, daemon, servers_at, wire, side, mode):
    """A peer of a container's echo server; it has said nothing yet."""
    servers_at(net.ctr).tcp(80)
    family, target = ("ip", side.ctr) if side.version == 4 else ("ip6", f"[{side.ctr}]")
    net.srv.run("nft", "-f", "-", input=PUBLISH.format(family=family, target=target))
    yield Peer(wire, side, next(NEXT_PORT[mode]), PUBLISHED_PORT[mode])
    net.srv.run("nft", "delete", "table", family, "published")


def key_of(peer):
    return Key(peer.side.srv, peer.host_port, peer.side.cli, peer.port)


def wait_state(daemon, peer, *states):
    wait_for(lambda: state_of(daemon, key_of(peer)) in states, f"list shows {states}", 2)


def wait_false_end(daemon, peer, state, looks):
    """The copy of an RST or a FIN says it, and the next look at the sockets takes it back. `looks`: before that."""
    wait_for(lambda: state_of(daemon, key_of(peer)) == state or daemon.looks() > looks, f"list shows {state}", 2)


def check_it_lives(daemon, talk, *states):
    peer, sock = talk
    peer.say(b"still here")
    assert sock.recv(100).endswith(b"still here")
    sock.sendall(b"so am I")
    assert bytes(peer.hear("PA", seq=peer.theirs).payload) == b"so am I"
    peer.theirs += 7
    peer.send("A")
    wait_state(daemon, peer, "ESTABLISHED", *states)


def check_it_lives_after_resets(daemon, net, talk, mode):
    """Copies of those that passed on a lease may come to the daemon behind the handshake; what is said
    when the lease has run out shows that it lives."""
    peer, _ = talk
    peer.say(b"open")
    if mode == "lease":
        wait_leased(net.srv, key_of(peer))
        end_lease(net.srv, key_of(peer))
    check_it_lives(daemon, talk)


def check_bulk(net, talk, mode):
    """More than any window here passes, and goes on when the first lease has run out."""
    peer, sock = talk
    for _ in range(5):
        for _ in range(9):
            peer.send("PA", bytes(1400))
            peer.next += 1400
        peer.say(bytes(1400))
        assert receive(sock, 14000) == bytes(14000)
    if mode == "lease":
        end_lease(net.srv, key_of(peer))
    peer.say(b"more")


def wait_connected(sock):
    wait_for(lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and connected(sock),
             "the host's socket is connected")
    sock.settimeout(3)


def connected(sock):
    try:
        return sock.getpeername()
    except OSError:
        return None


def end_handshake(net, peer):
    """As if its second were over: a SYN/ACK finds no place in `half` any more."""
    for kind in ("half_in", "half_out"):
        net.srv.run("nft", "flush", "set", "inet", "sallyport", family_set(kind, key_of(peer)))


# one segment into an open connection: who checks it, and what is answered

@dataclass(frozen=True)
class Segment:
    """`seq` and `ack` count from the right ones. Which of the two checks it, with leases and
    with `strict`, and what the peer hears then: only the stack ever answers."""

    name: str
    flags: str
    seq: int = 0
    ack: int = 0
    data: bytes = b""
    hops: int = HOPS
    lease: tuple = (STACK, CHALLENGE)
    strict: tuple = (DAEMON, NOTHING)


BOTH_STACK = {"lease": (STACK, CHALLENGE), "strict": (STACK, CHALLENGE)}
SEGMENTS = (
    # RFC 5961 3
    Segment("RST behind the window", "R", FAR, lease=(STACK, NOTHING)),
    Segment("RST before the window", "R", -FAR, lease=(STACK, NOTHING)),
    Segment("RST in the window", "R", 1000, **BOTH_STACK),
    Segment("RST with ACK in the window", "RA", 1000, **BOTH_STACK),
    Segment("RST in the window of one hop", "R", 1000, hops=1, **BOTH_STACK),
    # RFC 5961 4: a SYN is asked about although a lease stands
    Segment("SYN in the window", "S", 1000, **BOTH_STACK),
    Segment("SYN behind the window", "S", 1 << 30, **BOTH_STACK),
    Segment("SYN of the same number", "S", -1, **BOTH_STACK),
    Segment("SYN with ACK behind the window", "SA", FAR, lease=(DAEMON, NOTHING)),
    # RFC 9293 3.10.7.4, RFC 5961 5
    Segment("data behind the window", "PA", FAR, data=b"lie"),
    Segment("data long before the window", "PA", -FAR, data=b"lie"),
    Segment("data that acknowledges what was never sent", "PA", 0, 5000, b"lie", lease=(STACK, ANY)),
    Segment("data that acknowledges what is long past", "PA", 0, -FAR, b"lie"),
    Segment("FIN behind the window", "FA", FAR),
    # RFC 1122 4.2.3.6
    Segment("a keep-alive", "A", -1, **BOTH_STACK),
    Segment("a keep-alive with a byte", "A", -1, data=b"x", **BOTH_STACK),
    # flags that no TCP sends
    Segment("SYN and FIN", "SF", lease=(KERNEL, NOTHING), strict=(KERNEL, NOTHING)),
    Segment("SYN and RST", "SR", lease=(KERNEL, NOTHING), strict=(KERNEL, NOTHING)),
    Segment("FIN, PSH, URG", "FPU", lease=(KERNEL, NOTHING), strict=(KERNEL, NOTHING)),
    Segment("no flags", "", lease=(KERNEL, NOTHING), strict=(KERNEL, NOTHING)),
)


@pytest.mark.parametrize("segment", SEGMENTS, ids=lambda segment: segment.name)
def test_a_segment_that_does_not_belong(daemon, seen, talk, net, side, mode, segment):
    peer, sock = talk
    odd = f"odd{side.version}"
    checks, answer = getattr(segment, mode)
    reached, wrong, looks = seen.behind(odd), daemon.reason("drop.window"), daemon.looks()
    if segment.flags == "SA" and mode == "lease":
        end_handshake(net, peer)
    peer.send(segment.flags, segment.data, peer.next + segment.seq, peer.theirs + segment.ack, segment.hops)
    expected = peer.challenge()
    if answer == CHALLENGE:
        assert challenge_of(peer.hear("A")) == expected
    answers = [challenge_of(one) for one in peer.say(b"fence")]
    assert answers in ([], [expected]) if answer == ANY else answers == []
    assert sock.recv(100) == b"fence"
    assert seen.behind(odd) - reached == (checks == STACK)
    wait_for(lambda: daemon.reason("drop.window") - wrong == (checks == DAEMON), "the daemon's count", 1)
    copied = mode == "lease" and checks == STACK
    if copied and "R" in segment.flags:
        wait_false_end(daemon, peer, "CLOSED", looks)
        end_lease(net.srv, key_of(peer))
    if copied and "F" in segment.flags:
        wait_false_end(daemon, peer, "FIN_WAIT", looks)
        check_it_lives(daemon, talk, "FIN_WAIT")
    else:
        check_it_lives(daemon, talk)
    assert (lease_left(net.srv, key_of(peer)) is None) == (mode == "strict")


# conversations

def check_echo(peer):
    peer.send("PA", b"echo")
    peer.next += 4
    assert bytes(peer.hear("PA", seq=peer.theirs, ack=peer.next).payload) == b"echo"
    peer.theirs += 4
    peer.send("A")


def test_a_reset_that_dies_on_its_last_hop_does_not_cut(daemon, net, published, mode):
    """It is exact, the firewall sees it and the container does not: too few hops. Both sides speak on,
    with a lease that runs out or under the daemon's eyes, and so the connection stays."""
    peer = published.shake_hands()
    check_echo(peer)
    looks = daemon.looks()
    peer.send("R", hops=1)
    wait_false_end(daemon, peer, "CLOSED", looks)
    if mode == "lease":
        end_lease(net.srv, key_of(peer))
    check_echo(peer)
    wait_state(daemon, peer, "ESTABLISHED")
    check_echo(peer)


def test_an_exact_reset_closes_and_the_port_can_be_used_again(daemon, talk, listener):
    """RFC 9293 3.10.7.4: the stack obeys it and answers nothing; with a lease the daemon has a copy,
    with strict it has let it pass."""
    peer, sock = talk
    for number in range(3):
        peer.send("R")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        wait_state(daemon, peer, *ENDED)
        peer.next = ISN + (number + 1) * 10_000_000
        peer.shake_hands()
        with listener.accept()[0] as again:
            again.settimeout(3)
            check_it_lives(daemon, (peer, again))
            sock.close()
            sock = again.dup()
            sock.settimeout(3)
    sock.close()


def test_a_peer_that_has_crashed_opens_again(daemon, talk, listener):
    """RFC 9293 3.5.1: SYN, the stack's challenge ACK, RST, SYN. The daemon passes all of them."""
    peer, sock = talk
    old = peer.next
    peer.send("S", seq=ISN + 50_000_000)
    challenge = peer.hear("A")
    assert challenge_of(challenge) == peer.challenge()
    peer.send("R", seq=challenge.ack)
    with pytest.raises(ConnectionResetError):
        sock.recv(1)
    wait_state(daemon, peer, *ENDED)  # its copy may come behind a SYN that asks
    peer.next = ISN + 50_000_000
    assert challenge.ack == old
    peer.shake_hands()
    with listener.accept()[0] as again:
        again.settimeout(3)
        check_it_lives(daemon, (peer, again))


def test_an_invalid_reset_after_the_syn_spoils_no_handshake(daemon, net, peer, listener, mode):
    """With a lease the stack ignores it, with strict the daemon drops it."""
    peer.send("S")
    peer.next += 1
    peer.take(peer.hear("SA"))
    peer.send("R", seq=peer.next + FAR)
    peer.send("RA", seq=peer.next - FAR, ack=peer.theirs + FAR)
    peer.send("A")
    with listener.accept()[0] as sock:
        sock.settimeout(3)
        check_it_lives_after_resets(daemon, net, (peer, sock), mode)


def test_an_invalid_reset_of_our_syn_spoils_no_handshake(daemon, net, asked, mode):
    """RFC 9293 3.10.7.3: only one that acknowledges the SYN refuses the connection."""
    peer, sock = asked
    peer.send("R", seq=0)
    peer.send("RA", seq=0, ack=peer.theirs - 1)
    peer.send("RA", seq=0, ack=peer.theirs + FAR)
    answer_and_talk(daemon, net, peer, sock, mode)


def test_a_good_reset_of_our_syn_refuses_the_connection(daemon, asked):
    peer, sock = asked
    peer.send("RA", seq=0)
    wait_for(lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED, "refused")
    wait_state(daemon, peer, *ENDED)


def answer_and_talk(daemon, net, peer, sock, mode):
    peer.send("SA")
    peer.next += 1
    peer.hear("A", ack=peer.next)
    wait_connected(sock)
    check_it_lives_after_resets(daemon, net, (peer, sock), mode)


def test_a_stale_syn_ack_then_the_good_one(daemon, net, asked, mode):
    """conntrack_synack_old.pkt. With a lease the stack answers it with an RST, with strict the daemon
    drops it; the handshake goes on either way."""
    peer, sock = asked
    wrong = daemon.reason("drop.window")
    peer.send("SA", seq=145824453, ack=643160523)
    if mode == "lease":
        peer.hear("R", seq=643160523)
    else:
        wait_for(lambda: daemon.reason("drop.window") == wrong + 1, "the daemon drops it")
    answer_and_talk(daemon, net, peer, sock, mode)


def test_an_old_connections_challenge_ack_is_reset(daemon, net, asked, mode):
    """conntrack_syn_challenge_ack.pkt: the peer still has an old connection. The stack answers with an
    RST and sends its SYN again; the daemon lets all of it pass."""
    peer, sock = asked
    peer.send("A", seq=145824453, ack=643160523)
    peer.hear("R", seq=643160523)
    peer.hear("S", seq=peer.theirs - 1)
    answer_and_talk(daemon, net, peer, sock, mode)


@pytest.mark.parametrize("local_port", [OPEN, "a port that no rule opens"])
def test_simultaneous_open(daemon, asked):
    """RFC 9293 3.5, figure 7; RFC 5382 REQ-2. The peer's SYN is no connection of its own."""
    peer, sock = asked
    peer.send("S")
    peer.next += 1
    peer.hear("SA", 1, seq=peer.theirs - 1, ack=peer.next)
    peer.send("SA", seq=peer.next - 1)
    wait_connected(sock)
    check_it_lives(daemon, (peer, sock))
    assert [row["direction"] for row in daemon.connections("tcp", "remote-port", str(peer.port))] == ["out"]


@pytest.mark.parametrize("local_port", [OPEN])
@pytest.mark.parametrize("mode, ways", [("lease", 4), ("lease", 5),
                                        ("strict", 4), ("strict", 5)])
def test_split_handshake(daemon, asked, ways):
    """The server opens back instead of answering: the host stays the one who opened, and the rules for
    `out` those that count."""
    peer, sock = asked
    if ways == 5:
        peer.send("A", seq=peer.isn)
    peer.send("S")
    peer.next += 1
    peer.hear("SA", seq=peer.theirs - 1, ack=peer.next)
    peer.send("A")
    wait_connected(sock)
    check_it_lives(daemon, (peer, sock))
    assert [row["direction"] for row in daemon.connections("tcp", "remote-port", str(peer.port))] == ["out"]


def insert_syn_with_another_isn(peer):
    """Asked about in both modes, and passed; the stack answers where it is, and the first SYN's ACK
    completes the handshake."""
    peer.send("S")
    peer.next += 1
    peer.take(peer.hear("SA"))
    peer.send("S", seq=peer.next + (1 << 30))
    peer.hear("A", seq=peer.theirs, ack=peer.next)
    peer.send("A")


def talk_with_the_syn(peer, listener):
    """RFC 7413. The stack takes the data, and answers before the handshake is complete."""
    peer.send("S", b"early")
    peer.next += 1 + 5
    peer.take(peer.hear("SA", ack=peer.next))
    sock, _ = listener.accept()
    sock.settimeout(3)
    assert sock.recv(100) == b"early"
    sock.sendall(b"early too")
    assert bytes(peer.hear("PA", seq=peer.theirs).payload) == b"early too"
    peer.theirs += 9
    peer.send("A")
    return sock


def test_a_syn_with_another_isn_into_a_handshake(daemon, peer, listener):
    insert_syn_with_another_isn(peer)
    with listener.accept()[0] as sock:
        peer.say(b"right")
        assert sock.recv(100) == b"right"


def test_data_with_the_syn(daemon, peer, listener):
    with talk_with_the_syn(peer, listener) as sock:
        peer.say(b"right")
        assert sock.recv(100) == b"right"


@pytest.mark.parametrize("mode", ["lease", "strict"])
def test_bulk_after_a_syn_with_another_isn(daemon, net, peer, listener, mode):
    insert_syn_with_another_isn(peer)
    with listener.accept()[0] as sock:
        check_bulk(net, (peer, sock), mode)


@pytest.mark.parametrize("mode", ["lease", "strict"])
def test_bulk_after_data_with_the_syn(daemon, net, peer, listener, mode):
    with talk_with_the_syn(peer, listener) as sock:
        check_bulk(net, (peer, sock), mode)


# ends

def close_here_first(daemon, talk):
    """The host is in TIME_WAIT then."""
    peer, sock = talk
    sock.close()
    peer.hear("FA", seq=peer.theirs)
    peer.theirs += 1
    peer.send("FA")
    peer.next += 1
    peer.hear("A", ack=peer.next)
    wait_state(daemon, peer, "TIME_WAIT")


def test_a_syn_on_time_wait_opens_again(daemon, talk, listener):
    """RFC 9293 3.6.1: its number is behind the old connection's; the stack opens, the rules were asked."""
    peer, _ = talk
    close_here_first(daemon, talk)
    peer.next += 1_000_000
    peer.shake_hands()
    with listener.accept()[0] as sock:
        sock.settimeout(3)
        check_it_lives(daemon, (peer, sock))


def test_an_old_duplicate_syn_on_time_wait_opens_nothing(daemon, talk, listener):
    """The stack answers with the old connection's ACK; the port can still be used again."""
    peer, _ = talk
    close_here_first(daemon, talk)
    peer.send("S", seq=ISN - 5000)
    assert challenge_of(peer.hear("A")) == peer.challenge()
    peer.next += 1_000_000
    peer.shake_hands()
    with listener.accept()[0] as sock:
        sock.settimeout(3)
        check_it_lives(daemon, (peer, sock))


def test_half_closed_is_not_closed(daemon, talk):
    peer, sock = talk
    peer.send("FA")
    peer.next += 1
    assert sock.recv(1) == b""
    wait_state(daemon, peer, "FIN_WAIT")
    for _ in range(3):
        sock.sendall(b"more")
        assert bytes(peer.hear("PA", seq=peer.theirs).payload) == b"more"
        peer.theirs += 4
        peer.send("A")
    sock.close()
    peer.hear("FA", seq=peer.theirs)
    peer.theirs += 1
    peer.send("A")
    wait_state(daemon, peer, "TIME_WAIT")


def test_a_lost_last_ack(daemon, talk):
    """The stack sends its FIN again until it is acknowledged, and the acknowledgment reaches it."""
    peer, sock = talk
    peer.send("FA")
    peer.next += 1
    assert sock.recv(1) == b""
    sock.close()
    for _ in range(2):
        peer.hear("FA", seq=peer.theirs, ack=peer.next)
    peer.theirs += 1
    peer.send("A")
    wait_state(daemon, peer, "TIME_WAIT")


# a daemon that comes back

@pytest.mark.parametrize("way", ["restart", "kill"])
def test_mid_stream_after_a_restart(daemon, net, talk, mode, way):
    """Taken up from what was saved, or from the host's sockets. With strict the windows are learned
    from the next segment, and what lies far outside is dropped again; with a lease the stack
    checks."""
    peer, sock = talk
    peer.say(b"before")
    assert sock.recv(100) == b"before"
    if way == "restart":
        daemon.restart()
    else:
        daemon.kill()
        daemon.start()
    check_it_lives(daemon, talk)
    wrong = daemon.reason("drop.window")
    peer.send("PA", b"lie", seq=peer.next + (2 << 30) % (1 << 32))
    if mode == "strict":
        wait_for(lambda: daemon.reason("drop.window") == wrong + 1, "the daemon drops it")
    else:
        assert challenge_of(peer.hear("A")) == peer.challenge()
    check_it_lives(daemon, talk)
