//! What a search has found, as whoever asked tells it.

use serde::Serialize;

/// A search so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Searched {
    /// Who asked.
    pub searcher: String,
    /// The strategies among whose plans is searched.
    pub strategies: Vec<String>,
    /// How many plans these have.
    pub plans: usize,
    /// Trainings that were asked for and have ended, and how many may be asked for.
    pub trials: usize,
    pub of_trials: usize,
    /// What these are charged, training FLOPs.
    pub charged_flops: f64,
    /// The best plans, the one that is believed to be the best first.
    pub best: Vec<Believed>,
    /// What good plans have in common.
    pub effects: Vec<Common>,
    /// Whether its trainings are compared nevertheless, for there are no others.
    pub is_compared: bool,
    /// The plan that is believed to be the best, as a strategy of a sweep file; empty before there is one.
    pub strategy: String,
}

/// What is believed of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Believed {
    /// `lattice/12`.
    pub name: String,
    /// The plan in words.
    pub plan: String,
    /// Its final loss, nats per token, and the standard error of that.
    pub loss: f64,
    pub error: f64,
    /// Seeds that it was trained under.
    pub seeds: usize,
}

/// What plans have in common, and how much lower they end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Common {
    /// `width d_model 40`, `stages`.
    pub what: String,
    /// `at 20 %`, `3`.
    pub value: String,
    /// Mean loss minus that of all plans, nats per token, with a 95 % interval.
    pub loss: f64,
    pub interval: [f64; 2],
}

/// What a search believed of a plan that another sweep trains.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Promise {
    /// The name of its sweep, and its identity by content.
    pub search: String,
    pub id: String,
    /// As [`outgrow_core::rows::TrialRow::grown_by`] calls it.
    pub plan: [String; 2],
    /// The budget of the search, as text.
    pub budget: String,
    /// Believed final loss minus the least loss of a born model, by a frontier of the search's own, nats per
    /// token; and the standard error of the believed loss.
    pub gap: f64,
    pub error: f64,
    /// Seeds that it was trained under there.
    pub seeds: usize,
}

impl Searched {
    /// What a search is, and what it is not.
    pub fn words(&self) -> String {
        let Self { searcher, plans, trials, of_trials, charged_flops, .. } = self;
        let best = self.best.first().map_or_else(String::new, |best| {
            format!(
                " {} is believed to be the best, with a final loss of {:.4} ± {:.4} nats per token.",
                best.name, best.loss, best.error
            )
        });
        let compared = match self.is_compared {
            true => "what is compared below are all plans that were asked for together",
            false => "none of these trainings is compared with anything below",
        };
        format!(
            "Search: {searcher} has asked for {trials} of {of_trials} trainings among {plans} plans of \
             {}, {:.3} TFLOP.{best} That is a belief, for the plan was chosen by the losses that it is \
             believed for, and {compared}: put the strategy of found.toml into a sweep with another seed.",
            self.strategies.join(", "),
            charged_flops / 1e12,
        )
    }
}
