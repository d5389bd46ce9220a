//! Where things lie in an unpacked archive, and in a user's own folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::error::Error;

/// The library that the program is linked to.
pub const LIBRARY: &str = "libtorch_cpu.so";

/// An unpacked archive, and where its user keeps data.
pub struct Place {
    /// `lib/outgrow` of the archive: the program and the list of what libtorch is.
    home: PathBuf,
    /// `~/.local/share/outgrow`, for archives that the user can't write to.
    own: Option<PathBuf>,
}

impl Place {
    /// Of the running program, which is `bin/outgrow`; links to it are followed.
    pub fn here() -> Result<Self, Error> {
        let exe = env::current_exe().map_err(Error::file(Path::new("this program")))?;
        let home =
            exe.parent().and_then(Path::parent).unwrap_or(Path::new("/")).join("lib/outgrow");
        let set =
            |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data =
            set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
        let place = Self { home, own: data.map(|data| data.join("outgrow")) };
        if !place.program().is_file() {
            return Err(Error::Said(format!(
                "{} is not there; `bin` and `lib` of the archive belong into one folder (a link to \
                 `bin/outgrow` may lie anywhere)",
                place.program().display()
            )));
        }
        Ok(place)
    }

    /// The program itself.
    pub fn program(&self) -> PathBuf {
        self.home.join("outgrow")
    }

    /// The list of what libtorch is.
    pub fn list(&self) -> PathBuf {
        self.home.join("libtorch.list")
    }

    /// The folders in which a link `libtorch` may lie: the user's own goes before the archive's.
    fn bases(&self) -> impl Iterator<Item = &PathBuf> {
        self.own.iter().chain([&self.home])
    }

    /// The link to a libtorch that is there.
    pub fn linked(&self) -> Option<PathBuf> {
        let links = self.bases().map(|base| base.join("libtorch"));
        links.into_iter().find(|link| link.join("lib").join(LIBRARY).is_file())
    }

    /// The program looks beside itself; it must be told of any other place.
    pub fn is_beside_the_program(&self, link: &Path) -> bool {
        link.parent() == Some(&self.home)
    }

    /// Where to set up: in the archive where that can be written to, so that all its users have it.
    pub fn writable(&self) -> Result<&Path, Error> {
        let can_write = |base: &Path| {
            let probe = base.join(format!(".outgrow-probe-{}", std::process::id()));
            let written = fs::write(&probe, "");
            let _ = fs::remove_file(&probe);
            written
        };
        let Err(refused) = can_write(&self.home) else { return Ok(&self.home) };
        let Some(own) = &self.own else { return Err(Error::file(&self.home)(refused)) };
        fs::create_dir_all(own).and_then(|()| can_write(own)).map_err(Error::file(own))?;
        Ok(own)
    }
}
