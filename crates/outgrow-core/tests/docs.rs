//! What the documentation shows of the code is the code.

use outgrow_core::{growth::Operator, plan::Strategy};

#[test]
fn the_guide_to_adding_things_shows_the_files_as_they_are() {
    let guide = include_str!("../../../docs/adding.md");
    for file in [
        include_str!("../src/plan/strategy/all_at_once.rs"),
        include_str!("../src/growth/operator/depth_up_scaling.rs"),
    ] {
        assert!(guide.contains(file), "docs/adding.md shows another version of:\n{file}");
    }
    for (list, line) in [
        (include_str!("../src/plan/strategy.rs"), "    AllAtOnce = \"all_at_once\",\n"),
        (include_str!("../src/growth/operator.rs"), "    DepthUpScaling = \"depth_up_scaling\",\n"),
    ] {
        assert!(list.contains(line) && guide.contains(line), "{line}");
    }
}

/// Every operator and every strategy is in the documentation of sweep files.
#[test]
fn every_kind_is_documented() {
    for (kinds, page) in [
        (Operator::KINDS, include_str!("../../../docs/operators.md")),
        (Strategy::KINDS, include_str!("../../../docs/sweep.md")),
    ] {
        for kind in kinds {
            assert!(page.contains(&format!("| `{kind}` |")), "{kind} is not documented");
        }
    }
}
