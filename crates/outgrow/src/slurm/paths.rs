//! Paths as a script that runs elsewhere finds them.

use std::path::{Path, PathBuf, absolute};

use outgrow_store::Address;

use crate::{error::Error, workspace::Workspace};

/// The database as it is found from any folder.
pub(super) fn database(workspace: &Workspace) -> Result<String, Error> {
    match Address::parse(&workspace.db) {
        Ok(Address::File(path)) => text(&whole(Path::new(&path))?),
        _ => Ok(workspace.db.clone()),
    }
}

pub(super) fn whole(path: &Path) -> Result<PathBuf, Error> {
    absolute(path).map_err(Error::environment(format!("cannot find {}", path.display())))
}

/// A path as a script can say it.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    let refused = || {
        Error::Input(format!("{} is no path in UTF-8, which a script can't hold", path.display()))
    };
    path.to_str().map(str::to_owned).ok_or_else(refused)
}
