//! Verifies evidence off the event loop, on a bounded number of threads, under the operator's roots, policy and images.

use std::sync::Arc;

use strongroom_attest::measurement::ApprovedImages;
use strongroom_attest::{
    EndorsementFault, Endorsements, Evidence, EvidenceKind, ExpectedBinding, Policy, TrustAnchors, VerifyError,
};
use strongroom_grant::Enclave;
use strongroom_protocol::UnixSeconds;
use tokio::sync::Semaphore;

/// Requests that may wait for a thread; more are told to come back.
const QUEUE: usize = 256;

/// All threads and the queue for them are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many verifications at once")]
pub(crate) struct Busy;

/// What vendors say about platforms, kept at hand: looking it up never asks the network.
pub trait FindEndorsements: Send + Sync {
    /// The endorsements for the platform of `evidence`, if they are at hand.
    fn find(&self, evidence: &Evidence, now: UnixSeconds) -> Option<Arc<Endorsements>>;
}

/// The operator's side of verification.
pub struct Attestation {
    inner: Arc<Inner>,
    running: Semaphore,
    admitted: Semaphore,
}

struct Inner {
    anchors: TrustAnchors,
    policy: Policy,
    approved: ApprovedImages,
    endorsements: Box<dyn FindEndorsements>,
}

impl Attestation {
    /// Verifies on at most `threads` threads at a time.
    pub fn new(
        anchors: TrustAnchors,
        policy: Policy,
        approved: ApprovedImages,
        endorsements: Box<dyn FindEndorsements>,
        threads: usize,
    ) -> Self {
        Self {
            inner: Arc::new(Inner { anchors, policy, approved, endorsements }),
            running: Semaphore::new(threads),
            admitted: Semaphore::new(threads + QUEUE),
        }
    }

    pub(crate) async fn verify(
        &self,
        evidence: Evidence,
        binding: ExpectedBinding,
        now: UnixSeconds,
    ) -> Result<Result<Enclave, VerifyError>, Busy> {
        let _admitted = self.admitted.try_acquire().map_err(|_| Busy)?;
        let _running = self.running.acquire().await.map_err(|_| Busy)?;
        let inner = Arc::clone(&self.inner);
        let verified = tokio::task::spawn_blocking(move || inner.verify(&evidence, &binding, now));
        verified.await.map_err(|_| Busy)
    }
}

impl Inner {
    fn verify(&self, evidence: &Evidence, binding: &ExpectedBinding, now: UnixSeconds) -> Result<Enclave, VerifyError> {
        let endorsements = match evidence.kind() {
            EvidenceKind::Nitro => Arc::new(Endorsements::NotNeeded),
            EvidenceKind::Sgx | EvidenceKind::Tdx | EvidenceKind::Snp => self
                .endorsements
                .find(evidence, now)
                .ok_or(VerifyError::Endorsements(EndorsementFault::Missing("endorsements of the platform")))?,
        };
        let verified = strongroom_attest::verify(evidence, &endorsements, binding, &self.anchors, now)?;
        Ok(Enclave::of(&verified, &self.policy, &self.approved))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// Keeps whoever looks for endorsements waiting until it is opened.
    #[derive(Default)]
    struct Gate(Mutex<bool>, Condvar);

    struct Waiting(Arc<Gate>);

    impl FindEndorsements for Waiting {
        fn find(&self, _: &Evidence, _: UnixSeconds) -> Option<Arc<Endorsements>> {
            let opened = self.0.0.lock().unwrap();
            drop(self.0.1.wait_while(opened, |opened| !*opened).unwrap());
            None
        }
    }

    #[tokio::test]
    async fn more_verifications_than_threads_and_queue_take_are_told_to_come_back() {
        let gate = Arc::new(Gate::default());
        let attestation = Arc::new(Attestation::new(
            TrustAnchors::production(),
            Policy::production(),
            ApprovedImages::default(),
            Box::new(Waiting(Arc::clone(&gate))),
            2,
        ));
        let verify = || {
            let attestation = Arc::clone(&attestation);
            async move {
                let evidence = Evidence::new(EvidenceKind::Tdx, vec![0; 1024]).unwrap();
                attestation.verify(evidence, ExpectedBinding::new([0; 64]), UnixSeconds(0)).await
            }
        };
        let admitted: Vec<_> = (0..QUEUE + 2).map(|_| tokio::spawn(verify())).collect();
        while attestation.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(verify().await, Err(Busy));
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        for verified in admitted {
            let verified = verified.await.unwrap().unwrap();
            assert!(matches!(verified, Err(VerifyError::Endorsements(EndorsementFault::Missing(_)))), "{verified:?}");
        }
    }
}
