//! Finds and reads the configuration file, and with the original's format its quota files.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Fault};
use super::limits::Limits;
use super::names::{Names, System};
use super::options::{MountOptions, OptionError};
use super::taps::TapTable;
use super::{ini, quotafile, toml};
use crate::model::quota::Quotas;
use crate::sys::plain;

/// Where the files are looked for if none is named.
pub const DEFAULT_DIR: &str = "/etc/eventfs";

/// The names looked for there, the first that exists counts.
const DEFAULT_NAMES: [&str; 2] = ["eventfs.toml", "eventfs.conf"];

/// Bytes of the largest file that is taken for a configuration: a device named by mistake must
/// not fill the memory.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The settings of a configuration file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The file, absolute so that it is found again after a change of directory; `None` if there
    /// is none.
    pub path: Option<PathBuf>,
    /// The words of `[mount]` in the order of the file, each with its value, which is empty for
    /// words that take none. All are known and good: [`Config::apply_mount`] succeeds.
    pub mount: Vec<(String, String)>,
    /// All limits.
    pub quotas: Quotas,
    /// The taps to be started.
    pub taps: Vec<TapTable>,
}

impl Config {
    /// Applies the words of `[mount]` to `options`, to be followed by those of the command line.
    ///
    /// # Errors
    ///
    /// Those of [`MountOptions::apply`]; none as long as `mount` is as [`load`] made it.
    pub fn apply_mount(&self, options: &mut MountOptions) -> Result<(), OptionError> {
        self.mount
            .iter()
            .try_for_each(|(name, value)| options.set(name, (!value.is_empty()).then_some(value)))
    }
}

/// Reads the configuration: the file `explicit`, which must exist, or else
/// `/etc/eventfs/eventfs.toml`, or else `/etc/eventfs/eventfs.conf`, or else nothing.
///
/// A file whose name ends in `.toml` is TOML, any other the original's INI, whose key `quotas`
/// names a directory of further files. Reads the user database for names of users and groups.
///
/// # Errors
///
/// The first thing that is wrong, with file and line; nothing of a bad configuration is used.
pub fn load(explicit: Option<&Path>) -> Result<Config, ConfigError> {
    load_from(Path::new(DEFAULT_DIR), explicit, &System)
}

/// [`load`] with another directory and user database.
fn load_from(
    dir: &Path,
    explicit: Option<&Path>,
    names: &dyn Names,
) -> Result<Config, ConfigError> {
    if let Some(path) = explicit {
        return parse(path, &read_text(path)?, names);
    }
    for name in DEFAULT_NAMES {
        let path = dir.join(name);
        if let Some(text) = read_if_there(&path)? {
            return parse(&path, &text, names);
        }
    }
    Ok(Config::default())
}

fn parse(path: &Path, text: &str, names: &dyn Names) -> Result<Config, ConfigError> {
    let mut limits = Limits::new(names);
    let mut document = toml::Document::default();
    if path.as_os_str().as_bytes().ends_with(b".toml") {
        document =
            toml::read(text, path, &mut limits).map_err(|fault| ConfigError::at(path, fault))?;
    } else {
        read_ini(path, text, &mut limits)?;
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let toml::Document { mount, taps } = document;
    Ok(Config { path: Some(path), mount, quotas: limits.finish(), taps })
}

fn read_ini(path: &Path, text: &str, limits: &mut Limits<'_>) -> Result<(), ConfigError> {
    let quotas = ini::read(text, limits).map_err(|fault| ConfigError::at(path, fault))?;
    let Some(key) = quotas else { return Ok(()) };
    let dir = path.parent().unwrap_or(Path::new("")).join(key.value);
    let files = quota_files(&dir).map_err(|error| {
        let why = plain(&error);
        let reason = format!("cannot read the directory '{}': {why}", dir.display());
        ConfigError::at(path, Fault::new(key.line, reason))
    })?;
    files.iter().try_for_each(|file| quotafile::read(&read_text(file)?, file, limits))
}

/// The quota files of `dir` in name order: what is a directory, a device or the like, and what an
/// editor left behind, is none.
fn quota_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        // A link is kept, and so is what cannot be asked: reading it gives the complaint.
        let is_file = fs::symlink_metadata(&path)
            .map_or(true, |metadata| metadata.is_file() || metadata.is_symlink());
        if is_file && !is_leftover(&entry.file_name()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_leftover(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".") || name.as_bytes().ends_with(b"~")
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    read_bytes(path)
        .map_err(|error| cannot_read(path, &error))
        .and_then(|bytes| decode(path, bytes))
}

/// The text of `path`; `None` if there is no such file.
fn read_if_there(path: &Path) -> Result<Option<String>, ConfigError> {
    match read_bytes(path) {
        Ok(bytes) => decode(path, bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot_read(path, &error)),
    }
}

/// Never through a link: who can put one there must not choose what root reads and quotes in its
/// complaints.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let opened = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path);
    opened
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => io::Error::other("is a symbolic link"),
            _ => error,
        })?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

