#!/usr/bin/env python3
"""Writes what node_exporter would have said of a fleet of made-up hosts, as OpenMetrics text.

Nobody has the raw series of many kinds of hosts to give away, so these are made up: small and large,
idle and busy, web, database, batch, build, cache, storage, router, container, with and without disks
and swap. Each host has a course of its own: a day's wave, noise, short bursts, and jobs that take
minutes; some begin in the middle, some are restarted (their counters begin at 0 again), some are not
scraped for five minutes. All of that is calm and is learnt as such.

With `--trouble`, each host gets one kind of trouble, in turn, for the last quarter of an hour, by which
a model can be judged; a model must never be trained on that.

The same arguments give the same text. Needs nothing but Python's standard library.
"""

import argparse
import math
import random
import sys

# Those of the kernel's modes in which these hosts spend time, less idle. `irq` and `nice` would be 0.
MODES = ("user", "system", "iowait", "softirq", "steal")
GIB = 1 << 30
PAGE = 4096
DAY = 86_400
# How long a trouble lasts, up to the end.
TROUBLE_SECONDS = 900

# What the hosts of a kind are like: ranges that each host draws its own values from.
#   busy      the usual share of CPU time, at the day's mean
#   wave      how far the day moves it, as a part
#   restless  the deviation of its noise, as a part
#   system    the kernel's part of what is busy
#   memory    the share that cannot be had, at rest
#   traffic   bytes a second, each way, of an idle host and for each busy core
#   disk      bytes a second likewise
#   sockets   TCP connections in use
#   switches  a second for each busy core
#   jobs      an hour: minutes of much computing, reading and writing
KINDS = {
    "idle": dict(busy=(0.003, 0.04), wave=(0, 0.3), restless=(0.1, 0.4), system=(0.2, 0.5), memory=(0.04, 0.5),
                 traffic=(2e2, 2e5), disk=(1e3, 2e6), sockets=(3, 60), switches=(5e3, 5e4), jobs=(0, 1)),
    "web": dict(busy=(0.08, 0.5), wave=(0.2, 0.6), restless=(0.05, 0.2), system=(0.15, 0.4), memory=(0.2, 0.7),
                traffic=(5e5, 1e7), disk=(1e4, 2e6), sockets=(100, 3000), switches=(4e3, 3e4), jobs=(0, 1)),
    "database": dict(busy=(0.05, 0.45), wave=(0.1, 0.5), restless=(0.05, 0.25), system=(0.1, 0.3), memory=(0.5, 0.9),
                     traffic=(2e5, 6e6), disk=(2e6, 2e7), sockets=(30, 800), switches=(4e3, 3e4), jobs=(0.3, 2)),
    "batch": dict(busy=(0.02, 0.3), wave=(0, 0.3), restless=(0.1, 0.3), system=(0.05, 0.2), memory=(0.1, 0.6),
                  traffic=(1e4, 5e6), disk=(1e5, 1e7), sockets=(5, 100), switches=(5e2, 1e4), jobs=(1, 4)),
    "build": dict(busy=(0.02, 0.15), wave=(0.1, 0.5), restless=(0.2, 0.5), system=(0.15, 0.35), memory=(0.08, 0.4),
                  traffic=(1e4, 4e6), disk=(1e5, 1e7), sockets=(5, 150), switches=(3e3, 2e4), jobs=(2, 6)),
    "cache": dict(busy=(0.03, 0.25), wave=(0.2, 0.6), restless=(0.04, 0.15), system=(0.4, 0.65), memory=(0.6, 0.93),
                  traffic=(2e6, 3e7), disk=(1e3, 3e5), sockets=(300, 5000), switches=(1e4, 5e4), jobs=(0, 0.2)),
    "storage": dict(busy=(0.03, 0.25), wave=(0.1, 0.5), restless=(0.1, 0.3), system=(0.4, 0.7), memory=(0.1, 0.4),
                    traffic=(1e6, 3e7), disk=(3e6, 4e7), sockets=(20, 400), switches=(5e3, 4e4), jobs=(0.5, 2)),
    "router": dict(busy=(0.02, 0.2), wave=(0.2, 0.6), restless=(0.05, 0.2), system=(0.6, 0.85), memory=(0.05, 0.3),
                   traffic=(3e6, 3e7), disk=(5e2, 5e4), sockets=(3, 40), switches=(5e3, 4e4), jobs=(0, 0.2)),
    "container": dict(busy=(0.01, 0.4), wave=(0.1, 0.5), restless=(0.1, 0.4), system=(0.1, 0.4), memory=(0.1, 0.8),
                      traffic=(1e3, 3e6), disk=(0, 0), sockets=(2, 300), switches=(2e3, 3e4), jobs=(0, 2)),
}  # fmt: skip

