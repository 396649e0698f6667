//! What is written into the files of control groups: of version 2 in a folder that stands in for one, of whatever this machine has
//! for real.

use super::*;

fn limits() -> Limits {
    Limits { memory_bytes: 1 << 30, cpu_milli: 1500, processes: 99, ..Limits::default() }
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn a_group_of_version_2_gets_all_limits() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("pool.service");
    fs::create_dir(&own).unwrap();
    fs::write(folder.path().join("cgroup.controllers"), "cpu memory pids").unwrap();
    let hierarchy = Hierarchy::find(folder.path(), "0::/pool.service\n");
    assert_eq!(text(&own.join("cgroup.subtree_control")), "+memory +pids +cpu");
    // A plain folder keeps what was written; the kernel would show the names.
    assert_eq!(hierarchy.flavour(), "version 2");
    fs::write(own.join("cgroup.subtree_control"), "memory pids cpu").unwrap();
    let hierarchy = Hierarchy { missing: Vec::new(), ..hierarchy };
    let mut group = hierarchy.group("a", &limits()).unwrap();
    let made = own.join("strongroom-a");
    for (file, value) in [
        ("memory.max", "1073741824"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("pids.max", "100"),
        ("cpu.max", "150000 100000"),
    ] {
        assert_eq!(text(&made.join(file)), value, "{file}");
    }
    group.enter(17).unwrap();
    assert_eq!(text(&made.join("cgroup.procs")), "17");
    group.kill();
    assert_eq!(text(&made.join("cgroup.kill")), "1");
    fs::write(made.join("memory.events"), "low 0\noom 1\noom_kill 1\noom_group_kill 1\n").unwrap();
    fs::write(made.join("memory.peak"), "12345\n").unwrap();
    fs::write(made.join("cpu.stat"), "usage_usec 2500\nuser_usec 2000\n").unwrap();
    assert!(group.ran_out_of_memory());
    assert_eq!(group.peak_memory_bytes(), Some(12345));
    assert_eq!(group.cpu_time(), Some(Duration::from_micros(2500)));
    assert!(!group.remove_empty(), "files are in the way here, as processes would be");
}

#[test]
fn controllers_that_are_not_enabled_are_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cgroup.controllers"), "cpu").unwrap();
    let hierarchy = Hierarchy::find(folder.path(), "0::/\n");
    let missing: Vec<_> = hierarchy.missing.iter().map(|(controller, _)| *controller).collect();
    assert_eq!(missing, Controller::LIMITING, "the stand-in enables nothing");
}

#[test]
fn a_machine_without_control_groups_can_limit_nothing_by_them() {
    let folder = tempfile::tempdir().unwrap();
    let hierarchy = Hierarchy::find(folder.path(), "");
    assert_eq!(hierarchy.flavour(), "none");
    assert!(Controller::ALL.iter().all(|controller| !hierarchy.limits(*controller)));
    let group = hierarchy.group("a", &limits()).unwrap();
    assert!(group.enter(17).is_ok() && !group.ran_out_of_memory() && group.peak_memory_bytes().is_none());
}

#[test]
fn groups_of_this_machine_have_the_limits_that_were_asked_for() {
    let hierarchy = crate::native::Native::hierarchy(Path::new("/sys/fs/cgroup"));
    let name = format!("unit-test-{}", std::process::id());
    let mut group = hierarchy.group(&name, &limits()).unwrap();
    let expected: &[(Controller, &str, &str)] = &[
        (Controller::Memory, "memory.limit_in_bytes", "1073741824"),
        (Controller::Processes, "pids.max", "100"),
        (Controller::Cpu, "cpu.cfs_quota_us", "150000"),
        (Controller::Cpu, "cpu.cfs_period_us", "100000"),
    ];
    for (controller, file, value) in expected {
        match group.v1_folder(*controller) {
            Some(folder) => assert_eq!(text(&folder.join(file)).trim(), *value, "{file}"),
            None => eprintln!("{}: not by version 1 here", controller.name()),
        }
    }
    // A second one of that name takes the place of what a killed supervisor left.
    drop(hierarchy.group(&name, &limits()).unwrap());
    assert!(group.remove_empty());
}
