//! What a user types to name a database, in the forms that other programs take as well. What is not
//! understood is refused, and never shown: a password may stand anywhere in it.

use std::fmt;

use crate::StoreError;

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// The path of a SQLite file.
    File(String),
    /// The URL of a PostgreSQL database, as `postgres://…`.
    Server(String),
}

/// How other programs begin a URL of PostgreSQL's; a driver may follow behind a `+`.
const POSTGRES: [&str; 5] = ["postgres", "postgresql", "postgis", "pgsql", "psql"];
/// Options of such a URL that sqlx obeys.
const OBEYED: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
/// Options that other clients have and that change nothing here, for a connection is as good
/// without.
const PASSED_OVER: [&str; 10] = [
    "fallback_application_name",
    "connect_timeout",
    "channel_binding",
    "target_session_attrs",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "client_encoding",
    "gssencmode",
];
/// What `sslmode` may be.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Options whose values are no secrets.
const SHOWN: [&str; 4] = ["host", "port", "dbname", "sslmode"];
/// Parts of the names of options whose values are secrets.
const SECRET: [&str; 6] = ["password", "passwd", "pwd", "token", "secret", "key"];
/// Words that begin PostgreSQL's other form, `host=… dbname=…`.
const KEYWORDS: [&str; 9] =
    ["host", "hostaddr", "port", "dbname", "user", "password", "passfile", "service", "sslmode"];

impl Address {
    /// Reads what a user typed: a path, `sqlite:PATH`, `file:PATH`, or
    /// `postgres://USER@HOST/DATABASE`.
    ///
    /// # Errors
    /// If it is of another kind, or can't be understood; the error shows nothing of it that may be
    /// secret.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let text = text.strip_prefix("jdbc:").unwrap_or(text);
        let Some((scheme, rest)) = scheme(text) else { return path(text) };
        let (base, _driver) = scheme.split_once('+').unwrap_or((&scheme, ""));
        match base {
            "sqlite" | "sqlite3" => path_of_url(rest),
            "file" => path_of_file_url(rest),
            _ if POSTGRES.contains(&base) => {
                let url = rest
                    .strip_prefix("//")
                    .ok_or("two slashes follow `postgres:`")
                    .map_err(refused)?;
                Parts::of(url).map(|_| Self::Server(format!("postgres://{url}"))).map_err(refused)
            }
            _ if rest.starts_with("//") => Err(StoreError::Address(format!(
                "`{scheme}://...` is no database that this outgrow opens; {FORMS}"
            ))),
            _ => path(text),
        }
    }

    /// An address as it may be shown: without the secrets that a URL can hold.
    pub fn shown(text: &str) -> String {
        Self::parse(text).map_or_else(|_| "...".into(), |address| address.to_string())
    }

    /// Whether it holds a password, or an option that may be a secret.
    pub fn has_secret(&self) -> bool {
        let Address::Server(url) = self else { return false };
        let is_secret =
            |name: &str| SECRET.iter().any(|word| name.to_ascii_lowercase().contains(word));
        parts(url).is_none_or(|parts| {
            parts.has_password || parts.options.iter().any(|(name, _)| is_secret(name))
        })
    }

    /// What to name files after that belong to the database: the path of the file, the name of the
    /// server's database.
    pub fn name(&self) -> &str {
        match self {
            Address::File(path) => path,
            // Without one the server takes the user's; a folder named for this program is as good.
            Address::Server(url) => parts(url)
                .map(|parts| parts.database)
                .filter(|name| is_plain(name))
                .unwrap_or("outgrow"),
        }
    }
}

const FORMS: &str = "give the path of a SQLite file, or postgres://USER@HOST/DATABASE (a password \
                     goes into PGPASSWORD or ~/.pgpass)";

fn refused(why: &str) -> StoreError {
    StoreError::Address(format!(
        "the address of the database (not shown, for it may hold a password) is malformed: {why}; \
         {FORMS}"
    ))
}

/// What stands before the first colon, in small letters, and what follows.
fn scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    is_scheme.then(|| (scheme.to_ascii_lowercase(), rest))
}

