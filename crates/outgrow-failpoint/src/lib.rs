//! Every place where the end of a process could leave something half done, as a table: a test walks
//! it, kills a process at each of them, and demands the numbers of an undisturbed run.
//!
//! Without the feature `failpoints`, and in builds without debug assertions whatever the features,
//! all of it is empty.

macro_rules! points {
    ($($point:ident $name:literal $what:literal $left:literal;)+) => {
        /// An operation that lasts: a process may end just before it or just after it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $(#[doc = concat!("Where ", $what, ".")] $point,)+
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$point),+];

            /// How it is called in the code.
            pub const fn variant(self) -> &'static str {
                match self { $(Self::$point => stringify!($point),)+ }
            }

            /// How tests call it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$point => $name,)+ }
            }

            /// What happens there.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$point => $what,)+ }
            }

            /// What is left of a process that dies there, and who clears it up.
            pub const fn left(self) -> &'static str {
                match self { $(Self::$point => $left,)+ }
            }

            /// Must be called right before it.
            #[inline]
            pub fn before(self) {
                #[cfg(all(feature = "failpoints", debug_assertions))]
                fail::fail_point!(match self { $(Self::$point => concat!($name, ".before"),)+ });
            }

            /// Must be called right after it.
            #[inline]
            pub fn after(self) {
                #[cfg(all(feature = "failpoints", debug_assertions))]
                fail::fail_point!(match self { $(Self::$point => concat!($name, ".after"),)+ });
            }
        }
    };
}

points! {
    CommitSchema "commit.schema" "the tables of a new database are \
                                  committed" "a database without tables, or with all of them: the \
                                              next command creates the missing ones";
    CommitSweep "commit.sweep" "a sweep and its trials are \
                                committed" "the whole sweep or nothing of it: the same command \
                                            plans it again";
    CommitRetry "commit.retry" "failed trials are set to waiting \
                                again" "all of them wait, or none: run `--retry-failed` again";
    CommitClaim "commit.claim" "a worker claims a \
                                trial" "a waiting trial, or one that the dead worker holds: it is \
                                        released";
    CommitRelease "commit.release" "a trial is released from a dead \
                                    worker" "a trial that a dead worker holds, or a waiting one: \
                                             the next process that looks releases it";
    CommitHeartbeat "commit.heartbeat" "a worker writes a heartbeat" "nothing";
    CommitRecord "commit.record" "a batch of events is \
                                  recorded" "the whole batch or nothing of it: missing rows are \
                                             trained again from the last recorded checkpoint";
    CommitMemory "commit.memory" "the memory of an attempt is \
                                  recorded" "an attempt without an end: its trial resumes from \
                                             its last checkpoint";
    CommitRequeue "commit.requeue" "an attempt that ran out of memory releases its \
                                    trial" "a trial that a dead worker holds, or a waiting one";
    CommitFinish "commit.finish" "the end of an attempt is \
                                  recorded" "a trial whose last checkpoint is that of its end: \
                                             the next attempt has nothing to train";
    CommitForget "commit.forget" "the rows of unused snapshots are \
                                  deleted" "unused folders, or rows that are deleted after the \
                                            next trial";
    CommitClean "commit.clean" "the rows of checkpoints that `clean` replaces or removes are \
                                changed" "folders of weights that are not recorded, or folders \
                                          that are recorded no more: clean again";
    CommitRemove "commit.remove" "`rm` takes a sweep from the workers, removes some of its trials, \
                                  or its row" "a sweep with fewer trials than it had: remove it \
                                               again";
    CommitCopy "commit.copy" "a copy of a database is \
                              committed" "the whole copy or nothing of it: copy again";
    CommitRepair "commit.repair" "the repair of a database is \
                                  committed" "everything is repaired, or nothing: repair again";
    CommitSalvage "commit.salvage" "the readable part of a damaged database is committed to a new \
                                    file" "a temporary file with `.repairing-` in its name, which \
                                           may be removed: repair again";
    RepairBackupSync "repair.backup.sync" "the backup copy of `repair` is \
                                           synced" "an extra copy: repair again";
    RepairKeepSync "repair.keep.sync" "the damaged file is kept under another name" "same as above";
    RepairSync "repair.sync" "the repaired file is synced" "same as above";
    RepairRename "repair.rename" "the repaired file replaces the damaged \
                                  one" "the damaged file, kept twice, or the repaired one: repair \
                                        again";
    RepairPlaceSync "repair.place.sync" "its parent folder is synced" "same as above";
    Step "step" "an optimizer step is \
                 done" "nothing: the step is repeated from the last recorded checkpoint";
    CheckpointWrite "checkpoint.write" "weights or moments of a checkpoint are \
                                        written" "a temporary folder, which the next attempt at \
                                                  the trial removes";
    CheckpointSync "checkpoint.sync" "weights or moments of a checkpoint are \
                                      synced" "same as above";
    CheckpointHead "checkpoint.head" "the head of a checkpoint is written" "same as above";
    CheckpointHeadSync "checkpoint.head.sync" "the head of a checkpoint is synced" "same as above";
    CheckpointFolderSync "checkpoint.folder.sync" "the temporary folder is synced" "same as above";
    CheckpointRename "checkpoint.rename" "a checkpoint is renamed into \
                                          place" "a temporary folder, or a checkpoint that is not \
                                                  recorded: the next attempt removes it";
    CheckpointPlaceSync "checkpoint.place.sync" "its parent folder is \
                                                 synced" "a checkpoint that is not recorded: the \
                                                     next attempt removes it";
    CheckpointRemove "checkpoint.remove" "an old checkpoint is \
                                          removed" "an extra checkpoint, whole or in part: the \
                                                    next attempt removes it; nothing reads it";
    Snapshot "snapshot" "the state at the end of a shared prefix is \
                         written" "a folder that is not recorded: the next attempt writes its \
                                   own, and trials that start from it wait";
    SnapshotRemove "snapshot.remove" "a state at the end of a shared prefix that no trial needs \
                                      is removed" "an unused folder";
    SpoolOpen "spool.open" "a spool is opened, because the database is \
                            unavailable" "no spool or an empty one: events that were not recorded \
                                          are trained again";
    SpoolFolderSync "spool.folder.sync" "the folder of the spool is \
                                         synced" "an empty spool: same as above";
    SpoolWrite "spool.write" "a batch is written to the \
                              spool" "a spool without its last batch, or with a part of it (its \
                                      digest shows this): same as above";
    SpoolSync "spool.sync" "the spool is \
                            synced" "a spool whose last batch may be lost: same as above";
    SpoolClear "spool.clear" "a spool is removed, because the database is available \
                              again" "a recorded spool: its batches are skipped by their numbers";
    SpoolRecovered "spool.recovered" "a spool is removed by the next attempt, which has recorded \
                                      it" "same as above";
    Initial "initial" "the initial model of trials is \
                       copied" "a temporary folder, or the copy: the same command makes the \
                                missing copy";
    PublishSync "publish.sync" "a file of prepared text or of a tokenizer is \
                                synced" "a temporary file with `.tmp-` in its name, which nothing \
                                         reads: the same command writes a new one";
    PublishRename "publish.rename" "the file is renamed into \
                                    place" "same as above, or a prepared text without its head, \
                                            which is written last: the same command writes it \
                                            again";
    PublishPlaceSync "publish.place.sync" "its parent folder is synced" "same as above";
    HubSync "hub.sync" "a file of a model of transformers is \
                        synced" "a temporary folder with `.tmp-` in its name, which may be removed";
    HubFolderSync "hub.folder.sync" "its folder is synced" "same as above";
    HubRename "hub.rename" "its folder is renamed into place" "the temporary folder, or the model";
    HubPlaceSync "hub.place.sync" "its parent folder is synced" "the model";
}

