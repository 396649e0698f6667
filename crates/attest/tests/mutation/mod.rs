//! Changes of evidence: every single bit, and larger ones from a fixed seed, the same in every run.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Flips every bit of `original` in turn, on all cores, and expects that `accepts` never holds.
#[allow(dead_code, reason = "quotes have parts that nothing covers, so their tests count instead")]
pub(crate) fn assert_every_bit_flip_is_refused(original: &[u8], accepts: impl Fn(&[u8]) -> bool + Sync) {
    assert!(accepts(original), "the original is refused, so refusing changes of it says nothing");
    let accepted = bit_flips_where(original, accepts);
    assert!(accepted.is_empty(), "accepted although these bits were flipped: {accepted:?}");
}

/// Flips every bit of `original` in turn, on all cores, and lists the bits for which `holds`.
pub(crate) fn bit_flips_where(original: &[u8], holds: impl Fn(&[u8]) -> bool + Sync) -> Vec<usize> {
    let bits = original.len() * 8;
    let share = bits.div_ceil(std::thread::available_parallelism().map_or(1, usize::from));
    let holds_in = |range: Range<usize>| {
        let mut mutant = original.to_vec();
        let mut found = vec![];
        for bit in range {
            mutant[bit / 8] ^= 1 << (bit % 8);
            if holds(&mutant) {
                found.push(bit);
            }
            mutant[bit / 8] ^= 1 << (bit % 8);
        }
        found
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..bits)
            .step_by(share)
            .map(|from| {
                let holds_in = &holds_in;
                scope.spawn(move || holds_in(from..bits.min(from + share)))
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no claim about a flip fails")).collect()
    })
}

/// Makes larger changes: other bytes, bytes removed or doubled, runs of zeros or ones, up to eight at once.
pub(crate) struct Mutator(ChaCha8Rng);

impl Mutator {
    /// The same seed makes the same changes.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A changed copy, never equal to `original`.
    pub(crate) fn mutate(&mut self, original: &[u8]) -> Vec<u8> {
        let mut mutant = original.to_vec();
        while mutant == original {
            for _ in 0..=self.below(8) {
                if mutant.is_empty() {
                    return mutant;
                }
                self.change(&mut mutant);
            }
        }
        mutant
    }

    fn change(&mut self, mutant: &mut Vec<u8>) {
        let from = self.below(mutant.len());
        let to = mutant.len().min(from + 1 + self.below(16));
        match self.below(5) {
            0 => self.0.fill_bytes(&mut mutant[from..to]),
            1 => drop(mutant.drain(from..to)),
            2 => {
                let copy = mutant[from..to].to_vec();
                mutant.splice(from..from, copy);
            }
            3 => mutant[from..to].fill(0),
            _ => mutant[from..to].fill(0xff),
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.0.next_u32() as usize % end
    }
}
