//! `strongroom app`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use strongroom_protocol::{Address, B256};

use super::{NetworkChoice, Push, Service, Signer, TagWord, address};
use crate::amount::Amount;

#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Write a small working app into a new folder
    Init {
        /// The folder; also the app's name
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// In which language
        #[arg(long, value_enum, default_value_t = Template::Python)]
        template: Template,
    },
    /// Make an image of a script or a program of this machine, without Docker
    #[command(after_help = "\
A script of a shell is packed with that shell and the usual small tools, a program with the
libraries it needs: those of this machine, so that other machines make an image with another
checksum. For anything else, and for an image that others can build again, take the Dockerfile of
`app init`.")]
    Pack {
        /// The script or program; in the image it is in the folder /app
        #[arg(value_hint = ValueHint::FilePath)]
        program: PathBuf,
        /// A further file or folder for the folder /app; may be given several times
        #[arg(long, value_name = "FILE|FOLDER", value_hint = ValueHint::AnyPath)]
        with: Vec<PathBuf>,
        /// Folder to write: an OCI layout [default: the program's name and .oci]
        #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        output: Option<PathBuf>,
    },
    /// Register an app on chain
    Deploy(AppDeployment),
    /// Show what the chain says about an app
    Show {
        /// Address of the app
        #[arg(value_parser = address)]
        app: Address,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Sign an order for the app and publish it: whoever it allows may run it
    Publish {
        /// Address of the app
        #[arg(value_parser = address)]
        app: Address,
        /// Price of one task: in nRLC, or with a unit
        #[arg(long, value_name = "AMOUNT", default_value = "0")]
        price: Amount,
        /// For how many tasks
        #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
        volume: u64,
        /// What the app needs: tee, tdx, scone, gramine, gpu, joined by commas
        #[arg(long, value_name = "TAG", default_value = "tee,tdx")]
        tag: TagWord,
        /// Only with this dataset
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        dataset: Option<Address>,
        /// Only in this workerpool
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        workerpool: Option<Address>,
        /// Only for this requester
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        requester: Option<Address>,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Give the app to another owner. Orders that the old owner signed are void from then on
    Transfer {
        /// Address of the app
        #[arg(value_parser = address)]
        app: Address,
        /// The new owner
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        to: Address,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Push the app's secret. It can never be changed afterwards
    PushSecret {
        /// Address of the app
        #[arg(value_parser = address)]
        app: Address,
        #[command(flatten)]
        push: Push,
    },
    /// Say whether the app has its secret
    CheckSecret {
        /// Address of the app
        #[arg(value_parser = address)]
        app: Address,
        #[command(flatten)]
        service: Service,
    },
}

/// Languages of new apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    Python,
    Node,
    Rust,
    Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The checksum on chain is the digest of the image's manifest: it names the very code that may have the
app's secrets. With an image it is computed, and the whole image is verified; an archive of `docker
save` that has no manifest is made into a layout by: skopeo copy docker-archive:FILE oci:FOLDER")]
pub(crate) struct AppDeployment {
    /// Name of the app
    #[arg(long)]
    pub(crate) name: String,
    /// The image: an OCI layout folder, or an archive of `docker save`
    #[arg(long, value_name = "FOLDER|FILE", value_hint = ValueHint::AnyPath, required_unless_present = "checksum")]
    pub(crate) image: Option<PathBuf>,
    /// Where pools find the image, such as docker.io/me/app:1.0 [default: the name]
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) multiaddr: Option<String>,
    /// Digest of the image's manifest: 64 hex digits after 0x or sha256: [default: computed from the image]
    #[arg(long, value_name = "DIGEST", value_parser = checksum)]
    pub(crate) checksum: Option<B256>,
    /// A file with the SGX enclave configuration (JSON), for SCONE and Gramine apps
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) mrenclave: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signer: Signer,
    #[command(flatten)]
    pub(crate) network: NetworkChoice,
}

pub(super) fn checksum(text: &str) -> Result<B256, &'static str> {
    let digits = text.strip_prefix("sha256:").or(text.strip_prefix("0x")).unwrap_or(text);
    digits.parse().map_err(|_| "a checksum is 64 hex digits, after 0x or sha256:")
}
