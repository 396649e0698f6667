//! The service from the outside: started in this process or as a child, asked over TCP with requests written byte for
//! byte. The chain is a table of owners; the store is a real one in a temporary folder.

#![allow(clippy::unwrap_used, reason = "a failed step of a test should stop it")]

mod accounts;
mod admin;
mod apps;
mod bodies;
mod bulk;
mod canary;
mod canary_forms;
mod child;
mod cors;
mod crash;
mod datasets;
mod fake_chain;
mod fake_keeper;
mod flood;
mod framework_errors;
mod lifecycle;
mod limits;
mod openapi_document;
mod operations;
mod problems;
mod program;
mod provisioners;
mod raw_http;
mod releasing;
mod requesters;
mod running;
mod tee_information;
mod tls;
