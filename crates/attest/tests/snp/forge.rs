//! Forged reports with a chain of their own, every part of which a test can make wrong.

use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PSS_SHA384, RsaKeyPair};
use strongroom_attest::anchors::DevelopmentAnchors;
use strongroom_attest::endorsements::AmdEndorsements;
use strongroom_attest::{
    AmdProduct, Claims, Endorsements, Evidence, EvidenceKind, ExpectedBinding, TrustAnchors, Verified, VerifyError,
    verify,
};
use strongroom_protocol::UnixSeconds;

use super::x509::{
    Content, EcKey, Issue, OCTET_STRING, SEQUENCE, bit_string, certificate_authority, element, extension, integer,
    name, oid, signed, signs_certificates_and_lists, time,
};

pub(crate) const NOW: UnixSeconds = UnixSeconds(1_790_000_000);
pub(crate) const REPORT_DATA: [u8; 64] = [0x5a; 64];
const YEAR: u64 = 365 * 86_400;

const ARK: &[u8] = include_bytes!("../../testdata/snp/forged/ark_key.der");
const ASK: &[u8] = include_bytes!("../../testdata/snp/forged/ask_key.der");

/// Algorithm identifiers as AMD writes them, and one that AMD does not use (SHA-256).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pss {
    WithTrailer,
    WithoutTrailer,
    Sha256,
}

/// One of the two RSA keys of the forgery.
pub(crate) struct RsaKey {
    key: RsaKeyPair,
    pss: Pss,
}

impl RsaKey {
    pub(crate) fn ark(pss: Pss) -> Self {
        Self { key: RsaKeyPair::from_der(ARK).expect("the file is a key"), pss }
    }

    pub(crate) fn ask(pss: Pss) -> Self {
        Self { key: RsaKeyPair::from_der(ASK).expect("the file is a key"), pss }
    }

    fn public(&self) -> Vec<u8> {
        let algorithm = element(SEQUENCE, &[&oid("1.2.840.113549.1.1.1"), &[5, 0]]);
        element(SEQUENCE, &[&algorithm, &bit_string(self.key.public_key().as_ref())])
    }
}

impl Issue for RsaKey {
    fn algorithm(&self) -> Vec<u8> {
        let hash = match self.pss {
            Pss::WithTrailer | Pss::WithoutTrailer => "2.16.840.1.101.3.4.2.2",
            Pss::Sha256 => "2.16.840.1.101.3.4.2.1",
        };
        let hash = element(SEQUENCE, &[&oid(hash), &[5, 0]]);
        let mask = element(SEQUENCE, &[&oid("1.2.840.113549.1.1.8"), &hash]);
        let trailer = if matches!(self.pss, Pss::WithTrailer) { element(0xa3, &[&integer(1)]) } else { vec![] };
        let parameters = [element(0xa0, &[&hash]), element(0xa1, &[&mask]), element(0xa2, &[&integer(48)]), trailer];
        element(SEQUENCE, &[&oid("1.2.840.113549.1.1.10"), &element(SEQUENCE, &[&parameters.concat()])])
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PSS_SHA384, &SystemRandom::new(), message, &mut signature).expect("randomness is there");
        signature
    }
}

/// A revocation list of the root.
#[derive(Clone)]
pub(crate) struct Revocations {
    pub(crate) issuer: String,
    pub(crate) signed_by_root: bool,
    pub(crate) this_update: u64,
    pub(crate) next_update: u64,
    pub(crate) serials: Vec<u8>,
    /// Covers certificates of users only.
    pub(crate) partial: bool,
}

impl Revocations {
    fn der(&self, pss: Pss) -> Vec<u8> {
        let key = if self.signed_by_root { RsaKey::ark(pss) } else { RsaKey::ask(pss) };
        let entries: Vec<u8> = self
            .serials
            .iter()
            .flat_map(|serial| element(SEQUENCE, &[&integer(*serial), &time(self.this_update)]))
            .collect();
        let entries = if entries.is_empty() { vec![] } else { element(SEQUENCE, &[&entries]) };
        let scope = element(SEQUENCE, &[&[0x81, 1, 0xff]]);
        let scope = if self.partial { extension("2.5.29.28", &scope) } else { vec![] };
        let extensions = element(SEQUENCE, &[&extension("2.5.29.20", &integer(1)), &scope]);
        let content = element(
            SEQUENCE,
            &[
                &integer(1),
                &key.algorithm(),
                &name(&self.issuer),
                &time(self.this_update),
                &time(self.next_update),
                &entries,
                &element(0xa0, &[&extensions]),
            ],
        );
        signed(&content, &key)
    }
}