/// Something that goes wrong, where a test says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The database does not answer when a batch is to be recorded.
    DatabaseAway,
}

impl Fault {
    /// How tests call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DatabaseAway => "fault.database_away",
        }
    }

    /// Whether it goes wrong now.
    #[inline]
    pub fn happens(self) -> bool {
        #[cfg(all(feature = "failpoints", debug_assertions))]
        fail::fail_point!(self.name(), |_| true);
        false
    }
}

impl Point {
    /// Does what it names.
    #[inline]
    pub fn around<T>(self, operation: impl FnOnce() -> T) -> T {
        self.before();
        let done = operation();
        self.after();
        done
    }
}

/// Reads from the environment, at the beginning of a program, what is to happen where.
/// `OUTGROW_FAILPOINTS` holds `name=action` separated by semicolons; an action is one of the crate
/// `fail`, or `kill(N)`: the process that comes there for the Nth time dies, or `memory(N)`: it
/// runs out of memory. That happens in one process alone: it leaves a file of that name in the
/// folder `OUTGROW_FAILPOINTS_ONCE`.
///
/// # Panics
/// If the text is not of that form.
#[inline]
pub fn arm() {
    #[cfg(all(feature = "failpoints", debug_assertions))]
    armed::arm();
}

/// Whether this build has failpoints.
pub const fn is_compiled_in() -> bool {
    cfg!(all(feature = "failpoints", debug_assertions))
}

#[cfg(all(feature = "failpoints", debug_assertions))]
mod armed {
    use std::{
        env,
        fs::File,
        path::PathBuf,
        sync::atomic::{AtomicU64, Ordering},
    };

    use nix::sys::signal::{Signal, raise};

    pub fn arm() {
        let Ok(text) = env::var("OUTGROW_FAILPOINTS") else { return };
        for entry in text.split(';').filter(|entry| !entry.is_empty()) {
            let (name, action) = entry.split_once('=').expect("name=action");
            let hit = |of: &str| action.strip_prefix(of)?.strip_suffix(')')?.parse().ok();
            match (hit("kill("), hit("memory(")) {
                (Some(hit), _) => {
                    once(name, hit, || raise(Signal::SIGKILL).expect("a process may kill itself"))
                }
                (_, Some(hit)) => once(name, hit, || panic!("out of memory")),
                _ => fail::cfg(name, action).expect("an action of the crate fail"),
            }
        }
    }

    fn once(name: &str, hit: u64, happens: impl Fn() + Send + Sync + 'static) {
        let folder =
            env::var_os("OUTGROW_FAILPOINTS_ONCE").expect("OUTGROW_FAILPOINTS_ONCE names a folder");
        let (once, hits) = (PathBuf::from(folder).join(name), AtomicU64::new(0));
        let callback = move || {
            if hits.fetch_add(1, Ordering::SeqCst) + 1 == hit && File::create_new(&once).is_ok() {
                happens();
            }
        };
        fail::cfg_callback(name, callback).expect("a callback can be set");
    }
}
