//! Fetches the few npm packages that the local network is made of, by the `npm` command and its settings (registry, proxy, credentials),
//! and keeps them in a cache folder. Every byte that is used was compared with a digest that stands here in the source: neither
//! the registry nor the cache folder has to be trusted.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha512};

/// A published package, with the digest of its tarball.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// Name in the registry, with its scope.
    pub name: &'static str,
    /// Exact version.
    pub version: &'static str,
    /// SHA-512 of the tarball, in hexadecimal.
    pub sha512: &'static str,
}

/// The PoCo contracts as published by iExec (Apache-2.0).
pub const POCO: Package = Package {
    name: "@iexec/poco",
    version: "6.1.0",
    sha512: "04f6c3b5fd9f810ba8b6beab7fbe0009577094aaa412b119f2a2db4d633ed822018f6117dfee8a0465ac168b9da0e1a3813eef509de378d5fc496bc7cd21e0e8",
};

/// The `anvil` program for 64-bit x86 Linux (MIT or Apache-2.0).
const ANVIL_LINUX_AMD64: (Package, &str) = (
    Package {
        name: "@foundry-rs/anvil-linux-amd64",
        version: "1.7.1",
        sha512: "f979928726c46b17c2aebd0e514670604cb63a7619b79a471fd4f306d2efdfe56b2b43bf00db8d49511a86a3612879605fb191279f77f37a1f361c644562184e",
    },
    // SHA-512 of package/bin/anvil in that tarball
    "943b59655c16dc179b01136c7b9a06594a6e3dedbe04cbdd237c9eda2a9308b956ce4a62601ea6e6212ccef8a2270751cdd25ea7cf63fe9c90b8d8861c4d4c82",
);

/// Why a package is not there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no npm.
    #[error("npm was not found as `{}`; install Node.js 20 or later, which brings npm", npm.display())]
    NpmMissing {
        /// What was tried.
        npm: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// npm ran and failed.
    #[error(
        "npm could not do `{what}`; check that the npm registry can be reached from here (`npm ping`). npm said:\n{said}"
    )]
    NpmFailed {
        /// What npm had to do.
        what: String,
        /// What npm printed.
        said: String,
    },
    /// Somebody serves another file under this name and version.
    #[error(
        "{what} does not have the digest that this program expects; it is refused. Expected SHA-512 {expected}, found {found}"
    )]
    WrongDigest {
        /// The file.
        what: String,
        /// The digest in the source of this program.
        expected: String,
        /// The digest of what arrived.
        found: String,
    },
    /// A file that must be in the tarball is not.
    #[error("{package} has no file {path}")]
    NotInPackage {
        /// The package.
        package: &'static str,
        /// The path below `package/`.
        path: String,
    },
    /// No binary of anvil is known for this kind of machine.
    #[error(
        "no anvil package is known for {os} on {arch}; install anvil 1.7.1 yourself and give its path in the option `anvil`"
    )]
    UnknownPlatform {
        /// Operating system.
        os: &'static str,
        /// Processor.
        arch: &'static str,
    },
    /// The account has no home folder, so there is no cache folder either.
    #[error("no cache folder is known for this user; give one in the option `cache`")]
    NoCacheFolder,
    /// The cache folder could not be read or written.
    #[error("{doing} {} failed", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The folder where packages are kept between runs, and the npm that fills it. Any number of processes may share a
/// folder: who comes first fetches, the others wait.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    npm: PathBuf,
}

