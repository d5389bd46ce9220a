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
                                  committed" "a database without tables, or with all: the next \
                                              command makes what is missing";
    CommitSweep "commit.sweep" "a sweep and its trials are \
                                committed" "all of the sweep or nothing of it: the same command \
                                            plans it again";
    CommitRetry "commit.retry" "failed trials are put back to \
                                waiting" "all of them wait, or none: `--retry-failed` again";
    CommitClaim "commit.claim" "a worker takes a \
                                trial" "a trial that waits, or one that its dead worker holds: it \
                                        is taken from it";
    CommitRelease "commit.release" "a trial is taken from a dead \
                                    worker" "a trial that a dead worker holds, or one that waits: \
                                             the next who looks takes it";
    CommitHeartbeat "commit.heartbeat" "a worker says that it lives" "nothing";
    CommitRecord "commit.record" "a batch of events is \
                                  recorded" "the batch or nothing of it: what is missing is \
                                             trained again from the last recorded checkpoint";
    CommitMemory "commit.memory" "what an attempt took of memory is \
                                  recorded" "an attempt without an end: its trial goes on from \
                                             its last checkpoint";
    CommitRequeue "commit.requeue" "an attempt that ran out of memory gives its trial \
                                    back" "a trial that a dead worker holds, or one that waits";
    CommitFinish "commit.finish" "the end of an attempt is \
                                  recorded" "a trial whose last checkpoint is that of its end: \
                                             the next attempt has nothing to train";
    CommitForget "commit.forget" "snapshots that nobody waits for are \
                                  forgotten" "folders that nobody needs, or rows that are \
                                              forgotten after the next trial";
    CommitCopy "commit.copy" "a copy of a database is \
                              committed" "all of the copy or nothing of it: copy again";
    CommitRepair "commit.repair" "what is wrong with a database is \
                                  mended" "all of it is mended, or nothing: repair again";
    CommitSalvage "commit.salvage" "what can be read of a damaged database is committed to a new \
                                    file" "a file aside with `.repairing-` in its name, which may \
                                           be removed: repair again";
    RepairBackupSync "repair.backup.sync" "the copy that `repair` keeps is \
                                           synced" "a copy more: repair again";
    RepairKeepSync "repair.keep.sync" "the damaged file is kept under another name" "likewise";
    RepairSync "repair.sync" "the repaired file is synced" "likewise";
    RepairRename "repair.rename" "the repaired file takes the damaged one's \
                                  place" "the damaged file, kept twice, or the repaired one: \
                                          repair again";
    RepairPlaceSync "repair.place.sync" "the folder that it lies in is synced" "likewise";
    Step "step" "an optimizer step is \
                 done" "nothing: it is taken again from the last recorded checkpoint";
    CheckpointWrite "checkpoint.write" "weights or moments of a checkpoint are \
                                        written" "a folder aside, which the next attempt at the \
                                                  trial removes";
    CheckpointSync "checkpoint.sync" "weights or moments of a checkpoint are synced" "likewise";
    CheckpointHead "checkpoint.head" "the head of a checkpoint is written" "likewise";
    CheckpointHeadSync "checkpoint.head.sync" "the head of a checkpoint is synced" "likewise";
    CheckpointFolderSync "checkpoint.folder.sync" "the folder aside is synced" "likewise";
    CheckpointRename "checkpoint.rename" "a checkpoint is renamed into its \
                                          place" "a folder aside, or a checkpoint that is not \
                                                  recorded: the next attempt removes it";
    CheckpointPlaceSync "checkpoint.place.sync" "the folder that it lies in is \
                                                 synced" "a checkpoint that is not recorded: the \
                                                     next attempt removes it";
    CheckpointRemove "checkpoint.remove" "a checkpoint that is not needed any more is \
                                          removed" "a checkpoint too many, whole or in part: the \
                                                    next attempt removes it; none reads it";
    Snapshot "snapshot" "a state that other trials begin from is \
                         written" "a folder that is not recorded: the next attempt writes its \
                                   own, and those that begin from it wait";
    SnapshotRemove "snapshot.remove" "a state that no trial begins from any more is \
                                      removed" "a folder that nobody needs";
    SpoolOpen "spool.open" "a spool is opened, for the database is \
                            away" "no spool or an empty one: what was not recorded is trained \
                                   again";
    SpoolFolderSync "spool.folder.sync" "the folder of the spool is \
                                         synced" "an empty spool: likewise";
    SpoolWrite "spool.write" "a batch is written to the \
                              spool" "a spool without its last batch, or with a part of it, which \
                                      is seen by its digest: likewise";
    SpoolSync "spool.sync" "the spool is synced" "a spool whose last batch may be lost: likewise";
    SpoolClear "spool.clear" "a spool is removed, for the database is \
                              back" "a spool that is recorded: its batches are passed over by \
                                     their numbers";
    SpoolRecovered "spool.recovered" "a spool is removed by the next attempt, which has recorded \
                                      it" "likewise";
    Initial "initial" "the model that trials begin with is \
                       copied" "a folder aside, or the copy: the same command copies what is \
                                missing";
    PublishSync "publish.sync" "a file of prepared text, or of a tokenizer, is \
                                synced" "a file aside with `.tmp-` in its name, which nobody \
                                         reads: the same command writes its own";
    PublishRename "publish.rename" "it is renamed into its \
                                    place" "likewise, or a part of a text without the head that \
                                            is written last: the same command writes it anew";
    PublishPlaceSync "publish.place.sync" "the folder that it lies in is synced" "likewise";
    HubSync "hub.sync" "a file of a model of transformers is \
                        synced" "a folder aside with `.tmp-` in its name, which may be removed";
    HubFolderSync "hub.folder.sync" "its folder is synced" "likewise";
    HubRename "hub.rename" "its folder is renamed into its place" "the folder aside, or the model";
    HubPlaceSync "hub.place.sync" "the folder that it lies in is synced" "the model";
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
