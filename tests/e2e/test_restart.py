# SPDX-License-Identifier: GPL-2.0-or-later
"""A restart cuts nothing: what was open goes on, and is listed as it was before."""

import os
import socket
import struct

import pytest
from scapy.layers.inet import TCP

from clients import SILENCE, SILENT, connect, echo, outcome, udp_socket
from leases import leases
from net import wait_for
from test_nat import published  # noqa: F401  a fixture
from wire import Wire, ip

STRICT = "default in drop\ndefault out drop\n"
MASQUERADE = """
table {family} engine {{
	chain postrouting {{
		type nat hook postrouting priority srcnat;
		iifname "ctr0" oifname "wan0" masquerade
	}}
}}
"""


def saved(daemon):
    return os.path.join(daemon.state, "connections")


def rows(daemon):
    """The connections by what does not change."""
    return {(row["proto"], row["local"], row["local_port"], row["remote"], row["remote_port"]): row
            for row in daemon.connections()}


@pytest.fixture
def asked(net, side):
    """A datagram has gone from srv to port 53 of cli: asked() -> (srv's socket, reply)."""
    sockets = []

    def ask():
        server = net.cli.socket(side.family, socket.SOCK_DGRAM)
        sockets.append(server)
        server.bind((side.cli, 53))
        server.settimeout(5)
        client = udp_socket(net.srv, side.cli, 53)
        sockets.append(client)
        client.settimeout(5)
        client.send(b"question")
        question, sender = server.recvfrom(100)
        assert question == b"question"

        def reply(text):
            server.sendto(text, sender)
            return client.recv(100) == text
        return client, reply
    yield ask
    for sock in sockets:
        sock.close()


def test_replies_to_a_question_before_the_restart_come_in(firewall, asked, side):
    """Nothing but the saved table knows that this host has asked: no rule lets port 53 in."""
    daemon = firewall(STRICT + "allow out udp 53\n")
    client, reply = asked()
    daemon.restart()
    assert reply(b"answer") and reply(b"and more")
    row = rows(daemon)["udp", side.srv, client.getsockname()[1], side.cli, 53]
    assert (row["direction"], row["rule"]["line"]) == ("out", 3)


def test_replies_come_in_after_many_restarts(firewall, asked):
    daemon = firewall(STRICT + "allow out udp 53\n")
    _, reply = asked()
    for number in range(4):
        daemon.restart()
        assert reply(b"answer %d" % number)


def test_a_stop_and_a_start_keep_the_table_too(firewall, asked):
    daemon = firewall(STRICT + "allow out udp 53\n")
    _, reply = asked()
    assert daemon.stop() == 0
    daemon.start()
    assert reply(b"answer")


def test_a_container_goes_on(firewall, servers_at, net, side):
    """Its connection is no socket of this host, and no rule is about it: it was learned."""
    family = "ip" if side.version == 4 else "ip6"
    net.srv.run("nft", "-f", "-", input=MASQUERADE.format(family=family))
    servers_at(net.cli).tcp(80)
    daemon = firewall(STRICT)
    with connect(net.ctr, side.cli, 80) as sock:
        assert echo(sock)
        key, = wait_for(lambda: [key for key, row in rows(daemon).items() if row.get("learned")],
                        "the learned row")
        daemon.restart()
        assert rows(daemon)[key]["learned"] is True
        assert echo(sock, b"z" * 100000)
        wait_for(lambda: rows(daemon)[key]["state"] == "ESTABLISHED", "list shows it open")


def test_what_was_killed_stays_out_and_the_others_go_on(firewall, servers, asked, net, side):
    """The saved table has the killed one too: its sockets are still there, and the rules allow it."""
    servers.tcp(22)
    daemon = firewall(STRICT + "allow in tcp 22\nallow out udp 53\n")
    with connect(net.cli, side.srv, 22) as killed, connect(net.cli, side.srv, 22) as other:
        assert echo(killed) and echo(other)
        _, reply = asked()
        daemon.sallyport("kill", "remote-port", str(killed.getsockname()[1]))
        daemon.restart()
        assert "damaged" not in daemon.log()
        assert echo(other) and reply(b"answer")
        killed.settimeout(SILENCE)
        with pytest.raises(TimeoutError):
            echo(killed)


