//! The PCK certificate of a machine, with Intel's extension 1.2.840.113741.1.13.1.

use rcgen::CustomExtension;
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, DERWriterSeq};

use crate::intel::machine::{IntelMachine, PckCa};
use crate::keys::P256Key;
use crate::pki::{Authority, Role, Subject};

const INTEL_EXTENSION: [u64; 7] = [1, 2, 840, 113_741, 1, 13, 1];

/// The certificate of the machine's PCK key, DER.
pub(crate) fn certificate(machine: &IntelMachine, ca: &Authority<P256Key>, pck_key: &P256Key) -> Vec<u8> {
    let subject = Subject {
        name: "SIMULATED SGX PCK Certificate",
        serial: machine.pck_serial,
        valid: machine.pck_valid,
        role: Role::Signer,
        extensions: vec![CustomExtension::from_oid_content(&INTEL_EXTENSION, extension(machine))],
    };
    ca.certify(subject, pck_key)
}

/// SEQUENCE OF SEQUENCE { OID, value }.
fn extension(machine: &IntelMachine) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|list| {
            entry(list, &[1], |value| value.write_bytes(&machine.ppid));
            entry(list, &[2], |value| value.write_sequence(|tcb| write_tcb(machine, tcb)));
            entry(list, &[3], |value| value.write_bytes(&machine.pce_id));
            entry(list, &[4], |value| value.write_bytes(&machine.fmspc));
            entry(list, &[5], |value| value.write_enum(i64::from(machine.sgx_type)));
            if machine.pck_ca == PckCa::Platform {
                entry(list, &[6], |value| value.write_bytes(&machine.instance_id));
                entry(list, &[7], |value| {
                    value.write_sequence(|flags| {
                        entry(flags, &[7, 1], |value| value.write_bool(machine.flags.dynamic_platform));
                        entry(flags, &[7, 2], |value| value.write_bool(machine.flags.cached_keys));
                        entry(flags, &[7, 3], |value| value.write_bool(machine.flags.smt_enabled));
                    });
                });
            }
        });
    })
}

/// Sixteen component versions, PCESVN, CPUSVN.
fn write_tcb(machine: &IntelMachine, tcb: &mut DERWriterSeq<'_>) {
    for (component, svn) in (1..).zip(machine.cpu_svn) {
        entry(tcb, &[2, component], |value| value.write_u8(svn));
    }
    entry(tcb, &[2, 17], |value| value.write_u16(machine.pce_svn));
    entry(tcb, &[2, 18], |value| value.write_bytes(&machine.cpu_svn));
}

fn entry(list: &mut DERWriterSeq<'_>, suffix: &[u64], write: impl FnOnce(DERWriter<'_>)) {
    list.next().write_sequence(|pair| {
        let oid = [INTEL_EXTENSION.as_slice(), suffix].concat();
        pair.next().write_oid(&ObjectIdentifier::from_slice(&oid));
        write(pair.next());
    });
}
