# SPDX-License-Identifier: GPL-2.0-or-later
"""From a fresh install to the reboot. The tests are one story: the order matters."""

import os
import pathlib
import pwd
import re
import signal
import time

import ground
import inject
from ground import CLIENT, HOST, equal, need, succeed, systemctl, wait_for

CAP_NET_ADMIN = 1 << 12
MORE = """
allow  in tcp 8080
reject in tcp 113
allow  in udp 5000
drop   in log telnet
"""
REDIRECT = ("table inet turned { chain prerouting { type nat hook prerouting priority dstnat;"
            " tcp dport 8081 redirect to :9999; }; }")


class World:
    def __init__(self):
        ground.build_network()
        for port in (22, 8080, 9999, 113, 23):
            ground.serve_tcp(port)
        for port in (5000, 5001):
            ground.serve_udp(port)
        self.client = ground.Client()
        self.shipped = ground.RULES.read_text()


# ---- install and start ----

def starts(_):
    """installed on a running system, `systemctl enable --now sallyport` brings it up"""
    succeed("systemd-sysusers")
    succeed("systemctl", "daemon-reload")
    succeed("systemctl", "enable", "--now", "sallyport")
    need(ground.is_active(), "not active")
    equal(unit_result(), "success", "result")
    complaints = [entry["MESSAGE"] for entry in ground.journal("-p", "warning")]
    need(not complaints, f"in the journal: {complaints}")


def messages():
    return [str(entry["MESSAGE"]) for entry in ground.journal()]


def unit_result():
    return ground.unit_property("Result")


def native_dispatch(_):
    """the distribution's kernel queues by the native expression, its modules loaded on demand"""
    equal(ground.status()["dispatch"], "native", "dispatch")
    need(re.search(r"\bqueue\b.* to \d+", ground.ruleset()), "no queue statement in `nft list ruleset`")
    need("nft_queue" in pathlib.Path("/proc/modules").read_text(), "nft_queue is not loaded")


def few_privileges(_):
    """every thread of the daemon runs as its own user, with CAP_NET_ADMIN and nothing else"""
    tasks = list(pathlib.Path(f"/proc/{ground.main_pid()}/task").iterdir())
    need(len(tasks) >= 3, f"threads: {tasks}")
    for task in tasks:
        fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
        equal(set(fields["Uid"].split()), {str(pwd.getpwnam("sallyport").pw_uid)}, "user ids")
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            equal(int(fields[kind], 16), CAP_NET_ADMIN, kind)
        equal((fields["NoNewPrivs"], fields["Seccomp"]), ("1", "2"), "NoNewPrivs, Seccomp")


def confines_itself(_):
    """under systemd too the daemon puts its own filter and its own paths on top"""
    said = [text for text in messages() if "the daemon does not" in text]
    need(not [text for text in said if "system calls" in text], f"{said}")
    modules = pathlib.Path("/sys/kernel/security/lsm").read_text().split(",")
    need("landlock" not in modules or not said, f"{said}, with {modules}")


def intruder(_):
    """taken over, the daemon reaches no file, no network and no other process, and runs no program"""
    refused = {
        "writing /etc/passwd": ("open", b"/etc/passwd", os.O_WRONLY),
        "writing its rules": ("open", bytes(ground.RULES), os.O_WRONLY),
        "a file in /tmp": ("open", b"/tmp/new", os.O_WRONLY | os.O_CREAT, 0o600),
        "a file in /run": ("open", b"/run/sallyport/new", os.O_WRONLY | os.O_CREAT, 0o600),
        "a sysctl": ("open", b"/proc/sys/net/ipv4/ip_forward", os.O_WRONLY),
        "TCP": ("socket", 2, 1, 0),
        "raw packets": ("socket", 17, 3, 0),
        "a signal": ("kill", 1, 0),
        "memory to write and run": ("mmap", 0, 4096, 7, 0x22, -1, 0),
    }
    before = ground.main_pid()
    with inject.Thread(before) as thread:
        for what, call in refused.items():
            answer = thread.call(*call)
            need(answer < 0, f"{what}: {answer}")
        state = thread.call("open", b"/var/lib/sallyport/new", os.O_WRONLY | os.O_CREAT, 0o600)
        need(state >= 0, f"its own state directory: {state}")
        thread.call("close", state)
        equal(thread.call("unlink", b"/var/lib/sallyport/new"), 0, "unlink")
    need(ground.main_pid() == before and ground.is_active(), "it did not outlive the refusals")
    try:
        with inject.Thread(before) as thread:
            answer = thread.call("execve", b"/bin/true", 0, 0)
    except inject.Ended as ended:
        equal(ended.signal, signal.SIGSYS, "signal")
    except ProcessLookupError:
        pass  # systemd has reaped it first
    else:
        raise ground.Failed(f"it may run a program: {answer}")
    wait_for(lambda: ground.is_active() and ground.main_pid() not in (0, before), "a new process")


