//! `hansa man`: a page of the manual for every command.

use crate::failure::{Exit, Failure};
use crate::output::write_stdout;
use clap::{Args, Command};
use std::path::{Path, PathBuf};

/// Writes the manual: hansa.1 and a page for every command
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Where to; it is made if need be. `man -l DIR/hansa.1` shows a page
    pub directory: PathBuf,
}

/// Does it.
pub fn run(args: &ManArgs, mut command: Command) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot write the manual: {error}"))
            .at(args.directory.display().to_string())
    };
    std::fs::create_dir_all(&args.directory).map_err(wrong)?;
    command.build();
    let pages = write(&command, "hansa", &args.directory).map_err(wrong)?;
    write_stdout(&format!("{pages} pages written to {}\n", args.directory.display()))
}

/// Writes the page of a command and of all below it; how many.
fn write(command: &Command, name: &str, directory: &Path) -> std::io::Result<usize> {
    let title: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let page = clap_mangen::Man::new(command.clone().name(title)).title(name).section("1");
    let mut text = Vec::new();
    page.render(&mut text)?;
    std::fs::write(directory.join(format!("{name}.1")), text)?;
    let mut pages = 1;
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
    for below in shown {
        pages += write(below, &format!("{name}-{}", below.get_name()), directory)?;
    }
    Ok(pages)
}
