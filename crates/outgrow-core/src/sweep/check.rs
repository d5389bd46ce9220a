//! Values of a sweep file that are out of range, or contradict each other.

use std::collections::BTreeSet;

use super::{
    error::{SweepError, at_least_one, at_most, bad, positive, share, shown},
    form::ModelSpec,
    frontier::FrontierSpec,
    names, policy,
    rates::RatesSpec,
    sizes::SizesSpec,
    spec::{
        Budget, ControlsSpec, DataSpec, EvaluationSpec, OptimizerSpec, StrategySpec, SweepSpec,
        TrainingSpec, VOCAB_SIZE,
    },
};
use crate::{
    model::{Architecture, MAX_SIZE},
    plan::{GrowthPolicy, Strategy},
};

/// No trial trains more tokens: up to there every reader of numbers is exact.
pub(super) const MOST_TOKENS: u64 = 1 << 53;

/// A sweep has at most so many trials.
const MOST_TRIALS: u128 = 100_000;

/// No search is over more.
const MOST_SEARCHED_RATES: usize = 64;

/// A growth is followed by at most so many evaluations of its own.
const MOST_EVALUATIONS: usize = 64;

/// The models that the trials of a sweep grow through have at most so many heads together.
const MOST_HEADS: u128 = 1 << 24;

impl SweepSpec {
    /// Fills in what the initial checkpoint says: it has this architecture, and weights of this
    /// digest.
    ///
    /// # Errors
    /// If the sweep says something else than the checkpoint, or wants of it what it can't do.
    pub fn begin_from(
        &mut self,
        architecture: &Architecture,
        digest: String,
    ) -> Result<(), SweepError> {
        let checkpoint = self.initial.checkpoint.clone();
        let said = SizesSpec { checkpoint: checkpoint.clone(), ..SizesSpec::none() };
        let (digest, eps_sum) = (Some(digest), Some(architecture.form.eps_sum));
        let filled = SizesSpec { checkpoint, digest, eps_sum, ..SizesSpec::of(architecture) };
        if self.initial != said && self.initial != filled {
            return bad(
                "initial",
                "a checkpoint and sizes",
                "the sizes are those of the checkpoint: leave them out",
            );
        }
        self.initial = filled;
        self.target.fill_from(&self.initial);
        if let Some(base) = self.training.rates.as_mut().and_then(|rates| rates.base.as_mut()) {
            base.fill_from(&self.target);
        }
        let width = self.target.d_model.unwrap_or(architecture.d_model);
        let model = ModelSpec::of(&architecture.form, width);
        // Its own configuration says ε at its own width.
        let own = ModelSpec::of(&architecture.form, architecture.d_model);
        let is_known = |given: ModelSpec| given.is_like(&model) || given.is_like(&own);
        if let Some(given) = self.model.filter(|given| !is_known(*given)) {
            if (ModelSpec { norm_eps: model.norm_eps, ..given }).is_like(&model) {
                let allowed = format!(
                    "the checkpoint's is {:?}, and {:?} at the width of the target: leave it out",
                    own.norm_eps, model.norm_eps
                );
                return bad("model.norm_eps", shown(given.norm_eps), &allowed);
            }
            let allowed = "leave it out: it is that of the checkpoint";
            return bad("model", "another form than the checkpoint's", allowed);
        }
        self.model = Some(model);
        let known = architecture.vocab_size;
        if architecture.n_outputs != known {
            return bad(
                "initial.checkpoint",
                "no language model",
                "it must have as many outputs as tokens",
            );
        }
        self.take_vocabulary(known)?;
        if self.data.seq_len > architecture.seq_len {
            let allowed = format!("the checkpoint reads at most {}", architecture.seq_len);
            return bad("data.seq_len", self.data.seq_len, &allowed);
        }
        Ok(())
    }

