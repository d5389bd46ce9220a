//! Which settings of `nar` and of boosted trees rank the plans of a sweep best: ten of each, beside ridge
//! regression, which tries nine strengths in every fit.
//! `cargo run --release -p outgrow --example tune_predictor -- DATABASE SWEEP [initial-sizes]`

use std::time::Instant;

use outgrow::{
    Workspace,
    rank::{Drawn, HoldOut, PredictorSettings, RankSettings, TreeSettings},
};

fn nar() -> [(&'static str, PredictorSettings); 10] {
    let base = PredictorSettings::default();
    [
        ("as it is", base),
        ("100 epochs at 3e-3", PredictorSettings { epochs: 100, learning_rate: 3e-3, ..base }),
        ("300 epochs at 1e-3", PredictorSettings { epochs: 300, learning_rate: 1e-3, ..base }),
        ("one block", PredictorSettings { blocks: 1, ..base }),
        ("64 wide", PredictorSettings { width: 64, ..base }),
        ("16 wide", PredictorSettings { width: 16, ..base }),
        ("no dropout", PredictorSettings { dropout: 0.0, ..base }),
        ("dropout 0.2", PredictorSettings { dropout: 0.2, ..base }),
        ("batches of 16", PredictorSettings { batch_size: 16, ..base }),
        ("no pairs", PredictorSettings { pairs: 0.0, ..base }),
    ]
}

fn trees() -> [(&'static str, TreeSettings); 10] {
    let base = TreeSettings::default();
    [
        ("as they are", base),
        ("15 trees", TreeSettings { trees: 15, ..base }),
        ("60 trees", TreeSettings { trees: 60, ..base }),
        ("120 trees at 0.05", TreeSettings { trees: 120, learning_rate: 0.05, ..base }),
        ("60 trees at 0.1", TreeSettings { trees: 60, learning_rate: 0.1, ..base }),
        ("depth 1", TreeSettings { depth: 1, ..base }),
        ("depth 2", TreeSettings { depth: 2, ..base }),
        ("depth 5", TreeSettings { depth: 5, ..base }),
        ("leaves of 1", TreeSettings { leaf: 1, ..base }),
        ("leaves of 10", TreeSettings { leaf: 10, ..base }),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(database), Some(sweep)) = (args.next(), args.next()) else {
        return Err("give a database and a sweep".into());
    };
    let hold_out = match args.next().as_deref() {
        None => HoldOut::Plans,
        Some("initial-sizes") => HoldOut::InitialSizes,
        Some(other) => return Err(format!("{other} is not initial-sizes").into()),
    };
    let workspace = Workspace::new(database, None);
    println!("| predictor | settings | Spearman | of the ceiling | minus ridge | seconds |");
    println!("|---|---|---|---|---|---:|");
    for (number, ((nar_words, nar), (trees_words, trees))) in
        nar().into_iter().zip(trees()).enumerate()
    {
        let began = Instant::now();
        let ranked = workspace.rank(&sweep, hold_out, RankSettings { nar, trees })?;
        let seconds = began.elapsed().as_secs_f64();
        for one in &ranked.ranking.predictors {
            let words = match &*one.name {
                "ridge" if number == 0 => "nine strengths",
                "boosted_trees" => trees_words,
                "nar" => nar_words,
                _ => continue,
            };
            println!(
                "| {} | {words} | {} | {} | {} | {seconds:.0} |",
                one.name,
                text(one.spearman),
                one.of_ceiling.map_or_else(String::new, text),
                text(one.minus_ridge)
            );
        }
    }
    Ok(())
}

fn text(Drawn { value, low, high }: Drawn) -> String {
    format!("{value:.3} [{low:.3}, {high:.3}]")
}
