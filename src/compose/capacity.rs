//! Computes how many connections a server takes, and how many bytes it holds for their calls, from the memory that the
//! process may have.
//!
//! It replaces the crate `sysinfo`, which also reads the limits of cgroups, but adds code for processes, disks and
//! networks. This file reads three files and makes one system call.

use std::{fs, path::Path};

use rustix::process::{Resource, getrlimit};

use crate::server::excess;

const MIB: u64 = 1 << 20;
/// The memory of a server without connections for calls: the program, the counters of failures and first openings,
/// 8,192 derived keys, lines of the log and spans that nobody takes, the flooded admin port. With all of these full a
/// process took 58 MiB, and the rest is room for the allocator. `docs/operations.md` has the sum.
const FIXED: u64 = 72 * MIB;
/// The most memory of a connection beside the bytes that are held for its calls: 37 KiB when idle, and an unfinished
/// frame, block of headers and handshake.
const CONNECTION: u64 = 96 * 1024;
/// The default number of connections if memory allows it: more than a mesh opens.
const MOST_CONNECTIONS: u64 = 10_000;
/// The smallest default number of connections, even if memory allows fewer: enough for a few callers and probes.
const FEWEST_CONNECTIONS: u64 = 64;
/// The lowest and highest limit on the bytes that are held for calls. Even the lowest one holds some requests of the
/// largest size.
const HELD: [u64; 2] = [4 * MIB, 128 * MIB];

/// How much a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    /// Connections, if the settings name no number.
    pub(super) connections: u64,
    /// Bytes of calls that may be held: requests that arrive, and answers that peers have not taken.
    pub(super) held: u64,
}

impl Capacity {
    /// For a process that may have so much memory; `None` if there is no limit.
    pub(super) fn of(memory: Option<u64>) -> Self {
        let [least, most] = HELD;
        let room = memory.map_or(u64::MAX, |memory| memory.saturating_sub(FIXED));
        // Buffers are up to twice as large as their content.
        let held = (room / 8).clamp(least, most);
        let all = room.saturating_sub(2 * held) / CONNECTION;
        // An eighth more connections, or 256, may still be closing.
        let connections = (all * 8 / 9).min(all.saturating_sub(256)).clamp(FEWEST_CONNECTIONS, MOST_CONNECTIONS);
        Self { connections, held }
    }
}

/// The most memory of a server in bytes, with this number of connections and these bytes held for calls. Its keyring
/// and its pages of metrics come on top.
pub(super) fn total(connections: usize, held: usize) -> u64 {
    FIXED + 2 * held as u64 + (connections + excess(connections)) as u64 * CONNECTION
}

/// The memory that the process may have: the lowest limit of its cgroups (of either version) and of `RLIMIT_AS`.
pub(super) fn memory_limit() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = cgroup_limits(Path::new("/sys/fs/cgroup"), &own);
    [groups, getrlimit(Resource::As).current].into_iter().flatten().min()
}

/// The lowest limit of the groups that `own` (`/proc/self/cgroup`) names below `root`, and of the groups around them.
fn cgroup_limits(root: &Path, own: &str) -> Option<u64> {
    let limits = own.lines().flat_map(|line| {
        // `0::/path` of version 2, `4:memory:/path` of version 1.
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            named if named.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        // Inside a container, the path may be the path on the host, and the container's own group is the root.
        let group = root.join(path.trim_start_matches('/'));
        let around = group.ancestors().filter(|folder| folder.starts_with(&root)).map(|folder| folder.join(file));
        around.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).collect()
    });
    // Version 1 writes a number near 2^63 for no limit.
    limits.filter(|limit| *limit < 1 << 60).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_stays_within_the_memory_that_it_may_have() {
        for memory in [128, 192, 256, 512, 1024, 4096].map(|mib| mib * MIB) {
            let capacity = Capacity::of(Some(memory));
            let [connections, held] =
                [capacity.connections, capacity.held].map(|count| usize::try_from(count).unwrap());
            assert!(total(connections, held) <= memory, "{memory}: {capacity:?}");
        }
        let most = Capacity { connections: 10_000, held: 128 * MIB };
        assert_eq!((Capacity::of(None), Capacity::of(Some(4096 * MIB))), (most, most));
        assert_eq!(Capacity::of(Some(32 * MIB)).connections, FEWEST_CONNECTIONS);
        assert_eq!(Capacity::of(Some(128 * MIB)).connections, 192);
    }

    #[test]
    fn the_lowest_limit_of_a_cgroup_and_the_groups_around_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "200000000\n");
        write("memory/c/memory.limit_in_bytes", "100000000\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        let limit = |own| cgroup_limits(folder.path(), own);
        assert_eq!(limit("0::/a/b\n"), Some(200_000_000));
        assert_eq!(limit("5:cpu:/c\n4:hugetlb,memory:/c\n"), Some(100_000_000));
        assert_eq!(limit("4:memory:/elsewhere\n"), None);
        assert_eq!(limit(""), None);
    }
}
