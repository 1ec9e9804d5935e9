# SPDX-License-Identifier: GPL-2.0-or-later
"""Others at work in the kernel: programs that change our table, that own it, that use our mark bits;
interfaces that go and come back; sets that are full. What was changed is put back, nothing that is
closed opens, and what is open goes on.

The flush of everything, the deletion of our tables, and marks that are kept are in
test_kernel_table.py."""

import errno
import json
import re
import socket
import struct
import subprocess
import time

import pytest

from clients import OPEN, SILENT, connect, echo, outcome, udp_outcome, udp_socket
from crowd import CLOSED, FLOW, RULES, SHORT, STEADY
from faults import attribute, netfilter_socket, refused_to_start, stopped, wait_log, waiting
from leases import (HALVES, LEASES, elements, forget_leases, key_of, lease_left, leases, own_key_of,
                    wait_leased)
from load import Load
from net import BOTH, wait_for

OFFICE = RULES + "set office = 192.0.2.0/24, 2001:db8::/32\nallow in tcp 2222 from @office\n"
SO_MARK = 36


# nftables' own messages

NEW_ELEMENTS, DELETE_RULES, BATCH_BEGIN, BATCH_END = 10 << 8 | 12, 10 << 8 | 8, 16, 17
NESTED = 0x8000


def nft_message(kind, flags, body=b"", resource=0):
    return struct.pack("=IHHIIBBH", 20 + len(body), kind, flags, 0, 0, 1, 0, socket.htons(resource)) + body


# our table, changed by others

VOLATILE = {"handle", "counter", "packets", "bytes", "expires", "id"}
CACHES = LEASES + HALVES


def stripped(item):
    """Without what changes by itself."""
    if isinstance(item, dict):
        return {key: stripped(value) for key, value in item.items() if key not in VOLATILE}
    return [stripped(one) for one in item] if isinstance(item, list) else item


def standing(net):
    """What stands in the kernel under our name: {what it is: [it]}; leases, which come and go, apart."""
    listing = json.loads(net.srv.run("nft", "-j", "list", "ruleset").stdout)["nftables"]
    ours = {}
    for item in listing:
        (kind, body), = item.items()
        if kind == "metainfo" or "sallyport" not in (body.get("table"), body.get("name")):
            continue
        if kind == "set" and body["name"] in CACHES:
            body.pop("elem", None)
        body.get("elem", []).sort(key=json.dumps)  # hash tables have no order
        ours.setdefault(f"{kind} {body['family']}", []).append(stripped(body if kind != "counter" else body["name"]))
    return {kind: sorted(map(json.dumps, items)) if kind[:4] != "rule" else items for kind, items in ours.items()}


def first_rule(net, chain):
    listing = json.loads(net.srv.run("nft", "-j", "-a", "list", "chain", "inet", "sallyport", chain).stdout)
    return next(item["rule"]["handle"] for item in listing["nftables"] if "rule" in item)


CHANGES = {
    "all rules flushed": "flush table inet sallyport",
    "the guard flushed": "flush chain inet sallyport in_guard",
    "a rule deleted": "delete rule inet sallyport in_dispatch handle {rule}",
    "a chain deleted": "flush chain inet sallyport in_verdict; delete chain inet sallyport in_verdict",
    "accept in front": "insert rule inet sallyport in_dispatch accept",
    "drop in front": "insert rule inet sallyport out_dispatch drop",
    "a chain of its own": "add chain inet sallyport mine "
                          "{{ type filter hook prerouting priority -500; policy drop; }}",
    "a policy of drop": "add chain inet sallyport in_dispatch "
                        "{{ type filter hook prerouting priority -310; policy drop; }}",
    "the table asleep": "add table inet sallyport {{ flags dormant; }}",
    "ports flushed": "flush map inet sallyport ports_in",
    "a port deleted": "flush map inet sallyport ports_out",
    "open ports forgotten": "flush set inet sallyport named_ports",
    "members flushed": "flush set inet sallyport {office}",
    "a member more": "add element inet sallyport {office} {{ 10.0.0.0/8 }}",
}


