//! The script of a job array: what Slurm reads of it, and what its shell does.

use std::path::Path;

use outgrow_report::escape::visible;
use outgrow_store::Address;

use super::{
    SlurmOptions,
    paths::{database, text, whole},
};
use crate::{
    error::Error,
    shell::{is_plain, quoted},
    workspace::{DB, FILES, Workspace},
};

/// Whoever is told within so many seconds that its time is up has no time to train: put back into
/// the queue, it would come and go for ever.
const TOO_SHORT: u32 = 60;

/// A script under construction.
pub struct Script {
    /// Options for sbatch, each as a word or two.
    pub options: Vec<Vec<String>>,
    sweep: String,
    /// Sets the environment, where the site's own scripts may have cleared it.
    environment: String,
    folder: String,
    worker: Vec<String>,
}

impl Script {
    /// The script for the workers of a sweep.
    ///
    /// # Errors
    /// If a path or an option can't be said to Slurm.
    pub fn new(
        workspace: &Workspace,
        options: &SlurmOptions,
        name: &str,
        sweep: &str,
        jobs: &Path,
    ) -> Result<Self, Error> {
        let here =
            std::env::current_dir().map_err(Error::environment("cannot find this folder"))?;
        let mut worker = vec![text(&options.program)?, "worker".into(), sweep.into()];
        worker.extend(options.worker.arguments());
        let device = options.worker.device.iter();
        worker.extend(device.flat_map(|device| ["--device".into(), device.to_string()]));
        let own = [
            format!("--job-name=outgrow-{}", visible(name)),
            format!("--array=0-{}", options.workers - 1),
            format!("--cpus-per-task={}", options.worker.threads),
            "--requeue".into(),
            "--open-mode=append".into(),
            "--export=ALL".into(),
            "--signal=B:USR1@120".into(),
            format!("--output={}/%A_%a.log", pattern(&text(jobs)?)?),
        ];
        let asked =
            options.sbatch.iter().map(|option| words(option)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            options: own.map(|option| vec![option]).into_iter().chain(asked).collect(),
            sweep: visible(name),
            environment: environment(workspace)?,
            folder: text(&here)?,
            worker,
        })
    }

    /// The whole script. A job that is told that its time is nearly up lets its worker save, and
    /// goes back into the queue.
    pub fn text(&self) -> String {
        let directive = |words: &Vec<String>| {
            let words: Vec<String> = words.iter().map(|word| directive(word)).collect();
            format!("#SBATCH {}\n", words.join(" "))
        };
        let options: String = self.options.iter().map(directive).collect();
        let worker: Vec<String> = self.worker.iter().map(|word| quoted(word)).collect();
        format!(
            r#"#!/bin/bash
{options}
# Workers of outgrow's sweep {sweep}.
{environment}cd {folder} || exit 3
again=
worker=
trap 'again=1; [ -z "$worker" ] || kill -USR1 "$worker" 2>/dev/null' USR1
trap '[ -n "$worker" ] || exit 130; kill -TERM "$worker" 2>/dev/null' TERM
{worker} &
worker=$!
# Told before there was a worker to tell.
[ -z "$again" ] || kill -USR1 "$worker" 2>/dev/null
wait "$worker"
code=$?
while kill -0 "$worker" 2>/dev/null; do
  wait "$worker"
  code=$?
done
# Its time was up, and there is more to do; 138: it was told before it listened.
if [ -n "$again" ] && {{ [ "$code" = 130 ] || [ "$code" = 138 ]; }}; then
  if [ "$SECONDS" -lt {TOO_SHORT} ]; then
    echo "outgrow: Slurm's warning came {TOO_SHORT} seconds after the start or sooner; give more time, as --sbatch=--time=1:00:00" >&2
    exit 3
  fi
  # One task of the array: $SLURM_JOB_ID may be all of it.
  exec scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$code"
"#,
            sweep = self.sweep,
            environment = self.environment,
            folder = quoted(&self.folder),
            worker = worker.join(" "),
        )
    }
}

/// Where the database and the files are, for the workers. sbatch hands on its environment, where a
/// URL may hold a password that no file should have; but a site's scripts may clear it.
fn environment(workspace: &Workspace) -> Result<String, Error> {
    let database = database(workspace)?;
    let files = match &workspace.files {
        Some(files) => format!("export {FILES}={}\n", quoted(&text(&whole(files)?)?)),
        None => String::new(),
    };
    let address = Address::parse(&database)?;
    let database = match (address.has_secret(), address) {
        (false, Address::Server(url)) => format!("export {DB}={}\n", quoted(&url)),
        (false, Address::File(_)) => format!("export {DB}={}\n", quoted(&database)),
        (true, _) => format!(
            "if [ -z \"${DB}\" ]; then\n  echo \"outgrow: {DB} did not come to this job; it holds \
             a password, so it is in no script\" >&2\n  exit 3\nfi\n"
        ),
    };
    Ok(database + &files)
}