def small_exposure(_):
    """`systemd-analyze security` gives at most 1.5"""
    text = succeed("systemd-analyze", "security", "--no-pager", "sallyport.service")
    exposure = float(re.search(r"exposure level for sallyport.service: ([0-9.]+)", text).group(1))
    need(exposure <= 1.5, f"{exposure}")
    print(f"     exposure {exposure}", flush=True)


def sees_its_own(_):
    """the daemon in its sandbox can read whether queue and log group are still its own"""
    as_daemon = ["setpriv", "--reuid=sallyport", "--regid=sallyport", "--clear-groups"]
    for name in ("queue", "log"):
        text = succeed(*as_daemon, "cat", f"/proc/net/netfilter/nfnetlink_{name}")
        need(text.strip(), f"nothing in nfnetlink_{name}")


def queue_figures(world):
    """the daemon in its sandbox sees the queue's figures"""
    world.client.sees(22, "open")
    queue = ground.status()["queues"][0]
    last_id = int(pathlib.Path("/proc/net/netfilter/nfnetlink_queue").read_text().split()[7])
    need(0 < last_id <= queue["packets"] + 10, f"the kernel says {last_id} packets, the status {queue}")


def control_access(_):
    """a member of the group may look, not change; others may not even ask"""
    as_member = ["setpriv", "--reuid=65534", "--regid=65534", "--groups=sallyport", "sallyport"]
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sallyport"]
    succeed(*as_member, "status")
    equal(ground.run(*as_member, "reload").returncode, 1, "exit of a member's reload")
    equal(ground.run(*as_nobody, "status").returncode, 1, "exit of a stranger's status")


# ---- packets ----

def shipped_rules(world):
    """the shipped rules: ssh from outside, nothing else, everything out"""
    world.client.sees(22, "open")
    world.client.sees(8080, "filtered")
    for version in (4, 6):
        with world.client.socket(version) as listener:
            listener.bind((CLIENT[version], 7000))
            listener.listen()
            with ground.socket.create_connection((CLIENT[version], 7000), timeout=10):
                listener.settimeout(10)
                listener.accept()[0].close()


def pings(_):
    """the shipped rules answer to ping, of both families, neighbour discovery included"""
    for version in (4, 6):
        succeed("ip", "netns", "exec", "client", "python3", "-c", PING, str(version), HOST[version])


PING = """
import socket, struct, sys
version, address = int(sys.argv[1]), sys.argv[2]
kind, request, reply = (socket.AF_INET, 8, 0) if version == 4 else (socket.AF_INET6, 128, 129)
with socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6) as raw:
    raw.settimeout(5)
    body = struct.pack('!BBHHH', request, 0, 0, 77, 1)
    total = sum(struct.unpack('!4H', body))
    body = struct.pack('!BBHHH', request, 0, ~(total + (total >> 16)) & 0xffff, 77, 1)
    raw.sendto(body, (address, 0))
    while True:
        packet = raw.recv(2048)[20 if version == 4 else 0:]
        if packet[0] == reply:
            break
"""


def listed(world):
    """an open connection stands in `sallyport list` with its 4-tuple and its rule"""
    for version in (4, 6):
        with world.client.connect(version, 22) as opened:
            port = opened.getsockname()[1]
            rows = [row for row in ground.sallyport("list") if row["remote_port"] == port]
            need(len(rows) == 1, f"rows of port {port}: {rows}")
            found = tuple(rows[0][name] for name in ("proto", "local", "local_port", "remote", "state", "direction"))
            equal(found, ("tcp", HOST[version], 22, CLIENT[version], "ESTABLISHED", "in"), "row")
            equal(rows[0]["rule"]["file"], str(ground.RULES), "file of the rule")


