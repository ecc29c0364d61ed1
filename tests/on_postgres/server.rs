//! What only a server on PostgreSQL does: one owner at a time, and a database that goes away and comes back.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ordain::model::{OrderId, Timestamp};
use ordain::store::{self, Location, StoreError, StoredAnswer, Unit, Verdict};
use serde_json::{Value, json};

use super::maker;
use super::support::postgres::{Cluster, cluster};
use super::support::server::Server;
use super::support::slow::SlowWay;

fn server_on(cluster: &Arc<Cluster>, url: &str, args: &[&str]) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let env = vec![("ORDAIN_REQUEST_TIMEOUT_SECONDS".to_owned(), "3".to_owned())];
    Server::start_on(folder, url.to_owned(), Some(Arc::clone(cluster)), args, env)
}

fn standby_on(cluster: &Arc<Cluster>, url: &str) -> Server {
    let folder = tempfile::tempdir().unwrap();
    Server::standby_on(folder, url.to_owned(), Some(Arc::clone(cluster)), &["--review-seconds", "0"], Vec::new())
}

fn start(server: &Server, order: &str) -> u16 {
    server.post(&format!("/orders/{order}/start"), Some(&json!({"review": "manual"}))).status
}

fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> (T, Duration) {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return (found, began.elapsed());
        }
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(10));
    }
}

fn is_ready(server: &Server) -> Option<()> {
    server.line().get("/readyz").is_ok_and(|r| r.status == 200).then_some(())
}

fn end(server: &Server, order: &str) -> Value {
    assert!([200, 202].contains(&server.post(&format!("/orders/{order}/signals/approve"), None).status));
    server.get(&format!("/orders/{order}/status?wait=20")).json()
}

#[test]
fn the_second_server_stands_by_and_takes_over_when_the_first_is_killed() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database();
    let mut first = server_on(&cluster, &url, &[]);
    assert_eq!(start(&first, "o-1"), 202);
    let second = standby_on(&cluster, &url);
    assert_eq!(second.get("/healthz").status, 200);
    let (told, _) = until(Duration::from_secs(5), "it says who owns the database", || {
        let answer = second.get("/orders/o-1/status");
        (answer.json()["code"] == "standby").then_some(answer)
    });
    assert_eq!((told.status, told.header("retry-after").is_some()), (503, true), "{}", told.text());
    assert!(told.text().contains(&format!("process {} on", first.pid())), "{}", told.text());
    assert_eq!(second.get("/readyz").status, 503);
    assert_eq!(start(&second, "o-2"), 503);

    first.kill9();
    let ((), took) = until(Duration::from_secs(5), "the standby takes over", || is_ready(&second));
    eprintln!("taken over after {took:?}");
    assert_eq!(end(&second, "o-1")["state"], "completed");

    // A server that ends well gives the database back, and nobody waits for a lease to run out.
    let third = standby_on(&cluster, &url);
    let mut second = second;
    assert!(second.sigterm().success());
    until(Duration::from_secs(2), "the third takes over at once", || is_ready(&third));
    assert_eq!(third.get("/orders/o-1/status").json()["state"], "completed");
}

#[test]
fn an_owner_that_sleeps_is_replaced_and_can_write_nothing_when_it_wakes() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database();
    let first = server_on(&cluster, &url, &[]);
    assert_eq!(start(&first, "o-1"), 202);
    let second = standby_on(&cluster, &url);
    first.signal("-STOP");
    until(Duration::from_secs(6), "the standby takes over", || is_ready(&second));
    assert_eq!(start(&second, "o-2"), 202);
    first.signal("-CONT");
    // From its first moment: it answers, and changes nothing.
    let cancel = first.post("/orders/o-1/signals/cancel", None);
    assert_eq!(cancel.status, 503, "{}", cancel.text());
    until(Duration::from_secs(5), "it knows that it stands by", || {
        (first.get("/orders/o-1/status").json()["code"] == "standby").then_some(())
    });
    assert_eq!(second.get("/orders/o-1/status").json()["state"], "in_review");
    assert_eq!(end(&second, "o-1")["state"], "completed");
    assert!(second.verify().status.success());
    // And it is the next in line.
    drop(second);
    until(Duration::from_secs(5), "it takes over again", || is_ready(&first));
    assert_eq!(first.get("/orders/o-2/status").json()["state"], "in_review");
}

