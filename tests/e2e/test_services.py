# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that people run, through the firewall: each works where a rule opens its port, and
is out of reach where none does."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from clients import (OPEN, SILENT, connect, echo, listening, outcome, receive, udp_outcome,
                     wait_listening)
from net import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
STRICT = "default in drop\ndefault out drop\n"


def rows_of(daemon, port):
    return daemon.json("list", "in", "tcp", "local-port", str(port))


@pytest.mark.parametrize("port", [65432, 12345])
def test_python_echo_server(firewall, net, side, port):
    firewall(STRICT + f"allow in tcp {port}\n")
    server = net.srv.start(sys.executable, f"{HERE}/echo.py", "server", side.srv, port,
                           stdout=subprocess.PIPE, text=True)
    wait_listening(net.srv, port, process=server)
    client = net.cli.run(sys.executable, f"{HERE}/echo.py", "client", side.srv, port, "Hello, world")
    assert client.stdout == "Received 'Hello, world'\n"
    assert server.stdout.readline().startswith(f"Connected by {side.cli}:")


def test_python_echo_server_without_a_rule(firewall, net, side):
    firewall(STRICT + "allow in tcp 12345\n")
    server = net.srv.start(sys.executable, f"{HERE}/echo.py", "server", side.srv, 65432)
    wait_listening(net.srv, 65432, process=server)
    assert outcome(net.cli, side.srv, 65432) == SILENT


def test_http_server_and_two_clients(firewall, net, side, tmp_path):
    """Two source addresses on one port are two rows with different 4-tuples."""
    (tmp_path / "hello.txt").write_text("hello from 8080\n")
    daemon = firewall(STRICT + "allow in tcp 8080\n")
    server = net.srv.start(sys.executable, "-m", "http.server", "8080", "--bind", side.srv,
                           "--directory", tmp_path, stderr=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)
    wait_listening(net.srv, 8080, process=server)
    url = side.url(side.srv, 8080, "/hello.txt")
    assert net.cli.run("curl", "-sS", "-m", "5", url).stdout == "hello from 8080\n"
    with connect(net.cli, side.srv, 8080, side.cli) as one, \
            connect(net.cli, side.srv, 8080, side.cli_b) as two:
        clients = {(side.srv, 8080, *sock.getsockname()[:2]) for sock in (one, two)}
        # connect() is done before the firewall has seen the last ACK of the handshake.
        wait_for(lambda: {(row["local"], row["local_port"], row["remote"], row["remote_port"])
                          for row in rows_of(daemon, 8080) if row["state"] == "ESTABLISHED"} == clients,
                 "two established rows, one a client")


def test_c_server_knows_each_client(firewall, net, side, tuple_server):
    """200 clients at once: the server's 4-tuples and the daemon's rows are the same 200."""
    daemon = firewall(STRICT + "allow in tcp 7000\n")
    server = net.srv.start(tuple_server, 7000, stdout=subprocess.PIPE, text=True)
    wait_listening(net.srv, 7000, process=server)
    with ExitStack() as clients:
        socks = [clients.enter_context(connect(net.cli, side.srv, 7000, (side.cli, side.cli_b)[n % 2]))
                 for n in range(200)]
        printed = {server.stdout.readline().strip() for _ in socks}
        here = {f"{side.endpoint(*sock.getsockname()[:2])} -> {side.endpoint(side.srv, 7000)}"
                for sock in socks}
        assert printed == here and len(here) == 200
        wait_for(lambda: {row["state"] for row in rows_of(daemon, 7000)} == {"ESTABLISHED"},
                 "every handshake's end is known")
        rows = rows_of(daemon, 7000)
        listed = {f"{side.endpoint(row['remote'], row['remote_port'])} -> "
                  f"{side.endpoint(row['local'], row['local_port'])}" for row in rows}
        assert listed == here and len(rows) == 200
        for sock in socks:
            assert receive(sock, 10)


def test_netcat(firewall, net, side):
    firewall(STRICT + "allow in tcp 9000\n")
    server = net.srv.start("nc", f"-{side.version}", "-l", "9000", stdout=subprocess.PIPE, text=True)
    wait_listening(net.srv, 9000, process=server)
    net.cli.run("nc", "-N", "-w", "5", side.srv, "9000", input="one line\n")
    assert server.stdout.read() == "one line\n"
    assert server.wait(10) == 0


NGINX = """
daemon off; pid {dir}/pid; error_log {dir}/error.log; user root; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2;
  fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen 80; listen [::]:80; root {dir}/www; }}
}}
"""


