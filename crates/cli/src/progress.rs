//! How far something long is that is done to a file: bytes and per cent, for whoever watches a terminal.

use std::io::{self, Read};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Screen;

/// Counts the bytes that are done. Where nobody watches it counts for nobody.
#[derive(Clone)]
pub(crate) struct Counter {
    bar: Option<ProgressBar>,
}

impl Counter {
    /// Says how many bytes there will be, once that is known.
    pub(crate) fn expect(&self, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_style(style("{spinner} {msg}: {binary_bytes} of {binary_total_bytes} ({percent} %, {elapsed})"));
            bar.set_length(total);
        }
    }

    /// So many more are done.
    pub(crate) fn add(&self, bytes: usize) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes as u64);
        }
    }

    /// So many are done of so many.
    pub(crate) fn reach(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            if bar.length() != Some(total) {
                self.expect(total);
            }
            bar.set_position(done);
        }
    }

    /// Counts what is read through it.
    pub(crate) fn reading<R: Read>(&self, from: R) -> Counting<R> {
        Counting { from, counter: self.clone() }
    }
}

/// See [`Counter::reading`].
pub(crate) struct Counting<R> {
    from: R,
    counter: Counter,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.counter.add(read);
        Ok(read)
    }
}

impl Screen {
    /// Shows how far `work` is, to whoever watches, until it is done. How much there is to do may turn out later: [`Counter::expect`].
    pub(crate) fn while_counting<T>(self, what: &str, total: Option<u64>, work: impl FnOnce(&Counter) -> T) -> T {
        let bar = self.shows_progress().then(|| {
            let style = style("{spinner} {msg}: {binary_bytes} ({elapsed})");
            ProgressBar::new_spinner().with_style(style).with_message(what.to_owned())
        });
        let counter = Counter { bar };
        if let Some(total) = total {
            counter.expect(total);
        }
        if let Some(bar) = &counter.bar {
            bar.tick();
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        let result = work(&counter);
        if let Some(bar) = counter.bar {
            bar.finish_and_clear();
        }
        result
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are valid")
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;

    use super::*;

    #[test]
    fn what_is_read_is_counted_and_comes_through_unchanged() {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let counter = Counter { bar: Some(bar.clone()) };
        assert_eq!(bar.length(), None);
        counter.expect(7);
        let mut read = String::new();
        counter.reading("content".as_bytes()).read_to_string(&mut read).unwrap();
        assert_eq!((read.as_str(), bar.position(), bar.length()), ("content", 7, Some(7)));
        counter.add(3);
        assert_eq!(bar.position(), 10);
        counter.reach(11, 20);
        assert_eq!((bar.position(), bar.length()), (11, Some(20)));
    }

    #[test]
    fn without_a_terminal_the_work_is_done_all_the_same() {
        let screen = Screen::new(true, false);
        let done = screen.while_counting("Working", Some(1), |counter| {
            counter.add(1);
            counter.bar.is_none()
        });
        assert!(done);
    }
}
