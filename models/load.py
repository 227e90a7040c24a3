#!/usr/bin/env python3
"""Puts a host under varied, ordinary load, so that a recording of it shows what normal looks like.

The load is a sequence of phases: idle stretches, a small service, computing, building software,
disk traffic, memory coming and going, network traffic, many short processes, and mixtures. It
stays away from the extremes on purpose (computing takes at most about two thirds of the CPUs, memory
a third of what is free), because what is recorded here will never be called anomalous. All choices
come from one seed; how the machine takes them is its own.

Needs nothing but Python's standard library. As root on Linux the network traffic crosses a pair of
virtual cards (removed at the end), because node_exporter's profile leaves the loopback card out;
otherwise it stays on the loopback card.
"""

import argparse
import contextlib
import mmap
import multiprocessing
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

MIB = 1 << 20
CORES = os.cpu_count() or 1
# The share of all CPUs that computing may take: the rest is what "normal" leaves free.
CPU_LIMIT = 0.65
# The share of available memory that may be taken, and an absolute end to it.
MEMORY_LIMIT = 0.33
MEMORY_LIMIT_BYTES = 6 << 30
# One file on disk: larger than any cache of the disk itself, small enough for any disk.
FILE_BYTES = 192 * MIB
# RFC 2544 keeps this network for benchmarks: nobody's real one.
CARD, FAR_CARD = "portent0", "portent1"
NEAR, FAR = "198.18.73.1", "198.18.73.2"


# --- activities: each runs in a process of its own until `end` (monotonic seconds) ---


def compute(end, duty):
    """Keeps one core busy for `duty` of each tenth of a second."""
    while time.monotonic() < end:
        slice_end = time.monotonic() + 0.1 * duty
        value = 1
        while time.monotonic() < slice_end:
            for _ in range(500):
                value = (value * 6364136223846793005 + 1442695040888963407) & (2**64 - 1)
        time.sleep(0.1 * (1 - duty))


def build(end, duty, folder, seed):
    """Like a compiler under make: short processes that read, compute, and write small files."""
    rng = random.Random(seed)
    program = (
        "import zlib,os,sys\n"
        "data=os.urandom(1<<16)*int(sys.argv[1])\n"
        "open(sys.argv[2],'wb').write(zlib.compress(data,6))\n"
    )
    target = os.path.join(folder, f"object-{os.getpid()}")
    while time.monotonic() < end:
        begin = time.monotonic()
        size = str(rng.randrange(8, 96))
        subprocess.run([sys.executable, "-S", "-c", program, size, target], check=False)
        busy = time.monotonic() - begin
        time.sleep(min(busy * (1 - duty) / duty, 2.0))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)


def write_disk(end, bytes_per_second, folder):
    """Appends and syncs, starting over when the file is full."""
    chunk = os.urandom(MIB)
    path = os.path.join(folder, f"written-{os.getpid()}")
    with open(path, "wb", buffering=0) as file:
        written = 0
        begin = time.monotonic()
        while time.monotonic() < end:
            burst = max(1, round(bytes_per_second / MIB / 2))
            for _ in range(burst):
                if file.tell() >= FILE_BYTES:
                    file.seek(0)
                file.write(chunk)
                written += MIB
            os.fsync(file.fileno())
            pause(begin, written, bytes_per_second)
    os.unlink(path)


