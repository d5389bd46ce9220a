//! Who holds a trial, and whether that process still lives.

use std::fs;

use outgrow_store::Holder;

/// This process as a holder of trials.
pub fn this_process() -> Holder {
    let pid = std::process::id();
    Holder { host: host(), boot: boot(), pid, started: started(pid).unwrap_or(0), job: job() }
}

/// The Slurm job that this process runs in, as Slurm's own commands name it.
fn job() -> Option<String> {
    let of = |name: &str| std::env::var(name).ok();
    match (of("SLURM_ARRAY_JOB_ID"), of("SLURM_ARRAY_TASK_ID")) {
        (Some(array), Some(task)) => Some(format!("{array}_{task}")),
        _ => of("SLURM_JOB_ID"),
    }
}

/// Whether a holder is certainly dead: its process ran here and is gone, or the machine was started
/// anew since. Of holders on other machines, and of another container that bears the same name,
/// only their silence tells.
pub fn is_dead(holder: &Holder) -> bool {
    holder.host == host() && (holder.boot != boot() || started(holder.pid) != Some(holder.started))
}

fn host() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "unknown".into(), |name| name.to_string_lossy().into_owned())
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().to_owned())
}

/// When a process began, in clock ticks since boot; none if there is no such process, or only its
/// remains.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in brackets and may hold anything; the numbers follow its
    // last bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if state == "Z" { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_until_it_ends() {
        assert!(!is_dead(&this_process()));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let holder = Holder {
            pid: child.id(),
            started: started(child.id()).expect("it runs"),
            ..this_process()
        };
        assert!(!is_dead(&holder));
        child.kill().expect("kill");
        child.wait().expect("wait");
        assert!(is_dead(&holder));
    }

    #[test]
    fn a_reused_number_a_new_boot_and_another_machine_are_told_apart() {
        let here = this_process();
        assert!(is_dead(&Holder { started: here.started + 1, ..here.clone() }));
        assert!(is_dead(&Holder { boot: "another".into(), ..here.clone() }));
        assert!(!is_dead(&Holder { host: "elsewhere".into(), pid: 1, started: 0, ..here }));
    }
}
