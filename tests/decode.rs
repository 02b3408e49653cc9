//! Decoders of foreign bytes, over recorded samples and against hostile ones.

#[path = "common/metadata_server.rs"]
mod metadata_server;

mod decode {
    mod beegfs;
    mod gluster;
    mod hestia;
    mod storage;
}