    /// Fills in how many tokens the checkpoint knows, unless the text has more.
    fn take_vocabulary(&mut self, known: usize) -> Result<(), SweepError> {
        match self.data.vocab_size {
            Some(n) if n > known => {
                let field = if self.data.tokenizer.is_some() {
                    "data.tokenizer"
                } else {
                    "data.vocab_size"
                };
                return bad(
                    field,
                    format!("one of {n} tokens"),
                    &format!("the checkpoint knows {known}"),
                );
            }
            None if self.data.tokenizer.is_none() && known != VOCAB_SIZE => {
                return bad(
                    "initial.checkpoint",
                    format!("one of {known} tokens"),
                    "text without a tokenizer has 256: name the model's own as data.tokenizer",
                );
            }
            _ => {
                self.data.vocab_size = Some(known)
                    .filter(|&known| self.data.tokenizer.is_some() || known != VOCAB_SIZE)
            }
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), SweepError> {
        if self.version != 1 {
            return bad("version", self.version, "this outgrow reads version 1");
        }
        names::check_sweep(&self.name)?;
        self.model.iter().try_for_each(ModelSpec::check)?;
        if self.seed >> 53 != 0 {
            return bad("seed", self.seed, "it must be below 2^53");
        }
        at_least_one("replicates", self.replicates as u64)?;
        self.data.check()?;
        self.training
            .check((self.training.batch_size as u64).saturating_mul(self.data.seq_len as u64))?;
        at_least_one("evaluation.every_tokens", self.evaluation.every_tokens)?;
        at_least_one("evaluation.tokens", self.evaluation.tokens)?;
        at_least_one("evaluation.record_every_tokens", self.evaluation.record_every_tokens)?;
        self.evaluation.check_after_growth()?;
        at_least_one("checkpoints.every_tokens", self.checkpoints.every_tokens)?;
        self.check_strategies()?;
        self.controls.check()?;
        self.frontier.as_ref().map_or(Ok(()), FrontierSpec::check)?;
        self.grid.check()?;
        self.check_search()?;
        self.check_tuning()?;
        self.check_widening()?;
        let plans = |strategy: &StrategySpec| {
            (strategy.strategy.plans() as u128)
                .saturating_mul(self.grid.points_of(&strategy.name) as u128)
        };
        let plans = self.strategies.iter().map(plans).fold(0, u128::saturating_add);
        self.check_trials(plans.saturating_mul(self.grid.points() as u128), "plans").map(drop)
    }

    /// How many trials so many plans make, if they are not too many. `what` says which plans.
    pub(super) fn check_trials(&self, plans: u128, what: &str) -> Result<u128, SweepError> {
        let (rates, replicates) =
            (self.candidate_rates().len() as u128, self.all_replicates() as u128);
        let trials = plans.saturating_mul(rates).saturating_mul(replicates);
        if trials > MOST_TRIALS {
            let product = format!("{plans} × {rates} × {replicates} = {trials}");
            let allowed = format!("a sweep has at most {MOST_TRIALS} trials");
            let seeds = match self.tuning_replicates {
                0 => "replicates",
                _ => "(replicates + tuning_replicates)",
            };
            return bad(&format!("{what} × learning rates × {seeds}"), product, &allowed);
        }
        Ok(trials)
    }

    /// Refuses seeds to tune with where they could choose nothing, or too few of them.
    fn check_tuning(&self) -> Result<(), SweepError> {
        let (field, given) = ("tuning_replicates", self.tuning_replicates);
        let has_own = |strategy: &StrategySpec| self.grid.points_of(&strategy.name) > 1;
        let has_points = self.rates().len() > 1 || self.grid.points() > 1;
        match given {
            0 => Ok(()),
            1 => bad(
                field,
                given,
                "one seed alone prefers a rate by luck: at least 2, or 0 to choose on the seeds \
                 that are compared",
            ),
            _ if has_points || self.strategies.iter().any(has_own) => Ok(()),
            _ => bad(
                field,
                given,
                "they choose among the points of the grid, and there is one only: give \
                 grid.training.learning_rate several values, such as [1e-3, 2e-3, 4e-3], or leave \
                 it out",
            ),
        }
    }

    /// Refuses a search that could ask for nothing, or among nothing.
    pub(super) fn check_search(&self) -> Result<(), SweepError> {
        let Some(search) = &self.search else { return Ok(()) };
        search.check()?;
        self.check_searched(search.strategy.all())?;
        if self.training.match_budget == Budget::Tokens {
            let allowed = "plans of equal tokens differ in compute, and the dearest would be found: \
                           \"flops\"";
            return bad("training.match_budget", "\"tokens\"", allowed);
        }
        if self.tuning_replicates > 0 || self.widen {
            let allowed = "a search compares plans under the same seeds, so nothing is tuned: leave out \
                           tuning_replicates and widen; rates of grid.training.learning_rate are \
                           searched with the plans";
            return bad("search", "given", allowed);
        }
        if self.grid.points() > 1
            || search.strategy.all().iter().any(|name| self.grid.points_of(name) > 1)
        {
            let allowed = "of a grid learning rates alone are searched with the plans: leave out the \
                           rest of [grid], or run a search for each point";
            return bad("search", "given", allowed);
        }
        if self.rates().len() > MOST_SEARCHED_RATES {
            let allowed = format!("a search is over at most {MOST_SEARCHED_RATES} learning rates");
            return bad("grid.training.learning_rate", self.rates().len(), &allowed);
        }
        let looks_around = |own: &StrategySpec| matches!(own.strategy, Strategy::ChooseAfter(_));
        if let Some(own) =
            self.strategies.iter().find(|own| search.asynchronous && looks_around(own))
        {
            let allowed =
                format!("{} would make it wait: put that into a sweep of its own", own.name);
            return bad("search.asynchronous", true, &allowed);
        }
        let budgets = self.frontier.as_ref().and_then(|frontier| frontier.strategies_at.as_ref());
        if budgets.is_some_and(|budgets| budgets.len() > 1) {
            let allowed = "plans are compared at one budget: give frontier.strategies_at one";
            return bad("search", "given", allowed);
        }
        Ok(())
    }

    /// Refuses names that are of no lattice, or of several.
    fn check_searched(&self, names: &[String]) -> Result<(), SweepError> {
        let refuse =
            |given: &str, allowed: &str| bad("search.strategy", format!("{given:?}"), allowed);
        let of = |name: &str| {
            let named = self.strategies.iter().find(|found| found.name == *name)?;
            match &named.strategy {
                Strategy::Enumerated(own) => Some((own.lattice(), named.strategy.is_random())),
                _ => None,
            }
        };
        let Some(first) = names.first() else {
            return refuse("[]", "name a strategy of the kind enumerated");
        };
        for (number, name) in names.iter().enumerate() {
            let Some((lattice, is_random)) = of(name) else {
                let all = self.strategies.iter().map(|found| found.name.as_str());
                let all: Vec<&str> = all.filter(|name| of(name).is_some()).collect();
                let allowed = match all.is_empty() {
                    true => "it must be of the kind enumerated, and no strategy is".into(),
                    false => {
                        format!("it must be a strategy of the kind enumerated: {}", all.join(", "))
                    }
                };
                return refuse(name, &allowed);
            };
            if names[..number].contains(name) {
                return refuse(name, "it is named twice");
            }
            if is_random {
                let allowed = "plans whose layers are drawn are others for each seed: give it \
                               layers = \"end\", \"start\" or \"interleave\"";
                return refuse(name, allowed);
            }
            if of(first).map(|(lattice, _)| lattice) != Some(lattice) {
                let allowed = format!(
                    "strategies that are searched together are of one lattice: give it the axes, the \
                     places and the max_stages of {first}"
                );
                return refuse(name, &allowed);
            }
        }
        Ok(())
    }

    /// Refuses to widen what nothing is tuned by.
    fn check_widening(&self) -> Result<(), SweepError> {
        match (self.widen, self.tuning_replicates) {
            (true, 0) => bad(
                "widen",
                true,
                "whether a grid is wide enough is seen on seeds that only tune: give \
                 tuning_replicates = 2, or leave it out",
            ),
            (true, _) if self.rates().len() < 3 => bad(
                "widen",
                true,
                "a best rate between others needs at least three: give \
                 grid.training.learning_rate three values, such as [1e-3, 2e-3, 4e-3]",
            ),
            _ => Ok(()),
        }
    }

    /// Refuses what would not fit the memory: every trial holds the sizes that it grows through.
    pub(super) fn check_extent(&self, target: &Architecture) -> Result<(), SweepError> {
        let heads = target.n_heads() as u128;
        let budgets = self.frontier.as_ref().and_then(|frontier| frontier.strategies_at.as_ref());
        let each = (self.rates().len() as u128)
            .saturating_mul(self.all_replicates() as u128)
            .saturating_mul(budgets.map_or(1, Vec::len) as u128);
        let mut all = 0_u128;
        for StrategySpec { name, strategy, .. } in &self.strategies {
            let (trials, sizes) =
                (each.saturating_mul(strategy.plans() as u128), strategy.stages() as u128 + 1);
            all = all.saturating_add(trials.saturating_mul(sizes).saturating_mul(heads));
            if all > MOST_HEADS {
                let allowed = format!(
                    "the sizes that all trials of a sweep grow through may have {MOST_HEADS} \
                     heads together; ask for fewer plans, stages or replicates"
                );
                let extent = format!(
                    "of {trials} trials that have up to {sizes} sizes each, of up to {heads} heads"
                );
                return bad(&format!("strategies: {name}"), extent, &allowed);
            }
        }
        Ok(())
    }

    fn check_strategies(&self) -> Result<(), SweepError> {
        if self.strategies.is_empty() {
            return bad("strategies", "empty", "name at least one [[strategies]]");
        }
        let mut seen = BTreeSet::new();
        for strategy in &self.strategies {
            let name = &strategy.name;
            names::check_strategy(name)?;
            strategy.policy(&self.training)?;
            if !seen.insert(name) {
                return bad(
                    "strategies.name",
                    format!("{name:?}"),
                    "each strategy needs a name of its own",
                );
            }
        }
        Ok(())
    }
}

impl StrategySpec {
    /// Its policy at growth, in a sweep with this one.
    ///
    /// # Errors
    /// If the two make none, or one with values out of range.
    pub(super) fn policy(&self, training: &TrainingSpec) -> Result<GrowthPolicy, SweepError> {
        let sweep = &training.growth;
        let Some(own) = &self.growth else { return Ok(sweep.clone()) };
        let table = format!("strategies.{}.growth", self.name);
        let policy = own.over(sweep).or_else(|why| bad(&table, "wrong", &why))?;
        policy::check(&table, &policy, training.rates.as_ref().map(|rates| rates.rule))?;
        Ok(policy)
    }
}

impl EvaluationSpec {
    fn check_after_growth(&self) -> Result<(), SweepError> {
        let steps = &self.after_growth;
        let rises = steps.first() != Some(&0) && steps.is_sorted_by(|a, b| a < b);
        if rises && steps.len() <= MOST_EVALUATIONS {
            return Ok(());
        }
        let allowed = format!(
            "numbers of steps that rise from 1 on, at most {MOST_EVALUATIONS}; [] for none"
        );
        bad("evaluation.after_growth", format!("{steps:?}"), &allowed)
    }
}

impl ControlsSpec {
    fn check(&self) -> Result<(), SweepError> {
        at_most("controls.fixed_sizes", self.fixed_sizes.unwrap_or(0) as u64, 16)
    }
}

impl DataSpec {
    fn check(&self) -> Result<(), SweepError> {
        at_least_one("data.seq_len", self.seq_len as u64)?;
        at_most("data.seq_len", self.seq_len as u64, MAX_SIZE as u64)?;
        if let Some(vocab_size) = self.vocab_size {
            at_least_one("data.vocab_size", vocab_size as u64)?;
            at_most("data.vocab_size", vocab_size as u64, MAX_SIZE as u64)?;
        }
        self.check_tokenizer()?;
        self.check_files()?;
        for (field, paths) in
            [("data.paths", &self.paths), ("data.validation_paths", &self.validation_paths)]
        {
            if paths.iter().flatten().any(|path| path.trim().is_empty()) {
                return bad(field, "an empty name", "name files and folders; this one is \".\"");
            }
        }
        self.check_split()
    }

