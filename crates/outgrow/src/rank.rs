//! How well the final losses of a sweep's plans can be told before they are trained, or early.

mod described;
mod measured;
mod predicted;

use outgrow_core::{Sweep, plan::Element};
use outgrow_search::{Predict, Ranking, Teachers, Trained, mean_without, rank};
use outgrow_train::PlanPredictor;

pub use outgrow_search::{Drawn, TreeSettings};
pub use outgrow_train::PredictorSettings;

pub use self::predicted::{PredictBy, PredictedPlan};
use self::{
    described::{Described, numbered},
    measured::{LAG, LAST, TrainedPlans, trained},
};
use crate::{
    error::Error,
    rows::rows,
    workspace::{Workspace, runtime},
};

/// What [`Workspace::rank`] found.
pub struct RankedPlans {
    /// How many plans, and the seeds that all of them were trained under.
    pub plans: usize,
    /// See [`Self::plans`].
    pub seeds: usize,
    /// Plans that did not come to their end under all of these.
    pub left_out: usize,
    /// The plans of the other sweep that they are predicted from.
    pub from: Option<OtherPlans>,
    /// The predictors.
    pub ranking: Ranking,
}

/// Plans that others are predicted from.
pub struct OtherPlans {
    /// How many, and the seeds that all of them were trained under.
    pub plans: usize,
    /// See [`Self::plans`].
    pub seeds: usize,
    /// Plans that did not come to their end under all of these.
    pub left_out: usize,
    /// How many of those that are predicted are among them, but for their budget.
    pub alike: usize,
}

/// The plans of another sweep.
#[derive(Default)]
struct Known {
    /// None if there is no other sweep.
    from: Option<OtherPlans>,
    plans: Vec<(Described, Trained)>,
    /// For each of those that are predicted, its number among these.
    alike: Vec<Option<usize>>,
}

/// How predictors are fitted.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct RankSettings {
    pub nar: PredictorSettings,
    pub trees: TreeSettings,
}

/// What plans are predicted without having seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HoldOut<'a> {
    /// A tenth of the plans.
    #[default]
    Plans,
    /// All plans that begin with the same sizes.
    InitialSizes,
    /// The whole sweep: its plans are predicted from those of this one.
    Sweep(&'a str),
}

impl Workspace {
    /// Ranks the growing plans of a sweep that came to their end under the same seeds: by features of
    /// the plan, predicted from other plans, and by losses that are seen early.
    ///
    /// # Errors
    /// If there is no such sweep, too few of its plans have the same seeds, or a plan was trained at
    /// several points of the grid.
    pub fn rank(
        &self,
        sweep: &str,
        hold_out: HoldOut,
        RankSettings { nar: settings, trees }: RankSettings,
    ) -> Result<RankedPlans, Error> {
        let refused =
            |error: String| Error::Input(format!("the plans of {sweep} can't be ranked: {error}"));
        let own = self.trained_plans(sweep)?.map_err(refused)?;
        let other = match hold_out {
            HoldOut::Sweep(other) => Some(self.known_of(other, &own)?),
            HoldOut::Plans | HoldOut::InitialSizes => None,
        };
        let TrainedPlans { plans, seeds, left_out, .. } = own;
        let (mut described, plans): (Vec<Described>, Vec<Trained>) = plans.into_iter().unzip();
        let folds: Vec<usize> = match hold_out {
            // Names are digests, in order: as good as drawn. A plan under another policy is no other.
            HoldOut::Plans => {
                let plans = numbered(described.iter().map(|one| &one.plan));
                plans.into_iter().map(|plan| plan % FOLDS).collect()
            }
            HoldOut::InitialSizes => numbered(described.iter().map(|one| &one.initial)),
            HoldOut::Sweep(_) => vec![],
        };
        let Known { from, plans: others, alike } = other.unwrap_or_default();
        let (others_described, others): (Vec<Described>, Vec<Trained>) = others.into_iter().unzip();
        described.extend(others_described);
        let teachers = match from {
            Some(_) => Teachers::Others(&others),
            None => Teachers::Folds(&folds),
        };
        let sequences = |some: &[usize]| -> Vec<&[Element]> {
            some.iter().map(|plan| &described[*plan].sequence[..]).collect()
        };
        let nar = |of: &[usize], losses: &[f64], new: &[usize]| {
            let fit = PlanPredictor::fit(&sequences(of), losses, settings, SEED)?;
            Some(fit.predict(&sequences(new)).iter().map(|[mean, _]| *mean).collect())
        };
        // It is asked for the plans of this sweep, from all of the other one.
        let like = |_: &[usize], losses: &[f64], new: &[usize]| {
            let one = |plan: &usize| alike[*plan].map_or(f64::NAN, |other| losses[other]);
            Some(new.iter().map(one).collect())
        };
        let mut predictors: Vec<(&str, &Predict)> = vec![("nar", &nar)];
        if from.as_ref().is_some_and(|from| from.alike > 0) {
            predictors.push(("the same plan there", &like));
        }
        let ranking =
            rank(&plans, &looks(), &predictors, teachers, trees, SEED).map_err(refused)?;
        Ok(RankedPlans { plans: plans.len(), seeds: seeds.len(), left_out, from, ranking })
    }

    /// The plans of a sweep, each with its mean loss without each of the seeds of the others, which are
    /// predicted from them.
    fn known_of(&self, sweep: &str, predicted: &TrainedPlans) -> Result<Known, Error> {
        let refused = |error: String| {
            Error::Input(format!("nothing can be predicted from the plans of {sweep}: {error}"))
        };
        let known = self.trained_plans(sweep)?.map_err(refused)?;
        if known.sweep == predicted.sweep {
            return Err(refused("it is the sweep whose plans are predicted".into()));
        }
        known.are_enough().map_err(refused)?;
        let described = || known.plans.iter().map(|(own, _)| own);
        let alike: Vec<Option<usize>> =
            predicted.plans.iter().map(|(own, _)| own.nearest(described())).collect();
        let from = OtherPlans {
            plans: known.plans.len(),
            seeds: known.seeds.len(),
            left_out: known.left_out,
            alike: alike.iter().flatten().count(),
        };
        let one = |(described, trained): (Described, Trained)| {
            let without = |seed: &u64| {
                let own = known.seeds.iter().position(|own| own == seed);
                mean_without(&trained.losses, own)
            };
            let losses = predicted.seeds.iter().map(without).collect();
            (described, Trained { losses, ..trained })
        };
        Ok(Known { from: Some(from), plans: known.plans.into_iter().map(one).collect(), alike })
    }

    /// What is known of the growing plans of a sweep before and after.
    fn trained_plans(&self, sweep: &str) -> Result<Result<TrainedPlans, String>, Error> {
        runtime()?.block_on(async {
            let input = rows(self, sweep).await?;
            let definitions = self.reading().await?.definitions(&input.id).await?;
            let sweep = Sweep::parse(&input.spec).map_err(Error::input(sweep))?;
            Ok(trained(&input, &definitions, sweep.target()))
        })
    }
}

/// The names of what is seen of a training early.
fn looks() -> Vec<String> {
    let last = LAST.map(|share| format!("loss at {} %", 100.0 * share));
    let lag = LAG.map(|share| format!("loss {} % after the last growth", 100.0 * share));
    last.into_iter().chain(lag).collect()
}

/// Plans are predicted from others, so many times.
const FOLDS: usize = 10;
/// Of what predictors draw.
const SEED: u64 = 0;
