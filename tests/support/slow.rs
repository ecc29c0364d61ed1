//! A way to a server that takes its time, every piece of bytes being held for a while in both directions; and that can
//! break at the worst moment.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

pub struct SlowWay {
    pub address: SocketAddr,
    /// For how long a piece is held, in ms: from half of it up to it.
    pub delay_ms: Arc<AtomicU64>,
    /// Breaks at the next COMMIT: 1: before it arrives, 2: before its answer does; 0: not.
    pub at_commit: Arc<AtomicU64>,
}

impl SlowWay {
    pub fn to(server: SocketAddr) -> Self {
        let delay_ms = Arc::new(AtomicU64::new(0));
        let at_commit = Arc::new(AtomicU64::new(0));
        let (delay, break_at) = (Arc::clone(&delay_ms), Arc::clone(&at_commit));
        let address = way(server, move |[client, to_server], [server, to_client]| {
            let (there, back) = (Arc::clone(&delay), Arc::clone(&delay));
            let (breaks, never) = (Arc::clone(&break_at), Arc::new(AtomicU64::new(0)));
            thread::spawn(move || pass(client, to_server, &there, &breaks));
            thread::spawn(move || pass(server, to_client, &back, &never));
        });
        Self { address, delay_ms, at_commit }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, delay: &AtomicU64, at_commit: &AtomicU64) {
    let mut bytes = [0; 65_536];
    let mut n: u64 = 0;
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let longest = delay.load(Ordering::Relaxed);
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        thread::sleep(Duration::from_millis(longest / 2 + (n >> 33) % (longest / 2 + 1)));
        if bytes[..read].windows(6).any(|part| part == b"COMMIT") {
            match at_commit.swap(0, Ordering::Relaxed) {
                0 => {}
                1 => break,
                _ => {
                    // The client is gone before the server is asked, so that the answer finds nobody.
                    let _ = from.shutdown(Shutdown::Both);
                    let _ = to.write_all(&bytes[..read]);
                    thread::sleep(Duration::from_millis(100));
                    break;
                }
            }
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// Takes connections for a server; `carry` is given where each of the two directions comes from and goes to.
fn way(server: SocketAddr, carry: impl Fn([TcpStream; 2], [TcpStream; 2]) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(server) else { continue };
            let (Ok(to_server), Ok(to_client)) = (server.try_clone(), client.try_clone()) else { continue };
            carry([client, to_server], [server, to_client]);
        }
    });
    address
}

/// A way to a server on which what follows the first `mark` in a piece of an answer comes `late` after what stands before it.
pub fn late_behind(server: SocketAddr, mark: &'static str, late: Duration) -> SocketAddr {
    way(server, move |[client, to_server], [mut server, mut to_client]| {
        let none = AtomicU64::new(0);
        thread::spawn(move || pass(client, to_server, &none, &none));
        thread::spawn(move || {
            let mut bytes = [0; 65_536];
            while let Ok(read @ 1..) = server.read(&mut bytes) {
                let piece = &bytes[..read];
                let at = piece.windows(mark.len()).position(|part| part == mark.as_bytes());
                let (before, behind) = piece.split_at(at.unwrap_or(read));
                let sent = to_client.write_all(before);
                if at.is_some() {
                    thread::sleep(late);
                }
                if sent.and_then(|()| to_client.write_all(behind)).is_err() {
                    break;
                }
            }
            let _ = to_client.shutdown(Shutdown::Both);
        });
    })
}
