//! Every place where the end of a process could leave something half done, as a table: a test walks it, kills a process at each of them,
//! and demands the numbers of an undisturbed run.
//!
//! Without the feature `failpoints`, and in builds without debug assertions whatever the features, all of it is empty.

macro_rules! points {
    ($($(#[doc = $what:literal])+ $point:ident $name:literal;)+) => {
        /// An operation that lasts: a process may end just before it or just after it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[doc = $what])+ $point,)+
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

            /// What it does.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$point => concat!($($what),+),)+ }
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
    /// the schema of a new database is committed
    CommitSchema "commit.schema";
    /// a sweep and its trials are committed
    CommitSweep "commit.sweep";
    /// failed trials are put back to waiting
    CommitRetry "commit.retry";
    /// a worker's claim is committed
    CommitClaim "commit.claim";
    /// a trial is taken from a worker that died
    CommitRelease "commit.release";
    /// a worker's sign of life is committed
    CommitHeartbeat "commit.heartbeat";
    /// a batch of events is committed
    CommitRecord "commit.record";
    /// what an attempt took of memory is committed
    CommitMemory "commit.memory";
    /// an attempt that ran out of memory gives its trial back
    CommitRequeue "commit.requeue";
    /// the end of an attempt is committed
    CommitFinish "commit.finish";
    /// snapshots that nobody waits for any more are forgotten
    CommitForget "commit.forget";
    /// a copy of a database is committed
    CommitCopy "commit.copy";
    /// an optimizer step is done
    Step "step";
    /// weights or moments of a checkpoint are written
    CheckpointWrite "checkpoint.write";
    /// and synced
    CheckpointSync "checkpoint.sync";
    /// the head of a checkpoint is written
    CheckpointHead "checkpoint.head";
    /// and synced
    CheckpointHeadSync "checkpoint.head.sync";
    /// the folder of a checkpoint is synced
    CheckpointFolderSync "checkpoint.folder.sync";
    /// a checkpoint is renamed into its place
    CheckpointRename "checkpoint.rename";
    /// the folder of checkpoints is synced
    CheckpointPlaceSync "checkpoint.place.sync";
    /// a checkpoint that is not needed any more is removed
    CheckpointRemove "checkpoint.remove";
    /// a state that other trials begin from is written
    Snapshot "snapshot";
    /// a state that no trial begins from any more is removed
    SnapshotRemove "snapshot.remove";
    /// a spool is opened, for the database is away
    SpoolOpen "spool.open";
    /// its folder is synced
    SpoolFolderSync "spool.folder.sync";
    /// a batch is written to a spool
    SpoolWrite "spool.write";
    /// and synced
    SpoolSync "spool.sync";
    /// a spool is removed by who wrote it, for the database is back
    SpoolClear "spool.clear";
    /// a spool is removed by the next attempt, which has recorded it
    SpoolRecovered "spool.recovered";
    /// the copy of the model that trials begin with is written
    Initial "initial";
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

/// Reads from the environment, at the beginning of a program, what is to happen where. `OUTGROW_FAILPOINTS` holds `name=action` separated by
/// semicolons; an action is one of the crate `fail`, or `kill(N)`: the process that comes there for the Nth time dies, and no other one does, for
/// it leaves a file of that name in the folder `OUTGROW_FAILPOINTS_ONCE`.
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
            match action.strip_prefix("kill(").and_then(|rest| rest.strip_suffix(')')) {
                Some(hit) => kill_at(name, hit.parse().expect("the number of a hit")),
                None => fail::cfg(name, action).expect("an action of the crate fail"),
            }
        }
    }

    fn kill_at(name: &str, hit: u64) {
        let folder = env::var_os("OUTGROW_FAILPOINTS_ONCE").expect("OUTGROW_FAILPOINTS_ONCE names a folder");
        let (once, hits) = (PathBuf::from(folder).join(name), AtomicU64::new(0));
        let killed = move || {
            if hits.fetch_add(1, Ordering::SeqCst) + 1 == hit && File::create_new(&once).is_ok() {
                raise(Signal::SIGKILL).expect("a process may kill itself");
            }
        };
        fail::cfg_callback(name, killed).expect("a callback can be set");
    }
}