# Kinds that no model is trained on, to judge by.
OTHERS = {
    "mail": dict(busy=(0.05, 0.3), wave=(0.2, 0.6), restless=(0.1, 0.3), system=(0.2, 0.4), memory=(0.15, 0.6),
                 traffic=(5e4, 4e6), disk=(5e5, 1e7), sockets=(50, 900), switches=(3e3, 2e4), jobs=(0.2, 1)),
    "desktop": dict(busy=(0.02, 0.2), wave=(0.1, 0.6), restless=(0.2, 0.5), system=(0.15, 0.4), memory=(0.15, 0.7),
                    traffic=(2e3, 2e6), disk=(1e4, 5e6), sockets=(10, 200), switches=(5e3, 3e4), jobs=(0.5, 2)),
    "monitor": dict(busy=(0.05, 0.35), wave=(0, 0.1), restless=(0.03, 0.15), system=(0.1, 0.25), memory=(0.3, 0.8),
                    traffic=(3e5, 5e6), disk=(1e6, 1e7), sockets=(100, 1500), switches=(3e3, 2e4), jobs=(0.5, 1)),
}  # fmt: skip

TROUBLES = ("cpu_hog", "memory_leak", "swap_storm", "disk_saturation", "disk_full", "network_flood",
            "network_errors", "switch_storm", "retransmits")  # fmt: skip


