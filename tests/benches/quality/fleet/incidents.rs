//! Incidents: when they are, and what they do to a host.
//!
//! In: hosts, numbers from a seed. Out: for each host its incidents. Four kinds take turns; every host has
//! one at least in the fourteen days. One lasts 20 minutes to 4 hours, comes within four minutes and goes
//! so, but for memory, which fills over the first half. Invariants: an hour and a half lies between an
//! incident and the host's nightly job, six hours between two of a host; traffic is lost only at hours at
//! which there is some.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::course::{normal, share};
use super::hosts::Plan;
use super::{FORTNIGHT, MINUTES, Span};

/// Minutes between an incident and a nightly job, at least.
const FROM_JOB: usize = 90;

/// Minutes between two incidents of a host, at least.
const APART: usize = 360;

/// Minutes at a beginning without incidents: nothing has a score yet.
const QUIET: usize = 120;

/// Minutes in which an incident comes, and goes.
const RAMP: f64 = 4.0;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// A program's memory grows until there is none, and the host swaps.
    Memory,
    /// A program takes every CPU that is free.
    Cpu,
    /// The disk is saturated; its last requests take long.
    Disk,
    /// Packets are lost, and sent again.
    Network,
    /// Most of the demand does not arrive.
    Traffic,
}

/// Something that an operator would want to know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incident {
    /// When.
    pub span: Span,
    /// What.
    pub fault: Fault,
    /// How bad, around 1.
    pub severity: f64,
}

/// What befalls a host in a minute: shares of what it has, rates a second.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Trouble {
    /// Of the free CPU.
    pub hog: f64,
    /// Beside those that have a CPU, per core.
    pub tasks: f64,
    pub blocked: f64,
    pub waits: f64,
    /// Of what memory is free.
    pub leaked: f64,
    pub swapped: f64,
    pub paging: f64,
    pub faults: f64,
    /// Of what the disk can do.
    pub read: f64,
    pub written: f64,
    pub busy: f64,
    /// Of demand.
    pub lost: f64,
    /// Of network traffic.
    pub slowed: f64,
    pub errors: f64,
    pub drops: f64,
    pub retransmits: f64,
    /// More sockets than demand explains.
    pub crowd: f64,
}

impl Incident {
    /// What it does at a minute of its own.
    pub fn trouble(&self, at: usize, rng: &mut ChaCha8Rng) -> Trouble {
        let (here, none) = (share(self.span, at, RAMP), Trouble::default());
        let it = here * self.severity * (0.06 * normal(rng)).exp();
        match self.fault {
            Fault::Memory => {
                let Span { from, to } = self.span;
                let passed = (at - from + 1) as f64 / (to - from) as f64;
                let leaked = here * (2.0 * passed).min(1.0);
                // Swapping begins when most is gone.
                let pressed = ((leaked - 0.6) / 0.4).max(0.0) * it;
                Trouble {
                    leaked: leaked * 0.97,
                    swapped: 0.35 * pressed,
                    paging: 500.0 * pressed,
                    faults: 60.0 * pressed,
                    read: 0.1 * pressed,
                    waits: 0.08 * pressed,
                    tasks: 0.2 * pressed,
                    ..none
                }
            }
            Fault::Cpu => Trouble { hog: (0.9 * it).min(0.97), tasks: 0.9 * it, ..none },
            Fault::Disk => Trouble {
                busy: 0.97 * here,
                read: 0.15 * it,
                written: 0.25 * it,
                waits: 0.2 * it,
                blocked: 5.0 * it,
                ..none
            },
            Fault::Network => Trouble {
                slowed: (0.35 * it).min(0.8),
                retransmits: 15.0 * it,
                drops: 4.0 * it,
                errors: 1.5 * it,
                crowd: 0.4 * it,
                ..none
            },
            Fault::Traffic => Trouble { lost: (0.85 * it).min(0.97), ..none },
        }
    }
}

/// The incidents of all hosts, each list in order of time.
pub fn draw(plans: &[Plan], rng: &mut ChaCha8Rng) -> Vec<Vec<Incident>> {
    let mut all: Vec<Vec<Incident>> = plans.iter().map(|_| Vec::new()).collect();
    let later = rng.random_range(4..=5);
    for (count, from, to) in [(9, 0, FORTNIGHT), (later, FORTNIGHT, MINUTES)] {
        let mut hosts: Vec<usize> = (0..plans.len()).collect();
        hosts.shuffle(rng);
        let first = rng.random_range(0..4);
        for i in 0..count {
            let host = hosts.get(i).copied().unwrap_or_else(|| rng.random_range(0..plans.len()));
            let range = Span { from: from + QUIET, to: to - QUIET };
            let incident = one(first + i, range, &plans[host], &all[host], rng);
            all[host].push(incident);
        }
    }
    all.iter_mut().for_each(|it| it.sort_by_key(|incident| incident.span.from));
    all
}

/// An incident of the kind whose turn it is, at a time that suits.
fn one(
    turn: usize,
    range: Span,
    plan: &Plan,
    others: &[Incident],
    rng: &mut ChaCha8Rng,
) -> Incident {
    let is_loss = rng.random::<bool>();
    let fault = match turn % 4 {
        0 => Fault::Memory,
        1 => Fault::Cpu,
        2 => Fault::Disk,
        _ if is_loss => Fault::Traffic,
        _ => Fault::Network,
    };
    loop {
        // As many short ones as long ones, on a scale of ratios.
        let minutes = (20.0 * 12.0_f64.powf(rng.random::<f64>())) as usize;
        let from = rng.random_range(range.from..range.to - minutes);
        let span = Span { from, to: from + minutes };
        let is_busy = plan.expected(from) > 0.5 && plan.expected(span.to) > 0.5;
        let suits = (fault != Fault::Traffic || is_busy)
            && !plan.jobs.iter().any(|job| job.is_near(span, FROM_JOB))
            && !others.iter().any(|other| other.span.is_near(span, APART));
        if suits {
            return Incident { span, fault, severity: rng.random_range(0.7..1.3) };
        }
    }
}
