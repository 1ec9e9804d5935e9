# SPDX-License-Identifier: GPL-2.0-or-later
"""A busy host: the kernel admits by itself what the static rules allow. What follows is as if
the daemon had decided: it is listed, counted, killed, forbidden, and survives a restart."""

import json
import time
from contextlib import ExitStack, contextmanager, suppress

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from clients import OPEN, SILENT, connect, echo, outcome
from crowd import wait_list_is_right
from leases import HALVES, LEASES, Key, end_lease, end_leases, family_set, key_of, lease_left, leases, wait_leased
from load import Load, ShortConnections
from net import wait_for
from tcp_peer import PORTS, Peer, mute
from test_forwarding import at_home, learns  # noqa: F401  a fixture
from test_leases import lost, wait_nothing_lost
from test_nat import published  # noqa: F401  a fixture
from wire import Wire, ip

# The second connection within a second makes a port busy.
BUSY = "default in drop\ndefault out drop\nbusy above 1/s\n"
RULES = BUSY + "allow in tcp 80\n"
CROWD = 8
RELOADS = 60


@pytest.fixture(params=["forwards", "at home"])
def everywhere(request):
    """Where the guarded host forwards for others leases tell of what the kernel admitted; else its sockets."""
    if request.param == "at home":
        request.getfixturevalue("at_home")


def admitted(daemon):
    return daemon.stats()["kernel"]["busy_admitted"]


def flush(namespace, *sets):
    for name in sets:
        namespace.run("nft", "flush", "set", "inet", "sallyport", name)


def end_busyness(namespace):
    """As if the two minutes were over in which the kernel grants leases by itself."""
    flush(namespace, "busy", "unseen")


def is_cut(sock, patience=1.5):
    sock.settimeout(patience)
    try:
        sock.send(b"anybody?")
        return not sock.recv(100)
    except (TimeoutError, ConnectionResetError):
        return True


def drain(sock):
    """Reads what has come so far."""
    sock.setblocking(False)
    with suppress(BlockingIOError):
        sock.recv(1000)


@contextmanager
def crowd(daemon, namespace, address, port=80, count=CROWD):
    """So many connections at once that the kernel admits most of them."""
    with ExitStack() as stack:
        socks = [stack.enter_context(connect(namespace, address, port)) for _ in range(count)]
        assert all(echo(sock) for sock in socks)
        assert admitted(daemon) >= count // 2, "the port was not busy"
        yield socks


def test_what_the_kernel_admits_is_listed_and_counted(firewall, everywhere, servers, net, side):
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv):
        wait_list_is_right(daemon, net.srv)
        assert len(daemon.json("list", "tcp", "state", "established")) == CROWD
        rule, = [row for row in daemon.json("rules") if row["text"].startswith("allow in tcp 80")]
        assert rule["connections"] == CROWD
        assert daemon.status()["busy"]["admitted"] == admitted(daemon)
    assert "busy: more than 1 new connections a second" in daemon.log()


def test_a_lease_that_runs_out_on_a_busy_port_is_renewed_by_the_kernel(firewall, servers, net, side):
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        before = lost(net.cli, net.srv)
        for sock in socks:
            end_lease(net.srv, key_of(sock))
            assert echo(sock)
            wait_leased(net.srv, key_of(sock))
        wait_nothing_lost(before, net.cli, net.srv)


def test_on_a_busy_port_of_a_host_that_forwards_nothing_nobody_needs_a_lease(
        firewall, at_home, servers, net, side):  # noqa: F811
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        before = lost(net.cli, net.srv)
        end_leases(net.srv, [key_of(sock) for sock in socks])
        assert all(echo(sock) for sock in socks)
        assert not leases(net.srv)
        wait_nothing_lost(before, net.cli, net.srv)


def test_a_port_stays_busy_for_as_long_as_so_many_come(firewall, everywhere, servers, net, side):
    """Once a second it was measured anew, and whoever came meanwhile asked."""
    seconds = 6
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv):
        asked = daemon.reason("pass.rule")
        with ShortConnections(net.cli, side.srv, 80, net.srv) as load:
            time.sleep(seconds)
        assert load.errors == [] and load.rounds > 10 * seconds
        assert daemon.reason("pass.rule") - asked < seconds / 2


