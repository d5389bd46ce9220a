//! A real Slurm, all of it on this machine: several nodes under names and ports of their own. It is
//! started here, by root, where Slurm and munge are installed; otherwise the test says that it was
//! skipped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::sandbox::{SWEEP, Sandbox, Server, signal};

struct Cluster {
    folder: PathBuf,
    daemons: Vec<(String, Child)>,
}

impl Cluster {
    /// Two nodes of one core each.
    fn start(folder: &Path) -> Option<Self> {
        let is_there = |program: &str| Path::new("/usr/sbin").join(program).exists();
        if !nix::unistd::geteuid().is_root()
            || !["slurmctld", "slurmd", "munged"].into_iter().all(is_there)
        {
            outgrow_testkit::skip("Slurm and munge are not installed here, or this is not root");
            return None;
        }
        munge();
        let host = nix::unistd::gethostname().expect("a name").to_string_lossy().into_owned();
        let host = host.split('.').next().expect("a name").to_owned();
        // Apart from the ports of connections and of the PostgreSQL servers beside it.
        let port = 12_000 + std::process::id() % 7_900;
        let at = folder.display();
        let node = |n: u32| {
            format!(
                "NodeName=n{n} NodeHostname={host} NodeAddr=127.0.0.1 Port={} CPUs=1 \
                 RealMemory=2000\n",
                port + 1 + n
            )
        };
        let conf = format!(
            "ClusterName=outgrow\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={port}\nSlurmUser=root\nSlurmdUser=root\n\
             AuthType=auth/munge\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\n\
             SelectTypeParameters=CR_Core\nReturnToService=2\nSlurmdTimeout=10\nSlurmctldTimeout=10\nJobRequeue=1\n\
             AccountingStorageType=accounting_storage/none\nJobAcctGatherType=jobacct_gather/none\nMpiDefault=none\n\
             StateSaveLocation={at}/state\nSlurmdSpoolDir={at}/spool-%n\nSlurmctldPidFile={at}/ctld.pid\nSlurmdPidFile={at}/%n.pid\n\
             SlurmctldLogFile={at}/ctld.log\nSlurmdLogFile={at}/%n.log\n{}{}\
             PartitionName=p Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP\n",
            node(1),
            node(2)
        );
        fs::create_dir_all(folder.join("state")).expect("a folder");
        fs::write(folder.join("slurm.conf"), conf).expect("written");
        let mut cluster = Self { folder: folder.to_owned(), daemons: vec![] };
        cluster.daemon("slurmctld", "slurmctld", &["-D"]);
        for node in ["n1", "n2"] {
            cluster.daemon(node, "slurmd", &["-D", "-N", node]);
        }
        let idle = |found: &str| found.lines().filter(|line| line.contains("idle")).count() == 2;
        cluster.wait(Duration::from_secs(60), &["sinfo", "-h", "-N", "-o", "%N %t"], idle);
        Some(cluster)
    }

