//! Portent's own metrics about silences and maintenance windows.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::maintenance::Maintenance;

/// Notes what is in force now.
pub fn count_maintenance(maintenance: &Maintenance, now_ms: i64) {
    let counts = maintenance.silences.counts(now_ms);
    for (state, count) in
        [("active", counts.active), ("pending", counts.pending), ("expired", counts.expired)]
    {
        gauge!("portent_silences", "state" => state).set(count as f64);
    }
    gauge!("portent_maintenance_windows_open").set(maintenance.windows.open(now_ms).count() as f64);
}

/// Counts that silences could not be written.
pub fn count_silences_not_kept() {
    counter!("portent_silences_saves_failed_total").increment(1);
}

/// Says what the metrics mean.
pub(super) fn describe() {
    describe_gauge!(
        "portent_silences",
        "Silences by state: active, pending (they have not begun) or expired (they are still remembered)."
    );
    describe_gauge!(
        "portent_maintenance_windows_open",
        "Windows of alerting.maintenance_windows that hold alerts back now."
    );
    describe_counter!(
        "portent_silences_saves_failed_total",
        "Times silences could not be written to --storage.path."
    );
    counter!("portent_silences_saves_failed_total").increment(0);
}
