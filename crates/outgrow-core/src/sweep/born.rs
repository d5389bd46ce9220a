//! The trials of `[frontier]`: born sizes at every budget, and the budgets of growing strategies.

use super::{
    arm::Arm,
    check::MOST_TOKENS,
    controls::born,
    error::{SweepError, bad, shown},
    frontier::{
        BORN, BORN_CHECK, BudgetUnit, DEEPER, FrontierCheck, FrontierSizes, FrontierSpec, WIDER,
        budget_text,
    },
    resolved::Sweep,
    schedule::LearningRateSchedule,
    shapes::{self, is_uniform},
    spec::{Budget, MOST_WIDENINGS},
};
use crate::{
    flops::train_flops_per_token,
    model::{Architecture, n_frontier_parameters},
};

/// Neighbouring sizes are at most so far apart in parameters: beyond, a parabola is none.
const WIDEST: f64 = 1.6;
/// What rounding of sizes may add to that.
const ROUNDING: f64 = 1.05;
/// How much deeper, or wider, the shapes are that are tried beside a size.
const DEPTH: f64 = 1.4;
/// Numbers of tokens that differ by less are one budget.
const SAME: f64 = 1e-3;

/// A size of the frontier.
#[derive(Clone, Debug, PartialEq)]
pub struct BornSize {
    /// `born_1` and on.
    pub name: String,
    /// Its sizes.
    pub architecture: Architecture,
    /// Parameters without embeddings, with the unembedding.
    pub n: u64,
    /// Whether it is trained only if the best size is at the rim of the others.
    pub widens: bool,
}

/// A budget of the frontier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BornBudget {
    /// In the unit of the file.
    pub budget: f64,
    /// Tokens that the target trains with it.
    pub tokens: u64,
    /// Training FLOPs of the target on these.
    pub train_flops: f64,
}

impl Sweep {
    /// The sizes of its frontier, from small to large; none without one.
    pub fn born_sizes(&self) -> Vec<BornSize> {
        let Some(frontier) = &self.spec.frontier else { return vec![] };
        let [below, above] = self.sizes_beyond(frontier);
        let own = self.sizes(frontier).unwrap_or_default();
        let (first, last) = (below.len(), below.len() + own.len());
        let named = |(number, architecture): (usize, Architecture)| BornSize {
            name: format!("{BORN}_{}", number + 1),
            n: n_frontier_parameters(&architecture),
            widens: !(first..last).contains(&number),
            architecture,
        };
        let all = below.into_iter().rev().chain(own).chain(above);
        all.enumerate().map(named).collect()
    }

    /// Sizes below and above those of the file that are trained if the best is at their rim, the
    /// nearest first. A list is not continued: what comes next in it, nobody but its author knows.
    fn sizes_beyond(&self, frontier: &FrontierSpec) -> [Vec<Architecture>; 2] {
        let FrontierSizes::Number(number) = frontier.sizes else { return [vec![], vec![]] };
        if !self.spec.widen {
            return [vec![], vec![]];
        }
        [-1, number as i32].map(|first| {
            shapes::beyond(&self.initial, &self.target, (number, first, MOST_WIDENINGS))
        })
    }

    /// The budgets of its frontier, from small to large; none without one.
    pub fn born_budgets(&self) -> Vec<BornBudget> {
        let budgets = self.spec.frontier.iter().filter_map(|frontier| frontier.budgets.as_ref());
        let of = |budget: &f64| {
            let tokens = self.whole_steps(self.tokens_at(*budget).round() as u64);
            let train_flops = train_flops_per_token(&self.target) * tokens as f64;
            BornBudget { budget: *budget, tokens, train_flops }
        };
        budgets.flatten().map(of).collect()
    }

    /// The budget of `training.tokens`; none without a frontier.
    pub fn own_budget(&self) -> Option<f64> {
        let at = self.spec.frontier.as_ref()?.strategies_at.as_ref()?;
        let own = self.spec.training.tokens as f64;
        let off = |budget: &f64| (self.tokens_per(*budget) / own).ln().abs();
        at.iter().copied().min_by(|a, b| off(a).total_cmp(&off(b)))
    }

