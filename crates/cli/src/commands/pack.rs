//! `strongroom app pack`: an image of a script or a program of this machine, without Docker. Its libraries, and for scripts the shell
//! and the usual small tools, are this machine's, so that other machines make an image with another digest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use strongroom_oci::ImageBuilder;
use strongroom_protocol::B256;

use crate::commands::Session;
use crate::error::CliError;
use crate::output::Answer;

/// Folder of the app in its image.
const FOLDER: &str = "/app";
/// First bytes of a program.
const ELF: [u8; 4] = [0x7f, b'E', b'L', b'F'];
/// Interpreters that need nothing but their libraries.
const SHELLS: [&str; 4] = ["sh", "dash", "ash", "bash"];
/// Name of the image in its layout.
const NAME: &str = "latest";

/// What is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Program,
    /// A script of this shell.
    Script(&'static str),
}

/// Packs the program with further files into an OCI layout folder.
pub(crate) fn pack(
    session: &Session<'_>,
    program: &Path,
    with: &[PathBuf],
    output: Option<PathBuf>,
) -> Result<Answer, CliError> {
    let path = session.here(program);
    let failed = |source| CliError::File { doing: "pack", path: path.clone(), source };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let output = output.unwrap_or_else(|| format!("{stem}.oci").into());
    let folder = session.here(&output);
    if folder.symlink_metadata().is_ok() {
        return Err(CliError::FileExists { path: folder });
    }
    if path.is_dir() {
        return Err(CliError::NotPackable { path });
    }
    let bytes = fs::read(&path).map_err(failed)?;
    let kind = kind_of(&bytes).ok_or_else(|| CliError::NotPackable { path: path.clone() })?;
    let mut image = ImageBuilder::default();
    let inside = format!("{FOLDER}/{name}");
    let digest = session.screen.while_doing("Packing", || {
        match kind {
            Kind::Program => {
                image.host_libraries(&path).map_err(failed)?;
                image.entrypoint([inside.clone()]);
            }
            Kind::Script(shell) => {
                let shell = format!("/bin/{shell}");
                image.host_shell().and_then(|image| image.host_program(Path::new(&shell), &shell)).map_err(failed)?;
                image.entrypoint([shell, inside.clone()]);
            }
        }
        image.file(&inside, bytes, true).map_err(failed)?;
        for extra in with {
            let path = session.here(extra);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            add(&mut image, &path, &format!("{FOLDER}/{name}")).map_err(|source| CliError::File {
                doing: "pack",
                path: path.clone(),
                source,
            })?;
        }
        image.write_layout(&folder, NAME).map_err(CliError::Image)
    })?;
    let checksum = B256::from(*digest.as_bytes());
    let (shown, checksum) = (output.display().to_string(), checksum.to_string());
    let text = format!("image     {shown}\nchecksum  {checksum}");
    Ok(Answer::done(text, json!({ "image": shown, "checksum": checksum })))
}

/// Adds a file, or a folder with what is in it.
fn add(image: &mut ImageBuilder, from: &Path, to: &str) -> io::Result<()> {
    if !from.is_dir() {
        let is_executable = is_executable(&fs::metadata(from)?);
        image.file(to, fs::read(from)?, is_executable)?;
        return Ok(());
    }
    image.folder(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        add(image, &entry.path(), &format!("{to}/{}", entry.file_name().to_string_lossy()))?;
    }
    Ok(())
}

#[cfg(unix)]
fn is_executable(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

/// What the bytes of a file are; `None` for what needs more than libraries.
fn kind_of(bytes: &[u8]) -> Option<Kind> {
    if bytes.starts_with(&ELF) {
        return Some(Kind::Program);
    }
    let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let interpreter = match words.next()? {
        "env" => words.next()?,
        interpreter => interpreter,
    };
    SHELLS.into_iter().find(|shell| *shell == interpreter).map(Kind::Script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_scripts_of_shells_can_be_packed() {
        for (bytes, kind) in [
            (&b"\x7fELF\x02"[..], Some(Kind::Program)),
            (b"#!/bin/sh\nexit", Some(Kind::Script("sh"))),
            (b"#! /usr/bin/bash -e\n", Some(Kind::Script("bash"))),
            (b"#!/usr/bin/env bash\n", Some(Kind::Script("bash"))),
            (b"#!/usr/bin/env python3\n", None),
            (b"#!/usr/bin/node", None),
            (b"#!\n", None),
            (b"echo", None),
            (b"", None),
        ] {
            assert_eq!(kind_of(bytes), kind, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
