//! The simulated Intel: root, PCK authorities, TCB signer, and quotes of machines below them.

mod machine;
mod measured;
mod pck;
mod quote;
mod statements;

pub use machine::{IntelMachine, PckCa, PckChain, PlatformFlags, QuotingEnclave};
pub use measured::{SgxMeasured, TdxFormat, TdxMeasured};
pub use statements::{Advised, IntelStatements, ModuleLevel, PlatformLevel, QeLevel, TcbSigner};

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

/// Dates of the certificates that all machines share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntelDates {
    /// Of the root.
    pub root: Validity,
    /// Of the two authorities that certify machines.
    pub pck_ca: Validity,
    /// Of the certificate that signs TCB info and enclave identities.
    pub tcb_signing: Validity,
}

impl Default for IntelDates {
    fn default() -> Self {
        Self { root: Validity::ALWAYS, pck_ca: Validity::ALWAYS, tcb_signing: Validity::ALWAYS }
    }
}

/// All keys of the simulated Intel and of its machines.
pub(crate) struct IntelAuthority {
    root: Authority<P256Key>,
    platform_ca: Authority<P256Key>,
    processor_ca: Authority<P256Key>,
    tcb_signing: Authority<P256Key>,
    /// One PCK key and one attestation key serve all simulated machines.
    pck_key: P256Key,
    attestation_key: P256Key,
    /// For keys that nobody certified.
    seed: [u8; 32],
}

const ROOT: &str = "SIMULATED SGX Root CA";
const PLATFORM_CA: &str = "SIMULATED SGX PCK Platform CA";
const PROCESSOR_CA: &str = "SIMULATED SGX PCK Processor CA";
const TCB_SIGNING: &str = "SIMULATED SGX TCB Signing";

fn subject(name: &'static str, serial: u64, valid: Validity, role: Role) -> Subject<'static> {
    Subject { name, serial, valid, role, extensions: vec![] }
}

impl IntelAuthority {
    pub(crate) fn new(seed: &[u8; 32], dates: &IntelDates) -> Self {
        let key = |label| P256Key::derive(seed, label);
        let issuing = Role::Authority { path_length: 0 };
        let root = subject(ROOT, ROOT_SERIAL, dates.root, Role::Authority { path_length: 1 });
        let root = Authority::root(root, key("intel root"));
        let platform_ca = subject(PLATFORM_CA, PLATFORM_CA_SERIAL, dates.pck_ca, issuing);
        let processor_ca = subject(PROCESSOR_CA, PROCESSOR_CA_SERIAL, dates.pck_ca, issuing);
        let tcb_signing = subject(TCB_SIGNING, TCB_SIGNING_SERIAL, dates.tcb_signing, Role::Signer);
        Self {
            platform_ca: Authority::below(&root, platform_ca, key("intel platform ca")),
            processor_ca: Authority::below(&root, processor_ca, key("intel processor ca")),
            tcb_signing: Authority::below(&root, tcb_signing, key("intel tcb signing")),
            pck_key: key("intel pck"),
            attestation_key: key("intel attestation key"),
            root,
            seed: *seed,
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
        self.signed(&quote, machine)
    }

    /// Quote of an enclave on `machine`.
    pub(crate) fn sgx_quote(&self, machine: &IntelMachine, measured: &SgxMeasured, report_data: [u8; 64]) -> Vec<u8> {
        let quote = quote::Quote {
            layout: quote::Layout::V3,
            tee_type: quote::TEE_TYPE_SGX,
            qe_product: 1,
            body: measured.body(report_data).to_vec(),
        };
        self.signed(&quote, machine)
    }

    fn signed(&self, quote: &quote::Quote, machine: &IntelMachine) -> Vec<u8> {
        let pck_key = match machine.pck_chain {
            PckChain::AuthorityAsLeaf => &self.pck_ca(machine.pck_ca).key,
            _ => &self.pck_key,
        };
        quote.signed(&machine.quoting, &self.attestation_key, pck_key, &self.pck_chain(machine))
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
        let leaf = |issuer| pck::certificate(machine, issuer, &self.pck_key);
        let root = self.root.certificate.as_slice();
        match machine.pck_chain {
            PckChain::Genuine => pem(&[&leaf(ca), &ca.certificate, root]),
            PckChain::AuthorityAsLeaf => pem(&[&ca.certificate, root]),
            PckChain::ForgedAuthority => {
                let subject =
                    subject(PLATFORM_CA, PLATFORM_CA_SERIAL, Validity::ALWAYS, Role::Authority { path_length: 0 });
                let forged = Authority::below(&self.forged_root(), subject, self.forged_key("platform ca"));
                pem(&[&leaf(&forged), &forged.certificate, root])
            }
            PckChain::IssuedByTcbSigning => pem(&[&leaf(&self.tcb_signing), &self.tcb_signing.certificate, root]),
            PckChain::Padded(more) => {
                let leaf = leaf(ca);
                let mut chain = vec![leaf.as_slice()];
                chain.extend(std::iter::repeat_n(ca.certificate.as_slice(), usize::from(more) + 1));
                chain.push(root);
                pem(&chain)
            }
        }
    }

    /// Named like the root and certified by nobody.
    fn forged_root(&self) -> Authority<P256Key> {
        let subject = subject(ROOT, ROOT_SERIAL, Validity::ALWAYS, Role::Authority { path_length: 1 });
        Authority::root(subject, self.forged_key("root"))
    }

    fn forged_key(&self, whose: &str) -> P256Key {
        P256Key::derive(&self.seed, &format!("forged {whose}"))
    }

    /// Signs a text as `signer`; returns the signature and the PEM of the signer's chain.
    fn sign_text(&self, signer: TcbSigner, text: &str) -> (Vec<u8>, String) {
        let subject = || subject(TCB_SIGNING, TCB_SIGNING_SERIAL, Validity::ALWAYS, Role::Signer);
        let root = self.root.certificate.as_slice();
        let own_key;
        let (key, chain) = match signer {
            TcbSigner::Genuine => (&self.tcb_signing.key, pem(&[&self.tcb_signing.certificate, root])),
            TcbSigner::PckKey => (&self.pck_key, self.pck_chain(&IntelMachine::default())),
            TcbSigner::Forged => {
                own_key = self.forged_key("tcb signing");
                let certificate = self.forged_root().certify(subject(), &own_key);
                (&own_key, pem(&[&certificate, root]))
            }
            TcbSigner::BelowPlatformCa => {
                own_key = self.forged_key("tcb signing");
                let certificate = self.platform_ca.certify(subject(), &own_key);
                (&own_key, pem(&[&certificate, &self.platform_ca.certificate, root]))
            }
        };
        (key.sign_raw(text.as_bytes()).to_vec(), chain)
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
        let tcb_info = statements.tcb_info(kind);
        let (tcb_info_signature, tcb_info_issuer_chain) = self.sign_text(statements.signer, &tcb_info);
        let qe_identity = statements.qe_identity(kind);
        let (qe_identity_signature, qe_identity_issuer_chain) = self.sign_text(statements.signer, &qe_identity);
        IntelParts {
            pck_crl_issuer_chain: pem(&[&ca.certificate, &self.root.certificate]),
            root_ca_crl: self.root.revocation_list(
                statements.root_crl_valid,
                statements.crl_number,
                &statements.revoked_by_root,
            ),
            pck_crl: ca.revocation_list(statements.pck_crl_valid, statements.crl_number, &statements.revoked_pck),
            tcb_info_issuer_chain,
            tcb_info,
            tcb_info_signature,
            qe_identity_issuer_chain,
            qe_identity,
            qe_identity_signature,
        }
    }
}
