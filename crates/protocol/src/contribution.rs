//! What an enclave signs with the key of its task's enclave challenge (PoCo `IexecPoco2Facet.contribute`, worker API).

use alloy_primitives::{Address, B256, keccak256};

use crate::ids::TaskId;

/// What an enclave signs to speak to its worker: keccak256(task ‖ worker), 52 bytes.
pub fn worker_api_message(task: TaskId, worker: Address) -> B256 {
    keccak256([task.as_bytes().as_slice(), worker.as_slice()].concat())
}

/// resultHash = keccak256(task ‖ digest): what all honest workers of a task agree on.
pub fn result_hash(task: TaskId, digest: B256) -> B256 {
    keccak256([task.as_bytes().as_slice(), digest.as_slice()].concat())
}

/// resultSeal = keccak256(worker ‖ task ‖ digest): what only this worker can claim.
pub fn result_seal(worker: Address, task: TaskId, digest: B256) -> B256 {
    keccak256([worker.as_slice(), task.as_bytes(), digest.as_slice()].concat())
}

/// What the enclave signs so that the hub accepts the contribution: keccak256(resultHash ‖ resultSeal), 64 bytes.
pub fn contribution_message(worker: Address, task: TaskId, digest: B256) -> B256 {
    keccak256([result_hash(task, digest), result_seal(worker, task, digest)].concat())
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;

    use super::*;
    use crate::ids::DealId;
    use crate::signature::SigningKey;

    #[test]
    fn a12_enclave_signatures() {
        let enclave = SigningKey::from_bytes(&[4; 32]).unwrap();
        let worker = SigningKey::from_bytes(&[3; 32]).unwrap().address();
        let task = TaskId::of(DealId::from(B256::repeat_byte(0x22)), 0);
        let digest = B256::repeat_byte(0x33);

        let to_worker = worker_api_message(task, worker);
        assert_eq!(to_worker, b256!("f6a14a9be05beb80544b44f96bd9a71d8e794d52d53d24b56b298d0773e0ae5e"));
        assert_eq!(
            enclave.sign(to_worker).to_string(),
            "0xc13b7eb753cfcac50eb83e306aa0820adc24140e8d4e505ef23420e4c3f6fa803113075ac89ca2792b0416d0adeff6409050ebcbf44b198112c06577d3f4c46c1b"
        );
        assert_eq!(
            result_hash(task, digest),
            b256!("c88c4b984e02cf971eca42547aac4ec00c7595b43bb8c5d09feae3bffffa80d2")
        );
        assert_eq!(
            result_seal(worker, task, digest),
            b256!("f2c51a3791e97dd90d686c5a049bff79bd719ad988b0f030323445c0b6ad48be")
        );
        let message = contribution_message(worker, task, digest);
        assert_eq!(message, b256!("d2f5c6b21f19135bb498db5d32ad293b7feabe52f378c8461c31cb2d32dea972"));
        assert_eq!(
            enclave.sign(message).to_string(),
            "0x83c613a030797982a15d6e4bea6510b3040006b774b7358e4d1ac634d4727a53094fc7bec0a0c51c05e0a327e14fcb3d97aef0ef2f6ef4c7d647ad79df6b78de1b"
        );
    }
}
