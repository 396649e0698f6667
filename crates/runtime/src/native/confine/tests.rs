//! The filters, run by a small interpreter: what the kernel would answer to a call.

use super::*;

/// What the kernel shows a filter of one call.
struct Call {
    number: u32,
    arch: u32,
    arguments: [u64; 6],
}

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

fn call(number: i64, arguments: &[u64]) -> Call {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    Call { number: u32::try_from(number).unwrap(), arch: ARCH, arguments: all }
}

/// Runs a classic BPF program as far as filters of seccomp use it.
fn answer(program: &BpfProgram, call: &Call) -> u32 {
    let load = |offset: u32| match offset {
        0 => call.number,
        4 => call.arch,
        16.. => {
            let argument = call.arguments[(offset as usize - 16) / 8];
            let high = (offset - 16) % 8 == 4;
            u32::try_from(if high { argument >> 32 } else { argument & 0xffff_ffff }).unwrap()
        }
        _ => panic!("offset {offset}"),
    };
    let (mut accumulator, mut at) = (0_u32, 0_usize);
    loop {
        let one = &program[at];
        at += 1;
        let jump = |taken: bool| usize::from(if taken { one.jt } else { one.jf });
        match one.code {
            0x20 => accumulator = load(one.k),
            0x54 => accumulator &= one.k,
            0x05 => at += one.k as usize,
            0x15 => at += jump(accumulator == one.k),
            0x25 => at += jump(accumulator > one.k),
            0x35 => at += jump(accumulator >= one.k),
            0x06 => return one.k,
            code => panic!("instruction {code:#x}"),
        }
    }
}

/// The stricter of both filters, as the kernel takes it.
fn verdict(call: &Call) -> Result<(), i32> {
    let answers = [unknown_calls().unwrap(), forbidden_calls().unwrap()].map(|program| answer(&program, call));
    assert!(!answers.contains(&KILL_PROCESS));
    match answers.iter().find(|answer| **answer != ALLOW) {
        None => Ok(()),
        Some(answer) => {
            assert_eq!(answer & 0xffff_0000, ERRNO);
            Err(i32::try_from(answer & 0xffff).unwrap())
        }
    }
}

#[test]
fn each_forbidden_call_is_refused_whatever_its_arguments() {
    for number in FORBIDDEN {
        for arguments in [[0; 6], [u64::MAX; 6]] {
            assert_eq!(verdict(&call(*number, &arguments)), Err(libc::EPERM), "call {number}");
        }
    }
}

#[test]
fn clone_makes_threads_and_processes_but_no_namespaces() {
    let threads = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
    let flags = |flags: i32| u64::from(flags.unsigned_abs());
    assert_eq!(verdict(&call(libc::SYS_clone, &[flags(threads)])), Ok(()));
    assert_eq!(verdict(&call(libc::SYS_clone, &[flags(libc::SIGCHLD)])), Ok(()));
    for one in [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ] {
        assert_eq!(verdict(&call(libc::SYS_clone, &[flags(one | libc::SIGCHLD)])), Err(libc::EPERM), "{one:#x}");
    }
    // Its flags are behind a pointer; the C library falls back to `clone`.
    assert_eq!(verdict(&call(libc::SYS_clone3, &[])), Err(libc::ENOSYS));
}

#[test]
fn only_local_sockets_are_made() {
    let socket = |family: i32| verdict(&call(libc::SYS_socket, &[u64::from(family.unsigned_abs())]));
    assert_eq!(socket(libc::AF_UNIX), Ok(()));
    for family in [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG] {
        assert_eq!(socket(family), Err(libc::EPERM), "family {family}");
    }
    // The kernel looks at 32 bits of the family only.
    assert_eq!(verdict(&call(libc::SYS_socket, &[(1 << 32) | 2])), Err(libc::EPERM));
}

#[test]
fn the_personality_may_be_asked_for_and_not_changed() {
    let personality = |value: u64| verdict(&call(libc::SYS_personality, &[value]));
    assert_eq!(personality(0), Ok(()));
    assert_eq!(personality(0xffff_ffff), Ok(()));
    assert_eq!(personality(0x0004_0000), Err(libc::EPERM));
}

#[test]
fn what_apps_live_from_is_allowed() {
    for number in [libc::SYS_read, libc::SYS_execve, libc::SYS_mmap, libc::SYS_futex, libc::SYS_openat, libc::SYS_kill]
    {
        assert_eq!(verdict(&call(number, &[7; 6])), Ok(()), "call {number}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn numbers_of_other_architectures_do_not_pass() {
    // x32: the same calls from 0x4000_0000 on.
    for number in [libc::SYS_ptrace, libc::SYS_read] {
        assert_eq!(verdict(&call(number | 0x4000_0000, &[])), Err(libc::ENOSYS));
    }
    let i386 = Call { arch: 0x4000_0003, ..call(libc::SYS_read, &[]) };
    assert_eq!(answer(&forbidden_calls().unwrap(), &i386), KILL_PROCESS);
}

#[test]
fn limits_are_never_raised() {
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let limits = ProcessLimits {
        open_files: u64::MAX,
        file_bytes: u64::MAX,
        processes: u64::MAX,
        address_space_bytes: None,
        cpu_seconds: None,
    };
    limit(&limits).unwrap();
    assert_eq!(getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX), hard);
}
