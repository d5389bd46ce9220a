//! Files and folders that are there whole or not at all: written aside, synced, renamed, and the
//! folder that they lie in synced.

mod file;
mod folder;
mod sync;

pub use self::{
    file::{NewFile, discard_unfinished, existing, file},
    folder::{Destination, FolderError, NewFolder},
    sync::folder_of as sync_folder_of,
};