fn cannot_read(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::in_file(path, format!("cannot be read: {}", plain(error)))
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, ConfigError> {
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::at(path, Fault::new(line, "not UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::names::Fixed;
    use super::*;
    use tempfile::TempDir;

    /// A directory with these files, a name ending in `/` being an empty directory.
    fn dir_with(files: &[(&str, &str)]) -> TempDir {
        let dir = TempDir::new().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
                continue;
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    /// The file of `files` named `name` must be refused with `expected`, `DIR` standing for the
    /// directory.
    fn check_bad(files: &[(&str, &str)], name: &str, expected: &str) {
        let dir = dir_with(files);
        let error = load_from(dir.path(), Some(&dir.path().join(name)), &Fixed).unwrap_err();
        let found = error.to_string().replace(dir.path().to_str().unwrap(), "DIR");
        assert_eq!(found, expected);
    }

    #[test]
    fn the_first_file_of_the_directory_counts() {
        let dir = dir_with(&[]);
        let load = || load_from(dir.path(), None, &Fixed).unwrap();
        assert_eq!(load(), Config::default());

        let conf = dir.path().join("eventfs.conf");
        fs::write(&conf, "[eventfs-config]\ndefault_max_dirs=1\n").unwrap();
        assert_eq!((load().path, load().quotas.default.max_dirs), (Some(conf), Some(1)));

        let toml = dir.path().join("eventfs.toml");
        fs::write(&toml, "[limits]\nmax_dirs=2\n").unwrap();
        assert_eq!((load().path, load().quotas.default.max_dirs), (Some(toml), Some(2)));
    }

    #[test]
    fn a_bad_file_does_not_give_way_to_the_next() {
        let dir = dir_with(&[("eventfs.toml/", ""), ("eventfs.conf", "")]);
        let error = load_from(dir.path(), None, &Fixed).unwrap_err();
        assert_eq!((error.file, error.line), (dir.path().join("eventfs.toml"), None));
    }

    #[test]
    fn a_named_file_must_exist_and_be_readable() {
        let missing = "DIR/x.conf: cannot be read: No such file or directory";
        check_bad(&[], "x.conf", missing);
        let directory = "DIR/x.toml: cannot be read: Is a directory";
        check_bad(&[("x.toml/", "")], "x.toml", directory);
        let large = "#".repeat(MAX_FILE_BYTES as usize + 1);
        let reason = "DIR/x: cannot be read: larger than 1048576 bytes";
        check_bad(&[("x", &large)], "x", reason);
        // A device without end must not be read to its end.
        let error = load_from(Path::new("/"), Some(Path::new("/dev/zero")), &Fixed).unwrap_err();
        assert_eq!(error.to_string(), "/dev/zero: cannot be read: larger than 1048576 bytes");
    }

    #[test]
    fn the_name_tells_the_format() {
        let dir = dir_with(&[("a.toml", "[mount]\nro=true\n"), ("toml", "[eventfs-config]\n")]);
        let load = |name: &str| load_from(Path::new("/"), Some(&dir.path().join(name)), &Fixed);
        assert_eq!(load("a.toml").unwrap().mount, [("ro".to_owned(), String::new())]);
        assert!(load("toml").is_ok());
        check_bad(&[("x.toml", "\n[tips.a]\n")], "x.toml", "DIR/x.toml:2: unknown section 'tips'");
        let section = "DIR/x:2: unknown section 'limits', expected 'eventfs-config'";
        check_bad(&[("x", "\n[limits]\n")], "x", section);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_its_line() {
        let dir = dir_with(&[]);
        for name in ["x.toml", "x.conf"] {
            let path = dir.path().join(name);
            fs::write(&path, b"#\n# \xff\n").unwrap();
            let error = load_from(dir.path(), Some(&path), &Fixed).unwrap_err();
            assert_eq!((error.line, error.reason.as_str()), (Some(2), "not UTF-8"));
        }
    }

    #[test]
    fn mount_words_can_be_applied() {
        let dir = dir_with(&[("x.toml", "[mount]\nro=true\nmax_event='1k'\nexec=false\n")]);
        let config = load_from(dir.path(), Some(&dir.path().join("x.toml")), &Fixed).unwrap();
        let mut options = MountOptions::default();
        config.apply_mount(&mut options).unwrap();
        options.apply_list("rw").unwrap();
        let expected = MountOptions { max_event: 1024, noexec: true, ..MountOptions::default() };
        assert_eq!(options, expected);
    }

    /// A main file with its quota files.
    fn with_quotas<'f>(files: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
        let main = ("x.conf", "[eventfs-config]\ndefault_max_dirs=9\nquotas=q\n");
        [&[main], files].concat()
    }

    #[test]
    fn quota_files_are_read_and_others_are_not() {
        let dir = dir_with(&with_quotas(&[
            ("q/ann", "[eventfs-quota]\nuser=ann\nmax_files=1\n"),
            ("q/staff.conf", "[eventfs-quota]\ngroup=staff\nmax_dirs=2\n"),
            ("q/.hidden", "x"),
            ("q/ann~", "x"),
            ("q/directory/", ""),
            ("q/number", "[eventfs-quota]\nuser=77\n"),
        ]));
        nix::unistd::mkfifo(&dir.path().join("q/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let config = load_from(dir.path(), Some(&dir.path().join("x.conf")), &Fixed).unwrap();
        let quotas = config.quotas;
        assert_eq!((quotas.users.len(), quotas.groups.len()), (2, 1));
        assert_eq!(quotas.users[&1000].max_dirs, Some(9));
        assert_eq!(quotas.users[&1000].max_files, Some(1));
        assert_eq!(quotas.users[&77].max_dirs, Some(9));
        assert_eq!(quotas.groups[&50].max_dirs, Some(2));
    }

    #[test]
    fn a_quotas_directory_may_be_absolute_and_must_exist() {
        let dir = dir_with(&[("one/a", "[eventfs-quota]\nuser=ann\n"), ("two/", "")]);
        let path = dir.path().join("two/x.conf");
        let quotas = dir.path().join("one");
        fs::write(&path, format!("[eventfs-config]\nquotas={}\n", quotas.display())).unwrap();
        assert_eq!(load_from(dir.path(), Some(&path), &Fixed).unwrap().quotas.users.len(), 1);

        let missing = "DIR/x.conf:3: cannot read the directory 'DIR/q': \
                       No such file or directory";
        check_bad(&with_quotas(&[]), "x.conf", missing);
        let no_directory = "DIR/x.conf:3: cannot read the directory 'DIR/q': \
                            Not a directory";
        check_bad(&with_quotas(&[("q", "")]), "x.conf", no_directory);
    }

    #[test]
    fn a_bad_quota_file_is_named_itself() {
        let files = with_quotas(&[("q/a", "[eventfs-quota]\nuser=eve\n")]);
        check_bad(&files, "x.conf", "DIR/q/a:2: unknown user 'eve'");
        let ann = "[eventfs-quota]\nuser=ann\n";
        let files = with_quotas(&[("q/a", ann), ("q/b", "\n[eventfs-quota]\nuser=1000\n")]);
        let twice = "DIR/q/b:3: user '1000' (1000) has limits already, at DIR/q/a:2";
        check_bad(&files, "x.conf", twice);
    }

    #[test]
    fn links_are_not_followed() {
        let link = |target: &str, path: PathBuf| std::os::unix::fs::symlink(target, path).unwrap();
        let check = |dir: &TempDir, explicit: Option<&str>, expected: &str| {
            let explicit = explicit.map(|name| dir.path().join(name));
            let error = load_from(dir.path(), explicit.as_deref(), &Fixed).unwrap_err();
            let found = error.to_string().replace(dir.path().to_str().unwrap(), "DIR");
            assert_eq!(found, format!("DIR/{expected}: cannot be read: is a symbolic link"));
        };
        let dir = dir_with(&[("good.toml", "")]);
        link("good.toml", dir.path().join("link.toml"));
        check(&dir, Some("link.toml"), "link.toml");
        link("nowhere", dir.path().join("eventfs.conf"));
        check(&dir, None, "eventfs.conf");
        link("good.toml", dir.path().join("eventfs.toml"));
        check(&dir, None, "eventfs.toml");
        for target in ["../linked", "nowhere"] {
            let quota = ("linked", "[eventfs-quota]\nuser=77\n");
            let dir = dir_with(&with_quotas(&[("q/", ""), quota]));
            link(target, dir.path().join("q/link"));
            check(&dir, Some("x.conf"), "q/link");
        }
        // Directories on the way are the administrator's.
        let dir = dir_with(&[("real/good.toml", "")]);
        link("real", dir.path().join("dir"));
        assert!(load_from(dir.path(), Some(&dir.path().join("dir/good.toml")), &Fixed).is_ok());
    }

    #[test]
    fn an_empty_file_has_a_path_and_no_settings() {
        let config = load_from(Path::new("/"), Some(Path::new("/dev/null")), &Fixed).unwrap();
        assert_eq!(config, Config { path: Some("/dev/null".into()), ..Config::default() });
        // Complaints name the file as the caller did.
        let relative = Path::new("no/such.conf");
        let error = load_from(Path::new("/"), Some(relative), &Fixed).unwrap_err();
        assert_eq!(error.file, relative);
    }
}
