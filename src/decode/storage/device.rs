//! What is known of a device, once it was looked up.

/// A device as an event names it. What is unknown is empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Device {
    /// `dev_name`: the block name where there is one, else what the record says.
    pub name: String,
    /// `dev_wwid`.
    pub wwid: String,
    /// What it stands on, nearest first.
    pub owners_names: Vec<String>,
    /// Their ids.
    pub owners_wwids: Vec<String>,
    /// More for `extension`: map, mount_point, transport and what belongs to it.
    pub extension: Vec<(&'static str, String)>,
}

impl Device {
    /// One of which nothing but its name is known.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// A value for `extension`, if there is one.
    pub fn add(&mut self, key: &'static str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.extension.push((key, value));
        }
    }

    /// Of `extension`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.extension.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
    }
}
