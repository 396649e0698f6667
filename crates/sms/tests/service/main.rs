//! The service from the outside: started in this process or as a child, asked over TCP with requests written byte for
//! byte. The chain is a table of owners; the store is a real one in a temporary folder.

#![allow(clippy::unwrap_used, reason = "a failed step of a test should stop it")]

mod accounts;
mod admin;
mod apps;
mod bodies;
mod cors;
mod datasets;
mod fake_chain;
mod framework_errors;
mod openapi_document;
mod operations;
mod raw_http;
mod requesters;
mod running;
mod tee_information;
