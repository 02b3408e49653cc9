//! A property that holds for any bytes at all: what the fuzz target and the random tests call.

/// Neither side of the conversation panics, whatever the other one says; and a batch that is understood
/// is the same when it is said again.
///
/// # Panics
/// If it does not hold.
pub fn any(bytes: &[u8]) {
    // Refusing is as good as understanding.
    let _ = (super::take_asked(bytes), super::read_asked(bytes), super::scan_asked(bytes));
    let _ = (super::piece(bytes), super::number(bytes));
    if let Ok(events) = super::batch(bytes) {
        let again = super::answer_take(&events);
        assert_eq!(super::batch(&again).ok().as_ref(), Some(&events));
    }
    if let Ok((newest, events)) = super::scanned(bytes) {
        let again = super::answer_scan(newest, &events);
        assert_eq!(super::scanned(&again).ok().as_ref(), Some(&(newest, events)));
    }
}
