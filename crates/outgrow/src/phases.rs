//! A trial's plan as a timeline: the sizes that its model has on its way, and how it gets there.

use outgrow_core::{
    Architecture, Growth, Trial,
    model::{LayerShape, n_parameters},
};
use serde::Serialize;

/// A stretch of training at one size.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Phase {
    /// Tokens at its beginning and end.
    pub from: u64,
    pub until: u64,
    /// Its share of the trial's tokens.
    pub tokens_share: f64,
    /// Its share of the trial's training FLOPs; what an operator spends counts to the phase after
    /// it.
    pub flops_share: f64,
    pub parameters: u64,
    pub size: String,
    /// The growths that lead to it: names of transforms and operators.
    pub growths: Vec<&'static str>,
    /// The sizes that they change: "d_model 32 → 64".
    pub changes: Vec<String>,
    /// From the input upwards, whether each layer is new.
    pub layers: Vec<bool>,
}

/// The phases of a trial, one more than its plan has stages.
pub(crate) fn phases(trial: &Trial) -> Vec<Phase> {
    let (plan, tokens) = (&trial.plan, trial.settings.tokens);
    let stages = plan.stages();
    let flops = |tokens: u64| plan.train_flops(tokens) as f64;
    let share = |part: f64, all: f64| if all > 0.0 { part / all } else { 0.0 };
    let phase = |number: usize| {
        let from = if number == 0 { 0 } else { stages[number - 1].tokens }.min(tokens);
        let until = stages.get(number).map_or(tokens, |stage| stage.tokens.min(tokens));
        let after = plan.architecture_after(number);
        let before = plan.architecture_after(number.saturating_sub(1));
        let growths = if number == 0 { &[][..] } else { &stages[number - 1].growths };
        let layers = match number {
            0 => vec![false; after.layers.len()],
            _ => plan.new_layers(number - 1),
        };
        Phase {
            from,
            until,
            tokens_share: share((until - from) as f64, tokens as f64),
            flops_share: share(flops(until) - flops(from), flops(tokens)),
            parameters: n_parameters(after),
            size: after.describe(),
            growths: growths.iter().map(Growth::name).collect(),
            changes: changes(before, after, &layers),
            layers,
        }
    };
    (0..=stages.len()).map(phase).collect()
}

/// The sizes that grow, of the layers that were there before: all of them, or so many.
fn changes(before: &Architecture, after: &Architecture, is_new: &[bool]) -> Vec<String> {
    type Size = fn(&LayerShape) -> Vec<usize>;
    let sizes: [(&str, Size); 4] = [
        ("heads", |layer| vec![layer.n_heads()]),
        ("d_k", |layer| layer.heads.iter().map(|head| head.d_k).collect()),
        ("d_v", |layer| layer.heads.iter().map(|head| head.d_v).collect()),
        ("d_ff", |layer| vec![layer.d_ff]),
    ];
    let old =
        after.layers.iter().zip(is_new).filter(|(_, is_new)| !**is_new).map(|(layer, _)| layer);
    let pairs: Vec<_> = before.layers.iter().zip(old).collect();
    let inner = |(name, of): (&str, Size)| {
        // New heads change no width of those that are there.
        let grown = |(a, b): &(&LayerShape, &LayerShape)| -> Vec<(usize, usize)> {
            of(a).into_iter().zip(of(b)).filter(|(a, b)| a != b).collect()
        };
        let changed: Vec<_> = pairs.iter().map(grown).filter(|all| !all.is_empty()).collect();
        let from = changed.iter().flatten().map(|(from, _)| from).min()?;
        let to = changed.iter().flatten().map(|(_, to)| to).max()?;
        let some = match changed.len() == pairs.len() {
            true => String::new(),
            false => format!(" in {} of {} layers", changed.len(), pairs.len()),
        };
        Some(format!("{name} {from} → {to}{some}"))
    };
    let own = |a: &Architecture| a.layers.iter().filter(|layer| layer.of.is_none()).count();
    let shares = before.shares() || after.shares();
    let whole = [
        ("layers", before.layers.len(), after.layers.len()),
        ("layers with weights of their own", own(before), own(after)),
        ("d_model", before.d_model, after.d_model),
    ];
    let whole = whole.into_iter().filter(|(_, from, to)| from != to);
    let whole = whole.filter(|(name, ..)| shares || !name.contains("their own"));
    let whole = whole.map(|(name, from, to)| format!("{name} {from} → {to}"));
    whole.chain(sizes.into_iter().filter_map(inner)).collect()
}
