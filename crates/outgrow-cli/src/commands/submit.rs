//! `outgrow submit`.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf, absolute},
    process::Command,
};

use outgrow_store::Address;

use crate::{
    args::Submit,
    failure::Failure,
    output::print,
    place::{DB, FILES, Place, read_sweep, runtime},
};

/// Puts a sweep into the database and hands its workers to the cluster's scheduler.
pub fn submit(place: &Place, args: &Submit) -> Result<(), Failure> {
    let sweep = read_sweep(&args.sweep)?;
    let digest = match args.print {
        true => place.survey(&sweep, &args.sweep)?.digest,
        false => place.prepare(&sweep, &args.sweep)?,
    };
    let (id, jobs) = (sweep.id(&digest), whole(&place.jobs())?);
    let script = script(args, &sweep.spec().name, &id, &jobs)?;
    if args.print {
        return print(&script);
    }
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
        return print(&format!("all trials of {} are done; nothing was submitted", sweep.spec().name));
    }
    if let Ok(Address::File(path)) = Address::parse(&place.db) {
        eprintln!(
            "note: {path} is a SQLite file: that is safe as long as all jobs run on one machine; use PostgreSQL for more"
        );
    }
    let file = jobs.join(format!("{id}.sh"));
    let written = fs::create_dir_all(&jobs).and_then(|()| fs::write(&file, &script));
    written.map_err(Failure::environment(format!("cannot write {}", file.display())))?;
    let job = sbatch(place, &file)?;
    print(&format!(
        "job {job}: {} worker(s) for {open} trials, script {}; `outgrow status` shows who is at what, `scancel {job}` stops them, \
         and submitting again goes on",
        args.workers,
        file.display()
    ))
}

fn sbatch(place: &Place, script: &Path) -> Result<String, Failure> {
    let mut command = Command::new("sbatch");
    command.arg("--parsable").arg(script);
    // By the environment, which sbatch hands to the job: so that no file holds a password.
    command.env(DB, database(place)?);
    if let Some(files) = &place.files {
        command.env(FILES, whole(files)?);
    }
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Failure::Environment("there is no sbatch here; submit from a machine of the cluster".into())
        }
        _ => Failure::Environment(format!("cannot run sbatch: {error}")),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::Environment(format!("sbatch refused {}: {}", script.display(), said.trim())));
    }
    // JOB, or JOB;CLUSTER.
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.trim().split(';').next().unwrap_or_default().to_owned())
}

/// The database as it is found from any folder.
fn database(place: &Place) -> Result<String, Failure> {
    match Address::parse(&place.db) {
        Ok(Address::File(path)) => Ok(whole(Path::new(&path))?.display().to_string()),
        _ => Ok(place.db.clone()),
    }
}

fn whole(path: &Path) -> Result<PathBuf, Failure> {
    absolute(path).map_err(Failure::environment(format!("cannot find {}", path.display())))
}

/// The job array. A job that is told that its time is nearly up lets its worker save, and goes back into the queue.
fn script(args: &Submit, name: &str, sweep: &str, jobs: &Path) -> Result<String, Failure> {
    let program = std::env::current_exe().map_err(Failure::environment("cannot find this program"))?;
    let here = std::env::current_dir().map_err(Failure::environment("cannot find this folder"))?;
    let mut worker = vec![quoted(&program.display().to_string()), "worker".into(), sweep.into()];
    worker.extend(["--threads".into(), args.threads.to_string()].into_iter().chain(args.keeping.options()));
    worker.extend(args.device.iter().flat_map(|device| ["--device".into(), device.to_string()]));
    worker.extend(args.together.iter().flat_map(|together| ["--together".into(), together.to_string()]));
    let options: String = args.options.iter().map(|option| format!("#SBATCH {option}\n")).collect();
    Ok(format!(
        "#!/bin/bash
#SBATCH --job-name={}
#SBATCH --array=0-{}
#SBATCH --cpus-per-task={}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --signal=B:USR1@120
#SBATCH --output={}
{options}
# Workers of outgrow's sweep {name}. Where the database is comes by the environment ({DB}), for a URL may hold a password.
cd {} || exit 3
again=
{} &
worker=$!
trap 'again=1; kill -USR1 $worker 2>/dev/null' USR1
trap 'kill -TERM $worker 2>/dev/null' TERM
wait $worker
code=$?
while kill -0 $worker 2>/dev/null; do
  wait $worker
  code=$?
done
# Its time was up, and there is more to do.
if [ -n \"$again\" ] && [ $code = 130 ]; then
  exec scontrol requeue \"$SLURM_JOB_ID\"
fi
exit $code
",
        quoted(&format!("outgrow-{name}")),
        args.workers - 1,
        args.threads,
        quoted(&jobs.join("%A_%a.log").display().to_string()),
        quoted(&here.display().to_string()),
        worker.join(" "),
    ))
}

/// A word for the shell, and for sbatch.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:%@,".contains(c);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
