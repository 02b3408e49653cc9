//! HTTPS, both ways, with a private authority.

use super::help::{Place, free_port, object, send};
use crate::common::{sh_ok, wait_until};

/// A file of tests/data/gluster/tls: a test authority, and a certificate of its for localhost.
fn data(name: &str) -> String {
    format!("{}/tests/data/gluster/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn server(place: &Place, port: u16) -> super::help::Tap {
    let address = format!("127.0.0.1:{port}");
    let (cert, key) = (data("server.pem"), data("server.key"));
    place.tap(&["--webhook", &address, "--tls-cert", &cert, "--tls-key", &key])
}

#[test]
fn https_is_served_and_plain_http_is_not() {
    let place = Place::new();
    let port = free_port();
    let tap = server(&place, port);
    let curl = |more: &str| {
        let body = object("E", "x");
        let script = format!("curl -s -o /dev/null -w '%{{http_code}}' -d '{body}' {more} || true");
        sh_ok(&place.path(""), &script)
    };
    let url = format!("https://localhost:{port}/tls");
    assert_eq!(curl(&format!("--cacert {} {url}", data("ca.pem"))), "200");
    // As the shipped daemon does in the end.
    assert_eq!(curl(&format!("-k {url}")), "200");
    assert_eq!(curl(&url), "000");
    assert_eq!(curl(&format!("http://localhost:{port}/")), "000");
    assert_eq!(tap.end()["written"], 2);
}

#[test]
fn publishing_trusts_whom_it_is_told_to_and_nobody_else() {
    let receiver = Place::new();
    let port = free_port();
    let receiving = server(&receiver, port);
    let url = format!("https://localhost:{port}/listen");
    let test = |place: &Place, more: &str| {
        let output = place.run(&format!("webhook test {url}{more}"));
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let place = Place::new();
    let ca = data("ca.pem");
    assert_eq!(test(&place, &format!(" --publish-ca {ca}")), (Some(0), format!("{url} OK\n")));
    let (code, text) = test(&place, "");
    assert_eq!(code, Some(1));
    assert!(text.contains("NOT OK") && text.contains("ertificate"), "{text}");
    let udp = free_port();
    let address = format!("127.0.0.1:{udp}");
    let doubting = place.tap(&["--udp", &address, "--publish", &url]);
    send(([127, 0, 0, 1], udp), b"1 5 name=v");
    wait_until("a refusal", || doubting.stderr().contains("trying again"));
    assert_eq!(receiver.events().len(), 0, "never without verification");
    doubting.end();
    // Started again with the right authority, it goes on with what it has not got rid of.
    let trusting = place.tap(&["--udp", &address, "--publish", &url, "--publish-ca", &ca]);
    assert_eq!(receiver.wait_for(1)[0]["type"], "gluster.volume_delete");
    trusting.end();
    receiving.end();
}

#[test]
fn files_that_do_not_do_end_the_tap_with_their_name() {
    let place = Place::new();
    let address = format!("127.0.0.1:{}", free_port());
    let bad = place.file("bad", "no certificate\n");
    let good = data("server.pem");
    let empty = place.file("empty", "");
    let cases: [&[&str]; 4] = [
        &["--tls-cert", &bad],
        &["--tls-cert", &good, "--tls-key", &bad],
        &["--token-file", &empty],
        &["--publish", "http://127.0.0.1:1/", "--publish-ca", &bad],
    ];
    for case in cases {
        let args = [&["--webhook", &address], case].concat();
        let output = place.command("q", &args).output().expect("output");
        assert_eq!(output.status.code(), Some(1), "{case:?}");
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
        let file = case.last().expect("a file");
        assert!(text.starts_with(&format!("eventfs: {file}: ")), "{text}");
    }
}
