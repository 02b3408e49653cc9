//! Memory: giving it back, and how much of it there is.

use std::fs;
use std::path::{Path, PathBuf};

/// Gives free memory of the allocator back to the system. Takes milliseconds after a large drain;
/// call it where nobody waits.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes a number, may be called from any thread and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Bytes that this process may use: the smaller of the machine's memory and the limits of its
/// control group and the groups above.
pub fn limit_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_total(&text));
    let group = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| group_limit(&text));
    machine.unwrap_or(1 << 30).min(group.unwrap_or(u64::MAX))
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The lowest limit on the path of each hierarchy that `/proc/self/cgroup` names.
fn group_limit(cgroup: &str) -> Option<u64> {
    cgroup
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let memory = controllers.split(',').any(|name| name == "memory");
            match (controllers.is_empty(), memory) {
                (true, _) => lowest(Path::new("/sys/fs/cgroup"), path, "memory.max"),
                (_, true) => {
                    lowest(Path::new("/sys/fs/cgroup/memory"), path, "memory.limit_in_bytes")
                }
                _ => None,
            }
        })
        .min()
}

fn lowest(root: &Path, group: &str, file: &str) -> Option<u64> {
    let relative = PathBuf::from(group.trim_start_matches('/'));
    let groups = relative.ancestors().map(|group| root.join(group).join(file));
    groups.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_memory() {
        assert_eq!(mem_total("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert!(limit_bytes() > 1 << 20);
    }

    #[test]
    fn the_lowest_limit_on_the_way_counts() {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir_all(dir.path().join("a/b")).expect("groups");
        std::fs::write(dir.path().join("a/memory.max"), "4096\n").expect("limit");
        std::fs::write(dir.path().join("a/b/memory.max"), "max\n").expect("limit");
        assert_eq!(lowest(dir.path(), "/a/b", "memory.max"), Some(4096));
        assert_eq!(lowest(dir.path(), "/", "memory.max"), None);
    }
}
