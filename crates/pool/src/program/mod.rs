//! What only the program needs: the parts put together, and the examination of machine and settings.

pub(crate) mod backend;
pub(crate) mod doctor;
pub(crate) mod service;
pub(crate) mod settings;