@pytest.mark.parametrize("change, side", [(change, BOTH[number % 2]) for number, change in enumerate(CHANGES)])
def test_a_change_of_our_table_is_put_back(firewall, traffic, net, change):
    daemon = firewall(OFFICE)
    flows = traffic()
    before = standing(net)
    office = re.search(r"set (\S*office\S*) \{\s*type ipv4_addr", net.srv.run("nft", "list", "sets").stdout)[1]
    script = CHANGES[change].format(rule=first_rule(net, "in_dispatch"), office=office)
    net.srv.run("nft", "-f", "-", input=script)
    wait_for(lambda: standing(net) == before, "the table is as it was", 3)
    wait_log(daemon, "another program changed")
    flows.check()
    assert daemon.running


def test_leases_flushed_by_another_program_are_granted_again(firewall, traffic, net):
    """They are a cache: no alarm, no new table, one question more."""
    daemon = firewall(RULES)
    flows = traffic()
    before = daemon.log()
    for _ in range(3):
        for name in CACHES:
            net.srv.run("nft", "flush", "set", "inet", "sallyport", name)
        flows.check_established()
        wait_for(lambda: lease_left(net.srv, key_of(flows.inward)), "a new lease")
    flows.check()
    assert daemon.log() == before


def test_somebody_who_flushes_all_the_time(firewall, traffic, net):
    """Put back once a second at most, for as long as it takes."""
    daemon = firewall(RULES)
    flows = traffic()
    before = standing(net)
    for _ in range(20):
        net.srv.run("nft", "flush", "ruleset")
        flows.check_established(1000)
    wait_for(lambda: standing(net) == before, "the table is as it was", 4)
    assert daemon.log().count("another program changed") <= 6
    flows.check()


def test_one_flush_is_put_back_once(firewall, net):
    """Its events come in many pieces, the last of them when the daemon is already at it; and each time all
    is put back, the counters of the kernel start anew."""
    many = "".join(f"allow in tcp {number} from 192.0.2.0/24\n" for number in range(20000, 23000))
    daemon = firewall(RULES + many)
    for times in range(1, 4):
        net.srv.run("nft", "flush", "ruleset")
        wait_for(lambda times=times: daemon.log().count("it is back") == times, "the table is back", 10)
        time.sleep(1.5)  # the next would come a second later
        assert daemon.log().count("it is back") == times


def kernel_ticks(daemon):
    """Hundredths of a second that the daemon has spent in the kernel."""
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as file:
        return int(file.read().rsplit(")", 1)[1].split()[12])


def test_somebody_who_changes_nftables_right_behind_a_reload(firewall, net):
    """Nobody listens while rules are put in: the ruleset's generation tells. The flush waits for the end of our
    transaction, and comes before anybody listens again more often than not."""
    many = "".join(f"allow in tcp 80 from 11.{number >> 8}.{number & 255}.0/24\n" for number in range(10000))
    daemon = firewall(RULES + many)
    flush = attribute(1, b"sallyport\0") + attribute(2, b"in_guard\0")
    for number in range(4):
        daemon.write("sallyport.rules", RULES + many + f"allow in tcp {30000 + number}\n")
        before = kernel_ticks(daemon)
        with netfilter_socket(net.srv) as other, Load(lambda: daemon.sallyport("reload"), 60) as reload:
            wait_for(lambda: kernel_ticks(daemon) > before + 3, "the transaction is under way", 5, 0.001)
            other.sendto(nft_message(BATCH_BEGIN, 1, resource=10) + nft_message(DELETE_RULES, 1, flush) +
                         nft_message(BATCH_END, 1, resource=10), (0, 0))
            wait_for(lambda: reload.rounds, "the reload's end", 10)
        assert not reload.errors
        wait_for(lambda: "goto" in net.srv.run("nft", "list", "chain", "inet", "sallyport", "in_guard").stdout,
                 "the guard's rules are back", 4)


def flood_with_events(net):
    """A few megabytes of them."""
    chains = "".join(f"add chain inet other c{number}\n" for number in range(12000))
    net.srv.run("nft", "-f", "-", input="add table inet other\n" + chains)


def test_a_flush_while_the_daemon_stands_still(firewall, traffic, net):
    """Events wait for it, and are more than its socket holds."""
    daemon = firewall(RULES)
    flows = traffic()
    before = standing(net)
    with stopped(daemon):
        net.srv.run("nft", "flush", "ruleset")
        flood_with_events(net)
        flows.check_established()
    wait_for(lambda: standing(net) == before, "the table is as it was", 4)
    flows.check()