def test_the_list_is_as_it_was(firewall, servers, servers_at, asked, net, side):
    """Direction, state and rule of each; and its age, which a socket could not tell."""
    servers.tcp(22)
    servers_at(net.cli).tcp(80)
    daemon = firewall(STRICT + "allow in tcp 22\nallow out tcp 80\nallow out udp 53\n")
    with connect(net.cli, side.srv, 22) as coming, connect(net.srv, side.cli, 80) as going:
        assert echo(coming) and echo(going)
        _, reply = asked()
        assert reply(b"answer")

        def all_have_an_age():
            found = rows(daemon)
            return len(found) >= 3 and min(row["age"] for row in found.values()) >= 2 and found
        before = wait_for(all_have_an_age, "connections of two seconds' age", 10)
        daemon.restart()
        after = rows(daemon)
        assert after.keys() == before.keys()
        for key, row in before.items():
            for word in ("direction", "state", "rule"):
                assert after[key][word] == row[word]
            assert row["age"] <= after[key]["age"] <= row["age"] + 20
        assert echo(coming, b"z" * 100000) and echo(going, b"z" * 100000) and reply(b"again")


def test_a_connection_opened_in_between_on_the_ports_of_one_that_was_over(firewall, servers, net, side):
    """What was saved as over does not stand in the way of what is open now."""
    servers.tcp(22)
    daemon = firewall(STRICT + "allow in tcp 22\n")
    with connect(net.cli, side.srv, 22) as first:
        assert echo(first)
        port = first.getsockname()[1]
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no TIME_WAIT of its own
        first.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: [row["state"] for row in daemon.connections()] == ["TIME_WAIT"], "its end", 5)
    daemon.stop_for_restart()
    net.cli.run("ss", "-K", "sport", "=", f":{port}")
    net.srv.run("ss", "-K", "dport", "=", f":{port}")
    with connect(net.cli, side.srv, 22, source_port=port) as second:
        assert echo(second)
        daemon.start()
        wait_for(lambda: [row["state"] for row in daemon.connections()] == ["ESTABLISHED"], "what is open", 3)
        assert echo(second)


def test_what_the_new_rules_forbid_does_not_come_back(firewall, servers, asked, net, side):
    servers.tcp(22, 80)
    daemon = firewall(STRICT + "allow in tcp 22\nallow in tcp 80\n")
    with connect(net.cli, side.srv, 22) as stays, connect(net.cli, side.srv, 80) as goes:
        assert echo(stays) and echo(goes)
        daemon.stop_for_restart()
        daemon.write("sallyport.rules", STRICT + "allow in tcp 22\n")
        daemon.start()
        assert [key[2] for key in rows(daemon)] == [22]
        assert echo(stays)
        goes.settimeout(0.5)
        with pytest.raises(OSError):
            echo(goes)


def test_the_file_serves_one_start_alone(firewall, asked):
    """A daemon that is killed later must not find what was open long ago."""
    daemon = firewall(STRICT + "allow out udp 53\n")
    asked()
    daemon.stop_for_restart()
    assert os.stat(saved(daemon)).st_mode & 0o777 == 0o600
    daemon.start()
    assert not os.listdir(daemon.state)


def test_a_damaged_file_is_ignored_with_a_warning(firewall, servers, asked, net, side):
    servers.tcp(22)
    daemon = firewall(STRICT + "allow in tcp 22\nallow out udp 53\n")
    with connect(net.cli, side.srv, 22) as sock:
        assert echo(sock)
        client, _ = asked()
        daemon.stop_for_restart()
        with open(saved(daemon), "r+b") as file:
            file.seek(-20, os.SEEK_END)
            byte = file.read(1)
            file.seek(-20, os.SEEK_END)
            file.write(bytes([byte[0] ^ 1]))
        daemon.start()
        line, = [line for line in daemon.log().splitlines() if "is damaged" in line]
        assert saved(daemon) in line and line.endswith("it is ignored")
        row = rows(daemon)["tcp", side.srv, 22, *sock.getsockname()[:2]]
        assert row["direction"] == "in" and echo(sock)  # the host's own sockets told


def test_no_state_directory_keeps_nobody_from_stopping(firewall, asked, net, side):
    daemon = firewall(STRICT + "allow out udp 53\n")
    asked()
    os.rmdir(daemon.state)
    daemon.stop_for_restart()
    line, = [line for line in daemon.log().splitlines() if "connections are not saved" in line]
    assert daemon.state in line
    daemon.start()
    assert outcome(net.cli, side.srv, 22) == SILENT