    /// Which text, and which of it is validation text.
    fn check_split(&self) -> Result<(), SweepError> {
        match (&self.corpus, &self.paths, self.validation) {
            (Some(_), None, None) => Ok(()),
            (Some(_), None, Some(v)) => bad(
                "data.validation",
                shown(v),
                "a built-in corpus brings its own split: leave it out",
            ),
            (None, Some(paths), _) if paths.is_empty() => {
                bad("data.paths", "empty", "name at least one file or folder")
            }
            (None, Some(_), Some(v)) if v > 0.0 && v < 1.0 => Ok(()),
            (None, Some(_), Some(v)) => {
                bad("data.validation", shown(v), "it must be a share between 0 and 1")
            }
            (None, Some(_), None) if self.validation_paths.is_some() => Ok(()),
            (None, Some(_), None) => bad(
                "data.validation",
                "missing",
                "say which share of each file, for example 0.1, or name files of their own as \
                 `validation_paths`",
            ),
            (Some(_), Some(_), _) => {
                bad("data", "both `corpus` and `paths`", "give one of the two")
            }
            (None, None, _) => bad(
                "data",
                "without text",
                "give `corpus = \"rust-crates\"` or `paths = [\"...\"]`",
            ),
        }
    }

    /// What says how text becomes tokens.
    fn check_tokenizer(&self) -> Result<(), SweepError> {
        match (&self.tokenizer, self.vocab_size, &self.end_of_text) {
            (None, Some(n), _) if n < VOCAB_SIZE => {
                let allowed =
                    "text without a tokenizer is bytes, of which there are 256: leave it out";
                bad("data.vocab_size", n, allowed)
            }
            (Some(tokenizer), ..) if self.paths.is_none() => bad(
                "data.tokenizer",
                tokenizer,
                "a built-in corpus is read as bytes: give `paths`, or leave it out",
            ),
            (Some(_), None, _) => {
                bad("data.vocab_size", "missing", "how many tokens does the tokenizer know?")
            }
            (None, _, Some(end)) => bad(
                "data.end_of_text",
                format!("{end:?}"),
                "only a tokenizer has such a token: leave it out",
            ),
            _ => Ok(()),
        }
    }