class Host:
    """One host: what it is, drawn once, and how it is at each moment, drawn step by step."""

    def __init__(self, seed, number, kinds, interval, width):
        self.rng = rng = random.Random(f"{seed} {number}")
        self.number, self.offsets, self.drawn = number, random.Random(seed), 0
        self.kind = kinds[number % len(kinds)]
        self.name = f"{self.kind}-{seed}-{number}:9100"
        self.interval = interval or rng.choice((15, 15, 15, 30, 30, 60))
        of = KINDS.get(self.kind) or OTHERS[self.kind]
        self.cores = rng.choice((1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 16, 16, 32))
        self.memory = max(1, self.cores * rng.choice((0.5, 1, 2, 4, 4, 8, 16))) * GIB
        self.busy, self.wave, self.restless, self.system = (
            self.even(*of[it]) for it in ("busy", "wave", "restless", "system"))  # fmt: skip
        self.used, self.jobs = self.even(*of["memory"]), self.even(*of["jobs"])
        self.traffic, self.disk, self.sockets, self.switches = (
            self.wide(*of[it]) * width for it in ("traffic", "disk", "sockets", "switches"))  # fmt: skip
        self.phase = self.even(0, DAY)
        self.received = self.even(0.2, 0.8)
        self.read = self.even(0.02, 0.7)
        self.disk_speed = self.wide(8e7, 1e9)
        self.most_disk = 3e8 * width
        self.patience = self.even(0.02, 0.25) * width  # iowait for each busy disk and core
        self.is_virtual = rng.random() < 0.5
        self.steal = self.wide(5e-4, 0.03) * width * self.is_virtual * (rng.random() < 0.5)
        self.interrupts = rng.uniform(0.01, 0.12)
        self.swap = rng.choice((0, 0, 1, 2, 8)) * GIB if self.kind != "container" else 0
        self.swapped = rng.choice((0, 1, 1)) * self.even(0, 0.4)
        self.lossy = self.wide(1e-3, 4) * width * (rng.random() < 0.4)  # drops a second
        self.faulty = self.wide(1e-3, 0.3) * width * (rng.random() < 0.2)  # errors a second
        self.paging = self.wide(0.05, 40) * width * (rng.random() < 0.6)  # pages a second, now and then
        self.faults = self.wide(0.05, 20) * width
        self.retransmits = self.wide(1e-3, 0.3) * width  # a second and MB/s
        self.filled = [self.even(0.04, 0.86) for _ in range(3)]
        self.size = [self.wide(8, 500) * GIB, 0.5 * GIB, self.wide(50, 8000) * GIB]
        self.has_data = self.kind in ("database", "storage", "batch", "build") or rng.random() < 0.2
        self.memory_noise = self.wide(5e-4, 8e-3) * width
        self.cold = 0.25 * width  # the part of its memory that a host has yet to fill after booting
        self.hoard = 0.06 * width  # what a job takes, of all memory
        self.breath = self.wide(1e-4, 8e-3) * width  # how far file systems fill and empty again
        self.scratch = self.even(0, 0.06) * width  # what a job writes, of a file system
        self.reset()

    def even(self, low, high):
        """Between two numbers, such that the hosts of a fleet lie evenly there: each next host goes on by the
        root of a number that has no rational one, from where the seed begins."""
        self.drawn += 1
        step = math.sqrt(2 + 4 * self.drawn)  # twice an odd number is no square
        return low + (high - low) * math.modf(self.offsets.random() + self.number * step)[0]

    def wide(self, low, high):
        """The same between two numbers of different size."""
        part = self.even(0, 1)
        return low * (high / low) ** part if low > 0 else 0.0

    def some(self, low, high):
        """At a moment: between two numbers of different size."""
        return low * (high / low) ** self.rng.random()

    def reset(self):
        """As after booting."""
        self.slow = self.fast = self.wander = 0.0
        self.load, self.heavy, self.job_left, self.burst_left = 0.1, 0.0, 0.0, 0.0
        self.burst = 0.0
        self.up = 0.0
        self.counters = {}

    def noise(self, value, deviation, seconds, keep_seconds):
        """The next value of a course that forgets what it was after so many seconds."""
        keep = math.exp(-seconds / keep_seconds)
        return value * keep + self.rng.gauss(0, deviation) * math.sqrt(1 - keep * keep)

    def step(self, now, trouble, into):
        """How the host is at this moment, by names; `into` is how long the trouble lasts, in seconds."""
        rng, dt = self.rng, self.interval
        self.up += dt
        self.slow = self.noise(self.slow, 1, dt, 900)
        self.fast = self.noise(self.fast, 1, dt, 45)
        self.wander = self.noise(self.wander, 1, dt, 1500)
        self.job_left -= dt
        self.burst_left -= dt
        if self.job_left <= 0:
            self.heavy = 0.0
            if rng.random() < self.jobs * dt / 3600:
                self.job_left, self.heavy = self.some(60, 1200), rng.uniform(0.2, 0.95)
        if self.burst_left <= 0:
            self.burst = 0.0
            if rng.random() < 3 * dt / 3600:
                self.burst_left, self.burst = self.some(5, 90), rng.uniform(0.05, 0.5)
        starting = math.exp(-self.up / 90)
        wave = 1 + self.wave * math.sin(2 * math.pi * (now - self.phase) / DAY)
        noise = math.exp(self.restless * (0.7 * self.slow + 0.7 * self.fast))
        busy = self.busy * wave * noise + self.burst + 0.4 * starting
        ramp = 1 if self.heavy and self.job_left > 20 else 0.5
        busy = min(0.93, busy + self.heavy * ramp * max(0.0, 0.85 - busy))
        working = busy * self.cores
        pulse = math.exp(rng.gauss(0, 0.25))
        disk = self.disk * (0.3 + working * 0.4) * pulse * (1 + 6 * self.heavy) + self.disk * 8 * starting
        disk = min(disk, 0.6 * self.disk_speed, self.most_disk)
        traffic = min(1.0e8, self.traffic * wave * (0.2 + 0.5 * busy / max(self.busy, 0.01) * 0.5)
                      * math.exp(0.3 * self.slow + rng.gauss(0, 0.15)))  # fmt: skip
        here = {
            "busy": busy, "system": self.system, "disk": disk, "traffic": traffic,
            "io": min(0.75, disk / self.disk_speed * 1.1 + min(0.05, disk / 4e7)) if disk else 0.0,
            "memory": self.used * (1 - self.cold * math.exp(-self.up / 300)) + self.memory_noise * self.wander
                      + self.hoard * self.heavy + 0.02 * busy,
            "running": working + 0.3 * self.heavy, "swapped": self.swapped,
            "sockets": self.sockets * (0.5 + 0.5 * wave) * (1 + 0.1 * self.slow),
            "switches": min(4e5, 150 * self.cores + self.switches * working * (1 + 0.15 * self.fast)),
            "errors": self.faulty * rng.random(), "drops": self.lossy * rng.random(),
            "retransmits": 0.01 + self.retransmits * traffic / 1e6 * math.exp(rng.gauss(0, 0.4)),
            "faults": 0.02 + 0.4 * busy * pulse + 30 * starting + self.faults * rng.random() * (0.3 + self.heavy),
            "paged": self.paging * min(1.0, self.swapped * 3) * rng.random(),
            "wait": 0.0, "blocked": 0.0, "soft": self.interrupts, "filled": 0.0,
            "written": self.breath * self.wander + self.scratch * self.heavy,
        }  # fmt: skip
        if trouble and into >= 0:
            getattr(self, trouble)(here, into, min(1.0, into / 30))
        here["memory"] = min(0.985, max(0.02, here["memory"]))
        return here

    # What each kind of trouble does to a host: into it for so many seconds, `full` from 0 to 1 in the first
    # half minute.

    def cpu_hog(self, here, _into, full):
        here["busy"] += full * (1 - here["busy"])
        here["running"] += full * max(3.0, 2.5 * self.cores)
        here["system"] = 0.05

    def memory_leak(self, here, into, _full):
        here["memory"] += (0.98 - here["memory"]) * min(1.0, into / 600)

    def swap_storm(self, here, into, full):
        here["memory"] = 0.97
        here["paged"], here["faults"] = full * 6000 * math.exp(self.rng.gauss(0, 0.2)), full * 900
        here["swapped"] = min(0.9, here["swapped"] + into / 900)
        here["wait"] = full * min(0.5, 0.2 + 1.0 / self.cores)
        here["blocked"], here["io"] = 4 * full, max(here["io"], 0.85 * full)
        here["disk"] += full * 5e7

    def disk_saturation(self, here, _into, full):
        here["io"] = max(here["io"], 0.995 * full)
        here["disk"] += full * 0.9 * self.disk_speed
        here["wait"] = full * min(0.6, 0.15 + 1.5 / self.cores)
        here["blocked"] = full * 8

    def disk_full(self, here, into, full):
        here["filled"] = min(1.0, into / 300)
        here["disk"] += full * 0.3 * self.disk_speed * (into < 300)

    def network_flood(self, here, _into, full):
        here["traffic"] += full * 2.4e8
        here["soft"], here["drops"] = self.interrupts + 0.3 * full, full * 400
        here["busy"] = max(here["busy"], here["busy"] + full * 0.15 * (1 - here["busy"]))

    def network_errors(self, here, _into, full):
        here["errors"], here["drops"] = here["errors"] + full * 40, here["drops"] + full * 20
        here["retransmits"] += full * 10

    def switch_storm(self, here, _into, full):
        here["switches"] += full * 2.5e5 * max(2, self.cores)
        here["busy"], here["system"] = max(here["busy"], 0.6 * full), 0.8
        here["running"] += full * self.cores

    def retransmits_(self, here, _into, full):
        here["retransmits"] += full * 400
        here["sockets"] *= 1 + 3 * full

    def count(self, key, rate):
        """The counter of this key after the interval at this rate."""
        value = self.counters.get(key, 0.0) + max(0.0, rate) * self.interval
        self.counters[key] = value
        return value

    def series(self, here):
        """The raw series: metric, labels beside job and instance, value."""
        yield from self.processors(here)
        yield from self.processes(here)
        yield from self.memories(here)
        if self.kind != "container":
            yield from self.disks(here)
        yield from self.cards(here)

    def processors(self, here):
        io = here["io"]
        wait = min(0.3, here["wait"] or self.patience * io / math.sqrt(self.cores))
        busy = here["busy"] * (1 - self.steal)
        wait = min(wait, max(0.0, 1 - busy - self.steal))
        soft = busy * min(0.5, here["soft"])
        system = busy * here["system"] * (1 - min(0.5, here["soft"]))
        shares = (busy - soft - system, system, wait, soft, self.steal * min(1.0, 0.2 + busy))
        for cpu in range(self.cores):
            uneven = 1 + 0.1 * math.sin(cpu * 1.7 + self.phase)
            uneven = uneven * (1 - here["busy"]) + here["busy"]
            left = 1.0
            for mode, share in zip(MODES, shares):
                share = min(left, share * uneven)
                left -= share
                yield "node_cpu_seconds_total", f'cpu="{cpu}",mode="{mode}"', self.count((cpu, mode), share)
            yield "node_cpu_seconds_total", f'cpu="{cpu}",mode="idle"', self.count((cpu, "idle"), left)

    def processes(self, here):
        rng = self.rng
        expected = here["running"]
        running = 1 + max(0, round(expected + rng.gauss(0, math.sqrt(expected * 0.7 + 0.05))))
        blocked = here["blocked"] + here["io"] * 0.8
        blocked = max(0, round(blocked + rng.gauss(0, 0.3)))
        keep = math.exp(-self.interval / 60)
        self.load = self.load * keep + (running - 1 + blocked) * (1 - keep)
        yield "node_load1", "", round(self.load, 2)
        yield "node_procs_running", "", running
        yield "node_procs_blocked", "", blocked
        yield "node_context_switches_total", "", self.count("switches", here["switches"])
        yield "node_sockstat_TCP_inuse", "", round(max(1, here["sockets"]))
        yield "node_netstat_Tcp_RetransSegs", "", round(self.count("retransmits", here["retransmits"]))
        yield "node_netstat_Tcp_OutSegs", "", round(self.count("segments", 5 + here["traffic"] / 900))

    def memories(self, here):
        total = float(self.memory)
        available = total * (1 - here["memory"])
        for name, value in (
            ("MemTotal", total), ("MemAvailable", available), ("MemFree", available * 0.4),
            ("Buffers", available * 0.05), ("Cached", available * 0.55), ("SwapTotal", float(self.swap)),
            ("SwapFree", self.swap * (1 - here["swapped"])),
        ):  # fmt: skip
            yield f"node_memory_{name}_bytes", "", round(value)
        paged = here["paged"] * 0.5 * (self.swap > 0)
        for name, rate in (
            ("pswpin", paged), ("pswpout", paged), ("pgmajfault", here["faults"]), ("oom_kill", 0.0)
        ):  # fmt: skip
            yield f"node_vmstat_{name}", "", round(self.count(name, rate))

    def disks(self, here):
        device = "vda" if self.is_virtual else "nvme0n1"
        rates = (
            ("read_bytes", here["disk"] * self.read), ("written_bytes", here["disk"] * (1 - self.read)),
            ("io_time_seconds", here["io"]), ("reads_completed", here["disk"] * self.read / 3e4),
            ("writes_completed", here["disk"] * (1 - self.read) / 3e4),
            ("read_time_seconds", here["io"] * 0.6), ("write_time_seconds", here["io"] * 0.6),
            ("io_time_weighted_seconds", here["io"] * 1.3),
        )  # fmt: skip
        for name, rate in rates:
            yield f"node_disk_{name}_total", f'device="{device}"', self.count(name, rate)
        places = [("/", "ext4", 0), ("/boot/efi", "vfat", 1)] + [("/data", "xfs", 2)] * self.has_data
        for mount, kind, i in places:
            labels = f'device="/dev/{device}p{i + 1}",fstype="{kind}",mountpoint="{mount}"'
            filled = max(0.01, self.filled[i] + here["written"]) if i != 1 else 0.05
            if i != 1 and mount == places[-1][0] or (not self.has_data and i == 0):
                filled += (0.997 - filled) * here["filled"]
            yield "node_filesystem_size_bytes", labels, round(self.size[i])
            yield "node_filesystem_avail_bytes", labels, round(self.size[i] * (1 - filled))
            yield "node_filesystem_readonly", labels, 0
        labels = 'device="tmpfs",fstype="tmpfs",mountpoint="/run"'
        yield "node_filesystem_size_bytes", labels, round(self.memory / 10)
        yield "node_filesystem_avail_bytes", labels, round(self.memory / 10.1)
        yield "node_filesystem_readonly", labels, 0

    def cards(self, here):
        for device, part in (("eth0", 1.0), ("lo", 0.2)):
            for way, share in (("receive", self.received), ("transmit", 1 - self.received)):
                received = part * (way == "receive") * (device != "lo")
                for name, rate in (
                    ("bytes", here["traffic"] * share * part), ("packets", here["traffic"] * share * part / 700),
                    ("errs", here["errors"] * received), ("drop", here["drops"] * received),
                ):  # fmt: skip
                    key = f"node_network_{way}_{name}_total"
                    yield key, f'device="{device}"', round(self.count((key, device), rate))