def test_nginx_and_curl(firewall, net, side, tmp_path):
    """A file of 20 MB comes through whole, and 50 requests on connections of their own."""
    (tmp_path / "www").mkdir()
    body = os.urandom(1 << 20) * 20
    (tmp_path / "www" / "large").write_bytes(body)
    (tmp_path / "www" / "small").write_text("small")
    (tmp_path / "nginx.conf").write_text(NGINX.format(dir=tmp_path))
    firewall(STRICT + "allow in http\n")
    server = net.srv.start("nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf",
                           stderr=subprocess.DEVNULL)
    wait_listening(net.srv, 80, process=server)
    net.cli.run("curl", "-sS", "-m", "30", "-o", tmp_path / "got", side.url(side.srv, 80, "/large"))
    assert (tmp_path / "got").read_bytes() == body
    url = side.url(side.srv, 80, "/small")
    for _ in range(50):
        assert net.cli.run("curl", "-sS", "-m", "5", url).stdout == "small"


SSHD = """
ListenAddress {address}
Port 22
HostKey {dir}/host
AuthorizedKeysFile {dir}/client.pub
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
PermitRootLogin yes
"""
# sshd wants /run/sshd: a /run of its own, seen by it alone.
SSHD_START = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f \"$1\""


def test_ssh(firewall, net, side, tmp_path):
    """A session with work in both directions; and the row knows the service's name."""
    for key in ("host", "client"):
        net.srv.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / key)
    (tmp_path / "sshd.conf").write_text(SSHD.format(address=side.srv, dir=tmp_path))
    daemon = firewall(STRICT + "allow in ssh\n")
    with open(tmp_path / "log", "wb") as log:
        server = net.srv.start("unshare", "-m", "sh", "-c", SSHD_START, "sh", tmp_path / "sshd.conf",
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait_listening(net.srv, 22, process=server)
    ssh = ("ssh", "-i", tmp_path / "client", "-F", "none", "-o", "StrictHostKeyChecking=no",
           "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5",
           "-o", "BatchMode=yes", f"root@{side.srv}")
    done = net.cli.run(*ssh, "cat; echo done", input="through ssh\n", check=False)
    assert done.stdout == "through ssh\ndone\n", done.stderr + (tmp_path / "log").read_text()
    session = net.cli.start(*ssh, "echo ready; read answer", stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    assert session.stdout.readline() == "ready\n"
    row, = daemon.json("list", "tcp", "port", "22", "state", "established")
    assert row["service"] == "ssh" and row["remote"] == side.cli
    session.stdin.close()
    assert session.wait(10) in (0, 1)


def dig(net, side, *options):
    """The answer, or None where none came."""
    done = net.cli.run("dig", "+short", "+tries=1", "+time=1", "-p", "53", *options,
                       f"@{side.srv}", "name.example", "A", check=False)
    return done.stdout.strip() if done.returncode == 0 else None


@pytest.mark.parametrize("protocol", ["tcp", "udp", "both"])
def test_dnsmasq(firewall, net, side, protocol):
    """TCP 53 and UDP 53 are two things; the service name `dns`, or `domain`, is both."""
    rule = "allow in domain" if protocol == "both" else f"allow in {protocol} 53"
    firewall(STRICT + rule + "\n")
    server = net.srv.start("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                           "--no-hosts", "--user=root", "--pid-file", "--log-facility=-",
                           "--address=/name.example/192.0.2.55", stderr=subprocess.DEVNULL)
    wait_listening(net.srv, 53, process=server)
    wait_for(lambda: listening(net.srv, 53, "udp"), "dnsmasq on UDP 53")
    assert dig(net, side, "+tcp") == ("192.0.2.55" if protocol != "udp" else None)
    assert dig(net, side, "+notcp") == ("192.0.2.55" if protocol != "tcp" else None)


def test_dns_is_known_as_a_name(firewall, servers, net, side):
    """`dns` is what people write; /etc/services calls it `domain`."""
    servers.tcp(53).udp(53)
    firewall(STRICT + "allow in dns\n")
    assert outcome(net.cli, side.srv, 53) == OPEN
    assert udp_outcome(net.cli, side.srv, 53) == OPEN


@pytest.mark.parametrize("reverse", [False, True], ids=["upload", "download"])
def test_iperf3(firewall, net, side, reverse):
    """Bulk traffic, two seconds: control and data connections both pass, and data flows."""
    firewall(STRICT + "allow in tcp 5201\n")
    server = net.srv.start("iperf3", "-s", "-1", "-p", "5201", stdout=subprocess.DEVNULL)
    wait_listening(net.srv, 5201, process=server)
    report = json.loads(net.cli.run("iperf3", "-c", side.srv, "-p", "5201", "-t", "2", "-J",
                                    *(["-R"] if reverse else [])).stdout)
    assert report["end"]["sum_received"]["bytes"] > 10_000_000


def test_other_ports_stay_shut(firewall, servers, net, side):
    """With one port open, its neighbours are not."""
    servers.tcp(7999, 8000, 8001)
    firewall(STRICT + "allow in tcp 8000\n")
    assert [outcome(net.cli, side.srv, port) for port in (7999, 8000, 8001)] == [SILENT, OPEN, SILENT]
    with connect(net.cli, side.srv, 8000) as sock:
        assert echo(sock)
