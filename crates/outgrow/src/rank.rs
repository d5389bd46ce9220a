//! How well the final losses of a sweep's plans can be told before they are trained, or early.

mod described;
mod measured;
mod predicted;

use outgrow_core::{Sweep, plan::Element};
use outgrow_search::{Predict, Ranking, Trained, rank};
use outgrow_train::PlanPredictor;

pub use outgrow_search::Drawn;
pub use outgrow_train::PredictorSettings;

pub use self::predicted::{PredictBy, PredictedPlan};
use self::{
    described::{Described, numbered},
    measured::{LAG, LAST, trained},
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
    /// The predictors.
    pub ranking: Ranking,
}

/// What plans are predicted without having seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HoldOut {
    /// A tenth of the plans.
    #[default]
    Plans,
    /// All plans that begin with the same sizes.
    InitialSizes,
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
        settings: PredictorSettings,
    ) -> Result<RankedPlans, Error> {
        let refused =
            |error: String| Error::Input(format!("the plans of {sweep} can't be ranked: {error}"));
        let (plans, left_out) = self.trained_plans(sweep)?.map_err(refused)?;
        let (described, plans): (Vec<Described>, Vec<Trained>) = plans.into_iter().unzip();
        let last = LAST.map(|share| format!("loss at {} %", 100.0 * share));
        let lag = LAG.map(|share| format!("loss {} % after the last growth", 100.0 * share));
        let looks: Vec<String> = last.into_iter().chain(lag).collect();
        let sequences = |some: &[usize]| -> Vec<&[Element]> {
            some.iter().map(|plan| &described[*plan].sequence[..]).collect()
        };
        let nar = |of: &[usize], losses: &[f64], new: &[usize]| {
            let fit = PlanPredictor::fit(&sequences(of), losses, settings, SEED)?;
            Some(fit.predict(&sequences(new)).iter().map(|[mean, _]| *mean).collect())
        };
        let others: [(&str, &Predict); 1] = [("nar", &nar)];
        let folds: Vec<usize> = match hold_out {
            // Names are digests, in order: as good as drawn. A plan under another policy is no other.
            HoldOut::Plans => {
                let plans = numbered(described.iter().map(|one| &one.plan));
                plans.into_iter().map(|plan| plan % FOLDS).collect()
            }
            HoldOut::InitialSizes => numbered(described.iter().map(|one| &one.initial)),
        };
        let ranking = rank(&plans, &looks, &others, &folds, SEED).map_err(refused)?;
        let seeds = plans.first().map_or(0, |plan| plan.losses.len());
        Ok(RankedPlans { plans: plans.len(), seeds, left_out, ranking })
    }

    /// What is known of the growing plans of a sweep before and after, and how many others there are.
    fn trained_plans(&self, sweep: &str) -> Result<Result<TrainedPlans, String>, Error> {
        runtime()?.block_on(async {
            let input = rows(self, sweep).await?;
            let definitions = self.reading().await?.definitions(&input.id).await?;
            let sweep = Sweep::parse(&input.spec).map_err(Error::input(sweep))?;
            Ok(trained(&input, &definitions, sweep.target()))
        })
    }
}

/// Plans, and how many others there are.
type TrainedPlans = (Vec<(Described, Trained)>, usize);

/// Plans are predicted from others, so many times.
const FOLDS: usize = 10;
/// Of what predictors draw.
const SEED: u64 = 0;
