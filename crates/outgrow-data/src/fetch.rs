//! Corpora that the field trains on, by where they lie, their size and their SHA-256.
//!
//! A download that breaks off goes on where it stopped, also in the next run; what does not have
//! the checksum is not kept. Files lie in `$XDG_CACHE_HOME/outgrow` (`~/.cache/outgrow`), and
//! proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use sha2::{Digest, Sha256};
use thiserror::Error;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::publish;

/// A corpus that can be fetched.
#[allow(missing_docs)]
pub struct Dataset {
    pub name: &'static str,
    pub url: &'static str,
    /// Of the file that is fetched.
    pub bytes: u64,
    /// Likewise.
    pub sha256: &'static str,
    /// The one text that is taken out of it, if it is an archive.
    member: Option<&'static str>,
    /// What it is, for people.
    pub about: &'static str,
}

/// All of them. WikiText-103's first home is gone; the archive here has the checksum of the
/// original.
pub const DATASETS: [Dataset; 6] = [
    Dataset {
        name: "tinyshakespeare",
        url: "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        bytes: 1_115_394,
        sha256: "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        member: None,
        about: "a part of Shakespeare's plays, 1 MB",
    },
    Dataset {
        name: "enwik8",
        url: "http://mattmahoney.net/dc/enwik8.zip",
        bytes: 36_445_475,
        sha256: "547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc",
        member: Some("enwik8"),
        about: "the first 100 MB of English Wikipedia in 2006, as XML",
    },
    Dataset {
        name: "text8",
        url: "http://mattmahoney.net/dc/text8.zip",
        bytes: 31_344_016,
        sha256: "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
        member: Some("text8"),
        about: "the same, letters and spaces only, 100 MB",
    },
    Dataset {
        name: "wikitext-103",
        url: "https://huggingface.co/datasets/mattdangerw/wikitext-103-raw/resolve/main/wikitext-103-raw-v1.zip",
        bytes: 191_984_949,
        sha256: "91c00ae287f0d699e18605c84afc9e45c192bc6b7797ff8837e5474655a33794",
        member: Some("wikitext-103-raw/wiki.train.raw"),
        about: "good articles of Wikipedia, 540 MB of text",
    },
    Dataset {
        name: "tinystories",
        url: "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/f54c09fd23315a6f9c86f9dc80f725de7d8f9c64/TinyStoriesV2-GPT4-train.txt",
        bytes: 2_227_753_162,
        sha256: "6418d412de72888f52b5142c761ac21a582f7d1166f0bfbdb5f03ccfdec90443",
        member: None,
        about: "stories for small children, by GPT-4, 2.2 GB",
    },
    Dataset {
        name: "fineweb-edu-sample",
        url: "https://huggingface.co/datasets/HuggingFaceFW/fineweb-edu/resolve/87f09149ef4734204d70ed1d046ddc9ca3f2b8f9/sample/10BT/000_00000.parquet",
        bytes: 2_152_819_114,
        sha256: "b1ba7b2ce4cb5ea6ef42dca40263eabb85f37700d01693a68e9b30a31d78e871",
        member: None,
        about: "a fourteenth of FineWeb-Edu's sample of 10 billion tokens, Parquet, 2.2 GB",
    },
];

/// Why a corpus can't be fetched.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum FetchError {
    /// There is none of that name.
    #[error("there is no corpus `{0}`; there are \
             {known}", known = DATASETS.map(|known| known.name).join(", "))]
    Unknown(String),
    /// It did not come, though it was tried several times; what came is kept for the next time.
    #[error(
        "{url}: {why}; {came} of {bytes} bytes are here, and the same command goes on from there"
    )]
    Broken { url: String, why: String, came: u64, bytes: u64 },
    /// Something else came.
    #[error("{url} gave something else than it should, which is not used: {why}")]
    Other { url: String, why: String },
    /// A file can't be written.
    #[error("{path}: {error}")]
    File { path: String, error: io::Error },
}

