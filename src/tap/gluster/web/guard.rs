//! Who may post and listen: a bearer token, plain or signed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use crate::tap::Failure;

/// Seconds by which the clocks of nodes may differ: a signed token lives for 60.
const LEEWAY_SECONDS: u64 = 60;

/// Who signs: the shipped daemon.
const ISSUER: &str = "gluster";

/// `sub` of a token for a request without an event.
pub(super) const TEST: &str = "TEST";

/// What a request needs; nothing where both are empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    tokens: Vec<String>,
    secrets: Vec<String>,
}

/// Claims that are looked at beyond what the library checks. `iat` is the time of the event, which may
/// have waited: no reason to refuse.
#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl Guard {
    /// Reads the files.
    ///
    /// # Errors
    /// One line with the file that cannot be read, or has no token in it: that would let everybody in.
    pub(super) fn load(
        token_file: Option<&Path>,
        secret_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        let list = |file: Option<&Path>| file.map_or(Ok(Vec::new()), tokens);
        Ok(Self { tokens: list(token_file)?, secrets: list(secret_file)? })
    }

    /// Whether everybody may.
    pub(super) fn is_open(&self) -> bool {
        self.tokens.is_empty() && self.secrets.is_empty()
    }

    /// Whether an `Authorization` header says nothing that could be right, whatever the body.
    pub(super) fn refuses_outright(&self, authorization: Option<&str>) -> bool {
        !self.is_open() && self.secrets.is_empty() && !self.allows(authorization, None)
    }

    /// Whether a request may pass. `subject` is the event of its body or [`TEST`]; without one any will do,
    /// since there is none to compare.
    pub(super) fn allows(&self, authorization: Option<&str>, subject: Option<&str>) -> bool {
        if self.is_open() {
            return true;
        }
        let Some(token) = authorization.and_then(bearer) else { return false };
        // All are compared, so that the time does not tell which.
        let plain = self.tokens.iter().fold(false, |found, known| same(known, token) | found);
        plain || self.secrets.iter().any(|secret| is_signed(token, secret, subject))
    }
}

/// The token of `Bearer TOKEN`; the scheme is case-insensitive (RFC 9110).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// Compares without stopping at the first difference.
fn same(known: &str, given: &str) -> bool {
    let differing = known.bytes().zip(given.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    known.len() == given.len() && std::hint::black_box(differing) == 0
}

fn is_signed(token: &str, secret: &str, subject: Option<&str>) -> bool {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = LEEWAY_SECONDS;
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    let key = DecodingKey::from_secret(secret.as_bytes());
    match decode::<Claims>(token, &key, &validation) {
        Ok(read) => subject.is_none_or(|subject| subject == read.claims.sub),
        Err(error) => {
            log::debug!("signed token: {error}");
            false
        }
    }
}

/// The lines of a file of tokens or secrets, without comments.
///
/// # Errors
/// One line with the file.
pub(in crate::tap::gluster) fn tokens(file: &Path) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::io(file.display(), &error))?;
    let lines = text.lines().map(str::trim);
    let tokens: Vec<String> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if tokens.is_empty() {
        let why = io::Error::other("no token in it");
        return Err(Failure::io(PathBuf::from(file).display(), &why));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
    use serde_json::json;

    fn signed(secret: &str, sub: &str, iss: &str, exp: i64, algorithm: Algorithm) -> String {
        let now = get_current_timestamp().cast_signed();
        let claims = json!({"exp": now + exp, "iat": 1, "iss": iss, "sub": sub});
        let key = EncodingKey::from_secret(secret.as_bytes());
        format!("Bearer {}", encode(&Header::new(algorithm), &claims, &key).unwrap())
    }

    fn guard(tokens: &[&str], secrets: &[&str]) -> Guard {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Guard { tokens: owned(tokens), secrets: owned(secrets) }
    }

    #[test]
    fn one_of_the_tokens_is_needed() {
        let guard = guard(&["abc", "s3cr3t"], &[]);
        assert!(guard.allows(Some("Bearer s3cr3t"), None));
        assert!(guard.allows(Some("bearer abc"), Some("X")));
        for header in ["Bearer s3cr3", "Bearer s3cr3tt", "Bearer ", "abc", "Basic abc", ""] {
            assert!(!guard.allows(Some(header), None), "{header}");
            assert!(guard.refuses_outright(Some(header)));
        }
        assert!(!guard.allows(None, None));
        assert!(super::tests::guard(&[], &[]).allows(None, None));
    }

    #[test]
    fn a_signed_token_is_looked_at_in_full() {
        let guard = guard(&[], &["topsecret"]);
        let check = |token: &str, sub| guard.allows(Some(token), sub);
        let good = signed("topsecret", "VOLUME_SET", "gluster", 60, Algorithm::HS256);
        assert!(check(&good, Some("VOLUME_SET")));
        assert!(check(&good, None));
        assert!(!check(&good, Some("VOLUME_START")), "for another event");
        let late = |seconds| signed("topsecret", "A", "gluster", seconds, Algorithm::HS256);
        assert!(check(&late(-30), Some("A")), "clocks differ");
        assert!(!check(&late(-90), Some("A")), "expired");
        assert!(!check(&signed("other", "A", "gluster", 60, Algorithm::HS256), Some("A")));
        assert!(!check(&signed("topsecret", "A", "me", 60, Algorithm::HS256), Some("A")));
        assert!(!check(&signed("topsecret", "A", "gluster", 60, Algorithm::HS512), Some("A")));
        // {"alg":"none","typ":"JWT"} and no signature.
        let payload = good.split('.').nth(1).unwrap();
        let none = format!("Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
        assert!(!check(&none, Some("VOLUME_SET")));
        assert!(!check("Bearer x", None));
    }

    #[test]
    fn a_file_of_tokens_has_comments_and_never_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        fs::write(&file, "# old\n one \n\ntwo\n").unwrap();
        assert_eq!(tokens(&file).unwrap(), ["one", "two"]);
        fs::write(&file, "# none\n").unwrap();
        assert!(tokens(&file).unwrap_err().to_string().ends_with("no token in it"));
        assert!(Guard::load(Some(&dir.path().join("absent")), None).is_err());
    }
}