def read_disk(end, bytes_per_second, folder):
    """Reads a file of its own, which it asks the system to forget each time."""
    path = os.path.join(folder, f"read-{os.getpid()}")
    with open(path, "wb", buffering=0) as file:
        chunk = os.urandom(MIB)
        for _ in range(FILE_BYTES // MIB):
            file.write(chunk)
        os.fsync(file.fileno())
    with open(path, "rb", buffering=0) as file:
        total = 0
        begin = time.monotonic()
        while time.monotonic() < end:
            data = file.read(MIB)
            if not data:
                file.seek(0)
                if hasattr(os, "posix_fadvise"):
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            total += len(data)
            pause(begin, total, bytes_per_second)
    os.unlink(path)


def take_memory(end, share, seed):
    """Takes memory in steps up to a share of what is available, holds it, gives it back in steps."""
    rng = random.Random(seed)
    limit = min(available_memory() * share, MEMORY_LIMIT_BYTES)
    block = 32 * MIB
    blocks = []
    growing = True
    while time.monotonic() < end:
        if growing and len(blocks) * block < limit:
            memory = mmap.mmap(-1, block)
            for page in range(0, block, mmap.PAGESIZE):
                memory[page] = 1  # only a touched page is taken
            blocks.append(memory)
        elif not growing and blocks:
            blocks.pop().close()
        if rng.random() < 0.02:
            growing = not growing
        time.sleep(rng.uniform(0.05, 0.6))


def switch(end, per_second):
    """Two processes that hand a byte to and fro, and short processes now and then."""
    near, far = multiprocessing.Pipe()

    def echo():
        near.close()  # held open here too, it would hide that the other side has gone
        with contextlib.suppress(EOFError, OSError):
            while True:
                far.send_bytes(far.recv_bytes())

    partner = multiprocessing.Process(target=echo, daemon=False)
    partner.start()
    begin, done = time.monotonic(), 0
    while time.monotonic() < end:
        for _ in range(20):
            near.send_bytes(b"x")
            near.recv_bytes()
        done += 20
        if done % 400 == 0:
            subprocess.run(["true"], check=False)
        pause(begin, done, per_second)
    partner.kill()
    partner.join()


def talk(end, address, sent_per_second, received_per_second, connections):
    """Sends to the far side and has it send back, over one of several open connections."""
    sockets = [socket.create_connection(address) for _ in range(connections)]
    begin, turn, total = time.monotonic(), 0, 0
    sent_share = sent_per_second / (sent_per_second + received_per_second)
    frame = 64 * 1024
    while time.monotonic() < end:
        line = sockets[turn % connections]
        out, back = int(frame * sent_share), int(frame * (1 - sent_share))
        line.sendall(struct.pack("!II", out, back) + bytes(out))
        receive(line, back)
        total += frame
        turn += 1
        pause(begin, total, sent_per_second + received_per_second)
    for line in sockets:
        line.close()


def answer(address):
    """The far side: takes what is announced and sends back what is asked for."""

    def one(line):
        with contextlib.suppress(EOFError, OSError), line:
            while True:
                out, back = struct.unpack("!II", receive(line, 8))
                receive(line, out)
                line.sendall(bytes(back))

    with socket.create_server(address) as server:
        while True:
            line, _ = server.accept()
            threading.Thread(target=one, args=(line,), daemon=True).start()


def receive(line, count):
    """Exactly `count` bytes."""
    parts = []
    while count > 0:
        part = line.recv(min(count, MIB))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def pause(begin, done, per_second):
    """Sleeps until `done` is what the rate allows; never for long, so that the end is seen."""
    ahead = done / per_second - (time.monotonic() - begin)
    if ahead > 0:
        time.sleep(min(ahead, 1.0))


def available_memory():
    """Bytes; a modest guess where /proc is missing."""
    with contextlib.suppress(OSError), open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 2 << 30


# --- phases: each returns (words for the log, list of (activity, arguments)) ---


class Phases:
    """Draws phases. Every kind comes once before any comes twice, so short recordings see them all."""

    def __init__(self, seed, folder, far):
        self.rng = random.Random(seed)
        self.folder = folder
        self.far = far
        self.deck = []

    def draw(self):
        """The next phase: seconds, name, words, work."""
        if not self.deck:
            self.deck = [
                *["idle"] * 3, *["service"] * 3, *["compute"] * 3, *["build"] * 2,
                *["disk"] * 2, *["memory"] * 2, *["network"] * 2, "processes", *["mixed"] * 3,
            ]  # fmt: skip
            self.rng.shuffle(self.deck)
        name = self.deck.pop()
        # Short ones move the two-minute rates, long ones the ten-minute averages.
        seconds = self.rng.choice([self.rng.uniform(20, 60)] * 5 + [self.rng.uniform(60, 180)] * 4 + [300])
        words, work = getattr(self, name)()
        return seconds, name, words, work

    def between(self, low, high):
        """Evenly on a logarithmic scale: quiet is as frequent as busy."""
        return low * (high / low) ** self.rng.random()

    def seed(self):
        return self.rng.randrange(1 << 30)

    def idle(self):
        return "", []

    def service(self):
        """A small service: a little of everything, steadily."""
        duty = self.rng.uniform(0.03, 0.2)
        rate = self.between(20e3, 400e3)
        work = [
            (compute, (duty,)),
            (talk, (self.far, rate, rate * self.rng.uniform(0.2, 3), self.rng.randrange(4, 40))),
            (write_disk, (self.between(50e3, 1e6), self.folder)),
            (switch, (self.between(100, 1500),)),
        ]
        return f"cpu {duty:.2f} of a core, {rate / 1e3:.0f} kB/s", work

    def compute(self):
        cores = self.rng.randint(1, CORES)
        duty = min(self.rng.uniform(0.15, 1.0), CPU_LIMIT * CORES / cores)
        return f"{cores} cores at {duty:.2f}", [(compute, (duty,))] * cores

    def build(self):
        jobs = self.rng.randint(1, CORES)
        duty = min(self.rng.uniform(0.3, 1.0), CPU_LIMIT * CORES / jobs)
        work = [(build, (duty, self.folder, self.seed())) for _ in range(jobs)]
        return f"{jobs} jobs at {duty:.2f}", work

    def disk(self):
        writes, reads = self.between(0.5e6, 40e6), self.between(0.5e6, 40e6)
        return f"write {writes / 1e6:.1f} MB/s, read {reads / 1e6:.1f} MB/s", [
            (write_disk, (writes, self.folder)),
            (read_disk, (reads, self.folder)),
        ]

    def memory(self):
        share = self.rng.uniform(0.05, MEMORY_LIMIT)
        return f"up to {share:.2f} of what is free", [(take_memory, (share, self.seed()))]

    def network(self):
        out, back = self.between(50e3, 20e6), self.between(50e3, 20e6)
        connections = self.rng.randrange(1, 150)
        words = f"out {out / 1e6:.2f} MB/s, in {back / 1e6:.2f} MB/s, {connections} connections"
        return words, [(talk, (self.far, out, back, connections))]

    def processes(self):
        rate = self.between(500, 8000)
        return f"{rate:.0f} hand-overs a second", [(switch, (rate,))] * self.rng.randint(1, 3)

    def mixed(self):
        """Two kinds at once; computing and building together would leave the limit."""
        first = self.rng.choice(["compute", "build"])
        second = self.rng.choice(["disk", "memory", "network", "processes"])
        parts = [getattr(self, name)() for name in (first, second)]
        words = f"{first} ({parts[0][0]}) and {second} ({parts[1][0]})"
        return words, parts[0][1] + parts[1][1]


# --- the far side of the network traffic ---


def run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True)


