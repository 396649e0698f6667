//! Finds the other programs of this repository: cargo and packages put all of them into one folder.

use std::io;
use std::path::PathBuf;

/// Why a program was not found.
#[derive(Debug, thiserror::Error)]
pub enum MissingProgram {
    /// There is no such file.
    #[error("there is no program {}; build it with `cargo build --workspace --bins`, or give its path", path.display())]
    NotThere {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The static guest was not built.
    #[error("the static guest program is not built; run `cargo xtask guest`")]
    NoGuest,
    /// The system does not tell where this program is.
    #[error("the folder of this program is not known; give the path of the other program")]
    Unknown(#[source] io::Error),
}

/// The program called `name` in the folder of the running one.
pub fn beside_this_program(name: &str) -> Result<PathBuf, MissingProgram> {
    let path = std::env::current_exe().map_err(MissingProgram::Unknown)?.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(MissingProgram::NotThere { path }) }
}

/// The static guest program that `cargo xtask guest` builds: `guest/strongroom-guest` in the target folder.
pub fn static_guest() -> Result<PathBuf, MissingProgram> {
    let own = std::env::current_exe().map_err(MissingProgram::Unknown)?;
    let candidates = own.ancestors().skip(1).map(|folder| folder.join("guest/strongroom-guest"));
    candidates.into_iter().find(|path| path.is_file()).ok_or(MissingProgram::NoGuest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_built_is_named_with_what_to_do() {
        let error = beside_this_program("strongroom-nothing").unwrap_err().to_string();
        assert!(error.contains("strongroom-nothing; build it with"), "{error}");
    }
}
