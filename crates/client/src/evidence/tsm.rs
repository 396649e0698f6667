//! configfs-tsm, the kernel's interface to report sources (Linux 6.7 on): a folder per request.

use std::path::Path;

use super::{EvidenceError, GuestEvidence};

/// Times a request is made again because another one came between.
const ATTEMPTS: u32 = 5;

/// Makes a request folder, writes the report data, reads the report, and takes the folder away.
pub(super) async fn evidence(folder: &Path, report_data: [u8; 64]) -> Result<GuestEvidence, EvidenceError> {
    let request = folder.join(format!("strongroom-{}", std::process::id()));
    let failed = |reason: &dyn std::fmt::Display| EvidenceError::failed(folder.display(), reason);
    tokio::fs::create_dir(&request).await.map_err(|error| failed(&error))?;
    let answer = ask(&request, report_data).await;
    // In configfs the folder is empty to `rmdir` although it shows files.
    let removed = tokio::fs::remove_dir(&request).await;
    let evidence = answer.map_err(|reason| failed(&reason))?;
    removed.map_err(|error| failed(&error))?;
    Ok(evidence)
}

async fn ask(request: &Path, report_data: [u8; 64]) -> Result<GuestEvidence, String> {
    for _ in 0..ATTEMPTS {
        let before = generation(request).await?;
        tokio::fs::write(request.join("inblob"), report_data).await.map_err(|error| error.to_string())?;
        let document = tokio::fs::read(request.join("outblob")).await.map_err(|error| error.to_string())?;
        let provider = text(request, "provider").await?;
        // Our own write moves the generation by one; more means that somebody else wrote in between.
        if generation(request).await? > before + 1 {
            continue;
        }
        let kind = match provider.as_str() {
            "tdx_guest" => "tdx",
            "sev_guest" => "snp",
            other => return Err(format!("provider {other:?} is not supported")),
        };
        return Ok(GuestEvidence { kind, document, event_log: None });
    }
    Err("another program keeps changing the request".to_owned())
}

async fn generation(request: &Path) -> Result<u64, String> {
    text(request, "generation").await?.parse().map_err(|_| "generation is not a number".to_owned())
}

async fn text(request: &Path, name: &str) -> Result<String, String> {
    let text = tokio::fs::read_to_string(request.join(name)).await.map_err(|error| format!("{name}: {error}"))?;
    Ok(text.trim().to_owned())
}