def reload_opens(world):
    """an edit and `systemctl reload`: the new rules judge, TCP and UDP"""
    ground.write_rules(world.shipped + MORE)
    succeed("systemctl", "reload", "sallyport")
    world.client.sees(8080, "open")
    world.client.sees(9999, "filtered")
    world.client.sees(113, "closed")
    for version in (4, 6):
        need(world.client.ask_udp(version, 5000), f"IPv{version} UDP 5000 does not answer")
        need(not world.client.ask_udp(version, 5001), f"IPv{version} UDP 5001 answers")


def bad_edit(world):
    """a bad edit: `systemctl reload` fails, the journal says where, the old rules stay"""
    line = (world.shipped + MORE).count("\n") + 1
    ground.write_rules(world.shipped + MORE + "allow in sssh\n")
    need(systemctl("reload", "sallyport").returncode != 0, "the reload succeeded")
    where = f"sallyport.rules:{line}:"
    said = wait_for(lambda: [text for text in messages() if where in text], f"{where} in the journal")
    need("ssh" in said[-1], f"journal: {said[-1]}")
    shown = systemctl("status", "--no-pager", "-l", "-n", "40", "sallyport").stdout
    need(where in shown, "not in `systemctl status`")
    need(ground.is_active(), "no longer active")
    equal(ground.status()["last_reload"]["ok"], False, "last_reload.ok")
    world.client.sees(8080, "open")
    world.client.sees(9999, "filtered")
    ground.write_rules(world.shipped + MORE)
    succeed("systemctl", "reload", "sallyport")


def reload_closes(world):
    """a port that an edit closes is closed, and nothing about that goes wrong unseen"""
    ground.write_rules(world.shipped)
    succeed("systemctl", "reload", "sallyport")
    world.client.sees(8080, "filtered")
    ground.write_rules(world.shipped + MORE)
    succeed("systemctl", "reload", "sallyport")
    world.client.sees(8080, "open")
    for trouble in ("may still pass", "another program"):
        need(not [text for text in messages() if trouble in text], f"the journal says: {trouble}")


def structured_log(world):
    """a logged drop stands in the journal with its fields"""
    world.client.sees(23, "filtered")
    entries = wait_for(lambda: [entry for entry in ground.journal("SALLYPORT_DST_PORT=23")
                                if entry["SALLYPORT_SRC"] == CLIENT[6]], "the entry")
    line = (world.shipped + MORE).count("\n")
    expected = {"SALLYPORT_RULE": f"{ground.RULES}:{line}", "SALLYPORT_PROTO": "tcp", "SALLYPORT_VERDICT": "drop",
                "SALLYPORT_DST": HOST[6], "SALLYPORT_DIRECTION": "in", "SALLYPORT_INTERFACE": "h0"}
    equal({name: entries[-1].get(name) for name in expected}, expected, "fields")


# ---- reload, restart, crash ----

def reloads_under_load(world):
    """20 times `systemctl reload` cut no running transfer"""
    transfers = [ground.Transfer(world.client, version, 8080) for version in (4, 6)]
    generation = ground.status()["generation"]
    for _ in range(20):
        succeed("systemctl", "reload", "sallyport")
    equal(ground.status()["generation"], generation + 20, "generation")
    for transfer in transfers:
        transfer.moves()
        transfer.finish()


def restart(world):
    """`systemctl restart` cuts no running transfer and opens no closed port, not for a moment"""
    transfers = [ground.Transfer(world.client, version, 8080) for version in (4, 6)]
    hammer = ground.Hammer(world.client, 4, 9999)
    for _ in range(3):
        before = ground.main_pid()
        succeed("systemctl", "restart", "sallyport")
        need(ground.main_pid() != before, "the same process")
    equal(hammer.finish(), 0, f"of {hammer.used} tries of a closed port came through")
    for transfer in transfers:
        transfer.moves()
        transfer.finish()
    world.client.sees(8080, "open")
    world.client.sees(9999, "filtered")


