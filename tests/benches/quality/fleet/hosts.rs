//! Hosts: what kinds there are, and what one of them does minute after minute.
//!
//! In: a kind, numbers from a seed, incidents. Out: minutes. Demand and jobs are worked on by CPU, disk
//! and network; load, waiting and switches follow from these.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::course::{Course, Walk, at_random, normal, share};
use super::derived::Minute;
use super::incidents::{Incident, Trouble};
use super::{DAY, MINUTES, Span};

/// What all hosts of a kind have in common. Shares of what the whole host has; rates are bytes a second.
#[derive(Debug)]
pub struct Kind {
    /// The instance.
    pub name: &'static str,
    cores: f64,
    course: Course,
    /// CPU at the busiest hour: of programs, of the kernel.
    cpu: [f64; 2],
    /// In use at rest, and what the busiest hour adds.
    memory: [f64; 2],
    swap: f64,
    /// Read and written at the busiest hour, and what the disk can do.
    disk: [f64; 3],
    filesystem: f64,
    /// Received and sent at the busiest hour.
    network: [f64; 2],
    sockets: f64,
    /// The hour of the nightly job, its minutes, and what it takes of CPU, and of disk and network.
    nightly: Option<(f64, f64, [f64; 2])>,
    /// What a run at every hour takes of CPU.
    hourly: f64,
}

const WEB: Kind = Kind {
    name: "web-1:9100",
    cores: 8.0,
    course: Course { peak: 14.0, low: 0.15, narrow: 1.5, weekend: 0.6 },
    cpu: [0.38, 0.09],
    memory: [0.42, 0.06],
    swap: 0.01,
    disk: [2e5, 1.5e6, 2e8],
    filesystem: 0.46,
    network: [9e6, 3.2e7],
    sockets: 900.0,
    // What most have none of.
    nightly: None,
    hourly: 0.0,
};

/// The kinds in the order of their names, one host of each.
pub const KINDS: [Kind; 6] = [
    Kind {
        name: "batch-1:9100",
        cores: 16.0,
        course: Course { peak: 11.0, low: 0.5, narrow: 1.0, weekend: 0.8 },
        cpu: [0.12, 0.03],
        memory: [0.35, 0.03],
        swap: 0.03,
        disk: [4e6, 5e6, 3e8],
        filesystem: 0.61,
        network: [3e6, 2e6],
        sockets: 90.0,
        nightly: Some((1.0, 55.0, [0.45, 0.5])),
        hourly: 0.22,
    },
    Kind {
        name: "cache-1:9100",
        cores: 4.0,
        course: Course { peak: 20.0, low: 0.3, narrow: 1.2, weekend: 0.9 },
        cpu: [0.16, 0.11],
        memory: [0.78, 0.01],
        swap: 0.0,
        disk: [1e4, 4e5, 1e8],
        filesystem: 0.22,
        network: [2.4e7, 6e7],
        sockets: 2_400.0,
        ..WEB
    },
    Kind {
        name: "database-1:9100",
        cores: 16.0,
        course: Course { peak: 13.0, low: 0.3, narrow: 1.0, weekend: 0.65 },
        cpu: [0.3, 0.06],
        memory: [0.7, 0.02],
        swap: 0.05,
        disk: [2.5e7, 1.8e7, 4e8],
        filesystem: 0.68,
        network: [8e6, 2.2e7],
        sockets: 320.0,
        nightly: Some((2.2, 45.0, [0.12, 0.55])),
        ..WEB
    },
    Kind {
        name: "files-1:9100",
        cores: 4.0,
        course: Course { peak: 10.5, low: 0.08, narrow: 1.8, weekend: 0.5 },
        cpu: [0.08, 0.1],
        memory: [0.3, 0.04],
        swap: 0.0,
        disk: [3e7, 1.5e7, 2.5e8],
        filesystem: 0.77,
        network: [1.6e7, 3e7],
        sockets: 150.0,
        nightly: Some((3.5, 35.0, [0.15, 0.45])),
        ..WEB
    },
    WEB,
    Kind {
        name: "web-2:9100",
        cores: 4.0,
        course: Course { peak: 15.5, ..WEB.course },
        cpu: [0.45, 0.12],
        ..WEB
    },
];

/// A host of a kind, and all that is known beforehand.
#[derive(Debug)]
pub struct Plan {
    /// What it is.
    pub kind: &'static Kind,
    /// When its nightly job runs.
    pub jobs: Vec<Span>,
    bursts: Vec<Span>,
    holes: Vec<Span>,
    hourly: Vec<Span>,
    /// How busy each day is, of 1.
    days: Vec<f64>,
    /// Its size beside others of its kind.
    size: f64,
}