/// A path as it was typed.
fn path(text: &str) -> Result<Address, StoreError> {
    let odd = match text {
        _ if text.trim().is_empty() => Some("it is empty"),
        ":memory:" => Some("a database in memory is gone when the command ends"),
        _ if text.contains('\0') => Some("it holds a NUL character"),
        _ if is_clearly_a_path(text) => None,
        _ if text.trim_matches(['\'', '"']).trim() != text => {
            Some("blanks or quotes stand around it")
        }
        _ if is_list_of_keywords(text) => Some(
            "it looks like a list of keywords; write ./ before the name of a file that has an =",
        ),
        _ if text.contains("://") => Some("its scheme is unknown"),
        _ if text.split_once('?').is_some_and(|(_, options)| options.contains('=')) => {
            Some("options behind a path are not obeyed: give the path alone")
        }
        _ if may_hold_a_password(text) => Some(
            "a colon before an @ looks like a password; write ./ before the name of a file that \
             has both",
        ),
        _ => None,
    };
    match (odd, text.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(why), ..) => Err(refused(why)),
        (None, Some(rest), Ok(home)) => Ok(Address::File(format!("{home}/{rest}"))),
        // SQLite would read it as a URL.
        (None, ..) if text.starts_with("file:") => Ok(Address::File(format!("./{text}"))),
        (None, ..) => Ok(Address::File(text.to_owned())),
    }
}

/// What begins as a path does can't be anything else.
fn is_clearly_a_path(text: &str) -> bool {
    text.starts_with(['.', '/', '~']) && !text.starts_with("//")
}

/// `host=h dbname=d`, `Server=h;Password=p` and the like, which other programs take.
fn is_list_of_keywords(text: &str) -> bool {
    let small = text.to_ascii_lowercase();
    let begins = |word: &str| KEYWORDS.contains(&word.trim());
    let pairs = small.split([';', ' ', '\t']).filter(|pair| pair.contains('=')).count();
    pairs > 1
        || small.split_once('=').is_some_and(|(word, _)| begins(word))
        || SECRET.iter().any(|word| small.contains(word) && small.contains('='))
}

fn may_hold_a_password(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// What follows `sqlite:`: a path, or one behind two slashes.
fn path_of_url(rest: &str) -> Result<Address, StoreError> {
    let (path, options) = decoded(rest)?;
    let path = path.strip_prefix("//").unwrap_or(&path);
    let name = path.trim_start_matches('/');
    if path.starts_with('/')
        && rest.starts_with("///")
        && !rest.starts_with("////")
        && !name.contains('/')
    {
        return Err(StoreError::Address(format!(
            "`sqlite:///{name}` is {name} in this folder to SQLAlchemy and /{name} to others; \
             give the path alone"
        )));
    }
    without_options(&path.replacen("//", "/", 1), &options)
}

/// What follows `file:`: a path, or one behind two slashes and the name of this machine, or none.
fn path_of_file_url(rest: &str) -> Result<Address, StoreError> {
    let (path, options) = decoded(rest)?;
    let local = match path.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        None => &path,
    };
    match path.starts_with("//") && !local.starts_with('/') {
        true => Err(refused("a file's URL names no other machine: file:///PATH")),
        false => without_options(local, &options),
    }
}

/// The path of a URL, its escapes undone, and the options behind it.
fn decoded(rest: &str) -> Result<(String, String), StoreError> {
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    let path = unescaped(path).ok_or_else(|| refused("its escapes (%41) are no text"))?;
    Ok((path, options.to_owned()))
}

fn without_options(file: &str, options: &str) -> Result<Address, StoreError> {
    let address = match options {
        _ if options.split('&').any(|option| option == "mode=memory") => path(":memory:"),
        _ => path(file),
    }?;
    match options {
        // What outgrow does anyway.
        "" | "mode=rwc" => Ok(address),
        _ => Err(StoreError::Address(format!(
            "options behind a SQLite file (`?...`) are not obeyed; give the path alone, \
             `{address}`: commands that only show never write"
        ))),
    }
}

/// Undoes escapes as `%2F`; none if one is broken, or if what comes out is no text.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part
            .split_at_checked(2)
            .filter(|(hex, _)| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).ok()
}

/// The parts of a server's URL that is well formed.
struct Parts<'a> {
    user: &'a str,
    has_password: bool,
    host: &'a str,
    database: &'a str,
    options: Vec<(&'a str, &'a str)>,
}

fn parts(url: &str) -> Option<Parts<'_>> {
    Parts::of(url.strip_prefix("postgres://")?).ok()
}

