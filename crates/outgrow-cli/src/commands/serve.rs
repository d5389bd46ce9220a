//! `outgrow serve`.

use outgrow::{Error, Workspace};
use outgrow_store::Address;

use crate::output::print;

/// Show sweeps, curves, plans and workers live, on a web page of this machine
///
/// Listens on 127.0.0.1 only, answers only those who ask for 127.0.0.1 or localhost, and reads
/// only. From another machine: ssh -L 8765:127.0.0.1:8765 HOST
#[derive(clap::Args)]
pub struct Serve {
    /// The port; 0 for any that is free
    #[arg(long, default_value_t = 8765)]
    pub port: u16,
    /// Answer those who ask for this host, too, as a proxy before this machine does
    /// (x.app.github.dev); may be given more than once. There is no password: whoever reaches the
    /// page under that name sees every sweep of the database, so the proxy must know whom to let in
    #[arg(long = "allow-host", value_name = "HOST", value_parser = host)]
    pub hosts: Vec<String>,
}

/// Serves the page until it is stopped.
pub fn serve(workspace: &Workspace, args: &Serve) -> Result<(), Error> {
    workspace.serve(args.port, &args.hosts, |address| {
        let database = Address::shown(&workspace.db);
        print(&format!("http://{address}/ shows {database}; Ctrl-C stops"))
    })
}

/// A host's name as `--allow-host` takes it.
///
/// # Errors
/// If it is more, or less, than a name.
pub fn host(text: &str) -> Result<String, String> {
    let is_name =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    match is_name {
        true => Ok(text.to_ascii_lowercase()),
        false if text.contains('*') => {
            Err("each host is named by itself: a pattern would let in whoever finds a name for it"
                .into())
        }
        false => {
            Err("give the name alone, without scheme, port and path, as x.app.github.dev".into())
        }
    }
}