def test_a_port_stays_busy_at_little_more_than_the_rate(firewall, servers, net, side):
    rate, seconds = 100, 5
    daemon = firewall(RULES.replace("above 1/s", f"above {rate}/s"))
    servers.tcp(80)
    with muted(net.cli), Wire(net) as wire:
        frames = [bytes(Ether(src=wire.mac, dst=wire.peer_mac) / ip(side, side.cli, side.srv)
                        / TCP(sport=20000 + number, dport=80, flags="S", seq=7))
                  for number in range(seconds * rate * 13 // 10)]
        start, asked = time.monotonic(), None
        for number, frame in enumerate(frames):
            wait_for(lambda at=start + number * seconds / len(frames): time.monotonic() >= at, "its time", 5, 0.0005)
            if asked is None and admitted(daemon):
                asked = daemon.reason("pass.rule")
            wire.socket.send(frame)
    assert asked is not None, "the port was not busy"
    assert daemon.reason("pass.rule") - asked < rate


def test_when_the_host_is_calm_again_the_daemon_knows_them(firewall, everywhere, servers, net, side):
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        wait_list_is_right(daemon, net.srv)
        end_busyness(net.srv)
        end_leases(net.srv, [key_of(sock) for sock in socks])
        before = lost(net.cli, net.srv)
        assert all(echo(sock) for sock in socks)
        wait_nothing_lost(before, net.cli, net.srv)
        assert daemon.reason("pass.connection") >= CROWD


def test_without_anybody_asking_the_daemon_catches_up(firewall, everywhere, servers, net, side):
    """Else the first pause that is longer than a lease would cut what the kernel admitted."""
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv):
        wait_for(lambda: daemon.status()["connections"]["count"] >= CROWD, "the table knows them", 20)


@contextmanager
def muted(namespace):
    """The client's kernel answers no segment of a Peer."""
    mute(namespace)
    try:
        yield
    finally:
        namespace.run("nft", "delete", "table", "inet", "mute")


def asked_about(daemon, wire, side, namespace):
    """A Peer about whose SYN the daemon was asked, as about the first of a second; its ACK is still due."""
    before, ports = daemon.reason("pass.rule"), iter(PORTS)

    def asked():
        flush(namespace, "busy")
        peer = Peer(wire, side, next(ports), 80)
        peer.send("S")
        peer.next += 1
        peer.take(peer.hear("SA"))
        return peer if daemon.reason("pass.rule") > before else None
    return wait_for(asked, "a SYN asks", 10, 1.5)


def test_a_handshake_that_went_on_unseen_is_not_half_open_for_long(firewall, everywhere, servers, net, side):
    """Its place in `half` is gone when the ACK comes, which passes on the busy port; so does its end."""
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv), muted(net.cli), Wire(net) as wire:
        peer = asked_about(daemon, wire, side, net.srv)
        flush(net.srv, *HALVES)
        peer.send("A")
        end = ("dport", "=", f":{peer.port}")
        wait_for(lambda: net.srv.run("ss", "-Htn", "state", "established", *end).stdout, "it is open")
        flush(net.srv, *LEASES)
        net.srv.run("ss", "-K", *end)
        wait_for(lambda: not daemon.json("list", "tcp", "state", "syn_sent,syn_recv"), "none is half-open", 15)


def test_a_killed_connection_stays_out_of_a_busy_port(firewall, everywhere, servers, net, side):
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        victim, others = socks[-1], socks[:-1]
        daemon.sallyport("kill", "port", str(victim.getsockname()[1]))
        assert is_cut(victim)
        assert all(echo(sock) for sock in others)


def segment_rules(namespace):
    """What an ACK from outside meets, in order."""
    said = namespace.run("nft", "list", "chain", "inet", "sallyport", "in_ack").stdout
    return said[said.index("in_ack {") + len("in_ack {"):].strip()