impl<'a> Parts<'a> {
    /// Of what follows the scheme and its slashes; otherwise what is wrong, without a word of what
    /// it says.
    fn of(url: &'a str) -> Result<Self, &'static str> {
        if url.chars().any(|c| c.is_control() || c.is_whitespace() || "#\\\"<>^`{|}".contains(c)) {
            return Err("it holds a character that must be escaped, as %23 for #");
        }
        let (place, options) = url.split_once('?').unwrap_or((url, ""));
        let (server, database) = place.split_once('/').unwrap_or((place, ""));
        let (user, host) = server.rsplit_once('@').unwrap_or(("", server));
        let (user, password) =
            user.split_once(':').map_or((user, None), |(user, password)| (user, Some(password)));
        check_user(user, password)?;
        check_host(host)?;
        check_database(database)?;
        let options = options.split('&').filter(|option| !option.is_empty()).map(option);
        Ok(Self {
            user,
            has_password: password.is_some(),
            host,
            database,
            options: options.collect::<Result<_, _>>()?,
        })
    }
}

fn check_user(user: &str, password: Option<&str>) -> Result<(), &'static str> {
    let decoded = unescaped(user).filter(|user| !user.contains([':', '@', '/', '\0']));
    let password = password
        .is_none_or(|password| unescaped(password).is_some_and(|word| !word.contains('\0')));
    match (decoded, password) {
        (None, _) => Err(
            "the user's name holds a colon, a slash or an @; a password follows the name behind a \
             bare colon",
        ),
        (_, false) => Err("a % in a password is written as %25"),
        _ => Ok(()),
    }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("the host's bracket is not closed")?,
        None => host.find(':').map_or((host, ""), |at| host.split_at(at)),
    };
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| {
            port.bytes().all(|b| b.is_ascii_digit())
                && port.parse::<u16>() != Ok(0)
                && port.parse::<u16>().is_ok()
        });
    let is_name =
        |c: char| c.is_alphanumeric() || "._-%".contains(c) || (host.starts_with('[') && c == ':');
    match (is_port, name.chars().all(is_name) && unescaped(name).is_some()) {
        (false, _) => Err(
            "what follows the host's colon is no port from 1 to 65535 (and a / or @ in a password \
             is written as %2F or %40)",
        ),
        (_, false) => Err("the host's name holds a character that no single host has"),
        _ => Ok(()),
    }
}

fn check_database(database: &str) -> Result<(), &'static str> {
    let decoded = unescaped(database).filter(|_| !database.contains(['/', '@', ':']));
    decoded.map(|_| ()).ok_or(
        "what follows the host is not one database's name (and a / or @ in a password is \
                written as %2F or %40)",
    )
}

