//! The ten packets of the protocol: read from bytes and written to bytes.

use super::Fault;
use crate::decode::Reader;

/// Type and magic, bytes.
pub const HEADER_BYTES: usize = 8;

/// What follows the type in every packet.
pub const MAGIC: [u8; 7] = *b"events\0";

/// The protocol that a listener asks for, and the only major number that it accepts.
pub const VERSION_MAJOR: u16 = 2;

/// See [`VERSION_MAJOR`]. A server may have a higher one: then packets may end in fields that we do not
/// know ([`Form::Lenient`]).
pub const VERSION_MINOR: u16 = 0;

/// Longest packet of a real server, bytes: the size of its buffers.
pub const PACKET_BYTES_MAX: usize = 16_384;

/// How to take bytes behind the last field that we know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Form {
    /// As a fault: protocol 2.0.
    #[default]
    Strict,
    /// As fields that came later: protocol 2.1 and above.
    Lenient,
}

impl Form {
    /// How packets of this minor version are to be read.
    pub fn of_minor(minor: u16) -> Self {
        if minor == VERSION_MINOR { Self::Strict } else { Self::Lenient }
    }

    /// Refuses what is left over, if that is the form.
    pub(super) fn end(self, reader: &Reader<'_>, what: &'static str) -> Result<(), Fault> {
        if self == Self::Strict && !reader.is_empty() {
            return Err(Fault::Trailing(what));
        }
        Ok(())
    }
}

/// Why a server closes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseReason {
    /// 0: it was asked to.
    Acknowledged,
    /// 1: the wanted event is not there (too old, beyond the end, overtaken by the ring, unreadable).
    StreamCrashed,
    /// 2: its socket failed.
    SocketError,
    /// 3: we broke the protocol.
    ProtocolError,
    /// 4: we were gone.
    SubscriberGone,
    /// A number that we do not know.
    Other(u8),
}

impl CloseReason {
    /// From the byte of the packet.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Acknowledged,
            1 => Self::StreamCrashed,
            2 => Self::SocketError,
            3 => Self::ProtocolError,
            4 => Self::SubscriberGone,
            other => Self::Other(other),
        }
    }

    /// The byte of the packet.
    pub fn byte(self) -> u8 {
        match self {
            Self::Acknowledged => 0,
            Self::StreamCrashed => 1,
            Self::SocketError => 2,
            Self::ProtocolError => 3,
            Self::SubscriberGone => 4,
            Self::Other(byte) => byte,
        }
    }
}

/// One packet, borrowing its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packet<'a> {
    /// Listener: 1.
    HandshakeRequest {
        /// Wanted version.
        major: u16,
        /// Wanted version.
        minor: u16,
    },
    /// Server: 2. Comes as soon as the connection stands, asked for or not.
    HandshakeResponse {
        /// Version that the server speaks.
        major: u16,
        /// Version that the server speaks.
        minor: u16,
        /// Number of the metadata node.
        meta_id: u32,
        /// Number of its mirror group, 0 if it is in none.
        mirror_group: u16,
    },
    /// Listener: 3.
    NewestRequest,
    /// Server: 4.
    Newest {
        /// Number that the next event will get: one past the newest.
        next: u64,
    },
    /// Listener: 5. Never after a `StreamStart` on the same connection: it moves the server's reader.
    RangeRequest,
    /// Server: 6. Newest first, oldest second.
    Range {
        /// Number that the next event will get.
        next: u64,
        /// Oldest event that is there for certain; older ones may be.
        oldest: u64,
    },
    /// Listener: 7.
    StreamStart {
        /// Number of the first wanted event.
        start: u64,
    },
    /// Server: 8.
    Message {
        /// Number of the event.
        msn: u64,
        /// The event, see [`super::Payload`].
        payload: &'a [u8],
    },
    /// Listener: 9.
    CloseRequest,
    /// Server: 10.
    Close {
        /// Why.
        reason: CloseReason,
    },
    /// A type that we do not know, with a good magic.
    Unknown {
        /// The type.
        kind: u8,
    },
}

impl<'a> Packet<'a> {
    /// Reads one whole packet.
    ///
    /// # Errors
    /// What is wrong with it. An unknown type with a good magic is no error.
    #[inline]
    pub fn decode(bytes: &'a [u8], form: Form) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes);
        let kind = header(&mut reader)?;
        if kind == 8 {
            return message(&mut reader, form);
        }
        let packet = control(kind, &mut reader)?;
        if !matches!(packet, Self::Unknown { .. }) {
            form.end(&reader, packet.name())?;
        }
        Ok(packet)
    }