/// Everything that goes into report and chain. [`Forgery::of`] makes one that is accepted.
#[derive(Clone)]
pub(crate) struct Forgery {
    pub(crate) product: AmdProduct,
    pub(crate) pss: Pss,
    pub(crate) ark: Content,
    pub(crate) ask: Content,
    /// Its key is filled in when the report is signed.
    pub(crate) vek: Content,
    /// The root issues the VEK directly.
    pub(crate) vek_signed_by_root: bool,
    /// The root is signed with, and shows, the key of the intermediate.
    pub(crate) other_root: bool,
    pub(crate) revocations: Option<Revocations>,
    pub(crate) report: Vec<u8>,
}

/// What a forgery hands to the verifier.
#[derive(Clone)]
pub(crate) struct Forged {
    pub(crate) report: Vec<u8>,
    pub(crate) vek: Vec<u8>,
    pub(crate) ark: Vec<u8>,
    pub(crate) ask: Vec<u8>,
    pub(crate) crl: Option<Vec<u8>>,
    pub(crate) anchors: TrustAnchors,
}

impl Forgery {
    /// A version 5 report signed by a VCEK.
    pub(crate) fn of(product: AmdProduct) -> Self {
        let chip_id = if product == AmdProduct::Turin { vec![0xc1; 8] } else { vec![0xc1; 64] };
        let issued = |serial, issuer: &str, subject: String, key| Content {
            serial,
            issuer: issuer.to_owned(),
            subject,
            dates: (NOW.0 - YEAR, NOW.0 + YEAR),
            key,
            extensions: vec![certificate_authority(None), signs_certificates_and_lists()],
        };
        let (ark, ask) = (format!("SIMULATED ARK-{product}"), format!("SIMULATED SEV-{product}"));
        let mut vek = issued(0, &ask, "SIMULATED SEV-VCEK".to_owned(), vec![]);
        vek.extensions = vek_extensions(product, &chip_id);
        let pss = Pss::WithTrailer;
        Self {
            product,
            pss,
            ark: issued(1, &ark, ark.clone(), RsaKey::ark(pss).public()),
            ask: issued(2, &ark, ask, RsaKey::ask(pss).public()),
            vek,
            vek_signed_by_root: false,
            other_root: false,
            revocations: None,
            report: report(product, &chip_id),
        }
    }

    /// The same signed by a VLEK, which belongs to a provider and to no chip.
    pub(crate) fn with_vlek(product: AmdProduct) -> Self {
        let mut forgery = Self::of(product);
        forgery.ask.subject = format!("SIMULATED SEV-VLEK-{product}");
        forgery.vek.issuer.clone_from(&forgery.ask.subject);
        "SIMULATED SEV-VLEK".clone_into(&mut forgery.vek.subject);
        forgery.replace_extension("1.3.6.1.4.1.3704.1.4", extension("1.3.6.1.4.1.3704.1.5", b"\x16\x05cloud"));
        forgery.report[0x48] = 1 << 2;
        forgery
    }

    /// A list that revokes nobody.
    pub(crate) fn empty_revocations(&self) -> Revocations {
        Revocations {
            issuer: self.ark.subject.clone(),
            signed_by_root: true,
            this_update: NOW.0 - 86_400,
            next_update: NOW.0 + 30 * 86_400,
            serials: vec![],
            partial: false,
        }
    }

    /// Puts `with` (nothing, to remove it) in the place of the VEK's extension `id`.
    pub(crate) fn replace_extension(&mut self, id: &str, with: Vec<u8>) {
        let id = oid(id);
        let found =
            self.vek.extensions.iter_mut().find(|extension| extension[2..].starts_with(&id)).expect("it is there");
        *found = with;
    }

    /// Signs everything.
    pub(crate) fn sign(&self) -> Forged {
        let key = EcKey::p384();
        self.sign_with(&key, &Content { key: key.public(), ..self.vek.clone() })
    }

    /// The same, with `key` signing the report and `vek` as the certificate.
    pub(crate) fn sign_with(&self, key: &EcKey, vek: &Content) -> Forged {
        let root = if self.other_root { RsaKey::ask(self.pss) } else { RsaKey::ark(self.pss) };
        let issuer = if self.vek_signed_by_root { RsaKey::ark(self.pss) } else { RsaKey::ask(self.pss) };
        let ark = Content { key: root.public(), ..self.ark.clone() }.signed_by(&root);
        let mut report = self.report.clone();
        let signature = key.sign_fixed(&report[..0x2a0]);
        let (r, s) = signature.split_at(signature.len() / 2);
        for (number, at) in [(r, 0x2a0), (s, 0x2e8)] {
            for (to, from) in report[at..].iter_mut().zip(number.iter().rev()) {
                *to = *from;
            }
        }
        Forged {
            report,
            vek: vek.signed_by(&issuer),
            ask: self.ask.signed_by(&RsaKey::ark(self.pss)),
            ark: ark.clone(),
            crl: self.revocations.as_ref().map(|list| list.der(self.pss)),
            anchors: TrustAnchors::with_development(DevelopmentAnchors {
                name: "forge".to_owned(),
                intel_root: None,
                amd_roots: vec![(self.product, ark)],
                aws_root: None,
            }),
        }
    }

