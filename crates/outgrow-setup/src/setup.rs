//! `outgrow setup`.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use outgrow_data::{fetch::Remote, publish::NewFolder};

use crate::{
    archive::unpack,
    error::Error,
    existing, launch,
    list::{List, Part, Wheel},
    place::{LIBRARY, Place},
};

/// Set up the libtorch that outgrow needs
///
/// Takes the first of: the torch that --torch names; one of the right version that python3 would
/// import; a download, which is verified by its SHA-256. Run again, it does nothing if all is well,
/// and goes on where it was stopped otherwise.
#[derive(clap::Parser)]
#[command(name = "outgrow setup")]
pub struct Options {
    /// Use this torch: the folder `torch` of the Python package, or `libtorch` of its zip
    #[arg(long, value_name = "FOLDER")]
    torch: Option<PathBuf>,
    /// Download even if python3 has a torch of the right version
    #[arg(long, conflicts_with = "torch")]
    download: bool,
    /// Whether to download the libraries for NVIDIA GPUs (2.5 GB instead of 540 MB); auto: if this
    /// machine has NVIDIA's driver
    #[arg(long, value_enum, default_value_t = Cuda::Auto)]
    cuda: Cuda,
    /// Take the wheels from here instead: a folder that holds them, or a URL under which they have
    /// the same names; their digests must be the same
    #[arg(long, value_name = "FOLDER|URL", conflicts_with = "torch")]
    from: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cuda {
    Auto,
    Yes,
    No,
}

impl Cuda {
    fn parts(self) -> &'static [Part] {
        let has_driver = || Path::new("/proc/driver/nvidia/version").exists();
        match self {
            Cuda::Yes => &[Part::Cpu, Part::Cuda],
            Cuda::Auto if has_driver() => &[Part::Cpu, Part::Cuda],
            _ => &[Part::Cpu],
        }
    }
}

/// Sets up libtorch.
///
/// # Errors
/// If there is none of the right version, it can't be had, or the program does not start with it.
pub fn run(place: &Place, options: &Options) -> Result<(), Error> {
    let list = List::read(&place.list())?;
    let base = place.writable()?;
    let lock_path = base.join(".setup.lock");
    let lock = File::create(&lock_path).map_err(Error::file(&lock_path))?;
    if lock.try_lock().is_err() {
        say("another `outgrow setup` is at work; waiting for it");
        lock.lock().map_err(Error::file(&lock_path))?;
    }
    discard_unfinished(base);
    let torch = chosen(place, options, &list, base)?;
    let link = base.join("libtorch");
    if fs::read_link(&link).is_ok_and(|to| to == torch) && place.linked() == Some(link.clone()) {
        launch::starts_with(place, &torch.join("lib"))?;
        return done(&list, &torch, "is set up already");
    }
    launch::starts_with(place, &torch.join("lib"))?;
    point(&link, &torch)?;
    done(&list, &torch, "is set up")
}

fn done(list: &List, torch: &Path, is: &str) -> Result<(), Error> {
    let said = writeln!(io::stdout(), "libtorch {} {is}: {}", list.version, torch.display());
    said.map_err(Error::file(Path::new("standard output")))
}

fn say(text: &str) {
    eprintln!("{text}");
}

/// The folder of the torch to use.
fn chosen(place: &Place, options: &Options, list: &List, base: &Path) -> Result<PathBuf, Error> {
    if let Some(torch) = &options.torch {
        return existing::check(torch, &list.version);
    }
    let is_free = !options.download && options.from.is_none() && options.cuda == Cuda::Auto;
    if is_free {
        // What was set up stays, as long as it is there.
        let linked = place.linked().and_then(|link| existing::check(&link, &list.version).ok());
        if let Some(torch) = linked {
            return Ok(torch);
        }
        match existing::of_python().map(|torch| existing::check(&torch, &list.version)) {
            Some(Ok(torch)) => return Ok(torch),
            Some(Err(why)) => say(&format!("not using the torch of python3: {why}")),
            None => {}
        }
    }
    downloaded(list, options.cuda.parts(), options.from.as_deref(), base)
}