@pytest.mark.parametrize("strict", ["", " strict"], ids=["leased", "strict"])
@pytest.mark.parametrize("pickup", [True, False], ids=["pick-up", "no-pick-up"])
def test_mid_stream_of_what_nobody_knows(firewall, witness, net, side, pickup, strict):
    """Neither a socket nor conntrack tells of it."""
    daemon = firewall(STRICT + f"pickup {'on' if pickup else 'off'}\nallow in tcp 80{strict}\n")
    seen = witness(data="tcp dport 80")
    with Wire(net) as wire:
        wire.send(ip(side, side.cli, side.srv) / TCP(sport=40000, dport=80, flags="PA", seq=70, ack=80) / b"data")
        seen.wait_before("data", 1)
        verdict = "pass.pickup" if pickup else "drop.no-connection"
        wait_for(lambda: daemon.reason(verdict) == 1, verdict)
        wait_for(lambda: seen.behind("data") == pickup, "the segment gets through, or not")
        assert len(daemon.connections("tcp")) == pickup
        assert bool(leases(net.srv)) == (pickup and not strict)


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "forbidden"])
def test_a_container_whose_connections_are_older_than_the_firewall(firewall, published, servers_at, net, side,  # noqa: F811
                                                                   allowed):
    """No socket here tells of them, but conntrack does; what comes in obeys the rules."""
    servers_at(net.cli).tcp(81)
    with connect(net.cli, side.srv, 8080) as coming, connect(net.ctr, side.cli, 81) as going:
        assert echo(coming) and echo(going)
        daemon = firewall(STRICT + "allow in tcp 8080\n" * allowed)
        expected = {("in", "ESTABLISHED")} if allowed else set()
        assert {(row["direction"], row["state"]) for row in daemon.connections("tcp")} == expected | {("out", "ESTABLISHED")}
        assert echo(going, b"z" * 200000)
        if allowed:
            assert echo(coming, b"z" * 200000)
        else:
            coming.settimeout(1)
            coming.send(b"anybody?")
            with pytest.raises(TimeoutError):
                coming.recv(100)


@pytest.mark.parametrize("closer", ["client", "server", "reset"])
def test_a_containers_connection_that_ends_in_between_is_not_listed(firewall, published, net, side, closer):  # noqa: F811
    """What was saved of it says that it is open, and no socket here says that it is not."""
    daemon = firewall(STRICT + "allow in tcp 8080\n")
    with connect(net.cli, side.srv, 8080) as ends, connect(net.cli, side.srv, 8080) as stays:
        assert echo(ends) and echo(stays)
        wait_for(lambda: len(daemon.connections("tcp", "state", "ESTABLISHED")) == 2, "both are listed")
        port = ends.getsockname()[1]
        daemon.stop_for_restart()
        if closer == "reset":
            ends.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif closer == "server":
            net.ctr.run("ss", "-K", "dport", "=", f":{port}")
        ends.close()
        wait_for(lambda: f":{port}" not in net.ctr.run("ss", "-tano", "state", "established").stdout, "its end")
        daemon.start()
        wait_for(lambda: [row["remote_port"] for row in daemon.connections("tcp", "state", "ESTABLISHED")] ==
                 [stays.getsockname()[1]], "what still stands is listed, and no more", 3)
        assert echo(stays)


@pytest.mark.parametrize("rule", ["drop in tcp 8080 on wan0\nallow in tcp 8080\n",
                                  "allow in tcp 8080 on lan0,lo\n"])
def test_what_the_rules_forbid_on_its_interface_is_not_taken_up(firewall, servers, net, side, rule):
    servers.tcp(8080)
    with connect(net.cli, side.srv, 8080) as sock:
        assert echo(sock)
        daemon = firewall("default in drop\ndefault out drop\n" + rule)
        assert not daemon.connections("tcp", "local-port", "8080")
        sock.settimeout(1)
        with pytest.raises(OSError):
            sock.send(b"anybody?")
            assert not sock.recv(100)
            raise ConnectionError


def test_what_was_taken_up_and_has_ended_unseen_is_let_go(firewall, servers, net, side):
    """As where its end came between a look at its socket and its entry: nothing tells of it any more."""
    servers.tcp(8080)
    with connect(net.cli, side.srv, 8080) as sock:
        assert echo(sock)
        daemon = firewall(STRICT + "allow in tcp 8080\n")
        assert daemon.connections("tcp", "local-port", "8080")
        # The second look, a moment after the start, would see it.
        wait_for(lambda: daemon.looks() >= 2, "the start is over")
        net.srv.run("nft", "-f", "-", input="table inet mute { chain c { type filter hook output priority -400; "
                                            "tcp flags & rst == rst drop; }; }")
        net.srv.run("ss", "-K", "sport", "=", ":8080")
        wait_for(lambda: not daemon.connections("tcp", "local-port", "8080"), "it is let go", 15)
