//! `outgrow db repair`: mends what `check` finds, and keeps what there was.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use outgrow_store::{Address, Finding, Store, back_up, salvage};

use super::{
    check::{Slow, Survey, as_json, as_text, damage_of, damaged, live, look, of, path_of},
    orphans::{ASIDE, entries, name_of, remove},
};
use crate::{
    args::DbCheck,
    failure::Failure,
    output::{print, print_json},
    place::{Place, runtime},
};

/// Mends a database.
pub fn repair(place: &Place, args: &DbCheck, remove_orphans: bool) -> Result<(), Failure> {
    let place = of(place, args);
    let (survey, said) = runtime()?.block_on(mend(&place))?;
    let removed = if remove_orphans { Some(remove(&survey.orphans)?) } else { None };
    match args.json {
        true => {
            let mut value = as_json(&place, &survey);
            value["removed_bytes"] = removed.into();
            value["kept"] = said.clone().into();
            print_json(&value)
        }
        false => {
            let removed = removed.map(|bytes| format!("{} orphans were removed: {bytes} bytes", survey.orphans.len()));
            let done = match survey.report.findings.is_empty() {
                true => "nothing was to be mended".to_owned(),
                false => {
                    "mended; `outgrow run` of the sweep files trains what is missing, to the same numbers".to_owned()
                }
            };
            let lines: Vec<String> =
                [as_text(&place, &survey)].into_iter().chain(removed).chain(said).chain([done]).collect();
            print(&lines.join("\n"))
        }
    }
}

/// Mends; gives what was found, and where the old state is kept.
async fn mend(place: &Place) -> Result<(Survey, Option<String>), Failure> {
    let said = damage_of(place).await?;
    match said.is_empty() {
        true => mend_whole(place).await,
        false => mend_damaged(place, &said).await,
    }
}

/// A database whose structure is whole is mended where it is, in one transaction.
async fn mend_whole(place: &Place) -> Result<(Survey, Option<String>), Failure> {
    let mut slow = Slow::new();
    let store = place.reading().await?;
    refuse_live(&store).await?;
    let found = look(place, &store, false, &mut slow).await?;
    store.close().await;
    if found.report.findings.is_empty() {
        return Ok((found, None));
    }
    let kept = match Address::parse(&place.db)? {
        Address::File(path) => {
            let kept = beside(&path, "before-repair");
            back_up(&path, &kept).await?;
            Some(format!("the old file is kept as {kept}"))
        }
        Address::Server(_) => None,
    };
    let store = place.store().await?;
    let mended = mend_all(place, &store, &mut slow).await?;
    store.close().await;
    set_aside_spools(place, &mended)?;
    Ok((mended, kept))
}

/// What can be read of a damaged file goes into a new one, which is mended and takes its place.
async fn mend_damaged(place: &Place, said: &[String]) -> Result<(Survey, Option<String>), Failure> {
    let mut slow = Slow::new();
    let path = path_of(place)?;
    let aside = format!("{path}.repairing-{}", std::process::id());
    remove_database(&aside).map_err(Failure::environment(format!("cannot remove {aside}")))?;
    let mut findings: Vec<Finding> = said.iter().map(|said| damaged(said)).collect();
    findings.extend(salvage(&path, &aside, &mut |at| slow.tell(at)).await?);
    let store = Store::open(&aside).await?;
    if let Err(failure) = refuse_live(&store).await {
        store.close().await;
        let _ = remove_database(&aside);
        return Err(failure);
    }
    let mut mended = mend_all(place, &store, &mut slow).await?;
    store.close().await;
    findings.append(&mut mended.report.findings);
    mended.report.findings = findings;
    let kept = beside(&path, "damaged");
    exchange(&path, &aside, &kept)
        .map_err(Failure::environment(format!("cannot put the repaired file in the place of {path}")))?;
    set_aside_spools(place, &mended)?;
    Ok((mended, Some(format!("the damaged file is kept as {kept}"))))
}

/// Mends until nothing is found any more: a trial that is known again may have more that is wrong.
async fn mend_all(place: &Place, store: &Store, slow: &mut Slow) -> Result<Survey, Failure> {
    let (mut findings, mut again) = (vec![], vec![]);
    for _ in 0..MOST_TIMES {
        let mut survey = look(place, store, true, slow).await?;
        let is_whole = survey.report.findings.is_empty();
        findings.append(&mut survey.report.findings);
        again.append(&mut survey.report.again);
        if is_whole {
            (survey.report.findings, survey.report.again) = (findings, again);
            return Ok(survey);
        }
    }
    let last = findings.last().map(Finding::to_string).unwrap_or_default();
    Err(Failure::Environment(format!("it could not be mended: {last}")))
}

/// Twice is enough; the last time nothing is found.
const MOST_TIMES: usize = 4;

async fn refuse_live(store: &Store) -> Result<(), Failure> {
    let live = live(store).await?;
    match live.is_empty() {
        true => Ok(()),
        false => {
            let who = live.join(", ");
            Err(Failure::Environment(format!("a run is live ({who}); stop it first, then repair: nothing was changed")))
        }
    }
}

/// Events that wait on disk for a trial that goes on from before them would skip what is trained again.
fn set_aside_spools(place: &Place, survey: &Survey) -> Result<(), Failure> {
    for again in &survey.report.again {
        for path in entries(&place.checkpoints(&again.trial.trial)) {
            let number = name_of(&path).and_then(|name| name.strip_prefix("spool-").map(str::to_owned));
            if let Some(number) = number {
                let aside = path.with_file_name(format!("{ASIDE}{number}"));
                fs::rename(&path, aside).map_err(Failure::environment(format!("cannot rename {}", path.display())))?;
            }
        }
    }
    Ok(())
}

/// A name beside a file, with the date, that nothing has.
fn beside(path: &str, what: &str) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let named = |seconds: u64| format!("{path}.{what}-{}", date(seconds));
    (seconds..).map(named).find(|name| !Path::new(name).exists()).expect("there are many seconds")
}

/// `2026-11-25-194500`, in UTC.
fn date(seconds: u64) -> String {
    // Days are counted in years that begin in March, so that the leap day is the last of its year.
    let (days, second) = ((seconds / 86_400) as i64 + 719_468, seconds % 86_400);
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}-{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// The files of a SQLite database.
fn files_of(path: &str) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|ending| PathBuf::from(format!("{path}{ending}")))
}

fn remove_database(path: &str) -> io::Result<()> {
    for file in files_of(path).iter().filter(|file| file.exists()) {
        fs::remove_file(file)?;
    }
    Ok(())
}

/// Keeps a damaged file under another name, its log with it, and puts the new one in its place. Whatever ends this half-way, the kept one is
/// whole first.
fn exchange(path: &str, new: &str, kept: &str) -> io::Result<()> {
    for (from, to) in files_of(path).iter().zip(files_of(kept)).take(2).filter(|(from, _)| from.exists()) {
        fs::copy(from, &to)?;
        File::open(&to)?.sync_all()?;
    }
    File::open(new)?.sync_all()?;
    // The old log must not be taken for the new file's.
    for log in files_of(path).iter().skip(1).filter(|log| log.exists()) {
        fs::remove_file(log)?;
    }
    fs::rename(new, path)?;
    let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases =
            [(0, "1970-01-01-000000"), (951_782_400, "2000-02-29-000000"), (1_795_636_799, "2026-11-25-195959")];
        for (seconds, expected) in cases {
            assert_eq!(date(seconds), expected);
        }
        assert_eq!(date(4_107_542_400), "2100-03-01-000000", "2100 is no leap year");
    }
}