    fn daemon(&mut self, name: &str, program: &str, args: &[&str]) {
        let mut command = Command::new(Path::new("/usr/sbin").join(program));
        command.args(args).env("SLURM_CONF", self.folder.join("slurm.conf"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        self.daemons.push((name.into(), child));
    }

    fn run(&self, command: &[&str]) -> String {
        let output = Command::new(command[0])
            .args(&command[1..])
            .env("SLURM_CONF", self.folder.join("slurm.conf"))
            .output();
        let output = output.expect("it runs");
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    fn wait(&self, most: Duration, command: &[&str], until: impl Fn(&str) -> bool) {
        let began = Instant::now();
        while !until(&self.run(command)) {
            assert!(began.elapsed() < most, "{command:?}: {}\n{}", self.run(command), self.logs());
            sleep(Duration::from_millis(500));
        }
    }

    fn logs(&self) -> String {
        fs::read_to_string(self.folder.join("ctld.log")).unwrap_or_default()
    }

    /// Loses a node: its daemon, and with it all that runs there.
    fn lose(&mut self, node: &str, workers: &[i32]) {
        let at = self.daemons.iter().position(|(name, _)| name == node).expect("a node");
        let (_, mut daemon) = self.daemons.remove(at);
        daemon.kill().and_then(|()| daemon.wait()).expect("killed");
        let steps = Command::new("pgrep")
            .args(["-f", "slurmstepd"])
            .output()
            .map(|output| output.stdout)
            .unwrap_or_default();
        let steps: Vec<i32> = String::from_utf8_lossy(&steps)
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect();
        // The steps of the lost node are the parents of its scripts, which are the parents of its
        // workers.
        let lost = steps
            .into_iter()
            .filter(|step| workers.iter().any(|worker| ancestors(*worker).contains(step)));
        let lost: Vec<i32> = lost.collect();
        let scripts: Vec<i32> =
            workers.iter().filter_map(|worker| ancestors(*worker).first().copied()).collect();
        signal(&[lost, scripts, workers.to_vec()].concat(), Signal::SIGKILL);
    }
}

/// Its parent, the parent of that, and so on.
fn ancestors(pid: i32) -> Vec<i32> {
    let parent = |pid: i32| -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    std::iter::successors(parent(pid), |&pid| parent(pid)).take_while(|&pid| pid > 1).collect()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.run(&["scancel", "--full", "--user", "root"]);
        sleep(Duration::from_millis(500));
        for (_, daemon) in &mut self.daemons {
            let _ = daemon.kill().and_then(|()| daemon.wait());
        }
    }
}

/// Makes sure that munge runs.
fn munge() {
    let works = || {
        Command::new("sh")
            .args(["-c", "munge -n | unmunge"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if works() {
        return;
    }
    let start = "mkdir -p /run/munge && chown munge:munge /run/munge && su munge -s /bin/sh -c \
                 /usr/sbin/munged";
    let _ =
        Command::new("sh").args(["-c", start]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let began = Instant::now();
    while !works() {
        assert!(began.elapsed() < Duration::from_secs(10), "munge does not start");
        sleep(Duration::from_millis(200));
    }
}

/// Who holds trials: node's process and job of each.
fn holders(sandbox: &Sandbox) -> Vec<(i32, String)> {
    let status = sandbox.json(&["status", "--json"]);
    let running = status[0]["running"].as_array().cloned().unwrap_or_default();
    let holder = |trial: &Value| {
        let process = &trial["process"];
        Some((process["pid"].as_i64()? as i32, process["job"].as_str()?.to_owned()))
    };
    running.iter().filter_map(holder).collect()
}

#[test]
fn a_job_array_survives_the_loss_of_a_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut cluster) = Cluster::start(folder.path()) else { return };
    let Some((_server, url)) = Server::start() else { return };
    let (sandbox, whole) = (Sandbox::with(Some(url)), Sandbox::new());
    for sandbox in [&sandbox, &whole] {
        sandbox.write("sweep.toml", &SWEEP.replace("tokens = 25_600", "tokens = 409_600"));
    }
    whole.ok(&["run", "sweep.toml"]);
    // What a pattern of Slurm's, a shell and a directive would take for something else.
    let files = "fi les 100% %j 'x' \"y\" #z";
    let submit = ["--files", files, "submit", "sweep.toml", "--slurm", "-j2"];
    let mut command = sandbox
        .command(&[&submit[..], &["--sbatch=--time=60", "--sbatch=--comment=two words"]].concat());
    // From within another job, and where a site or a user has set other ways.
    command.envs([
        ("SLURM_JOB_ID", "1"),
        ("SLURM_ARRAY_TASK_ID", "9"),
        ("SLURM_MEM_PER_NODE", "1"),
        ("SLURM_NTASKS", "64"),
    ]);
    command.envs([
        ("SBATCH_EXPORT", "NONE"),
        ("SBATCH_ARRAY_INX", "0-0"),
        ("SBATCH_OUTPUT", "/nowhere/out"),
        ("SBATCH_JOB_NAME", "other"),
    ]);
    let output =
        command.env("SLURM_CONF", folder.path().join("slurm.conf")).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("2 worker(s) for 4 trials"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    sandbox.wait_for_rows(100);
    let before = holders(&sandbox);
    assert_eq!(before.len(), 2, "two jobs work: {}", cluster.run(&["squeue"]));
    let logs: Vec<_> = fs::read_dir(sandbox.path(files).join("jobs"))
        .expect("jobs")
        .map(|file| file.expect("a file").file_name())
        .collect();
    let is_log = |task: u32| {
        logs.iter().any(|name| name.to_string_lossy().ends_with(&format!("_{task}.log")))
    };
    assert!(is_log(0) && is_log(1), "{logs:?}");
    let text = sandbox.ok(&["status"]);
    assert!(before.iter().all(|(_, job)| text.contains(&format!("job {job}"))), "{text}");
    // The node of the first of them is lost.
    let (worker, job) = before[0].clone();
    let node = cluster.run(&["squeue", "-h", "-j", &job, "-o", "%N"]).trim().to_owned();
    let began = Instant::now();
    cluster.lose(&node, &[worker]);
    // Slurm puts its job back into the queue; meanwhile its trial goes on in the other job, or in
    // it when the node is back.
    while sandbox.number("SELECT count(*) FROM attempt WHERE outcome = 'died'") == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody noticed");
        sleep(Duration::from_millis(300));
    }
    println!("the death was noticed after {:.1} s", began.elapsed().as_secs_f64());
    cluster.wait(Duration::from_secs(120), &["squeue", "-h", "-o", "%T"], |found| {
        found.contains("PENDING") || found.trim().is_empty()
    });
    let node_again = node.clone();
    cluster.daemon(&node_again, "slurmd", &["-D", "-N", &node_again]);
    let began = Instant::now();
    while sandbox.number("SELECT count(*) FROM finals WHERE state = 'complete'") < 4 {
        assert!(
            began.elapsed() < Duration::from_secs(240),
            "{}\n{}",
            cluster.run(&["squeue"]),
            sandbox.ok(&["status"])
        );
        sleep(Duration::from_secs(1));
    }
    assert!(sandbox.rows() == whole.rows(), "other numbers than those of the undisturbed sweep");
    let mut again = sandbox.command(&submit);
    let output =
        again.env("SLURM_CONF", folder.path().join("slurm.conf")).output().expect("it runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing was submitted"));
}

/// A folder of programs that stand for Slurm's: sbatch writes down what it is told, answers `said`,
/// and its site's limits are `config`.
fn pretended(sandbox: &Sandbox, said: &str, config: &str) -> String {
    let programs = [
        (
            "sbatch",
            format!(
                "[ \"$1\" != --version ] || exit 0; printf '%s|' \"$@\" >> told; echo >> told; \
                 env > environment; echo 'lua: no account, taking yours' >&2; {said}"
            ),
        ),
        ("scontrol", format!("echo '{config}'")),
    ];
    fs::create_dir_all(sandbox.path("bin")).expect("a folder");
    for (name, text) in programs {
        let path = sandbox.write(&format!("bin/{name}"), &format!("#!/bin/bash\n{text}\n"));
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("permitted");
    }
    format!("{}:{}", sandbox.path("bin").display(), std::env::var("PATH").unwrap_or_default())
}

#[test]
fn what_slurm_says_is_understood_in_its_general_form() {
    let sandbox = Sandbox::new();
    sandbox.write("sweep.toml", &SWEEP.replace("25_600", "2_560"));
    let submit = |said: &str, config: &str, args: &[&str]| {
        let _ = fs::remove_file(sandbox.path("told"));
        let path = pretended(&sandbox, said, config);
        let mut command = sandbox.command(&[&["submit", "sweep.toml", "--slurm"], args].concat());
        let output = command
            .env("PATH", path)
            .env("SBATCH_WAIT", "1")
            .env("SLURM_JOB_ID", "1")
            .output()
            .expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let told = || fs::read_to_string(sandbox.path("told")).unwrap_or_default();
    // A site's filter talks before the job's number, and the cluster is named.
    let (code, out, errors) = submit(
        "echo '12 nodes are free'; echo '4711;green'",
        "",
        &["-j3", "--sbatch=--partition=gpu", "--sbatch=-A my account"],
    );
    assert!(
        code == Some(0)
            && out.contains("job 4711: 3 worker(s)")
            && out.contains("scancel --clusters=green 4711"),
        "{out}{errors}"
    );
    assert!(errors.contains("lua: no account"), "what a site's filter says is shown: {errors}");
    for words in [
        "--parsable|",
        "|--array=0-2|",
        "|--partition=gpu|",
        "|-A|my account|",
        "|--job-name=outgrow-small|",
        "|--requeue|",
    ] {
        assert!(told().contains(words), "{words}: {}", told());
    }
    let environment = fs::read_to_string(sandbox.path("environment")).expect("variables");
    assert!(
        !environment.contains("SBATCH_WAIT") && !environment.contains("SLURM_JOB_ID"),
        "{environment}"
    );
    assert!(environment.contains("OUTGROW_DB=/"), "{environment}");
    // More workers than a site's arrays take.
    let (code, out, errors) = submit("echo 4711", "MaxArraySize            = 4", &["-j", "10"]);
    assert!(code == Some(0) && out.contains("job 4711, 4711, 4711: 10 worker(s)"), "{out}{errors}");
    let sizes: Vec<_> = told()
        .lines()
        .map(|line| {
            line.rsplit_once("--array=")
                .expect("an array")
                .1
                .split('|')
                .next()
                .expect("a size")
                .to_owned()
        })
        .collect();
    assert_eq!(sizes, ["0-3", "0-3", "0-1"]);
    // It refuses, or names no job.
    let (code, _, errors) = submit("echo 'Batch job submission failed' >&2; exit 1", "", &[]);
    assert!(
        code == Some(3)
            && errors.contains("Batch job submission failed")
            && errors.contains("sbatch refused"),
        "{errors}"
    );
    let (code, _, errors) = submit("echo 'Thank you'", "", &[]);
    assert!(
        code == Some(3) && errors.contains("named no job") && errors.contains("Thank you"),
        "{errors}"
    );
    let (code, _, errors) =
        submit("[ $(wc -l < told) -lt 2 ] || exit 1; echo 4711", "MaxArraySize = 2", &["-j", "4"]);
    assert!(code == Some(3) && errors.contains("submitted before that: job 4711"), "{errors}");
    let (code, _, errors) = submit("echo 4711", "", &["--sbatch=--array=0-9"]);
    assert!(code == Some(2) && errors.contains("-j says"), "{errors}");
}

#[test]
fn a_script_is_printed_and_a_missing_scheduler_is_told() {
    let sandbox = Sandbox::new();
    let script = sandbox.ok(&[
        "submit",
        "sweep.toml",
        "--slurm",
        "-j3",
        "--sbatch=--partition=gpu",
        "--print",
    ]);
    for line in
        ["#SBATCH --array=0-2", "#SBATCH --requeue", "#SBATCH --partition=gpu", "scontrol requeue"]
    {
        assert!(script.contains(line), "{script}");
    }
    assert!(!sandbox.path("outgrow.db").exists(), "printing changes nothing");
    let output = sandbox
        .command(&["submit", "sweep.toml", "--slurm"])
        .env("PATH", "/nowhere")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no sbatch here"));
}