def incidents(rng, start, end):
    """When a host is there: (first, last, pause from, pause to, restarted or not)."""
    first, pause, restarts = start, None, False
    luck = rng.random()
    if luck < 0.15:  # begins in the middle
        first = start + rng.uniform(0.1, 0.7) * (end - start)
    elif luck < 0.27:  # is restarted
        at = start + rng.uniform(0.2, 0.9) * (end - start)
        pause, restarts = (at, at + rng.uniform(20, 180)), True
    elif luck < 0.37:  # is not scraped for five minutes
        at = start + rng.uniform(0.2, 0.9) * (end - start)
        pause = (at, at + 300)
    return first, pause, restarts


def lines(host, options, trouble):
    """The host's text, one line a sample, in the order of series."""
    end = options.end
    start = end - 60 * options.minutes
    first, pause, restarts = incidents(host.rng, start, end)
    if trouble:  # seen as it was for long enough
        first, pause = start, None
    texts = {}
    offset = host.rng.random() * host.interval
    host.up = 1e6 if first == start else 0.0
    now = math.ceil(first / host.interval) * host.interval + offset
    while now < end:
        is_away = pause and pause[0] < now < pause[1]
        if is_away and restarts:
            host.reset()
        here = host.step(now, trouble, now - (end - TROUBLE_SECONDS))
        if not (is_away and restarts):
            for metric, labels, value in host.series(here):
                if not is_away:
                    texts.setdefault((metric, labels), []).append(f"{value:.10g} {now:.3f}")
        now += host.interval
    for (metric, labels), samples in texts.items():
        extra = "," + labels if labels else ""
        head = f'{metric}{{job="node",instance="{host.name}"{extra}}} '
        yield head + f"\n{head}".join(samples) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=96, help="how many (default 96)")
    parser.add_argument("--minutes", type=float, default=180, help="how long each is seen (default 180)")
    parser.add_argument("--end", type=int, required=True, help="when that ends, in seconds since 1970")
    parser.add_argument("--seed", default="1", help="seed of all choices (default 1)")
    parser.add_argument("--interval", type=int, help="seconds between scrapes (default: each host its own)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of which kinds, in turn")
    parser.add_argument("--width", type=float, default=1.0, help="how much larger sizes and rates are (default 1)")
    parser.add_argument("--trouble", action="store_true", help="trouble in the last quarter of an hour")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if set(kinds) - set(KINDS) - set(OTHERS):
        parser.error(f"kinds are {', '.join([*KINDS, *OTHERS])}")
    for number in range(options.hosts):
        host = Host(options.seed, number, kinds, options.interval, options.width)
        trouble = None
        if options.trouble:
            trouble = TROUBLES[number // len(kinds) % len(TROUBLES)]
            host.name = f"{trouble}-{host.name}"
            trouble = "retransmits_" if trouble == "retransmits" else trouble
        sys.stdout.writelines(lines(host, options, trouble))
    sys.stdout.write("# EOF\n")


if __name__ == "__main__":
    main()