def test_segments_are_looked_up_in_cut_only_while_something_is(firewall, at_home, servers, net, side):  # noqa: F811
    """And once, however often somebody kills."""
    def checks():
        return segment_rules(net.srv).count("@cut_ports")
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        assert checks() == 0
        for sock in socks[:2]:
            daemon.sallyport("kill", "port", str(sock.getsockname()[1]))
            assert checks() == 1
        daemon.reload(RULES)
        assert checks() == 1
        flush(net.srv, "cut4", "cut6", "cut_ports")
        daemon.reload(RULES)
        assert checks() == 0


def test_a_cut_elsewhere_costs_the_segments_of_busy_ports_nothing(
        firewall, at_home, servers_at, net, side):  # noqa: F811
    servers_at(net.cli).tcp(81)
    daemon = firewall(RULES + "allow out tcp 81\n")
    with connect(net.srv, side.cli, 81) as sock:
        assert echo(sock)
        daemon.reload(RULES)
        assert is_cut(sock)
        assert "@cut_ports" not in segment_rules(net.srv)


def test_segments_are_looked_up_among_busy_ports_first_only_where_there_are_some(
        firewall, at_home, servers, net, side):  # noqa: F811
    def first():
        return "@unseen" in segment_rules(net.srv).splitlines()[0]
    daemon = firewall(RULES)
    servers.tcp(80)
    assert not first()
    with crowd(daemon, net.cli, side.srv):
        wait_for(first, "busy ports come first", 5)
        daemon.reload(RULES)
        assert first()
        daemon.restart()
        wait_for(first, "busy ports come first again", 5)


def remake(daemon, net, event):
    """Whatever the kernel held of ours may be gone by it."""
    if event == "reload":
        daemon.reload(RULES)
    elif event == "restart":
        daemon.restart()
    elif event == "stop and start":
        daemon.stop()
        daemon.start()
    elif event == "forwarding turned and back":
        before = learns(net.srv)
        for forwards in (not before, before):
            net.forward(forwards)
            wait_for(lambda forwards=forwards: learns(net.srv) == forwards, f"it learns: {forwards}", 5)
    else:
        net.srv.run("nft", "flush", "ruleset")
        wait_for(lambda: "it is back" in daemon.log(), "the table is back")


@pytest.mark.parametrize("event", ["reload", "restart", "stop and start", "forwarding turned and back",
                                   "flush by another program"])
def test_what_was_killed_stays_so_on_a_busy_port(firewall, everywhere, servers, net, side, event):
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        victim, another, *others = socks
        daemon.sallyport("kill", "port", str(victim.getsockname()[1]))
        remake(daemon, net, event)
        with crowd(daemon, net.cli, side.srv):
            assert is_cut(victim)
            daemon.sallyport("kill", "port", str(another.getsockname()[1]))
            assert is_cut(another)
            assert all(echo(sock) for sock in others)


def test_what_other_rules_forbid_at_a_restart_stays_out_of_a_busy_port(
        firewall, everywhere, servers, net, side):
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        wait_list_is_right(daemon, net.srv)
        daemon.stop_for_restart()
        daemon.write("sallyport.rules", BUSY + f"drop in tcp 80 from {side.cli}\nallow in tcp 80\n")
        daemon.start()
        assert all(is_cut(sock, 0.5) for sock in socks)


def ports_left(namespace):
    """Seconds that the ports of what was cut are known for."""
    said = json.loads(namespace.run("nft", "-j", "list", "set", "inet", "sallyport", "cut_ports").stdout)
    return [element["elem"]["expires"] for element in said["nftables"][-1]["set"].get("elem", [])]


def test_a_second_kill_renews_what_the_first_left(firewall, servers, net, side):
    """Else nobody would look for the second when the first has run out."""
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        daemon.sallyport("kill", "port", str(socks[0].getsockname()[1]))
        older = ports_left(net.srv)[0] - 3
        wait_for(lambda: ports_left(net.srv)[0] <= older, "time goes by", 10, 0.1)
        daemon.sallyport("kill", "port", str(socks[1].getsockname()[1]))
        left, = ports_left(net.srv)
        assert left > older


def reset_sockets(net, port):
    """As both ends would after a while."""
    net.cli.run("ss", "-K", "sport", "=", f":{port}")
    net.srv.run("ss", "-K", "dport", "=", f":{port}")


