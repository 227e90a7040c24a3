//! Sharing changes no answer: expressions in one plan say the same, to the bit, as each of them in
//! a plan of its own, while series are born and die.

use ::portent::promql::{Expr, Plan};
use ::portent::series::{StorageConfig, Store};

use super::portent::{batch, elements};
use super::{START_MS, expressions, generate, seed, world};

/// Generated ones; half of them occur as parts of others, which is what can be shared.
const GENERATED: usize = 150;

type Answer = Result<Vec<(String, u64)>, String>;

fn answer(plan: &Plan, i: usize) -> Answer {
    let value = plan.output(i).map_err(ToString::to_string)?;
    let of = |(labels, value): (Option<_>, f64)| (format!("{labels:?}"), value.to_bits());
    let mut all: Vec<(String, u64)> = elements(value).into_iter().map(of).collect();
    all.sort();
    Ok(all)
}

#[test]
fn sharing_changes_no_answer() {
    let seed = seed();
    let recording = world::record(seed, START_MS);
    let generated = generate::expressions(seed, GENERATED);
    let parts = generated.iter().flat_map(|one| one.parts.iter().chain([&one.text]));
    let texts = expressions::COMPARED.iter().copied().chain(parts.map(String::as_str));
    let exprs: Vec<Expr> = texts.filter_map(|text| Expr::parse(text).ok()).collect();

    let mut store = Store::new(StorageConfig::default());
    let mut shared = Plan::bind(&exprs, &mut store);
    let mut own: Vec<Plan> =
        exprs.iter().map(|expr| Plan::bind(std::slice::from_ref(expr), &mut store)).collect();
    let nodes: usize = own.iter().map(Plan::nodes).sum();
    assert!(
        shared.nodes() * 3 < nodes * 2,
        "{} of {nodes} nodes are not many shared",
        shared.nodes()
    );

    let mut sent_to_ms = START_MS;
    for time_ms in (START_MS..START_MS + world::LENGTH_MS).step_by(331_777) {
        store.append(time_ms, &batch(&recording, sent_to_ms, time_ms + 1));
        sent_to_ms = time_ms + 1;
        store.evict(time_ms);
        shared.eval(&store, time_ms);
        for (i, expr) in exprs.iter().enumerate() {
            own[i].eval(&store, time_ms);
            let (a, b) = (answer(&shared, i), answer(&own[i], 0));
            assert_eq!(a, b, "PORTENT_SEED={seed}, at {time_ms}: {}", expr.text());
        }
    }
}