def test_a_change_lost_among_thousands_of_others(firewall, traffic, net):
    """The table stands, but its guard is empty, and the event that said so found no room."""
    daemon = firewall(RULES)
    flows = traffic()
    before = standing(net)
    with stopped(daemon):
        flood_with_events(net)
        net.srv.run("nft", "flush", "chain", "inet", "sallyport", "in_guard")
    wait_for(lambda: standing(net) == before, "the table is as it was", 4)
    flows.check()


def test_a_table_of_our_name_that_another_program_owns(firewall, net):
    """`flags owner`: nobody else may touch it. One line, exit 1, and the owner keeps it."""
    with net.srv.entered():
        owner = subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        owner.stdin.write("add table inet sallyport { flags owner; }\n")
        owner.stdin.flush()
        wait_for(lambda: "sallyport" in net.srv.run("nft", "list", "tables").stdout, "the table stands")
        daemon = firewall(RULES, started=False)
        refused_to_start(daemon, "nftables refused", "another program owns")
        assert "flags owner" in net.srv.run("nft", "list", "table", "inet", "sallyport").stdout
    finally:
        owner.stdin.close()
        owner.wait(10)
    daemon.start()


# mark bits of others

def test_our_mark_bits_set_by_another_table_open_nothing(firewall, traffic, net, side):
    """Every value of our bits, set before us on the way in: closed stays closed, open stays open."""
    firewall(RULES)
    flows = traffic()
    for value in range(1, 16):
        net.srv.run("nft", "-f", "-", input="table inet marker { chain c { type filter hook prerouting "
                    f"priority -450; iifname wan0 meta mark set {value << 28:#x}; }}; }}")
        try:
            assert udp_outcome(net.cli, side.srv, CLOSED, patience=0.05) == SILENT, value
            assert outcome(net.cli, side.srv, CLOSED, patience=0.05) == SILENT, value
            assert outcome(net.cli, side.srv, SHORT, patience=2) == OPEN, value
            assert udp_outcome(net.cli, side.srv, FLOW, patience=2) == OPEN, value
            flows.check_established(1000)
        finally:
            net.srv.run("nft", "delete", "table", "inet", "marker")
    assert not flows.servers.accepted[CLOSED] and not flows.servers.datagrams[CLOSED]


def marked(net, side, kind, mark):
    sock = net.srv.socket(side.family, kind)
    sock.setsockopt(socket.SOL_SOCKET, SO_MARK, struct.pack("=I", mark))
    sock.settimeout(0.08)
    return sock


def test_our_mark_bits_on_a_socket_open_nothing(firewall, traffic, net, side, witness):
    """SO_MARK on the way out, with every value of our bits."""
    firewall(RULES)
    flows = traffic()
    outside = flows.outside.udp(CLOSED)
    for value in range(1, 16):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with marked(net, side, kind, value << 28) as sock:
                with pytest.raises(OSError):
                    sock.connect((side.cli, CLOSED))
                    sock.send(b"out")
                    sock.recv(10)
            with marked(net, side, kind, value << 28 | 0xabc) as sock:
                sock.settimeout(2)
                sock.connect((side.cli, SHORT if kind == socket.SOCK_STREAM else FLOW))
                assert echo(sock), value
    assert not outside.accepted[CLOSED] and not outside.datagrams[CLOSED]


# interfaces that go and come back

ON_WAN2 = "default in drop\ndefault out allow\nallow in tcp 80 on wan2\nallow in udp 53 on wan2\n"


def join(net, side):
    """A second cable to cli; it gets another index each time."""
    net.srv.run("ip", "link", "add", "wan2", "type", "veth", "peer", "name", "eth2", "netns", net.cli.name)
    for namespace, interface, host in ((net.srv, "wan2", 1), (net.cli, "eth2", 2)):
        namespace.run("ip", "addr", "add", f"{side.at(9, host)}/{side.length}", "dev", interface)
        namespace.run("ip", "link", "set", interface, "up")
    link, = json.loads(net.srv.run("ip", "-j", "link", "show", "dev", "wan2").stdout)
    return link["ifindex"]


