//! What a sweep file says to people, checked.

use std::collections::BTreeSet;

use super::{
    controls::is_a_controls_name,
    error::{SweepError, bad},
    spec::{StrategySpec, SweepSpec},
    words::ContrastSpec,
};

/// Characters of a name in figures and tables.
const LONGEST_DISPLAY: usize = 64;
/// Characters of notes.
const LONGEST_NOTES: usize = 10_000;
/// Characters of a tag.
const LONGEST_TAG: usize = 64;

impl SweepSpec {
    /// Refuses words that can't be printed, and names that nothing in the sweep has.
    pub(super) fn check_words(&self) -> Result<(), SweepError> {
        if self.notes.as_ref().is_some_and(|notes| notes.chars().count() > LONGEST_NOTES) {
            return bad("notes", "too long", &format!("at most {LONGEST_NOTES} characters"));
        }
        let mut seen = BTreeSet::new();
        for tag in &self.tags {
            let length = tag.chars().count();
            let is_word = (1..=LONGEST_TAG).contains(&length)
                && !tag.chars().any(|c| c.is_control() || c.is_whitespace());
            if !is_word || !seen.insert(tag) {
                let allowed = format!("each is a word of at most {LONGEST_TAG} characters, once");
                return bad("tags", format!("{tag:?}"), &allowed);
            }
        }
        for (name, shown) in &self.display {
            self.check_arm("display", name)?;
            let length = shown.trim().chars().count();
            if !(1..=LONGEST_DISPLAY).contains(&length) || shown.chars().any(char::is_control) {
                let allowed = format!("one line of 1 to {LONGEST_DISPLAY} characters");
                return bad(&format!("display.{name}"), format!("{shown:?}"), &allowed);
            }
        }
        for (name, shown) in &self.display {
            let others = self.display.iter().filter(|(other, _)| *other != name);
            let clashes = others.map(|(_, other)| other).any(|other| other.trim() == shown.trim());
            let is_anothers = self.strategies.iter().any(|s| s.name == *shown && s.name != *name);
            if clashes || is_anothers {
                let allowed = "another strategy is called so: figures could not tell them apart";
                return bad(&format!("display.{name}"), format!("{shown:?}"), allowed);
            }
        }
        let mut asked = BTreeSet::new();
        for ContrastSpec { a, b } in &self.contrasts {
            self.check_arm("contrasts.a", a)?;
            self.check_arm("contrasts.b", b)?;
            if a == b {
                return bad("contrasts", format!("{a:?} and itself"), "name two different ones");
            }
            if !asked.insert([a, b]) || asked.contains(&[b, a]) {
                let allowed = "ask each question once, also the other way round: all of them are \
                               corrected for each other";
                return bad("contrasts", format!("{a:?} and {b:?} twice"), allowed);
            }
        }
        Ok(())
    }

    /// Refuses contrasts with controls that the sweep turns out not to have; `all` are the names of
    /// its strategies and controls.
    pub(super) fn check_contrasts(&self, all: &BTreeSet<&str>) -> Result<(), SweepError> {
        let mentioned = self.contrasts.iter().flat_map(|contrast| [&contrast.a, &contrast.b]);
        match mentioned.into_iter().find(|name| !all.contains(name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let all: Vec<&str> = all.iter().copied().collect();
                let allowed =
                    format!("the sweep has no such control; there are {}", all.join(", "));
                bad("contrasts", format!("{name:?}"), &allowed)
            }
        }
    }

    /// Refuses what neither a strategy nor a control is called.
    fn check_arm(&self, field: &str, name: &str) -> Result<(), SweepError> {
        let is_known = |strategy: &StrategySpec| strategy.name == name;
        if self.strategies.iter().any(is_known) || is_a_controls_name(name) {
            return Ok(());
        }
        let names: Vec<&str> = self.strategies.iter().map(|one| one.name.as_str()).collect();
        let allowed = format!(
            "name a strategy ({}) or a control (from_scratch, fixed_size_1, …)",
            names.join(", ")
        );
        bad(field, format!("{name:?}"), &allowed)
    }
}

#[cfg(test)]
mod tests {
    use crate::Sweep;

    const SWEEP: &str = include_str!("../../../outgrow-store/tests/sweep.toml");

    fn with(words: &str) -> Result<Sweep, String> {
        Sweep::parse(&format!("{words}\n{SWEEP}")).map_err(|error| error.to_string())
    }

    #[test]
    fn words_change_no_identity() {
        let words = "notes = 'first try'\ntags = ['mine']\ndisplay = { random = 'At random' }\n\
                     contrasts = [{ a = 'random', b = 'from_scratch' }]";
        let (plain, told) = (with("").expect("a sweep"), with(words).expect("a sweep"));
        assert_eq!(
            (plain.id("d"), plain.resolved(), plain.resolved_with_words()),
            (told.id("d"), told.resolved(), plain.resolved())
        );
        let again = Sweep::parse(&told.resolved_with_words()).expect("its own text");
        assert_eq!(again.spec().words(), told.spec().words());
        assert_eq!(told.spec().words().contrasts[0].b, "from_scratch");
    }

    #[test]
    fn words_of_what_is_not_there_are_refused() {
        for (words, said) in [
            ("contrasts = [{ a = 'randon', b = 'from_scratch' }]", "`contrasts.a` is \"randon\""),
            ("contrasts = [{ a = 'random', b = 'random' }]", "and itself"),
            (
                "contrasts = [{ a = 'random', b = 'from_scratch' }, { a = 'from_scratch', b = 'random' }]",
                "once",
            ),
            ("display = { random = 'from_scratch' }", "`display.random`"),
            ("display = { random = 'A', from_scratch = 'A' }", "`display.from_scratch`"),
            ("display = { other = 'x' }", "`display` is \"other\""),
            ("display = { random = \"a\\nb\" }", "`display.random`"),
            ("tags = ['a b']", "`tags` is \"a b\""),
            ("tags = ['a', 'a']", "once"),
        ] {
            let error = with(words).expect_err(words);
            assert!(error.contains(said), "{error}");
        }
    }
}
