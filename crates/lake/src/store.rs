//! Objects under one root.

use std::future::Future;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::runtime::Runtime;
use url::Url;

use crate::error::{LakeError, Result};

/// One object store, from a root down. Clones share it and its runtime.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    root: Url,
    runtime: Arc<Runtime>,
}

/// An object's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Path from the store's root, with `/` between its parts.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was written last, in microseconds since the Unix epoch, by the storage's clock.
    pub last_modified_us: i64,
}

impl Store {
    /// Opens the store at a plain path or a `file://` address, and creates the folder where it is missing; or at an
    /// `s3://bucket/prefix` address, of Amazon's or any storage of that protocol. How to reach that and the credentials
    /// are told by the environment, as its other clients are told: `AWS_ENDPOINT`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY` and so on. Nothing is asked of it before the first object is.
    ///
    /// # Errors
    /// [`LakeError::UnsupportedScheme`] for other addresses, [`LakeError::Open`] where the place cannot be had.
    pub fn open(url_or_path: &str) -> Result<Self> {
        if !url_or_path.contains("://") {
            return Self::open_folder(url_or_path, FilePath::new(url_or_path));
        }
        let url = Url::parse(url_or_path).map_err(|e| open_error(url_or_path, e))?;
        match url.scheme() {
            "s3" => Self::open_bucket(url_or_path, url),
            "file" => {
                let folder = url
                    .to_file_path()
                    .map_err(|()| open_error(url_or_path, "not a local path"))?;
                Self::open_folder(url_or_path, &folder)
            }
            scheme => Err(LakeError::UnsupportedScheme {
                scheme: scheme.to_owned(),
            }),
        }
    }

    fn open_bucket(location: &str, mut root: Url) -> Result<Self> {
        let bucket = AmazonS3Builder::from_env()
            .with_url(location)
            .build()
            .map_err(|e| open_error(location, e))?;
        let prefix = Path::from_url_path(root.path()).map_err(|e| open_error(location, e))?;
        if !root.path().ends_with('/') {
            root.set_path(&format!("{}/", root.path()));
        }
        Self::with(location, Arc::new(PrefixStore::new(bucket, prefix)), root)
    }

    fn open_folder(location: &str, folder: &FilePath) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| open_error(location, e))?;
        let folder = folder.canonicalize().map_err(|e| open_error(location, e))?;
        let objects = LocalFileSystem::new_with_prefix(&folder).map_err(|e| open_error(location, e))?;
        let root =
            Url::from_directory_path(&folder).map_err(|()| open_error(location, "not an absolute path"))?;
        Self::with(location, Arc::new(objects), root)
    }

    fn with(location: &str, objects: Arc<dyn ObjectStore>, root: Url) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| open_error(location, e))?;
        Ok(Self {
            objects,
            root,
            runtime: Arc::new(runtime),
        })
    }

    /// The root's address; ends with a slash.
    #[must_use]
    pub fn root(&self) -> &Url {
        &self.root
    }

    /// Writes an object, whether or not it is there; readers see the whole old one or the whole new one.
    ///
    /// # Errors
    /// [`LakeError::Path`], [`LakeError::Object`].
    pub fn put(&self, path: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let location = parse(path)?;
        let payload = PutPayload::from(bytes.into());
        self.wait(self.objects.put(&location, payload))
            .map_err(object_error("write", path))?;
        Ok(())
    }

    /// Writes an object unless there is one already; says whether it did. Of several writers one wins.
    ///
    /// # Errors
    /// [`LakeError::Path`], [`LakeError::Object`].
    pub fn put_if_absent(&self, path: &str, bytes: impl Into<Bytes>) -> Result<bool> {
        let location = parse(path)?;
        let payload = PutPayload::from(bytes.into());
        let options = PutOptions::from(PutMode::Create);
        match self.wait(self.objects.put_opts(&location, payload, options)) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(source) => Err(object_error("write", path)(source)),
        }
    }

    /// Reads an object, or nothing where there is none.
    ///
    /// # Errors
    /// [`LakeError::Path`], [`LakeError::Object`].
    pub fn get(&self, path: &str) -> Result<Option<Bytes>> {
        let location = parse(path)?;
        let read = self.wait(async { self.objects.get(&location).await?.bytes().await });
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(object_error("read", path)(source)),
        }
    }

    /// The size of an object in bytes, or nothing where there is none.
    ///
    /// # Errors
    /// [`LakeError::Path`], [`LakeError::Object`].
    pub fn size(&self, path: &str) -> Result<Option<u64>> {
        let location = parse(path)?;
        match self.wait(self.objects.head(&location)) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(object_error("look at", path)(source)),
        }
    }

    /// Describes all objects below a folder, sorted by path; an empty prefix means all of the store.
    ///
    /// # Errors
    /// [`LakeError::Path`], [`LakeError::Object`].
    pub fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let location = parse(prefix)?;
        let found: Vec<_> = self
            .wait(self.objects.list(Some(&location)).try_collect())
            .map_err(object_error("list", prefix))?;
        let mut infos: Vec<_> = found
            .into_iter()
            .map(|meta| ObjectInfo {
                path: meta.location.to_string(),
                size: meta.size,
                last_modified_us: meta.last_modified.timestamp_micros(),
            })
            .collect();
        infos.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(infos)
    }

    /// Deletes an object; that there is none is no error.
    ///
    /// # Errors
    /// [`LakeError::Path`], [`LakeError::Object`].
    pub fn delete(&self, path: &str) -> Result<()> {
        let location = parse(path)?;
        match self.wait(self.objects.delete(&location)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(object_error("delete", path)(source)),
        }
    }

    /// The address of a folder below the root; ends with a slash.
    pub(crate) fn folder(&self, name: &str) -> Result<Url> {
        let mut url = self.root.clone();
        url.set_path(&format!("{}{}/", self.root.path(), parse(name)?));
        Ok(url)
    }

    /// Runs a future to its end on this thread.
    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