    /// Tokens of the target in a budget.
    fn tokens_at(&self, budget: f64) -> f64 {
        match self.own_budget() == Some(budget) {
            true => self.spec.training.tokens as f64,
            false => self.tokens_per(budget),
        }
    }

    fn tokens_per(&self, budget: f64) -> f64 {
        let unit = self.spec.frontier.as_ref().map(|frontier| frontier.unit);
        unit.unwrap_or(BudgetUnit::TokensPerParameter).tokens(budget, &self.target)
    }

    fn sizes(&self, frontier: &FrontierSpec) -> Result<Vec<Architecture>, SweepError> {
        match &frontier.sizes {
            FrontierSizes::Number(number) => Ok(shapes::grid(&self.initial, &self.target, *number)),
            FrontierSizes::List(list) => {
                let table = |number: usize| format!("frontier.sizes.{number}");
                let sizes = list.iter().enumerate();
                sizes.map(|(number, one)| self.spec.architecture(one, &table(number))).collect()
            }
        }
    }

    /// The sweep at each budget of its growing strategies, without the frontier; itself without
    /// one.
    pub(super) fn at_budgets(&self) -> Vec<(Option<f64>, Self)> {
        let at = self.spec.frontier.as_ref().and_then(|frontier| frontier.strategies_at.as_ref());
        let Some(at) = at else { return vec![(None, self.clone())] };
        let sweep = |budget: &f64| {
            let mut sweep = Self { ..self.clone() };
            sweep.spec.training.tokens = self.tokens_at(*budget).round() as u64;
            sweep.spec.frontier = None;
            (Some(*budget), sweep)
        };
        at.iter().map(sweep).collect()
    }

    /// Born sizes at every budget of the frontier.
    pub(super) fn born_arms(&self) -> Result<Vec<Arm>, SweepError> {
        let mut arms = vec![];
        for BornSize { name, architecture, widens, .. } in self.born_sizes() {
            for BornBudget { budget, train_flops, .. } in self.born_budgets() {
                let tokens = train_flops / train_flops_per_token(&architecture);
                match self.check_room(&name, "budgets", (budget, tokens)) {
                    // Nobody asked for it.
                    Err(_) if widens => continue,
                    checked => checked?,
                }
                let tokens = self.budget(&name, tokens)?;
                let arm = born(self, name.clone(), BORN, &architecture, tokens)?;
                arms.push(Arm { budget: Some(budget), widens, ..arm });
            }
        }
        arms.extend(self.checked_arms()?);
        Ok(arms)
    }

    /// What is tried beside some sizes, at the budget of `training.tokens`.
    fn checked_arms(&self) -> Result<Vec<Arm>, SweepError> {
        let Some(frontier) = &self.spec.frontier else { return Ok(vec![]) };
        let own: Vec<BornSize> =
            self.born_sizes().into_iter().filter(|size| !size.widens).collect();
        let mut arms = vec![];
        for check in &frontier.checks {
            for (size, name, architecture, batch_size) in self.checked(*check, &own) {
                let mut sweep = self.clone();
                sweep.spec.training.batch_size = batch_size;
                let tokens = self.tokens_at_own() * train_flops_per_token(&self.target);
                let tokens = tokens / train_flops_per_token(&architecture);
                let name = format!("{}_{name}", size.name);
                sweep.check_room(&name, "checks", (self.own_budget().unwrap_or(0.0), tokens))?;
                let tokens = sweep.budget(&name, tokens)?;
                let arm = born(&sweep, name, BORN_CHECK, &architecture, tokens)?;
                arms.push(Arm { budget: self.own_budget(), ..arm });
            }
        }
        Ok(arms)
    }

    fn tokens_at_own(&self) -> f64 {
        self.whole_steps(self.spec.training.tokens) as f64
    }

