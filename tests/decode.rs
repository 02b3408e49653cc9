//! Decoders of foreign bytes, over recorded samples and against hostile ones.

mod decode {
    mod beegfs;
}
