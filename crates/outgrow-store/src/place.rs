//! Which trial someone means.

use outgrow_core::{
    TrialState,
    sweep::{budget_text, label},
};

use crate::{
    Store, StoreError,
    driver::{Row, args},
};

/// A trial's place in a sweep, and its last checkpoint.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Place {
    /// Identity by content.
    pub trial: String,
    pub sweep: String,
    pub sweep_id: String,
    pub strategy: String,
    pub plan: u64,
    pub replicate: u64,
    pub learning_rate: f64,
    /// The point of the sweep's grid beside that; empty without a grid.
    pub setting: String,
    /// Of the sweep's frontier; none without one.
    pub budget: Option<f64>,
    pub state: TrialState,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// The last step that is recorded; none before the first.
    pub last_step: Option<u64>,
    /// Folder of the last checkpoint, where it was written.
    pub path: Option<String>,
}

impl Place {
    /// `sweep/random/3#1@0.004 at 20 [batch_size=8]`, by which it is told from all others of its sweep.
    pub fn label(&self) -> String {
        let place = (self.plan as usize, self.replicate as usize);
        let own =
            label(&self.strategy, place, Some(self.learning_rate), self.budget, &self.setting);
        format!("{}/{own}", self.sweep)
    }

    /// Whether that is what `wanted` says: its label, or what is left of it without the sweep, the
    /// learning rate, the budget or the setting; the sweep by its name or the beginning of its
    /// identity.
    fn is(&self, wanted: &str) -> bool {
        let setting = wanted.strip_suffix(']').and_then(|wanted| wanted.split_once(" ["));
        let (wanted, setting) = match setting {
            Some((wanted, setting)) => (wanted, Some(setting)),
            None => (wanted, None),
        };
        if setting.is_some_and(|setting| setting != self.setting) {
            return false;
        }
        let budget = self.budget.map(|budget| format!(" at {}", budget_text(budget)));
        let wanted = budget.and_then(|at| wanted.strip_suffix(&*at)).unwrap_or(wanted);
        let (wanted, rate) = match wanted.rsplit_once('@') {
            Some((label, rate)) => match rate.parse::<f64>() {
                Ok(rate) => (label, Some(rate)),
                Err(_) => (wanted, None),
            },
            None => (wanted, None),
        };
        let own = format!("{}/{}#{}", self.strategy, self.plan, self.replicate);
        let sweep = wanted.strip_suffix(&own).map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let is_sweep = sweep.is_some_and(|sweep| {
            let is_identity = sweep.len() >= SHORTEST && self.sweep_id.starts_with(sweep);
            sweep == self.sweep || is_identity || sweep.is_empty() && wanted.len() == own.len()
        });
        is_sweep && rate.is_none_or(|rate| (rate / self.learning_rate - 1.0).abs() < 1e-6)
    }
}

/// An identity's beginning must be so long to be taken for one.
const SHORTEST: usize = 4;

impl Store {
    /// The places of trials that answer to an identity, the beginning of one, or a label
    /// (`sweep/strategy/plan#replicate@rate`, whose first and last part may be left out, and whose
    /// sweep is a name or the beginning of an identity): of each trial the first.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn places(&self, wanted: &str) -> Result<Vec<Place>, StoreError> {
        let all = "SELECT t.id, s.name, s.id, m.strategy, m.plan, m.replicate, m.learning_rate, \
                   m.setting, m.budget, t.state, t.error,
                   (SELECT max(step) FROM step_metric l WHERE l.trial = t.number), (SELECT path FROM checkpoint c WHERE c.trial = t.number
                    ORDER BY c.step DESC LIMIT 1)
                   FROM member m JOIN trial t ON t.number = m.trial JOIN sweep s ON s.id = \
                   m.sweep_id
                   WHERE t.id = $1 OR ($2 <> '' AND t.id LIKE $2 || '%') OR $3 = 1
                   ORDER BY s.created_at DESC, m.position";
        let is_identity = wanted.len() >= SHORTEST && wanted.chars().all(|c| c.is_ascii_hexdigit());
        let start = if is_identity { wanted } else { "" };
        let read = |row: Row| {
            let (trial, sweep, sweep_id, strategy) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            let (plan, replicate, learning_rate) = (row.get(4)?, row.get(5)?, row.get(6)?);
            let state = row.get(9).unwrap_or(TrialState::Waiting);
            let (setting, budget, path) = (row.get(7)?, row.get(8)?, row.get(12)?);
            let (error, last_step) = (row.get(10)?, row.get(11)?);
            Ok(Place {
                trial,
                sweep,
                sweep_id,
                strategy,
                plan,
                replicate,
                learning_rate,
                setting,
                budget,
                state,
                error,
                last_step,
                path,
            })
        };
        let by_label = !is_identity;
        let args = args![wanted, start, by_label];
        let mut places = self.read().await?.map(all, args, read).await?;
        if by_label {
            places.retain(|place| place.is(wanted));
        }
        let mut seen = std::collections::BTreeSet::new();
        places.retain(|place| seen.insert(place.trial.clone()));
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_leave_out_its_sweep_and_its_rate() {
        let place = Place {
            trial: "0".repeat(32),
            sweep: "a/b".into(),
            sweep_id: "1".repeat(32),
            strategy: "all_at_once".into(),
            plan: 3,
            replicate: 1,
            learning_rate: 0.004,
            setting: "batch_size=8".into(),
            budget: Some(20.0),
            state: TrialState::Complete,
            error: None,
            last_step: None,
            path: None,
        };
        for wanted in [
            "a/b/all_at_once/3#1@0.004",
            "a/b/all_at_once/3#1@4e-3",
            "a/b/all_at_once/3#1",
            "all_at_once/3#1",
            "all_at_once/3#1@0.004",
            "all_at_once/3#1 [batch_size=8]",
            "1111/all_at_once/3#1",
            "1111111111111111/all_at_once/3#1@0.004",
            "a/b/all_at_once/3#1@0.004 [batch_size=8]",
            "all_at_once/3#1 at 20",
            "a/b/all_at_once/3#1@4e-3 at 20 [batch_size=8]",
        ] {
            assert!(place.is(wanted), "{wanted}");
        }
        for other in [
            "all_at_once/3#1@0.008",
            "all_at_once/3#1 [batch_size=16]",
            "all_at_once/3#1@0.004 at 40",
            "all_at_once/3#1 at 2",
            "b/all_at_once/3#1",
            "111/all_at_once/3#1",
            "1112/all_at_once/3#1",
            "once/3#1",
            "3#1",
            "",
            "@",
        ] {
            assert!(!place.is(other), "{other}");
        }
        assert!(place.is(&place.label()));
    }
}
