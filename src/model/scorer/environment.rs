//! The environment: ONNX Runtime itself, loaded once in a process.

use std::path::Path;
#[expect(clippy::disallowed_types, reason = "of the one lock below")]
use std::sync::Mutex;

use ort::environment::Environment;

use super::super::runtime::RuntimeError;

/// The process's environment. ONNX Runtime allows one for ever, even after it was dropped, so that
/// it cannot belong to anything with a shorter life.
#[expect(clippy::disallowed_types, reason = "it is the process's")]
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// The loaded ONNX Runtime. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(super) environment: Environment,
}

impl Runtime {
    /// Finds and loads the library, once in a process; later calls give the same one whatever they
    /// ask for. A failed call leaves nothing behind.
    ///
    /// # Errors
    /// When the library is not there, too old, or does not start, with what to do about it.
    pub fn load(configured: Option<&Path>) -> Result<Self, RuntimeError> {
        // A panic while holding the lock leaves `None` or a complete runtime.
        let mut loaded = LOADED.lock().unwrap_or_else(|poison| poison.into_inner());
        if let Some(runtime) = &*loaded {
            return Ok(runtime.clone());
        }
        let environment = open(configured)?
            .with_name("portent")
            .with_telemetry(false)
            .build()
            .map_err(|error| RuntimeError::Start(error.to_string()))?;
        Ok(loaded.insert(Self { environment }).clone())
    }
}

#[cfg(feature = "load-dynamic")]
fn open(configured: Option<&Path>) -> Result<ort::environment::EnvironmentBuilder, RuntimeError> {
    let path = super::super::runtime::find(configured)?;
    ort::init_from(&path).map_err(|error| RuntimeError::Load {
        reason: match &error {
            // The loader's own words are in the cause's cause.
            ort::LoadDynamicError::Dlopen { error, .. } => with_causes(error),
            error => error.to_string(),
        },
        path,
    })
}

/// The library is linked in: there is nothing to find.
#[cfg(not(feature = "load-dynamic"))]
fn open(_configured: Option<&Path>) -> Result<ort::environment::EnvironmentBuilder, RuntimeError> {
    Ok(ort::init())
}

#[cfg(feature = "load-dynamic")]
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
