//! What the command says: one answer on standard output, errors, notes and progress on standard error.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::exit::{Exit, Explanation};

/// What a command found or did.
#[derive(Debug)]
pub(crate) struct Answer {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// For people: lines, the last without its line break.
    pub(crate) text: String,
    /// For programs: an object. Its members are a promise, new ones may come.
    pub(crate) json: Value,
}

impl Answer {
    /// The answer of a command that did what it was asked.
    pub(crate) fn done(text: String, json: Value) -> Self {
        Self { exit: Exit::Done, text, json }
    }
}

/// Where and how to speak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    json: bool,
    notes: bool,
    progress: bool,
}

impl Screen {
    /// Notes are for people; progress is for people who watch.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let notes = !json && !quiet;
        Self { json, notes, progress: notes && io::stderr().is_terminal() }
    }

    /// Prints the answer. Fails when standard output is closed or full: then nobody knows what happened.
    pub(crate) fn answer(self, answer: &Answer) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", answer.json)?;
        } else if !answer.text.is_empty() {
            writeln!(out, "{}", answer.text)?;
        }
        out.flush()
    }

    /// Prints an error with its causes and what to do about it. Nothing is left to do when standard error is closed.
    pub(crate) fn error(self, error: &(dyn Error + 'static), explanation: &Explanation) {
        let causes: Vec<String> = std::iter::successors(error.source(), |cause| (*cause).source())
            .map(|cause| visible(&cause.to_string()))
            .collect();
        let message = visible(&error.to_string());
        let text = if self.json {
            let code = explanation.exit.as_str();
            let number = explanation.exit.code();
            let remedy = &explanation.remedy;
            json!({ "error": { "code": code, "exit": number, "message": message, "causes": causes, "remedy": remedy } })
                .to_string()
        } else {
            let mut lines = vec![format!("error: {message}")];
            lines.extend(causes.iter().map(|cause| format!("  because: {}", indented(cause))));
            lines.extend(explanation.remedy.iter().map(|remedy| format!("  remedy: {}", indented(remedy))));
            lines.join("\n")
        };
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Prints an error that already is an object.
    pub(crate) fn print_error_object(object: &Value) {
        let _ = writeln!(io::stderr(), "{object}");
    }

    /// Prints something that a person should know.
    pub(crate) fn note(self, text: &str) {
        if self.notes {
            let _ = writeln!(io::stderr(), "note: {text}");
        }
    }

    /// Whether somebody watches.
    pub(crate) fn shows_progress(self) -> bool {
        self.progress
    }

    /// Shows that `work` is going on, to whoever watches, until it is done.
    pub(crate) fn while_doing<T>(self, what: &str, work: impl FnOnce() -> T) -> T {
        let bar = self.progress.then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("the template is valid");
            let bar = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let result = work();
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        result
    }
}

impl Screen {
    /// A view of things that change: live for people who watch, else a line for each change, for programs nothing.
    pub(crate) fn watching(self) -> Watching {
        let bar = self.progress.then(|| {
            let style = ProgressStyle::with_template("{spinner} ({elapsed})\n{msg}").expect("the template is valid");
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Watching { bar, prints: self.notes, shown: Vec::new() }
    }
}

/// See [`Screen::watching`].
pub(crate) struct Watching {
    bar: Option<ProgressBar>,
    prints: bool,
    shown: Vec<String>,
}

impl Watching {
    /// Whether a person sees the lines change.
    pub(crate) fn is_live(&self) -> bool {
        self.bar.is_some()
    }

    /// Says something that stays.
    pub(crate) fn say(&self, line: &str) {
        let print = || {
            // Standard output that is closed shows when the answer is printed.
            let _ = writeln!(io::stdout(), "{line}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None if self.prints => print(),
            None => {}
        }
    }

    /// Shows how things are now, a line for each.
    pub(crate) fn show(&mut self, lines: &[String]) {
        if let Some(bar) = &self.bar {
            bar.set_message(lines.join("\n"));
        } else if self.prints {
            for (_, line) in lines.iter().enumerate().filter(|(index, line)| self.shown.get(*index) != Some(line)) {
                // Standard output that is closed shows when the answer is printed.
                let _ = writeln!(io::stdout(), "{line}");
            }
        }
        self.shown = lines.to_vec();
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            for line in &self.shown {
                let _ = writeln!(io::stdout(), "{line}");
            }
        }
    }
}

/// Control characters (of a hostile file name, or of what strangers wrote on chain) do not reach the terminal; line breaks do.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c })
        .collect::<String>()
        .trim_end()
        .to_owned()
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}
