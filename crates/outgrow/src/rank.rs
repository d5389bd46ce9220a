//! How well the final losses of a sweep's plans can be told before they are trained, or early.

mod described;
mod measured;
mod predicted;

use std::collections::BTreeSet;

use outgrow_core::{Sweep, plan::Element};
use outgrow_search::{Predict, Ranking, Teachers, Trained, rank};
use outgrow_train::PlanPredictor;

pub use outgrow_search::Drawn;
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
    /// The predictors.
    pub ranking: Ranking,
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
        settings: PredictorSettings,
    ) -> Result<RankedPlans, Error> {
        let refused =
            |error: String| Error::Input(format!("the plans of {sweep} can't be ranked: {error}"));
        let TrainedPlans { plans, seeds, left_out } =
            self.trained_plans(sweep)?.map_err(refused)?;
        let others = match hold_out {
            HoldOut::Sweep(other) => self.known_of(other, &seeds)?,
            HoldOut::Plans | HoldOut::InitialSizes => vec![],
        };
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
        let (others_described, others): (Vec<Described>, Vec<Trained>) = others.into_iter().unzip();
        described.extend(others_described);
        let teachers = match hold_out {
            HoldOut::Sweep(_) => Teachers::Others(&others),
            HoldOut::Plans | HoldOut::InitialSizes => Teachers::Folds(&folds),
        };
        let sequences = |some: &[usize]| -> Vec<&[Element]> {
            some.iter().map(|plan| &described[*plan].sequence[..]).collect()
        };
        let nar = |of: &[usize], losses: &[f64], new: &[usize]| {
            let fit = PlanPredictor::fit(&sequences(of), losses, settings, SEED)?;
            Some(fit.predict(&sequences(new)).iter().map(|[mean, _]| *mean).collect())
        };
        // What has no like there is a tie.
        let like = |of: &[usize], losses: &[f64], new: &[usize]| {
            let one = |plan: &usize| {
                let mut all = of.iter().zip(losses);
                let like = all.find(|(other, _)| described[**other].is_like(&described[*plan]));
                like.map_or(f64::NAN, |(_, loss)| *loss)
            };
            Some(new.iter().map(one).collect())
        };
        let mut predictors: Vec<(&str, &Predict)> = vec![("nar", &nar)];
        if let HoldOut::Sweep(_) = hold_out {
            predictors.push(("the same plan there", &like));
        }
        let ranking = rank(&plans, &looks(), &predictors, teachers, SEED).map_err(refused)?;
        Ok(RankedPlans { plans: plans.len(), seeds: seeds.len(), left_out, ranking })
    }

    /// The plans of a sweep, each with its mean loss without each of the `seeds` of others.
    fn known_of(
        &self,
        sweep: &str,
        seeds: &BTreeSet<u64>,
    ) -> Result<Vec<(Described, Trained)>, Error> {
        let refused = |error: String| {
            Error::Input(format!("nothing can be predicted from the plans of {sweep}: {error}"))
        };
        let known = self.trained_plans(sweep)?.map_err(refused)?;
        let without = |losses: &[f64], seed: &u64| {
            let others = known.seeds.iter().zip(losses).filter(|(own, _)| *own != seed);
            let (sum, n) = others.fold((0.0, 0), |(sum, n), (_, loss)| (sum + loss, n + 1));
            sum / f64::from(n)
        };
        let one = |(described, trained): (Described, Trained)| {
            let losses = seeds.iter().map(|seed| without(&trained.losses, seed)).collect();
            (described, Trained { losses, ..trained })
        };
        Ok(known.plans.into_iter().map(one).collect())
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
