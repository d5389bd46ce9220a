//! `outgrow completions` and `outgrow man`.

use std::path::PathBuf;

use clap::Command;
use outgrow::Error;

use crate::output::print;

/// Print a completion script for a shell
///
/// For bash: outgrow completions bash > ~/.local/share/bash-completion/completions/outgrow; for
/// zsh: outgrow completions zsh > a folder of $fpath, as _outgrow; for fish: outgrow completions
/// fish > ~/.config/fish/completions/outgrow.fish
#[derive(clap::Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Write the man pages, one for each command
#[derive(clap::Args)]
pub struct Man {
    /// The folder to write them to, such as ~/.local/share/man/man1
    pub to: PathBuf,
}

/// Prints what a shell reads to complete our words.
pub fn completions(args: &Completions, mut command: Command) -> Result<(), Error> {
    let mut text = vec![];
    clap_complete::generate(args.shell, &mut command, "outgrow", &mut text);
    print(String::from_utf8_lossy(&text).trim_end())
}

/// Writes a man page for each command.
pub fn man(args: &Man, command: Command) -> Result<(), Error> {
    let failed = |path: &PathBuf| Error::environment(format!("cannot write {}", path.display()));
    std::fs::create_dir_all(&args.to).map_err(failed(&args.to))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut open = vec![(String::from("outgrow"), command)];
    let mut written = 0;
    while let Some((name, command)) = open.pop() {
        let shown = command.get_subcommands().filter(|inner| !inner.is_hide_set());
        open.extend(shown.map(|inner| (format!("{name}-{}", inner.get_name()), inner.clone())));
        let mut page = vec![];
        clap_mangen::Man::new(command.name(name.clone())).render(&mut page)?;
        let path = args.to.join(format!("{name}.1"));
        // Manuals of many programs lie in one folder.
        if std::fs::read_to_string(&path).is_ok_and(|there| !there.contains(".TH outgrow")) {
            return Err(Error::Input(format!(
                "{} is no page of outgrow's; name another folder",
                path.display()
            )));
        }
        std::fs::write(&path, page).map_err(failed(&path))?;
        written += 1;
    }
    print(&format!("{written} man pages are in {}", args.to.display()))
}
