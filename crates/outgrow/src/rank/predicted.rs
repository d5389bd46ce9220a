//! The losses of plans that were not trained, by plans that were.

use std::{collections::BTreeSet, path::Path};

use outgrow_core::sweep::Member;
use outgrow_search::{Ridge, mean_without};
use outgrow_train::{PlanPredictor, PredictorSettings};

use super::{SEED, described::Described};
use crate::{
    error::Error,
    plan::{growths, plan_name},
    sweep_file::SweepFile,
    workspace::Workspace,
};

/// What [`Workspace::predict`] predicts by.
pub enum PredictBy<'a> {
    /// Fitted to the growing plans of this sweep, which came to their end under the same seeds; and
    /// saved there.
    Sweep(&'a str, PredictorSettings, Option<&'a Path>),
    /// Saved before.
    File(&'a Path),
}

/// What is predicted of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedPlan {
    /// As `random/3 at 20`.
    pub name: String,
    /// Final loss, nats per token: mean and standard deviation over the networks of `nar`.
    pub nar: [f64; 2],
    /// By ridge regression; none of a predictor that was saved.
    pub ridge: Option<f64>,
    /// Whether nothing like it was seen: another target, other numbers of tokens, other growths.
    pub beyond: bool,
    /// When it grows, and how, in words.
    pub growths: String,
}

impl Workspace {
    /// The final losses of the growing plans of a file, the lowest first.
    ///
    /// # Errors
    /// If the file has no plan that grows, there is nothing to fit, or a predictor can't be read or
    /// written.
    pub fn predict(&self, file: &SweepFile, by: PredictBy) -> Result<Vec<PredictedPlan>, Error> {
        let members = file.members("")?;
        let mut seen = BTreeSet::new();
        let is_new = |member: &&Member| {
            let trial = &member.trial;
            let plan = (trial.plan.id(), trial.settings.tokens);
            !trial.plan.stages().is_empty() && seen.insert(plan)
        };
        let plans: Vec<&Member> = members.iter().filter(is_new).collect();
        if plans.is_empty() {
            let path = file.path().display();
            return Err(Error::Input(format!(
                "{path} has no plan that grows: nothing is predicted"
            )));
        }
        let target = file.sweep().target();
        let described: Vec<Described> =
            plans.iter().map(|member| Described::of(&member.trial, target)).collect();
        let (nar_of, ridge) = self.fitted(by)?;
        let sequences: Vec<&[_]> = described.iter().map(|plan| &plan.sequence[..]).collect();
        let said = nar_of.predict(&sequences);
        let one = |((member, plan), nar): ((&&Member, &Described), [f64; 2])| PredictedPlan {
            name: plan_name(member),
            nar,
            ridge: ridge.as_ref().map(|ridge| ridge.mean(&plan.features)),
            beyond: nar_of.is_beyond(&plan.sequence),
            growths: in_words(member),
        };
        let mut all: Vec<PredictedPlan> = plans.iter().zip(&described).zip(said).map(one).collect();
        all.sort_by(|a, b| a.nar[0].total_cmp(&b.nar[0]));
        Ok(all)
    }

    fn fitted(&self, by: PredictBy) -> Result<(PlanPredictor, Option<Ridge>), Error> {
        let (sweep, settings, save) = match by {
            PredictBy::File(path) => {
                return Ok((PlanPredictor::load(path).map_err(Error::Input)?, None));
            }
            PredictBy::Sweep(sweep, settings, save) => (sweep, settings, save),
        };
        let refused = |error: String| {
            Error::Input(format!("nothing can be predicted by the plans of {sweep}: {error}"))
        };
        let trained = self.trained_plans(sweep)?.map_err(refused)?;
        trained.are_enough().map_err(refused)?;
        let known = trained.plans;
        let sequences: Vec<&[_]> = known.iter().map(|(plan, _)| &plan.sequence[..]).collect();
        let features: Vec<Vec<f64>> = known.iter().map(|(plan, _)| plan.features.clone()).collect();
        let losses: Vec<f64> =
            known.iter().map(|(_, trained)| mean_without(&trained.losses, None)).collect();
        settings.check().map_err(Error::Input)?;
        let Some(nar) = PlanPredictor::fit(&sequences, &losses, settings, SEED) else {
            return Err(refused("they are too few".into()));
        };
        if let Some(path) = save {
            nar.save(path).map_err(Error::Input)?;
        }
        Ok((nar, Ridge::fit(&features, &losses)))
    }
}

fn in_words(member: &Member) -> String {
    let one =
        |([_, compute], growth): ([f64; 2], String)| format!("{:.0} %: {growth}", 100.0 * compute);
    growths(member).into_iter().map(one).collect::<Vec<_>>().join(". ")
}
