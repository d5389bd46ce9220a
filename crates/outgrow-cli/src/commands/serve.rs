//! `outgrow serve`.

use outgrow::{Error, Workspace, page::host_name};
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
    #[arg(long = "allow-host", value_name = "HOST", value_parser = host_name)]
    pub hosts: Vec<String>,
}

/// Serves the page until it is stopped.
pub fn serve(workspace: &Workspace, args: &Serve) -> Result<(), Error> {
    workspace.serve(args.port, &args.hosts, |address| {
        let database = Address::shown(&workspace.db);
        print(&format!("http://{address}/ shows {database}; Ctrl-C stops"))
    })
}
