//! Small working apps to begin with, one for each language: they read what a task hands them and leave a result. Pure.

use std::path::Path;

use crate::arguments::Template;

/// A file of a new app.
pub(crate) struct NewFile {
    /// Below the app's folder.
    pub(crate) path: &'static str,
    /// Its content.
    pub(crate) content: String,
}

/// The files of a new app called `name`.
pub(crate) fn files(template: Template, name: &str) -> Vec<NewFile> {
    let file = |path, content: &str| NewFile { path, content: content.to_owned() };
    let mut files = match template {
        Template::Python => {
            vec![
                file("Dockerfile", include_str!("template/python/Dockerfile")),
                file("app.py", include_str!("template/python/app.py")),
            ]
        }
        Template::Node => {
            vec![
                file("Dockerfile", include_str!("template/node/Dockerfile")),
                file("app.mjs", include_str!("template/node/app.mjs")),
            ]
        }
        Template::Rust => vec![
            file("Dockerfile", include_str!("template/rust/Dockerfile")),
            file("Cargo.toml", include_str!("template/rust/Cargo.toml.txt")),
            file("src/main.rs", include_str!("template/rust/main.rs.txt")),
        ],
    };
    files.push(NewFile { path: "README.md", content: include_str!("template/README.md.txt").replace("NAME", name) });
    files
}

/// What to do with a new app.
pub(crate) fn next_steps(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Next: docker buildx build --platform linux/amd64 -o type=oci,dest={folder}.oci,tar=false {folder}\n      \
         strongroom app deploy --name NAME --image {folder}.oci --multiaddr REFERENCE"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_reads_what_a_task_hands_it_and_leaves_a_result() {
        for template in [Template::Python, Template::Node, Template::Rust] {
            let files = files(template, "hello");
            assert!(files.iter().any(|file| file.path == "Dockerfile"));
            let all: String = files.iter().map(|file| file.content.as_str()).collect();
            for word in [
                "IEXEC_IN",
                "IEXEC_OUT",
                "IEXEC_APP_DEVELOPER_SECRET",
                "IEXEC_REQUESTER_SECRET_1",
                "computed.json",
                "deterministic-output-path",
            ] {
                assert!(all.contains(word), "{template:?}: {word}");
            }
            assert!(all.contains("# hello"), "{template:?}");
        }
    }
}