    /// Signs everything and verifies it.
    pub(crate) fn verify(&self) -> Result<Claims, VerifyError> {
        self.sign().verify()
    }
}

impl Forged {
    pub(crate) fn verify(&self) -> Result<Claims, VerifyError> {
        self.verify_under(&self.anchors)
    }

    pub(crate) fn verify_under(&self, anchors: &TrustAnchors) -> Result<Claims, VerifyError> {
        self.verified_under(anchors).map(|verified| verified.claims().clone())
    }

    pub(crate) fn verified(&self) -> Result<Verified, VerifyError> {
        self.verified_under(&self.anchors)
    }

    fn verified_under(&self, anchors: &TrustAnchors) -> Result<Verified, VerifyError> {
        let evidence = Evidence::new(EvidenceKind::Snp, self.report.clone())?;
        let endorsements = AmdEndorsements::new(self.vek.clone(), self.ask.clone(), self.crl.clone(), NOW)?;
        let binding = ExpectedBinding::new(REPORT_DATA);
        verify(&evidence, &Endorsements::Amd(endorsements), &binding, anchors, NOW)
    }
}

/// Names of the components' extensions, each with the offset of its version in a TCB version.
pub(crate) fn tcb_components(product: AmdProduct) -> Vec<(&'static str, usize)> {
    match product {
        AmdProduct::Milan | AmdProduct::Genoa => vec![
            ("1.3.6.1.4.1.3704.1.3.1", 0),
            ("1.3.6.1.4.1.3704.1.3.2", 1),
            ("1.3.6.1.4.1.3704.1.3.3", 6),
            ("1.3.6.1.4.1.3704.1.3.8", 7),
        ],
        AmdProduct::Turin => vec![
            ("1.3.6.1.4.1.3704.1.3.9", 0),
            ("1.3.6.1.4.1.3704.1.3.1", 1),
            ("1.3.6.1.4.1.3704.1.3.2", 2),
            ("1.3.6.1.4.1.3704.1.3.3", 3),
            ("1.3.6.1.4.1.3704.1.3.8", 7),
        ],
    }
}

/// A TCB version whose components all differ, one of them above 127; zero where the product has none.
pub(crate) fn tcb(product: AmdProduct) -> [u8; 8] {
    match product {
        AmdProduct::Milan | AmdProduct::Genoa => [11, 12, 0, 0, 0, 0, 17, 218],
        AmdProduct::Turin => [11, 12, 13, 14, 0, 0, 0, 218],
    }
}

fn vek_extensions(product: AmdProduct, chip_id: &[u8]) -> Vec<Vec<u8>> {
    let product_name = element(0x16, &[format!("{product}-B1").as_bytes()]);
    let mut extensions = vec![extension("1.3.6.1.4.1.3704.1.2", &product_name)];
    extensions.extend(tcb_components(product).iter().map(|(id, at)| extension(id, &integer(tcb(product)[*at]))));
    extensions.push(extension("1.3.6.1.4.1.3704.1.4", chip_id));
    extensions
}

/// The other form of the hardware id: as an element of its own.
pub(crate) fn wrapped_chip_id(chip_id: &[u8]) -> Vec<u8> {
    extension("1.3.6.1.4.1.3704.1.4", &element(OCTET_STRING, &[chip_id]))
}

fn report(product: AmdProduct, chip_id: &[u8]) -> Vec<u8> {
    let mut report = vec![0; 1184];
    report[0] = 5;
    report[0x04] = 7;
    report[0x08..0x0b].copy_from_slice(&[0x1f, 0, 0b11]);
    report[0x10..0x20].fill(0x0f);
    report[0x20..0x30].fill(0x1a);
    report[0x34] = 1;
    report[0x40] = 0b10_0101;
    report[0x50..0x90].copy_from_slice(&REPORT_DATA);
    report[0x90..0xc0].fill(0xa1);
    report[0xc0..0xe0].fill(0xa2);
    report[0xe0..0x110].fill(0xa3);
    report[0x110..0x140].fill(0xa4);
    for at in [0x38, 0x180, 0x1e0, 0x1f0] {
        report[at..at + 8].copy_from_slice(&tcb(product));
    }
    report[0x188..0x18b].copy_from_slice(match product {
        AmdProduct::Milan => &[0x19, 0x01, 1],
        AmdProduct::Genoa => &[0x19, 0x11, 1],
        AmdProduct::Turin => &[0x1a, 0x02, 1],
    });
    report[0x1a0..0x1a0 + chip_id.len()].copy_from_slice(chip_id);
    report
}
