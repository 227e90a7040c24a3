//! Live: what request handlers use and a reload replaces.

use std::sync::Arc;

use super::BUILD;
use crate::api::{Api, Capacity};
use crate::config::Config;
use crate::exporter::ModelInfo;
use crate::remote_write::{Receiver, ReceiverBudget};
use crate::series::Demand;

/// What a reload exchanges for the handlers.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) receiver: Receiver,
    pub(super) api: Api,
    pub(super) config: Arc<Config>,
    pub(super) models: Vec<ModelInfo>,
}

impl Live {
    /// By this configuration, and what requests of all configurations share.
    pub(super) fn new(config: Arc<Config>, models: Vec<ModelInfo>, budgets: &Budgets) -> Self {
        let body_timeout = config.web.body_timeout.to_std();
        let Budgets { requests, capacity } = budgets;
        let (query, capacity) = (config.query.clone(), capacity.clone());
        let features = config.exporter.max_contributions_per_entity;
        Self {
            receiver: Receiver::new(config.remote_write.clone(), body_timeout, requests.clone()),
            api: Api::new(query, body_timeout, BUILD, capacity, features),
            config,
            models,
        }
    }

    /// With what is wanted, about to be in use.
    pub(super) fn for_demand(self, demand: Arc<Demand>) -> Self {
        self.api.take_effect();
        Self { receiver: self.receiver.for_demand(demand), ..self }
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