@contextlib.contextmanager
def far_side():
    """Starts the far side and gives its address: behind virtual cards as root, else on loopback."""
    started = []
    address = None
    try:
        if os.geteuid() == 0 and all(map(shutil.which, ("ip", "unshare", "nsenter"))):
            with contextlib.suppress(subprocess.CalledProcessError, OSError):
                address = cards(started)
        if address is None:
            address = ("127.0.0.1", free_port())
            started.append(serve_command([], address))
        wait_for(address)
        yield address
    finally:
        for process in started:
            process.kill()
            process.wait()
        if address and address[0] == FAR:
            # The pair goes with the far namespace; this is for the case that it does not.
            subprocess.run(["ip", "link", "del", CARD], check=False, capture_output=True)


def cards(started):
    """A pair of virtual cards, the far one in a network namespace of its own."""
    room = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    started.append(room)
    own = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{room.pid}/ns/net") == own:
        time.sleep(0.02)
    inside = ["nsenter", f"--net=/proc/{room.pid}/ns/net"]
    run("ip", "link", "add", CARD, "type", "veth", "peer", "name", FAR_CARD)
    run("ip", "link", "set", FAR_CARD, "netns", str(room.pid))
    run("ip", "addr", "add", f"{NEAR}/30", "dev", CARD)
    run("ip", "link", "set", CARD, "up")
    run(*inside, "ip", "addr", "add", f"{FAR}/30", "dev", FAR_CARD)
    run(*inside, "ip", "link", "set", FAR_CARD, "up")
    started.append(serve_command(inside, (FAR, 9873)))
    return (FAR, 9873)


def serve_command(prefix, address):
    script = [sys.executable, os.path.abspath(__file__), "--answer", f"{address[0]}:{address[1]}"]
    return subprocess.Popen(prefix + script)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(address):
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(address, timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


# --- the whole ---


def perform(work, end):
    """Runs the activities side by side until `end`."""
    workers = [multiprocessing.Process(target=activity, args=(end, *arguments)) for activity, arguments in work]
    try:
        for worker in workers:
            worker.start()
        while time.monotonic() < end:
            time.sleep(min(0.5, max(0.0, end - time.monotonic())))
        for worker in workers:
            worker.join(10)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    for worker in workers:
        if worker.exitcode not in (0, -signal.SIGKILL):
            print(f"load: an activity ended with {worker.exitcode}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=50, help="how long (default 50)")
    parser.add_argument("--seed", type=int, default=1, help="seed of all choices (default 1)")
    parser.add_argument("--dir", help="folder for the disk traffic: on the disk that is to be seen")
    parser.add_argument("--answer", metavar="HOST:PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        host, port = options.answer.rsplit(":", 1)
        answer((host, int(port)))
    # Fork: the activities are functions of this file and need no fresh interpreter.
    multiprocessing.set_start_method("fork")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    end = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory(prefix="load-", dir=options.dir) as folder, far_side() as far:
        print(f"load: {options.minutes:g} minutes, seed {options.seed}, network by {far[0]}", flush=True)
        phases = Phases(options.seed, folder, far)
        while time.monotonic() < end:
            seconds, name, words, work = phases.draw()
            seconds = min(seconds, end - time.monotonic())
            print(f"load: {time.strftime('%H:%M:%S')} {seconds:4.0f} s {name} {words}".rstrip(), flush=True)
            perform(work, time.monotonic() + seconds)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