def test_the_ports_of_a_killed_connection_open_others(firewall, everywhere, servers, net, side):
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        port = socks[-1].getsockname()[1]
        daemon.sallyport("kill", "port", str(port))
        assert is_cut(socks[-1])
        reset_sockets(net, port)
    before = lost(net.cli, net.srv)
    with crowd(daemon, net.cli, side.srv):
        for _ in range(20):
            with connect(net.cli, side.srv, 80, source_port=port) as another:
                assert echo(another)
            reset_sockets(net, port)
    wait_nothing_lost(before, net.cli, net.srv)


def fill_cut(namespace, side, count):
    """As if so many others had been killed within the hour."""
    local, remote = ("192.0.2.1", "192.0.2.2") if side.version == 4 else ("2001:db8::1", "2001:db8::2")
    keys = ", ".join(str(Key(local, 80, remote, port)) for port in range(1, count + 1))
    namespace.run("nft", "add", "element", "inet", "sallyport", family_set("cut", Key(local, 0, remote, 0)),
                  f"{{ {keys} }}")


@pytest.mark.parametrize("how", ["kill", "reload"])
def test_who_came_right_after_a_look_is_cut_too(firewall, everywhere, servers, net, side, how):
    """Looks within a second read the sockets once; a kill or new rules must miss nobody."""
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv):
        daemon.connections()
        with connect(net.cli, side.srv, 80) as last:
            assert echo(last)
            if how == "kill":
                daemon.sallyport("kill", "remote-port", str(last.getsockname()[1]))
            else:
                daemon.reload(BUSY)
            assert is_cut(last)


def test_kills_and_reloads_take_effect_however_many_were_cut_before(firewall, servers, net, side):
    """Who was cut is remembered for an hour, but there is room for only so many."""
    least = 64
    rules = f"connections {least}\n" + RULES
    daemon = firewall(rules)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        fill_cut(net.srv, side, least)
        daemon.sallyport("kill", "port", str(socks[-1].getsockname()[1]))
        assert is_cut(socks[-1])
        assert all(echo(sock) for sock in socks[:-1])
        flush(net.srv, "cut4", "cut6")
        fill_cut(net.srv, side, least)
        daemon.reload(rules.replace("allow", f"drop in tcp 80 from {side.cli}\nallow"))
        drain(socks[-1])  # what it sends again came through while the test had taken it out of the set
        assert all(is_cut(sock, 0.5) for sock in socks)


def test_a_reload_that_forbids_cuts_what_the_kernel_admitted(firewall, everywhere, servers, net, side):
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        daemon.reload(BUSY + f"drop in tcp 80 from {side.cli}\nallow in tcp 80\n")
        assert all(is_cut(sock, 0.5) for sock in socks)
        assert outcome(net.cli, side.srv, 80) == SILENT


def syns(wire, side):
    """As fast as Python can."""
    frames = [bytes(Ether(src=wire.mac, dst=wire.peer_mac) / ip(side, side.cli, side.srv)
                    / TCP(sport=sport, dport=80, flags="S", seq=7)) for sport in range(20000, 20064)]

    def step():
        for frame in frames:
            wire.socket.send(frame)
    return Load(step)


def test_a_port_that_is_closed_in_a_flood_is_the_kernels_no_more(firewall, servers, net, side):
    """While the rules change packets fill anew what the change has emptied."""
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks, Wire(net) as wire, syns(wire, side):
        wait_for(lambda: admitted(daemon) > 1000, "the flood is under way")
        daemon.reload(BUSY + "allow in tcp 81\n")
        assert not unseen(net.srv)
        assert all(is_cut(sock, 0.5) for sock in socks)


def test_a_port_that_is_closed_disturbs_no_other_busy_port(firewall, servers, net, side):
    daemon = firewall(BUSY + "allow in tcp 80-81\n")
    servers.tcp(80, 81)
    with crowd(daemon, net.cli, side.srv, 80), crowd(daemon, net.cli, side.srv, 81):
        assert unseen(net.srv) == {80, 81}
        daemon.reload(BUSY + "allow in tcp 80\n")
        assert unseen(net.srv) == {80}


