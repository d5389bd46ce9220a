use std::{borrow::Cow, fmt};

use crate::StoreError;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The path of a SQLite file.
    File(String),
    /// The URL of a PostgreSQL database.
    Server(String),
}

impl Address {
    /// Reads what a user typed: a path, `sqlite:PATH`, or `postgres://USER@HOST/DATABASE`.
    ///
    /// # Errors
    /// If it is a URL of another kind.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        match text.split_once(':') {
            Some(("sqlite", path)) => Ok(Address::File(path.strip_prefix("//").unwrap_or(path).to_owned())),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Address::Server(text.to_owned())),
            Some((scheme, rest)) if rest.starts_with("//") => Err(StoreError::Unsupported(format!("{scheme}://..."))),
            _ => Ok(Address::File(text.to_owned())),
        }
    }

    /// An address as it may be shown: without the secrets that a URL can hold.
    pub fn shown(text: &str) -> String {
        Self::parse(text).map_or_else(|_| "...".into(), |address| address.to_string())
    }

    /// What to name files after that belong to the database: the path of the file, the name of the server's database.
    pub fn name(&self) -> &str {
        match self {
            Address::File(path) => path,
            Address::Server(url) => {
                let rest = url.split_once("//").map_or("", |(_, rest)| rest);
                let path = rest.split(['?', '#']).next().unwrap_or("");
                // Without one the server takes the user's; a folder named for this program is as good.
                path.split_once('/').map(|(_, name)| name).filter(|name| is_plain(name)).unwrap_or("outgrow")
            }
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::File(path) => f.write_str(path),
            Address::Server(url) => f.write_str(&without_secrets(url)),
        }
    }
}

/// The password of `user:password@` becomes `***`; of the options behind `?` only harmless ones stay.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("//").unwrap_or(("", url));
    let (rest, options) = rest.split_once('?').map_or((rest, None), |(rest, options)| (rest, Some(options)));
    // A password may hold slashes and @ that ought to be escaped: the last @ ends it.
    let shown: Cow<str> = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}").into(),
            None => rest.into(),
        },
        None => rest.into(),
    };
    let harmless = ["host=", "port=", "dbname=", "sslmode="];
    // One that holds an @ may hold an address, with its password.
    let keep = |option: &&str| harmless.iter().any(|name| option.starts_with(name)) && !option.contains('@');
    let options: Vec<&str> = options.into_iter().flat_map(|options| options.split('&')).filter(keep).collect();
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{scheme}//{shown}{mark}{}", options.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let cases = [
            ("postgres://me:s3cret@host:5432/db?sslmode=require", "postgres://me:***@host:5432/db?sslmode=require"),
            ("postgresql://me@host/db", "postgresql://me@host/db"),
            ("postgres://me:p@ss/s3cret@host/db", "postgres://me:***@host/db"),
            ("postgres://host/db?user=me&password=s3cret", "postgres://host/db"),
            ("mysql://me:s3cret@host", "..."),
            ("results/a.db", "results/a.db"),
            ("sqlite:a.db", "a.db"),
        ];
        for (typed, shown) in cases {
            assert_eq!(Address::shown(typed), shown);
        }
    }

    #[test]
    fn files_are_named_after_the_database() {
        let name = |text: &str| Address::parse(text).expect("an address").name().to_owned();
        let typed =
            ["results/a.db", "postgres://me@host/growth?sslmode=require", "postgres://host", "postgres://h/../x"];
        assert_eq!(typed.map(name), ["results/a.db", "growth", "outgrow", "outgrow"]);
    }
}
