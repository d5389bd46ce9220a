//! The growing arms against the frontier of being born, in words.

use super::{
    value::{Answer, Verdict},
    words::Say,
};
use crate::{
    born::Born,
    frontier::{Against, ArmGap, Budget, Censored, Multiplier},
    numbers::{bounds, dash, short, signed_loss},
};

impl Answer {
    /// The names of the columns of [`Self::gap_rows`].
    fn gap_header(&self) -> Vec<String> {
        let gap = format!("gap ({})", self.unit.short());
        let interval = "95 % interval";
        ["arm", "budget", &gap, interval, "multiplier", interval, "n", "verdict"]
            .map(str::to_owned)
            .to_vec()
    }

    /// What the gaps say, in three sentences; none without a frontier.
    pub fn against_born(&self, say: Say) -> Option<String> {
        let born = self.born.as_ref()?;
        let judged: Vec<(String, &ArmGap, &Against)> = judged(born).collect();
        let best = judged.iter().min_by(|a, b| a.2.gap.value.mean.total_cmp(&b.2.gap.value.mean));
        let Some(best) = best else { return Some(unjudged(born)) };
        let n = |is: fn(&Against) -> bool| judged.iter().filter(|one| is(one.2)).count();
        let lower = n(|against| against.gap.value.mean < 0.0);
        let clear = n(|against| against.gap.corrected.mean < 0.0 && against.is_clear());
        let higher = n(|against| against.gap.corrected.mean > 0.0 && against.is_clear());
        Some(format!(
            "Against the best size that a model can be born with, at equal compute and at the end of \
             a schedule: {lower} of {} arms and budgets end lower on average, {clear} after \
             correction; {higher} end higher after correction. {} {}{}",
            judged.len(),
            self.lowest(born, best, say),
            sizes(born),
            born.cautions.on_undercuts()
        ))
    }

    /// The numbers of the arm with the lowest gap.
    fn lowest(&self, born: &Born, best: &(String, &ArmGap, &Against), say: Say) -> String {
        let (budget, gap, against) = best;
        let multiplier = against.multiplier.as_ref().map_or_else(String::new, |multiplier| {
            let times = match multiplier.value {
                Censored::At(times) => format!("{times:.2}"),
                Censored::Above(times) => format!("more than {times:.2}"),
                Censored::Below(times) => format!("less than {times:.2}"),
            };
            format!(
                "; a model of the best born size needs {times} times that compute for the same loss"
            )
        });
        format!(
            "The lowest is {} at {budget} {}: {} {} {}{multiplier}.",
            say(self.shown(&gap.arm)),
            born.unit.describe(),
            signed_loss(against.gap.value.mean, 4),
            self.unit.short(),
            bounds(&against.gap.corrected, signed_loss, 4),
        )
    }

    /// A table: its header, and a row for each arm and budget that could be judged; empty without
    /// any.
    pub fn gap_rows(&self) -> Vec<Vec<String>> {
        let row = |(budget, gap, against): (String, &ArmGap, &Against)| {
            let tested = &against.gap;
            let verdict = match tested.corrected.mean {
                _ if !against.is_clear() => {
                    Verdict::Unclear { seeds_needed: against.seeds_needed() }
                }
                mean if mean < 0.0 => Verdict::Lower,
                _ => Verdict::Higher,
            };
            let [multiplier, interval] =
                against.multiplier.as_ref().map_or_else(|| [dash(), dash()], multiplier_texts);
            vec![
                self.shown(&gap.arm).to_owned(),
                budget,
                signed_loss(tested.value.mean, 4),
                bounds(&tested.corrected, signed_loss, 4),
                multiplier,
                interval,
                tested.value.n.to_string(),
                verdict.words(),
            ]
        };
        let rows: Vec<Vec<String>> = self.born.iter().flat_map(judged).map(row).collect();
        let header = (!rows.is_empty()).then(|| self.gap_header());
        header.into_iter().chain(rows).collect()
    }
}

/// The number, or the bound that is known of it, and its corrected interval.
pub fn multiplier_texts(multiplier: &Multiplier) -> [String; 2] {
    let end = |end: Option<f64>| end.map_or_else(|| "…".to_owned(), |end| format!("{end:.2}"));
    let [low, high] = multiplier.corrected.map(end);
    [multiplier.value.to_string(), format!("[{low}, {high}]")]
}

/// The best born sizes, and what could not be judged.
fn sizes(born: &Born) -> String {
    let best = |(budget, found): (String, &Budget)| {
        Some((budget, found.vertex.as_ref().ok()?.n_star.mean))
    };
    let all: Vec<(String, f64)> = born.vertices().filter_map(best).collect();
    let sizes = match &all[..] {
        [] => return String::new(),
        [(budget, n)] => format!("The best born size has {} parameters at {budget}", short(*n)),
        [(first, least), .., (last, most)] => format!(
            "The best born size has {} parameters at {first}, and {} at {last}",
            short(*least),
            short(*most)
        ),
    };
    let open = born.gaps().filter_map(|(budget, gap)| Some((budget, gap.against.as_ref().err()?)));
    let open: Vec<_> = open.collect();
    match open.first() {
        None => format!("{sizes}."),
        Some((budget, why)) => {
            let n = open.len();
            format!(
                "{sizes}; {n} arms and budgets could not be judged, at {budget} because: {why}."
            )
        }
    }
}

fn judged(born: &Born) -> impl Iterator<Item = (String, &ArmGap, &Against)> {
    born.gaps().filter_map(|(budget, gap)| Some((budget, gap, gap.against.as_ref().ok()?)))
}

/// Why nothing is judged: the first reason that there is.
fn unjudged(born: &Born) -> String {
    let why = born.gaps().find_map(|(budget, gap)| Some((budget, gap.against.as_ref().err()?)));
    match why {
        Some((budget, why)) => format!(
            "No arm could be judged against the frontier of being born; at {budget}, for example: \
             {why}."
        ),
        None => "No growing arm is trained to the end of a budget of the frontier yet.".into(),
    }
}
