//! Programs of this machine as parts of an image: a shell, small tools and the libraries they need. For tests and the local
//! network, which so have apps without any registry; such an image has another digest on every machine.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ImageBuilder;

/// What scripts of tests use; those that the machine lacks are left out.
const TOOLS: &[&str] = &[
    "awk",
    "base64",
    "basename",
    "cat",
    "chmod",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "dirname",
    "du",
    "env",
    "expr",
    "false",
    "find",
    "grep",
    "head",
    "id",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "nproc",
    "od",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "tail",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "uname",
    "uniq",
    "wc",
    "xargs",
    "yes",
];
const TOOL_FOLDERS: [&str; 2] = ["/usr/bin", "/bin"];

impl ImageBuilder {
    /// Adds the machine's `/bin/sh`, the usual small tools and `/etc/passwd` with `root` and `nobody`.
    pub fn host_shell(&mut self) -> io::Result<&mut Self> {
        self.host_program(Path::new("/bin/sh"), "/bin/sh")?;
        for tool in TOOLS {
            let found = TOOL_FOLDERS.iter().map(|folder| Path::new(folder).join(tool)).find(|path| path.is_file());
            if let Some(path) = found {
                self.host_program(&path, &format!("/bin/{tool}"))?;
            }
        }
        self.link("/usr/bin", "../bin")?;
        self.file("/etc/passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", false)?;
        self.file("/etc/group", "root:x:0:\nnogroup:x:65534:\n", false)
    }

    /// Adds a program of this machine as `path`, with the libraries it needs.
    pub fn host_program(&mut self, program: &Path, path: &str) -> io::Result<&mut Self> {
        self.host_libraries(program)?;
        self.file(path, fs::read(program)?, true)
    }

    /// Adds the libraries that a program of this machine needs, but not the program: for one that is bound into the sandbox.
    pub fn host_libraries(&mut self, program: &Path) -> io::Result<&mut Self> {
        for library in libraries(program)? {
            let bytes = fs::read(&library)?;
            self.file(&library.to_string_lossy(), bytes, true)?;
        }
        Ok(self)
    }
}

/// The libraries that the dynamic loader would load for a program, and the loader itself; none for a static program or a script.
/// The program is not run, but its loader is: only for programs that are trusted.
fn libraries(program: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let listed = Command::new(program)
        .env_clear()
        .env("LD_TRACE_LOADED_OBJECTS", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    Ok(parse_list(&String::from_utf8_lossy(&listed.stdout)))
}

/// Lines are `name => path (address)` or `path (address)`.
fn parse_list(text: &str) -> BTreeSet<PathBuf> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim().rsplit_once(" (0x")?.0;
            let path = line.rsplit_once(" => ").map_or(line, |(_, path)| path);
            path.starts_with('/').then(|| PathBuf::from(path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_list_is_read() {
        let text = "\tlinux-vdso.so.1 (0x00007f16)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f16)\n\t/lib64/ld.so (0x00007f16)\n";
        assert_eq!(parse_list(text), ["/lib/x/libc.so.6", "/lib64/ld.so"].map(PathBuf::from).into());
        assert!(parse_list("\tstatically linked\n").is_empty());
    }
}
