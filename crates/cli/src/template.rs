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
        Template::Shell => vec![
            file("Dockerfile", include_str!("template/shell/Dockerfile")),
            file("app.sh", include_str!("template/shell/app.sh")),
        ],
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
pub(crate) fn next_steps(template: Template, folder: &Path) -> String {
    let folder = folder.display();
    let mut steps =
        vec![format!("docker buildx build --platform linux/amd64 -o type=oci,dest={folder}.oci,tar=false {folder}")];
    let packing = format!("strongroom app pack {folder}");
    steps.extend(match template {
        Template::Shell => Some(format!("or, without Docker: {packing}/app.sh --output {folder}.oci")),
        Template::Rust => Some(format!(
            "or, without Docker: cargo build --release --manifest-path {folder}/Cargo.toml && \
             {packing}/target/release/app --output {folder}.oci"
        )),
        Template::Python | Template::Node => None,
    });
    steps.push(format!("strongroom devnet add-image {folder}.oci (elsewhere push it to a registry, as REFERENCE)"));
    steps.push(format!("strongroom app deploy --name NAME --image {folder}.oci --multiaddr REFERENCE"));
    format!("Next: {}", steps.join("\n      "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_reads_what_a_task_hands_it_and_leaves_a_result() {
        for template in [Template::Python, Template::Node, Template::Rust, Template::Shell] {
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

    #[cfg(unix)]
    #[test]
    fn the_shell_app_runs_with_a_dataset_and_without() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("app.sh");
        let files = files(Template::Shell, "hello");
        std::fs::write(&script, &files.iter().find(|file| file.path == "app.sh").unwrap().content).unwrap();
        std::fs::write(folder.path().join("0xda7a"), "12345").unwrap();
        // Without a dataset the name is the zero address, as it always was on the network.
        for (filename, last) in [("0xda7a", "dataset: 5 bytes"), ("0x00", "requester's secret 1: given")] {
            let mut app = std::process::Command::new("/bin/sh");
            app.arg(&script).args(["you", "there"]).env_clear().env("PATH", "/usr/bin:/bin");
            app.env("IEXEC_IN", folder.path()).env("IEXEC_OUT", folder.path());
            app.env("IEXEC_DATASET_FILENAME", filename).env("IEXEC_REQUESTER_SECRET_1", "secret");
            assert!(app.status().unwrap().success());
            let result = std::fs::read_to_string(folder.path().join("result.txt")).unwrap();
            let lines: Vec<_> = result.lines().collect();
            assert_eq!(
                (lines[..2].join("|").as_str(), lines[lines.len() - 1]),
                ("Hello, you there!|developer's secret: not given", last)
            );
        }
    }
}
