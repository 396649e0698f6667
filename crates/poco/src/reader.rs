//! Many contract calls as one `eth_call`: writes a small EVM program that makes the calls one after another, where a later
//! call may use what an earlier one answered (the task names the deal, the deal names the app), and returns all the answers.
//! One request, one block, one answer: nothing can change in between, and endpoints can be compared byte for byte.
//!
//! The program is straight-line code: no jumps, no storage, no state changes (`STATICCALL` only), opcodes of
//! Constantinople and Istanbul. The node runs it at an address without code, by the state override of `eth_call`, so that nothing needs to
//! be deployed and the limits of contract creation do not apply. Pure: nothing here talks to a node.
//!
//! Memory while it runs:
//!
//! | From | What |
//! | --- | --- |
//! | [`POINTERS`] | one word per step: where in memory its answer begins |
//! | [`CALLDATA`] | calldata of the step at hand |
//! | [`OUTPUT`] | chain id (one word), then per step: succeeded (one word), length (one word), answer (`length` bytes) |
//!
//! The stack holds one value between steps: the end of the output so far.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;

const POINTERS: u16 = 0;
const CALLDATA: u16 = 0x2000;
const OUTPUT: u16 = 0x2800;

/// More steps would run into [`CALLDATA`].
const MAX_STEPS: usize = ((CALLDATA - POINTERS) / 32) as usize;
/// More arguments would run into [`OUTPUT`].
const MAX_ARGUMENTS: usize = ((OUTPUT - CALLDATA - 4) / 32) as usize;

/// A word for the program: known when it is written, or found in an earlier answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// This value.
    Known(U256),
    /// The 32-byte word number `word` of the answer of step `step`. Unspecified if that step failed or answered less, so
    /// what depends on it means something only when the earlier step was looked at first.
    Answer { step: usize, word: u16 },
}

impl From<Address> for Word {
    fn from(address: Address) -> Self {
        Self::Known(address.into_word().into())
    }
}

impl From<B256> for Word {
    fn from(word: B256) -> Self {
        Self::Known(word.into())
    }
}

/// How much of an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// All of it: for contracts of PoCo.
    All,
    /// The first 32 bytes, or nothing if there are fewer: for one-word answers, and for contracts that anybody may have written.
    OneWord,
    /// One word that says whether the call succeeded, then all it returned: for calls whose failure is an answer.
    Outcome,
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Call { target: Word, selector: [u8; 4], arguments: Vec<Word>, keep: Keep, gas: Option<u32> },
    CodeSize { of: Word },
}

impl Step {
    /// Calls function `C` of `target` with `arguments`, one word each (or the words of their ABI encoding), and keeps the whole answer.
    pub(crate) fn call<C: SolCall>(target: impl Into<Word>, arguments: Vec<Word>) -> Self {
        Self {
            kind: Kind::Call { target: target.into(), selector: C::SELECTOR, arguments, keep: Keep::All, gas: None },
        }
    }

    /// As [`Step::call`], for functions that answer one word.
    pub(crate) fn call_for_word<C: SolCall>(target: impl Into<Word>, arguments: Vec<Word>) -> Self {
        Self {
            kind: Kind::Call {
                target: target.into(),
                selector: C::SELECTOR,
                arguments,
                keep: Keep::OneWord,
                gas: None,
            },
        }
    }

    /// Calls function `C` of `target`, where a failure is an answer too: the answer is one word, 1 or 0 for success or failure,
    /// and then what was returned or the reason that was given.
    pub(crate) fn attempt<C: SolCall>(target: impl Into<Word>, arguments: Vec<Word>) -> Self {
        Self {
            kind: Kind::Call {
                target: target.into(),
                selector: C::SELECTOR,
                arguments,
                keep: Keep::Outcome,
                gas: None,
            },
        }
    }

    /// The same call of a contract that we know nothing about: it can burn no more than `limit`.
    pub(crate) fn with_gas(mut self, limit: u32) -> Self {
        if let Kind::Call { gas, .. } = &mut self.kind {
            *gas = Some(limit);
        }
        self
    }

    /// The number of bytes of code at an address, as one word; zero for a plain wallet.
    pub(crate) fn code_size(of: impl Into<Word>) -> Self {
        Self { kind: Kind::CodeSize { of: of.into() } }
    }
}