impl Plan {
    /// A host of a kind.
    pub fn draw(kind: &'static Kind, rng: &mut ChaCha8Rng) -> Self {
        let mut jobs = Vec::new();
        let begins = rng.random_range(-0.5..0.5);
        for night in 0..MINUTES / DAY {
            let Some((hour, minutes, _)) = kind.nightly else { continue };
            let jitter = (4.0 * normal(rng)).clamp(-12.0, 12.0);
            let from = night * DAY + (60.0 * (hour + begins) + jitter) as usize;
            let minutes = minutes * (1.0 + 0.06 * normal(rng).clamp(-2.0, 2.0));
            jobs.push(Span { from, to: from + minutes.clamp(30.0, 60.0) as usize });
        }
        let hourly = (0..if kind.hourly > 0.0 { MINUTES / 60 } else { 0 }).map(|hour| {
            let from = 60 * hour + rng.random_range(4..=6);
            Span { from, to: from + rng.random_range(6..=12) }
        });
        Self {
            kind,
            jobs,
            hourly: hourly.collect(),
            bursts: at_random(0.6, [3, 8], rng),
            holes: at_random(1.0, [1, 4], rng),
            days: (0..=MINUTES / DAY).map(|_| 1.0 + 0.05 * normal(rng)).collect(),
            size: rng.random_range(0.85..1.15),
        }
    }

    /// The demand to be expected at a minute, of 1 in the busiest hour.
    pub fn expected(&self, minute: usize) -> f64 {
        let course = &self.kind.course;
        course.at(minute, |day| course.of_day(day))
    }

    /// What it does, with what befalls it. `None` where a scrape failed.
    pub fn minutes(&self, incidents: &[Incident], rng: &mut ChaCha8Rng) -> Vec<Option<Minute>> {
        let mut noise = Noise::new(rng);
        let mut load = 0.0;
        let mut minutes: Vec<Option<Minute>> = Vec::with_capacity(MINUTES);
        for at in 0..MINUTES {
            noise.advance();
            let incident = incidents.iter().find(|it| it.span.contains(at));
            let trouble = incident.map(|it| it.trouble(at, noise.rng)).unwrap_or_default();
            let mut minute = self.minute(at, &trouble, &mut noise);
            // A load average of a minute.
            load += (1.0 - (-1.0_f64).exp()) * (minute.load_per_core - load);
            minute.load_per_core = load;
            minutes.push(Some(minute));
        }
        for hole in &self.holes {
            minutes[hole.from..hole.to].fill(None);
        }
        minutes
    }

    /// What is worked on: its demand, the nightly job, and what both would take if there were enough.
    fn work(&self, at: usize, trouble: &Trouble, noise: &mut Noise<'_>) -> (f64, f64, Minute) {
        let kind = self.kind;
        let all = |spans: &[Span]| -> f64 { spans.iter().map(|it| share(*it, at, 2.0)).sum() };
        let jobs = all(&self.jobs);
        let job = kind.nightly.map_or([0.0; 2], |(_, _, takes)| takes.map(|it| it * jobs));
        let usual = kind.course.at(at, |day| kind.course.of_day(day) * self.days[day]);
        let bursts = 1.0 + 0.6 * all(&self.bursts);
        let demand = self.size * usual * bursts * (1.0 - trouble.lost) * noise.factor(DEMAND, 0.03);
        let [reads, writes, can] = kind.disk;
        let varied = noise.factor(DISK, 0.08);
        let read = varied * (reads * demand + can * (0.6 * job[1] + trouble.read));
        let written = varied * (writes * demand + can * (0.3 * job[1] + trouble.written) + 2e4);
        let varied = noise.factor(NETWORK, 0.03) * (1.0 - trouble.slowed);
        let busy = 1.0 - (-1.4 * (read + written) / can).exp();
        let hourly = kind.hourly * all(&self.hourly);
        let programs = kind.cpu[0] * demand + hourly + job[0] + 0.01;
        let kernel = kind.cpu[1] * demand + 0.25 * job[0] + 0.05 * busy + 0.006;
        let minute = Minute {
            cpu_user: programs * noise.factor(CPU, 0.03),
            cpu_system: kernel * noise.factor(CPU, 0.03),
            disk_read_bytes: read,
            disk_written_bytes: written,
            disk_busy: busy,
            // A backup is sent elsewhere.
            network_receive_bytes: varied * (kind.network[0] * demand + 1.5e6 * job[1] + 2e3),
            network_transmit_bytes: varied * (kind.network[1] * demand + 8e7 * job[1] + 2e3),
            ..Minute::default()
        };
        (demand, job[1], minute)
    }