impl Cache {
    /// A cache in `folder`, which is made when needed, filled by the `npm` of the search path.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), npm: PathBuf::from("npm") }
    }

    /// The cache of this user: `strongroom/devnet` in the cache folder of the system (on Linux `$XDG_CACHE_HOME`, or
    /// `~/.cache`).
    pub fn of_user() -> Result<Self, FetchError> {
        let folder = dirs::cache_dir().ok_or(FetchError::NoCacheFolder)?;
        Ok(Self::new(folder.join("strongroom").join("devnet")))
    }

    /// Uses another npm command.
    #[must_use]
    pub fn with_npm(self, npm: impl Into<PathBuf>) -> Self {
        Self { npm: npm.into(), ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The tarball of `package`, compressed, with the right digest: from the cache, or else from the registry. A
    /// file in the cache that was damaged is fetched again.
    pub fn tarball(&self, package: &Package) -> Result<Vec<u8>, FetchError> {
        let path = self.folder.join(format!("{}.tgz", package.file_stem()));
        if let Some(bytes) = read_if_matching(&path, package.sha512)? {
            return Ok(bytes);
        }
        let _lock = self.lock(&package.file_stem())?;
        if let Some(bytes) = read_if_matching(&path, package.sha512)? {
            return Ok(bytes); // another process was faster
        }
        let bytes = self.pack(package)?;
        write_whole(&path, &bytes, 0o644)?;
        Ok(bytes)
    }

    /// The path of an `anvil` program for this machine.
    pub fn anvil(&self) -> Result<PathBuf, FetchError> {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        let (package, sha512) = match (os, arch) {
            ("linux", "x86_64") => ANVIL_LINUX_AMD64,
            _ => return Err(FetchError::UnknownPlatform { os, arch }),
        };
        let path = self.folder.join(package.file_stem());
        if read_if_matching(&path, sha512)?.is_some() {
            return Ok(path);
        }
        let _lock = self.lock(&package.file_stem())?;
        if read_if_matching(&path, sha512)?.is_some() {
            return Ok(path);
        }
        let program = file_in(&package, &self.pack(&package)?, "bin/anvil")?;
        check(&format!("bin/anvil of {}", package.name), &program, sha512)?;
        write_whole(&path, &program, 0o755)?;
        Ok(path)
    }

    /// Runs npm with `arguments` in `folder` and gives what it printed on standard output.
    pub fn run_npm(&self, arguments: &[&str], folder: &Path) -> Result<String, FetchError> {
        let output = Command::new(&self.npm)
            .args(arguments)
            .current_dir(folder)
            .output()
            .map_err(|source| FetchError::NpmMissing { npm: self.npm.clone(), source })?;
        if !output.status.success() {
            return Err(FetchError::NpmFailed {
                what: format!("npm {}", arguments.join(" ")),
                said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Holds the lock called `name` until the returned file is dropped; other processes and threads wait meanwhile.
    pub fn lock(&self, name: &str) -> Result<File, FetchError> {
        make_folder(&self.folder)?;
        let path = self.folder.join(format!("{name}.lock"));
        let file = File::create(&path).map_err(io_error("creating", &path))?;
        file.lock().map_err(io_error("locking", &path))?;
        Ok(file)
    }

    fn pack(&self, package: &Package) -> Result<Vec<u8>, FetchError> {
        let folder = self.folder.join(format!("{}.partial", package.file_stem()));
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io_error("removing", &folder))?;
        }
        make_folder(&folder)?;
        let wanted = format!("{}@{}", package.name, package.version);
        self.run_npm(&["pack", "--loglevel=error", "--ignore-scripts", &wanted], &folder)?;
        let path = folder.join(format!("{}.tgz", package.file_stem()));
        let bytes = fs::read(&path).map_err(io_error("reading", &path))?;
        fs::remove_dir_all(&folder).map_err(io_error("removing", &folder))?;
        check(&wanted, &bytes, package.sha512)?;
        Ok(bytes)
    }
}

impl Package {
    /// What npm calls the tarball, without its extension: `iexec-poco-6.1.0`.
    fn file_stem(&self) -> String {
        format!("{}-{}", self.name.trim_start_matches('@').replace('/', "-"), self.version)
    }
}

/// Calls `visit` with the path below `package/` and the content of each file of a tarball.
pub fn for_each_file(
    package: &Package,
    tarball: &[u8],
    mut visit: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<(), FetchError> {
    let failed = io_error("unpacking", Path::new(package.name));
    let mut walk = || {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(tarball));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().into_owned();
            if let Some(path) = path.strip_prefix("package/") {
                visit(path, &mut entry)?;
            }
        }
        Ok(())
    };
    walk().map_err(failed)
}

fn file_in(package: &Package, tarball: &[u8], wanted: &str) -> Result<Vec<u8>, FetchError> {
    let mut found = None;
    for_each_file(package, tarball, |path, content| {
        if path == wanted {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            found = Some(bytes);
        }
        Ok(())
    })?;
    found.ok_or_else(|| FetchError::NotInPackage { package: package.name, path: wanted.to_owned() })
}

fn read_if_matching(path: &Path, sha512: &str) -> Result<Option<Vec<u8>>, FetchError> {
    match fs::read(path) {
        Ok(bytes) => Ok((digest(&bytes) == sha512).then_some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("reading", path)(error)),
    }
}

fn check(what: &str, bytes: &[u8], sha512: &str) -> Result<(), FetchError> {
    let found = digest(bytes);
    if found == sha512 {
        return Ok(());
    }
    Err(FetchError::WrongDigest { what: what.to_owned(), expected: sha512.to_owned(), found })
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha512::digest(bytes))
}

/// Writes a file so that others see all of it or nothing.
fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FetchError> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut file = File::options().write(true).create(true).truncate(true).mode(mode).open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(io_error("writing", path))
}

fn make_folder(path: &Path) -> Result<(), FetchError> {
    fs::create_dir_all(path).map_err(io_error("creating", path))
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError + use<> {
    let path = path.to_owned();
    move |source| FetchError::Io { doing, path, source }
}

#[cfg(test)]
mod tests;