mod op {
    pub(super) const ADD: u8 = 0x01;
    pub(super) const MUL: u8 = 0x02;
    pub(super) const SUB: u8 = 0x03;
    pub(super) const GT: u8 = 0x11;
    pub(super) const SHL: u8 = 0x1b;
    pub(super) const EXTCODESIZE: u8 = 0x3b;
    pub(super) const RETURNDATASIZE: u8 = 0x3d;
    pub(super) const RETURNDATACOPY: u8 = 0x3e;
    pub(super) const CHAINID: u8 = 0x46;
    pub(super) const POP: u8 = 0x50;
    pub(super) const MLOAD: u8 = 0x51;
    pub(super) const MSTORE: u8 = 0x52;
    pub(super) const GAS: u8 = 0x5a;
    pub(super) const PUSH1: u8 = 0x60;
    pub(super) const DUP1: u8 = 0x80;
    pub(super) const DUP2: u8 = 0x81;
    pub(super) const DUP3: u8 = 0x82;
    pub(super) const DUP4: u8 = 0x83;
    pub(super) const SWAP1: u8 = 0x90;
    pub(super) const RETURN: u8 = 0xf3;
    pub(super) const STATICCALL: u8 = 0xfa;
}

/// Writes the code. Comments show the stack, top last.
#[derive(Default)]
struct Code(Vec<u8>);

impl Code {
    fn ops(&mut self, ops: &[u8]) {
        self.0.extend_from_slice(ops);
    }

    fn push(&mut self, value: impl TryInto<U256, Error: std::fmt::Debug>) {
        let bytes = value.try_into().expect("unsigned numbers fit in a word").to_be_bytes::<32>();
        let significant = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(31)..];
        let width = u8::try_from(significant.len()).expect("a word has at most 32 bytes");
        self.0.push(op::PUSH1 + width - 1);
        self.0.extend_from_slice(significant);
    }

    fn push_word(&mut self, word: Word) {
        match word {
            Word::Known(value) => self.push(value),
            Word::Answer { step, word } => {
                self.push(pointer_of(step));
                self.ops(&[op::MLOAD]);
                if word > 0 {
                    self.push(u32::from(word) * 32);
                    self.ops(&[op::ADD]);
                }
                self.ops(&[op::MLOAD]);
            }
        }
    }

    fn store_at(&mut self, offset: u16) {
        self.push(offset);
        self.ops(&[op::MSTORE]);
    }

    /// [end] → [end]
    fn step(&mut self, index: usize, step: &Step) {
        match &step.kind {
            Kind::Call { target, selector, arguments, keep, gas } => {
                assert!(arguments.len() <= MAX_ARGUMENTS, "a call has at most {MAX_ARGUMENTS} arguments");
                let mut first = [0; 32];
                first[..4].copy_from_slice(selector);
                self.push(U256::from_be_bytes(first));
                self.store_at(CALLDATA);
                let mut size = 4;
                for argument in arguments {
                    self.push_word(*argument);
                    self.store_at(CALLDATA + size);
                    size += 32;
                }
                self.push(0_u8);
                self.push(0_u8);
                self.push(size);
                self.push(CALLDATA);
                self.push_word(*target);
                match gas {
                    Some(gas) => self.push(*gas),
                    None => self.ops(&[op::GAS]),
                }
                self.ops(&[op::STATICCALL]); // [end, success]
                if *keep == Keep::Outcome {
                    self.keep_outcome(index);
                    return;
                }
                self.ops(&[op::DUP1]); // [end, success, success]
                match keep {
                    Keep::All | Keep::Outcome => self.ops(&[op::RETURNDATASIZE]),
                    Keep::OneWord => {
                        self.push(31_u8);
                        self.ops(&[op::RETURNDATASIZE, op::GT]); // [.., size > 31]
                        self.push(5_u8);
                        self.ops(&[op::SHL]); // [.., 32 or 0]
                    }
                }
                self.ops(&[op::MUL]); // [end, success, length]: a failed call keeps nothing
                self.ops(&[op::SWAP1, op::DUP3, op::MSTORE]); // memory[end] = success; [end, length]
                self.ops(&[op::DUP1, op::DUP3]);
                self.push(32_u8);
                self.ops(&[op::ADD, op::MSTORE]); // memory[end + 32] = length; [end, length]
                self.remember_answer(index, op::DUP2); // [end, length, answer]
                self.ops(&[op::DUP2]);
                self.push(0_u8);
                self.ops(&[op::DUP3, op::RETURNDATACOPY]); // [end, length, answer]
                self.ops(&[op::ADD, op::SWAP1, op::POP]); // [answer + length]
            }
            Kind::CodeSize { of } => {
                self.push(1_u8);
                self.ops(&[op::DUP2, op::MSTORE]); // memory[end] = 1; [end]
                self.push(32_u8);
                self.ops(&[op::DUP2]);
                self.push(32_u8);
                self.ops(&[op::ADD, op::MSTORE]); // memory[end + 32] = 32; [end]
                self.push_word(*of);
                self.ops(&[op::EXTCODESIZE]); // [end, size]
                self.remember_answer(index, op::DUP2); // [end, size, answer]
                self.ops(&[op::SWAP1, op::DUP2, op::MSTORE]); // memory[answer] = size; [end, answer]
                self.push(32_u8);
                self.ops(&[op::ADD, op::SWAP1, op::POP]); // [answer + 32]
            }
        }
    }

    /// [end, success] → [end]
    fn keep_outcome(&mut self, index: usize) {
        self.push(1_u8);
        self.ops(&[op::DUP3, op::MSTORE]); // memory[end] = 1; [end, success]
        self.ops(&[op::RETURNDATASIZE]);
        self.push(32_u8);
        self.ops(&[op::ADD, op::DUP1, op::DUP4]);
        self.push(32_u8);
        self.ops(&[op::ADD, op::MSTORE]); // memory[end + 32] = length; [end, success, length]
        self.ops(&[op::SWAP1, op::DUP3]);
        self.push(64_u8);
        self.ops(&[op::ADD, op::MSTORE]); // memory[answer] = success; [end, length]
        self.remember_answer(index, op::DUP2); // [end, length, answer]
        self.ops(&[op::RETURNDATASIZE]);
        self.push(0_u8);
        self.ops(&[op::DUP3]);
        self.push(32_u8);
        self.ops(&[op::ADD, op::RETURNDATACOPY]); // [end, length, answer]
        self.ops(&[op::ADD, op::SWAP1, op::POP]); // [answer + length]
    }

    /// [end, x] → [end, x, answer], where answer = end + 64 is stored as the pointer of the step.
    fn remember_answer(&mut self, index: usize, dup_end: u8) {
        self.ops(&[dup_end]);
        self.push(64_u8);
        self.ops(&[op::ADD, op::DUP1]);
        self.store_at(pointer_of(index));
    }
}

