//! The version of a database's schema, and how it is brought up to date.
//!
//! The first migration of each backend makes all of the schema; those that follow change it. Each
//! is carried out once, together with those before it or not at all. What was released is never
//! edited: a database whose first migration is another is refused.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use outgrow_failpoint::Point;
use sqlx::{
    ConnectOptions, Connection, PgConnection, SqlSafeStr, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use crate::{
    StoreError,
    address::Address,
    connect::{BUSY_TIMEOUT, connect_file, connect_server, open_error},
};

pub(crate) static SQLITE: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[("schema", include_str!("../../../migrations/sqlite/0001_schema.sql"))])
});

pub(crate) static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[("schema", include_str!("../../../migrations/postgres/0001_schema.sql"))])
});

/// Of descriptions and files, in order. (sqlx's macro does the same, and has all of sqlx compiled
/// for the compiler, too.)
fn migrator(files: &[(&'static str, &'static str)]) -> Migrator {
    let one = |(version, (description, sql)): (i64, &(&'static str, &'static str))| {
        Migration::new(
            version,
            (*description).into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations((1..).zip(files).map(one).collect())
}

/// What `PRAGMA application_id` says in a file of ours: "ougw".
pub(crate) const APPLICATION_ID: i64 = 1_870_099_319;

/// Brings a file up to date under one lock: of two programs that start at once, the second finds
/// the work done.
pub(crate) async fn migrate_file(
    path: &str,
    options: &SqliteConnectOptions,
    migrator: &Migrator,
) -> Result<(), StoreError> {
    let failed = |error: sqlx::Error| open_error(path, error);
    let mut connection = connect_file(path, options).await?;
    if file_version(&mut connection, path, migrator).await? < newest(migrator) {
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let done = migrator.run_direct(None, &mut *tx, false).await;
        done.map_err(|error| match error {
            MigrateError::Execute(error) => open_error(path, error),
            other => other.into(),
        })?;
        Point::CommitSchema.before();
        tx.commit().await.map_err(failed)?;
        Point::CommitSchema.after();
    }
    // The log beside the file outlives this connection, so it is set up once the file is ours.
    let wal = options.clone().journal_mode(SqliteJournalMode::Wal);
    let began = Instant::now();
    loop {
        match wal.connect().await {
            Ok(connection) => return connection.close().await.map_err(failed),
            // SQLite does not wait here for others that set it up at the same moment.
            Err(error)
                if error.to_string().contains("locked") && began.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Brings a server's schema up to date; the migrator takes a lock of the server's.
pub(crate) async fn migrate_server(
    address: &str,
    options: &PgConnectOptions,
    migrator: &Migrator,
) -> Result<(), StoreError> {
    let mut connection = connect_server(address, options).await?;
    if server_version(&mut connection, address, migrator).await? < newest(migrator) {
        let mut tx = connection.begin().await?;
        // One at a time, and all of it or nothing.
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(APPLICATION_ID)
            .execute(&mut *tx)
            .await?;
        if server_version(&mut tx, address, migrator).await? < newest(migrator) {
            migrator.run_direct(None, &mut *tx, false).await?;
        }
        Point::CommitSchema.before();
        tx.commit().await?;
        Point::CommitSchema.after();
    }
    Ok(connection.close().await?)
}

/// The schema version of a file; 0 if nothing is in it.
pub(crate) async fn file_version(
    connection: &mut SqliteConnection,
    path: &str,
    migrator: &Migrator,
) -> Result<i64, StoreError> {
    let failed = |error| open_error(path, error);
    let mut number = async |sql: &'static str| {
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await
    };
    if number("SELECT count(*) FROM sqlite_schema").await.map_err(failed)? == 0 {
        return Ok(0);
    }
    if number("PRAGMA application_id").await.map_err(failed)? != APPLICATION_ID {
        return Err(StoreError::Foreign(path.into()));
    }
    let found =
        number("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").await.map_err(failed)?;
    refuse_unreleased(connection, path, migrator).await?;
    known(found, newest(migrator), path)
}

/// Whether something was carried out, but not the first migration of ours. One of its two marks may
/// be damaged.
const UNRELEASED: &str = "SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM _sqlx_migrations)
    AND NOT EXISTS (SELECT 1 FROM _sqlx_migrations
                    WHERE version = 1 AND (checksum = $1 OR description = $2))
    THEN 1 ELSE 0 END AS BIGINT)";

/// Checksum and description of the first migration.
fn first(migrator: &Migrator) -> (Vec<u8>, String) {
    let first = migrator.iter().next().expect("there is a first migration");
    (first.checksum.to_vec(), first.description.clone().into_owned())
}

/// Refuses a file of before the first release, whose migrations were others.
pub(crate) async fn refuse_unreleased(
    connection: &mut SqliteConnection,
    path: &str,
    migrator: &Migrator,
) -> Result<(), StoreError> {
    let (checksum, description) = first(migrator);
    let unreleased = sqlx::query_scalar::<_, i64>(UNRELEASED).bind(checksum).bind(description);
    match unreleased.fetch_one(connection).await.map_err(|error| open_error(path, error))? {
        0 => Ok(()),
        _ => Err(StoreError::Unreleased(path.into())),
    }
}

/// The version of a server's schema; 0 if there is none yet.
pub(crate) async fn server_version(
    connection: &mut PgConnection,
    address: &str,
    migrator: &Migrator,
) -> Result<i64, StoreError> {
    let mut number = async |sql: &'static str| {
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await
    };
    let log = "SELECT count(*) FROM pg_tables
               WHERE schemaname = current_schema() AND tablename = '_sqlx_migrations'";
    let ours = "SELECT count(*) FROM pg_tables
                WHERE schemaname = current_schema() AND tablename IN ('trial', 'growth_event')";
    if number(log).await? == 0 {
        return Ok(0);
    }
    let found = number("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").await?;
    if found > 0 && number(ours).await? < 2 {
        return Err(StoreError::Foreign(Address::shown(address)));
    }
    let (checksum, description) = first(migrator);
    let unreleased = sqlx::query_scalar::<_, i64>(UNRELEASED).bind(checksum).bind(description);
    if unreleased.fetch_one(connection).await? > 0 {
        return Err(StoreError::Unreleased(Address::shown(address)));
    }
    known(found, newest(migrator), &Address::shown(address))
}

/// Refuses a schema that readers of this version do not know.
pub(crate) fn up_to_date(found: i64, migrator: &Migrator, path: &str) -> Result<(), StoreError> {
    match (found, newest(migrator)) {
        (0, _) => Err(StoreError::Missing(path.into())),
        (found, known) if found < known => {
            Err(StoreError::Older { path: path.into(), found, known })
        }
        _ => Ok(()),
    }
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn known(found: i64, known: i64, path: &str) -> Result<i64, StoreError> {
    match found > known {
        true => Err(StoreError::Newer { path: path.into(), found, known }),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use outgrow_core::Sweep;

    use super::*;
    use crate::{
        Store,
        connect::{file, server},
    };

    #[test]
    fn every_file_is_a_migration_and_what_was_released_is_as_it_was() {
        let released = [
            (&*SQLITE, "sqlite", "35aa06315d4ed622"),
            (&*POSTGRES, "postgres", "257d68cc5d7cd009"),
        ];
        for (migrator, folder, first) in released {
            let folder = format!("{}/../../migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .expect("a folder")
                .map(|file| file.expect("a file").file_name().into_string().expect("a name"))
                .collect();
            files.sort();
            let own = migrator.iter();
            let own: Vec<String> =
                own.map(|one| format!("{:04}_{}.sql", one.version, one.description)).collect();
            assert_eq!(own, files);
            let digest = migrator.iter().next().map(|one| &*one.checksum).unwrap_or_default();
            let digest: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digest, first);
        }
    }

    /// The migrations there are, and one more.
    fn and_a_later(migrator: &Migrator) -> Migrator {
        let sql = "ALTER TABLE trial ADD COLUMN later BIGINT NOT NULL DEFAULT 7;
                   CREATE VIEW laters AS SELECT later FROM trial";
        let sql = if std::ptr::eq(migrator, &*SQLITE) {
            sql.replace("BIGINT", "INTEGER")
        } else {
            sql.into()
        };
        let version = newest(migrator) + 1;
        let kind = MigrationType::Simple;
        let later = Migration::new(
            version,
            "later".into(),
            kind,
            sqlx::AssertSqlSafe(sql).into_sql_str(),
            false,
        );
        let migrations = migrator.iter().cloned().chain([later]).collect();
        Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }
    }

    async fn with_trials(address: &str) -> usize {
        let store = Store::open(address).await.expect("a database");
        let sweep = Sweep::parse(include_str!("../tests/sweep.toml")).expect("a sweep");
        let members = sweep.members("d").expect("members");
        let new = store.insert_sweep(&sweep, "d", &members, false).await.expect("inserted").new;
        store.close().await;
        new
    }

    /// What the later migration gave every trial, in all.
    const LATERS: &str = "SELECT CAST(sum(later) AS BIGINT) FROM laters";

    /// Who reads an older schema changes nothing.
    fn is_older(found: i64, later: &Migrator) {
        let refused = up_to_date(found, later, "a").expect_err("it is older");
        assert!(matches!(refused, StoreError::Older { known, .. } if known == newest(later)));
    }

    #[tokio::test]
    async fn a_file_is_brought_forward_by_a_later_migration() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db").display().to_string();
        let (trials, later) = (with_trials(&path).await, and_a_later(&SQLITE));
        let mut connection = connect_file(&path, &file(&path)).await.expect("connects");
        is_older(file_version(&mut connection, &path, &later).await.expect("ours"), &later);
        for _ in 0..2 {
            migrate_file(&path, &file(&path), &later).await.expect("brought forward");
            let version = file_version(&mut connection, &path, &later).await.expect("ours");
            assert_eq!(version, newest(&later));
        }
        let sum: i64 = sqlx::query_scalar(LATERS).fetch_one(&mut connection).await.expect("a sum");
        assert_eq!(sum, 7 * trials as i64);
        connection.close().await.expect("closed");
        let error = Store::open(&path).await.expect_err("this version does not know it");
        assert!(matches!(error, StoreError::Newer { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_server_is_brought_forward_by_a_later_migration() {
        let Ok(url) = std::env::var("OUTGROW_TEST_POSTGRES") else {
            outgrow_testkit::skip("OUTGROW_TEST_POSTGRES names no server");
            return;
        };
        let name = format!("migrations_{}", std::process::id());
        let mut admin = PgConnection::connect(&url).await.expect("the server answers");
        let new = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(new).execute(&mut admin).await.expect("a new database");
        let address = format!("{}/{name}", url.rsplit_once('/').expect("a URL").0);
        let options = server(&address).expect("an address");
        let (trials, later) = (with_trials(&address).await, and_a_later(&POSTGRES));
        let mut connection = connect_server(&address, &options).await.expect("connects");
        is_older(server_version(&mut connection, &address, &later).await.expect("ours"), &later);
        for _ in 0..2 {
            migrate_server(&address, &options, &later).await.expect("brought forward");
            let version = server_version(&mut connection, &address, &later).await.expect("ours");
            assert_eq!(version, newest(&later));
        }
        let sum: i64 = sqlx::query_scalar(LATERS).fetch_one(&mut connection).await.expect("a sum");
        assert_eq!(sum, 7 * trials as i64);
        let error = Store::open(&address).await.expect_err("this version does not know it");
        assert!(matches!(error, StoreError::Newer { .. }), "{error}");
    }

    /// What a view says in PostgreSQL's words and in SQLite's, and how often.
    const DIALECT: [(&str, &str, usize); 5] = [
        ("greatest(", "max(", 3),
        (
            "CAST(g.max_logit_change / max(1.0, g.max_logit) <= g.tolerance AS \
          INTEGER)",
            "g.max_logit_change / max(1.0, g.max_logit) <= g.tolerance",
            1,
        ),
        ("CAST(r.train_flops IS NOT NULL AS INTEGER)", "r.train_flops IS NOT NULL", 1),
        (
            "GROUP BY sweep, sweep_id, strategy, kind, \
          learning_rate, setting, budget",
            "GROUP BY sweep_id, strategy, learning_rate, setting, budget",
            1,
        ),
        (
            "       (SELECT sum(train_flops) FROM attempt WHERE trial = m.trial) AS \
          spent_flops,",
            "       -- A sum of INTEGERs beyond 2^63 would be an error.
       CASE WHEN (SELECT total(train_flops) FROM attempt WHERE trial = m.trial) < \
       9223372036854774784.0
            THEN (SELECT sum(train_flops) FROM attempt WHERE trial = m.trial)
            ELSE (SELECT total(train_flops) FROM attempt WHERE trial = m.trial) END AS \
            spent_flops,",
            1,
        ),
    ];

    #[test]
    fn the_views_of_both_backends_say_the_same() {
        let [file, mut server] = [&*SQLITE, &*POSTGRES].map(|migrator| {
            let sql = migrator.iter().next().expect("the first").sql.as_str();
            sql[sql.find("-- The public interface").expect("views")..].to_owned()
        });
        for (theirs, ours, times) in DIALECT {
            assert_eq!(server.matches(theirs).count(), times, "{theirs}");
            server = server.replace(theirs, ours);
        }
        assert_eq!(server, file);
    }
}
