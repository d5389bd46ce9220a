//! `outgrow db repair`: mends what `check` finds, and keeps what there was.

use outgrow::repair::{Mended, remove_orphans as remove};
use outgrow::{Error, Workspace};

use super::DbCheck;
use super::check::{Slow, of};
use crate::output::{print, print_json};

const MENDED: &str = "mended; `outgrow run` of the sweep files trains what is missing, to the \
                      same numbers";

const KEPT: &str = "no orphan was removed: the database was damaged in what says which files belong \
                    to it; first `outgrow run` of your sweep files, and a look at what `outgrow db \
                    check` then calls orphans";

/// Mends a database.
pub fn repair(place: &Workspace, args: &DbCheck, remove_orphans: bool) -> Result<(), Error> {
    let place = of(place, args);
    let mut slow = Slow::new();
    let Mended { survey, kept: said } = place.repair(&mut |at| slow.tell(at))?;
    let removes = remove_orphans && !survey.is_forgetful;
    let removed = if removes { Some(remove(&survey.orphans)?) } else { None };
    match args.json {
        true => {
            let mut value = survey.as_json();
            value["removed_bytes"] = removed.into();
            value["kept"] = said.clone().into();
            print_json(&value)?;
        }
        false => {
            let removed = removed.map(|bytes| {
                format!("{} orphans were removed: {bytes} bytes", survey.orphans.len())
            });
            let done = match &*survey.report.findings {
                [] => "nothing was to be mended",
                _ => MENDED,
            };
            let mut lines = survey.lines();
            lines.extend(removed.into_iter().chain(said).chain([done.to_owned()]));
            print(&lines.join("\n"))?;
        }
    }
    match remove_orphans && survey.is_forgetful {
        true => Err(Error::Outcome(KEPT.into())),
        false => Ok(()),
    }
}
