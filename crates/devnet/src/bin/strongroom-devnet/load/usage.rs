//! What a process has used: processor time and memory as the kernel counts them. And how fast the disk is.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

/// How often the disk is asked.
const SYNCS: usize = 200;

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor time in user and kernel mode, all threads.
    pub(crate) cpu: Duration,
    /// Resident memory now, in KiB.
    pub(crate) resident_kib: u64,
    /// The most there was, in KiB.
    pub(crate) peak_resident_kib: u64,
}

impl Usage {
    /// Of the process with this id.
    pub(crate) fn of(process: u32) -> anyhow::Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{process}/{file}");
            fs::read_to_string(&path).with_context(|| format!("reading {path}"))
        };
        let stat = read("stat")?;
        let status = read("status")?;
        let ticks = cpu_ticks(&stat).context("/proc/PID/stat has no processor time")?;
        let kib = |name| status_kib(&status, name).with_context(|| format!("/proc/PID/status has no {name}"));
        let cpu = Duration::from_secs(1) * u32::try_from(ticks).context("the process is very old")?
            / u32::try_from(rustix::param::clock_ticks_per_second()).context("the clock ticks very fast")?;
        Ok(Self { cpu, resident_kib: kib("VmRSS")?, peak_resident_kib: kib("VmHWM")? })
    }

    /// Of this process.
    pub(crate) fn own() -> anyhow::Result<Self> {
        Self::of(std::process::id())
    }
}

/// Fields 14 and 15 of proc(5). Field 2, the name, may hold spaces and stands in parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn status_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The median time in which the disk below `folder` makes 4 KiB durable, rewriting the same place.
pub(crate) fn median_sync(folder: &Path) -> anyhow::Result<Duration> {
    let path = folder.join("sync-probe");
    let mut file = File::create(&path).context("making a file in the folder of the service")?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b ( c) S 1 7 7 0 -1 4194304 2 0 0 0 150 50 0 0 20 0 3 0 9 8 7";
        assert_eq!(cpu_ticks(stat), Some(200));
    }

    #[test]
    fn memory_is_found_by_its_name() {
        assert_eq!(status_kib("VmHWM:\t    7 kB\nVmRSS:\t 5432 kB\n", "VmRSS"), Some(5432));
        assert_eq!(status_kib("VmRSSX:\t 5432 kB\n", "VmRSS"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let usage = Usage::own().unwrap();
        assert!(usage.resident_kib > 0 && usage.peak_resident_kib >= usage.resident_kib);
    }
}
