//! How well the default settings detect: tables over made-up fleets and labelled recordings.
//!
//! `PORTENT_DATA=DIR cargo bench --bench quality [-- PART_OF_A_NAME]`. Two parts, both through the code
//! that `portent train` and `portent evaluate` run without a configuration:
//!
//! - `fleets/seed-0` to `fleets/seed-9`: made-up fleets (`fleet`) whose incidents stay in the history
//!   that a model is trained on; found incidents, false and nightly calls in that history and in the week
//!   after it, with and without the terms of the threshold in force. `-- fleets` needs no data.
//! - `SET/ENTITY`: labelled recordings below `PORTENT_DATA` (`labelled`); how the scores rank, and what is
//!   found at the model's own threshold. `SET/ENTITY/half` is what is trained on labelled data.
//!
//! With `PORTENT_SCORES=DIR` models, scores and every figure are kept there, as `SET-ENTITY.onnx`, `.csv`
//! and `.json`, for other judges. `volume` is the one figure that only this bench has: others publish it.
//! Tests of what can be wrong here are in `tests/integration/quality.rs` and `tests/integration/volume.rs`.

mod bench;
mod fleet;
mod fleets;
mod halves;
mod kept;
mod labelled;
#[path = "../../support/range_server.rs"]
mod range_server;
mod server;
mod table;
mod tally;
mod volume;

use std::env;
use std::path::PathBuf;

use bench::Bench;

fn main() -> anyhow::Result<()> {
    // Cargo adds flags of its own.
    let part = env::args().skip(1).find(|it| !it.starts_with('-')).unwrap_or_default();
    let data = env::var_os("PORTENT_DATA").map(PathBuf::from);
    if data.is_none() && !part.starts_with(fleets::SET) {
        println!(
            "quality: set PORTENT_DATA to a folder with SET/ENTITY/train.csv.gz, test.csv.gz and \
             test_label.csv to see how well the default settings detect; `-- {}` needs none",
            fleets::SET
        );
        return Ok(());
    }
    let bench = Bench::new()?;
    let mut found = fleets::run(&bench, &part)?;
    if let Some(data) = data {
        found |= labelled::run(&bench, &data, &part)?;
    }
    anyhow::ensure!(found, "nothing is named like {part:?}");
    Ok(())
}
