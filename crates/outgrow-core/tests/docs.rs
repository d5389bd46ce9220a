//! What the documentation shows of the code is the code.

use outgrow_core::{Sweep, growth::Operator, plan::Strategy, sweep::SweepSpec};

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

/// Every file of the recipes is a sweep; so is the first one of the page on sweep files.
#[test]
fn every_recipe_is_a_sweep() {
    let recipes = blocks(include_str!("../../../docs/recipes.md"));
    assert!(recipes.len() >= 8, "{recipes:?}");
    let first = blocks(include_str!("../../../docs/sweep.md")).swap_remove(0);
    for text in [&[first][..], &recipes].concat() {
        let named = format!("name = \"recipe\"\n{text}");
        let spec = SweepSpec::parse(&named).unwrap_or_else(|error| panic!("{error}\n{text}"));
        if spec.initial.checkpoint.is_some() {
            // Its sizes are those of a folder that is not here.
            continue;
        }
        let sweep = Sweep::new(spec).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let members = sweep.members("d").unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(members.iter().any(|member| !member.trial.plan.stages().is_empty()), "{text}");
    }
}

/// The blocks of TOML in a page.
fn blocks(page: &str) -> Vec<String> {
    let after = page.split("```toml\n").skip(1);
    after.filter_map(|block| Some(block.split_once("```")?.0.to_owned())).collect()
}
