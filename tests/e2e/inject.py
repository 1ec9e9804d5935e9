# SPDX-License-Identifier: GPL-2.0-or-later
"""Has a running process make a system call that it would never make by itself: ptrace stops one of
its threads, puts the call in its registers, lets it run that one instruction, and puts back what
was there. So what a test sees is what an intruder in that process would see."""

import ctypes
import errno
import os
import platform
import signal
import struct
import time

SUPPORTED = platform.machine() == "x86_64"
STEP, GETREGS, SETREGS, ATTACH, DETACH = 9, 12, 13, 16, 17
WALL = 0x40000000
SYSCALL = b"\x0f\x05"
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
         "fs_base gs_base ds es fs gs").split()
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
TRIES = 200
RED_ZONE, ROOM = 256, 4096  # below the stack pointer: what the thread may use, and ours
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long

# Of x86_64.
NUMBERS = {
    "open": 2, "mmap": 9, "mprotect": 10, "ioctl": 16, "socket": 41, "clone": 56, "vfork": 58, "execve": 59,
    "kill": 62, "rename": 82, "mkdir": 83, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "ptrace": 101,
    "setuid": 105, "setgroups": 116, "setresuid": 117, "setresgid": 119, "capset": 126, "mknod": 133,
    "pivot_root": 155, "prctl": 157, "chroot": 161, "mount": 165, "umount2": 166, "reboot": 169,
    "init_module": 175, "delete_module": 176, "close": 3, "keyctl": 250, "openat": 257, "renameat": 264,
    "unshare": 272, "perf_event_open": 298, "prlimit64": 302, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "finit_module": 313, "kexec_file_load": 320, "bpf": 321, "execveat": 322,
    "userfaultfd": 323, "io_uring_setup": 425, "clone3": 435,
}


class Ended(Exception):
    """The call was the process's last; `signal` says what of."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.signal = number


def _ptrace(request, tid, address=None, data=None):
    if _libc.ptrace(request, tid, address, data) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace {request}: {os.strerror(ctypes.get_errno())}")


class Thread:
    """`with Thread(tid) as thread: thread.call("open", b"/etc/passwd", 1)`: what the call returns, below
    zero an errno. Bytes are handed over by address."""

    def __init__(self, tid):
        self.tid = tid

    def __enter__(self):
        for _ in range(TRIES):
            _ptrace(ATTACH, self.tid)
            self._wait()
            self.before = self._registers()
            if self._waits_in_a_call():
                return self
            _ptrace(DETACH, self.tid)
            time.sleep(0.01)
        raise AssertionError("the thread never waits in a system call")

    def __exit__(self, kind, *_):
        if kind is not Ended:
            self._set(self.before)
            _ptrace(DETACH, self.tid)

    def _wait(self):
        _, status = os.waitpid(self.tid, WALL)
        if not os.WIFSTOPPED(status):
            raise Ended(os.WTERMSIG(status))

    def _waits_in_a_call(self):
        with open(f"/proc/{self.tid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.before["rip"] - len(SYSCALL))
            return memory.read(len(SYSCALL)) == SYSCALL

    def _registers(self):
        buffer = ctypes.create_string_buffer(8 * len(NAMES))
        _ptrace(GETREGS, self.tid, None, ctypes.addressof(buffer))
        return dict(zip(NAMES, struct.unpack(f"{len(NAMES)}Q", buffer.raw)))

    def _set(self, registers):
        buffer = ctypes.create_string_buffer(struct.pack(f"{len(NAMES)}Q", *registers.values()))
        _ptrace(SETREGS, self.tid, None, ctypes.addressof(buffer))

    def call(self, name, *arguments):
        """By name, or by number."""
        registers = dict(self.before)
        instruction = registers["rip"] - len(SYSCALL)
        place = registers["rsp"] - RED_ZONE - ROOM
        with open(f"/proc/{self.tid}/mem", "r+b", buffering=0) as memory:
            for register, argument in zip(ARGUMENTS, arguments + (0,) * (len(ARGUMENTS) - len(arguments))):
                if isinstance(argument, bytes):
                    memory.seek(place)
                    memory.write(argument + b"\0")
                    argument, place = place, place + len(argument) + 8
                registers[register] = argument % 2 ** 64
        # orig_rax: there is no call to take up again.
        registers.update(rip=instruction, rax=NUMBERS.get(name, name), orig_rax=2 ** 64 - 1)
        self._set(registers)
        _ptrace(STEP, self.tid)
        self._wait()
        return ctypes.c_int64(self._registers()["rax"]).value


def outcome(answer):
    """"OK", or the name of the errno."""
    return "OK" if answer >= 0 else errno.errorcode[-answer]
