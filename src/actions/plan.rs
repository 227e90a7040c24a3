//! A plan: the configured actions, with the webhooks among them ready to be called.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::ActionsConfig;
use super::hook::{ActionHook, ActionHookError};

/// What is to be done from now on.
#[derive(Debug, Clone, Default)]
pub struct ActionPlan {
    pub(super) config: Arc<ActionsConfig>,
    hooks: BTreeMap<String, Arc<ActionHook>>,
}

impl ActionPlan {
    /// By a section. Reads the files that it names.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn read(config: &ActionsConfig) -> Result<Self, ActionHookError> {
        let mut hooks = BTreeMap::new();
        for action in &config.list {
            let hook = ActionHook::read(action)?;
            hooks.extend(hook.map(|it| (action.name.clone(), Arc::new(it))));
        }
        Ok(Self { config: Arc::new(config.clone()), hooks })
    }

    /// The webhook of an action, if that is one.
    pub(super) fn hook(&self, action: &str) -> Option<&Arc<ActionHook>> {
        self.hooks.get(action)
    }
}
