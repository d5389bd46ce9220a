//! How often the trials of a plan pass the training text.

use outgrow_core::sweep::Member;
use serde::Serialize;

use super::Plan;
use crate::readable::count;

/// How often trials pass the training text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Passes {
    /// Tokens of the training text.
    pub text_tokens: u64,
    /// Of the trial that passes it most often.
    pub most: f64,
    /// What that trial is called.
    pub of: String,
    /// Trials that pass it more than once.
    pub repeating: usize,
}

impl Plan {
    /// Tokens of the training text.
    pub(super) fn text_tokens(&self) -> u64 {
        self.text().counts.tokens[0]
    }

    /// How often its trials pass the training text.
    pub fn passes(&self) -> Passes {
        let text_tokens = self.text_tokens();
        let passes = |member: &Member| member.passes(text_tokens);
        let all = self.shared_prefixes();
        let trials = || all.iter().map(|(member, _)| *member);
        let most = trials().rev().max_by(|a, b| passes(a).total_cmp(&passes(b)));
        Passes {
            text_tokens,
            most: most.map_or(0.0, passes),
            of: most.map_or_else(String::new, |m| m.label(self.sweep().has_several_rates())),
            repeating: trials().filter(|member| passes(member) > 1.0).count(),
        }
    }
}

impl Passes {
    /// A line where text is repeated, or where a frontier wants to know; empty otherwise.
    pub(super) fn describe(&self, has_frontier: bool) -> String {
        let Self { text_tokens, most, of, repeating } = self;
        let text = count(*text_tokens as f64);
        match (*repeating, has_frontier) {
            (0, false) => String::new(),
            (0, true) => format!(
                "no trial passes the training text ({text} tokens) more than once: {of} {most:.2} \
                 times\n"
            ),
            (n, _) => {
                let bends = match has_frontier {
                    true => "; repeats bend the frontier against small sizes",
                    false => "",
                };
                format!(
                    "{n} trials pass the training text ({text} tokens) more than once, {of} \
                     {most:.1} times{bends}\n"
                )
            }
        }
    }
}
