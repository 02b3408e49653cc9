//! The tap against a real Gluster, where there is one.

use std::process::{Command, Stdio};

use crate::common::{EVENTFS, is_root, skip, spawn};

#[test]
fn a_real_gluster_is_understood_both_ways() {
    if !is_root() {
        skip("needs root for namespaces");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/conformance/gluster.sh");
    let mut command = Command::new(script);
    command.env("EVENTFS", EVENTFS).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = spawn(&mut command).wait_with_output().expect("output");
    let (told, why) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(2) if why.starts_with("gluster: missing: ") => skip(why.trim()),
        code => {
            assert_eq!(code, Some(0), "{told}{why}");
            assert!(told.ends_with("gluster: all as expected\n"), "{told}");
        }
    }
}