/// Fetches, verifies and unpacks; the folder comes whole or not at all.
fn downloaded(
    list: &List,
    parts: &[Part],
    from: Option<&str>,
    base: &Path,
) -> Result<PathBuf, Error> {
    let kind = if parts.contains(&Part::Cuda) { "cuda" } else { "cpu" };
    let folder = base.join(format!("libtorch-{}-{kind}", list.version));
    let torch = folder.join("torch");
    if torch.join("lib").join(LIBRARY).is_file() {
        return fs::canonicalize(&torch).map_err(Error::file(&torch));
    }
    // What was there whole once, and is not any more.
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    let wheels: Vec<&Wheel> =
        list.wheels.iter().filter(|wheel| parts.contains(&wheel.part)).collect();
    let megabytes = wheels.iter().map(|wheel| wheel.bytes).sum::<u64>() / 1_000_000;
    say(&format!(
        "libtorch {} ({kind}): {megabytes} MB of wheels, into {}",
        list.version,
        folder.display()
    ));
    let store = base.join("wheels");
    let files: Vec<PathBuf> =
        wheels.iter().map(|wheel| obtained(wheel, from, &store)).collect::<Result<_, _>>()?;
    let new = NewFolder::create(&folder)?;
    say("unpacking");
    files.iter().try_for_each(|file| unpack(file, parts, &new))?;
    if !new.file(format!("torch/lib/{LIBRARY}"))?.is_file() {
        return Err(Error::Said(format!("the wheels hold no torch/lib/{LIBRARY}")));
    }
    new.finish()?;
    let _ = fs::remove_dir_all(&store);
    fs::canonicalize(&torch).map_err(Error::file(&torch))
}

/// The wheel's file, verified.
fn obtained(wheel: &Wheel, from: Option<&str>, store: &Path) -> Result<PathBuf, Error> {
    let is_url = |from: &str| from.starts_with("http://") || from.starts_with("https://");
    let remote = |url: String| Remote { url, bytes: wheel.bytes, sha256: wheel.sha256.clone() };
    if let Some(folder) = from.filter(|from| !is_url(from)) {
        let file = Path::new(folder).join(wheel.name());
        if !file.is_file() {
            return Err(Error::Said(format!(
                "{} is not there; it is to be had at {}",
                file.display(),
                wheel.url
            )));
        }
        remote(file.display().to_string()).verify(&file)?;
        return Ok(file);
    }
    let url = match from {
        Some(base) => format!("{}/{}", base.trim_end_matches('/'), wheel.name()),
        None => wheel.url.clone(),
    };
    fs::create_dir_all(store).map_err(Error::file(store))?;
    let part = store.join(wheel.name());
    let mut told = 0;
    remote(url).fetch(&part, &mut |came| told = progress(wheel, came, told))?;
    if io::stderr().is_terminal() {
        eprintln!();
    }
    Ok(part)
}

/// Says how much of a wheel came, each time that another hundredth is there; on a terminal only.
fn progress(wheel: &Wheel, came: u64, told: u64) -> u64 {
    let percent = 100 * came / wheel.bytes.max(1);
    if percent != told && io::stderr().is_terminal() {
        eprint!("\r{} {percent} % of {} MB", wheel.name(), wheel.bytes / 1_000_000);
    }
    percent
}

/// Lets a link lead to a folder, in one step.
fn point(link: &Path, to: &Path) -> Result<(), Error> {
    let new = link.with_extension(format!("new-{}", std::process::id()));
    symlink(to, &new).and_then(|()| fs::rename(&new, link)).map_err(Error::file(link))
}

/// Folders and links that were left by a setup that was killed; nobody else is at work here.
fn discard_unfinished(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(".outgrow-") {
            let _ = fs::remove_dir_all(entry.path());
        } else if name.starts_with("libtorch.new-") {
            let _ = fs::remove_file(entry.path());
        }
    }
}
