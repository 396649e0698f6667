//! The program inside the enclave, linked statically so that it runs on any image.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::run::{cargo, run};

/// Named, so that the flags below do not reach build scripts and macros.
const TARGET: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };

/// Builds the guest in a folder of its own, because its flags would rebuild everything else, and puts it where other programs of this
/// repository look for it.
pub(crate) fn build() -> anyhow::Result<()> {
    let folder = target_folder()?.join("guest");
    let mut build = cargo();
    build.args(["build", "--locked", "--profile", "guest", "--package", "strongroom-guest", "--target", TARGET]);
    build.arg("--target-dir").arg(&folder).env("RUSTFLAGS", "-C target-feature=+crt-static");
    run(&mut build)?;
    let built = folder.join(TARGET).join("guest/strongroom-guest");
    let wanted = folder.join("strongroom-guest");
    if same(&built, &wanted) {
        return Ok(());
    }
    // Renamed into place: a guest that is running keeps its file.
    let fresh = folder.join("strongroom-guest.new");
    std::fs::copy(&built, &fresh).context("the guest cannot be copied")?;
    std::fs::rename(&fresh, &wanted).context("the guest cannot be put into place")
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((std::fs::read(one), std::fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

/// The target folder that this program was built into: it is `debug/xtask` there.
fn target_folder() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    own.parent().and_then(Path::parent).map(Path::to_owned).context("this program has no target folder")
}