    /// The type byte.
    pub fn kind(&self) -> u8 {
        match self {
            Self::HandshakeRequest { .. } => 1,
            Self::HandshakeResponse { .. } => 2,
            Self::NewestRequest => 3,
            Self::Newest { .. } => 4,
            Self::RangeRequest => 5,
            Self::Range { .. } => 6,
            Self::StreamStart { .. } => 7,
            Self::Message { .. } => 8,
            Self::CloseRequest => 9,
            Self::Close { .. } => 10,
            Self::Unknown { kind } => *kind,
        }
    }

    /// The protocol's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::HandshakeRequest { .. } => "Handshake_Request",
            Self::HandshakeResponse { .. } => "Handshake_Response",
            Self::NewestRequest => "Request_Message_Newest",
            Self::Newest { .. } => "Send_Message_Newest",
            Self::RangeRequest => "Request_Message_Range",
            Self::Range { .. } => "Send_Message_Range",
            Self::StreamStart { .. } => "Request_Message_Stream_Start",
            Self::Message { .. } => "Send_Message",
            Self::CloseRequest => "Close_Request",
            Self::Close { .. } => "Send_Close",
            Self::Unknown { .. } => "packet of unknown type",
        }
    }

    /// Appends the packet's bytes. The size field of a payload longer than 65 535 bytes is cut to its
    /// low 16 bits, as a server that got it wrong would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        out.extend_from_slice(&MAGIC);
        match *self {
            Self::HandshakeRequest { major, minor } => {
                out.extend_from_slice(&major.to_le_bytes());
                out.extend_from_slice(&minor.to_le_bytes());
            }
            Self::HandshakeResponse { major, minor, meta_id, mirror_group } => {
                out.extend_from_slice(&major.to_le_bytes());
                out.extend_from_slice(&minor.to_le_bytes());
                out.extend_from_slice(&meta_id.to_le_bytes());
                out.extend_from_slice(&mirror_group.to_le_bytes());
            }
            Self::Newest { next: number } | Self::StreamStart { start: number } => {
                out.extend_from_slice(&number.to_le_bytes());
            }
            Self::Range { next, oldest } => {
                out.extend_from_slice(&next.to_le_bytes());
                out.extend_from_slice(&oldest.to_le_bytes());
            }
            Self::Message { msn, payload } => {
                out.extend_from_slice(&msn.to_le_bytes());
                out.extend_from_slice(&(payload.len() as u16).to_le_bytes());
                out.extend_from_slice(payload);
            }
            Self::Close { reason } => out.push(reason.byte()),
            Self::NewestRequest
            | Self::RangeRequest
            | Self::CloseRequest
            | Self::Unknown { .. } => {}
        }
    }

    /// The packet's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// The number of a `Send_Message` that may be broken behind it.
pub fn message_number(bytes: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(bytes);
    if header(&mut reader) != Ok(8) {
        return None;
    }
    reader.u64("number").ok()
}

/// The type.
#[inline]
fn header(reader: &mut Reader<'_>) -> Result<u8, Fault> {
    if reader.is_empty() {
        return Err(Fault::Empty);
    }
    let [kind, magic @ ..] = reader.array::<HEADER_BYTES>("header").map_err(|_| Fault::Header)?;
    if magic == MAGIC { Ok(kind) } else { Err(Fault::Magic) }
}

/// Everything but events.
fn control<'a>(kind: u8, reader: &mut Reader<'a>) -> Result<Packet<'a>, Fault> {
    Ok(match kind {
        1 => Packet::HandshakeRequest { major: reader.u16("major")?, minor: reader.u16("minor")? },
        2 => Packet::HandshakeResponse {
            major: reader.u16("major version")?,
            minor: reader.u16("minor version")?,
            meta_id: reader.u32("node number")?,
            mirror_group: reader.u16("mirror group")?,
        },
        3 => Packet::NewestRequest,
        4 => Packet::Newest { next: reader.u64("next number")? },
        5 => Packet::RangeRequest,
        6 => {
            Packet::Range { next: reader.u64("next number")?, oldest: reader.u64("oldest number")? }
        }
        7 => Packet::StreamStart { start: reader.u64("start number")? },
        9 => Packet::CloseRequest,
        10 => Packet::Close { reason: CloseReason::from_byte(reader.u8("reason")?) },
        kind => Packet::Unknown { kind },
    })
}

/// An event. Its size field has to agree with what came.
#[inline]
fn message<'a>(reader: &mut Reader<'a>, form: Form) -> Result<Packet<'a>, Fault> {
    let msn = reader.u64("number")?;
    let told = usize::from(reader.u16("payload size")?);
    let came = reader.rest().len();
    if came < told || (came > told && form == Form::Strict) {
        return Err(Fault::Size { told, came });
    }
    Ok(Packet::Message { msn, payload: reader.take(told, "payload")? })
}