fn pointer_of(step: usize) -> u16 {
    assert!(step < MAX_STEPS, "a program has at most {MAX_STEPS} steps");
    POINTERS + 32 * u16::try_from(step).expect("checked above")
}

/// The code that makes `steps` in order. Panics if there are more than 256 steps or 63 arguments in one, or if a step uses
/// an answer that comes after it: programs are written in this crate, so that is a mistake in it.
pub(crate) fn compile(steps: &[Step]) -> Vec<u8> {
    let mut code = Code::default();
    code.ops(&[op::CHAINID]);
    code.store_at(OUTPUT);
    code.push(OUTPUT + 32); // [end]
    for (index, step) in steps.iter().enumerate() {
        for word in step.words() {
            assert!(!matches!(word, Word::Answer { step, .. } if *step >= index), "step {index} uses a later answer");
        }
        code.step(index, step);
    }
    code.push(OUTPUT);
    code.ops(&[op::SWAP1, op::SUB]); // [length]
    code.push(OUTPUT);
    code.ops(&[op::RETURN]);
    code.0
}

impl Step {
    fn words(&self) -> impl Iterator<Item = &Word> {
        match &self.kind {
            Kind::Call { target, arguments, .. } => std::iter::once(target).chain(arguments),
            Kind::CodeSize { of } => std::iter::once(of).chain(&[]),
        }
    }
}

/// What one step gave: the answer, or `None` if the call failed (reverted, ran out of gas).
pub(crate) type Answer = Option<Vec<u8>>;

/// What a program returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The id of the chain that the program ran on.
    pub(crate) chain_id: u64,
    /// One per step.
    pub(crate) answers: Vec<Answer>,
}

