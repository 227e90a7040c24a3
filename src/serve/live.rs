//! Live: what request handlers use and a reload replaces.

use std::sync::Arc;

use super::{BUILD, Settings};
use crate::api::{Api, Capacity};
use crate::exporter::{ExporterConfig, ModelInfo};
use crate::remote_write::{Receiver, ReceiverBudget};
use crate::series::Demand;

/// What a reload exchanges for the handlers.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) receiver: Receiver,
    pub(super) api: Api,
    pub(super) exporter: ExporterConfig,
    pub(super) models: Vec<ModelInfo>,
    /// What is wanted, once that is known.
    demand: Option<Arc<Demand>>,
}

impl Live {
    /// With these settings, and what requests of all configurations share.
    pub(super) fn new(settings: &Settings, models: Vec<ModelInfo>, budgets: &Budgets) -> Self {
        let body_timeout = settings.web.body_timeout.to_std();
        let Budgets { requests, capacity } = budgets;
        let (query, capacity) = (settings.query.clone(), capacity.clone());
        let features = settings.exporter.max_contributions_per_entity;
        Self {
            receiver: Receiver::new(settings.remote_write.clone(), body_timeout, requests.clone()),
            api: Api::new(query, body_timeout, BUILD, capacity, features),
            exporter: settings.exporter.clone(),
            models,
            demand: None,
        }
    }

    /// With what is wanted, about to be in use.
    pub(super) fn for_demand(self, demand: Arc<Demand>) -> Self {
        self.api.take_effect();
        let receiver = self.receiver.for_demand(Arc::clone(&demand));
        Self { receiver, demand: Some(demand), ..self }
    }

    /// What is wanted, to be read.
    pub(super) fn wanted(&self) -> Vec<String> {
        self.demand.as_ref().map_or_else(Vec::new, |it| it.names())
    }
}

/// What requests of all configurations take together.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    requests: ReceiverBudget,
    capacity: Capacity,
}

impl Budgets {
    pub(super) fn of(live: &Live) -> Self {
        Self { requests: live.receiver.budget(), capacity: live.api.capacity() }
    }
}
