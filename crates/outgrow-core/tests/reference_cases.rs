//! The reference cases: independently computed logits and edits of the paper's own model.

use outgrow_core::{
    Architecture,
    edit::{Initializer, Role, apply},
    growth::grow_all,
    reference::{Params, logits},
};
use outgrow_testkit::{Case, cases};

const TOLERANCE: f64 = 1e-11;

fn worst_logit_error(case: &Case, params: &Params) -> f64 {
    let mut worst = 0.0f64;
    for (name, form) in case.variants() {
        let architecture = Architecture { form, ..case.architecture.clone() };
        let expected = &case.logits(&name).values;
        let found = case
            .tokens()
            .iter()
            .flat_map(|t| logits(&architecture, params, t).values)
            .collect::<Vec<_>>();
        assert_eq!(found.len(), expected.len());
        worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(worst, f64::max);
    }
    worst
}

#[test]
fn our_forward_gives_their_logits() {
    for case in cases() {
        let error = worst_logit_error(&case, &case.params());
        assert!(error < TOLERANCE, "{}: logits differ by {error:e}", case.name);
    }
}

/// Our transforms, applied to the base with free entries of our own, keep the logits; what they
/// copy, scale and zero is what the case says, entry by entry.
#[test]
fn our_edits_put_zeros_and_scales_where_they_say() {
    let all = cases();
    let mut checked = 0;
    for case in &all {
        let base = case.base(&all);
        let Some(transforms) = case.transforms().filter(|t| !t.is_empty()) else { continue };
        let grown = grow_all(&base.architecture, &transforms, 0)
            .unwrap_or_else(|e| panic!("{}: {e:?}", case.name));
        assert_eq!(grown.architecture, case.architecture, "{}", case.name);
        let mut weights = base.params();
        let initializer = Initializer::Normal { scale: 1.0 };
        apply(
            &mut weights,
            &grown.edits,
            Role::Weights { initializer: &initializer, seed: 7, event: 0 },
        );
        let mut born = base.params();
        born.values_mut().for_each(|array| array.values.fill(0.0));
        apply(&mut born, &grown.edits, Role::Born { step: 1, copies: false });
        let error = worst_logit_error(case, &weights);
        assert!(error < TOLERANCE, "{}: our growth moves logits by {error:e}", case.name);
        compare_entries(case, &weights, &born);
        checked += 1;
    }
    assert!(checked > 0, "no case has transforms");
}

fn compare_entries(case: &Case, weights: &Params, born: &Params) {
    let (expected, kinds) = (case.params(), case.kinds());
    for (id, kind) in &kinds {
        for (i, kind) in kind.values.iter().enumerate() {
            let (found, is_new) = (weights[id].values[i], born[id].values[i] == 1.0);
            let name = format!("{}: entry {i} of {id}", case.name);
            match *kind as i64 {
                0 => assert!(is_new && found == 0.0, "{name} must be new and zero, is {found}"),
                1 => {
                    let want = expected[id].values[i];
                    assert!(
                        !is_new && (found - want).abs() <= 1e-14 * want.abs().max(1.0),
                        "{name}: {found}, not {want}"
                    );
                }
                2 => assert!(is_new, "{name} must be new"),
                _ => {}
            }
        }
    }
}
