//! The ledger's file: one JSON record a line, appended by a thread of its own, read at start.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::SandboxError;
use super::ledger::{KEYS_MAX, Ledger};
use super::record::Record;

/// Records that wait for the thread.
const WAITING_MAX: usize = 1_024;
const LOCKED_WITHIN: Duration = Duration::from_secs(2);

struct Append {
    line: Vec<u8>,
    done: oneshot::Sender<io::Result<()>>,
}

/// Appends records.
#[derive(Clone)]
pub struct Writer(mpsc::Sender<Append>);

impl Writer {
    /// Appends a record; when this returns, the record survives the end of this process.
    ///
    /// # Errors
    /// Where it could not be written; then it is not there.
    pub async fn append(&self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let (done, outcome) = oneshot::channel();
        let gone = || io::Error::other("the ledger's thread has ended");
        self.0.send(Append { line, done }).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}

/// Reads the file into the ledger, and starts the thread that appends to it.
///
/// # Errors
/// [`SandboxError`] where the file cannot be used, or holds a line that is no record. A last line without its end was
/// never answered for, and is cut off.
pub fn open(path: &Path, ledger: &mut Ledger) -> Result<Writer, SandboxError> {
    let wrong = |e: io::Error| SandboxError::File(path.to_owned(), e);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(wrong)?;
    lock(&file).map_err(|e| wrong(io::Error::other(format!("another sandbox writes it: {e}"))))?;
    let whole = read(&file, path, ledger)?;
    file.set_len(whole).and_then(|()| file.seek(io::SeekFrom::Start(whole))).map_err(wrong)?;
    let (sender, waiting) = mpsc::channel(WAITING_MAX);
    let path = path.to_owned();
    std::thread::Builder::new()
        .name("ledger".into())
        .spawn(move || write(file, whole, waiting, &path))
        .map_err(|e| SandboxError::File(PathBuf::from("(its thread)"), e))?;
    Ok(Writer(sender))
}

/// The file for ourselves. One that was just killed may take a moment to let go of it.
fn lock(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + LOCKED_WITHIN;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            outcome => return outcome,
        }
    }
}

/// The length of the whole lines, in bytes.
fn read(file: &File, path: &Path, ledger: &mut Ledger) -> Result<u64, SandboxError> {
    let mut reader = BufReader::new(file);
    let (mut line, mut whole) = (Vec::new(), 0);
    for number in 1.. {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(|e| SandboxError::File(path.to_owned(), e))?;
        if line.last() != Some(&b'\n') {
            break;
        }
        let wrong = |why: String| SandboxError::Line { path: path.to_owned(), line: number, why };
        let record: Record = serde_json::from_slice(&line).map_err(|e| wrong(format!("is not a record: {e}")))?;
        if number > KEYS_MAX {
            return Err(wrong(format!("is one more than the {KEYS_MAX} a ledger has room for")));
        }
        if !ledger.apply(Arc::new(record)) {
            return Err(wrong("repeats a key".to_owned()));
        }
        whole += length as u64;
    }
    Ok(whole)
}

fn write(mut file: File, mut whole: u64, mut waiting: mpsc::Receiver<Append>, path: &Path) {
    while let Some(Append { line, done }) = waiting.blocking_recv() {
        let written = file.write_all(&line);
        match &written {
            Ok(()) => whole += line.len() as u64,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a record cannot be written");
                // Half a line must not stand before the next one.
                if let Err(error) = file.set_len(whole).and_then(|()| file.seek(io::SeekFrom::Start(whole))) {
                    tracing::error!(path = %path.display(), %error, "the ledger's file cannot be mended");
                    return;
                }
            }
        }
        // Nobody waits where the server was told to end.
        let _ = done.send(written);
    }
}