@pytest.mark.parametrize("by", ["daemon", "guard"])
def test_an_interface_that_rules_name_goes_and_comes_back(firewall, servers, net, side, by):
    """The rule is about the name: it holds before the interface is there, and for the next one of
    its name with another index; never for others."""
    servers.tcp(80, CLOSED).udp(53)
    daemon = firewall(ON_WAN2)
    indexes = set()
    here = side.at(9, 1)
    if by == "guard":
        daemon.kill()
    try:
        for _ in range(3):
            assert outcome(net.cli, side.srv, 80, patience=0.1) == SILENT
            indexes.add(join(net, side))
            assert outcome(net.cli, here, 80, patience=3) == OPEN
            assert udp_outcome(net.cli, here, 53, patience=3) == OPEN
            assert outcome(net.cli, here, CLOSED, patience=0.1) == SILENT
            assert udp_outcome(net.cli, side.srv, 53, patience=0.1) == SILENT
            with connect(net.cli, here, 80) as sock:
                assert echo(sock)
                net.srv.run("ip", "link", "del", "wan2")
            assert daemon.running or by == "guard"
        if by == "daemon":
            daemon.reload(ON_WAN2 + "allow in tcp 81 on wan2\n")
    finally:
        net.srv.run("ip", "link", "del", "wan2", check=False)
    assert len(indexes) == 3


def test_a_connection_outlives_its_interface(firewall, servers, net, side):
    """The cable is pulled and another put in with the same addresses: what was open goes on."""
    servers.tcp(80)
    firewall(ON_WAN2)
    try:
        join(net, side)
        with connect(net.cli, side.at(9, 1), 80) as sock:
            assert echo(sock)
            net.srv.run("ip", "link", "del", "wan2")
            join(net, side)
            assert echo(sock, b"q" * 100_000)
    finally:
        net.srv.run("ip", "link", "del", "wan2", check=False)


def test_an_interface_that_goes_while_its_packets_wait(firewall, servers, net, side):
    """In the queue of a daemon that stands still: the kernel drops them with it, none comes back to haunt the
    next of its name, and what is sent again gets in."""
    servers.tcp(80, CLOSED).udp(53, CLOSED)
    daemon = firewall(ON_WAN2)
    here = side.at(9, 1)
    try:
        join(net, side)
        with connect(net.cli, here, 80) as old, net.cli.socket(side.family) as new, \
                udp_socket(net.cli, here, 53) as flow, udp_socket(net.cli, here, CLOSED) as knock:
            assert echo(old)
            new.setblocking(False)
            with stopped(daemon):
                before = waiting(net.srv)
                new.connect_ex((here, 80))
                for sock in (flow, knock, flow, knock):
                    sock.send(b"wait")
                wait_for(lambda: waiting(net.srv) >= before + 5, "they wait in the queue")
                net.srv.run("ip", "link", "del", "wan2")
                wait_for(lambda: waiting(net.srv) == 0, "none waits any more")
                assert not servers.datagrams[53]
                join(net, side)
            for sock in (new, flow):
                sock.settimeout(5)
                assert echo(sock)
            assert echo(old, b"q" * 100_000)
        assert outcome(net.cli, here, 80, patience=3) == OPEN
        assert outcome(net.cli, here, CLOSED, patience=0.1) == SILENT
        assert udp_outcome(net.cli, here, CLOSED, patience=0.1) == SILENT
        assert servers.datagrams[53] == 1 and not servers.accepted[CLOSED] and not servers.datagrams[CLOSED]
        assert daemon.running
    finally:
        net.srv.run("ip", "link", "del", "wan2", check=False)


# sets that are full

def strangers(side, kind, first, end, per_message):
    """Batches that put connections which nobody has into the family's set, for an hour: nft takes long."""
    zeros = bytes(8 if side.version == 6 else 0)
    port, protocol, hour = b"\0\1\0\0", b"\6\0\0\0", attribute(4, struct.pack("!Q", 3_600_000))
    for begin in range(first, end, per_message):
        elements = b""
        for number in range(begin, min(end, begin + per_message)):
            local = struct.pack("!I", 0x7f000000 + number)
            remote = b"\x7f\0\0\1"
            if side.version == 6:
                local, remote = b"\xfe\x80" + bytes(2) + zeros + local, bytes(4) + zeros + remote
            key = attribute(1 | NESTED, attribute(1, local + port + remote + port + protocol))
            elements += attribute(1 | NESTED, key + hour)
        body = (attribute(1, b"sallyport\0") + attribute(2, f"{kind}{side.version}\0".encode()) +
                attribute(3 | NESTED, elements))
        yield (nft_message(BATCH_BEGIN, 1, resource=10) + nft_message(NEW_ELEMENTS, 1 | 0x400, body) +
               nft_message(BATCH_END, 1, resource=10))


