//! What this process asks of the operating system: how many files it may have open (every connection is one; so are the
//! database's files and the calls outside), and pages of memory of the common size.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system lets this process, and tells what it is then. Where it cannot be raised it stays.
pub fn raise_open_files() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Refused, for instance by a sandbox: what there is has to do.
        let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    // No limit at all is told as none.
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// Of `wanted` connections, so many as leave everything else the files it needs: a process without any left could not even
/// answer those it has.
pub fn connections(wanted: usize, files: usize) -> usize {
    wanted.min(files.saturating_sub((files / 4).min(512))).max(1)
}

/// Does without huge pages from here on. A connection's buffers are mostly never written: with huge pages all of them are
/// resident, and a server with thousands of connections needs twice the memory.
pub fn use_small_pages() {
    #[cfg(target_os = "linux")]
    // Refused by an old kernel or a sandbox: it costs memory, nothing else.
    let _refused = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(connections(20_000, 1_048_576), 20_000);
        assert_eq!(connections(20_000, 20_000), 19_488);
        assert_eq!(connections(20_000, 1_024), 768);
        assert_eq!(connections(10, 1_024), 10);
        assert_eq!(connections(10, 0), 1);
    }

    #[test]
    fn the_limit_is_raised_to_what_the_system_allows() {
        let files = raise_open_files();
        let maximum = getrlimit(Resource::Nofile).maximum;
        assert_eq!(maximum.map_or(usize::MAX, |files| files as usize), files);
    }
}