/// A path in a pattern of Slurm's: what stands for something else there is doubled.
fn pattern(path: &str) -> Result<String, Error> {
    match path.chars().any(|c| c == '\\' || c.is_control()) {
        true => Err(Error::Input(format!(
            "Slurm can't write to {}: no pattern of its says a backslash or a control character; \
             name another folder with --files",
            visible(path)
        ))),
        false => Ok(path.replace('%', "%%")),
    }
}

/// An option of the user's as sbatch's words: `--partition=gpu`, `--partition gpu`, `-p gpu`.
fn words(option: &str) -> Result<Vec<String>, Error> {
    let refused = |why: &str| Err(Error::Input(format!("--sbatch={}: {why}", visible(option))));
    let name = option.split(['=', ' ', '\t']).next().unwrap_or_default();
    if option.chars().any(char::is_control) {
        return refused("an option of sbatch's is one line");
    }
    if !name.starts_with('-') {
        return refused("give an option of sbatch's, as --sbatch=--partition=gpu");
    }
    if let Some(why) = is_ours(name) {
        return refused(why);
    }
    match name {
        _ if option[name.len()..].starts_with('=') => Ok(vec![option.to_owned()]),
        _ => Ok(option
            .splitn(2, [' ', '\t'])
            .map(|word| word.trim().to_owned())
            .filter(|word| !word.is_empty())
            .collect()),
    }
}

/// Options of sbatch that are the script's own, or make no job: their long names, of which
/// sbatch takes a beginning as well, and their letters.
const OURS: [(&str, &str, &str); 9] = [
    ("--array", "a", "-j says how many workers there are"),
    ("--signal", "", "the script's own tells it when its time is nearly up"),
    ("--wrap", "", NO_JOB),
    ("--test-only", "", NO_JOB),
    ("--wait", "W", NO_JOB),
    ("--parsable", "", NO_JOB),
    ("--help", "h", NO_JOB),
    ("--usage", "", NO_JOB),
    ("--version", "V", NO_JOB),
];
const NO_JOB: &str = "that is not for a job of workers";

/// Why an option of this name can't be the user's, if it can't.
fn is_ours(name: &str) -> Option<&'static str> {
    if name.trim_start_matches('-').is_empty() {
        return Some("give an option of sbatch's, as --sbatch=--partition=gpu");
    }
    let is_meant = |long: &str, letter: &str| match name.strip_prefix("--") {
        Some(rest) => rest.len() > 1 && long.starts_with(name),
        None => !letter.is_empty() && name[1..].starts_with(letter),
    };
    OURS.iter().find(|(long, letter, _)| is_meant(long, letter)).map(|(.., why)| *why)
}

