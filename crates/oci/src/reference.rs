//! The name of an image in a registry, as Docker writes it.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, ParseDigestError};

/// `[registry/]repository[:tag][@sha256:…]`. Without a registry it is Docker Hub, whose own images are below `library/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host name, with a port where it is not the usual one.
    pub registry: String,
    /// Path of the repository in the registry.
    pub repository: String,
    /// A name that may move; never used to fetch.
    pub tag: Option<String>,
    /// Digest of the manifest.
    pub digest: Option<Digest>,
}

/// Why a text names no image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseReferenceError {
    /// The repository has characters that are not allowed, or none.
    #[error("`{0}` is no repository: lower-case letters, digits and `.`, `_`, `-` between slashes")]
    Repository(String),
    /// The registry is no host name.
    #[error("`{0}` is no registry: a host name, with a port if needed")]
    Registry(String),
    /// The tag has characters that are not allowed.
    #[error("`{0}` is no tag: up to 128 letters, digits and `.`, `_`, `-`")]
    Tag(String),
    /// What follows `@` is no digest.
    #[error("what follows `@` is no digest")]
    Digest(#[source] ParseDigestError),
}

const DOCKER_HUB: &str = "docker.io";

impl Reference {
    /// The host that answers for the registry: Docker Hub answers under another name.
    #[must_use]
    pub fn host(&self) -> &str {
        if self.registry == DOCKER_HUB { "registry-1.docker.io" } else { &self.registry }
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse().map_err(ParseReferenceError::Digest)?)),
            None => (text, None),
        };
        // The first part is a registry only if it cannot be part of a repository's name.
        let (registry, rest) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (DOCKER_HUB, name),
        };
        let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !is_host(registry) {
            return Err(ParseReferenceError::Registry(registry.escape_debug().to_string()));
        }
        if !is_repository(repository) {
            return Err(ParseReferenceError::Repository(repository.escape_debug().to_string()));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ParseReferenceError::Tag(tag.escape_debug().to_string()));
        }
        let official = registry == DOCKER_HUB && !repository.contains('/');
        Ok(Self {
            registry: registry.to_owned(),
            repository: if official { format!("library/{repository}") } else { repository.to_owned() },
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "1"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    !host.is_empty() && host.bytes().all(plain) && !host.starts_with(['-', '.']) && port.parse::<u16>().is_ok()
}

fn is_repository(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    text.len() <= 255
        && text.split('/').all(|part| {
            let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            part.bytes().all(plain) && edge(part.bytes().next()) && edge(part.bytes().last())
        })
}

fn is_tag(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with(['.', '-'])
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Reference {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (text, registry, repository, tag) in [
            ("ubuntu", "docker.io", "library/ubuntu", None),
            ("iexechub/python-hello:8.0.0", "docker.io", "iexechub/python-hello", Some("8.0.0")),
            ("docker.io/name", "docker.io", "library/name", None),
            ("index.docker.io/a/b", "docker.io", "a/b", None),
            ("registry.example:5000/a/b/c:x", "registry.example:5000", "a/b/c", Some("x")),
            ("localhost/a", "localhost", "a", None),
        ] {
            let read = parsed(text);
            assert_eq!(
                (&*read.registry, &*read.repository, read.tag.as_deref()),
                (registry, repository, tag),
                "{text}"
            );
            assert_eq!(parsed(&format!("{text}@{digest}")).digest, Some(digest.parse().unwrap()));
            assert_eq!(parsed(&read.to_string()), read);
        }
        assert_eq!(parsed("ubuntu").host(), "registry-1.docker.io");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "A/b",
            "a//b",
            "../b",
            "a/..",
            "a:b c",
            "-x.y/a",
            "x.y:99999/a",
            "a@sha256:00",
            "a@md5:00",
            "a/b:",
            "a?b",
            "u@h.x/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
