//! How often trials pass the training text.

use super::{
    error::{SweepError, bad},
    frontier::MOST_PASSES,
    members::Member,
    resolved::Sweep,
};

impl Member {
    /// How often it passes a training text of so many tokens.
    pub fn passes(&self, text_tokens: u64) -> f64 {
        self.trial.settings.tokens as f64 / text_tokens.max(1) as f64
    }
}

impl Sweep {
    /// Refuses a frontier whose trials pass the training text, of so many tokens, too often: small
    /// born sizes train the most tokens, so repeats bend the frontier against them.
    ///
    /// # Errors
    /// Which trials do, and how large a text would do.
    pub fn check_passes(&self, members: &[Member], text_tokens: u64) -> Result<(), SweepError> {
        if self.spec.frontier.as_ref().is_none_or(|frontier| frontier.allow_repeats) {
            return Ok(());
        }
        let passes = |member: &Member| member.passes(text_tokens);
        let too_many = members.iter().filter(|member| passes(member) > MOST_PASSES);
        let Some(worst) = too_many.clone().rev().max_by(|a, b| passes(a).total_cmp(&passes(b)))
        else {
            return Ok(());
        };
        let mut groups: Vec<String> =
            too_many.clone().map(|member| member.strategy.clone()).collect();
        groups.dedup();
        let most = worst.trial.settings.tokens;
        let allowed = format!(
            "{} trials (of {}) pass it more than {MOST_PASSES} times, {} {:.1} times, and repeats \
             bend the frontier against small sizes: take a text of at least {} tokens ({most} for \
             no repeats), smaller budgets, or frontier.allow_repeats = true",
            too_many.count(),
            groups.join(", "),
            worst.label(self.has_several_rates()),
            passes(worst),
            (most as f64 / MOST_PASSES).ceil()
        );
        bad("data", format!("{text_tokens} tokens of training text"), &allowed)
    }
}
