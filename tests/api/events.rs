//! The stream of events over real HTTP: all of them, in order, none twice, also over a kill -9.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::client;
use super::support::server::{Line, Server};

/// An open stream of server-sent events.
struct Stream {
    lines: BufReader<TcpStream>,
    head: String,
}

impl Stream {
    fn open(line: &Line, query: &str, last_event_id: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(line.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let resume = last_event_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let head = format!("GET /events{query} HTTP/1.1\r\nhost: localhost\r\n{resume}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut stream = Self { lines: BufReader::new(stream), head: String::new() };
        while let Some(line) = stream.line().filter(|line| !line.is_empty()) {
            stream.head += &format!("{line}\n").to_lowercase();
        }
        stream
    }

    /// `None`: the stream is over.
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.lines.read_until(b'\n', &mut line) {
            Ok(n) if n > 0 => Some(String::from_utf8(line).unwrap().trim_end().to_owned()),
            _ => None,
        }
    }

    /// The next event. Sizes of chunks and comments are passed over; a message always comes in one chunk.
    fn next(&mut self) -> Option<Value> {
        let mut id = None;
        loop {
            let line = self.line()?;
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.parse::<u64>().ok();
            } else if let Some(data) = line.strip_prefix("data: ") {
                let event: Value = serde_json::from_str(data).unwrap();
                assert_eq!(event["id"].as_u64(), id, "{data}");
                return Some(event);
            }
        }
    }

    fn take_until(&mut self, last: u64) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        while events.last().is_none_or(|event| id(event) < last) {
            events.push(self.next().expect("the stream goes on"));
        }
        events
    }
}

fn id(event: &Value) -> u64 {
    event["id"].as_u64().unwrap()
}

fn ids(events: &[Value]) -> Vec<u64> {
    events.iter().map(id).collect()
}

