//! `eventfs tap gluster` from outside: real sockets, a real HTTP client, a real WebSocket client, real
//! receivers, on plain directories and on a mount.
#![cfg(feature = "web")]

mod common;

mod tap_gluster {
    mod commands;
    mod delivery;
    mod help;
    mod local;
    mod publish;
    mod tls;
    mod webhook;
    mod websocket;
}
