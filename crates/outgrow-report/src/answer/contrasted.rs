//! What the contrasts say in one sentence.

use super::{
    value::{Answer, Finding, Quantity, Verdict},
    words::Say,
};

/// Of more pairs than these, the numbers are left to the table.
const WITH_NUMBERS: usize = 4;

impl Answer {
    /// What the contrasts say of losses and of compute, in one sentence; none where none was asked
    /// for.
    pub fn contrasted(&self, say: Say) -> Option<String> {
        let pairs: Vec<&[Finding]> = self
            .contrasts
            .chunk_by(|a, b| (&a.strategy, &a.against) == (&b.strategy, &b.against))
            .collect();
        let clauses: Vec<String> = match pairs.len() <= WITH_NUMBERS {
            true => pairs.iter().map(|pair| self.pair(pair, say)).collect(),
            false => self.groups(&pairs, say),
        };
        (!clauses.is_empty()).then(|| format!("Contrasts: {}.", clauses.join("; ")))
    }

    /// "a, b, c vs d: no clear difference in final loss, less compute saved".
    fn groups(&self, pairs: &[&[Finding]], say: Say) -> Vec<String> {
        let mut groups: Vec<(String, Vec<String>)> = vec![];
        for pair in pairs {
            let words: Vec<&str> = pair.iter().map(in_short).collect();
            let [a, b] = [&pair[0].strategy, &pair[0].against].map(|name| say(self.shown(name)));
            let what = format!("{b}: {}", words.join(", "));
            match groups.iter_mut().find(|(own, _)| *own == what) {
                Some((_, names)) => names.push(a),
                None => groups.push((what, vec![a])),
            }
        }
        let group =
            |(what, names): (String, Vec<String>)| format!("{} vs {what}", names.join(", "));
        groups.into_iter().map(group).collect()
    }

    /// "a ends lower than b (−0.063 nats [−0.07, −0.05]) and saves more compute (20 points [15,
    /// 25])".
    fn pair(&self, findings: &[Finding], say: Say) -> String {
        let find = |quantity| findings.iter().find(|finding| finding.quantity == quantity);
        let [loss, saving] = [Quantity::LossDifference, Quantity::SavingDifference].map(find);
        let [a, b] =
            [&findings[0].strategy, &findings[0].against].map(|name| say(self.shown(name)));
        let number = |finding: &Finding| format!(" ({})", finding.numbers(self.unit).join(" "));
        let loss_words = loss.map(|one| format!("{}{}", ends(one.verdict, &a, &b), number(one)));
        let Some(saving) = saving else { return loss_words.unwrap_or_default() };
        let (saves, is_clear) = saves(saving.verdict);
        let saves = format!("{saves}{}", number(saving));
        let Some(loss_words) = loss_words else {
            return if is_clear {
                format!("{a} {saves} than {b}")
            } else {
                format!("{saves} between {a} and {b}")
            };
        };
        let is_loss_clear = loss.is_some_and(|one| is_clear_end(one.verdict));
        match (is_loss_clear, is_clear) {
            (true, true) => format!("{loss_words} and {saves}"),
            (false, true) => format!("{loss_words}, but {a} {saves}"),
            (true, false) => format!("{loss_words}, with {saves}"),
            (false, false) => format!("{loss_words} nor in compute saved{}", number(saving)),
        }
    }
}

fn in_short(finding: &Finding) -> &'static str {
    match (finding.quantity, finding.verdict) {
        (_, Verdict::Lower) => "lower final loss",
        (_, Verdict::Higher) => "higher final loss",
        (Quantity::LossDifference, Verdict::Equal) => "equal final loss",
        (Quantity::LossDifference, _) => "no clear difference in final loss",
        (_, Verdict::Cheaper) => "more compute saved",
        (_, Verdict::Dearer) => "less compute saved",
        (_, Verdict::Equal) => "as much compute saved",
        _ => "no clear difference in compute saved",
    }
}

fn is_clear_end(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Lower | Verdict::Higher | Verdict::Equal)
}

fn ends(verdict: Verdict, a: &str, b: &str) -> String {
    match verdict {
        Verdict::Lower => format!("{a} ends lower than {b}"),
        Verdict::Higher => format!("{a} ends higher than {b}"),
        Verdict::Equal => format!("{a} ends as {b} does"),
        _ => format!("no clear difference between {a} and {b} in final loss"),
    }
}

/// What it saves in words, and whether that is told from nothing.
fn saves(verdict: Verdict) -> (&'static str, bool) {
    match verdict {
        Verdict::Cheaper => ("saves more compute", true),
        Verdict::Dearer => ("saves less compute", true),
        Verdict::Equal => ("saves as much compute", true),
        _ => ("no clear difference in compute saved", false),
    }
}
