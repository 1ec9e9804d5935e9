# SPDX-License-Identifier: GPL-2.0-or-later
"""sallyportd in a namespace of its own: start, ask, reload, stop, kill."""

import json
import os
import re
import signal
import socket
import subprocess

from net import Timeout, run, scratch_directory, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("SALLYPORT_BUILD", "build"))
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:")
# A sanitizer build says what it found on stderr and ends with a status that we can tell.
ENVIRONMENT = dict(os.environ, LC_ALL="C", UBSAN_OPTIONS="print_stacktrace=1")


def program(name):
    return os.path.join(BUILD, name)


class Asked(Exception):
    """The daemon answered a request with an error line."""

    def __init__(self, answer):
        super().__init__(answer["error"])
        self.answer = answer


class Daemon:
    """One sallyportd with a directory of its own for rules, socket and log."""

    patience = 20  # seconds for an answer

    def __init__(self, namespace, rules, files=None, options=(), directory=None):
        self.namespace = namespace
        self.directory = directory or scratch_directory("e2e")
        self.rules = os.path.join(self.directory, "sallyport.rules")
        self.socket = os.path.join(self.directory, "control")
        self.log_path = os.path.join(self.directory, "log")
        self.state = os.path.join(self.directory, "state")
        self.options = list(options)
        self.wrapper = []  # a command that starts it in its own way: prlimit, setpriv, env
        self.process = None
        self.ready = self.killed = False
        os.makedirs(self.state, exist_ok=True)
        for name, text in (files or {}).items():
            self.write(name, text)
        self.write("sallyport.rules", rules)

    def write(self, name, text):
        """Replaces a file of the daemon's directory at once, as a careful editor does."""
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        mode = "wb" if isinstance(text, bytes) else "w"
        with open(path + ".new", mode) as file:
            file.write(text)
        os.rename(path + ".new", path)
        return path

    # life

    def launch(self):
        self.killed = False
        with open(self.log_path, "ab") as log:
            self.process = self.namespace.start(
                *self.wrapper, program("sallyportd"), "--rules", self.rules, "--socket", self.socket,
                "--state", self.state, "--foreground", *self.options, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=ENVIRONMENT)

    def start(self, timeout=20):
        """Ready when the command line says so: the contract for scripts."""
        self.launch()
        wait_for(self._answers, "sallyport status exits 0", timeout)
        self.ready = True
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"sallyportd ended with {self.process.returncode}:\n{self.log()}")
        return self.sallyport("status", check=False).returncode == 0

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout=20):
        """SIGTERM; returns the exit status."""
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def stop_for_restart(self, timeout=20):
        """As `systemctl restart` does: the kernel's rules stay."""
        self.process.send_signal(signal.SIGUSR1)
        status = self.process.wait(timeout)
        assert status == 0, f"sallyportd's exit status is {status}:\n{self.log()}"

    def restart(self, timeout=20):
        self.stop_for_restart(timeout)
        return self.start(timeout)

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait()

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    # questions

    def known(self):
        """For the reader of a failure: counts, the table, and the kernel's sets with their elements."""
        commands = [[program("sallyport"), "--socket", self.socket, word] for word in ("stats", "list")]
        commands.append(["nft", "list", "sets", "table", "inet", "sallyport"])
        answers = (self.namespace.run(*command, check=False, timeout=10, env=ENVIRONMENT) for command in commands)
        return "\n".join(answer.stdout + answer.stderr for answer in answers) if self.running else ""

    def sallyport(self, *words, check=True, timeout=30):
        """The command line client, with this daemon's socket."""
        return run(program("sallyport"), "--socket", self.socket, *words, check=check,
                   timeout=timeout, env=ENVIRONMENT)

    def json(self, *words):
        """`sallyport --json ...`: one object a line."""
        return [json.loads(line) for line in self.sallyport("--json", *words).stdout.splitlines()]

    def ask(self, command, **request):
        """Straight over the control socket: the data lines and the closing line."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.socket)  # waits where the door is crowded
            control.settimeout(self.patience)
            control.sendall(json.dumps({"command": command, **request}).encode() + b"\n")
            lines = []
            for line in control.makefile("rb"):
                answer = json.loads(line)
                if "error" in answer:
                    raise Asked(answer)
                if answer.get("done") is True:
                    return lines, answer
                lines.append(answer)
        raise AssertionError(f"{command}: the daemon hung up")

    def status(self):
        return self.ask("status")[0][0]

    def connections(self, *select):
        return self.ask("list", select=list(select))[0]

    def stats(self):
        return self.ask("stats")[0][0]

    def looks(self):
        """How often it has compared its table with the kernel's leases and sockets."""
        return self.stats()["leases"]["comparisons"]

    def reason(self, name):
        return self.stats()["reasons"].get(name, 0)

    # reload

    def reload(self, rules=None):
        """By the command line; the rules stand when it returns."""
        if rules is not None:
            self.write("sallyport.rules", rules)
        return self.sallyport("reload")

    def reload_by_signal(self, rules=None, timeout=10):
        if rules is not None:
            self.write("sallyport.rules", rules)
        before = self.status()["generation"]
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.status()["generation"] != before, "reload after SIGHUP", timeout)

    # proof of health

    def finish(self):
        """Stops it if it runs; fails on a bad exit status or a sanitizer's report."""
        if self.process is None:
            return
        try:
            status = self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
            raise Timeout(f"sallyportd did not stop\n{self.log()}") from None
        expected = (-signal.SIGKILL,) if self.killed else (0,) if self.ready else (0, 1)
        assert not SANITIZER.search(self.log()), f"sanitizer:\n{self.log()}"
        assert status in expected, f"sallyportd's exit status is {status}:\n{self.log()}"