def leases(world):
    """data of an open connection passes in the kernel; a killed one stops"""
    for version in (4, 6):
        transfer = ground.Transfer(world.client, version, 8080)
        transfer.moves()
        port = transfer.socket.getsockname()[1]
        need(f" . {port} . tcp" in succeed("nft", "list", "set", "inet", "sallyport", f"lease{version}"),
             "no lease")
        judged, rounds = ground.sallyport("stats")[0]["daemon"]["packets"], transfer.rounds
        wait_for(lambda: transfer.error or transfer.rounds > rounds + 50, "fifty blocks more")
        need(ground.sallyport("stats")[0]["daemon"]["packets"] - judged < 20, "the daemon judged its data")
        succeed("sallyport", "kill", "port", str(port))
        rounds = transfer.rounds + 1  # one may have been on its way
        time.sleep(1)
        need(transfer.rounds <= rounds, "it goes on after the kill")
        transfer.abandon()


def crash(world):
    """killed by -9, it comes back by itself; until then the kernel keeps the ports as they are"""
    before = ground.main_pid()
    transfers = [ground.Transfer(world.client, version, 8080) for version in (4, 6)]
    for transfer in transfers:
        transfer.moves()
    succeed("systemctl", "kill", "-s", "KILL", "sallyport")
    equal(world.client.knock(4, 9999)[0], "filtered", "port 9999 meanwhile")
    wait_for(lambda: ground.is_active() and ground.main_pid() not in (0, before), "a new process")
    for transfer in transfers:
        transfer.moves()
        transfer.finish()
    world.client.sees(8080, "open")
    world.client.sees(9999, "filtered")


def redirected(world):
    """a port that nftables redirects to another one of the host: data passes, kill -9 or not"""
    succeed("nft", REDIRECT)
    ground.write_rules(world.shipped + MORE + "allow in tcp 8081\n")
    succeed("systemctl", "reload", "sallyport")
    transfers = [ground.Transfer(world.client, version, 8081) for version in (4, 6)]
    before = ground.main_pid()
    for transfer in transfers:
        transfer.moves()
    succeed("systemctl", "kill", "-s", "KILL", "sallyport")
    wait_for(lambda: ground.is_active() and ground.main_pid() not in (0, before), "a new process")
    equal(len(ground.sallyport("list", "local-port", "8081", "state", "established")), 2, "rows")
    for transfer in transfers:
        transfer.moves()
        transfer.finish()
    world.client.sees(9999, "filtered")
    succeed("nft", "delete table inet turned")
    ground.write_rules(world.shipped + MORE)
    succeed("systemctl", "reload", "sallyport")
    world.client.sees(8081, "filtered")


def hang(world):
    """a daemon that hangs is noticed by the watchdog and replaced"""
    before = ground.main_pid()
    os.kill(before, signal.SIGSTOP)
    wait_for(lambda: ground.is_active() and ground.main_pid() not in (0, before), "a new process")
    world.client.sees(8080, "open")
    world.client.sees(9999, "filtered")


def flushed(world):
    """`nft flush ruleset` by somebody else: the table is back"""
    succeed("nft", "flush", "ruleset")
    wait_for(lambda: "table inet sallyport" in ground.ruleset(), "the table")
    world.client.sees(8080, "open")
    world.client.sees(9999, "filtered")


def bad_start(world):
    """a bad file at start: the service fails and says where"""
    ground.write_rules("allow in ssh frm 192.0.2.1\n")
    succeed("systemctl", "stop", "sallyport")
    need(systemctl("start", "sallyport").returncode != 0, "it started")
    need(any("sallyport.rules:1:14" in text for text in messages()), "no place in the journal")
    need(not ground.is_active(), "active all the same")
    ground.write_rules(world.shipped + MORE)
    succeed("systemctl", "stop", "sallyport")
    succeed("systemctl", "reset-failed", "sallyport")
    succeed("systemctl", "start", "sallyport")
    world.client.sees(9999, "filtered")


def stop(world):
    """`systemctl stop` takes the rules out of the kernel"""
    succeed("systemctl", "stop", "sallyport")
    need("sallyport" not in succeed("nft", "list", "tables"), "a table is left")
    world.client.sees(9999, "open")
    equal(unit_result(), "success", "result")


def start_again(world):
    """`systemctl start` puts them back"""
    succeed("systemctl", "start", "sallyport")
    world.client.sees(8080, "open")
    world.client.sees(9999, "filtered")


STORY = [
    starts, native_dispatch, few_privileges, confines_itself, small_exposure, control_access,
    shipped_rules, queue_figures, sees_its_own, pings, listed, reload_opens, bad_edit, reload_closes, structured_log,
    reloads_under_load, leases, restart, crash, redirected, hang, intruder, flushed, bad_start, stop, start_again,
]
