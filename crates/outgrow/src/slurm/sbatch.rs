//! What Slurm's own programs are told, and what they say.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    paths::{database, whole},
    script::Script,
};
use crate::{
    error::Error,
    workspace::{DB, FILES, Workspace},
};

/// A job array.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Job {
    pub id: String,
    /// The cluster, where sbatch names one.
    pub cluster: Option<String>,
}

/// Submits the workers, in as many arrays as the site's limit of their size takes.
///
/// # Errors
/// If sbatch refuses; what it has taken before is told.
pub fn submit_all(
    workspace: &Workspace,
    script: &Script,
    file: &Path,
    workers: u16,
) -> Result<Vec<Job>, Error> {
    let most = if workers > 1 { longest_array().unwrap_or(u16::MAX) } else { 1 };
    let mut jobs: Vec<Job> = vec![];
    for size in sizes(workers, most) {
        match sbatch(workspace, script, file, size) {
            Ok(job) => jobs.push(job),
            Err(failure) if jobs.is_empty() => return Err(failure),
            Err(failure) => {
                let taken: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
                return Err(Error::Environment(format!(
                    "{failure}; submitted before that: job {}",
                    taken.join(", ")
                )));
            }
        }
    }
    Ok(jobs)
}

/// Sizes of arrays of so many in all, none above `most`.
fn sizes(all: u16, most: u16) -> impl Iterator<Item = u16> {
    let most = most.max(1);
    (0..all).step_by(usize::from(most)).map(move |begun| most.min(all - begun))
}

fn sbatch(workspace: &Workspace, script: &Script, file: &Path, size: u16) -> Result<Job, Error> {
    let mut command = Command::new("sbatch");
    // Said as words, too: they count more than the variables with which a site or a user sets what
    // the script says otherwise.
    command
        .arg("--parsable")
        .args(script.options.iter().flatten())
        .arg(format!("--array=0-{}", size - 1))
        .arg(file);
    // By the environment, which sbatch hands to the job: so that no file holds a password.
    command.env(DB, database(workspace)?);
    if let Some(files) = &workspace.files {
        command.env(FILES, whole(files)?);
    }
    std::env::vars_os().filter(|(name, _)| is_of_another_job(name)).for_each(|(name, _)| {
        command.env_remove(name);
    });
    // What sbatch and the site's filters have to say goes on to the user.
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(not_run)?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(Error::Environment(format!(
            "sbatch refused {} (see above){}",
            file.display(),
            listed(&said)
        )));
    }
    job(&said).ok_or_else(|| {
        let what = "sbatch named no job; `squeue --me` shows whether there is one";
        Error::Environment(format!("{what}{}", listed(&said)))
    })
}

/// Refuses a machine that has no sbatch, before anything is written for it.
pub(super) fn check() -> Result<(), Error> {
    let output = Command::new("sbatch").arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(not_run)?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(Error::Environment(format!("sbatch does not work here{}", listed(&said))))
        }
    }
}

fn not_run(error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::Environment(
            "there is no sbatch here; submit from a machine of the cluster".into(),
        ),
        _ => Error::Environment(format!("cannot run sbatch: {error}")),
    }
}

fn listed(said: &str) -> String {
    let said = said.trim();
    if said.is_empty() { String::new() } else { format!("; it said: {said:?}") }
}

/// Variables that change what sbatch does, or that belong to the job from within which something is
/// submitted: the new one would begin with another's memory and tasks.
fn is_of_another_job(name: &OsStr) -> bool {
    const OWN: [&str; 5] =
        ["SLURM_CONF", "SLURM_CLUSTERS", "SLURM_UMASK", "SLURM_JWT", "SLURM_CONF_SERVER"];
    const MISLEADING: [&str; 3] = ["SBATCH_WAIT", "SBATCH_ERROR", "SBATCH_INPUT"];
    name.to_str().is_some_and(|name| {
        MISLEADING.contains(&name) || name.starts_with("SLURM_") && !OWN.contains(&name)
    })
}

/// The job that sbatch names: the last line that is `JOB` or `JOB;CLUSTER`. A site's filters may
/// print before it.
fn job(said: &str) -> Option<Job> {
    let named = |line: &str| {
        let (id, cluster) = line
            .split_once(';')
            .map_or((line, None), |(id, cluster)| (id, Some(cluster.to_owned())));
        let is_number = !id.is_empty() && id.chars().all(|c| c.is_ascii_digit());
        let is_name = cluster
            .as_ref()
            .is_none_or(|name| !name.is_empty() && !name.contains(char::is_whitespace));
        (is_number && is_name).then(|| Job { id: id.to_owned(), cluster })
    };
    said.lines().rev().find_map(|line| named(line.trim()))
}

/// How many tasks an array may have here, as Slurm's configuration says.
fn longest_array() -> Option<u16> {
    let output =
        Command::new("scontrol").args(["show", "config"]).stderr(Stdio::null()).output().ok()?;
    limit(&String::from_utf8_lossy(&output.stdout))
}

fn limit(config: &str) -> Option<u16> {
    let (_, value) = config
        .lines()
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim() == "MaxArraySize")?;
    let most: u64 = value.trim().parse().ok()?;
    Some(u16::try_from(most).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_is_found_in_what_is_said() {
        let of = |said: &str| job(said).map(|job| (job.id, job.cluster.unwrap_or_default()));
        let found = |id: &str, cluster: &str| Some((id.to_owned(), cluster.to_owned()));
        assert_eq!(of("123\n"), found("123", ""));
        assert_eq!(of("123;green\n"), found("123", "green"));
        assert_eq!(of("Welcome!\n12 nodes are free\n  123;green \n"), found("123", "green"));
        assert_eq!(of("7\n123\n"), found("123", ""), "the job comes last");
        assert_eq!(of("123\ncharged to account a\n"), found("123", ""));
        assert_eq!(of("Submitted batch job\n"), None);
        assert_eq!(of(";green\n"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn workers_are_dealt_to_arrays() {
        let dealt = |all, most| sizes(all, most).collect::<Vec<_>>();
        assert_eq!(dealt(3, 1001), [3]);
        assert_eq!(dealt(45, 20), [20, 20, 5]);
        assert_eq!(dealt(40, 20), [20, 20]);
        assert_eq!(dealt(1, 0), [1]);
        for (all, most) in [(u16::MAX, 1), (u16::MAX, 1000), (1000, u16::MAX)] {
            assert_eq!(sizes(all, most).map(u64::from).sum::<u64>(), u64::from(all));
        }
        assert_eq!(limit("A = 1\nMaxArraySize            = 20\n"), Some(20));
        assert_eq!(limit("MaxArraySize = 4000001\n"), Some(u16::MAX));
        assert_eq!(limit("no config"), None);
    }

    #[test]
    fn another_jobs_variables_stay_behind() {
        let is_left = |name: &str| is_of_another_job(OsStr::new(name));
        assert!(
            ["SLURM_JOB_ID", "SLURM_MEM_PER_NODE", "SLURM_CPUS_PER_TASK", "SBATCH_WAIT"]
                .into_iter()
                .all(is_left)
        );
        assert!(
            !["SLURM_CONF", "SBATCH_ACCOUNT", "SBATCH_PARTITION", "OUTGROW_DB", "PATH"]
                .into_iter()
                .any(is_left)
        );
    }
}
