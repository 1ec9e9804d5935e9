# SPDX-License-Identifier: GPL-2.0-or-later
"""Random rules files, and probes that ask about their edges. All from one seeded generator."""

import ipaddress

from net import IPV4, IPV6
from probes import (ICMP, ICMPV6, LAN_NETS, SENTINEL_PORT, SENTINEL_RULE, TCP, UDP, WAN_NETS, Probe)

OWN_SERVICE = "service backup = tcp 7000-7010, udp 7001\n"
SERVICES = {"ssh": [22], "http": [80], "https": [443], "domain": [53], "backup": [7000, 7001, 7010]}
OTHER_PROTOCOLS = (47, 50, 132, 253)  # gre, esp, sctp, and one without a name
# Not among the probes: errors and answers, which only a connection makes right or wrong.
ICMP_TYPES = (5, 8, 8, 8, 9, 10, 13, 15, 17, 40)
ICMPV6_TYPES = (128, 128, 128, 130, 133, 135, 137, 138, 139, 160)
EDGE_PORTS = (1, 67, 68, 1023, 1024, 49151, 49152, 65535)


class Ruleset:
    """One rules file: `text`, and the addresses and ports at whose edges it changes its mind."""

    def __init__(self, random):
        self.random = random
        self.ports = set(EDGE_PORTS)
        self.hosts = {4: [], 6: []}
        self.sets = []
        lines = [OWN_SERVICE, SENTINEL_RULE]
        if random.random() < 0.15:
            lines.append("essentials off\n")
        for direction in ("in", "out"):
            if random.random() < 0.8:
                lines.append(f"default {direction} {random.choice(('allow', 'drop', 'reject'))}\n")
        lines += [self._set(f"set{number}") for number in range(random.randrange(3))]
        lines += [self._rule() for _ in range(random.randrange(1, 13))]
        self.text = "".join(lines)

    # the file

    def _set(self, name):
        self.sets.append(name)
        members = [self._address(self.random.choice((4, 6))) for _ in range(self.random.randrange(1, 6))]
        return f"set {name} = {', '.join(members)}\n"

    def _rule(self):
        random = self.random
        direction = random.choice(("in", "in", "out"))
        action = random.choice(("allow", "allow", "drop", "reject"))
        words = [action, direction]
        if random.random() < 0.1:
            words.append("log")
        what, ports, named = self._what()
        words.append(what)
        versions = {"icmp": (4,), "icmpv6": (6,)}.get(what.split()[0]) or random.choice(((4,), (6,), (4, 6)))
        clauses = []
        if random.random() < 0.5:
            clauses.append("from " + self._side(direction == "out", ports, versions))
        if random.random() < 0.35:
            clauses.append("to " + self._side(direction == "in", ports and not named, versions))
        if random.random() < 0.25:
            clauses.append("on " + self._interfaces())
        if action == "allow" and random.random() < 0.1:
            clauses.append("strict")
        random.shuffle(clauses)
        return " ".join(words + clauses) + "\n"

    def _what(self):
        """The words, whether ports can be asked for, and whether they are already."""
        random = self.random
        kind = random.randrange(10)
        if kind == 0:
            return "any", False, False
        if kind == 1:
            return random.choice(("icmp", f"icmp {self._types(ICMP_TYPES)}")), False, False
        if kind == 2:
            return random.choice(("icmpv6", f"icmpv6 {self._types(ICMPV6_TYPES)}")), False, False
        if kind == 3:
            return random.choice(("gre", "esp", "sctp", "253", "gre,esp", "tcp,gre")), False, False
        if kind == 4:
            names = random.sample(sorted(SERVICES), random.randrange(1, 3))
            for name in names:
                self.ports.update(SERVICES[name])
            return ",".join(names), True, True
        protocols = random.choice(("tcp", "tcp", "udp", "tcp,udp"))
        named = random.random() < 0.7
        return protocols + (" " + self._ports() if named else ""), True, named

    def _types(self, types):
        return self._negated(",".join(str(number) for number in sorted(set(self.random.sample(types, 2)))))

    def _negated(self, words):
        return "not " + words if self.random.random() < 0.2 else words

    def _port(self, classes=True):
        random = self.random
        kind = random.randrange(0 if classes else 1, 6)
        low = random.choice((22, 53, 80, 443, 3000, 8080, random.randrange(1, 65500)))
        if kind == 0:
            name, ends = random.choice((("well-known", (0, 1023)), ("registered", (1024, 49151)),
                                        ("dynamic", (49152, 65535))))
            self.ports.update(port for port in ends if port)
            return name
        high = min(65535, low + random.choice((0, 0, 1, 100, 20000)))
        self.ports.update(port for port in (low - 1, low, high, high + 1) if 0 < port < 65536)
        return f"{low}-{high}" if kind < 4 and low != high else str(low)

    def _ports(self):
        """Never all of them excluded: that is an error."""
        negated = self.random.random() < 0.2
        ports = [self._port(not negated) for _ in range(self.random.choice((1, 1, 2, 4)))]
        return ("not " if negated else "") + ",".join(ports)

    def _address(self, version):
        """A host, prefix or range of the nets that probes come from; its edges become probes."""
        random = self.random
        net = self._net(version)
        kind = random.randrange(4)
        if kind == 0:
            host = net[random.randrange(1, 255)]
            self.hosts[version].append(host)
            return str(host)
        if kind == 1:
            first, length = random.randrange(1, 200), random.randrange(1, 50)
            self.hosts[version] += [net[first - 1], net[first], net[first + length], net[first + length + 1]]
            return f"{net[first]}-{net[first + length]}"
        if kind == 2:
            self.hosts[version] += [net[1], net[200]]
            return str(net)
        bits = random.randrange(1, 8)
        start = random.randrange(256 >> bits) << bits
        self.hosts[version] += [net[(start + step) % 256] for step in (-1, 0, (1 << bits) - 1, 1 << bits)]
        return f"{net[start]}/{net.max_prefixlen - bits}"

    def _net(self, version):
        prefix = self.random.choice((WAN_NETS, LAN_NETS))[version]
        return ipaddress.ip_network(prefix + "0/24" if version == 4 else prefix + "/64")

    def _side(self, local, ports, versions):
        """ADDRS, ports, or both. Addresses of this host stand on its own side."""
        random = self.random
        if local:
            side = IPV4 if random.choice(versions) == 4 else IPV6
            addresses = random.choice((side.srv, side.srv_lan, side.cli_net, side.cli2_net))
        else:
            items = [self._address(random.choice(versions)) for _ in range(random.randrange(1, 4))]
            if self.sets and random.random() < 0.5:
                items.append("@" + random.choice(self.sets))
            addresses = ",".join(items)
        words = self._negated(addresses)
        if not ports or random.random() < 0.7:
            return words
        return random.choice((f"port {self._ports()}", f"{words} port {self._ports()}"))

    def _interfaces(self):
        return self._negated(self.random.choice(("wan0", "lan0", "wan0,lan0", "wan*", "lan0,wg*", "lo,lan0")))

    # the probes

    def probes(self, count, taken):
        """`count` of them whose keys are not in `taken`, which they join."""
        made = []
        while len(made) < count:
            probe = self._probe()
            answer = (probe.protocol, *reversed(probe.key()[1:3]), *probe.key()[3:])
            if probe.key() in taken or answer in taken or probe.port == SENTINEL_PORT:
                continue
            taken.add(probe.key())
            made.append(probe)
        return made

    def _probe(self):
        random = self.random
        inward, version = random.random() < 0.6, random.choice((4, 6))
        side = IPV4 if version == 4 else IPV6
        local = random.choice((side.srv, side.srv_lan, side.srv))
        if inward and random.random() < 0.05:
            local = "10.77.1.255" if version == 4 else "ff02::1"
        host = random.choice(self.hosts[version]) if self.hosts[version] and random.random() < 0.7 else None
        remote = str(host or self._net(version)[random.randrange(1, 250)])
        protocol = random.choice((TCP, TCP, TCP, UDP, UDP, ICMP if version == 4 else ICMPV6,
                                  random.choice(OTHER_PROTOCOLS)))
        ports = sorted(self.ports)
        source_port, port = (random.choice(ports) if random.random() < chance else random.randrange(1, 65536)
                             for chance in (0.3, 0.8))
        if protocol in (ICMP, ICMPV6):
            port = random.choice(ICMP_TYPES if protocol == ICMP else ICMPV6_TYPES)
        source, destination = (remote, local) if inward else (local, remote)
        return Probe(inward, version, protocol, source, destination, source_port, port,
                     random.choice(("wan0", "lan0")), random.random() < 0.1)
