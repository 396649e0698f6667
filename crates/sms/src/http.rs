//! The HTTP dialect of iExec's SMS, byte for byte where clients can see it (`router` lists every route). Texts and bytes
//! become domain types here; what is judged and stored is in [`crate::secrets`].

mod admin;
mod authorization;
mod body;
mod charset;
mod cors;
mod error_response;
mod framework_error;
mod openapi;
mod operations;
mod percent;
mod problem;
mod releases;
mod router;
mod secrets_account;
mod secrets_app;
mod secrets_dataset;
mod secrets_requester;
mod task_views;
mod tee;
mod tee_session;

pub(crate) use body::BodyReader;
pub(crate) use router::{Peer, router};
pub(crate) use tee::TeeInformation;
