//! Webhooks and settings on disk, as `eventfs webhook` and `eventfs config` manage them: `webhooks.json` and
//! `config.json` in one directory, in the form that Gluster's own tool writes.
//!
//! Every change is made under a lock, to a new file that replaces the old one: two writers cannot damage
//! it, and a reader never sees half of one. A running tap watches the directory, so a change holds at once.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::settings::{self, Setting};
use crate::tap::Failure;

/// How a webhook is called on.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Credentials {
    /// Bearer token; none if empty.
    #[serde(default)]
    pub token: String,
    /// Secret to sign a token with, which goes before a plain one; none if empty.
    #[serde(default)]
    pub secret: String,
}

/// Webhooks by their URL.
pub type Webhooks = BTreeMap<String, Credentials>;

/// Environment variable that names the directory of the state.
pub const DIRECTORY_VARIABLE: &str = "EVENTFS_WEBHOOK_DIR";

/// Directory of the state where nothing else is said: of the environment, root's, or the user's own.
pub fn default_directory() -> PathBuf {
    if let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE).filter(|d| !d.is_empty()) {
        return directory.into();
    }
    if nix::unistd::geteuid().is_root() {
        return "/var/lib/eventfs/gluster".into();
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
    state.unwrap_or_else(|| "/var/tmp".into()).join("eventfs/gluster")
}

/// The directory.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

const WEBHOOKS: &str = "webhooks.json";
const CONFIG: &str = "config.json";

impl Store {
    /// In this directory, which need not exist.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// All webhooks.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged.
    pub fn webhooks(&self) -> Result<Webhooks, Failure> {
        let path = self.directory.join(WEBHOOKS);
        let object = read(&path)?;
        object.into_iter().map(|(url, value)| Ok((url, credentials(value, &path)?))).collect()
    }

    /// Changes the webhooks; `change` says why if it does not want to.
    ///
    /// # Errors
    /// What `change` says, and a file that cannot be read or written.
    pub fn change_webhooks<E: From<Failure>>(
        &self,
        change: impl FnOnce(&mut Webhooks) -> Result<(), E>,
    ) -> Result<(), E> {
        let _lock = self.lock()?;
        let mut webhooks = self.webhooks()?;
        change(&mut webhooks)?;
        let object = serde_json::to_value(&webhooks).unwrap_or_default();
        Ok(self.write(WEBHOOKS, &object)?)
    }

    /// The settings that were changed, as they are stored.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or holds what is no setting.
    pub fn changed(&self) -> Result<BTreeMap<&'static str, Value>, Failure> {
        let path = self.directory.join(CONFIG);
        let mut changed = BTreeMap::new();
        for (name, value) in read(&path)? {
            let fail = |why: String| Failure(format!("{}: {why}", path.display()));
            let setting = settings::find(&name).ok_or_else(|| fail(format!("{name}: unknown")))?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            changed.insert(setting.name, setting.parse(&text).map_err(fail)?);
        }
        Ok(changed)
    }

    /// Sets one, or puts it back to its default.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn set(&self, setting: &Setting, value: Option<Value>) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let mut changed = self.changed()?;
        match value {
            Some(value) => changed.insert(setting.name, value),
            None => changed.remove(setting.name),
        };
        self.write(CONFIG, &serde_json::to_value(changed).unwrap_or_default())
    }

    /// Puts all settings back to their defaults.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn reset(&self) -> Result<(), Failure> {
        let _lock = self.lock()?;
        self.write(CONFIG, &Value::Object(Map::new()))
    }

    /// One writer at a time; makes the directory, which holds secrets.
    fn lock(&self) -> Result<Flock<File>, Failure> {
        let fail = |path: &Path, error: io::Error| Failure::io(path.display(), &error);
        let directory = DirBuilder::new().recursive(true).mode(0o755).create(&self.directory);
        directory.map_err(|error| fail(&self.directory, error))?;
        let path = self.directory.join(".lock");
        let open = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600);
            options.custom_flags(libc::O_NOFOLLOW).open(&path)
        };
        let file = open().map_err(|error| fail(&path, error))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| fail(&path, error.into()))
    }

    /// Replaces a file, for its owner's eyes only.
    fn write(&self, name: &str, value: &Value) -> Result<(), Failure> {
        let path = self.directory.join(name);
        let new = self.directory.join(format!(".{name}.{}", std::process::id()));
        let write = || -> io::Result<()> {
            let _ = fs::remove_file(&new);
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(format!("{value:#}\n").as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&new);
            Failure::io(path.display(), &error)
        })
    }
}

/// An object in a file; one that is absent is empty.
fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(Failure::io(path.display(), &error)),
    };
    serde_json::from_str(&text).map_err(|error| Failure(format!("{}: {error}", path.display())))
}

/// The old form has nothing but the token.
fn credentials(value: Value, path: &Path) -> Result<Credentials, Failure> {
    match value {
        Value::String(token) => Ok(Credentials { token, secret: String::new() }),
        other => serde_json::from_value(other)
            .map_err(|error| Failure(format!("{}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("a/b"));
        (dir, store)
    }

    #[test]
    fn webhooks_come_back_and_the_old_form_is_read() {
        let (_dir, store) = store();
        assert!(store.webhooks().unwrap().is_empty());
        let credentials = Credentials { token: "t".into(), secret: String::new() };
        let add = |webhooks: &mut Webhooks| -> Result<(), Failure> {
            webhooks.insert("http://a/".into(), credentials.clone());
            Ok(())
        };
        store.change_webhooks(add).unwrap();
        assert_eq!(store.webhooks().unwrap()["http://a/"], credentials);
        let refuse =
            |_: &mut Webhooks| -> Result<(), Failure> { Err(Failure("not today".to_owned())) };
        assert!(store.change_webhooks(refuse).is_err());
        let file = store.directory().join(WEBHOOKS);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "tokens are secrets");
        fs::write(&file, r#"{"http://old/": "t"}"#).unwrap();
        assert_eq!(store.webhooks().unwrap()["http://old/"], credentials);
        fs::write(&file, "{").unwrap();
        assert!(store.webhooks().is_err());
    }

    #[test]
    fn only_what_was_changed_is_stored() {
        let (_dir, store) = store();
        let port = settings::find("port").unwrap();
        store.set(port, Some(port.parse("24009").unwrap())).unwrap();
        assert_eq!(store.changed().unwrap()["port"], 24_009);
        store.set(settings::find("log-level").unwrap(), Some("DEBUG".into())).unwrap();
        store.set(port, None).unwrap();
        let text = fs::read_to_string(store.directory().join(CONFIG)).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            serde_json::json!({"log-level": "DEBUG"})
        );
        store.reset().unwrap();
        assert!(store.changed().unwrap().is_empty());
        fs::write(store.directory().join(CONFIG), r#"{"nonsense": 1}"#).unwrap();
        assert!(store.changed().unwrap_err().to_string().ends_with("nonsense: unknown"));
    }

    #[test]
    fn many_writers_lose_nothing() {
        let (_dir, store) = store();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..5 {
                        let add = |webhooks: &mut Webhooks| -> Result<(), Failure> {
                            webhooks.insert(format!("http://{writer}/{n}"), Credentials::default());
                            Ok(())
                        };
                        store.change_webhooks(add).unwrap();
                    }
                });
            }
        });
        assert_eq!(store.webhooks().unwrap().len(), 40);
    }
}