fn option(text: &str) -> Result<(&str, &str), &'static str> {
    let known = |name: &str| {
        OBEYED.contains(&name)
            || PASSED_OVER.contains(&name)
            || (name.starts_with("options[") && name.ends_with(']'))
    };
    match text.split_once('=') {
        Some(("sslmode" | "ssl-mode", mode)) if !SSL_MODES.contains(&mode) => {
            Err("sslmode is disable, allow, prefer, require, verify-ca or verify-full")
        }
        Some(("ssl", _)) => Err("`ssl=` is written sslmode=require"),
        Some((name, value)) if known(name) && unescaped(value).is_some() => Ok((name, value)),
        _ => Err("unknown option behind the ?; expected one of sslmode, sslrootcert, host, \
             port, dbname, user, application_name, …"),
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match self {
            Address::File(path) => return f.write_str(path),
            Address::Server(url) => url,
        };
        let Some(Parts { user, has_password, host, database, options }) = parts(url) else {
            return f.write_str("postgres://...");
        };
        let password = if has_password { ":***" } else { "" };
        let at = if user.is_empty() && !has_password { "" } else { "@" };
        let slash = if database.is_empty() { "" } else { "/" };
        write!(f, "postgres://{user}{password}{at}{host}{slash}{database}")?;
        // A value that holds an escape may hold an address, with its password.
        let shown = options.iter().filter(|(name, value)| {
            SHOWN.contains(name) && value.chars().all(|c| c.is_alphanumeric() || "._-/".contains(c))
        });
        for (number, (name, value)) in shown.enumerate() {
            write!(f, "{}{name}={value}", if number == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_other_programs_are_read() {
        let home = std::env::var("HOME").expect("a home");
        let file = |path: &str| Address::File(path.into());
        let server = |rest: &str| Address::Server(format!("postgres://{rest}"));
        for (typed, expected) in [
            ("results/a.db", file("results/a.db")),
            ("-x", file("-x")),
            ("a:b.db", file("a:b.db")),
            ("./me:x@y.db", file("./me:x@y.db")),
            ("./password=x.db", file("./password=x.db")),
            ("lr=0.1.db", file("lr=0.1.db")),
            ("50%.db", file("50%.db")),
            ("~/a.db", file(&format!("{home}/a.db"))),
            ("sqlite:a.db", file("a.db")),
            ("sqlite://a/b.db", file("a/b.db")),
            ("sqlite:///tmp/b.db", file("/tmp/b.db")),
            ("sqlite:////tmp/b.db", file("/tmp/b.db")),
            ("sqlite+pysqlite:////tmp/b.db", file("/tmp/b.db")),
            ("SQLITE:a.db?mode=rwc", file("a.db")),
            ("sqlite:my%20a.db", file("my a.db")),
            ("jdbc:sqlite:a.db", file("a.db")),
            ("file:a.db", file("a.db")),
            ("file:///tmp/a.db", file("/tmp/a.db")),
            ("file://localhost/tmp/a.db", file("/tmp/a.db")),
            ("sqlite:file:a.db", file("./file:a.db")),
            ("postgres://me@host/db", server("me@host/db")),
            ("PostgreSQL://me@host/db", server("me@host/db")),
            ("postgresql+psycopg2://me:x@host:5432/db", server("me:x@host:5432/db")),
            ("postgis://me:x@host/db", server("me:x@host/db")),
            ("jdbc:postgresql://host/db?user=me&password=x", server("host/db?user=me&password=x")),
            (
                "postgres://me:p%40%2F%3A@[::1]:5/db?sslmode=require&channel_binding=require",
                server("me:p%40%2F%3A@[::1]:5/db?sslmode=require&channel_binding=require"),
            ),
            ("postgres://%2Fvar%2Frun%2Fpostgresql/db", server("%2Fvar%2Frun%2Fpostgresql/db")),
            ("postgres:///db", server("/db")),
            ("postgres://", server("")),
        ] {
            assert_eq!(
                Address::parse(typed).unwrap_or_else(|error| panic!("{typed}: {error}")),
                expected,
                "{typed}"
            );
        }
    }

    #[test]
    fn what_is_malformed_is_refused_and_not_shown() {
        for (typed, why) in [
            ("", "empty"),
            ("  ", "empty"),
            (":memory:", "in memory"),
            ("sqlite::memory:", "in memory"),
            ("Host=h;Username=u;Password=geheim;Database=d", "keywords"),
            ("Server=h;Password=geheim", "keywords"),
            ("DBNAME=d PASSWORD=geheim", "keywords"),
            ("application_name=x password=geheim", "keywords"),
            ("connect_timeout=10 password=geheim", "keywords"),
            ("Data Source=x;Password=geheim", "keywords"),
            ("pq:password=geheim", "keywords"),
            ("sqlite:x.db;Password=geheim", "keywords"),
            ("pgpool:h/d?password=geheim", "keywords"),
            ("x;pwd=geheim", "keywords"),
            (" postgres://h/d?user=u&password=geheim", "blanks"),
            ("\"postgres://h/d?password=geheim\"", "quotes"),
            ("'outgrow.db'", "quotes"),
            ("jdbc:jdbc:postgresql://h/d?password=geheim", "keywords"),
            ("jdbc:jdbc:postgresql://u:geheim@h/d", "scheme"),
            ("outgrow.db?mode=ro", "behind a path"),
            ("sqlite://", "empty"),
            ("file::memory:?cache=shared", "in memory"),
            ("file:s3cret?mode=memory", "in memory"),
            ("file:a.db?mode=ro", "`a.db`"),
            ("file://host/s3cret.db", "file:///PATH"),
            ("sqlite:///a.db", "SQLAlchemy"),
            ("sqlite:%ff.db", "escapes"),
            ("sqlite://me:s3cret@host/db", "a colon before an @"),
            ("postgres:me:s3cret@h/db", "two slashes"),
            ("postgres:/me:s3cret@h/db", "two slashes"),
            ("postgres//me:s3cret@h/db", "a colon before an @"),
            ("//me:s3cret@h/db", "a colon before an @"),
            ("me:s3cret@h/db", "a colon before an @"),
            ("mysql:me:s3cret@h/db", "a colon before an @"),
            ("mysql://me:s3cret@h/db", "`mysql://...`"),
            ("postgres://me:s3cret", "no port"),
            ("postgres://me:s3cret/db", "no port"),
            ("postgres://me%3As3cret@h/db", "bare colon"),
            ("postgres://me@h:0/db", "no port"),
            ("postgres://me:s3cret@h:99999/db", "no port"),
            ("postgres://me:s3cret@h:5432:1/db", "no port"),
            ("postgres://me:s3cret@h,i/db", "single host"),
            ("postgres://me:s3cret@[::1/db", "bracket"),
            ("postgres://me:p@ss/s3cret@host/db", "%2F or %40"),
            ("postgres://me:s3/cret@host/db", "no port"),
            ("postgres://me:s3cret#1@host/db", "escaped"),
            ("postgres://me:100%s3cret@host/db", "%25"),
            ("postgres://me:1?s3cret@host/db", "unknown option"),
            ("postgres://host/db?s3cret=1", "unknown option"),
            ("postgres://host/db?ssl=true&password=s3cret", "sslmode=require"),
            ("postgres://me:s3cret@host/db/more", "one database's name"),
            ("host=h dbname=d password=s3cret", "keywords"),
            ("password = 's3cret' host=h", "keywords"),
            ("postgres://me:s3 cret@h/db", "escaped"),
        ] {
            let error = Address::parse(typed).expect_err(typed);
            assert!(error.to_string().contains(why), "{typed}: {error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{typed}: {error:?}");
            assert_eq!(Address::shown(typed), "...");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let cases = [
            (
                "postgres://me:s3cret@host:5432/db?sslmode=require",
                "postgres://me:***@host:5432/db?sslmode=require",
            ),
            ("postgresql://me@host/db", "postgres://me@host/db"),
            ("postgres://host/db?user=me&password=s3cret", "postgres://host/db"),
            ("postgres://:s3cret@host/db", "postgres://:***@host/db"),
            (
                "postgres://host/db?host=me%3As3cret@h&sslmode=prefer",
                "postgres://host/db?sslmode=prefer",
            ),
            ("mysql://me:s3cret@host", "..."),
            ("results/a.db", "results/a.db"),
            ("sqlite:a.db", "a.db"),
        ];
        for (typed, shown) in cases {
            assert_eq!(Address::shown(typed), shown);
        }
    }

    /// All that an address says of itself, or that the refusal of one says.
    fn all_that_is_said(typed: &str) -> String {
        let said = match Address::parse(typed) {
            Ok(address) => format!("{address} {address:?} {address:#?} {}", address.name()),
            Err(error) => format!(
                "{error} {error:?} {:?}",
                std::error::Error::source(&error).map(ToString::to_string)
            ),
        };
        said + &Address::shown(typed)
    }

    #[test]
    fn no_form_of_an_address_shows_a_secret() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        let odd: Vec<char> = "/@:#?%&=+ '\"\\{}[]()~$!^|,;.0aZü\t".chars().collect();
        let plain: Vec<char> = ('a'..='z').chain('0'..='9').collect();
        for _ in 0..5000 {
            let mut word = |of: &[char], most: usize| -> String {
                (0..random.random_range(0..=most))
                    .map(|_| of[random.random_range(0..of.len())])
                    .collect()
            };
            let core = format!("qX{}Y9", word(&plain, 8));
            let secret = format!("{}{core}{}", word(&odd, 3), word(&odd, 3));
            let (user, host) = (format!("u{}", word(&plain, 5)), format!("h{}", word(&plain, 5)));
            let escaped: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for secret in [&secret, &escaped, &core] {
                for scheme in [
                    "postgres",
                    "postgresql",
                    "POSTGRES",
                    "postgis",
                    "postgresql+asyncpg",
                    "jdbc:postgresql",
                    "mysql",
                    "x",
                ] {
                    for typed in [
                        format!("{scheme}://{user}:{secret}@{host}/db"),
                        format!("{scheme}://{user}:{secret}@{host}:5432/db?sslmode=require"),
                        format!("{scheme}://:{secret}@{host}"),
                        format!("{scheme}://{user}%3A{secret}@{host}/db"),
                        format!("{scheme}://{host}/db?user={user}&password={secret}"),
                        format!("{scheme}:{user}:{secret}@{host}/db"),
                        format!("{scheme}:/{user}:{secret}@{host}/db"),
                        format!("{user}:{secret}@{host}/db"),
                        format!("//{user}:{secret}@{host}/db"),
                        format!("host={host} user={user} password={secret}"),
                        format!("password='{secret}' host={host}"),
                        format!("Host={host};Username={user};Password={secret}"),
                        format!("application_name=x password={secret}"),
                        format!(" {scheme}://{user}:{secret}@{host}/db"),
                        format!("{scheme}:{scheme}://{host}/db?password={secret}"),
                    ] {
                        let said = all_that_is_said(&typed);
                        assert!(
                            !said.contains(&core) && !said.contains(&escaped),
                            "{typed}: {said}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn files_are_named_after_the_database() {
        let name = |text: &str| Address::parse(text).expect("an address").name().to_owned();
        let typed = [
            "results/a.db",
            "postgres://me@host/growth?sslmode=require",
            "postgres://host",
            "postgres://h/..%2Fx",
        ];
        assert_eq!(typed.map(name), ["results/a.db", "growth", "outgrow", "outgrow"]);
    }
}