    /// One minute, with the tasks of this very moment as its load.
    fn minute(&self, at: usize, trouble: &Trouble, noise: &mut Noise<'_>) -> Minute {
        let (demand, job, work) = self.work(at, trouble, noise);
        let Minute { cpu_user: programs, cpu_system: kernel, disk_busy: busy, .. } = work;
        let (received, sent) = (work.network_receive_bytes, work.network_transmit_bytes);
        let kind = self.kind;
        let disk_busy = busy.max(trouble.busy * noise.factor(STEADY, 0.01)).min(1.0);
        let waits = (0.12 * busy * busy + trouble.waits) * noise.factor(WAIT, 0.1);
        let others = 0.004 + 2e-9 * (received + sent) / kind.cores;
        // Whatever wants CPU gets no more than there is.
        let free = (0.985 - programs - kernel - waits - others).max(0.0);
        let cpu_user = programs.min(0.9) + free * trouble.hog;
        let blocked = (kind.cores * waits + trouble.blocked) * noise.factor(WAIT, 0.15);
        let tasks = (cpu_user + kernel) * 1.1 + trouble.tasks;
        let memory = kind.memory[0] + kind.memory[1] * demand + 0.02 * job + noise.now[MEMORY];
        let swap = kind.swap * noise.factor(STEADY, 0.0);
        let switches = 600.0 + 9e3 * (cpu_user.min(0.6) + kernel) + 4e3 * disk_busy;
        let sockets = 20.0 + kind.sockets * demand * (1.0 + trouble.crowd);
        Minute {
            cpu_user,
            cpu_iowait: waits.min(1.0 - kernel - others),
            cpu_steal: 0.0015 * noise.factor(STEADY, 0.3),
            cpu_other: others,
            load_per_core: tasks + blocked / kind.cores,
            procs_running_per_core: tasks * noise.factor(CPU, 0.08) + 0.3 / kind.cores,
            procs_blocked: blocked,
            context_switches_per_core: switches * noise.factor(STEADY, 0.04),
            memory_used: (memory + (0.97 - memory) * trouble.leaked).clamp(0.02, 0.99),
            swap_used: swap + (0.9 - swap) * trouble.swapped,
            paging: noise.counted(0.2 * kind.swap + trouble.paging),
            major_faults: noise.counted(0.05 + 2.0 * job + trouble.faults),
            disk_busy,
            filesystem_used: kind.filesystem + 0.012 * ((at % DAY) as f64 / DAY as f64 - 0.5),
            network_errors: noise.counted(2e-5 + trouble.errors),
            network_drops: noise.counted(0.002 * demand + trouble.drops),
            tcp_sockets: (sockets * noise.factor(STEADY, 0.03)).round(),
            tcp_retransmits: noise.counted(0.05 + 3e-8 * sent + trouble.retransmits),
            ..work
        }
    }
}

/// The walks of a host's noise: minutes that they remember, and their deviations. All but that of
/// memory, which is a share of it, are logarithms of factors.
const WALKS: [(f64, f64); 7] = [
    (60.0, 0.09),
    (6.0, 0.05),
    (15.0, 0.12),
    (8.0, 0.05),
    (10.0, 0.15),
    (240.0, 0.008),
    (30.0, 0.03),
];
const DEMAND: usize = 0;
const CPU: usize = 1;
const DISK: usize = 2;
const NETWORK: usize = 3;
const WAIT: usize = 4;
const MEMORY: usize = 5;
const STEADY: usize = 6;

/// The noise of a host, and the numbers that it is made of.
struct Noise<'a> {
    walks: [Walk; WALKS.len()],
    now: [f64; WALKS.len()],
    rng: &'a mut ChaCha8Rng,
}

impl<'a> Noise<'a> {
    fn new(rng: &'a mut ChaCha8Rng) -> Self {
        let walks = WALKS.map(|(minutes, deviation)| Walk::new(minutes, deviation, rng));
        Self { walks, now: [0.0; WALKS.len()], rng }
    }

    fn advance(&mut self) {
        self.now.iter_mut().zip(&mut self.walks).for_each(|(now, walk)| *now = walk.step(self.rng));
    }

    /// A rate of what comes one by one: so many a second, as counted over a minute.
    fn counted(&mut self, rate: f64) -> f64 {
        let count = 60.0 * rate * self.factor(WAIT, 0.25);
        (count + self.rng.random::<f64>()).floor() / 60.0
    }

    /// What a minute's value is multiplied by: the walk's, and some of its own.
    fn factor(&mut self, walk: usize, white: f64) -> f64 {
        (self.now[walk] + white * normal(self.rng)).exp()
    }
}
