//! `outgrow submit`.

mod sbatch;
mod script;

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf, absolute},
};

use outgrow_data::publish;
use outgrow_store::Address;

use self::{sbatch::submit_all, script::Script};
use crate::{
    args::Submit,
    failure::Failure,
    output::print,
    place::{Place, read_sweep, runtime},
};

/// Puts a sweep into the database and hands its workers to the cluster's scheduler.
pub fn submit(place: &Place, args: &Submit) -> Result<(), Failure> {
    let sweep = read_sweep(&args.sweep)?;
    let digest = match args.print {
        true => place.survey(&sweep, &args.sweep)?.digest,
        false => place.prepare(&sweep, &args.sweep)?,
    };
    let (id, jobs) = (sweep.id(&digest), whole(&place.jobs())?);
    let script = Script::new(place, args, &sweep.spec().name, &id, &jobs)?;
    if args.print {
        return print(&script.text());
    }
    super::namesake::tell(place, &sweep, &digest)?;
    let members = sweep.members(&digest).map_err(Failure::input(args.sweep.display()))?;
    let open = runtime()?.block_on(async {
        let store = place.store().await?;
        store.insert_sweep(&sweep, &digest, &members, args.alone).await?;
        if args.retry_failed {
            store.retry_failed(&id).await?;
        }
        let status = store.status(&id).await?;
        store.close().await;
        Ok::<_, Failure>(status.total() - status.ended())
    })?;
    if open == 0 {
        return print(&format!(
            "all trials of {} are done; nothing was submitted",
            sweep.spec().name
        ));
    }
    if let Ok(Address::File(path)) = Address::parse(&place.db) {
        eprintln!(
            "note: {path} is a SQLite file: that is safe as long as all jobs run on one machine; use PostgreSQL for more"
        );
    }
    let file = write(&jobs, &id, &script.text())?;
    let jobs = submit_all(place, &script, &file, args.workers)?;
    let names: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let cluster = jobs.iter().find_map(|job| job.cluster.as_ref());
    let at = cluster.map_or_else(String::new, |name| format!("--clusters={name} "));
    print(&format!(
        "job {}: {} worker(s) for {open} trials, script {}; `outgrow status` shows who is at what, `scancel {at}{}` stops them, \
         and submitting again goes on",
        names.join(", "),
        args.workers,
        file.display(),
        names.join(" ")
    ))
}

/// Writes the script, whole or not at all.
fn write(jobs: &Path, id: &str, text: &str) -> Result<PathBuf, Failure> {
    let file = jobs.join(format!("{id}.sh"));
    let script = |out: &mut BufWriter<File>| out.write_all(text.as_bytes());
    let written = fs::create_dir_all(jobs).and_then(|()| publish::file(&file, script));
    written.map_err(Failure::environment(format!("cannot write {}", file.display())))?;
    Ok(file)
}

/// The database as it is found from any folder.
fn database(place: &Place) -> Result<String, Failure> {
    match Address::parse(&place.db) {
        Ok(Address::File(path)) => text(&whole(Path::new(&path))?),
        _ => Ok(place.db.clone()),
    }
}

fn whole(path: &Path) -> Result<PathBuf, Failure> {
    absolute(path).map_err(Failure::environment(format!("cannot find {}", path.display())))
}

/// A path as a script can say it.
fn text(path: &Path) -> Result<String, Failure> {
    let refused = || {
        Failure::Input(format!("{} is no path in UTF-8, which a script can't hold", path.display()))
    };
    path.to_str().map(str::to_owned).ok_or_else(refused)
}