#[test]
fn an_outage_is_told_loses_nothing_and_heals_by_itself() {
    let Some(cluster) = cluster() else { return };
    let own = Arc::new(Cluster::another(&cluster));
    let url = own.database();
    let server = server_on(&own, &url, &["--review-seconds", "0"]);
    assert_eq!(start(&server, "o-1"), 202);
    server.get("/orders/o-1/status?wait=5&until=in_review");
    for round in 0..3 {
        own.stop_immediate();
        until(Duration::from_secs(4), "readyz is red", || (server.get("/readyz").status == 503).then_some(()));
        assert_eq!(server.get("/healthz").status, 200);
        let refused = server.post(&format!("/orders/away-{round}/start"), None);
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.header("retry-after").is_some());
        own.start();
        until(Duration::from_secs(5), "it heals", || is_ready(&server));
        assert_eq!(start(&server, &format!("back-{round}")), 202);
    }
    assert_eq!(end(&server, "o-1")["state"], "completed");
    for round in 0..3 {
        assert_eq!(end(&server, &format!("back-{round}"))["state"], "completed");
    }
    assert!(server.verify().status.success());
}

#[test]
fn sessions_that_are_cut_off_all_the_time_lose_nothing() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database();
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    let server = server_on(&cluster, &url, &["--review-seconds", "0"]);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (cutter, stopped) = (Arc::clone(&cluster), Arc::clone(&stop));
    let cutting = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            cutter.sql(
                "postgres",
                &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
            );
            sleep(Duration::from_millis(200));
        }
    });
    let mut acknowledged = Vec::new();
    let until = Instant::now() + Duration::from_secs(5);
    let mut n = 0;
    while Instant::now() < until {
        n += 1;
        let answer = server.post(&format!("/orders/c-{n}/start"), None);
        assert!([200, 202, 503].contains(&answer.status), "{}", answer.text());
        if answer.status != 503 {
            acknowledged.push(n);
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    cutting.join().unwrap();
    assert!(acknowledged.len() > 50, "{} of {n} were taken", acknowledged.len());
    for n in &acknowledged {
        let status = server.get(&format!("/orders/c-{n}/status?wait=20")).json();
        assert_eq!(status["state"], "completed", "{status}");
    }
    assert!(server.verify().status.success());
}

#[test]
fn a_database_that_is_not_ours_or_is_newer_or_not_there_is_refused_in_words() {
    let Some(cluster) = cluster() else { return };
    let run = |url: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ordain"));
        command.args(["serve", "--bind", "127.0.0.1:0", "--database-url", url]).current_dir(folder.path());
        let output = command.env_clear().output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let foreign = cluster.database();
    let name = |url: &str| url.rsplit_once('/').unwrap().1.to_owned();
    cluster.sql(&name(&foreign), "CREATE TABLE orders (id INT)");
    let (code, said) = run(&foreign);
    assert_eq!(code, Some(1));
    assert!(said.contains("tables of another program"), "{said}");

    let newer = cluster.database();
    drop(server_on(&cluster, &newer, &[]));
    cluster.sql(&name(&newer), "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')");
    sleep(Duration::from_millis(3_200));
    let (code, said) = run(&newer);
    assert_eq!(code, Some(1));
    assert!(said.contains("newer ordain"), "{said}");

    let (code, said) = run(&cluster.url("nobody_made_it"));
    assert_eq!(code, Some(1));
    assert!(said.contains("does not exist"), "{said}");
}

#[test]
fn a_database_that_became_read_only_is_told_and_heals() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database();
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    let server = server_on(&cluster, &url, &["--review-seconds", "0"]);
    let set = |on: &str| {
        cluster.sql("postgres", &format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}"));
        let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        cluster.sql("postgres", &cut);
    };
    assert_eq!(start(&server, "o-1"), 202);
    set("on");
    until(Duration::from_secs(4), "writes are refused", || (start(&server, "o-2") == 503).then_some(()));
    until(Duration::from_secs(4), "readyz is red", || (server.get("/readyz").status == 503).then_some(()));
    assert_eq!(server.get("/healthz").status, 200);
    set("off");
    until(Duration::from_secs(5), "it heals", || is_ready(&server));
    assert!([200, 202].contains(&start(&server, "o-2")));
    for order in ["o-1", "o-2"] {
        assert_eq!(end(&server, order)["state"], "completed");
    }
}

