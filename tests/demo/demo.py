#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`make demo`: sallyport at work on a scratch network, step by step.

Every step says what it does and checks that this is what happened. Exit status: 0 when each
did, 1 otherwise. Nothing of the host is touched; everything is removed at the end, also after
Ctrl-C.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

from clients import OPEN, REFUSED, SILENT, connect, echo, outcome, wait_listening  # noqa: E402
from clients import Servers  # noqa: E402
from daemon import BUILD, Daemon, program  # noqa: E402
from net import (IPV4, IPV6, Network, interrupt_on_signals, scratch_directory, sweep,  # noqa: E402
                 wait_for)

RULES = """\
default in drop                            # nobody may open what no line allows
default out allow

allow  in tcp 8080                         # the web server, for everybody
allow  in tcp 2222 from 10.77.1.2          # the back door, for one address
allow  in icmp echo-request
reject in tcp 113                          # answer at once: no

expect allow in tcp from 10.77.1.2 to 2222 # the file tests itself
expect drop  in tcp from 10.77.1.3 to 2222
"""
BAD_RULES = RULES + "alow in tcp 9090\n"
GOOD_RULES = RULES + "allow in tcp 9090\n"

PICTURE = """\
    clients                     guarded host 10.77.1.1, fd77:0:0:1::1
    10.77.1.2 --.   virtual     8080  python3 -m http.server
                 >-- cable ---  2222  the back door
    10.77.1.3 --'               9090, 113  servers that nobody shall reach
"""
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
LABELS = {OPEN: "answers", REFUSED: "refused (RST)", SILENT: "silence"}


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def say(text=""):
    print(text, flush=True)