def refusals(sock):
    """Error numbers that wait on the socket."""
    found = set()
    sock.setblocking(False)
    try:
        while True:
            answer = sock.recv(65536)
            kind, code = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 16)[0]
            if kind == 2:  # NLMSG_ERROR
                found.add(-code)
    except BlockingIOError:
        return found


def fill(net, side, kind, size):
    """Until there is no place left: by many at a time, then by a few, then one by one."""
    most = size - min(size // 10, 500)
    with netfilter_socket(net.srv) as sock:
        sock.setsockopt(socket.SOL_SOCKET, 32, 1 << 20)  # SO_SNDBUFFORCE
        for first, end, per_message in ((0, most, 500), (most, size + 50, 16), (size + 50, size + 70, 1)):
            for batch in strangers(side, kind, first, end, per_message):
                sock.sendto(batch, (0, 0))  # one that does not fit is refused whole
        assert refusals(sock) == {errno.ENFILE}


def check_many(net, side, count):
    socks = [connect(net.cli, side.srv, STEADY) for _ in range(count)]
    for sock in socks:
        assert echo(sock, b"q" * 10_000)
    for sock in socks:
        sock.close()


def test_half_full(firewall, traffic, net, side):
    """No place for a handshake: it goes through the daemon, and the connection gets its lease."""
    daemon = firewall(RULES)
    flows = traffic()
    fill(net, side, "half_in", 65536)
    check_many(net, side, 40)
    flows.check()
    assert daemon.running


LEASES_MOST = 1000


def test_lease_set_full(firewall, servers, servers_at, net, side):
    """No place for a lease: connections of both directions go on by the daemon, and when there is room again
    they get theirs."""
    servers.tcp(STEADY, CLOSED)
    servers_at(net.cli).tcp(STEADY, CLOSED)
    daemon = firewall(f"connections {LEASES_MOST}\n" + RULES)
    fill(net, side, "lease", LEASES_MOST)
    assert len(elements(net.srv, f"lease{side.version}")) == LEASES_MOST
    inward = [connect(net.cli, side.srv, STEADY) for _ in range(10)]
    outward = [connect(net.srv, side.cli, STEADY) for _ in range(10)]
    socks, keys = inward + outward, {*map(key_of, inward), *map(own_key_of, outward)}
    assert all(echo(sock) for sock in socks)
    wait_for(lambda: not keys & {key for half in HALVES for key in elements(net.srv, half)},
             "their second in half is over")
    for _ in range(3):
        judged = daemon.reason("pass.connection")
        assert all(echo(sock, b"q" * 10_000) for sock in socks)
        assert not keys & set(leases(net.srv))
        assert daemon.reason("pass.connection") >= judged + 2 * len(socks)
    assert len(elements(net.srv, f"lease{side.version}")) == LEASES_MOST
    assert outcome(net.cli, side.srv, CLOSED, patience=0.15) == SILENT
    assert outcome(net.srv, side.cli, CLOSED, patience=0.15) != OPEN
    forget_leases(net.srv)
    assert all(echo(sock) for sock in socks)
    for key in keys:
        wait_leased(net.srv, key)
    for sock in socks:
        sock.close()


def test_table_full(firewall, servers, net, side):
    """More connections than the table holds: those that are in it go on, nothing closed opens, and when they
    have ended there is room again."""
    servers.tcp(STEADY, CLOSED)
    daemon = firewall("connections 64\n" + RULES)
    socks = []
    for _ in range(150):
        try:
            socks.append(connect(net.cli, side.srv, STEADY, timeout=2))
        except TimeoutError:
            break
    assert len(socks) >= 50
    for sock in socks:
        sock.settimeout(3)
    assert all(echo(sock) for sock in socks[:50])
    assert outcome(net.cli, side.srv, CLOSED) == SILENT
    for sock in socks:
        sock.close()
    net.srv.run("ss", "--tcp", "--kill", check=False)
    wait_for(lambda: outcome(net.cli, side.srv, STEADY, patience=1) == OPEN, "there is room again", 15)
    assert daemon.running