/// A word for sbatch's reader of directives, to which a backslash is one within quotes, too.
fn directive(word: &str) -> String {
    match is_plain(word) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\\', r"\\").replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, process::Command};

    use proptest::prelude::*;

    use super::*;
    use crate::worker::WorkerOptions;

    fn script(db: &str, sbatch: &[&str], jobs: &str) -> Result<Script, Error> {
        let options = SlurmOptions {
            program: "/usr/bin/outgrow".into(),
            workers: 3,
            worker: WorkerOptions::default(),
            no_shared_prefix: false,
            retry_failed: false,
            sbatch: sbatch.iter().map(|&option| option.to_owned()).collect(),
        };
        let workspace = Workspace::new(db.into(), Some("/tmp/f".into()));
        Script::new(&workspace, &options, "small", "0123", Path::new(jobs))
    }

    fn said(refused: Result<Script, Error>) -> String {
        match refused {
            Err(Error::Input(text)) => text,
            _ => panic!("it was taken"),
        }
    }

    fn bash(text: &str, args: &[&str]) -> std::process::Output {
        Command::new("bash").args(["-c", text]).args(args).output().expect("bash runs")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_quoted_word_is_one_word_to_the_shell(words in prop::collection::vec("[^\\x00]{0,30}|[ -~]{0,30}|['\\\\\"$`!*\n ]{0,12}", 1..6)) {
            let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let output = bash(&format!("printf '%s\\0' {}", line.join(" ")), &[]);
            let expected: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
            prop_assert_eq!(output.stdout, expected, "{:?}", line);
        }

        #[test]
        fn every_script_is_one(folder in "/[^\\x00-\\x1f\\x7f-\\u{9f}\\\\]{0,30}", option in "--comment=[ -~]{0,30}", database in "\\./[^\\x00:?]{1,30}") {
            let text = script(&database, &[&option], &folder).expect("a script").text();
            let output = bash("bash -n /dev/stdin <<<\"$0\"", &[&text]);
            prop_assert!(output.status.success(), "{}\n{}", text, String::from_utf8_lossy(&output.stderr));
            let directives = text.lines().skip(1).take_while(|line| line.starts_with("#SBATCH "));
            prop_assert_eq!(directives.count(), 9);
        }
    }

    #[test]
    fn paths_and_options_are_said_as_slurm_reads_them() {
        let text = script(
            "a.db",
            &["--partition=gpu", "-A my account", "--comment=two words"],
            "/a b/100%/it's",
        )
        .expect("a script")
        .text();
        for line in [
            "#SBATCH --array=0-2",
            r"#SBATCH '--output=/a b/100%%/it'\''s/%A_%a.log'",
            "#SBATCH --partition=gpu",
            "#SBATCH -A 'my account'",
            "#SBATCH '--comment=two words'",
            "export OUTGROW_FILES=/tmp/f",
            "  exec scontrol requeue \"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}\"",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing:\n{text}");
        }
        assert!(said(script("a.db", &[], "/back\\slash")).contains("backslash"));
        for (option, why) in [
            ("--array=0-9", "-j says"),
            ("--wrap=ls", "not for a job"),
            ("--wra=ls", "not for a job"),
            ("--arr=0-5", "-j says"),
            ("-a0-5", "-j says"),
            ("-V", "not for a job"),
            ("--signal=USR1@60", "its time"),
            ("--", "give an option"),
            ("-", "give an option"),
            ("--comment=a\nrm -rf", "one line"),
            ("partition", "give an option"),
        ] {
            assert!(said(script("a.db", &[option], "/j")).contains(why), "{option}");
        }
    }

    #[test]
    fn no_script_has_a_password() {
        let text = |db: &str| script(db, &[], "/j").expect("a script").text();
        let secret = text("postgres://me:s3cret@host/db");
        assert!(
            !secret.contains("s3cret") && secret.contains("if [ -z \"$OUTGROW_DB\" ]"),
            "{secret}"
        );
        assert!(
            text("postgres://me@host/db").contains("export OUTGROW_DB=postgres://me@host/db\n")
        );
    }

    /// The script in a shell of its own, with a worker that does as it is told and a scheduler that
    /// writes down what it is told.
    fn played(worker: &str, then: &str, too_short: &str) -> (Option<i32>, String) {
        let desk = tempfile::tempdir().expect("a folder");
        let here = desk.path();
        let program = |name: &str, text: &str| {
            let path = here.join(name);
            fs::write(&path, format!("#!/bin/bash\n{text}\n")).expect("written");
            let open = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
            fs::set_permissions(&path, open).expect("permitted");
            path
        };
        let worker: PathBuf =
            program("a worker", &format!("touch {}/began\n{worker}", here.display()));
        program("scontrol", &format!("echo \"$@\" > {}/told", here.display()));
        let mut script = script("a.db", &[], "/j").expect("a script");
        (script.worker, script.folder) =
            (vec![worker.display().to_string()], here.display().to_string());
        // Minutes are seconds here.
        let text = script.text().replace("-lt 60", &format!("-lt {too_short}"));
        fs::write(here.join("script"), text).expect("written");
        let play = format!(
            "bash ./script & until [ -e began ]; do sleep 0.05; done; sleep 1.2; {then}; wait $!"
        );
        let output = Command::new("bash")
            .args(["-c", &play])
            .current_dir(here)
            .env(
                "PATH",
                format!("{}:{}", here.display(), std::env::var("PATH").unwrap_or_default()),
            )
            .envs([
                ("SLURM_ARRAY_JOB_ID", "7"),
                ("SLURM_ARRAY_TASK_ID", "2"),
                ("SLURM_JOB_ID", "7"),
            ])
            .output()
            .expect("bash runs");
        (output.status.code(), fs::read_to_string(here.join("told")).unwrap_or_default())
    }

    #[test]
    fn a_job_whose_time_is_up_goes_back_into_the_queue_alone() {
        let saves = "trap 'exit 130' USR1 TERM; while :; do sleep 0.05; done";
        assert_eq!(played(saves, "kill -USR1 $!", "1"), (Some(0), "requeue 7_2\n".into()));
        assert_eq!(
            played(saves, "kill -USR1 $!", "60"),
            (Some(3), String::new()),
            "it would come and go for ever"
        );
        assert_eq!(played(saves, "kill -TERM $!", "1"), (Some(130), String::new()));
        assert_eq!(
            played("exec sleep 60", "kill -USR1 $!", "1").1,
            "requeue 7_2\n",
            "told before it listened"
        );
        assert_eq!(played("exit 0", ":", "1"), (Some(0), String::new()));
        assert_eq!(played("exit 3", ":", "1"), (Some(3), String::new()));
    }
}