    /// What a check trains.
    fn checked<'a>(&self, check: FrontierCheck, own: &'a [BornSize]) -> Vec<Checked<'a>> {
        let batch_size = self.spec.training.batch_size;
        match check {
            FrontierCheck::Shapes => {
                shaped(&[&own[0], &own[own.len() / 2], &own[own.len() - 1]], batch_size)
            }
            FrontierCheck::AllShapes => shaped(&own.iter().collect::<Vec<_>>(), batch_size),
            FrontierCheck::Batch => {
                let target = own.iter().position(|size| size.architecture == self.target);
                let sizes = [0, target.unwrap_or(own.len() - 1)].into_iter();
                let both = sizes.flat_map(|number| {
                    let (size, half) = (&own[number], batch_size / 2);
                    [("half_batch", half), ("twice_batch", 2 * batch_size)]
                        .map(|(name, batch)| (size, name, size.architecture.clone(), batch))
                });
                both.filter(|(.., batch)| *batch > 0).collect()
            }
        }
    }

    /// Refuses a budget in which a size does not come out of its warm-up before it decays.
    fn check_room(
        &self,
        name: &str,
        field: &str,
        (budget, tokens): (f64, f64),
    ) -> Result<(), SweepError> {
        let schedule = &self.spec.training.schedule;
        let warmup = schedule.warmup_tokens().unwrap_or(0.0);
        let decay = match schedule {
            LearningRateSchedule::Wsd { decay, .. } => *decay,
            _ => 0.0,
        };
        let (step, short) = (self.step_tokens() as f64, warmup + decay * tokens >= tokens);
        if tokens >= 2.0 * step && !short {
            return Ok(());
        }
        let needs = match short {
            true => format!(
                "the warm-up takes {warmup} of them and the decay {decay} of all: a larger \
                 budget, or a shorter training.schedule.warmup"
            ),
            false => format!("a step alone has {step}: a larger budget, or smaller steps"),
        };
        let allowed = format!("{name} trains only {tokens:.0} tokens with it, and {needs}");
        bad(&format!("frontier.{field}"), format!("{}, too small", budget_text(budget)), &allowed)
    }
}

/// A size, what a check of it is called, and the model and batch that it trains.
type Checked<'a> = (&'a BornSize, &'static str, Architecture, usize);

/// Sizes in more layers and in fewer, with as many parameters.
fn shaped<'a>(sizes: &[&'a BornSize], batch_size: usize) -> Vec<Checked<'a>> {
    let both = sizes.iter().flat_map(|&size| {
        let layers = size.architecture.layers.len();
        let [deeper, wider] =
            [DEPTH, 1.0 / DEPTH].map(|times| ((layers as f64 * times).round() as usize).max(1));
        [(DEEPER, deeper.max(layers + 1)), (WIDER, wider.min(layers - 1))]
            .map(|(name, layers)| (size, name, layers))
    });
    // One layer can't be fewer.
    let shaped = both.filter(|(.., layers)| *layers > 0);
    let of = |(size, name, layers): (&'a BornSize, &'static str, usize)| {
        (size, name, shapes::with_layers(&size.architecture, layers), batch_size)
    };
    shaped.map(of).collect()
}

/// Fills in what a frontier leaves out, and refuses one that can't be.
pub(super) fn resolve(mut sweep: Sweep) -> Result<Sweep, SweepError> {
    let Some(mut frontier) = sweep.spec.frontier.take() else { return Ok(sweep) };
    check_sweep(&sweep, &frontier)?;
    let per = frontier.unit.tokens(1.0, &sweep.target);
    let own = rounded(sweep.spec.training.tokens as f64 / per);
    frontier.strategies_at.get_or_insert_with(|| vec![own]);
    sweep.spec.frontier = Some(frontier);
    let own = check_own(&sweep)?;
    if let Some(frontier) = &mut sweep.spec.frontier {
        frontier.budgets.get_or_insert_with(|| vec![own / 2.0, own, 2.0 * own]);
        frontier.check_reach()?;
    }
    check_tokens(&sweep)?;
    check_sizes(&sweep)?;
    check_checks(&sweep)?;
    sweep.born_arms()?;
    Ok(sweep)
}