fn parse(path: &str) -> Result<Path> {
    Path::parse(path).map_err(|source| LakeError::Path {
        path: path.to_owned(),
        source,
    })
}

fn open_error(location: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LakeError {
    LakeError::Open {
        location: location.to_owned(),
        source: source.into(),
    }
}

fn object_error(action: &'static str, path: &str) -> impl FnOnce(object_store::Error) -> LakeError {
    let path = path.to_owned();
    move |source| LakeError::Object { action, path, source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("a folder").to_str().unwrap()).unwrap();
        (folder, store)
    }

    #[test]
    fn objects_are_written_read_listed_and_deleted() {
        let (_folder, store) = store();
        assert_eq!(store.list("models").unwrap(), []);
        store.put("models/b/two", "22").unwrap();
        store.put("models/a", "1").unwrap();
        store.put("models/a", "one").unwrap();
        store.put("modelsx", "other folder").unwrap();
        assert_eq!(store.get("models/a").unwrap().unwrap(), "one");
        assert_eq!(store.get("models/c").unwrap(), None);
        let listed = store.list("models").unwrap();
        assert_eq!(
            listed
                .iter()
                .map(|o| (o.path.as_str(), o.size))
                .collect::<Vec<_>>(),
            [("models/a", 3), ("models/b/two", 2)]
        );
        assert!(listed[0].last_modified_us > 1_600_000_000_000_000);
        assert_eq!(store.list("").unwrap().len(), 3);
        store.delete("models/a").unwrap();
        store.delete("models/a").unwrap();
        assert_eq!(store.get("models/a").unwrap(), None);
    }

    #[test]
    fn of_many_writers_one_puts_an_absent_object() {
        let (_folder, store) = store();
        let wins: usize = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|i| {
                    let store = store.clone();
                    scope.spawn(move || {
                        usize::from(store.put_if_absent("once", format!("writer {i}")).unwrap())
                    })
                })
                .collect();
            writers.into_iter().map(|w| w.join().unwrap()).sum()
        });
        assert_eq!(wins, 1);
        assert!(!store.put_if_absent("once", "again").unwrap());
        assert!(store.get("once").unwrap().unwrap().starts_with(b"writer"));
    }

    #[test]
    fn addresses_of_files_open_and_others_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::from_directory_path(folder.path()).unwrap();
        Store::open(url.as_str()).unwrap().put("x", "y").unwrap();
        assert_eq!(std::fs::read(folder.path().join("x")).unwrap(), b"y");
        let refused = Store::open("ftp://host/folder").unwrap_err();
        assert!(
            matches!(&refused, LakeError::UnsupportedScheme { scheme } if scheme == "ftp"),
            "{refused}"
        );
        assert!(!refused.is_retryable());
    }

    #[test]
    fn paths_stay_below_the_root() {
        let (_folder, store) = store();
        for path in ["../x", "a//b", "/../x"] {
            assert!(
                matches!(store.put(path, "x"), Err(LakeError::Path { .. })),
                "{path}"
            );
        }
    }
}
