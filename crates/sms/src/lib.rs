//! HTTP dialects, the release flow, endorsement cache, its own identity.