def test_a_port_that_is_closed_on_a_calm_host_is_nobodys_change(firewall, servers, net, side):
    """There is nothing to forget, and the transaction that does it changes nothing."""
    daemon = firewall(BUSY + "allow in tcp 80-81\n")
    servers.tcp(80)
    with connect(net.cli, side.srv, 80) as sock:
        assert echo(sock)
        wait_leased(net.srv, key_of(sock))
        daemon.reload(BUSY + "allow in tcp 80\n")
        daemon.reload(BUSY + "allow in tcp 80\nallow in udp 80\n")
        time.sleep(1.2)  # the daemon looks once a second
        assert lease_left(net.srv, key_of(sock))
    assert "another program" not in daemon.log()


def test_a_reload_that_allows_cuts_nothing(firewall, everywhere, servers, net, side):
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        daemon.reload(RULES + "allow in tcp 81\n")
        end_leases(net.srv, [key_of(sock) for sock in socks])
        assert all(echo(sock) for sock in socks)
        daemon.reload(RULES.replace("busy above 1/s", "busy never"))
        end_leases(net.srv, [key_of(sock) for sock in socks])
        assert all(echo(sock) for sock in socks)


def test_somebody_elses_flush_cuts_nothing_that_the_kernel_admitted(firewall, everywhere, servers, net, side):
    """With the table goes what packets have left there: now the daemon alone must know them."""
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        assert daemon.status()["connections"]["count"] < CROWD, "it has caught up already"
        net.srv.run("nft", "flush", "ruleset")
        wait_for(lambda: "it is back" in daemon.log(), "the table is back", 5)
        before = lost(net.cli, net.srv)
        assert all(echo(sock) for sock in socks)
        wait_nothing_lost(before, net.cli, net.srv)


def unseen(namespace):
    """{port}"""
    listing = json.loads(namespace.run("nft", "-j", "list", "set", "inet", "sallyport", "unseen").stdout)
    elements = listing["nftables"][-1]["set"].get("elem", [])
    return {element["elem"]["val"] for element in elements}


@pytest.mark.parametrize("rules, goes_on", [(RULES + "allow in tcp 81\n", True),
                                            (RULES.replace("80", "81"), False)], ids=["open", "closed"])
def test_handshakes_under_way_survive_a_restart_where_the_port_stays_open(firewall, everywhere, servers, net, side,
                                                                          rules, goes_on):
    """A SYN that the kernel admitted before is in no memory but that its port was busy."""
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv):
        daemon.stop_for_restart()
        daemon.write("sallyport.rules", rules)
        daemon.start()
        assert unseen(net.srv) == ({80} if goes_on else set())


def test_a_restart_cuts_nothing_that_the_kernel_admitted(firewall, everywhere, servers, net, side):
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv) as socks:
        daemon.kill()
        assert all(echo(sock) for sock in socks)
        daemon.start()
        assert daemon.status()["busy"] == {"now": False, "admitted": 0}
        wait_list_is_right(daemon, net.srv)
        end_busyness(net.srv)
        end_leases(net.srv, [key_of(sock) for sock in socks])
        assert all(echo(sock) for sock in socks)


@pytest.mark.parametrize("rule", ["allow in tcp 80 strict", "allow in log tcp 80", "inspect all\nallow in tcp 80",
                                  "drop in log tcp 80 from 192.0.2.99\nallow in tcp 80",
                                  "on-failure closed\nallow in tcp 80"])
def test_what_the_daemon_must_do_itself_is_never_the_kernels(firewall, servers, net, side, rule):
    daemon = firewall(BUSY + rule + "\n")
    servers.tcp(80)
    for _ in range(CROWD):
        assert outcome(net.cli, side.srv, 80) == OPEN
    assert admitted(daemon) == 0


@pytest.mark.parametrize("rule", ["allow in tcp 80 from {cli}", "allow in tcp 80 on wan0",
                                  "drop in any from {cli2}\nallow in tcp 80"])