/// The folder that fetched corpora lie in.
pub fn cache() -> PathBuf {
    let own = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = own("XDG_CACHE_HOME").or_else(|| own("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(env::temp_dir).join("outgrow")
}

impl Dataset {
    /// The corpus of a name.
    ///
    /// # Errors
    /// If there is none.
    pub fn of(name: &str) -> Result<&'static Self, FetchError> {
        DATASETS
            .iter()
            .find(|known| known.name == name)
            .ok_or_else(|| FetchError::Unknown(name.into()))
    }

    /// Where its text lies, or will.
    pub fn path(&self, cache: &Path) -> PathBuf {
        let name =
            self.member.unwrap_or(self.url).rsplit('/').next().expect("there is a last part");
        // What text is read as is seen at the ending.
        let name = if self.member.is_some() && !name.contains('.') {
            format!("{name}.txt")
        } else {
            name.to_owned()
        };
        cache.join(self.name).join(name)
    }

    /// Whether it is there, whole: its checksum was found right when it came.
    pub fn is_there(&self, cache: &Path) -> bool {
        fs::read_to_string(self.note(cache)).is_ok_and(|note| note == self.sha256)
            && self.path(cache).is_file()
    }

    /// A file that says which checksum was found right.
    fn note(&self, cache: &Path) -> PathBuf {
        cache.join(self.name).join(".sha256")
    }

    /// Fetches it, from another place if `mirror` is one: a URL under which the same file has the
    /// same name. `progress` is told of bytes.
    ///
    /// # Errors
    /// If it does not come, or something else comes.
    pub fn fetch(
        &self,
        cache: &Path,
        mirror: Option<&str>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, FetchError> {
        let path = self.path(cache);
        if self.is_there(cache) {
            return Ok(path);
        }
        let file = self.url.rsplit('/').next().expect("a URL has a last part");
        let url = mirror.map_or(self.url.to_owned(), |mirror| {
            format!("{}/{file}", mirror.trim_end_matches('/'))
        });
        let folder = cache.join(self.name);
        fs::create_dir_all(&folder).map_err(file_error(&folder))?;
        let part = folder.join(format!("{file}.part"));
        let remote = Remote { url, bytes: self.bytes, sha256: self.sha256.to_owned() };
        remote.fetch(&part, progress)?;
        match self.member {
            None => publish::existing(&part, &path).map_err(file_error(&path))?,
            Some(member) => {
                unpack(&part, member, &path).map_err(file_error(&part))?;
                let _ = fs::remove_file(&part);
            }
        }
        let note = |file: &mut BufWriter<File>| file.write_all(self.sha256.as_bytes());
        publish::file(&self.note(cache), note).map_err(file_error(&folder))?;
        Ok(path)
    }
}

/// A file by its address, size and SHA-256.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Remote {
    pub url: String,
    pub bytes: u64,
    pub sha256: String,
}

impl Remote {
    /// Fetches it to `part`, goes on where that ends, and verifies it. `progress` is told of bytes.
    ///
    /// # Errors
    /// If it does not come: what came is kept. If something else comes: that is removed.
    pub fn fetch(&self, part: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), FetchError> {
        self.download(part, progress)?;
        self.verify(part).inspect_err(|_| {
            let _ = fs::remove_file(part);
        })
    }

    fn download(&self, part: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), FetchError> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            sleep(FIRST_PAUSE * (attempt * attempt));
            let came = fs::metadata(part).map_or(0, |file| file.len());
            if came >= self.bytes {
                return Ok(());
            }
            match go_on(&self.url, part, came, progress) {
                Ok(()) => {}
                Err(Trouble::Disk(error)) => return Err(file_error(part)(error)),
                Err(Trouble::Network(why)) => last = why,
            }
        }
        let came = fs::metadata(part).map_or(0, |file| file.len());
        match came >= self.bytes {
            true => Ok(()),
            false => Err(FetchError::Broken {
                url: self.url.clone(),
                why: last,
                came,
                bytes: self.bytes,
            }),
        }
    }

    /// Whether a file is it.
    ///
    /// # Errors
    /// If it is another one, or can't be read.
    pub fn verify(&self, part: &Path) -> Result<(), FetchError> {
        let mut file = File::open(part).map_err(file_error(part))?;
        let bytes = file.metadata().map_err(file_error(part))?.len();
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
        loop {
            match file.read(&mut buffer).map_err(file_error(part))? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let why = match (bytes == self.bytes, found == self.sha256) {
            (true, true) => return Ok(()),
            (false, _) => format!("it has {bytes} bytes, not {}", self.bytes),
            _ => format!("its SHA-256 is {found}, not {}", self.sha256),
        };
        Err(FetchError::Other { url: self.url.clone(), why })
    }
}

/// How often a download is taken up again before it is left to the user.
const ATTEMPTS: u32 = 5;
/// Before the second attempt; later ones wait 4, 9, 16 times as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

enum Trouble {
    Network(String),
    Disk(io::Error),
}

/// Asks for what is missing, and appends it; a server that can't give a part of a file gives all of
/// it again.
fn go_on(url: &str, part: &Path, came: u64, progress: &mut dyn FnMut(u64)) -> Result<(), Trouble> {
    let network = |error: &dyn std::fmt::Display| Trouble::Network(error.to_string());
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(30)))
        .tls_config(TlsConfig::builder().root_certs(authorities()).build())
        .build()
        .into();
    let request =
        agent.get(url).header("User-Agent", concat!("outgrow/", env!("CARGO_PKG_VERSION")));
    let request =
        if came > 0 { request.header("Range", format!("bytes={came}-")) } else { request };
    let answer = request.call().map_err(|error| network(&error))?;
    let appends = answer.status() == 206;
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(appends)
        .truncate(!appends)
        .open(part)
        .map_err(Trouble::Disk)?;
    let mut total = if appends { came } else { 0 };
    let mut body = answer.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                file.write_all(&buffer[..n]).map_err(Trouble::Disk)?;
                total += n as u64;
                progress(total);
            }
            Err(error) => return Err(network(&error)),
        }
    }
}

/// Where systems keep the certificates that they trust.
const SYSTEM: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// Who may vouch for a server: whom `SSL_CERT_FILE` names, or the system, which knows a proxy that
/// looks into what passes; Mozilla's list, which is in the program, on a system without any.
fn authorities() -> RootCerts {
    let named = env::var_os("SSL_CERT_FILE").filter(|name| !name.is_empty()).map(PathBuf::from);
    let files = named.into_iter().chain(SYSTEM.map(PathBuf::from));
    let certificates = |path: PathBuf| {
        let text = fs::read(path).ok()?;
        let items = parse_pem(&text).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        Some(items.collect::<Vec<_>>()).filter(|found| !found.is_empty())
    };
    let mut found = files.filter_map(certificates);
    found.next().map_or(RootCerts::WebPki, |found| RootCerts::new_with_certs(&found))
}

/// Takes one text out of an archive.
fn unpack(archive: &Path, member: &str, to: &Path) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(File::open(archive)?).map_err(io::Error::other)?;
    let mut text = archive.by_name(member).map_err(io::Error::other)?;
    publish::file(to, |file| io::copy(&mut text, file)).map(|_| ())
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> FetchError {
    let path = path.display().to_string();
    move |error| FetchError::File { path: path.clone(), error }
}