    /// What says how files are read.
    fn check_files(&self) -> Result<(), SweepError> {
        let given = [
            ("data.validation_paths", self.validation_paths.is_some()),
            ("data.field", self.field.is_some()),
            ("data.format", self.format.is_some()),
            ("data.joined", self.joined),
        ];
        if let (None, Some((field, _))) = (&self.paths, given.into_iter().find(|(_, given)| *given))
        {
            return bad(
                field,
                "given",
                "a built-in corpus brings its own text: give `paths`, or leave it out",
            );
        }
        match (&self.validation_paths, self.validation) {
            (Some(paths), _) if paths.is_empty() => {
                bad("data.validation_paths", "empty", "name at least one file or folder")
            }
            (Some(_), Some(v)) => bad(
                "data.validation",
                v,
                "validation text is that of `validation_paths`: give one of the two",
            ),
            _ if self.joined && self.tokenizer.is_some() && self.end_of_text.is_none() => bad(
                "data.joined",
                "true",
                "say which token stands between documents as `end_of_text`",
            ),
            _ => Ok(()),
        }
    }
}

impl TrainingSpec {
    fn check(&self, step_tokens: u64) -> Result<(), SweepError> {
        at_least_one("training.batch_size", self.batch_size as u64)?;
        at_most("training.batch_size", self.batch_size as u64, MAX_SIZE as u64)?;
        at_most("training.tokens", self.tokens, MOST_TOKENS)?;
        if self.tokens < 2 * step_tokens {
            let allowed =
                format!("it must allow two steps of batch_size × seq_len = {step_tokens} tokens");
            return bad("training.tokens", self.tokens, &allowed);
        }
        positive("training.learning_rate", self.learning_rate)?;
        for (part, value) in self.schedule.parts() {
            if part == "warmup" && value >= 1.0 {
                if value.fract() != 0.0 || value >= self.tokens as f64 {
                    let allowed = format!(
                        "it must be a share below 1, or a whole number of tokens below {}",
                        self.tokens
                    );
                    return bad("training.schedule.warmup", shown(value), &allowed);
                }
                continue;
            }
            share(&format!("training.schedule.{part}"), value)?;
        }
        self.schedule.check_order(self.tokens)?;
        self.rates.iter().try_for_each(RatesSpec::check)?;
        policy::check(
            "training.growth",
            &self.growth,
            self.rates.as_ref().map(|rates| rates.rule),
        )?;
        self.optimizer.check()
    }
}

impl OptimizerSpec {
    fn check(&self) -> Result<(), SweepError> {
        for (field, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return bad(
                    &format!("training.optimizer.{field}"),
                    shown(beta),
                    "it must be at least 0 and below 1",
                );
            }
        }
        // An entry that never had a gradient is divided by it alone.
        positive("training.optimizer.eps", self.eps)?;
        for (field, value, most) in
            [("weight_decay", self.weight_decay, 1e6), ("clip_norm", self.clip_norm, 1e30)]
        {
            if !(0.0..=most).contains(&value) {
                let allowed = format!("it must be a number from 0 to {most:e}");
                return bad(&format!("training.optimizer.{field}"), shown(value), &allowed);
            }
        }
        Ok(())
    }
}