def test_conditions_hold_on_a_busy_host(firewall, servers, net, side, rule):
    """By the static rules in the kernel; who they refuse stays out, and each counts what it did."""
    daemon = firewall(BUSY + "".join(line + "\n" for line in rule.format(cli=side.cli, cli2=side.cli2).split("\n")))
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv):
        assert outcome(net.cli2, side.srv_lan, 80) == SILENT
        assert daemon.stats()["kernel"]["busy_refused"] >= 1
        allowing, = [row for row in daemon.json("rules") if row["text"].startswith("allow in tcp 80")]
        assert allowing["connections"] == CROWD
        if "drop" in rule:
            refusing, = [row for row in daemon.json("rules") if row["text"].startswith("drop in any")]
            assert refusing["packets"] >= 1
        wait_list_is_right(daemon, net.srv)


def test_with_many_conditions_whoever_none_names_is_admitted(firewall, servers, net, side):
    """And the daemon is asked about the others."""
    places = "192.0.2.{}" if side.version == 4 else "2001:db8::{}"
    many = "".join(f"drop in tcp 80 from {places.format(host)}\n" for host in range(1, 101))
    daemon = firewall(BUSY + many + f"drop in tcp 80 from {side.cli2}\nallow in tcp 80\n")
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv):
        before = daemon.reason("drop.rule")
        assert outcome(net.cli2, side.srv_lan, 80) == SILENT
        assert daemon.reason("drop.rule") > before
        allowing, = [row for row in daemon.json("rules") if row["text"].startswith("allow in tcp 80")]
        assert allowing["connections"] == CROWD
        wait_list_is_right(daemon, net.srv)


def test_busy_never_leaves_every_connection_to_the_daemon(firewall, servers, net, side):
    daemon = firewall(RULES.replace("busy above 1/s", "busy never"))
    servers.tcp(80)
    for _ in range(CROWD):
        assert outcome(net.cli, side.srv, 80) == OPEN
    assert admitted(daemon) == 0


def test_other_ports_stay_closed_while_one_is_busy(firewall, servers, witness, net, side):
    daemon = firewall(RULES)
    servers.tcp(80, 81)
    seen = witness(closed="tcp dport 81")
    with crowd(daemon, net.cli, side.srv), Wire(net) as wire:
        assert outcome(net.cli, side.srv, 81) == SILENT
        for flags in ("A", "SA", "FA", "PA"):
            wire.send(ip(side, side.cli, side.srv) / TCP(sport=40000, dport=81, flags=flags))
        assert outcome(net.cli, side.srv, 80) == OPEN
        assert not servers.accepted[81]
    assert seen.behind("closed") == 0


def test_a_flood_of_syns_to_an_open_port_fills_no_table(firewall, servers, net, side):
    """What only the kernel admitted leaves nothing behind; who means it gets in."""
    daemon = firewall(RULES)
    servers.tcp(80)
    with crowd(daemon, net.cli, side.srv, count=2 * CROWD), Wire(net) as wire:
        before = daemon.status()["connections"]["count"]
        wire.send(*(ip(side, side.cli, side.srv) / TCP(sport=sport, dport=80, flags="S", seq=7)
                    for sport in range(20000, 22000)))
        wait_for(lambda: admitted(daemon) >= 1500, "the kernel has admitted the flood", 10)
        assert outcome(net.cli, side.srv, 80) == OPEN
        assert daemon.status()["connections"]["count"] < before + 4 * CROWD


def reload_under_syns(daemon, net, side, rules, source):
    """The port stays busy, and each SYN meets the rules of the moment."""
    with crowd(daemon, net.cli, side.srv), Wire(net) as wire:
        others = [ip(side, side.cli, side.srv) / TCP(sport=sport, dport=80, flags="S", seq=7)
                  for sport in range(20000, 20100)]
        syns = [ip(side, source, side.srv) / TCP(sport=sport, dport=80, flags="S", seq=7)
                for sport in range(30000, 30400)]
        with Load(lambda: wire.send(*others, *syns)) as load:
            load.wait_rounds(2)
            for _ in range(RELOADS):
                daemon.reload(rules)
            load.wait_rounds(1)
        assert not load.errors


