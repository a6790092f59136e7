//! Samples of what kernels show, and a tree of files that changes.

use super::*;
use std::fs;
use std::path::PathBuf;

/// The directory that the two files of procfs lead to.
fn dir(cgroup: &str, mountinfo: &str) -> Option<String> {
    let tree = Tree::new(cgroup, mountinfo);
    let root = tree.root();
    let found = Cgroup::find(root.as_bytes())?;
    let dir = String::from_utf8(found.dir.as_bytes().to_vec()).expect("UTF-8");
    Some(dir.strip_prefix(&root).expect("below the root").to_owned())
}

/// A root directory with a procfs, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(cgroup: &str, mountinfo: &str) -> Tree {
        use crate::atomic::{AtomicU32, Ordering};
        static N: AtomicU32 = AtomicU32::new(0);
        // ORDERING: a counter
        let n = N.fetch_add(1, Ordering::Relaxed);
        let tree =
            Tree(std::env::temp_dir().join(format!("rt0-cgroup-{}-{n}", std::process::id())));
        tree.write("proc/self/cgroup", cgroup);
        tree.write("proc/self/mountinfo", mountinfo);
        tree
    }

    fn root(&self) -> String {
        self.0.to_str().expect("UTF-8").to_owned()
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().expect("not the root")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const OTHERS: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
24 22 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
23 22 0:21 / /sys rw,nosuid,nodev,noexec,relatime shared:2 - sysfs sysfs rw
";
const UNIFIED: &str = "28 23 0:25 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - \
                       cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";

#[test]
fn systemd_with_one_hierarchy() {
    let group = "0::/user.slice/user-1000.slice/session-3.scope\n";
    let expected = "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope";
    assert_eq!(dir(group, &format!("{OTHERS}{UNIFIED}")).as_deref(), Some(expected));
}

#[test]
fn docker_and_kubernetes() {
    // A namespace of its own: the container's group is the root of what it sees.
    let own =
        "1234 1233 0:25 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw\n";
    assert_eq!(dir("0::/\n", own).as_deref(), Some("/sys/fs/cgroup"));
    // v1 without one: the group's directory is what is mounted.
    let id = "/kubepods/burstable/pod3b2c/0123456789abcdef";
    let group = format!("12:memory:{id}\n4:cpu,cpuacct:{id}\n1:name=systemd:{id}\n0::/\n");
    let mounts = format!(
        "{OTHERS}700 699 0:30 {id} /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
         701 699 0:31 {id} /sys/fs/cgroup/cpu,cpuacct ro master:9 - cgroup cgroup rw,cpu,cpuacct\n"
    );
    assert_eq!(dir(&group, &mounts).as_deref(), Some("/sys/fs/cgroup/cpu,cpuacct"));
}

#[test]
fn a_v1_cpu_controller_goes_before_the_unified_hierarchy() {
    let cpu = "33 23 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";
    let set = "35 23 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n";
    let mounts = format!("{UNIFIED}{set}{cpu}");
    let group = "0::/a\n3:cpuset:/b\n1:cpu:/c\n";
    assert_eq!(dir(group, &mounts).as_deref(), Some("/sys/fs/cgroup/cpu/c"));
    // Without one the unified hierarchy has the controller.
    assert_eq!(dir("3:cpuset:/b\n0::/a\n", &mounts).as_deref(), Some("/sys/fs/cgroup/a"));
}

#[test]
fn mounts_of_parts_of_the_hierarchy() {
    let mount = |root: &str, point: &str| format!("9 8 0:25 {root} {point} rw - cgroup2 none rw\n");
    let mounts = [
        mount("/sand", "/not/a/parent"),
        mount("/sandbox/container/group", "/below"),
        mount("/sandbox", "/sys/fs/cgroup"),
        mount("/", "/second"),
    ]
    .concat();
    let found = dir("0::/sandbox/container\n", &mounts);
    assert_eq!(found.as_deref(), Some("/sys/fs/cgroup/container"));
}

#[test]
fn nested_namespaces() {
    let mount = |root: &str, point: &str| format!("9 8 0:25 {root} {point} rw - cgroup2 none rw\n");
    // The process was moved out of the namespace that it looks from.
    let group = "0::/../../init.scope\n";
    assert_eq!(dir(group, &mount("/", "/a")), None);
    let both = mount("/..", "/a") + &mount("/../..", "/b");
    assert_eq!(dir(group, &both).as_deref(), Some("/b/init.scope"));
    assert_eq!(dir("0::/../..\n", &both).as_deref(), Some("/b"));
}

#[test]
fn escaped_paths_and_long_lines() {
    let long = "x".repeat(3 * LINE_MAX);
    let mounts = format!(
        "31 22 0:50 / /merged rw - overlay overlay rw,lowerdir={long}\n\
         32 22 0:25 /a\\040b /mnt/tab\\011back\\134 rw - cgroup2 none rw\n"
    );
    assert_eq!(dir("0::/a b/c\n", &mounts).as_deref(), Some("/mnt/tab\tback\\/c"));
    for broken in ["/m\\1", "/m\\400", "/m\\08x", "/m\\"] {
        let mounts = format!("32 22 0:25 / {broken} rw - cgroup2 none rw\n");
        assert_eq!(dir("0::/\n", &mounts), None, "{broken}");
    }
    let too_long = format!("0::/{}\n", "y".repeat(PATH_MAX));
    assert_eq!(dir(&too_long, UNIFIED), None);
}

#[test]
fn broken_files_name_no_group() {
    for group in ["", "0::", "0::relative\n", "nonsense\n", "0:/\n", "1:cpu\n", "1:cpuset:/\n"] {
        assert_eq!(dir(group, UNIFIED), None, "{group:?}");
    }
    for mounts in [
        "",
        "\n",
        "28 23 0:25 /\n",
        "28 23 0:25 / /m rw - cgroup2\n",
        "28 23 0:25 / /m rw cgroup2 none rw\n",
        "28 23 0:25 relative /m rw - cgroup2 none rw\n",
    ] {
        assert_eq!(dir("0::/\n", mounts), None, "{mounts:?}");
    }
    assert!(Cgroup::find(b"/nowhere/at/all").is_none());
}

#[test]
fn limits() {
    let q = |quota_us, period_us| Ok(Some(Quota { quota_us, period_us }));
    for (text, want) in [
        ("max 100000\n", Ok(None)),
        ("150000 100000\n", q(150_000, 100_000)),
        ("1000 1000000\n", q(1000, 1_000_000)),
        ("17592186044415 1\n", q(17_592_186_044_415, 1)),
        ("100000 0\n", Err(())),
        ("100000\n", Err(())),
        ("100000 100000", Err(())),
        ("-1 100000\n", Err(())),
        ("1e5 100000\n", Err(())),
        (" 100000\n", Err(())),
        ("99999999999999999999 1\n", Err(())),
        ("", Err(())),
    ] {
        assert_eq!(parse_cpu_max(text.as_bytes()), want, "{text:?}");
    }
    for (text, want) in [
        ("-1\n", Ok(None)),
        ("50000\n", Ok(Some(50_000))),
        ("50000", Err(())),
        ("\n", Err(())),
        ("x\n", Err(())),
        ("-\n", Err(())),
    ] {
        assert_eq!(parse_number(text.as_bytes()), want, "{text:?}");
    }
    assert_eq!(Quota { quota_us: 150_000, period_us: 100_000 }.cpus(), 2);
    assert_eq!(Quota { quota_us: 300_000, period_us: 100_000 }.cpus(), 3);
    assert_eq!(Quota { quota_us: 1, period_us: 100_000 }.cpus(), 1);
}

#[test]
fn a_limit_that_changes_is_read_again() {
    let tree = Tree::new("0::/pod\n", UNIFIED);
    let found = Cgroup::find(tree.root().as_bytes()).expect("a group");
    assert_eq!(found.quota(), Err(()), "no file yet");
    for (text, cpus) in [("400000 100000\n", Some(4)), ("max 100000\n", None), ("1 2\n", Some(1))] {
        tree.write("sys/fs/cgroup/pod/cpu.max", text);
        assert_eq!(found.quota().map(|q| q.map(Quota::cpus)), Ok(cpus), "{text:?}");
    }
    let cpu = "33 23 0:29 / /cpu rw,relatime - cgroup cgroup rw,cpu\n";
    let tree = Tree::new("1:cpu:/pod\n", cpu);
    tree.write("cpu/pod/cpu.cfs_period_us", "100000\n");
    let found = Cgroup::find(tree.root().as_bytes()).expect("a group");
    for (text, cpus) in [("-1\n", None), ("250000\n", Some(3))] {
        tree.write("cpu/pod/cpu.cfs_quota_us", text);
        assert_eq!(found.quota().map(|q| q.map(Quota::cpus)), Ok(cpus), "{text:?}");
    }
}