#[test]
fn a_slow_database_is_slow_and_nothing_else() {
    let Some(cluster) = cluster() else { return };
    let direct = cluster.database();
    let way = SlowWay::to(cluster.address());
    let url = direct.replace(&cluster.address().to_string(), &way.address.to_string());
    assert_ne!(url, direct);
    let server = server_on(&cluster, &url, &["--review-seconds", "0"]);
    // A round trip takes 200 to 400 ms.
    way.delay_ms.store(200, std::sync::atomic::Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for n in 0..4 {
        let order = format!("s-{n}");
        let answer = server.post(&format!("/orders/{order}/start"), None);
        assert!([202, 503].contains(&answer.status), "{}", answer.text());
        assert_eq!(server.get("/healthz").status, 200);
        // Whether it was acknowledged or is unknown to the client: sent again it is the same order.
        acknowledged.push(order);
    }
    way.delay_ms.store(0, std::sync::atomic::Ordering::Relaxed);
    until(Duration::from_secs(5), "it is ready", || is_ready(&server));
    for order in &acknowledged {
        until(Duration::from_secs(10), "the start is answered", || {
            [200, 202].contains(&server.post(&format!("/orders/{order}/start"), None).status).then_some(())
        });
        let status = server.get(&format!("/orders/{order}/status?wait=20")).json();
        assert_eq!(status["state"], "completed", "{status}");
    }
    assert!(server.verify().status.success());
}

#[test]
fn a_commit_without_an_answer_is_read_back_and_not_guessed() {
    let Some(cluster) = cluster() else { return };
    let direct = cluster.database();
    let way = SlowWay::to(cluster.address());
    let url = direct.replace(&cluster.address().to_string(), &way.address.to_string());
    let mut store = store::open(&Location::parse(&url).unwrap(), 1).unwrap();
    let keyed = |key: &str| {
        let text = |t: &str| t.to_owned();
        let at = Timestamp(1);
        let answer = StoredAnswer { key: text(key), fingerprint: text("f"), outcome: text("{}"), at };
        Unit { answer: Some(answer), ..Unit::default() }
    };
    let break_at = |moment| way.at_commit.store(moment, std::sync::atomic::Ordering::Relaxed);
    let id = |order: &str| OrderId::parse(order).unwrap().workflow();

    // It took place: the answer is that of a commit that was answered.
    break_at(2);
    let unit = maker::start_of("o-1", "p-1", &store);
    assert_eq!(store.journal.append(&[unit]).unwrap(), [Verdict::Stored]);
    assert_eq!(store.queries.family(&id("o-1")).unwrap().len(), 1);
    break_at(2);
    assert_eq!(store.journal.append(&[keyed("k-1")]).unwrap(), [Verdict::Stored]);
    assert!(store.queries.answer("k-1").unwrap().is_some());

    // It did not: nothing is acknowledged, nothing is there, and the same can be stored then.
    break_at(1);
    store.next_key = ordain::model::Key(store.next_key.0 + 10);
    let unit = maker::start_of("o-2", "p-2", &store);
    let lost = store.journal.append(std::slice::from_ref(&unit));
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    assert!(store.queries.family(&id("o-2")).unwrap().is_empty());
    assert_eq!(store.journal.append(&[unit]).unwrap(), [Verdict::Stored]);
    assert_eq!(store.queries.history(&id("o-2"), 0, 10).unwrap().unwrap()[0].seq, 1);
}