def test_a_reload_refuses_nobody_who_is_allowed(firewall, everywhere, servers, net, side):
    """While a transaction changes a set of ranges, as of these ports, look-ups there may miss."""
    stranger = "198.51.100.7" if side.version == 4 else "2001:db8:7::7"
    rules = BUSY + f"drop in tcp 80 from {stranger}\nallow in tcp 80,82-83,90\n"
    mute(net.cli)
    daemon = firewall(rules)
    servers.tcp(80)
    reload_under_syns(daemon, net, side, rules, side.cli)
    assert daemon.stats()["kernel"]["busy_refused"] == 0


def test_a_reload_admits_nobody_who_is_denied(firewall, everywhere, servers, witness, net, side):
    """The same of the sources that rules mention, where those are many."""
    nets = "198.51.{}.0/24" if side.version == 4 else "2001:db8:{}::/48"
    denied = "".join(f"drop in tcp 80 from {nets.format(number)}\n" for number in range(1, 101))
    mute(net.cli)
    rules = BUSY + denied + "allow in tcp 80\n"
    daemon = firewall(rules)
    servers.tcp(80)
    source = nets.format(50).split("/")[0].replace(".0", ".7").replace("::", "::7")
    seen = witness(denied=f"{'ip' if side.version == 4 else 'ip6'} saddr {source}")
    reload_under_syns(daemon, net, side, rules, source)
    assert daemon.stats()["reasons"]["drop.rule"] > 0
    assert seen.behind("denied") == 0


def check_that_acks_fill_no_table(daemon, net, side, leased):
    nowhere = "198.51.100.7" if side.version == 4 else "2001:db8:7::7"
    with crowd(daemon, net.cli, side.srv), Wire(net) as wire:
        wire.send(*(ip(side, nowhere, side.srv) / TCP(sport=sport, dport=80, flags="A", seq=7, ack=7)
                    for sport in range(40000, 40200)))
        wait_for(lambda: sum(key.remote == nowhere for key in leases(net.srv)) == leased, "they are through", 5)
        looks = daemon.looks()
        for _ in range(6):  # two each time it looks
            looks += 1
            wait_for(lambda looks=looks: daemon.looks() >= looks, "it has looked again", 15)
            assert len(daemon.json("list", "tcp")) <= CROWD


def test_acks_that_belong_to_nothing_fill_nothing(firewall, at_home, servers, witness, net, side):  # noqa: F811
    """Where nothing is forwarded, whoever has no socket here has no connection."""
    servers.tcp(80)
    seen = witness(acks="tcp dport 80 tcp sport 40000-40199")
    check_that_acks_fill_no_table(firewall(RULES), net, side, leased=0)
    assert seen.behind("acks") == 200


def test_acks_that_belong_to_nothing_fill_no_table_of_a_host_that_forwards(
        firewall, published, servers, net, side):  # noqa: F811
    """Each has a lease until it runs out, if no reset goes back. Whoever has no socket here may be somebody's
    behind this host, whose addresses are translated then."""
    servers.tcp(80)
    check_that_acks_fill_no_table(firewall(RULES), net, side, leased=200)


def test_a_published_port_can_be_busy(firewall, published, net, side):  # noqa: F811
    """Nothing is open on the host itself: the leases tell what the kernel has admitted."""
    daemon = firewall(BUSY + "allow in tcp 8080\n")
    with crowd(daemon, net.cli, side.srv, port=8080) as socks:
        def known():
            return len(daemon.json("list", "tcp", "state", "established")) >= CROWD
        wait_for(known, "the table knows them", 10)
        end_busyness(net.srv)
        end_leases(net.srv, [key_of(sock) for sock in socks])
        assert all(echo(sock) for sock in socks)


def test_a_published_ports_connections_outlive_our_tables_deletion(firewall, published, net, side):  # noqa: F811
    """The kernel admitted them, and what it had of them is gone: conntrack knows them."""
    daemon = firewall(BUSY + "allow in tcp 8080\n")
    with crowd(daemon, net.cli, side.srv, port=8080) as socks:
        net.srv.run("nft", "delete", "table", "inet", "sallyport")
        wait_for(lambda: "it is back" in daemon.log(), "the table is back", 5)
        before = lost(net.cli, net.srv)
        assert all(echo(sock) for sock in socks)
        wait_nothing_lost(before, net.cli, net.srv)
