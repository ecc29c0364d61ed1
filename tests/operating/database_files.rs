//! A database file that is not ours, is newer, is read-only, is locked or in use: a clear sentence, exit 1, and the
//! file as it was. And the SQL contract of a good one.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::json;

use super::support::server::Server;

fn serve(database: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ordain"))
        .env_clear()
        .current_dir(std::env::temp_dir())
        .args(["serve", "--bind", "127.0.0.1:0", "--database-url"])
        .arg(format!("sqlite://{}", database.display()))
        .output()
        .unwrap()
}

/// Starts on this file, which must be refused with these words and left alone.
fn is_refused(database: &Path, words: &[&str]) {
    let before = fs::read(database).ok();
    let done = serve(database);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} in {said}");
    }
    assert_eq!(fs::read(database).ok(), before, "the file was changed");
}

fn sqlite(path: &Path) -> SqliteConnection {
    SqliteConnection::establish(&path.to_string_lossy()).unwrap()
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text"), "hello, this is no database at all").unwrap();
    is_refused(&path("text"), &["not a SQLite file"]);
    sqlite(&path("other.db")).batch_execute("CREATE TABLE t (a)").unwrap();
    is_refused(&path("other.db"), &["another program"]);
    fs::create_dir(path("folder")).unwrap();
    is_refused(&path("folder"), &["folder"]);
    is_refused(&path("missing/ordain.db"), &["missing"]);
    assert!(!path("missing").exists());
}

/// A database of ours, with an order in it, its server ended.
fn ours() -> Server {
    let mut server = Server::start(&["--review-seconds", "0"], Vec::new());
    assert_eq!(server.post("/orders/o-1/start", Some(&json!({"address": "1 Main"}))).status, 202);
    server.get("/orders/o-1/status?wait=20");
    assert!(server.sigterm().success());
    server
}

#[test]
fn a_newer_or_read_only_or_locked_database_is_refused_and_left_alone() {
    let server = ours();
    let path = server.database();
    let mut writer = sqlite(&path);
    writer.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')").unwrap();
    writer.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    is_refused(&path, &["newer", "99990101000000"]);
    writer.batch_execute("DELETE FROM __diesel_schema_migrations WHERE version = '99990101000000'").unwrap();
    writer.batch_execute("PRAGMA wal_checkpoint(TRUNCATE); BEGIN EXCLUSIVE").unwrap();
    is_refused(&path, &["locked"]);
    writer.batch_execute("ROLLBACK").unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    is_refused(&path, &["read-only"]);
}

#[test]
fn a_second_server_on_the_same_file_is_refused_and_told_who_holds_it() {
    let server = Server::start(&[], Vec::new());
    let done = serve(&server.database());
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1));
    assert!(said.contains(&server.pid().to_string()), "{said}");
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

#[test]
fn people_read_it_in_plain_sql_and_nobody_rewrites_history() {
    let server = ours();
    let mut sql = sqlite(&server.database());
    let mut count = |query: &str| diesel::sql_query(query).get_result::<Count>(&mut sql).unwrap().n;
    assert_eq!(
        count(
            "SELECT count(*) n FROM orders WHERE id = 'o-1' AND state = 'completed' AND address_json = '1 Main' AND created_at LIKE '20%Z' AND updated_at >= created_at"
        ),
        1
    );
    assert_eq!(
        count(
            "SELECT count(*) n FROM payments WHERE payment_id = 'pay-o-1' AND order_id = 'o-1' AND status = 'charged' AND amount = '0.00' AND currency = 'USD' AND created_at LIKE '20%Z'"
        ),
        1
    );
    assert_eq!(
        count(
            "SELECT count(*) n FROM shipments WHERE order_id = 'o-1' AND state = 'dispatched' AND carrier_ref IS NOT NULL"
        ),
        1
    );
    assert_eq!(count("SELECT count(*) - max(seq) n FROM events WHERE order_id = 'o-1'"), 0);
    assert_eq!(
        count(
            "SELECT count(*) n FROM events WHERE order_id = 'o-1' AND type = 'PaymentCharged' AND payload_json LIKE '{%' AND ts LIKE '20%Z'"
        ),
        1
    );
    assert_eq!(count("SELECT count(*) - count(DISTINCT id) n FROM events"), 0);
    assert_eq!(
        count(
            "SELECT count(*) n FROM (SELECT kind, state, n FROM state_counts WHERE n <> 0 EXCEPT SELECT kind, state, count(*) FROM workflows GROUP BY 1, 2)"
        ),
        0
    );
    for change in [
        "DELETE FROM events",
        "UPDATE events SET type = 'x'",
        "INSERT INTO events (order_id) VALUES ('x')",
        "DELETE FROM transitions",
        "UPDATE transitions SET facts = '[]'",
    ] {
        let error = sql.batch_execute(change).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{change}: {error}");
    }
    assert!(sql.batch_execute("INSERT INTO payments SELECT * FROM payments").is_err(), "payment ids are unique");
}

#[test]
fn verify_finds_what_was_changed_behind_its_back() {
    let server = ours();
    assert!(server.verify().status.success());
    sqlite(&server.database()).batch_execute("UPDATE payments SET status = 'refunded'").unwrap();
    let verified = server.verify();
    assert_eq!(verified.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&verified.stdout).contains("o-1: its payment"));
    let mut sql = sqlite(&server.database());
    sql.batch_execute("UPDATE payments SET status = 'charged'; UPDATE workflows SET state = 'failed' WHERE id = 'o-1'")
        .unwrap();
    assert!(String::from_utf8_lossy(&server.verify().stdout).contains("o-1: its row says"));
}