/// The bytes are not what a program returns: the node ignored the state override, or cut the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the output of our reading program; does this node support state overrides in eth_call?")]
pub struct NotAReading;

/// Splits what a program of `steps` steps returned.
pub(crate) fn decode(output: &[u8], steps: usize) -> Result<Reading, NotAReading> {
    let mut rest = output;
    let chain_id = take_number(&mut rest)?;
    let mut answers = Vec::with_capacity(steps);
    for _ in 0..steps {
        let success = take_number(&mut rest)?;
        let length = usize::try_from(take_number(&mut rest)?).map_err(|_| NotAReading)?;
        let (answer, after) = rest.split_at_checked(length).ok_or(NotAReading)?;
        rest = after;
        answers.push(match success {
            1 => Some(answer.to_vec()),
            0 if answer.is_empty() => None,
            _ => return Err(NotAReading),
        });
    }
    if rest.is_empty() { Ok(Reading { chain_id, answers }) } else { Err(NotAReading) }
}

fn take_number(bytes: &mut &[u8]) -> Result<u64, NotAReading> {
    let (word, rest) = bytes.split_first_chunk::<32>().ok_or(NotAReading)?;
    *bytes = rest;
    u64::try_from(U256::from_be_bytes(*word)).map_err(|_| NotAReading)
}

/// What a program would return that read `answers`: the opposite of [`decode`], for nodes that tests play.
#[cfg(test)]
pub(crate) fn encode(reading: &Reading) -> Vec<u8> {
    let word = |number: u64| U256::from(number).to_be_bytes::<32>();
    let mut output = word(reading.chain_id).to_vec();
    for answer in &reading.answers {
        output.extend(word(u64::from(answer.is_some())));
        let bytes = answer.as_deref().unwrap_or_default();
        output.extend(word(bytes.len() as u64));
        output.extend(bytes);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_sol_types::sol;
    use proptest::prelude::*;

    sol! {
        function one(uint256 number) external view returns (uint256);
    }

    #[test]
    fn the_program_for_one_call_is_this_listing() {
        let target = Address::repeat_byte(0xaa);
        let steps = [Step::call::<oneCall>(target, vec![Word::Known(U256::from(5))])];
        let [a, b, c, d] = oneCall::SELECTOR;
        let listing = format!(
            "46 612800 52 612820 \
             7f {a:02x}{b:02x}{c:02x}{d:02x}{zeros} 612000 52 \
             6005 612004 52 \
             6000 6000 6024 612000 73 {target} 5a fa \
             80 3d 02 90 82 52 80 82 6020 01 52 81 6040 01 80 6000 52 81 6000 82 3e 01 90 50 \
             612800 90 03 612800 f3",
            zeros = "00".repeat(28),
            target = "aa".repeat(20),
        );
        assert_eq!(hex::encode(compile(&steps)), listing.replace(char::is_whitespace, ""));
    }

    #[test]
    #[should_panic(expected = "step 0 uses a later answer")]
    fn a_step_cannot_use_its_own_answer() {
        compile(&[Step::code_size(Word::Answer { step: 0, word: 0 })]);
    }

    #[test]
    fn output_that_is_cut_or_too_long_is_refused() {
        let reading = Reading { chain_id: 7, answers: vec![Some(vec![1; 40]), None, Some(vec![])] };
        let output = encode(&reading);
        assert_eq!(decode(&output, 3), Ok(reading));
        for cut in 0..output.len() {
            assert_eq!(decode(&output[..cut], 3), Err(NotAReading), "cut at {cut}");
        }
        assert_eq!(decode(&output, 2), Err(NotAReading));
        assert_eq!(decode(&[output, vec![0]].concat(), 3), Err(NotAReading));
    }

    proptest! {
        #[test]
        fn readings_survive_a_round_trip(
            chain_id: u64,
            answers in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)), 0..16),
        ) {
            let reading = Reading { chain_id, answers };
            prop_assert_eq!(decode(&encode(&reading), reading.answers.len()), Ok(reading));
        }

        #[test]
        fn no_output_makes_the_decoder_panic(
            output in proptest::collection::vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..300),
            steps in 0..16_usize,
        ) {
            let _ = decode(&output, steps);
        }
    }
}
