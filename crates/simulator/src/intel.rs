//! The simulated Intel: root, PCK authorities, TCB signer, and quotes of machines below them.

mod machine;
mod measured;
mod pck;
mod quote;
mod statements;

pub use machine::{IntelMachine, PckCa, PlatformFlags, QuotingEnclave};
pub use measured::{SgxMeasured, TdxFormat, TdxMeasured};
pub use statements::{Advised, IntelStatements, ModuleLevel, PlatformLevel, QeLevel};

use strongroom_attest::endorsements::{IntelEndorsements, IntelParts};
use strongroom_attest::{EndorsementFault, Endorsements, EvidenceKind};
use strongroom_protocol::UnixSeconds;

use crate::dates::Validity;
use crate::keys::P256Key;
use crate::pki::{Authority, Role, Subject, pem};

/// Serial number of the simulated root.
pub const ROOT_SERIAL: u64 = 0x0D5E_0001;
/// Serial number of the authority that certifies multi-package platforms.
pub const PLATFORM_CA_SERIAL: u64 = 0x0D5E_0002;
/// Serial number of the authority that certifies single-package platforms.
pub const PROCESSOR_CA_SERIAL: u64 = 0x0D5E_0003;
/// Serial number of the certificate that signs TCB info and enclave identities.
pub const TCB_SIGNING_SERIAL: u64 = 0x0D5E_0004;

/// All keys of the simulated Intel and of its machines.
pub(crate) struct IntelAuthority {
    root: Authority<P256Key>,
    platform_ca: Authority<P256Key>,
    processor_ca: Authority<P256Key>,
    tcb_signing: Authority<P256Key>,
    /// One PCK key and one attestation key serve all simulated machines.
    pck_key: P256Key,
    attestation_key: P256Key,
}

impl IntelAuthority {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let subject = |name, serial, role| Subject { name, serial, valid: Validity::ALWAYS, role, extensions: vec![] };
        let root = Authority::root(
            subject("SIMULATED SGX Root CA", ROOT_SERIAL, Role::Authority { path_length: 1 }),
            P256Key::derive(seed, "intel root"),
        );
        let below_root = |name, serial, role, label| {
            Authority::below(&root, subject(name, serial, role), P256Key::derive(seed, label))
        };
        let issuing = Role::Authority { path_length: 0 };
        Self {
            platform_ca: below_root("SIMULATED SGX PCK Platform CA", PLATFORM_CA_SERIAL, issuing, "intel platform ca"),
            processor_ca: below_root(
                "SIMULATED SGX PCK Processor CA",
                PROCESSOR_CA_SERIAL,
                issuing,
                "intel processor ca",
            ),
            tcb_signing: below_root("SIMULATED SGX TCB Signing", TCB_SIGNING_SERIAL, Role::Signer, "intel tcb signing"),
            pck_key: P256Key::derive(seed, "intel pck"),
            attestation_key: P256Key::derive(seed, "intel attestation key"),
            root,
        }
    }

    /// The root certificate, DER.
    pub(crate) fn root_der(&self) -> &[u8] {
        &self.root.certificate
    }

    /// Quote of a trust domain on `machine`.
    pub(crate) fn tdx_quote(&self, machine: &IntelMachine, measured: &TdxMeasured, report_data: [u8; 64]) -> Vec<u8> {
        let quote = quote::Quote {
            layout: measured.format.layout(),
            tee_type: quote::TEE_TYPE_TDX,
            qe_product: 2,
            body: measured.body(report_data),
        };
        quote.signed(&machine.quoting, &self.attestation_key, &self.pck_key, &self.pck_chain(machine))
    }

    /// Quote of an enclave on `machine`.
    pub(crate) fn sgx_quote(&self, machine: &IntelMachine, measured: &SgxMeasured, report_data: [u8; 64]) -> Vec<u8> {
        let quote = quote::Quote {
            layout: quote::Layout::V3,
            tee_type: quote::TEE_TYPE_SGX,
            qe_product: 1,
            body: measured.body(report_data).to_vec(),
        };
        quote.signed(&machine.quoting, &self.attestation_key, &self.pck_key, &self.pck_chain(machine))
    }

    fn pck_ca(&self, ca: PckCa) -> &Authority<P256Key> {
        match ca {
            PckCa::Platform => &self.platform_ca,
            PckCa::Processor => &self.processor_ca,
        }
    }

    /// PEM of leaf, issuing authority and root, as quotes carry it (without the final NUL byte).
    fn pck_chain(&self, machine: &IntelMachine) -> String {
        let ca = self.pck_ca(machine.pck_ca);
        let leaf = pck::certificate(machine, ca, &self.pck_key);
        pem(&[&leaf, &ca.certificate, &self.root.certificate])
    }

    /// Lists, TCB info and identity as `statements` say, signed.
    pub(crate) fn endorsements(
        &self,
        kind: EvidenceKind,
        statements: &IntelStatements,
        fetched_at: UnixSeconds,
    ) -> Result<Endorsements, EndorsementFault> {
        IntelEndorsements::new(self.parts(kind, statements), fetched_at).map(Endorsements::Intel)
    }

    /// The same as the separate answers of the provisioning service.
    pub(crate) fn parts(&self, kind: EvidenceKind, statements: &IntelStatements) -> IntelParts {
        let ca = self.pck_ca(statements.pck_ca);
        let signer_chain = pem(&[&self.tcb_signing.certificate, &self.root.certificate]);
        let tcb_info = statements.tcb_info(kind);
        let qe_identity = statements.qe_identity(kind);
        IntelParts {
            pck_crl_issuer_chain: pem(&[&ca.certificate, &self.root.certificate]),
            root_ca_crl: self.root.revocation_list(
                statements.root_crl_valid,
                statements.crl_number,
                &statements.revoked_by_root,
            ),
            pck_crl: ca.revocation_list(statements.pck_crl_valid, statements.crl_number, &statements.revoked_pck),
            tcb_info_issuer_chain: signer_chain.clone(),
            tcb_info_signature: self.tcb_signing.key.sign_raw(tcb_info.as_bytes()).to_vec(),
            tcb_info,
            qe_identity_issuer_chain: signer_chain,
            qe_identity_signature: self.tcb_signing.key.sign_raw(qe_identity.as_bytes()).to_vec(),
            qe_identity,
        }
    }
}