class Demo:
    def __init__(self, net, directory):
        self.net, self.directory = net, directory
        self.daemon = Daemon(net.srv, RULES, directory=directory)
        self.number, self.failed = 0, 0

    # telling

    def step(self, title, why):
        self.number += 1
        say(f"\n{paint('1', f'{self.number:2}  {title}')}")
        say(f"    {paint('2', why)}")

    def show(self, text):
        """Output, with the scratch directory's long name left out of it."""
        for line in text.replace(self.directory + "/", "").rstrip("\n").splitlines():
            say(f"    {paint('36', '|')} {line}")

    def command(self, *words, check=True):
        """Runs `sallyport ...` as anybody would, and shows it with its output."""
        say(f"    $ sallyport {' '.join(words)}")
        done = self.daemon.sallyport(*words, check=check)
        self.show(done.stdout + done.stderr)
        return done

    def proved(self, condition, text):
        mark = paint("32", "ok") if condition else paint("31", "FAILED")
        self.failed += not condition
        say(f"    {mark}  {text}")

    def knock(self, port, source, expected, side=IPV4):
        """A client tries a port; what it sees is checked."""
        begin = time.monotonic()
        seen = outcome(self.net.cli, side.srv, port, source, patience=0.6)
        took = (time.monotonic() - begin) * 1000
        after = f"for {took:.0f} ms" if seen == SILENT else f"after {took:.1f} ms"
        self.proved(seen == expected, f"{source} -> port {port}: {LABELS.get(seen, seen)} {after}")

    # the steps

    def start(self):
        self.step("A rules file, and the daemon that enforces it",
                  "First match wins; in and out; IPv4 and IPv6 together.")
        self.show(RULES)
        say("    $ sallyportd --rules sallyport.rules --foreground &")
        begin = time.monotonic()
        self.daemon.start()
        took = (time.monotonic() - begin) * 1000
        status = self.daemon.status()
        self.proved(status["rules"] == 4, f"ready in {took:.0f} ms, {status['rules']} rules in force; "
                    f"dispatch: {status['dispatch']}")

    def two_clients(self):
        self.step("Two clients on one port: two connections",
                  "python3 -m http.server on 8080. The table tells them apart by their 4-tuples.")
        with connect(self.net.cli, IPV4.srv, 8080, IPV4.cli) as one, \
                connect(self.net.cli, IPV4.srv, 8080, IPV4.cli_b) as two:
            self.command("list", "tcp", "port", "8080")
            rows = {(row["local"], row["local_port"], row["remote"], row["remote_port"])
                    for row in self.daemon.json("list", "tcp", "port", "8080")}
            ours = {(IPV4.srv, 8080, *sock.getsockname()) for sock in (one, two)}
            self.proved(rows == ours, "two rows, each with its client's address and port")
            pages = [self.fetch(sock) for sock in (one, two)]
            self.proved(pages == ["hello from 8080\n"] * 2, "both have got their page")

    def fetch(self, sock):
        sock.sendall(b"GET /hello.txt HTTP/1.0\r\n\r\n")
        with sock.makefile("r") as reply:
            return reply.read().replace("\r", "").partition("\n\n")[2]

    def ipv6(self):
        self.step("The same rules hold for IPv6", "No second file, no second set of rules.")
        self.knock(8080, IPV6.cli, OPEN, IPV6)
        self.knock(9090, IPV6.cli, SILENT, IPV6)

    def dropped_port(self):
        self.step("A port that no rule opens is dropped",
                  "A server listens on 9090, but packets do not reach it. A scanner sees nothing.")
        self.knock(9090, IPV4.cli, SILENT)
        self.command("explain", "in", "tcp", "from", IPV4.cli, "to", "9090")

    def rejected_port(self):
        self.step("A rejected port answers at once", "Good manners where silence would make people wait.")
        self.knock(113, IPV4.cli, REFUSED)

    def denied_source(self):
        self.step("One address may, its neighbour may not", "Port 2222 is open to 10.77.1.2 alone.")
        self.knock(2222, IPV4.cli, OPEN)
        self.knock(2222, IPV4.cli_b, SILENT)
        text = self.command("explain", "in", "tcp", "from", IPV4.cli_b, "to", "2222").stdout
        self.proved("line 5" in text, "and the reason is named: line 5 would, but for the source")

    def bad_reload(self, session):
        self.step("A bad file is refused, and nothing changes",
                  "An open connection to 2222 goes on meanwhile.")
        self.daemon.write("sallyport.rules", BAD_RULES)
        done = self.command("reload", check=False)
        self.proved(done.returncode == 1 and "sallyport.rules:11:1" in done.stderr,
                    f"exit status {done.returncode}, with the line and the place in it")
        self.knock(8080, IPV4.cli, OPEN)
        self.proved(echo(session), "the open connection did not notice")

    def good_reload(self, session):
        self.step("A good file takes over at once", "One more line: allow in tcp 9090.")
        self.daemon.write("sallyport.rules", GOOD_RULES)
        done = self.command("reload", check=False)
        self.proved(done.returncode == 0, "exit status 0")
        self.knock(9090, IPV4.cli, OPEN)
        self.proved(echo(session), "the open connection was not cut")

    def killed_connection(self, session):
        self.step("A connection is killed by name", "The words after `kill` choose as those after `list` do.")
        self.command("list", "port", "2222", "state", "established")
        done = self.command("kill", "port", "2222", "state", "established")
        self.proved(done.stdout.startswith("1 connection"), "one connection is killed, and no other")
        session.settimeout(0.6)
        try:
            alive = echo(session) and echo(session)
        except OSError:
            alive = False
        self.proved(not alive, "nothing comes through it any more")
        self.knock(2222, IPV4.cli, OPEN)

    def killed_daemon(self):
        self.step("The daemon is killed: kill -9", "The kernel goes on alone, with the same port policy.")
        self.daemon.kill()
        self.knock(8080, IPV4.cli, OPEN)
        self.knock(2222, IPV4.cli_b, SILENT)
        self.knock(113, IPV4.cli, REFUSED)

    def run(self):
        say(paint("1", "sallyport: a stateful firewall for the ports of a host"))
        say("Everything below happens in network namespaces of its own; this host is not touched.\n")
        say(PICTURE.rstrip("\n"))
        with open(os.path.join(self.directory, "hello.txt"), "w", encoding="ascii") as file:
            file.write("hello from 8080\n")
        web = self.net.srv.start(sys.executable, "-m", "http.server", "8080", "--bind", "::",
                                 "--directory", self.directory, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        echoes = Servers(self.net.srv).tcp(2222, 9090, 113)
        try:
            wait_listening(self.net.srv, 8080, process=web)
            self.start()
            self.two_clients()
            self.ipv6()
            self.dropped_port()
            self.rejected_port()
            self.denied_source()
            with connect(self.net.cli, IPV4.srv, 2222, IPV4.cli) as session:
                assert echo(session)
                self.bad_reload(session)
                self.good_reload(session)
                self.killed_connection(session)
            self.killed_daemon()
        finally:
            echoes.close()
        wait_for(lambda: not self.daemon.running, "the daemon is gone")
        return self.failed


def become_root():
    if os.geteuid() != 0:
        say("Network namespaces need root: asking sudo.")
        build = os.environ.get("SALLYPORT_BUILD", "build")
        os.execvp("sudo", ["sudo", "env", f"SALLYPORT_BUILD={build}", sys.executable, __file__])


def main():
    for name in ("sallyportd", "sallyport"):
        if not os.access(program(name), os.X_OK):
            sys.exit(f"demo: {BUILD}/{name} is missing: run make first")
    become_root()
    interrupt_on_signals()
    sweep()
    begin = time.monotonic()
    net, demo = None, None
    directory = scratch_directory("demo")
    try:
        net = Network()
        demo = Demo(net, directory)
        failed = demo.run()
    except KeyboardInterrupt:
        say("\ninterrupted; removing what was made")
        return 130
    except (AssertionError, OSError) as error:
        say(f"\n{paint('31', 'FAILED')}  {error}\n{demo.daemon.log() if demo else ''}")
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if net:
            net.close()
        shutil.rmtree(directory, ignore_errors=True)
    if failed:
        say(f"\n{paint('31', f'{failed} checks FAILED')}\n{demo.daemon.log()}")
        return 1
    say(f"\n{paint('32', 'Every step did what it says')}, in {time.monotonic() - begin:.1f} s. "
        "Nothing is left behind.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
