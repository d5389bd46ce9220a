//! What `--help` says of every command.

use crate::sandbox::Sandbox;

/// Help of a command and of the commands within it, one after the other.
fn help(sandbox: &Sandbox, command: &[&str], all: &mut String) {
    let text = sandbox.ok(&[command, &["--help"]].concat());
    let name = ["outgrow"].iter().chain(command).copied().collect::<Vec<_>>().join(" ");
    *all += &format!("===== {name}\n{text}\n");
    let listed = text.split("Commands:\n").nth(1).into_iter().flat_map(str::lines);
    // What an entry says goes on in further lines, deeper.
    let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| {
        let line = line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?;
        line.split(' ').next().filter(|name| *name != "help")
    });
    for name in names {
        help(sandbox, &[command, &[name]].concat(), all);
    }
}

#[test]
fn every_command_says_what_it_does() {
    let mut all = String::new();
    help(&Sandbox::new(), &[], &mut all);
    insta::assert_snapshot!(all);
}
