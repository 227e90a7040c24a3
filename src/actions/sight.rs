//! What a snapshot says to a guard: what fires, what is muted, and who is calm.

use std::sync::Arc;

use super::decision::FiringAlert;
use crate::detect::alert::ActiveAlert;
use crate::detect::{ModelSnapshot, Snapshot};
use crate::labels::Labels;
use crate::maintenance::Maintenance;

/// What is seen of one snapshot.
pub(super) struct Sight {
    pub firing: Vec<FiringAlert>,
    pub is_fleet_alert_open: bool,
    pub models: Vec<Arc<str>>,
}

impl Sight {
    /// Of a snapshot, with what is muted now.
    pub fn of(snapshot: &Snapshot, maintenance: &Maintenance, now_ms: i64) -> Self {
        let firing = snapshot.alerts.active().filter_map(|it: &ActiveAlert| {
            Some(FiringAlert {
                rule: Arc::clone(&it.rule),
                model: Arc::clone(&it.model),
                entity: it.entity.clone()?,
                fired_ms: it.alert.fired_ms?,
                is_active: it.is_scored
                    && it.alert.keep_firing_since_ms.is_none()
                    && current(snapshot, &it.model, now_ms).is_some(),
                is_muted: maintenance.muted_by(&it.labels, now_ms).is_some(),
            })
        });
        Self {
            firing: firing.collect(),
            is_fleet_alert_open: snapshot.alerts.active().any(|it| it.entity.is_none()),
            models: snapshot.alerts.models.iter().map(|it| Arc::clone(&it.model)).collect(),
        }
    }
}

/// Whether an entity has a score now, and that not above its threshold.
pub(super) fn is_calm(snapshot: &Snapshot, now_ms: i64, model: &str, entity: &Labels) -> bool {
    let Some(model) = current(snapshot, model, now_ms) else { return false };
    let place = model.entities.binary_search_by(|it| it.entity.cmp(entity));
    place.is_ok_and(|i| !model.entities[i].is_anomalous())
}

/// What a model says, unless that is long ago.
fn current<'a>(snapshot: &'a Snapshot, model: &str, now_ms: i64) -> Option<&'a ModelSnapshot> {
    let found = snapshot.models.iter().find(|it| it.model == model)?;
    found.is_current(now_ms).then_some(found)
}