fn start(line: &Line, order: &str) {
    let body = json!({"review": "auto", "review_seconds": 0.0});
    let answer = line.post(&format!("/orders/{order}/start"), Some(&body)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn ends(server: &Server, order: &str) {
    let status = server.get(&format!("/orders/{order}/status?wait=20")).json();
    assert_eq!(status["terminal"], true, "{status}");
}

#[test]
fn every_event_comes_once_in_order_and_as_soon_as_it_is_durable() {
    let server = Server::start(&[], Vec::new());
    let mut stream = Stream::open(&server.line(), "", None);
    assert!(stream.head.contains("200 ok") && stream.head.contains("content-type: text/event-stream"));
    let began = Instant::now();
    start(&server.line(), "o-1");
    let first = stream.next().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!((id(&first), &first["order_id"], &first["type"]), (1, &json!("o-1"), &json!("OrderReceived")));
    ends(&server, "o-1");
    let (order, shipment) = (server.history("/orders/o-1"), server.history("/workflows/o-1/shipping/1"));
    let mut streamed = vec![first];
    streamed.extend(stream.take_until((order.len() + shipment.len()) as u64));
    assert_eq!(ids(&streamed), (1..=streamed.len() as u64).collect::<Vec<_>>());
    // What is streamed of an instance is its history.
    for (id, history) in [("o-1", order), ("o-1/shipping/1", shipment)] {
        let mine = streamed.iter().filter(|event| event["order_id"] == id).cloned();
        let mine: Vec<Value> = mine
            .map(|mut event| {
                for field in ["id", "order_id"] {
                    event.as_object_mut().unwrap().remove(field);
                }
                event
            })
            .collect();
        assert_eq!(mine, history);
    }
    // From any point on, within a transition too.
    let all = ids(&streamed);
    for after in 0..all.len() {
        let mut late = Stream::open(&server.line(), &format!("?after={after}"), None);
        assert_eq!(ids(&late.take_until(all.len() as u64)), all[after..]);
    }
}

#[test]
fn a_stream_of_one_order_has_its_events_and_on_demand_its_shipments() {
    let server = Server::start(&[], Vec::new());
    let mut family = Stream::open(&server.line(), "?order_id=o-2&children=true", None);
    for order in ["o-1", "o-2", "o-3"] {
        start(&server.line(), order);
    }
    ["o-1", "o-2", "o-3"].iter().for_each(|order| ends(&server, order));
    let own = server.history("/orders/o-2").len();
    let both = own + server.history("/workflows/o-2/shipping/1").len();
    let seen: Vec<Value> = (0..both).map(|_| family.next().unwrap()).collect();
    assert!(ids(&seen).windows(2).all(|pair| pair[0] < pair[1]));
    assert!(seen.iter().all(|e| e["order_id"] == "o-2" || e["order_id"] == "o-2/shipping/1"));
    let mut alone = Stream::open(&server.line(), "?order_id=o-2", None);
    let alone: Vec<u64> = (0..own).map(|_| alone.next().unwrap()["seq"].as_u64().unwrap()).collect();
    assert_eq!(alone, (1..=own as u64).collect::<Vec<_>>());
    let mut latest = Stream::open(&server.line(), "?after=latest", None);
    start(&server.line(), "o-4");
    assert_eq!(latest.next().unwrap()["order_id"], "o-4");
}

#[test]
fn after_kill_9_a_client_goes_on_behind_the_last_event_it_saw() {
    let mut server = Server::start(&[], Vec::new());
    let mut seen: Vec<u64> = Vec::new();
    for round in 0..4 {
        let mut stream = Stream::open(&server.line(), "?after=0", seen.last().copied());
        for n in 0..30 {
            start(&server.line(), &format!("o-{round}-{n}"));
        }
        // Killed while events flow; what was in flight comes with the next life.
        seen.extend((0..50).map(|_| id(&stream.next().unwrap())));
        server.kill9();
        while let Some(event) = stream.next() {
            seen.push(id(&event));
        }
        server.restart();
    }
    (0..4).for_each(|round| (0..30).for_each(|n| ends(&server, &format!("o-{round}-{n}"))));
    let mut stream = Stream::open(&server.line(), "", seen.last().copied());
    start(&server.line(), "last");
    ends(&server, "last");
    loop {
        let event = stream.next().unwrap();
        seen.push(id(&event));
        if event["order_id"] == "last" && event["type"] == "OrderCompleted" {
            break;
        }
    }
    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
}

#[test]
fn sigterm_ends_the_streams() {
    let mut server = Server::start(&[], Vec::new());
    let mut stream = Stream::open(&server.line(), "", None);
    start(&server.line(), "o-1");
    stream.next().unwrap();
    let began = Instant::now();
    assert!(server.sigterm().success(), "{}", server.log());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    while stream.next().is_some() {}
}

#[test]
fn bad_requests_for_a_stream_are_problems_and_streams_are_counted() {
    let server = Server::start(&[], Vec::new());
    for query in ["after=-1", "after=x", "after=99999999999999999999", "order_id=a%20b", "children=1", "x=1"] {
        let answer = server.get(&format!("/events?{query}"));
        assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("invalid_request")), "{query}");
    }
    let header = [("last-event-id", "x")];
    let answer = client::request(server.line().address(), "GET", "/events", &header, None).unwrap();
    assert_eq!(answer.status, 422);
    assert_eq!(server.post("/events", None).status, 405);
    let open: Vec<Stream> = (0..256).map(|_| Stream::open(&server.line(), "", None)).collect();
    let refused = server.get("/events");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("too_many_streams")));
    assert!(refused.header("retry-after").is_some());
    drop(open);
    // Their places come free as the server notices that they are gone.
    start(&server.line(), "o-1");
    let until = Instant::now() + Duration::from_secs(20);
    while Stream::open(&server.line(), "", None).head.contains("503") {
        assert!(Instant::now() < until);
        start(&server.line(), &format!("o-{}", until.duration_since(Instant::now()).as_micros()));
    }
}