/// To four digits: a number that people read, as a label and in a column.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// Refuses sweeps in which a frontier makes no sense.
fn check_sweep(sweep: &Sweep, frontier: &FrontierSpec) -> Result<(), SweepError> {
    let spec = &sweep.spec;
    if spec.training.match_budget == Budget::Tokens {
        let allowed = "a frontier compares at equal compute, and budgets are compute: write \
                       \"flops\", or leave out [frontier]";
        return bad("training.match_budget", "\"tokens\"", allowed);
    }
    if spec.initial.checkpoint.is_some() {
        let allowed = "what the checkpoint has cost is not known, so no born model is its equal \
                       in compute: leave out [frontier], or write sizes";
        return bad("initial.checkpoint", "given", allowed);
    }
    let is_shared = match spec.training.schedule {
        LearningRateSchedule::Constant { warmup } | LearningRateSchedule::Wsd { warmup, .. } => {
            warmup == 0.0 || warmup >= 1.0
        }
        _ => false,
    };
    if !is_shared {
        let tokens = (spec.training.tokens / 50).max(sweep.step_tokens());
        let allowed = format!(
            "the budgets of a frontier share their beginnings, which need one rate until the \
             decay: write {{ kind = \"wsd\", warmup = {tokens}, decay = 0.2, end = 0.05 }}, with \
             the warm-up in tokens, or leave it out"
        );
        let kind = toml::to_string(&spec.training.schedule).unwrap_or_default();
        let said = kind.trim().replace('\n', ", ");
        return bad("training.schedule", format!("{{ {said} }}"), &allowed);
    }
    for axis in spec.grid.axes()? {
        if ["model", "initial"].contains(&axis.way[0].as_str()) {
            let allowed = "the sizes of a frontier are those of one initial and one target model: \
                           give strategies an `initial` of their own, or write several sweeps";
            return bad(&format!("grid.{}", axis.way.join(".")), "given", allowed);
        }
    }
    check_ends(sweep, frontier)
}

/// Refuses to check sizes at a budget where they are not trained, and the shapes of sizes whose
/// layers differ.
fn check_checks(sweep: &Sweep) -> Result<(), SweepError> {
    let Some(frontier) = &sweep.spec.frontier else { return Ok(()) };
    let has = |check| frontier.checks.contains(&check);
    let [some, all] = [FrontierCheck::Shapes, FrontierCheck::AllShapes].map(has);
    if some && all {
        let allowed = "those of all sizes are also those of some: write one of them";
        return bad("frontier.checks", "\"shapes\" and \"all_shapes\"", allowed);
    }
    let own = sweep.own_budget().unwrap_or(0.0);
    if !frontier.checks.is_empty() && !frontier.budgets.iter().flatten().any(|one| *one == own) {
        let allowed = format!(
            "what is checked stands beside born sizes at the budget of training.tokens, {}, and \
             frontier.budgets has it not",
            budget_text(own)
        );
        return bad("frontier.checks", "given", &allowed);
    }
    let odd = sweep.born_sizes().into_iter().find(|size| !is_uniform(&size.architecture));
    match odd {
        Some(size) if some || all => bad(
            "frontier.checks",
            if all { "\"all_shapes\"" } else { "\"shapes\"" },
            &format!(
                "{} has layers or heads that differ: deeper and wider is not defined",
                size.name
            ),
        ),
        _ => Ok(()),
    }
}

/// Refuses ends between which there is no straight way.
fn check_ends(sweep: &Sweep, frontier: &FrontierSpec) -> Result<(), SweepError> {
    let FrontierSizes::Number(number) = frontier.sizes else { return Ok(()) };
    let (initial, target) = (&sweep.initial, &sweep.target);
    let asked = format!("{number} sizes");
    if !(is_uniform(initial) && is_uniform(target)) {
        let allowed = "sizes between initial and target need layers and heads that are all alike; \
                       write a list of sizes";
        return bad("frontier.sizes", asked, allowed);
    }
    let [from, to] = [initial, target].map(n_frontier_parameters);
    if from >= to {
        let allowed = format!(
            "the initial model has {from} parameters and the target {to} (without embeddings, with \
             the unembedding): there is no way between; make initial smaller, or write a list of \
             sizes"
        );
        return bad("frontier.sizes", asked, &allowed);
    }
    let ratio = shapes::ratio(initial, target, number);
    if ratio > WIDEST {
        let whole = to as f64 / from as f64;
        let enough = (whole.ln() / WIDEST.ln() - 1e-9).ceil() as usize + 3;
        let allowed = format!(
            "neighbours would be {ratio:.2} apart in parameters, and may be {WIDEST} apart: \
             {enough} sizes would do"
        );
        return bad("frontier.sizes", asked, &allowed);
    }
    Ok(())
}

