"""Processes that cannot outlive the launcher, ports nobody else gets, and signals that wake a wait."""

import ctypes
import grp
import os
import pathlib
import pwd
import select
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option, value):
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


class Account:
    """Who runs the servers: `nobody` for root, which some of them refuse to be, else the caller."""

    def __init__(self):
        self.root = os.geteuid() == 0
        entry = pwd.getpwnam("nobody") if self.root else pwd.getpwuid(os.geteuid())
        self.name, self.uid, self.gid = entry.pw_name, entry.pw_uid, entry.pw_gid
        self.group = grp.getgrgid(self.gid).gr_name

    def own(self, path):
        if self.root:
            os.chown(path, self.uid, self.gid)


class Child:
    """A process in a session and group of its own."""

    def __init__(self, command, account=None, **options):
        parent = os.getpid()
        self.stopped = False

        def last_steps():
            # A set-user-ID program (Exim) would be free of the death signal, and root.
            if account:
                _prctl(PR_SET_NO_NEW_PRIVS, 1)
            _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        if account and account.root:
            options.update(user=account.uid, group=account.gid, extra_groups=[])
        self.process = subprocess.Popen(command, start_new_session=True, preexec_fn=last_steps, **options)

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def alive(self):
        return self.process.poll() is None

    def exit_status(self):
        """As a shell tells it."""
        code = self.process.returncode
        return code if code >= 0 else 128 - code


def adopt_orphans():
    """What daemonises below this process becomes its child, so that it can be found and ended."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def stop_all(children, grace):
    """Ends them and what is left of their groups. A second time does nothing: the numbers may be another's by then."""
    children = [child for child in children if not child.stopped]
    for child in children:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any([child.alive() for child in children]) and time.monotonic() < deadline:
        time.sleep(0.005)
    for child in children:
        child.signal(signal.SIGKILL)
        child.process.wait()
        child.stopped = True


def kill_orphans():
    """Ends what has become this process's child by `adopt_orphans`; its own must have been waited for."""
    me = os.getpid()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        orphans = pathlib.Path(f"/proc/{me}/task/{me}/children").read_text().split()
        if not orphans:
            return
        for pid in map(int, orphans):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class Guardian:
    """A process that ends the groups it was told of once the launcher has died without a word.

    The death signal reaches a server itself, which may then wait for children of its own that got none."""

    def __init__(self):
        read, self._write = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(read)
            return
        try:
            os.setsid()
            os.close(self._write)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            # A reader of the launcher's output must see it end with the launcher.
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            self._guard(open(read))
        finally:
            os._exit(0)

    def _guard(self, orders):
        groups = set()
        for line in orders:
            word, _, group = line.rstrip().partition(" ")
            if word == "watch":
                groups.add(int(group))
            elif word == "forget":
                groups.discard(int(group))
            else:
                return
        for number, pause in ((signal.SIGTERM, 1), (signal.SIGKILL, 0)):
            for group in groups:
                try:
                    os.killpg(group, number)
                except ProcessLookupError:
                    pass
            time.sleep(pause)

    def _tell(self, order):
        os.write(self._write, f"{order}\n".encode())

    def watch(self, child):
        self._tell(f"watch {child.process.pid}")

    def forget(self, child):
        self._tell(f"forget {child.process.pid}")

    def dismiss(self):
        self._tell("dismissed")
        os.close(self._write)
        os.waitpid(self._pid, 0)


class Signals:
    """Turns SIGINT, SIGTERM and SIGHUP into a remembered number, and wakes `wait` for these and for SIGCHLD."""

    def __init__(self):
        self.received = None
        self._read, write = socket.socketpair()
        self._read.setblocking(False)
        write.setblocking(False)
        self._write = write
        signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._remember)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def _remember(self, number, frame):
        self.received = self.received or number

    def wait(self, timeout=None, also=()):
        """Returns which of the descriptors `also` are readable."""
        readable, _, _ = select.select([self._read, *also], [], [], timeout)
        if self._read in readable:
            readable.remove(self._read)
            try:
                self._read.recv(4096)
            except BlockingIOError:
                pass
        return readable


class Ports:
    """Free ports of one address, kept from other programs until they are released to the server."""

    def __init__(self, address):
        self.address = address
        self._sockets = []

    def reserve(self):
        # A bound socket that does not listen: bind(0) elsewhere passes the port over, while a server
        # that sets SO_REUSEADDR, as they all do, may bind and listen beside it.
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((self.address, 0))
        self._sockets.append(holder)
        return holder.getsockname()[1]

    def release(self):
        for holder in self._sockets:
            holder.close()
        self._sockets.clear()