/// Refuses `training.tokens` that are no budget of the strategies; gives theirs.
fn check_own(sweep: &Sweep) -> Result<f64, SweepError> {
    let tokens = sweep.spec.training.tokens;
    let own = sweep.own_budget().unwrap_or(0.0);
    let known = sweep.tokens_per(own);
    let is_near = (known / tokens as f64 - 1.0).abs() < SAME
        || (known - tokens as f64).abs() <= sweep.step_tokens() as f64;
    if is_near {
        return Ok(own);
    }
    let unit = sweep.spec.frontier.as_ref().map_or("", |frontier| frontier.unit.describe());
    let is = rounded(tokens as f64 / sweep.tokens_per(1.0));
    let allowed = format!(
        "that is {} {unit}, and none of frontier.strategies_at: leave it out, write {known:.0} \
         (that of {}), or add it to frontier.strategies_at",
        budget_text(is),
        budget_text(own)
    );
    bad("training.tokens", tokens, &allowed)
}

/// Refuses budgets beyond what a trial may train.
fn check_tokens(sweep: &Sweep) -> Result<(), SweepError> {
    let frontier = sweep.spec.frontier.as_ref();
    let lists = frontier
        .into_iter()
        .flat_map(|one| [("budgets", &one.budgets), ("strategies_at", &one.strategies_at)]);
    for (field, list) in lists {
        for budget in list.iter().flatten() {
            let tokens = sweep.tokens_at(*budget);
            if tokens > MOST_TOKENS as f64 {
                let allowed = format!(
                    "the target would train {tokens:.3e} tokens, and no trial trains more than \
                     {MOST_TOKENS}"
                );
                return bad(&format!("frontier.{field}"), shown(*budget), &allowed);
            }
            sweep.check_room("the target", field, (*budget, tokens))?;
        }
    }
    Ok(())
}

/// Refuses sizes that do not rise, are too far apart, or are no models.
fn check_sizes(sweep: &Sweep) -> Result<(), SweepError> {
    let Some(frontier) = &sweep.spec.frontier else { return Ok(()) };
    let sizes = sweep.sizes(frontier)?;
    for (number, size) in sizes.iter().enumerate() {
        let field = format!("frontier.sizes: {BORN}_{}", number + 1);
        size.validate().or_else(|error| bad(&field, size.describe(), &error.to_string()))?;
    }
    let is_list = matches!(frontier.sizes, FrontierSizes::List(_));
    let elsewhere = if is_list { "" } else { "; write a list of sizes" };
    for (number, both) in sizes.windows(2).enumerate() {
        let [from, to] = [&both[0], &both[1]].map(n_frontier_parameters);
        let said = format!(
            "{from} parameters at {BORN}_{} and {to} at {BORN}_{} (without embeddings, with the \
             unembedding)",
            number + 1,
            number + 2
        );
        if from >= to {
            let allowed = format!("sizes rise in parameters{elsewhere}");
            return bad("frontier.sizes", said, &allowed);
        }
        let ratio = to as f64 / from as f64;
        if ratio > WIDEST * ROUNDING {
            let more = (ratio.ln() / WIDEST.ln()).ceil() as usize - 1;
            let allowed = format!(
                "they are {ratio:.2} apart, and may be {WIDEST} apart: {more} more between them \
                 would do{elsewhere}"
            );
            return bad("frontier.sizes", said, &allowed);
        }
    }
    Ok(())
}
